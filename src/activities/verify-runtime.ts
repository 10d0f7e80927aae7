/**
 * What a verify worker can do at both ends of a pipeline: the seam between Temporal's side (verify.ts) and the data's side. `verify-ends.ts` is
 * the real one; tests of the activities inject a scripted one.
 */
import type { Value } from '../core/value.ts'
import type { ComparisonTally, Difference, Held, RepairedRow } from '../core/verification.ts'
import type { VerificationRequest } from '../core/verification-request.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import type { RowImage } from '../store/repair-runs.ts'
import type { ComparedTable, PlannedTable } from '../store/verifications.ts'

export interface PassStep {
  /** All up to here is compared; null with `isDone`: to the end. */
  readonly cursor: readonly Value[] | null
  readonly isDone: boolean
  readonly tally: ComparisonTally
  readonly differences: readonly Difference[]
}

/** Both ends at one position, as long as the snapshots are open. */
export interface VerifyPass {
  /** Of the source, for people. */
  readonly position: string
  /** For how long the stream stood still. */
  readonly pausedMs: number
  readonly incomplete: Held['incomplete']
  /** Goes on behind the table's cursor. @throws SyncError of disposition `reject` where the table cannot be compared (any more) */
  compare(table: ComparedTable, request: VerificationRequest): AsyncIterable<PassStep>
  /** Never throws. */
  close(): Promise<void>
}

/** A row looked at by the rule for stores without snapshots (docs/adr/0008). */
export interface SettledRow {
  readonly key: readonly Value[]
  readonly verdict: 'equal' | 'different' | 'unsettled'
  /** As read last; null: no such row there. */
  readonly source: RowImage | null
  readonly target: RowImage | null
}

/** Both ends of one shard, for rows by key. */
export interface RowsAtEnds {
  /** One answer for each key, in their order. @throws SyncError of disposition `reject` where the table cannot be compared */
  settle(table: string, keys: readonly (readonly Value[])[]): Promise<readonly SettledRow[]>
  /** Lets the engine write them as the source has them. One answer for each key, in their order. */
  repair(table: string, keys: readonly (readonly Value[])[]): Promise<readonly RepairedRow[]>
  /** Never throws. */
  close(): Promise<void>
}

export interface VerifyRuntime {
  /** The tables that a request means. @throws SyncError SYNC-5142, SYNC-5102, or as the ends answer */
  plan(stored: PipelineGeneration, request: VerificationRequest): Promise<readonly PlannedTable[]>
  /** Aligns the engine and opens snapshots. @throws SyncError SYNC-5120 to SYNC-5122, or as the ends answer */
  openPass(stored: PipelineGeneration, shard: number, signal: AbortSignal): Promise<VerifyPass>
  openRows(stored: PipelineGeneration, shard: number, signal: AbortSignal): Promise<RowsAtEnds>
}
