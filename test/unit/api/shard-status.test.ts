/*
 * The status of a pipeline with shards: each as it stands, and the whole in the words of a single engine.
 */
import { expect, it } from 'vitest'
import { shardStatuses, wholeOf } from '../../../src/api/shard-status.ts'
import type { EngineReport } from '../../../src/api/wire.ts'
import type { PipelineStatus } from '../../../src/core/pipeline-control.ts'

const report = (more: Partial<EngineReport>): EngineReport => ({
  phase: 'streaming',
  epoch: '5',
  position: { token: 'a:1-9', ordinal: 0 },
  batch: 1,
  lagMs: 10,
  rowsApplied: 100,
  rowsPerSecond: 5,
  load: { tables: 2, tablesDone: 2, rows: 50, rowsEstimated: 50, etaMs: null },
  retrying: null,
  hostPid: 7,
  restarts: 0,
  ...more,
})
const run = (index: number, details: unknown) => ({
  shard: { index, of: 3 },
  details,
  seenAt: new Date(0),
  worker: `stream-${index}`,
  attempt: 1,
})

it('shows every shard, also those of which nothing is known yet', () => {
  const shards = shardStatuses([run(2, report({ lagMs: 99 })), run(0, 'no report')], null)
  expect(shards?.map(({ shard, engine, worker }) => [shard, engine?.lagMs, worker])).toEqual([
    [1, undefined, 'stream-0'],
    [2, undefined, null],
    [3, 99, 'stream-2'],
  ])
  expect(shardStatuses([], null)).toBeNull()
  const told = { shards: [{ state: 'blocked', blocked: null }] } as unknown as PipelineStatus
  expect(shardStatuses([], told)?.[0]).toMatchObject({ shard: 1, state: 'blocked', engine: null })
})

it('adds up what counts, and tells the worst of what does not', () => {
  const loading = report({
    phase: 'loading',
    lagMs: 4000,
    load: { tables: 3, tablesDone: 1, rows: 10, rowsEstimated: 30, etaMs: 2000 },
  })
  const shards =
    shardStatuses([run(0, report({})), run(1, loading), run(2, report({ restarts: 2 }))], null) ?? []
  expect(wholeOf(shards)).toMatchObject({
    phase: 'loading',
    position: null,
    lagMs: 4000,
    rowsApplied: 300,
    rowsPerSecond: 15,
    load: { tables: 7, tablesDone: 5, rows: 110, rowsEstimated: 130, etaMs: 2000 },
    restarts: 2,
  })
  expect(wholeOf(shardStatuses([run(0, null)], null) ?? [])).toBeNull()
})
