/*
 * The sink on MariaDB, where its statements are other ones than on MySQL: upserts and their guard, removals by keys of several columns, values that
 * strict mode refuses, load progress, and the fence.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Row } from '../../../src/core/value.ts'
import { sharedMariadbTarget } from '../../support/servers.ts'
import { at, codeOf, header, progress, type SinkFixture, sinkFixture, small, work } from './sink-support.ts'

let f: SinkFixture
let epoch = 0n
beforeAll(async () => {
  f = await sinkFixture('sinkmaria', sharedMariadbTarget)
  await f.sql.query(
    `CREATE TABLE ${f.database}.t (id INT PRIMARY KEY, code VARCHAR(20) CHARACTER SET utf8mb4 NULL, kind ENUM('a','b') NOT NULL, d DOUBLE, UNIQUE KEY code_is_unique (code))`,
  )
  await f.sql.query(
    `CREATE TABLE ${f.database}.pairs (a INT, b VARCHAR(9) CHARACTER SET utf8mb4, n INT, PRIMARY KEY (a, b))`,
  )
})
afterAll(() => f?.close())

async function apply(table: string, upserts: readonly Row[], removals: readonly Row[] = []): Promise<void> {
  const destination = await f.destination(table)
  const { sink, resume } = await f.owner(++epoch)
  try {
    const load = [progress('s.t', [5n], 3)]
    await sink.applySmall(header(resume.batch + 1), small(work(destination, upserts, removals)), load)
  } finally {
    await sink.close()
  }
}

test('rows are inserted, replaced and removed, and values stay what they are', async () => {
  await apply('t', [
    [1, 'one', 1, -0],
    [2, 'two', 2, 1e21],
    [3, null, 0, 5e-324],
  ])
  await apply('t', [[2, 'zwei', 1, 0.1]], [[1]])
  expect(await f.rows('t', 'id, code, kind + 0, d')).toEqual([
    ['2', 'zwei', '1', '0.1'],
    ['3', null, '0', '5e-324'],
  ])
})

test('a row that another one stands in the way of is refused, and nothing is written', async () => {
  const before = await f.rows('t')
  expect(
    await codeOf(
      apply('t', [
        [4, 'four', 1, 1],
        [5, 'ZWEI', 1, 1],
      ]),
    ),
  ).toBe('SYNC-3301')
  expect(await codeOf(apply('t', [[3, 'zwei', 1, 1]]))).toBe('SYNC-3301')
  expect(await f.rows('t')).toEqual(before)
})

test('keys of several columns are found by the index, one or many', async () => {
  const rows = Array.from({ length: 3000 }, (_, i): Row => [i % 100, `k${i}`, i])
  await apply('pairs', rows)
  await apply('pairs', [[7, 'K7', -7]], [[0, 'k0'], ...rows.slice(1000, 2500).map(([a, b]) => [a, b] as Row)])
  const [left] = await f.rows('pairs', "COUNT(*), SUM(n < 0), SUM(b = BINARY 'K7')")
  expect(left).toEqual(['1499', '1', '1'])
  await apply('pairs', [], [[1, 'k1']])
  const plan = await f.sql.query(`EXPLAIN DELETE FROM ${f.database}.pairs WHERE (a=1 AND b=_utf8mb4'k1')`)
  expect(plan.rows[0]?.[plan.columns.indexOf('type')]).toBe('range')
})

test('load progress is stored with the rows, and an older epoch writes nothing', async () => {
  const { sink: older } = await f.owner(++epoch)
  const { sink: newer, resume } = await f.owner(++epoch)
  expect(resume.load).toMatchObject([{ table: 's.t', after: [5n], rows: 3, done: false }])
  const destination = await f.destination('t')
  const write = small(work(destination, [[9, 'nine', 1, 1]]))
  expect(await codeOf(older.applySmall(header(resume.batch + 1), write, []))).toBe('SYNC-4002')
  expect(await codeOf(older.begin(at(1)))).toBe('SYNC-4002')
  expect(await f.rows('t', 'SUM(id = 9)')).toEqual([['0']])
  await newer.applySmall(header(resume.batch + 1), write, [])
  expect(await f.rows('t', 'SUM(id = 9)')).toEqual([['1']])
})

test('a table is parked with its dead letters, parked again, emptied and released', async () => {
  const id = { schema: 's', name: 'pärchen' }
  const table = {
    table: id,
    parking: 'one',
    since: at(7),
    code: 'SYNC-3302',
    message: 'größer',
    remedy: 'ALTER',
  }
  const { sink, resume } = await f.owner(++epoch)
  const destination = await f.destination('pairs')
  await sink.applySmall(header(resume.batch + 1), small(work(destination, [[500, 'x', 1]])), [])
  const letter = {
    key: '1',
    before: null,
    after: '{"a": 1}',
    code: 'SYNC-3302',
    message: 'größer',
    from: at(7),
    to: at(8),
  }
  await sink.quarantine.park(table, [letter])
  await sink.quarantine.park({ ...table, parking: 'two' }, [letter, letter])
  await sink.close()

  const next = await f.owner(++epoch)
  expect(next.resume.parked).toEqual([
    { ...table, parking: 'two', deadLetters: 2, parkedAtMs: expect.any(Number) as number },
  ])
  while ((await next.sink.quarantine.sweep(destination.id, 1_000)) === false);
  expect(await f.rows('pairs', 'COUNT(*)')).toEqual([['0']])
  await next.sink.quarantine.release(id)
  expect((await f.owner(++epoch)).resume.parked).toEqual([])
})
