/**
 * What workflows may ask of activities: types alone, so that workflow code can import this file (the determinism boundary).
 * Activity names are the keys of these interfaces; they and the shapes are frozen once released: histories hold them.
 */

import type { Blocked, RejoinRequest, ShardRef } from '../core/pipeline-control.ts'
import type { RepairState, VerificationOutcome, VerificationTrouble } from '../core/verification-control.ts'

export type { Blocked, ShardRef }

export interface PipelineRef {
  readonly pipeline: string
  /** Generation of the stored spec; the worker reads the spec from the store. */
  readonly specGeneration: number
  /** Fence generation (core/epoch.ts). */
  readonly generation: number
}

export interface ControlActivities {
  /** A new fence generation, greater than all before it for this pipeline. */
  claimGeneration(pipeline: string): Promise<number>
  /** Appends to the audit log what the workflow decided. Idempotent by key. */
  recordState(entry: {
    pipeline: string
    state: string
    detail: string
    actor: string
    key: string
  }): Promise<void>
}

export type RunResult =
  | { readonly kind: 'reached'; readonly phase: 'loaded' | 'caught-up' }
  | { readonly kind: 'drained' }
  /** Its worker is ending: another one is to go on at once. */
  | { readonly kind: 'handover' }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'blocked'; readonly blocked: Blocked }

export interface StreamActivities {
  /** Pre-checks and preparation of the target (missing tables, emptying): returns null when the pipeline may start. */
  checkPipeline(ref: PipelineRef): Promise<Blocked | null>
  /** Runs the engine until `until` is reached, it is cancelled (drains), fenced or blocked. */
  runPipeline(
    ref: PipelineRef & {
      until: 'loaded' | 'caught-up' | 'stopped'
      acknowledged: readonly string[]
      /** Parked tables that people want back. */
      rejoins?: readonly RejoinRequest[]
      /** Absent: one engine carries all tables. */
      shard?: ShardRef
    },
  ): Promise<RunResult>
}

export interface VerificationRef {
  readonly pipeline: string
  /** Of the run, in the store. */
  readonly number: number
}

export interface RepairRef extends VerificationRef {
  readonly repair: number
}

/** What workflows of verification and repair ask of the store. */
export interface VerificationControlActivities {
  /** The run of a schedule's workflow; null: none is made now, because another one is under way or the pipeline is gone. */
  openVerification(input: { pipeline: string; workflow: string }): Promise<{ number: number } | null>
  /**
   * Ends the run, tells the audit log and forgets old runs. `repair`: one that the pipeline's file asks for, which is to be started.
   * Idempotent.
   */
  endVerification(
    ref: VerificationRef & {
      state: 'done' | 'failed' | 'cancelled'
      actor: string
      trouble: VerificationTrouble | null
    },
  ): Promise<{
    outcome: VerificationOutcome | null
    repair: { repair: number; needsApproval: boolean } | null
  }>
  /** The repair is in another state; by whom, where a person did it. Idempotent. */
  noteRepair(
    ref: RepairRef & { state: RepairState; actor: string; trouble: VerificationTrouble | null },
  ): Promise<void>
}

/** How an activity that compares or repairs for a while ended. */
export type PassResult =
  /** There is more: the snapshots were let go, or the worker ends. */
  | { readonly kind: 'more'; readonly tables: number; readonly rows: number }
  | { readonly kind: 'done'; readonly tables: number; readonly rows: number }
  /** Something must come first that passes by itself or by a person: to be tried again. The store shows it meanwhile. */
  | {
      readonly kind: 'waiting'
      readonly trouble: VerificationTrouble
      readonly tables: number
      readonly rows: number
    }
  /** A later attempt has the run, or it has ended. */
  | { readonly kind: 'superseded' }
  | { readonly kind: 'cancelled' }

/** On the queue `watch`: a verification that follows the log has a place of its own. */
export interface WatchActivities {
  /** Reads back what the log touches, from the stored checkpoint on, until it is cancelled or has to begin anew. */
  followLog(ref: VerificationRef): Promise<PassResult>
}

export interface VerifyActivities {
  /** Names the tables that are to be compared, in the store. `shards`: those that have any. */
  planVerification(
    ref: VerificationRef,
  ): Promise<
    | { readonly kind: 'planned'; readonly shards: readonly number[] }
    | { readonly kind: 'refused'; readonly trouble: VerificationTrouble }
  >
  /** Aligns both ends and compares tables of a shard, as long as snapshots may be held. Progress is in the store. */
  compareTables(ref: VerificationRef & { shard: number }): Promise<PassResult>
  /** Repairs rows that are not repaired yet. */
  repairRows(ref: RepairRef): Promise<PassResult>
  /** Looks at the repaired rows again. */
  verifyRepaired(ref: RepairRef): Promise<PassResult>
}
