/*
 * Who may write: takeovers against writers in flight, zombies, lost links and lost answers, on a real server.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Connection } from '../../../src/connectors/mysql/connection.ts'
import { createSink } from '../../../src/connectors/mysql/sink/sink.ts'
import type { Destination } from '../../../src/core/plan.ts'
import { type Proxy, startProxy } from '../../support/proxy.ts'
import { sharedTarget } from '../../support/servers.ts'
import {
  at,
  codeOf,
  header,
  lane,
  openConnection,
  type SinkFixture,
  sinkFixture,
  small,
  work,
} from './sink-support.ts'

let f: SinkFixture
let d: Destination
let proxy: Proxy
let blocker: Connection

beforeEach(async () => {
  f = await sinkFixture('sinktake')
  await f.sql.query(`CREATE TABLE ${f.database}.t (id INT PRIMARY KEY, v INT)`)
  await f.sql.query(`INSERT INTO ${f.database}.t VALUES (1, 0), (2, 0)`)
  d = await f.destination('t')
  const server = await sharedTarget()
  proxy = await startProxy({ targetPort: server.port, targetHost: server.host })
  blocker = await openConnection(server)
})
afterEach(async () => {
  blocker.destroy()
  await f.close()
  await proxy.close()
})

const throughProxy = async () => ({ ...(await sharedTarget()), host: proxy.host, port: proxy.port })

async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (await check()) return
    await sleep(10)
  }
  throw new Error(`never: ${what}`)
}

const count = async (condition: string): Promise<number> =>
  Number((await f.sql.query(`SELECT COUNT(*) FROM ${condition}`)).rows[0]?.[0])

/** Until somebody waits for a lock of the table. */
const waitsFor = (schema: string, table: string) =>
  eventually(
    `a wait for ${table}`,
    async () =>
      (await count(
        `performance_schema.data_locks WHERE OBJECT_SCHEMA = _utf8mb4'${schema}' AND OBJECT_NAME = _utf8mb4'${table}' AND LOCK_STATUS = _utf8mb4'WAITING' AND LOCK_DATA LIKE _utf8mb4'%${schema === 'syncline' ? f.pipeline : ''}%'`,
      )) > 0,
  )

const blockRow = async (id: number): Promise<void> => {
  await blocker.query('BEGIN')
  await blocker.query(`SELECT * FROM ${f.database}.t WHERE id = ${id} FOR UPDATE`)
}

test('a takeover waits for the write in flight and finds it', async () => {
  const old = await f.owner(1n)
  await old.sink.begin(at(0))
  await blockRow(1)
  const writing = old.sink.applySmall(header(1), small(work(d, [[1, 11]])), [])
  await waitsFor(f.database, 't')
  const next = await f.sink()
  const taking = next.takeOver(2n)
  await waitsFor('syncline', 'apply_mark')
  await blocker.query('ROLLBACK')
  await writing
  expect(await taking).toMatchObject({ batch: 1, position: at(1), unfinished: null })
  expect(await f.rows('t')).toEqual([
    ['1', '11'],
    ['2', '0'],
  ])
  expect(await codeOf(old.sink.applySmall(header(2), small(work(d, [[2, 22]])), []))).toBe('SYNC-4002')
  expect(await f.rows('t')).toEqual([
    ['1', '11'],
    ['2', '0'],
  ])
})

test('a predecessor that stays inside its transaction is killed, and nothing of it is written', async () => {
  const old = await f.owner(1n)
  await old.sink.begin(at(0))
  await blockRow(1)
  const writing = codeOf(
    old.sink.applySmall(
      header(1),
      small(
        work(d, [
          [1, 11],
          [2, 22],
        ]),
      ),
      [],
    ),
  )
  await waitsFor(f.database, 't')
  const { resume, sink } = await f.owner(2n)
  expect(resume).toMatchObject({ batch: 0, position: at(0) })
  expect(await writing).toBe('SYNC-3101')
  await blocker.query('ROLLBACK')
  expect(await f.rows('t')).toEqual([
    ['1', '0'],
    ['2', '0'],
  ])
  await sink.applySmall(header(1), small(work(d, [[1, 100]])), [])
})

test.each([
  ['an old epoch', 2n],
  // The same engine after a lost connection: what the lost one still holds must not be written either.
  ['the same epoch', 1n],
])('a write of %s that arrives after the takeover changes nothing', async (_, epoch) => {
  const old = await f.sink(2, await throughProxy())
  await old.takeOver(1n)
  await old.begin(at(0))
  proxy.freeze()
  const late = codeOf(
    old.applySmall(
      header(1),
      small(
        work(d, [
          [1, 11],
          [2, 22],
        ]),
      ),
      [],
    ),
  )
  const { sink } = await f.owner(epoch)
  await sink.applySmall(header(1), small(work(d, [[1, 100]])), [])
  await sink.writeHeader(header(2, 2))
  await sink.applyLane(header(2, 2), 1, 1, lane(work(d, [[3, 300]])))
  proxy.resume()
  expect(await late).toBe('SYNC-4002')
  expect(await codeOf(old.storeLoad([]))).toBe('no error')
  expect(await codeOf(old.writeHeader(header(3, 2)))).toBe('SYNC-4002')
  expect(await codeOf(old.begin(at(9)))).toBe('SYNC-4002')
  expect(await f.rows('t')).toEqual([
    ['1', '100'],
    ['2', '0'],
    ['3', '300'],
  ])
  expect((await f.marks()).map((row) => row.slice(1, 4))).toEqual([
    [`${epoch}`, '2', '0'],
    [`${epoch}`, '2', '1'],
    [`${epoch}`, '0', '0'],
  ])
})

test('an older epoch cannot take over, and leaves the owner undisturbed', async () => {
  const { sink } = await f.owner(9n)
  await sink.begin(at(0))
  const old = await f.sink()
  expect(await codeOf(old.takeOver(8n))).toBe('SYNC-4002')
  await sink.applySmall(header(1), small(work(d, [[1, 1]])), [])
})

test('an older epoch does not wait for the owner either, nor kill it', async () => {
  const { sink } = await f.owner(9n)
  await sink.begin(at(0))
  await blockRow(1)
  const writing = sink.applySmall(header(1), small(work(d, [[1, 11]])), [])
  await waitsFor(f.database, 't')
  expect(await codeOf((await f.sink()).takeOver(8n))).toBe('SYNC-4002')
  await blocker.query('ROLLBACK')
  await writing
})

test('of takeovers at the same time the greatest epoch ends as the only one that writes', async () => {
  const sinks = await Promise.all(
    [3n, 7n, 1n, 9n, 5n].map(async (epoch) => ({ epoch, sink: await f.sink(3) })),
  )
  const outcomes = await Promise.all(
    sinks.map(async ({ epoch, sink }) => ({ epoch, outcome: await codeOf(sink.takeOver(epoch)) })),
  )
  for (const { outcome } of outcomes) expect(['no error', 'SYNC-4002']).toContain(outcome)
  expect(outcomes.find(({ epoch }) => epoch === 9n)?.outcome).toBe('no error')
  let batch = 0
  for (const { epoch, sink } of sinks) {
    if (outcomes.find((o) => o.epoch === epoch)?.outcome !== 'no error') continue
    const wrote = await codeOf(sink.applySmall(header(++batch), small(work(d, [[1, Number(epoch)]])), []))
    expect(wrote).toBe(epoch === 9n ? 'no error' : 'SYNC-4002')
  }
  expect(await f.rows('t')).toEqual([
    ['1', '9'],
    ['2', '0'],
  ])
})

test('a commit whose answer is lost is found by the next takeover', async () => {
  const old = await f.sink(2, await throughProxy())
  await old.takeOver(1n)
  await old.begin(at(0))
  proxy.setLatency({ upMs: 0, downMs: 60_000 })
  const writing = codeOf(old.applySmall(header(1), small(work(d, [[1, 11]])), []))
  await eventually('the commit', async () => (await count(`${f.database}.t WHERE v = 11`)) === 1)
  proxy.cut('rst')
  expect(await writing).toBe('SYNC-3101')
  proxy.setLatency({ upMs: 0, downMs: 0 })
  expect(await old.takeOver(1n)).toMatchObject({ batch: 1, position: at(1) })
  await old.applySmall(header(2), small(work(d, [[2, 22]])), [])
  expect(await f.rows('t')).toEqual([
    ['1', '11'],
    ['2', '22'],
  ])
})

test('a connection killed inside a lane is SYNC-3101, and the lane is not half-written', async () => {
  const { sink } = await f.owner(1n)
  await sink.begin(at(0))
  await sink.writeHeader(header(1, 2))
  await blockRow(2)
  const filler = Array.from({ length: 9000 }, (_, i) => [i + 10, i])
  const writing = codeOf(sink.applyLane(header(1, 2), 2, 1, lane(work(d, [...filler, [2, 22]], [[1]]))))
  await waitsFor(f.database, 't')
  const { rows } = await f.sql.query(
    `SELECT connection_id FROM syncline.apply_mark WHERE pipeline = _utf8mb4'${f.pipeline}' AND slot = 2`,
  )
  await f.sql.query(`KILL ${String(rows[0]?.[0])}`)
  expect(await writing).toBe('SYNC-3101')
  await sink.applyLane(header(1, 2), 1, 1, lane(work(d, [[3, 33]])))
  await blocker.query('ROLLBACK')
  const { resume } = await f.owner(2n)
  expect(resume.unfinished?.confirmed).toEqual([1, 0])
  expect(await f.rows('t')).toEqual([
    ['1', '0'],
    ['2', '0'],
    ['3', '33'],
  ])
})

test('a predecessor that stays inside a lane is killed as well: its connection was named before it wrote', async () => {
  const old = await f.owner(1n)
  await old.sink.begin(at(0))
  await old.sink.writeHeader(header(1, 2))
  await blockRow(2)
  const writing = codeOf(old.sink.applyLane(header(1, 2), 2, 1, lane(work(d, [[2, 22]]))))
  await waitsFor(f.database, 't')
  const { resume } = await f.owner(2n)
  expect(resume.unfinished?.confirmed).toEqual([0, 0])
  expect(await writing).toBe('SYNC-3101')
  await blocker.query('ROLLBACK')
})

test('lanes disconnect when no large batch comes, and connect again with the next', async () => {
  const open = new Set<Connection>()
  const server = await sharedTarget()
  const connect = async () => {
    const connection = await openConnection(server)
    open.add(connection)
    return connection
  }
  const connected = () =>
    [...open].filter((connection) => !connection.isLost).map(({ threadId }) => `${threadId}`)
  const sink = await createSink(connect, f.pipeline, { lanes: 2, loadWriters: 0, origin: 'here' }, 200)
  try {
    await sink.takeOver(1n)
    await sink.begin(at(0))
    await eventually('lanes without connections', async () => connected().length === 1)
    for (const batch of [1, 3]) {
      await sink.writeHeader(header(batch, 2))
      await sink.applyLane(header(batch, 2), 1, 1, lane(work(d, [[1, batch]])))
      await sink.applyLane(header(batch, 2), 2, 1, lane(work(d, [[2, batch]])))
      const named = await f.sql.query(
        `SELECT connection_id FROM syncline.apply_mark WHERE pipeline = _utf8mb4'${f.pipeline}' ORDER BY slot`,
      )
      expect(named.rows.map(([id]) => id)).toEqual(connected())
      await eventually('lanes without connections', async () => connected().length === 1)
      await sink.applySmall(header(batch + 1), small(work(d, [[3, batch]])), [])
    }
    expect(await f.rows('t')).toEqual([
      ['1', '3'],
      ['2', '3'],
      ['3', '3'],
    ])
  } finally {
    await sink.close()
  }
})

test('a deadlock is tried again until it is through', async () => {
  await f.sql.query(`CREATE TABLE ${f.database}.heavy (id INT PRIMARY KEY)`)
  const { sink } = await f.owner(1n)
  await sink.begin(at(0))
  await blockRow(2)
  // The server rolls back the transaction that has changed fewer rows.
  await blocker.query(
    `INSERT INTO ${f.database}.heavy VALUES ${Array.from({ length: 500 }, (_, i) => `(${i})`).join()}`,
  )
  const writing = sink.applySmall(
    header(1),
    small(
      work(d, [
        [1, 11],
        [2, 22],
      ]),
    ),
    [],
  )
  await waitsFor(f.database, 't')
  await blocker.query(`UPDATE ${f.database}.t SET v = 5 WHERE id = 1`)
  await blocker.query('COMMIT')
  await writing
  expect(await f.rows('t')).toEqual([
    ['1', '11'],
    ['2', '22'],
  ])
})

test('a lock that is held for longer than a wait is waited for again', async () => {
  const { sink } = await f.owner(1n)
  await sink.begin(at(0))
  await blockRow(2)
  const writing = sink.applySmall(
    header(1),
    small(
      work(d, [
        [1, 11],
        [2, 22],
      ]),
    ),
    [],
  )
  await sleep(6000)
  await blocker.query('ROLLBACK')
  await writing
  expect(await f.rows('t')).toEqual([
    ['1', '11'],
    ['2', '22'],
  ])
})

test('on a half-open link a write ends with SYNC-3101 and close returns', async () => {
  const sink = await f.sink(2, await throughProxy())
  await sink.takeOver(1n)
  await sink.begin(at(0))
  proxy.halfOpen()
  const writing = codeOf(sink.applySmall(header(1), small(work(d, [[1, 11]])), []))
  expect(await writing).toBe('SYNC-3101')
  await sink.close()
  await sink.close()
  expect(await codeOf(sink.takeOver(1n))).toBe('SYNC-3101')
  expect((await f.owner(1n)).resume).toMatchObject({ batch: 0 })
})

test('closing while a write is under way ends it at once', async () => {
  const { sink } = await f.owner(1n)
  await sink.begin(at(0))
  await blockRow(1)
  const writing = codeOf(sink.applySmall(header(1), small(work(d, [[1, 11]])), []))
  await waitsFor(f.database, 't')
  await sink.close()
  expect(await writing).toBe('SYNC-3101')
})
