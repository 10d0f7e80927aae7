/*
 * Lines of LOAD DATA: whatever bytes a row has, its line gives them back, and its key is the one that the log's rows have.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  createLineCollector,
  isPlain,
  rowOfLine,
  travelsAsText,
} from '../../../src/connectors/mysql/load-lines.ts'
import type { ColumnType } from '../../../src/core/schema.ts'
import { keyOf, type Row, type Value } from '../../../src/core/value.ts'

const int: ColumnType = { kind: 'int', bytes: 4, sql: 'int' }
const wide: ColumnType = { kind: 'int', bytes: 8, sql: 'bigint' }
const bytes: ColumnType = { kind: 'bytes', sql: 'blob' }
const set: ColumnType = { kind: 'set', labels: ['a', 'b\n', '\\N'], charset: 'latin1', sql: 'set' }
const choice: ColumnType = { kind: 'enum', labels: ['N', '\t', 'c'], charset: 'latin1', sql: 'enum' }
const types = [int, bytes, wide, bytes, set, choice]

/** A value as a server sends it. */
function sent(value: Value, type: ColumnType): string {
  if (type.kind === 'enum') return value === 0 ? '' : (type.labels?.[Number(value) - 1] as string)
  if (type.kind === 'set')
    return (type.labels ?? []).filter((_, i) => (BigInt(value as bigint) >> BigInt(i)) & 1n).join(',')
  return String(value)
}

function packet(row: Row): Buffer {
  const parts: Buffer[] = []
  row.forEach((value, i) => {
    if (value === null) {
      parts.push(Buffer.from([0xfb]))
      return
    }
    const text = Buffer.from(sent(value, types[i] as ColumnType), 'latin1')
    if (text.length < 0xfb) parts.push(Buffer.from([text.length]))
    else {
      const length = Buffer.alloc(3)
      length[0] = 0xfc
      length.writeUInt16LE(text.length, 1)
      parts.push(length)
    }
    parts.push(text)
  })
  return Buffer.concat(parts)
}

const special = fc.constantFrom('\\', '\t', '\n', 'N', '\0', '\r', "'", '\xff', 'x')
const byteString = fc.oneof(
  fc.array(special, { maxLength: 12 }).map((parts) => parts.join('')),
  fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array).toString('latin1')),
)
const orNull = (value: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 4, arbitrary: value })
const row: fc.Arbitrary<Row> = fc.tuple(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  orNull(byteString),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  byteString,
  orNull(fc.bigInt({ min: 0n, max: 7n })),
  orNull(fc.nat(3)),
)

test('a line gives back the row, and the collector its key', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 20 }), fc.nat(50), (rows, padding) => {
      // The key is (fourth column, first column).
      const collector = createLineCollector(
        types.map((type, i) => ({
          plain: isPlain(type),
          key: i === 3 ? { place: 0, decoder: 'bytes' } : i === 0 ? { place: 1, decoder: 'number' } : null,
        })),
      )
      for (const one of rows) {
        const received = Buffer.concat([Buffer.alloc(padding, 9), packet(one), Buffer.alloc(padding, 9)])
        collector.take(received, padding, received.length - padding)
        received.fill(0x41)
      }
      const lines = collector.bytes()
      const back = collector.ends.map((end, i) =>
        rowOfLine(lines.subarray(i === 0 ? 0 : collector.ends[i - 1], end), types),
      )
      expect(back).toEqual(rows)
      expect(lines.length).toBe(collector.ends.at(-1) ?? 0)
      expect(collector.keys).toEqual(rows.map((one) => keyOf([one[3] as Value, one[0] as Value], [0, 1])))
      const last = rows.at(-1)
      expect(collector.lastKey()).toEqual(last === undefined ? null : [last[3], last[0]])
    }),
  )
})

test('what could mean something else as text does not travel as text', () => {
  const text = (charset: string): ColumnType => ({ kind: 'text', charset, sql: 'text' })
  expect(travelsAsText(text('gbk'), text('gbk'), false)).toBe(true)
  expect(travelsAsText(text('latin1'), text('utf8mb4'), false)).toBe(false)
  expect(travelsAsText(text('utf16'), text('utf16'), false)).toBe(false)
  expect(travelsAsText(int, bytes, false)).toBe(false)
  expect(travelsAsText(choice, choice, true)).toBe(true)
  expect(travelsAsText(choice, choice, false)).toBe(false)
  const withEmpty: ColumnType = { ...choice, labels: ['a', ''] }
  expect(travelsAsText(withEmpty, withEmpty, true)).toBe(false)
  const json: ColumnType = { kind: 'json', sql: 'json' }
  expect(travelsAsText(json, json, false)).toBe(false)
})
