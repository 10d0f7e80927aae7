/** Rows that are packed until they are written come out as if they had never been: the same net effect, the same plan, the same statements in the same order. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createStatementBuilder } from '../../../src/connectors/mysql/sink/statements.ts'
import { writeDialects } from '../../../src/connectors/mysql/sink/write-dialect.ts'
import { createMerge, type Merge } from '../../../src/core/merge.ts'
import { createPagePool } from '../../../src/core/packed-pages.ts'
import { PackedRow, type RowForm } from '../../../src/core/packed-row.ts'
import { type Destination, planBatch } from '../../../src/core/plan.ts'
import type { Column } from '../../../src/core/schema.ts'
import { keyOf, type Row, type Value } from '../../../src/core/value.ts'

const column = (name: string, kind: 'int' | 'text'): Column => ({
  name,
  nullable: false,
  generated: false,
  type: kind === 'int' ? { kind, bytes: 4, sql: 'int' } : { kind, charset: 'utf8mb4', sql: 'text' },
})

const destination = (kinds: readonly ('int' | 'text')[], key: readonly number[]): Destination => {
  const columns = kinds.map((kind, i) => column(`c${i}`, kind))
  return {
    id: { schema: 's', name: kinds.join('_') },
    columns,
    valueTypes: columns.map(({ type }) => type),
    key: { name: 'PRIMARY', ordinals: key, comparesBytes: key.every((i) => kinds[i] === 'int') },
    uniqueKeys: [],
  }
}

const destinations = [
  destination(['int', 'text'], [0]),
  destination(['text', 'int'], [0]),
  destination(['text', 'int', 'text'], [2, 1]),
]

const valueOf = (kind: string): fc.Arbitrary<Value> =>
  kind === 'int' ? fc.integer({ min: -12, max: 12 }) : fc.constantFrom('a', 'A', 'b', "o'c", 'ü', '10', '9')

const change = fc.constantFrom(...destinations).chain((to) => {
  const row = fc.tuple(...to.columns.map(({ type }) => valueOf(type.kind)))
  const image = fc.option(row, { nil: null, freq: 4 })
  return fc
    .tuple(image, image)
    .filter(([before, after]) => before !== null || after !== null)
    .map(([before, after]) => ({ destination: to, before, after }))
})

const form: RowForm = {
  read: (bytes, at, length) => JSON.parse(Buffer.from(bytes).toString('latin1', at, at + length)) as Row,
}
const pack = (row: Row | null, { key }: Destination): PackedRow | null =>
  row === null ? null : new PackedRow(keyOf(row, key.ordinals), JSON.stringify(row), form)

/** By table and key: was it there, and what is there in the end? In the order of the first touch. */
const effect = (merge: Merge) =>
  merge.net().destinations.map(({ destination: { id }, changes, packed }) => ({
    table: id.name,
    changes:
      packed === null
        ? Array.from(changes.values(), ({ key, before, after }) => [key, before !== null, after])
        : Array.from({ length: packed.size }, (_, i) => [
            packed.key(i),
            packed.wasThere(i),
            packed.isThere(i) ? packed.read(i) : null,
          ]),
  }))

const builder = createStatementBuilder({ maxPacketBytes: 1 << 20, dialect: writeDialects.mysql })
const statements = (merge: Merge, oneLaneRows: number): string[][] =>
  planBatch(merge.net(), 3, oneLaneRows).work.map((phase) =>
    phase.flatMap((lane) => [...builder.statements([lane])].map(({ sql }) => sql)),
  )

const flags = fc.array(fc.constantFrom(true, true, true, true, true, true, false), {
  minLength: 60,
  maxLength: 60,
})

it('packed rows merge, are planned and are written like any others', () => {
  const pool = createPagePool()
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), flags, fc.boolean(), (changes, isPacked, isMixed) => {
      const plain = createMerge()
      const packed = createMerge(pool)
      changes.forEach((each, i) => {
        plain.add(each)
        // Rows of one table may come in both forms: the log had another definition of it.
        if (isMixed && isPacked[i] === false) packed.add(each)
        else
          packed.addPacked(
            each.destination,
            pack(each.before, each.destination),
            pack(each.after, each.destination),
          )
      })
      expect(effect(packed)).toEqual(effect(plain))
      for (const oneLaneRows of [0, 4])
        expect(statements(packed, oneLaneRows)).toEqual(statements(plain, oneLaneRows))
      expect([packed.rows, packed.changes]).toEqual([plain.rows, plain.changes])
      if (changes.length > 0) expect(packed.bytes).toBeGreaterThan(0)
      packed.release()
    }),
    { numRuns: 1_000 },
  )
})

it('rows of every size keep their bytes, and nothing is read after the release', () => {
  const [to] = destinations as [Destination]
  const lengths = [0, 1, 15, 16, 17, 63, 64, 4_000, (1 << 18) - 40, 1 << 18, 700_000]
  const rows = lengths.map((length, i): Row => [i, 'x'.repeat(length)])
  const merge = createMerge()
  for (const row of rows) merge.addPacked(to, null, pack([row[0] as Value, 'y'], to))
  for (const row of rows) merge.addPacked(to, pack([row[0] as Value, 'y'], to), pack(row, to))
  const packed = merge.net().destinations[0]?.packed
  expect(rows.map((_, i) => packed?.read(i))).toEqual(rows)
  merge.release()
  expect(() => packed?.read(0)).toThrow('after their release')
})
