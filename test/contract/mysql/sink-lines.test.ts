/**
 * Rows of the log that were not there before, written as lines of LOAD DATA by the lanes of a large batch: exact in every type that travels so,
 * and never in the way of what statements would have done.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import type { Sink } from '../../../src/connectors/contract.ts'
import { createPagePool, PackedPages } from '../../../src/core/packed-pages.ts'
import { PackedRow, type RowForm } from '../../../src/core/packed-row.ts'
import { PackedRows, PackedTable } from '../../../src/core/packed-table.ts'
import type { Destination, TableWork } from '../../../src/core/plan.ts'
import { keyOf, type Row } from '../../../src/core/value.ts'
import { header, lane, type SinkFixture, sinkFixture, work } from './sink-support.ts'

const rowCount = 400
let server: MysqlServer
let f: SinkFixture
let d: Destination
let twin: Destination
let sink: Sink
let batch: number
let epoch = 0n

beforeAll(async () => {
  // Its own, because it counts what the server has run.
  server = await startMysql({ name: 'lines', serverId: 198 })
  f = await sinkFixture('lines', async () => server)
  const columns =
    'id INT PRIMARY KEY, big BIGINT UNSIGNED, price DECIMAL(30,10), word VARCHAR(60) CHARACTER SET utf8mb4, old VARCHAR(60) CHARACTER SET gbk, raw VARBINARY(60), ' +
    'fixed BINARY(4), day DATE, at DATETIME(6), stamp TIMESTAMP(3) NULL, span TIME(2), y YEAR, f FLOAT, d DOUBLE, own INT NOT NULL DEFAULT 7'
  for (const name of ['t', 'twin']) await f.sql.query(`CREATE TABLE ${f.database}.${name} (${columns})`)
  const written = 'id big price word old raw fixed day at stamp span y f d'.split(' ')
  d = await f.destination('t', written)
  twin = await f.destination('twin', written)
})
afterAll(async () => {
  await f.close()
  await server.discard()
})
beforeEach(async () => {
  await f.sql.query(`DELETE FROM ${f.database}.t; DELETE FROM ${f.database}.twin`)
  const owner = await f.owner(++epoch)
  sink = owner.sink
  batch = owner.resume.batch + 1
})

const form: RowForm = {
  read: (bytes, at, length) =>
    JSON.parse(Buffer.from(bytes).toString('latin1', at, at + length), (_, value) =>
      value === '-0'
        ? -0
        : value !== null && typeof value === 'object' && 'big' in value
          ? BigInt(value.big)
          : value,
    ) as Row,
}
const pack = (row: Row): PackedRow =>
  new PackedRow(
    keyOf(row, [0]),
    JSON.stringify(row, (_, value) =>
      Object.is(value, -0) ? '-0' : typeof value === 'bigint' ? { big: `${value}` } : value,
    ),
    form,
  )

/** As a batch keeps them. @param known rows that were there before, as far as the log knows */
function packed(destination: Destination, fresh: readonly Row[], known: readonly Row[] = []): TableWork {
  const table = new PackedTable(new PackedPages(createPagePool()))
  for (const row of fresh) table.add(null, pack(row))
  for (const row of known) table.add(pack(row), pack(row))
  const upserts = new PackedRows(
    table,
    Array.from({ length: table.size }, (_, i) => i),
  )
  return { destination, removals: [], upserts }
}

const write = async (...tables: readonly TableWork[]): Promise<void> => {
  const own = batch++
  await sink.writeHeader(header(own, 2))
  await sink.applyLane(header(own, 2), 1, 1, lane(...tables))
}

/** Statements of LOAD DATA that the server has run. */
const loads = async (): Promise<number> =>
  Number((await f.sql.query("SHOW GLOBAL STATUS LIKE 'Com_load'")).rows[0]?.[1])

const odd = ['\t', '\n', '\\', '\\N', 'N', "'", '\0', '\r\n', '', 'ü'.repeat(3), ' x ', '\x1a']
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1')
const numbered = (i: number): Row => [
  i,
  i % 7 === 0 ? null : 18_446_744_073_709_551_615n - BigInt(i),
  i % 5 === 0 ? null : `-${i}.0000000001`,
  bytesOf(`${odd[i % odd.length]}${i}😀${odd[(i * 7) % odd.length]}`),
  // The second byte of this character of GBK is a backslash.
  `\x95\x5c${odd[i % 9]}`,
  String.fromCharCode(i % 256, 9, 10, 92, (i * 31) % 256),
  `${String.fromCharCode(i % 256)}\0\n\t`,
  i % 3 === 0 ? '0000-00-00' : '2024-02-29',
  `2026-01-02 03:04:05.${`${i}`.padStart(6, '0')}`,
  i % 4 === 0 ? null : '2026-03-29 01:30:00.125',
  '-838:59:59.00',
  i % 2 === 0 ? 0 : 2155,
  Math.fround(i * 1.1),
  i % 11 === 0 ? -0 : i * 1e-300,
]
const rows = Array.from({ length: rowCount }, (_, i) => numbered(i + 1))

const both = async (): Promise<readonly (readonly Row[])[]> => [await f.rows('t'), await f.rows('twin')]

test('rows written as lines are the rows that statements write, byte for byte', async () => {
  const before = await loads()
  await write(packed(d, rows), work(twin, rows))
  const [lines, statements] = await both()
  expect(lines).toEqual(statements)
  expect(lines).toHaveLength(rowCount)
  expect(await loads()).toBe(before + 1)
})

test('rows that were there before are written by statements, beside the lines of the others', async () => {
  await f.sql.query(`INSERT INTO ${f.database}.t (id, own) VALUES (1, 99)`)
  const before = await loads()
  await write(packed(d, rows.slice(1), rows.slice(0, 1)))
  expect(await loads()).toBe(before + 1)
  const found = await f.rows('t', 'id, own')
  expect(found.slice(0, 2)).toEqual([
    ['1', '99'],
    ['2', '7'],
  ])
  expect(found).toHaveLength(rowCount)
})

test('a row that nobody knew of is overwritten as by statements, other columns are left alone, and after some times no more lines are tried', async () => {
  for (let i = 0; i < 5; i++) {
    await f.sql.query(`DELETE FROM ${f.database}.t`)
    await f.sql.query(`INSERT INTO ${f.database}.t (id, own) VALUES (200, 99)`)
    const before = await loads()
    await write(packed(d, rows))
    expect((await loads()) - before).toBe(i < 3 ? 1 : 0)
    const [found] = await f.sql
      .query(`SELECT COUNT(*), SUM(own), SUM(big IS NOT NULL) FROM ${f.database}.t WHERE id = 200`)
      .then(({ rows: [row] }) => [row])
    expect(found).toEqual(['1', '99', '1'])
    expect(await f.rows('t', 'id')).toHaveLength(rowCount)
  }
})

test.each([
  ['a text that is too long', 3, 'x'.repeat(61)],
  ['bytes that are no text in that character set', 3, 'a\xff\xfe'],
  ['a date that is none', 7, '2023-02-30x'],
])('%s is refused with table and key, and nothing is written', async (_, column, value) => {
  const spoiled = rows.map((row, i) => (i === 250 ? row.with(column as number, value as string) : row))
  await expect(write(packed(d, spoiled))).rejects.toMatchObject({
    code: 'SYNC-3302',
    details: { table: `${f.database}.t`, key: 'id=251' },
  })
  expect(await f.rows('t')).toEqual([])
})

test('whoever was taken over writes no line', async () => {
  const own = batch++
  await sink.writeHeader(header(own, 2))
  await f.owner(++epoch)
  const before = await loads()
  await expect(sink.applyLane(header(own, 2), 1, 1, lane(packed(d, rows)))).rejects.toMatchObject({
    code: 'SYNC-4002',
  })
  expect(await f.rows('t')).toEqual([])
  expect(await loads()).toBe(before)
})

test('many files and statements of one transaction are written once, whatever stands between them', async () => {
  const large = Array.from({ length: 14_000 }, (_, i) => numbered(i + 1))
  const before = await loads()
  await write(
    packed(twin, large.slice(0, 7_000), large.slice(7_000)),
    packed(d, large),
    work(twin, large.slice(0, 5)),
  )
  expect((await loads()) - before).toBeGreaterThan(2)
  const [lines, statements] = await both()
  expect(lines).toHaveLength(14_000)
  // As texts, because a comparison of objects takes half a minute.
  expect(statements?.map(String).join('\n') === lines?.map(String).join('\n')).toBe(true)
})
