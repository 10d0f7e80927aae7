/**
 * Both ends of a pipeline as a continuous verification has them: connections of its own, the tables that it means, and the log of the source (docs/adr/0009).
 *
 * Opens everything anew for each run and closes it; secrets are resolved each time. Nothing of it asks the engine for anything.
 */
import type { LogScope } from '../connectors/contract.ts'
import type { Position } from '../core/position.ts'
import { tableName } from '../core/schema.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import { matchesTable, ruleFor, schemaInScope } from '../streamer/mapping.ts'
import { effectOf, tablesOf } from '../streamer/schema-change.ts'
import {
  type FollowSettings,
  type FollowStep,
  followChanges,
  type OpenRow,
} from '../verifier/follow-changes.ts'
import type { WatchedTable } from '../verifier/watched-tables.ts'
import { engineOptionsOf, markName, shardsOf } from './pipeline-scope.ts'
import { openEnds } from './verify-ends.ts'
import { type MeantTable, meantTables } from './verify-scope.ts'

export interface ContinuousRun {
  /** Patterns as `schema.table` over the source's tables; none: all. */
  readonly tables: readonly string[]
  readonly settings: FollowSettings
  /** null: from now on. */
  readonly from: Position | null
  readonly open: readonly OpenRow[]
  /** The tables of a step's states are those that were told here before. */
  readonly meant: (tables: readonly MeantTable[]) => void
  readonly record: (step: FollowStep) => void
  readonly signal: AbortSignal
}

export interface ContinuousRuntime {
  /** Until the signal, with its reason. @throws SyncError as the ends answer, SYNC-5142, or what `record` throws */
  follow(stored: PipelineGeneration, run: ContinuousRun): Promise<never>
}

export const createContinuousEnds = (): ContinuousRuntime => ({
  async follow(stored, run) {
    const { incarnation, pipeline } = stored
    const { rules, load } = engineOptionsOf(stored)
    const shards = shardsOf(stored)
    const ends = await openEnds(stored)
    const { source, target } = ends
    let isFirst = run.from === null
    const takes = (name: { readonly schema: string; readonly name: string }): boolean =>
      ruleFor(rules, name) !== null &&
      (run.tables.length === 0 || run.tables.some((pattern) => matchesTable(pattern, name)))
    const scope: LogScope = { takesTable: takes, takesSchema: (schema) => schemaInScope(rules, schema) }
    const plan = async (): Promise<readonly WatchedTable[]> => {
      const meant = await meantTables(stored, run.tables, source, target, isFirst)
      isFirst = false
      run.meant(meant)
      return meant.map(({ name, pair, trouble, shard }) => ({
        name,
        pair,
        trouble,
        mark: markName(pipeline.metadata.name, incarnation, shards?.[shard]),
      }))
    }
    try {
      return await followChanges({
        source,
        verifySource: ends.verifySource,
        verifyTarget: ends.verifyTarget,
        settings: run.settings,
        from: run.from ?? (await source.head()),
        open: run.open,
        plan,
        loads: load.enabled,
        scope,
        alteredBy({ statement, schema }) {
          const named = tablesOf(effectOf(statement, schema))
          return named === null
            ? null
            : named
                .map((id) => source.nameOf(id))
                .filter(takes)
                .map(tableName)
        },
        record: run.record,
        signal: run.signal,
      })
    } catch (error) {
      run.signal.throwIfAborted()
      throw error
    } finally {
      await ends.close()
    }
  },
})
