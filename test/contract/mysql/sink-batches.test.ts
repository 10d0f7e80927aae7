/*
 * Batches, small and large, against a real server: what they write, what a takeover finds after each step, and what their transactions look
 * like in the target's binlog.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runMysqlTool } from '../../../dev/mysql-client.ts'
import { sharedTarget } from '../../support/servers.ts'
import {
  at,
  codeOf,
  header,
  lane,
  progress,
  type SinkFixture,
  sinkFixture,
  small,
  work,
} from './sink-support.ts'

let f: SinkFixture
beforeAll(async () => {
  f = await sinkFixture('sinkbatch')
})
afterAll(() => f.close())

async function fresh(table: string, definition: string) {
  await f.sql.query(`CREATE TABLE ${f.database}.${table} (${definition})`)
  return f.destination(table)
}

test('a first takeover finds nothing; begin stores a position once', async () => {
  const g = await sinkFixture('sinkbegin')
  try {
    const { sink, resume } = await g.owner(5n)
    expect(resume).toEqual({ position: null, batch: 0, unfinished: null, load: [], parked: [] })
    await sink.begin(at(7))
    await sink.begin(at(9))
    await sink.close()
    const second = await g.owner(6n)
    expect(second.resume).toEqual({ position: at(7), batch: 0, unfinished: null, load: [], parked: [] })
  } finally {
    await g.close()
  }
})

test('a small batch removes, then upserts, and stores position and load progress with them', async () => {
  const d = await fresh('orders', 'id INT PRIMARY KEY, note VARCHAR(20), amount DECIMAL(12,4)')
  const { sink, resume } = await f.owner(10n)
  const n = resume.batch
  await sink.applySmall(
    header(n + 1),
    small(
      work(d, [
        [1, 'a', '1.5000'],
        [2, 'b', null],
      ]),
    ),
    [
      progress('shop.größe', [12345678901234567890n, 'k\xff\0"', -0, null, 1.5], 2),
      progress('shop.b', null, 0, true),
    ],
  )
  await sink.applySmall(
    header(n + 2),
    small(
      work(
        d,
        [
          [2, "it's \\ new", '-0.0001'],
          [3, 'c', '7'],
        ],
        [[1]],
      ),
    ),
    [],
  )
  expect(await f.rows('orders')).toEqual([
    ['2', "it's \\ new", '-0.0001'],
    ['3', 'c', '7.0000'],
  ])
  await sink.close()
  const { resume: after } = await f.owner(11n)
  expect(after.position).toEqual(at(n + 2))
  expect(after.batch).toBe(n + 2)
  expect(after.unfinished).toBeNull()
  expect(after.load).toEqual([
    progress('shop.b', null, 0, true),
    progress('shop.größe', [12345678901234567890n, 'k\xff\0"', -0, null, 1.5], 2),
  ])
  expect(Object.is(after.load[1]?.after?.[2], -0)).toBe(true)
})

test('a large batch is unfinished until every lane has confirmed every phase, and then it is not', async () => {
  const d = await fresh('large', 'id INT PRIMARY KEY, v INT')
  const { sink, resume } = await f.owner(20n, 3)
  const h = { ...header(resume.batch + 1, 3, 2) }
  await sink.writeHeader(h)
  const begun = (await f.owner(21n, 3)).resume
  expect(begun.unfinished).toEqual({
    batch: h.batch,
    from: h.from,
    to: h.to,
    lanes: 3,
    phases: 2,
    planDigest: h.planDigest,
    confirmed: [0, 0, 0],
  })
  const second = await f.owner(22n, 3)
  await Promise.all([
    second.sink.applyLane(h, 1, 1, lane()),
    second.sink.applyLane(h, 2, 1, lane(work(d, [], [[5]]))),
    second.sink.applyLane(h, 3, 1, lane()),
  ])
  await second.sink.applyLane(h, 2, 2, lane(work(d, [[1, 10]])))
  const third = await f.owner(23n, 3)
  expect(third.resume.unfinished?.confirmed).toEqual([1, 2, 1])
  await third.sink.applyLane(h, 1, 2, lane(work(d, [[2, 20]])))
  await third.sink.applyLane(h, 3, 2, lane(work(d, [[3, 30]])))
  await third.sink.storeLoad([progress('shop.large', [3], 3, true)])
  const { resume: done } = await f.owner(24n, 3)
  expect(done.unfinished).toBeNull()
  expect(done.position).toEqual(h.to)
  expect(done.load).toContainEqual(progress('shop.large', [3], 3, true))
  expect(await f.rows('large')).toEqual([
    ['1', '10'],
    ['2', '20'],
    ['3', '30'],
  ])
})

test('a batch of more lanes than are configured now is finished with its own number of lanes', async () => {
  const d = await fresh('lanes', 'id INT PRIMARY KEY')
  const wide = await f.owner(30n, 6)
  const h = header(wide.resume.batch + 1, 6)
  await wide.sink.writeHeader(h)
  await wide.sink.applyLane(h, 5, 1, lane(work(d, [[5]])))
  await wide.sink.close()
  const narrow = await f.owner(31n, 1)
  expect(narrow.resume.unfinished?.confirmed).toEqual([0, 0, 0, 0, 1, 0])
  for (const n of [1, 2, 3, 4, 6]) await narrow.sink.applyLane(h, n, 1, lane(work(d, [[n]])))
  await narrow.sink.applySmall(header(h.batch + 1), small(work(d, [[7]])), [])
  await narrow.sink.close()
  expect((await f.owner(32n, 2)).resume).toMatchObject({ batch: h.batch + 1, unfinished: null })
  expect(await f.rows('lanes')).toHaveLength(7)
})

test('nothing is written twice: not a batch, not a lane, not a lane without its header', async () => {
  const d = await fresh('once', 'id INT PRIMARY KEY')
  const { sink, resume } = await f.owner(40n)
  const n = resume.batch
  await sink.applySmall(header(n + 1), small(work(d, [[1]])), [])
  expect(await codeOf(sink.applySmall(header(n + 1), small(work(d, [[2]])), []))).toBe('SYNC-9001')
  expect(await codeOf(sink.applyLane(header(n + 2, 2), 1, 1, lane(work(d, [[3]]))))).toBe('SYNC-9001')
  await sink.writeHeader(header(n + 2, 2))
  await sink.applyLane(header(n + 2, 2), 1, 1, lane(work(d, [[4]])))
  expect(await codeOf(sink.applyLane(header(n + 2, 2), 1, 1, lane(work(d, [[5]]))))).toBe('SYNC-9001')
  expect(await codeOf(sink.writeHeader(header(n + 2, 2)))).toBe('SYNC-9001')
  expect(await f.rows('once')).toEqual([['1'], ['4']])
})

test('unique values are swapped between rows by removals and upserts in one transaction', async () => {
  const d = await fresh('swap', 'id INT PRIMARY KEY, code VARCHAR(10) NULL, UNIQUE KEY code_is_unique (code)')
  const { sink, resume } = await f.owner(50n)
  await sink.applySmall(
    header(resume.batch + 1),
    small(
      work(d, [
        [1, 'x'],
        [2, 'y'],
        [3, null],
        [4, null],
      ]),
    ),
    [],
  )
  await sink.applySmall(
    header(resume.batch + 2),
    small(
      work(
        d,
        [
          [1, 'y'],
          [2, 'x'],
          [3, 'z'],
          [5, null],
        ],
        [[1], [2]],
      ),
    ),
    [],
  )
  expect(await f.rows('swap')).toEqual([
    ['1', 'y'],
    ['2', 'x'],
    ['3', 'z'],
    ['4', null],
    ['5', null],
  ])
})

test('the mark row is the first row event of every transaction, and holds origin, chain and commit time', async () => {
  const d = await fresh('logged', 'id INT PRIMARY KEY, v VARCHAR(10)')
  const { sink, resume } = await f.owner(60n)
  const n = resume.batch
  const [status] = (await f.sql.query('SHOW BINARY LOG STATUS')).rows
  const [file, from] = [status?.[0] as string, status?.[1] as string]
  await sink.applySmall(
    header(n + 1),
    small(
      work(d, [
        [1, 'a'],
        [2, 'b'],
      ]),
    ),
    [progress('shop.logged', [2], 2)],
  )
  await sink.writeHeader(header(n + 2, 2))
  await sink.applyLane(header(n + 2, 2), 1, 1, lane(work(d, [[3, 'c']], [[1]])))
  // Rows that are there already change nothing: the mark row must still be logged.
  await sink.applyLane(header(n + 2, 2), 2, 1, lane(work(d, [[2, 'b']])))
  await sink.storeLoad([progress('shop.logged', [2], 2)])
  await sink.begin(at(1))
  const server = await sharedTarget()
  const events = await runMysqlTool(
    'mysqlbinlog',
    ['--read-from-remote-server', '--base64-output=DECODE-ROWS', '-v', `--start-position=${from}`, file],
    { server },
  )
  // Other tests write to the same server; every transaction of this pipeline names it in its mark row.
  const mine = events
    .split(/^BEGIN\n/m)
    .filter(
      (transaction) => transaction.includes(`'${f.pipeline}'`) || transaction.includes(`\`${f.database}\``),
    )
    .map((transaction) =>
      [...transaction.matchAll(/^### (?:INSERT INTO|UPDATE|DELETE FROM) (\S+)/gm)].map(([, table]) => table),
    )
  expect(mine.map((tables) => tables[0])).toEqual(Array(6).fill('`syncline`.`apply_mark`'))
  expect(mine.map((tables) => tables.length)).toEqual([4, 1, 3, 1, 1, 1])
  const { rows } = await f.sql.query(
    `SELECT origin, chain, source_commit_us FROM syncline.apply_mark WHERE pipeline = _utf8mb4'${f.pipeline}' AND slot = 1`,
  )
  expect(rows[0]).toEqual(['here', '["here"]', `${header(n + 2).sourceCommitTimeUs}`])
})

test('more rows than one packet holds go in one transaction', async () => {
  const d = await fresh('many', 'id INT PRIMARY KEY, filler VARBINARY(4000)')
  const { sink, resume } = await f.owner(70n)
  const h = header(resume.batch + 1, 2)
  const rows = Array.from({ length: 4000 }, (_, i) => [i, `${i}`.padEnd(3000, '\x80')])
  await sink.writeHeader(h)
  await sink.applyLane(h, 1, 1, lane(work(d, rows)))
  await sink.applyLane(
    h,
    2,
    1,
    lane(
      work(
        d,
        [],
        rows.slice(0, 3500).map(([id]) => [id as number]),
      ),
    ),
  )
  expect(await f.rows('many', 'COUNT(*), MIN(id), SUM(LENGTH(filler))')).toEqual([['500', '3500', '1500000']])
})
