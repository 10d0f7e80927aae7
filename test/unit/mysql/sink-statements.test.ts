/*
 * Statements of a plan: their order and bounds, labels where places differ, and names that need quotes.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { columnWriter, placesAgree } from '../../../src/connectors/mysql/sink/column-writer.ts'
import {
  createStatementBuilder,
  maxRemovalKeys,
  maxStatementBytes,
  maxUpsertRows,
} from '../../../src/connectors/mysql/sink/statements.ts'
import { writeDialects } from '../../../src/connectors/mysql/sink/write-dialect.ts'
import type { Destination, LaneWork } from '../../../src/core/plan.ts'
import type { Column, ColumnType } from '../../../src/core/schema.ts'
import type { Row } from '../../../src/core/value.ts'

const int: ColumnType = { kind: 'int', bytes: 4, sql: 'int' }
const bytes: ColumnType = { kind: 'bytes', maxBytes: 1 << 24, sql: 'longblob' }
const column = (name: string, type: ColumnType, nullable = true): Column => ({
  name,
  type,
  nullable,
  generated: false,
})

function destination(name: string, columns: readonly Column[], key: readonly number[] = [0]): Destination {
  return {
    id: { schema: 'shop', name },
    columns,
    valueTypes: columns.map(({ type }) => type),
    key: { name: 'PRIMARY', ordinals: key, comparesBytes: true },
    uniqueKeys: [],
  }
}

const a = destination('a', [column('id', int), column('v', bytes)])
const b = destination('b', [column('id', int), column('v', bytes)])
const limits = { maxPacketBytes: 64 << 20, dialect: writeDialects.mysql }

test('all removals come before all upserts, each row once, upserts in the order of keys, within the bounds', () => {
  const blob = fc.nat({ max: 400_000 }).map((length) => 'x'.repeat(length))
  const some = fc.oneof(
    { weight: 4, arbitrary: fc.array(fc.tuple(fc.integer(), blob), { maxLength: 20 }) },
    {
      weight: 1,
      arbitrary: fc
        .nat({ max: 5000 })
        .map((n): [number, string][] => Array.from({ length: n }, (_, i) => [i, ''])),
    },
  )
  fc.assert(
    fc.property(some, some, (upserts, removals) => {
      const keys = removals.map(([id]) => [id])
      const works: LaneWork[] = [
        { tables: [{ destination: a, removals: keys, upserts }] },
        { tables: [{ destination: b, removals: keys, upserts }] },
      ]
      const made = [...createStatementBuilder(limits).statements(works)]
      const kinds = made.map(({ kind }) => kind)
      expect(kinds).toEqual([...kinds].sort())
      for (const table of [a, b]) {
        const of = (kind: string): Row[] =>
          made.filter((s) => s.destination === table && s.kind === kind).flatMap((s) => [...s.rows])
        expect(of('upsert')).toEqual(upserts.toSorted(([x], [y]) => x - y))
        expect(of('removal')).toEqual(keys)
      }
      for (const { sql, kind, rows } of made) {
        expect(rows.length).toBeGreaterThan(0)
        expect(rows.length).toBeLessThanOrEqual(kind === 'upsert' ? maxUpsertRows : maxRemovalKeys)
        if (rows.length > 1) expect(sql.length).toBeLessThanOrEqual(maxStatementBytes)
        expect(sql.startsWith(kind === 'upsert' ? 'INSERT INTO' : 'DELETE')).toBe(true)
      }
    }),
    { numRuns: 40 },
  )
})

test('a row beyond what the server accepts is refused with its table, key and size', () => {
  const make = createStatementBuilder({ maxPacketBytes: 10_000, dialect: writeDialects.mysql })
  const rows: Row[] = [
    [1, 'x'],
    [2, 'y'.repeat(20_000)],
  ]
  expect(() => [...make.statements([{ tables: [{ destination: a, removals: [], upserts: rows }] }])]).toThrow(
    /a row of shop\.a \(id=2\) takes \d+ bytes/,
  )
})

test('names of every kind are quoted, in UTF-8 bytes', () => {
  const odd = destination('o`d d', [column('größe`', int), column("it's", int)], [0, 1])
  const [removal, upsert] = [
    ...createStatementBuilder(limits).statements([
      { tables: [{ destination: odd, removals: [[1, 2]], upserts: [[3, 4]] }] },
    ]),
  ]
  expect(removal?.sql).toBe(
    "DELETE /*+ INDEX(`o``d d` `PRIMARY`) */ FROM `shop`.`o``d d` WHERE (`gr\xc3\xb6\xc3\x9fe```,`it's`) IN ((1,2))",
  )
  expect(upsert?.sql).toContain(
    "INSERT INTO `shop`.`o``d d` (`gr\xc3\xb6\xc3\x9fe```,`it's`) VALUES (3,4) AS ",
  )
})

const labelled = (kind: 'enum' | 'set', labels: readonly string[], charset = 'utf8mb4'): ColumnType => ({
  kind,
  labels,
  charset,
  sql: kind,
})

test('labels are written by place where the places agree, otherwise by name', () => {
  const ab = labelled('enum', ['a', 'b'])
  expect(placesAgree(ab, labelled('enum', ['a', 'b', 'c']))).toBe(true)
  expect(placesAgree(ab, labelled('enum', ['a', 'b'], 'latin1'))).toBe(true)
  expect(placesAgree(ab, labelled('enum', ['b', 'a']))).toBe(false)
  expect(placesAgree(ab, labelled('enum', ['a']))).toBe(false)
  expect(placesAgree(ab, labelled('set', ['a', 'b']))).toBe(false)
  // The same bytes are other letters in another character set.
  expect(placesAgree(labelled('enum', ['\xe4'], 'latin1'), labelled('enum', ['\xe4'], 'cp1251'))).toBe(false)
  expect(columnWriter(ab, ab)(2)).toBe('2')
  const moved = columnWriter(ab, labelled('enum', ['b', 'a']))
  expect([moved(1), moved(2), moved(0), moved(null)]).toEqual([
    "_utf8mb4'a'",
    "_utf8mb4'b'",
    "_utf8mb4''",
    'NULL',
  ])
  expect(() => moved(3)).toThrow('no label')
  const set = columnWriter(labelled('set', ['\0a', '\0b'], 'utf16'), labelled('set', ['b', 'a']))
  expect(set(3n)).toBe("_utf16'\0a\0,\0b'")
  expect(set(0n)).toBe("_utf16''")
  expect(() => set(4n)).toThrow('no label')
})
