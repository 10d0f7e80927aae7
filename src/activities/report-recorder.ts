/**
 * Writes what the engines of this worker report into the store, all of them together about once a second, and only while there is news.
 *
 * Guarantees: never delays an engine and never fails one: a store that is busy or away is tried again with the next second, and what is held
 * meanwhile is bounded by engines and their tables. What a crash loses the next reports bring again.
 */
import type { EngineRef } from '../core/pipeline-control.ts'
import type { StatisticsReport, TableStatistics } from '../core/statistics.ts'
import type { EngineReport } from '../store/reports.ts'
import { engineKey } from './supervised-engine.ts'

export interface Recorder {
  take(engine: EngineRef, report: StatisticsReport): void
  /** Writes what is left. */
  close(): void
}

const intervalMs = 1_000

/**
 * @param put stores all of it or throws
 * @param onFailure told of the first failure in a row
 */
export function createRecorder(
  put: (reports: readonly EngineReport[]) => void,
  onFailure: (error: unknown) => void,
): Recorder {
  const held = new Map<
    string,
    { engine: EngineRef; report: StatisticsReport; tables: Map<string, TableStatistics> }
  >()
  let timer: NodeJS.Timeout | null = null
  let hasFailed = false

  function write(): void {
    timer = null
    try {
      put(
        [...held.values()].map(({ engine: { pipeline, shard }, report, tables }) => ({
          ...report,
          pipeline,
          ...(shard === undefined ? {} : { shard }),
          tables: [...tables.values()],
        })),
      )
      held.clear()
      hasFailed = false
    } catch (error) {
      if (!hasFailed) onFailure(error)
      hasFailed = true
      arm()
    }
  }

  function arm(): void {
    timer ??= setTimeout(write, intervalMs).unref()
  }

  return {
    take(engine, report) {
      const key = engineKey(engine)
      const before = held.get(key)
      // A new engine has begun to count anew.
      const isSame = before?.report.totals.since === report.totals.since
      const tables = before !== undefined && isSame ? before.tables : new Map<string, TableStatistics>()
      for (const table of report.tables) tables.set(table.table, table)
      held.set(key, { engine, report, tables })
      arm()
    },
    close() {
      if (timer === null) return
      clearTimeout(timer)
      write()
      if (timer !== null) clearTimeout(timer)
    },
  }
}
