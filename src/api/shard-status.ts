/**
 * The status of a pipeline with shards, from what the workflow knows of each and what its engine said last. Pure.
 *
 * The whole is told in the words of a single engine, so that whoever looks at a pipeline need not know of shards: counts are summed, the lag
 * is the greatest, the phase the one that is furthest from streaming. A position it has none: each shard has its own.
 */
import type { PipelineStatus } from '../core/pipeline-control.ts'
import type { EngineRun } from './pipeline-workflows.ts'
import { type EngineReport, engineReport, type ShardStatusAnswer } from './wire.ts'

type ShardRun = EngineRun & { readonly shard: { readonly index: number; readonly of: number } }

/** Null: one engine carries all tables. */
export function shardStatuses(
  runs: readonly ShardRun[],
  told: PipelineStatus | null,
): ShardStatusAnswer[] | null {
  const count = told?.shards?.length ?? runs[0]?.shard.of ?? 0
  if (count === 0) return null
  return Array.from({ length: count }, (_, index) => {
    const run = runs.find(({ shard }) => shard.index === index)
    const report = engineReport.safeParse(run?.details)
    return {
      shard: index + 1,
      state: told?.shards?.[index]?.state ?? null,
      blocked: told?.shards?.[index]?.blocked ?? null,
      engine: report.success ? report.data : null,
      engineSeenAt: run?.seenAt?.toISOString() ?? null,
      worker: run?.worker ?? null,
      attempt: run?.attempt ?? null,
    }
  })
}

/** Furthest from streaming first. */
const phases = ['retrying', 'starting', 'loading', 'catching-up', 'draining', 'streaming'] as const

/** Null where no engine has spoken. */
export function wholeOf(shards: readonly ShardStatusAnswer[]): EngineReport | null {
  const engines = shards.flatMap(({ engine }) => (engine === null ? [] : [engine]))
  const [first] = engines
  if (first === undefined) return null
  const sum = (valueOf: (engine: EngineReport) => number): number =>
    engines.reduce((total, engine) => total + valueOf(engine), 0)
  const most = (valueOf: (engine: EngineReport) => number): number => Math.max(...engines.map(valueOf))
  const firstOf = (valueOf: (engine: EngineReport) => string | null): string | null =>
    engines.map(valueOf).find((value) => value !== null) ?? null
  const etas = engines.flatMap(({ load }) => (load.etaMs === null ? [] : [load.etaMs]))
  return {
    phase: phases.find((phase) => engines.some((engine) => engine.phase === phase)) ?? first.phase,
    epoch: first.epoch,
    position: null,
    batch: sum(({ batch }) => batch),
    lagMs: most(({ lagMs }) => lagMs),
    rowsApplied: sum(({ rowsApplied }) => rowsApplied),
    rowsPerSecond: sum(({ rowsPerSecond }) => rowsPerSecond),
    load: {
      tables: sum(({ load }) => load.tables),
      tablesDone: sum(({ load }) => load.tablesDone),
      rows: sum(({ load }) => load.rows),
      rowsEstimated: sum(({ load }) => load.rowsEstimated),
      etaMs: etas.length === 0 ? null : Math.max(...etas),
    },
    retrying: engines.find(({ retrying }) => retrying !== null)?.retrying ?? null,
    throttled: {
      load: firstOf(({ throttled }) => throttled?.load ?? null),
      stream: firstOf(({ throttled }) => throttled?.stream ?? null),
    },
    hostPid: first.hostPid,
    restarts: sum(({ restarts }) => restarts),
  }
}
