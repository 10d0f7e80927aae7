/** What is reported is written together, and not lost while the store is away. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createRecorder } from '../../../src/activities/report-recorder.ts'
import { engineKey, engineOfKey } from '../../../src/activities/supervised-engine.ts'
import type { StatisticsReport } from '../../../src/core/statistics.ts'
import type { EngineReport } from '../../../src/store/reports.ts'
import { createMeter } from '../../../src/streamer/meter.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const table = { inserted: 0, updated: 0, deleted: 0, copied: 0, upserted: 0, removed: 0, merged: 0, bytes: 0 }
const report = (since: string, tables: Record<string, number>): StatisticsReport => ({
  epoch: '1',
  totals: { ...createMeter().totals(), since },
  tables: Object.entries(tables).map(([name, inserted]) => ({
    ...table,
    table: name,
    target: name,
    inserted,
  })),
  retention: null,
})
const insertedOf = (reports: readonly EngineReport[] | undefined) =>
  reports?.map(({ pipeline, tables }) => [
    pipeline,
    Object.fromEntries(tables.map(({ table: name, inserted }) => [name, inserted])),
  ])

it('writes all pipelines at once, once a second, and nothing without news', () => {
  const writes: (readonly EngineReport[])[] = []
  const recorder = createRecorder((reports) => void writes.push(reports), vi.fn())
  recorder.take({ pipeline: 'p' }, report('s', { a: 1 }))
  recorder.take({ pipeline: 'q' }, report('s', { a: 2 }))
  recorder.take({ pipeline: 'p' }, report('s', { b: 3 }))
  vi.advanceTimersByTime(1_000)
  expect(insertedOf(writes[0])).toEqual([
    ['p', { a: 1, b: 3 }],
    ['q', { a: 2 }],
  ])
  vi.advanceTimersByTime(10_000)
  expect(writes).toHaveLength(1)
  recorder.take({ pipeline: 'p' }, report('s', { a: 4 }))
  recorder.close()
  expect(insertedOf(writes[1])).toEqual([['p', { a: 4 }]])
})

it('keeps what the store does not take, and says so once', () => {
  const failure = vi.fn()
  const writes: (readonly EngineReport[])[] = []
  let isAway = true
  const recorder = createRecorder((reports) => {
    if (isAway) throw new Error('busy')
    writes.push(reports)
  }, failure)
  recorder.take({ pipeline: 'p' }, report('s', { a: 1 }))
  vi.advanceTimersByTime(1_500)
  recorder.take({ pipeline: 'p' }, report('s', { b: 1 }))
  vi.advanceTimersByTime(2_000)
  expect(failure).toHaveBeenCalledTimes(1)
  isAway = false
  vi.advanceTimersByTime(1_000)
  expect(insertedOf(writes[0])).toEqual([['p', { a: 1, b: 1 }]])
  recorder.close()
})

it('keeps the engines of a pipeline apart', () => {
  const writes: (readonly EngineReport[])[] = []
  const recorder = createRecorder((reports) => void writes.push(reports), vi.fn())
  const shard = (index: number) => ({ pipeline: 'p', shard: { index, of: 2 } })
  recorder.take(shard(0), report('s1', { a: 1 }))
  recorder.take(shard(1), report('s2', { b: 2 }))
  recorder.take(shard(0), report('s1', { c: 3 }))
  recorder.close()
  expect(insertedOf(writes[0])).toEqual([
    ['p', { a: 1, c: 3 }],
    ['p', { b: 2 }],
  ])
  expect(writes[0]?.map(({ shard: its }) => its)).toEqual([
    { index: 0, of: 2 },
    { index: 1, of: 2 },
  ])
})

it('knows an engine by its key', () => {
  for (const engine of [
    { pipeline: 'p' },
    { pipeline: 'p-1', shard: { index: 0, of: 2 } },
    { pipeline: 'p', shard: { index: 63, of: 64 } },
  ])
    expect(engineOfKey(engineKey(engine))).toEqual(engine)
})

it('drops what a former engine counted', () => {
  const writes: (readonly EngineReport[])[] = []
  const recorder = createRecorder((reports) => void writes.push(reports), vi.fn())
  recorder.take({ pipeline: 'p' }, report('s1', { a: 1, old: 5 }))
  recorder.take({ pipeline: 'p' }, report('s2', { a: 2 }))
  recorder.close()
  expect(insertedOf(writes[0])).toEqual([['p', { a: 2 }]])
})
