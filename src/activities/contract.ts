/**
 * What workflows may ask of activities: types alone, so that workflow code can import this file (the determinism boundary).
 * Activity names are the keys of these interfaces; they and the shapes are frozen once released: histories hold them.
 */

import type { Blocked, RejoinRequest, ShardRef } from '../core/pipeline-control.ts'

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
