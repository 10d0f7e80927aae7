/*
 * A large transaction goes as several packets that are sent ahead of the answers: after a refusal, a deadlock or a cut in any of them nothing
 * of those behind it is written; and it is committed only once the header of its batch stands.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Sink } from '../../../src/connectors/contract.ts'
import { SyncError } from '../../../src/core/errors.ts'
import type { Destination } from '../../../src/core/plan.ts'
import type { Row } from '../../../src/core/value.ts'
import { sharedTarget } from '../../support/servers.ts'
import { header, lane, openConnection, type SinkFixture, sinkFixture, work } from './sink-support.ts'

let f: SinkFixture
let d: Destination
let sink: Sink
let batch = 0
let epoch = 0n

/** About 12 packets of a megabyte. */
const rows = Array.from({ length: 12_000 }, (_, i): Row => [i + 1, `code ${i + 1}`, 'x'.repeat(1_000)])

beforeAll(async () => {
  f = await sinkFixture('sinkpackets')
  await f.sql.query(
    `CREATE TABLE ${f.database}.t (id INT PRIMARY KEY, code VARCHAR(20) CHARACTER SET utf8mb4, body VARCHAR(1000) CHARACTER SET latin1, UNIQUE KEY code_is_unique (code))`,
  )
  d = await f.destination('t')
})
afterAll(() => f.close())
beforeEach(async () => {
  await f.sql.query(`DELETE FROM ${f.database}.t`)
  const owner = await f.owner(++epoch)
  sink = owner.sink
  batch = owner.resume.batch + 1
})

const count = async (): Promise<string> => {
  const { rows: found } = await f.sql.query(`SELECT COUNT(*), COALESCE(SUM(id), 0) FROM ${f.database}.t`)
  return `${String(found[0]?.[0])} ${String(found[0]?.[1])}`
}
const all = `12000 ${(12_000 * 12_001) / 2}`

const write = async (changed: readonly Row[]): Promise<void> => {
  await sink.writeHeader(header(batch, 2))
  await sink.applyLane(header(batch, 2), 1, 1, lane(work(d, changed)))
}
const refusal = async (writing: Promise<void>): Promise<SyncError> => {
  try {
    await writing
  } catch (error) {
    return error as SyncError
  }
  throw new Error('it was not refused')
}

test('all of many packets are written, once', async () => {
  await write(rows)
  expect(await count()).toBe(all)
})

test.each([
  ['first', 3],
  ['middle', 6_000],
  ['last', 11_999],
])('a row that is refused in the %s packet: nothing is written, and the row is named', async (_, at) => {
  await f.sql.query(`INSERT INTO ${f.database}.t VALUES (1000000, 'code ${at + 1}', 'of somebody else')`)
  const error = await refusal(write(rows))
  expect(error.code).toBe('SYNC-3301')
  expect(error.details['key']).toBe(`id=${at + 1}`)
  expect(await count()).toBe('1 1000000')
  await f.sql.query(`DELETE FROM ${f.database}.t`)
  await sink.applyLane(header(batch, 2), 1, 1, lane(work(d, rows)))
  expect(await count()).toBe(all)
})

test('a deadlock in the middle is tried again from the first packet', async () => {
  await f.sql.query(`INSERT INTO ${f.database}.t VALUES (6000, 'code 6000', 'a'), (13000, 'code 13000', 'b')`)
  const other = await openConnection(await sharedTarget())
  try {
    // The other one has changed more rows than the lane, so that the server gives the lane up.
    await other.query('BEGIN')
    await other.query(
      `INSERT INTO ${f.database}.t WITH RECURSIVE n (i) AS (SELECT 100001 UNION ALL SELECT i + 1 FROM n WHERE i < 101000) SELECT i, CONCAT('other ', i), 'o' FROM n`,
    )
    await other.query(`UPDATE ${f.database}.t SET body = 'held' WHERE id = 6000`)
    const writing = write(rows)
    writing.catch(() => {})
    for (let look = 0; look < 200; look++) {
      const { rows: waiting } = await f.sql.query(
        "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'",
      )
      if (waiting[0]?.[0] !== '0') break
      await sleep(20)
    }
    await other.query(`UPDATE ${f.database}.t SET body = 'b2' WHERE id = 1 OR id = 2`).catch(() => undefined)
    await other.query('ROLLBACK')
    await writing
  } finally {
    await other.close()
  }
  expect(await count()).toBe(`12001 ${(12_000 * 12_001) / 2 + 13_000}`)
})

test('a connection that is cut among the packets leaves nothing behind', async () => {
  await sink.writeHeader(header(batch, 2))
  const other = await openConnection(await sharedTarget())
  await other.query('BEGIN')
  await other.query(`INSERT INTO ${f.database}.t VALUES (6000, 'code 6000', 'held')`)
  const writing = refusal(sink.applyLane(header(batch, 2), 1, 1, lane(work(d, rows))))
  // The lane connects, and says so, before it writes.
  await sleep(300)
  const { rows: marks } = await f.sql.query(
    `SELECT connection_id FROM syncline.apply_mark WHERE pipeline = _utf8mb4'${f.pipeline}' AND slot = 1`,
  )
  await f.sql.query(`KILL ${String(marks[0]?.[0])}`)
  expect((await writing).code).toBe('SYNC-3101')
  await other.query('ROLLBACK')
  await other.close()
  expect(await count()).toBe('0 0')
  const next = await f.owner(++epoch)
  expect(next.resume.unfinished).toMatchObject({ batch, confirmed: [0, 0] })
})

test.each([
  ['small', rows.slice(0, 10)],
  ['large', rows],
])('a %s lane that runs beside its header commits after it', async (_, changed) => {
  const stands = Promise.withResolvers<void>()
  let done = false
  const writing = sink.applyLane(header(batch, 2), 1, 1, lane(work(d, changed)), stands.promise).then(() => {
    done = true
  })
  await sleep(1_000)
  expect(done).toBe(false)
  expect(await count()).toBe('0 0')
  await sink.writeHeader(header(batch, 2))
  stands.resolve()
  await writing
  expect((await count()).split(' ')[0]).toBe(String(changed.length))
})

test('a lane whose header was not written is taken back', async () => {
  const stands = Promise.reject(new SyncError('SYNC-3101', 'the header was lost'))
  const error = await refusal(sink.applyLane(header(batch, 2), 1, 1, lane(work(d, rows)), stands))
  expect(error.code).toBe('SYNC-3101')
  expect(await count()).toBe('0 0')
})
