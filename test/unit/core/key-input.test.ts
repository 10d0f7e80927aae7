import { expect, it } from 'vitest'
import { keyFromTexts } from '../../../src/core/key-input.ts'
import { keyText, readKeyText } from '../../../src/core/key-text.ts'
import type { ColumnType, TableShape } from '../../../src/core/schema.ts'

const tableOf = (...types: ColumnType[]): TableShape => ({
  id: { schema: 'shop', name: 'orders' },
  columns: types.map((type, i) => ({ name: `k${i}`, type, nullable: false, generated: false })),
  primaryKey: { name: 'PRIMARY', ordinals: types.map((_, i) => i), comparesBytes: true },
  uniqueKeys: [],
})
const one = (type: ColumnType, text: string) => keyFromTexts(tableOf(type), [text])[0]

const int: ColumnType = { kind: 'int', bytes: 4, sql: 'int' }
const bigint: ColumnType = { kind: 'int', bytes: 8, unsigned: true, sql: 'bigint unsigned' }
const decimal: ColumnType = { kind: 'decimal', precision: 6, scale: 2, sql: 'decimal(6,2)' }
const text: ColumnType = { kind: 'text', charset: 'latin1', sql: 'varchar(20)' }

it('values by type', () => {
  expect(one(int, '-2147483648')).toBe(-2147483648)
  expect(one(bigint, '18446744073709551615')).toBe(18446744073709551615n)
  expect(one(decimal, '-1234.5')).toBe('-1234.5')
  expect(one(text, 'Größe')).toBe('Gr\u00f6\u00dfe')
  expect(one({ kind: 'text', charset: 'utf8mb4', sql: 'varchar(20)' }, '😀')).toBe('\u00f0\u009f\u0098\u0080')
  expect(one({ kind: 'bytes', maxBytes: 4, fixed: true, sql: 'binary(4)' }, '0x0aFF')).toBe('\n\u00ff\0\0')
  expect(one({ kind: 'datetime', fraction: 3, sql: 'datetime(3)' }, '2024-12-31T23:59:59.5')).toBe(
    '2024-12-31 23:59:59.5',
  )
  expect(one({ kind: 'timestamp', fraction: 0, sql: 'timestamp' }, '2024-12-31')).toBe('2024-12-31 00:00:00')
  expect(one({ kind: 'enum', charset: 'utf8mb4', sql: "enum('a','it''s')" }, "it's")).toBe(2)
})

it('the first columns of a key are enough', () => {
  expect(keyFromTexts(tableOf(int, text), ['5'])).toEqual([5])
})

it.each<[ColumnType, string]>([
  [int, '2147483648'],
  [int, '1.5'],
  [int, ''],
  [int, '0x10'],
  [bigint, '-1'],
  [decimal, '12345.6'],
  [decimal, '1e3'],
  [text, 'Ω'],
  [{ kind: 'date', sql: 'date' }, 'yesterday'],
  [{ kind: 'bytes', maxBytes: 9, sql: 'varbinary(9)' }, 'abc'],
  [{ kind: 'bit', maxBytes: 4, sql: 'bit(4)' }, '16'],
  [{ kind: 'enum', charset: 'utf8mb4', sql: "enum('a')" }, 'b'],
])('%o does not take %s', (type, wrong) => {
  expect(() => one(type, wrong)).toThrow(
    expect.objectContaining({ code: 'SYNC-5102', message: expect.stringContaining('shop.orders.k0') }),
  )
})

it('too many values, or none', () => {
  expect(() => keyFromTexts(tableOf(int), ['1', '2'])).toThrow(expect.objectContaining({ code: 'SYNC-5102' }))
  expect(() => keyFromTexts(tableOf(int), [])).toThrow(expect.objectContaining({ code: 'SYNC-5102' }))
})

it('keys become text and come back as they were', () => {
  const key = [null, -5, 18446744073709551615n, '', 's', 'i5', '\0"\\\u00ff\u0080', 1.5]
  expect(readKeyText(keyText(key))).toEqual(key)
  expect(keyText(key)).toMatch(/^[\x20-\x7e]*$/)
  expect(() => readKeyText('{"a":1}')).toThrow(expect.objectContaining({ code: 'SYNC-9001' }))
})
