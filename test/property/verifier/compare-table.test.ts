/**
 * The comparison over two tables in memory, of any rows: it finds exactly what differs, however ranges fall, wherever it is cut off and begun again, with any
 * number of lanes; and it never asks for more rows than a leaf has.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ComparedRow, ComparisonReader } from '../../../src/connectors/contract.ts'
import type { ComparedEnd, TablePair } from '../../../src/core/comparison-plan.ts'
import type { ColumnType } from '../../../src/core/schema.ts'
import type { Value } from '../../../src/core/value.ts'
import type { KeyRange, VerifyMode } from '../../../src/core/verification.ts'
import { type ComparisonStep, compareTable } from '../../../src/verifier/compare-table.ts'

const int: ColumnType = { kind: 'int', bytes: 4, sql: 'int' }
const number = { as: 'number', scale: 0 } as const
const end: ComparedEnd = {
  table: { schema: 's', name: 't' },
  columns: ['id', 'v'].map((name) => ({ name, type: int, nullable: false, form: number })),
  key: [0],
  keyName: 'PRIMARY',
  keyTypes: [int],
  identity: [number],
  filter: null,
}
const pairOf = (order: TablePair['order']): TablePair => ({
  name: 's.t',
  columnNames: ['id', 'v'],
  source: end,
  target: { ...end },
  order,
  ignored: [],
})

/** id -> v */
type Table = ReadonlyMap<number, number>

const leafRows = 2_000

function readerOf(table: Table, most: { rows: number }): ComparisonReader {
  const sorted = [...table].toSorted(([a], [b]) => a - b)
  const inRange = ({ after, upTo }: KeyRange): (readonly [number, number])[] =>
    sorted.filter(
      ([id]) => (after === null || id > Number(after[0])) && (upTo === null || id <= Number(upTo[0])),
    )
  const rowOf = ([id, v]: readonly [number, number]): ComparedRow => {
    const cells = [`${id}`, `${v}`]
    return { identity: `${id}`, key: [id], cells, shown: cells }
  }
  const digestOf = (rows: readonly (readonly [number, number])[]) => ({
    rows: rows.length,
    digest: rows.map(([id, v]) => `${id}:${v}`).join(),
  })
  const given = <T>(rows: readonly T[]): readonly T[] => {
    most.rows = Math.max(most.rows, rows.length)
    return rows
  }
  const digestsOf = (rows: readonly (readonly [number, number])[]) =>
    given(rows.map((row) => ({ identity: `${row[0]}`, digest: `${row[1]}`, key: [row[0]] })))
  return {
    bounds: async (_, range, step, count) =>
      Array.from({ length: count }, (_each, i) => inRange(range)[step * (i + 1) - 1]).flatMap(
        (row): Value[][] => (row === undefined ? [] : [[row[0]]]),
      ),
    digests: async (_, ranges) => ranges.map((range) => digestOf(inRange(range))),
    counts: async (_, ranges) => ranges.map((range) => inRange(range).length),
    rowDigests: async (_, range) => digestsOf(inRange(range)),
    rows: async (_, range) => given(inRange(range).map(rowOf)),
    rowsByKey: async (_, keys) =>
      given(keys.flatMap(([id]) => sorted.filter((row) => row[0] === id).map(rowOf))),
    buckets: async (_, of) =>
      new Map(
        [...Map.groupBy(sorted, ([id]) => Math.abs(id) % of)].map(([bucket, rows]) => [
          bucket,
          digestOf(rows),
        ]),
      ),
    bucketRowDigests: async (_, of, buckets) =>
      digestsOf(sorted.filter(([id]) => buckets.includes(Math.abs(id) % of))),
    estimateRows: async () => sorted.length,
  }
}

const tables = fc
  .record({
    rows: fc.integer({ min: 0, max: 6_000 }),
    spread: fc.integer({ min: 1, max: 9 }),
    changed: fc.array(fc.nat(9_999), { maxLength: 30 }),
    lacking: fc.array(fc.nat(9_999), { maxLength: 30 }),
    extra: fc.array(fc.integer({ min: -50, max: 60_000 }), { maxLength: 30 }),
    /** A run of rows that only one end has. */
    run: fc.record({
      from: fc.nat(60_000),
      rows: fc.integer({ min: 0, max: 2_500 }),
      atSource: fc.boolean(),
    }),
  })
  .map(({ rows, spread, changed, lacking, extra, run }) => {
    const source = new Map(Array.from({ length: rows }, (_, i) => [i * spread, i] as const))
    const target = new Map(source)
    const ids = [...source.keys()]
    const pick = (i: number): number => ids[i % Math.max(1, ids.length)] ?? 0
    for (const i of changed) if (ids.length > 0) target.set(pick(i), -1)
    for (const i of lacking) target.delete(pick(i))
    for (const id of extra) if (!source.has(id)) target.set(id, 5)
    for (let i = 0; i < run.rows; i++) (run.atSource ? source : target).set(70_000 + run.from + i, 1)
    return { source, target }
  })

function expected(source: Table, target: Table): string[] {
  const found: string[] = []
  for (const [id, v] of source) {
    if (!target.has(id)) found.push(`only-source ${id}`)
    else if (target.get(id) !== v) found.push(`different ${id}`)
  }
  for (const id of target.keys()) if (!source.has(id)) found.push(`only-target ${id}`)
  return found.toSorted()
}

interface Way {
  readonly lanes: number
  readonly mode: VerifyMode
  readonly stepDifferences: number
  /** Steps that are taken before the comparison is cut off and begun again. */
  readonly stepsAtOnce: number
  readonly order: TablePair['order']
}

async function run(
  source: Table,
  target: Table,
  way: Way,
): Promise<{ steps: ComparisonStep[]; most: number }> {
  const most = { rows: 0 }
  const steps: ComparisonStep[] = []
  for (let tries = 0; tries < 5_000; tries++) {
    const lanes = Array.from(
      { length: way.lanes },
      () => [readerOf(source, most), readerOf(target, most)] as const,
    )
    let taken = 0
    for await (const step of compareTable({
      pair: pairOf(way.order),
      source: lanes.map(([reader]) => reader),
      target: lanes.map(([, reader]) => reader),
      mode: way.mode,
      after: steps.at(-1)?.cursor ?? null,
      stepDifferences: way.stepDifferences,
    })) {
      steps.push(step)
      if (step.cursor === null) return { steps, most: most.rows }
      if (++taken === way.stepsAtOnce) break
    }
  }
  throw new Error('does not end')
}

const ways = fc.record({
  lanes: fc.integer({ min: 1, max: 3 }),
  mode: fc.constantFrom<VerifyMode>('checksum', 'row'),
  stepDifferences: fc.integer({ min: 1, max: 600 }),
  stepsAtOnce: fc.constantFrom(1, 2, 1_000),
  order: fc.constantFrom<TablePair['order']>('shared', 'shared', 'shared', 'apart'),
})

it('finds exactly what differs', async () => {
  await fc.assert(
    fc.asyncProperty(tables, ways, async ({ source, target }, way) => {
      const { steps, most } = await run(source, target, way)
      const found = steps.flatMap(({ differences }) =>
        differences.map(({ kind, key }) => `${kind} ${String(key[0])}`),
      )
      expect(found.toSorted()).toEqual(expected(source, target))
      const sum = (field: keyof ComparisonStep['tally']): number =>
        steps.reduce((total, { tally }) => total + tally[field], 0)
      expect(sum('rowsCompared')).toBe(new Set([...source.keys(), ...target.keys()]).size)
      expect(sum('equal')).toBe(sum('rowsCompared') - found.length)
      if (way.order === 'apart') return
      expect(most).toBeLessThanOrEqual(leafRows)
      for (const { differences } of steps)
        expect(differences.length).toBeLessThan(way.stepDifferences + 2 * leafRows)
    }),
    { numRuns: 60 },
  )
}, 120_000)

it('an error of one lane ends all of them, and comes out', async () => {
  const table = new Map(Array.from({ length: 20_000 }, (_, i) => [i, i] as const))
  const most = { rows: 0 }
  const broken = { ...readerOf(table, most), digests: () => Promise.reject(new Error('lost')) }
  const steps = compareTable({
    pair: pairOf('shared'),
    source: [readerOf(table, most), broken],
    target: [readerOf(table, most), readerOf(table, most)],
    mode: 'checksum',
    after: null,
  })
  await expect(async () => {
    for await (const _ of steps);
  }).rejects.toThrow('lost')
})

it('a pressed source is given smaller ranges', async () => {
  const table = new Map(Array.from({ length: 20_000 }, (_, i) => [i, i] as const))
  const ranges = async (threads: number): Promise<number> => {
    const reader = readerOf(table, { rows: 0 })
    let steps = 0
    for await (const _ of compareTable({
      pair: pairOf('shared'),
      source: [reader],
      target: [reader],
      mode: 'checksum',
      after: null,
      pressure: { threadsRunning: async () => threads },
      busyThreads: 10,
    }))
      steps++
    return steps
  }
  expect(await ranges(101)).toBeGreaterThan(3 * (await ranges(2)))
})
