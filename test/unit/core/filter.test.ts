import { describe, expect, it } from 'vitest'
import { SyncError } from '../../../src/core/errors.ts'
import { compileFilter, parseFilter } from '../../../src/core/filter.ts'
import type { ColumnType } from '../../../src/core/schema.ts'
import { byteStringOf, type Value } from '../../../src/core/value.ts'
import { column, shape } from './shapes.ts'

const types: Record<string, ColumnType> = {
  i: { kind: 'int', bytes: 4, sql: 'int' },
  big: { kind: 'int', bytes: 8, unsigned: true, sql: 'bigint unsigned' },
  n: { kind: 'decimal', precision: 10, scale: 2, sql: 'decimal(10,2)' },
  f: { kind: 'double', sql: 'double' },
  t: { kind: 'text', charset: 'utf8mb4', sql: 'varchar(20)' },
  l1: { kind: 'text', charset: 'latin1', sql: 'varchar(20)' },
  g: { kind: 'text', charset: 'gbk', sql: 'varchar(20)' },
  b: { kind: 'bytes', fixed: true, maxBytes: 4, sql: 'binary(4)' },
  d: { kind: 'date', sql: 'date' },
  dt: { kind: 'datetime', fraction: 3, sql: 'datetime(3)' },
  tm: { kind: 'time', fraction: 0, sql: 'time' },
  e: {
    kind: 'enum',
    charset: 'utf8mb4',
    labels: ['new', 'paid', byteStringOf('größer')],
    sql: "enum('new',...)",
  },
  s: { kind: 'set', charset: 'utf8mb4', labels: ['a', 'b', 'c'], sql: "set('a','b','c')" },
  j: { kind: 'json', sql: 'json' },
  bit: { kind: 'bit', maxBytes: 5, sql: 'bit(5)' },
  y: { kind: 'year', sql: 'year' },
  ['odd `name`']: { kind: 'int', bytes: 4, sql: 'int' },
}
const names = Object.keys(types)
const table = shape('t', [
  ...names.map((name) => column(name, types[name] as ColumnType)),
  { ...column('computed'), generated: true },
])
const row = (values: Record<string, Value>): Value[] => [...names.map((name) => values[name] ?? null), null]
const compile = (text: string) => compileFilter(parseFilter(text), table)
const matches = (text: string, values: Record<string, Value>) => compile(text).matches(row(values))

function refusal(text: string): SyncError {
  try {
    compile(text)
  } catch (error) {
    if (error instanceof SyncError) return error
    throw error
  }
  throw new Error(`not refused: ${text}`)
}

describe('row filter: logic', () => {
  it('binds NOT before AND before OR', () => {
    const text = 'NOT i = 1 AND big = 2 OR n = 3'
    expect(matches(text, { i: 1, big: 2n, n: '3.00' })).toBe(true)
    expect(matches(text, { i: 2, big: 2n, n: '4.00' })).toBe(true)
    expect(matches(text, { i: 2, big: 3n, n: '4.00' })).toBe(false)
    expect(matches('i = 1 AND (big = 2 OR n = 3)', { i: 2, big: 2n, n: '3.00' })).toBe(false)
  })

  it.each([
    ['i = 1', false],
    ['NOT i = 1', false],
    ['i = 1 OR big = 1', true],
    ['i = 1 AND big = 2 OR NOT (i = 1 AND big = 2)', true],
    ['NOT (i = 1 AND big = 1)', false],
    ['NOT (i = 1 OR big = 2)', false],
    ['i IN (1, 2)', false],
    ['i NOT IN (1, 2)', false],
    ['i BETWEEN 1 AND 2', false],
    ['i NOT BETWEEN 1 AND 2', false],
    ['i IS NULL', true],
    ['i IS NOT NULL', false],
  ])('treats NULL as unknown: %s is %s where i is NULL and big is 1', (text, wanted) => {
    expect(matches(text, { big: 1n })).toBe(wanted)
  })
})

describe('row filter: values', () => {
  it.each([
    ['i = 5.0', { i: 5 }, true],
    ['i < 5.5', { i: 5 }, true],
    ['i > -0.5', { i: 0 }, true],
    ['i = TRUE', { i: 1 }, true],
    ['big = 18446744073709551615', { big: 18446744073709551615n }, true],
    ['big > 9007199254740992', { big: 9007199254740993n }, true],
    ['big >= 18446744073709551615.5', { big: 18446744073709551615n }, false],
    ['n = 12.5', { n: '12.50' }, true],
    ['n = 12.500', { n: '12.50' }, true],
    ['n < 12.501', { n: '12.50' }, true],
    ['n > -0.01', { n: '-0.02' }, false],
    ['n BETWEEN -1 AND +1', { n: '-0.99' }, true],
    ['f > 0.1', { f: 0.1 }, false],
    ['f >= 0.1', { f: 0.1 }, true],
    ["t = 'a'", { t: 'A' }, false],
    ["t = 'a'", { t: 'a ' }, false],
    ["t = 'it''s'", { t: "it's" }, true],
    ["t = 'größer'", { t: byteStringOf('größer') }, true],
    ["t > 'Z'", { t: 'a' }, true],
    ["t = ''", { t: '' }, true],
    ["l1 = 'gr\u00f6\u00dfer \u20ac'", { l1: 'gr\u00f6\u00dfer \u0080' }, true],
    ["g = 'abc'", { g: 'abc' }, true],
    ["g = x'c4e3'", { g: '\u00c4\u00e3' }, true],
    ["b = x'00ff'", { b: '\0\u00ff\0\0' }, true],
    ["d >= '2024-02-29'", { d: '2024-03-01' }, true],
    ["d < '0001-01-01'", { d: '0000-00-00' }, true],
    ["dt = '2024-01-01'", { dt: '2024-01-01 00:00:00.000' }, true],
    ["dt < '2024-01-01T00:00:00.5'", { dt: '2024-01-01 00:00:00.499' }, true],
    ["tm < '-1:00:00'", { tm: '-100:00:00' }, true],
    ["tm > '99:59:59'", { tm: '100:00:00' }, true],
    ["e = 'paid'", { e: 2 }, true],
    ["e IN ('new', 'größer')", { e: 3 }, true],
    ["e != 'paid'", { e: 0 }, true],
    ["s = 'c,a'", { s: 5n }, true],
    ["s = ''", { s: 0n }, true],
    ['bit = 17', { bit: 17n }, true],
    ['y > 1999', { y: 2000 }, true],
    ['I = 1', { i: 1 }, true],
    ['`odd ``name``` = 1', { 'odd `name`': 1 }, true],
  ] as [string, Record<string, Value>, boolean][])('%s for %o is %s', (text, values, wanted) => {
    expect(matches(text, values)).toBe(wanted)
  })

  it('writes SQL that does not depend on collations, session settings or rewriting', () => {
    expect(compile("t = 'ä' OR i BETWEEN 1 AND 2 AND NOT e IN ('paid') AND d IS NULL").sql).toBe(
      "((CAST(`t` AS BINARY) = x'c3a4') OR (((`i` >= 1) AND (`i` <= 2)) AND (NOT (CAST(`e` AS UNSIGNED) = 2)) AND (CAST(`d` AS BINARY) IS NULL)))",
    )
    expect(compile('`odd ``name``` = -1').sql).toBe('(`odd ``name``` = -1)')
  })
})

describe('row filter: refusals', () => {
  it.each([
    ['', 1, /expected a column, found the end/],
    ['i', 2, /expected a comparison/],
    ['i =', 4, /expected a literal, found the end/],
    ['i = NULL', 5, /expected a literal, found NULL/],
    ['i = big', 5, /expected a literal/],
    ['5 < i', 1, /expected a column/],
    ['i = 1 i = 2', 7, /expected AND, OR or the end/],
    ['(i = 1', 7, /expected '\)'/],
    ['i IN ()', 7, /expected a literal/],
    ['i IN (1, NULL)', 10, /found NULL/],
    ['i IS 5', 6, /expected NULL/],
    ["t = 'open", 5, /closing quote/],
    ['t = "x"', 5, /double quotes/],
    ['i = 1e5', 5, /number goes on/],
    ['i = 1.2.3', 5, /number goes on/],
    ["b = x'0'", 5, /odd number/],
    ['i ~ 5', 3, /~ has no meaning/],
    ['nope = 1', 1, /no column nope/],
    ['computed = 1', 1, /generated/],
    ["i = '5'", 5, /compares with a number/],
    ['t = 5', 5, /compares with a text/],
    ["g = '\u4f60'", 5, /no certain bytes/],
    ['f = 0.1', 1, /floating point/],
    ['f IN (1)', 1, /floating point/],
    ['j = 1', 1, /only IS NULL/],
    ["e < 'paid'", 1, /no order/],
    ["e = 'PAID'", 5, /no label 'PAID'/],
    ["s = 'a,z'", 5, /no label 'z'/],
    ["d = '2024-1-1'", 5, /YYYY-MM-DD/],
    ["dt = '2024-01-01 00:00:00.0001'", 6, /at most 3 digits/],
    ["tm = '839:00:00'", 6, /838:59:59/],
    [`n = ${'1'.repeat(66)}`, 5, /65 digits/],
    [`${'('.repeat(200)}i = 1`, 101, /nested deeper/],
  ])('%s: at column %i', (text, at, message) => {
    const error = refusal(text)
    expect(error.code).toBe('SYNC-1006')
    expect(error.message).toMatch(message)
    expect(error.details).toEqual({ column: at })
    expect(error.remedy.length).toBeGreaterThan(10)
  })

  it('says what to write instead', () => {
    expect(refusal('i = NULL').remedy).toMatch(/IS NULL/)
    expect(refusal('i').remedy).toMatch(/= TRUE/)
  })
})
