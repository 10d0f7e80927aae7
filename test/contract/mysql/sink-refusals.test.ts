/*
 * What the target refuses: the error names table, row and key, nothing of the batch is written, no transaction stays open, and the sink goes
 * on once the cause is mended.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import type { Sink } from '../../../src/connectors/contract.ts'
import { createSink } from '../../../src/connectors/mysql/sink/sink.ts'
import type { SyncError } from '../../../src/core/errors.ts'
import type { Destination } from '../../../src/core/plan.ts'
import type { Row } from '../../../src/core/value.ts'
import { sharedTarget } from '../../support/servers.ts'
import {
  at,
  destinationOf,
  header,
  lane,
  openConnection,
  progress,
  type SinkFixture,
  sinkFixture,
  small,
  work,
} from './sink-support.ts'

let f: SinkFixture
let d: Destination
let sink: Sink
let batch = 0
let epoch = 0n
const start: Row[] = [
  [1, 'one', 10, 'x'],
  [2, 'two', 20, 'y'],
  [3, null, 30, 'z'],
]
const text = (rows: readonly Row[]) =>
  rows.map((row) => row.map((value) => (value === null ? null : String(value))))

beforeAll(async () => {
  f = await sinkFixture('sinkrefuse')
  await f.sql.query(
    `CREATE TABLE ${f.database}.t (id INT PRIMARY KEY, code VARCHAR(20) CHARACTER SET utf8mb4 NULL, amount TINYINT NOT NULL, kind VARCHAR(3),
     UNIQUE KEY code_is_unique (code))`,
  )
  d = await f.destination('t')
})
afterAll(() => f.close())
beforeEach(async () => {
  await f.sql.query(`DELETE FROM ${f.database}.t`)
  const owner = await f.owner(++epoch)
  sink = owner.sink
  await sink.begin(at(0))
  batch = owner.resume.batch
  await sink.applySmall(header(++batch), small(work(d, start)), [])
})

async function refused(
  upserts: readonly Row[],
  removals: readonly Row[] = [],
  into: Destination = d,
): Promise<SyncError> {
  try {
    await sink.applySmall(header(batch + 1), small(work(into, upserts, removals)), [])
  } catch (error) {
    // A transaction left open would hold the mark row.
    await f.sql.query(
      `SELECT 1 FROM syncline.apply_mark WHERE pipeline = _utf8mb4'${f.pipeline}' FOR UPDATE NOWAIT`,
    )
    return error as SyncError
  }
  throw new Error('it was not refused')
}

const plenty = Array.from({ length: 5000 }, (_, i): Row => [100 + i, `c${i}`, i % 100, 'p'])

test.each([
  ['alone', [[9, 'two', 1, 'w']]],
  ['in the middle of many', [...plenty.slice(0, 3000), [9, 'two', 1, 'w'], ...plenty.slice(3000)]],
  ['under the collation of the key', [[9, 'TWO', 1, 'w']]],
  // The row itself is found by its primary key first; then its new value meets another row (error 1062).
  ['by an update', [[1, 'two', 10, 'x']]],
] as [string, Row[]][])('a unique value of another row is never overwritten: %s', async (_, upserts) => {
  const error = await refused(upserts)
  expect(error.code).toBe('SYNC-3301')
  expect(error.details).toMatchObject({
    table: `${f.database}.t`,
    key: upserts.some((row) => row[0] === 9) ? 'id=9' : 'id=1',
    uniqueKey: 'code_is_unique',
  })
  expect(error.message).toContain('code_is_unique')
  expect(await f.rows('t')).toEqual(text(start))
  // Once the other row is gone, the same batch goes through.
  await f.sql.query(`DELETE FROM ${f.database}.t WHERE id = 2`)
  await sink.applySmall(header(batch + 1), small(work(d, upserts)), [])
})

test('the row that a removal in the same batch makes way for is no obstacle', async () => {
  await sink.applySmall(header(batch + 1), small(work(d, [[9, 'two', 1, 'w']], [[2]])), [])
  expect((await f.rows('t', 'id')).flat()).toEqual(['1', '3', '9'])
})

test('in a lane a refusal leaves the lane unwritten, and other lanes are not touched', async () => {
  const h = header(batch + 1, 2)
  await sink.writeHeader(h)
  await sink.applyLane(h, 1, 1, lane(work(d, [[4, 'four', 4, 'x']])))
  await expect(sink.applyLane(h, 2, 1, lane(work(d, [...plenty, [9, 'two', 1, 'w']])))).rejects.toMatchObject(
    {
      code: 'SYNC-3301',
      details: { key: 'id=9' },
    },
  )
  expect(await f.rows('t', 'id')).toEqual([['1'], ['2'], ['3'], ['4']])
  expect((await f.owner(++epoch)).resume.unfinished?.confirmed).toEqual([1, 0])
})

test('a value that the column cannot hold is named with its row', async () => {
  const error = await refused([...plenty, [7, 'seven', 1000, 'k'], [8, 'eight', 8, 'k']])
  expect(error).toMatchObject({ code: 'SYNC-3302', details: { errno: 1264, key: 'id=7' } })
  expect(await refused([[7, 'seven', 1, 'too long']])).toMatchObject({
    code: 'SYNC-3302',
    details: { key: 'id=7' },
  })
  expect(await f.rows('t')).toEqual(text(start))
})

test('NULL for a column that may not be NULL is a refused value, not a unique key', async () => {
  const error = await refused([
    [6, 'six', 6, 'k'],
    [7, 'seven', null, 'k'],
  ])
  expect(error).toMatchObject({ code: 'SYNC-3302', details: { key: 'id=7' } })
  expect(error.message).toContain('NULL')
})

test('a table or a column that is gone is named', async () => {
  const gone = { ...d, id: { ...d.id, name: 'gone' } }
  expect(await refused([[1, 'x', 1, 'x']], [], gone)).toMatchObject({
    code: 'SYNC-3201',
    details: { table: `${f.database}.gone` },
  })
  const renamed = { ...d, columns: d.columns.map((c) => (c.name === 'kind' ? { ...c, name: 'sort' } : c)) }
  expect(await refused([[1, 'x', 1, 'x']], [], renamed)).toMatchObject({
    code: 'SYNC-3202',
    details: { table: `${f.database}.t` },
  })
  await sink.applySmall(header(batch + 1), small(work(d, [[4, 'four', 4, 'x']])), [])
})

test('a mark row that somebody removed is noticed, by the writer and by the next takeover, and nothing is written', async () => {
  const g = await sinkFixture('sinkgone')
  try {
    const own = await g.owner(1n)
    await own.sink.begin(at(0))
    await g.sql.query(`DELETE FROM syncline.apply_mark WHERE pipeline = _utf8mb4'${g.pipeline}' AND slot = 0`)
    await expect(
      own.sink.applySmall(header(1), small(work(d, [[4, 'four', 4, 'x']])), []),
    ).rejects.toMatchObject({
      code: 'SYNC-9001',
    })
    expect(await f.rows('t')).toEqual(text(start))
    await expect((await g.sink()).takeOver(2n)).rejects.toMatchObject({ code: 'SYNC-9001' })
  } finally {
    await g.close()
  }
})

test('load progress without mark rows is of an earlier life and forgotten', async () => {
  const g = await sinkFixture('sinkearlier')
  try {
    const { sink: first } = await g.owner(1n)
    await first.begin(at(0))
    await first.storeLoad([progress('shop.a', [1], 1, true)])
    expect((await g.owner(2n)).resume.load).toHaveLength(1)
    await g.sql.query(`DELETE FROM syncline.apply_mark WHERE pipeline = _utf8mb4'${g.pipeline}'`)
    const { resume, sink: second } = await g.owner(3n)
    expect(resume).toEqual({ position: null, batch: 0, unfinished: null, load: [], parked: [] })
    await second.begin(at(5))
    expect((await g.owner(4n)).resume).toMatchObject({ position: at(5), load: [] })
  } finally {
    await g.close()
  }
})

test('without the privileges to make its tables the sink says what is missing', async () => {
  const server = await sharedTarget()
  await f.sql.query(`CREATE USER ${f.database}@'%' IDENTIFIED BY 'pw'`)
  const poor = await createSink(
    () => openConnection({ ...server, user: f.database, password: 'pw' }),
    `${f.pipeline}_poor`,
    { lanes: 1, loadWriters: 0, origin: 'here' },
  )
  await expect(poor.takeOver(1n)).rejects.toMatchObject({ code: 'SYNC-3103' })
  await poor.close()
})

test('an account that may write the tables but not create them is enough once they are there', async () => {
  const server = await sharedTarget()
  const user = `${f.database.slice(-20)}_w`
  await f.sql.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'pw'`)
  await f.sql.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON syncline.* TO ${user}@'%'`)
  await f.sql.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${f.database}.* TO ${user}@'%'`)
  const own = await createSink(
    () => openConnection({ ...server, user, password: 'pw' }),
    `${f.pipeline}_own`,
    {
      lanes: 1,
      loadWriters: 0,
      origin: 'here',
    },
  )
  try {
    await own.takeOver(1n)
    await own.begin(at(0))
    await own.applySmall(header(1), small(work(d, [[4, 'four', 4, 'x']], [[1]])), [])
  } finally {
    await own.close()
  }
})

test('a server with a small max_allowed_packet and one that is read-only', async () => {
  const server: MysqlServer = await startMysql({
    name: 'small packets',
    durable: false,
    extraArgs: ['--max-allowed-packet=1M'],
  })
  const sql = await openConnection(server)
  try {
    await sql.query('CREATE DATABASE own')
    await sql.query('CREATE TABLE own.big (id INT PRIMARY KEY, b LONGBLOB)')
    const big = await destinationOf(sql, 'own', 'big')
    const mine = await createSink(() => openConnection(server), 'small-packets', {
      lanes: 1,
      loadWriters: 0,
      origin: 'here',
    })
    await mine.takeOver(1n)
    await mine.begin(at(0))
    let written = 0
    let rejected = 0
    // Around the limit every size is either written or refused by name: none breaks the connection.
    for (let bytes = 1_048_576 - 700; bytes < 1_048_576; bytes += 20) {
      try {
        await mine.applySmall(
          header(written + 1),
          small(
            work(big, [
              [0, 'a'],
              [bytes, 'b'.repeat(bytes)],
              [1, 'c'],
            ]),
          ),
          [],
        )
        written++
      } catch (error) {
        expect(error).toMatchObject({ code: 'SYNC-3303', details: { table: 'own.big' } })
        expect((error as Error).message).toContain(`id=${bytes}`)
        rejected++
      }
    }
    expect(written).toBeGreaterThan(0)
    expect(rejected).toBeGreaterThan(0)
    expect((await sql.query('SELECT COUNT(*) FROM own.big')).rows).toEqual([[`${written + 2}`]])

    await sql.query('SET GLOBAL super_read_only = ON')
    await expect(
      mine.applySmall(header(written + 1), small(work(big, [[5, 'x']])), []),
    ).rejects.toMatchObject({
      code: 'SYNC-3106',
    })
    await sql.query('SET GLOBAL read_only = OFF')
    await mine.applySmall(header(written + 1), small(work(big, [[5, 'x']])), [])
    await mine.close()
  } finally {
    sql.destroy()
    await server.discard()
  }
})
