/**
 * The figures of a real engine over random histories: every change of the log counts once, rows in are rows out and rows merged away, and the
 * tables add up to the whole, however they are told.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { TableStatistics } from '../../../src/core/statistics.ts'
import { createEngine } from '../../../src/streamer/engine.ts'
import { createRandom, MemorySource, MemoryTarget } from '../../support/memory-stores.ts'

const rule = {
  exclude: [],
  toSchema: '{schema}',
  toTable: '{table}',
  includeColumns: null,
  excludeColumns: [],
  renameColumns: {},
  where: null,
}
const counts = ['inserted', 'updated', 'deleted', 'copied', 'upserted', 'removed', 'merged'] as const

async function figuresOf(
  seed: number,
  order: 'merged' | 'global',
  match: string,
  smallBatchRows: number,
  loads: boolean,
) {
  const random = createRandom(seed)
  const source = new MemorySource(random)
  const target = new MemoryTarget(random, source)
  for (let i = 0; i < 5; i++) source.commit()
  source.settleAll()
  const before = source.written
  const rowsBefore = [...(source.states[before] ?? [])].flatMap(([name, rows]) =>
    match === 's.*' || match === `s.${name}` ? [...rows.values()] : [],
  ).length
  const engine = createEngine(
    {
      openSource: async () => source.open(() => false),
      openTarget: async () => target.open(() => false),
      recheck: async () => {},
    },
    {
      pipeline: 'p',
      origin: 'test',
      rules: [{ ...rule, match }],
      order,
      lanes: 3,
      batch: { maxRows: 12, maxBytes: 1 << 20, maxDelayMs: 0 },
      smallBatchRows,
      load: { enabled: loads, chunkRows: 3, chunksInFlight: 2 },
    },
    1_000n,
    [],
  )
  const done = engine.run()
  const told = new Map<string, TableStatistics>()
  const take = () => {
    const report = engine.takeStatistics(1)
    for (const table of report?.tables ?? []) told.set(table.table, table)
    return report
  }
  while (engine.status().phase !== 'streaming') {
    source.settleAll()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  for (let i = 0; i < 40; i++) {
    source.commit()
    source.settle()
    if (i % 7 === 0) take()
    await new Promise((resolve) => setImmediate(resolve))
  }
  while (engine.status().position?.token !== String(source.written)) {
    source.settleAll()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  engine.drain()
  expect(await done).toMatchObject({ kind: 'drained' })
  let last = take()
  for (let more = take(); more !== null; more = take()) last = more
  const changes = source.log.slice(before + 1).flatMap((entry) => (typeof entry === 'string' ? [] : entry))
  return { last, told: [...told.values()], changes, rowsBefore }
}

it('counts every change once, and the tables add up', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.constantFrom('merged' as const, 'global' as const),
      fc.constantFrom('s.*', 's.n'),
      fc.constantFrom(0, 3, 1_000),
      fc.boolean(),
      async (seed, order, match, smallBatchRows, loads) => {
        const { last, told, changes, rowsBefore } = await figuresOf(seed, order, match, smallBatchRows, loads)
        const { rows, tables, batches, heldMs, timesMs } = (last as NonNullable<typeof last>).totals
        const inScope = changes.filter(({ table }) => match === 's.*' || table.id.name === 'n')
        expect(rows.inserted).toBe(inScope.filter(({ before }) => before === null).length)
        expect(rows.deleted).toBe(inScope.filter(({ after }) => after === null).length)
        expect(rows.inserted + rows.updated + rows.deleted).toBe(inScope.length)
        expect(rows.outOfScope).toBe(changes.length - inScope.length)
        expect(rows.copied).toBe(loads ? rowsBefore : 0)
        // An update that changes a key, or takes a unique value from another row, is written as two.
        const rowsIn = inScope.length + rows.copied
        const rowsOut = rows.upserted + rows.removed
        expect(rowsOut + rows.merged).toBeGreaterThanOrEqual(rowsIn)
        expect(rowsOut + rows.merged).toBeLessThanOrEqual(rowsIn + rows.updated)
        expect(tables).toBe(told.length)
        for (const name of counts) {
          expect([name, told.reduce((sum, table) => sum + table[name], 0)]).toEqual([name, rows[name]])
        }
        if (smallBatchRows === 0 && order === 'merged') expect(batches.small).toBe(0)
        if (smallBatchRows === 1_000 || order === 'global') expect(batches.large).toBe(0)
        for (const ms of [...Object.values(heldMs), ...Object.values(timesMs)])
          expect(ms).toBeGreaterThanOrEqual(0)
      },
    ),
    { numRuns: 60, endOnFailure: true },
  )
})
