/** Lines of rows that the log brought: read back, they are the rows; what cannot travel as a line does not. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rowOfLine } from '../../../src/connectors/mysql/load-lines.ts'
import { lineSql } from '../../../src/connectors/mysql/sink/line-text.ts'
import type { Destination } from '../../../src/core/plan.ts'
import type { ColumnType } from '../../../src/core/schema.ts'

const destination = (types: readonly ColumnType[], there: readonly ColumnType[] = types): Destination => ({
  id: { schema: 's', name: 't' },
  columns: there.map((type, i) => ({ name: `c${i}`, type, nullable: true, generated: false })),
  valueTypes: types,
  key: { name: 'PRIMARY', ordinals: [0], comparesBytes: true },
  uniqueKeys: [],
})

const int: ColumnType = { kind: 'int', bytes: 4, sql: 'int' }
const big: ColumnType = { kind: 'int', bytes: 8, unsigned: true, sql: 'bigint unsigned' }
const text: ColumnType = { kind: 'text', charset: 'utf8mb4', sql: 'text' }
const bytes: ColumnType = { kind: 'bytes', sql: 'blob' }
const double: ColumnType = { kind: 'double', sql: 'double' }
const decimal: ColumnType = { kind: 'decimal', precision: 20, scale: 2, sql: 'decimal(20,2)' }
const year: ColumnType = { kind: 'year', sql: 'year' }
const datetime: ColumnType = { kind: 'datetime', fraction: 3, sql: 'datetime(3)' }

const byteString = fc
  .array(fc.oneof(fc.constantFrom(9, 10, 13, 0, 92, 39, 78), fc.nat(255)), { maxLength: 30 })
  .map((codes) => String.fromCharCode(...codes))
const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { freq: 5 })

test('each line, read back, is its row', () => {
  const sql = lineSql(destination([int, big, text, bytes, double, decimal, datetime, year]))
  const row = fc.tuple(
    fc.integer(),
    orNull(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    orNull(byteString),
    orNull(byteString),
    orNull(fc.double({ noNaN: true, noDefaultInfinity: true })),
    orNull(fc.constantFrom('0.00', '-123456789012345678.90')),
    orNull(fc.constantFrom('2026-01-02 03:04:05.678', '0000-00-00 00:00:00.000')),
    orNull(fc.constantFrom(0, 1901, 2155)),
  )
  fc.assert(
    fc.property(row, (values) => {
      const line = Buffer.from(sql?.lineText(values) ?? '', 'latin1')
      expect(rowOfLine(line, [int, big, text, bytes, double, decimal, datetime, year])).toEqual(values)
    }),
    { numRuns: 2_000 },
  )
})

test.each<[string, ColumnType, ColumnType?]>([
  ['labels', { kind: 'enum', labels: ['a'], charset: 'utf8mb4', sql: "enum('a')" }],
  ['bits', { kind: 'bit', maxBytes: 3, sql: 'bit(3)' }],
  ['documents', { kind: 'json', sql: 'json' }],
  ['characters of two bytes at least', { kind: 'text', charset: 'utf16', sql: 'text' }],
  ['another character set at the target', text, { kind: 'text', charset: 'latin1', sql: 'text' }],
  ['another kind at the target', int, text],
])('%s do not travel as lines', (_, type, there = type) => {
  expect(lineSql(destination([int, type], [int, there]))).toBeNull()
})
