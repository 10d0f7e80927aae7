/**
 * The rules by which values are told to be equal.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type ComparisonForm, cellsEqual, formOf, isIncomparable } from '../../../src/core/comparison.ts'
import { jsonEqual } from '../../../src/core/json-meaning.ts'
import type { Column, ColumnType } from '../../../src/core/schema.ts'
import { byteStringOf } from '../../../src/core/value.ts'

const types: readonly ColumnType[] = [
  { kind: 'int', bytes: 4, sql: 'int' },
  { kind: 'int', bytes: 8, unsigned: true, sql: 'bigint unsigned' },
  { kind: 'decimal', precision: 10, scale: 2, sql: 'decimal(10,2)' },
  { kind: 'decimal', precision: 65, scale: 30, sql: 'decimal(65,30)' },
  { kind: 'float', sql: 'float' },
  { kind: 'double', sql: 'double' },
  { kind: 'text', charset: 'utf8mb4', collation: 'utf8mb4_bin', sql: 'varchar(9)' },
  { kind: 'text', charset: 'latin1', collation: 'latin1_bin', sql: 'char(9)' },
  { kind: 'bytes', maxBytes: 4, fixed: true, sql: 'binary(4)' },
  { kind: 'bytes', maxBytes: 9, sql: 'varbinary(9)' },
  { kind: 'json', sql: 'json' },
  { kind: 'date', sql: 'date' },
  { kind: 'time', fraction: 3, sql: 'time(3)' },
  { kind: 'datetime', fraction: 6, sql: 'datetime(6)' },
  { kind: 'timestamp', fraction: 0, sql: 'timestamp' },
  { kind: 'year', sql: 'year' },
  { kind: 'bit', maxBytes: 5, sql: 'bit(5)' },
  { kind: 'enum', charset: 'utf8mb4', sql: "enum('a','b')" },
  { kind: 'set', charset: 'utf8mb4', sql: "set('a','b')" },
  { kind: 'geometry', sql: 'point' },
  { kind: 'vector', maxBytes: 12, sql: 'vector(3)' },
]
const columnOf = (type: ColumnType): Column => ({ name: 'c', type, nullable: true, generated: false })
const anyType = fc.constantFrom(...types)

it('a type can always be compared with itself, exactly', () => {
  for (const type of types) {
    const form = formOf(columnOf(type), columnOf(type))
    expect(isIncomparable(form), type.sql).toBe(false)
    expect(cellsEqual(form as ComparisonForm, 'a', 'b'), type.sql).toBe(false)
  }
})

it('the form of a pair does not depend on which end is which, but for the labels of a set', () => {
  fc.assert(
    fc.property(anyType, anyType, (a, b) => {
      const [there, here] = [formOf(columnOf(a), columnOf(b)), formOf(columnOf(b), columnOf(a))]
      expect(isIncomparable(there)).toBe(isIncomparable(here))
      if (!isIncomparable(there) && there.as !== 'set-bits') expect(there).toEqual(here)
    }),
  )
})

it('what cannot be compared says why and what to do', () => {
  fc.assert(
    fc.property(anyType, anyType, (a, b) => {
      const form = formOf(columnOf(a), columnOf(b))
      if (!isIncomparable(form)) return
      expect(form.reason).toContain(a.sql)
      expect(form.remedy).not.toBe('')
    }),
  )
})

it('NULL is equal to NULL alone', () => {
  const forms: ComparisonForm[] = [
    { as: 'double', tolerance: 0.1 },
    { as: 'json', byMeaning: true },
    { as: 'bytes', trim: null },
  ]
  for (const form of forms) {
    expect(cellsEqual(form, null, null)).toBe(true)
    for (const text of ['', '0', 'null', '{}']) {
      expect(cellsEqual(form, null, text)).toBe(false)
      expect(cellsEqual(form, text, null)).toBe(false)
    }
  }
})

it('a tolerance is symmetric, and holds for what is within it alone', () => {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true })
  fc.assert(
    fc.property(number, number, fc.constantFrom(1e-3, 1e-6, 1e-9), (a, b, tolerance) => {
      const form = { as: 'double', tolerance } as const
      const equal = cellsEqual(form, `${a}`, `${b}`)
      expect(cellsEqual(form, `${b}`, `${a}`)).toBe(equal)
      expect(cellsEqual(form, `${a}`, `${a * (1 + tolerance / 2)}`)).toBe(true)
      if (Number.isFinite(a * (1 + 2 * tolerance)) && Math.abs(a) > 1e-300)
        expect(cellsEqual(form, `${a}`, `${a * (1 + 2 * tolerance)}`)).toBe(false)
    }),
  )
})

/** The same document written in another way. */
function rewritten(value: fc.JsonValue): string {
  if (Array.isArray(value)) return `[ ${value.map(rewritten).join(' ,\n')} ]`
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).toReversed()
    return `{ ${members.map(([name, member]) => `${escaped(name)}\t: ${rewritten(member as fc.JsonValue)}`).join(', ')} }`
  }
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 1e15) return `${value}.0`
  return JSON.stringify(value)
}
const escaped = (text: string): string =>
  `"${text.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`

it('JSON is equal by its meaning, however it is written', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (document) => {
      expect(jsonEqual(byteStringOf(JSON.stringify(document)), byteStringOf(rewritten(document)))).toBe(true)
    }),
  )
})

it('JSON that means something else is not equal', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 3 }), (a, b) => {
      const [left, right] = [JSON.stringify(a), JSON.stringify(b)]
      const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
      expect(jsonEqual(byteStringOf(left), byteStringOf(right))).toBe(same)
    }),
  )
})

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return Object.is(value, -0) ? 0 : value
  return [
    'object',
    ...Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  ]
}

it.each([
  ['1', '1.0', true],
  ['1.10', '1.1', true],
  ['100', '1e2', true],
  ['-0', '0', true],
  ['0.1', '0.10000000000000001', false],
  ['12345678901234567890', '12345678901234567891', false],
  ['"1"', '1', false],
  ['{"a":1,"a":2}', '{"a":2}', true],
  ['[1,2]', '[2,1]', false],
  ['{', '{ ', false],
  ['nul', 'null', false],
  ['', ' ', false],
])('%s and %s', (a, b, equal) => {
  expect(jsonEqual(a, b)).toBe(equal)
})
