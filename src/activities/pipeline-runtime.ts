/**
 * What an engine host loads to run and check pipelines: the seam between Temporal's side (supervisor, activities) and the data's side
 * (store, connectors, engine). `engine-runtime.ts` is the real one; tests of the supervisor inject a scripted one.
 *
 * The module named to a host exports `createRuntime` of type `CreateRuntime` and is loaded before any pipeline needs it.
 */
import type { Blocked, RejoinRequest, ShardRef } from '../core/pipeline-control.ts'
import type { Engine } from '../streamer/engine.ts'

export interface SpecRef {
  readonly pipeline: string
  readonly specGeneration: number
}

export interface EngineStart extends SpecRef {
  /** Absent: the engine carries all tables. */
  readonly shard?: ShardRef
  /** Greater than every epoch used before for this pipeline; decimal digits (it does not fit a number). */
  readonly epoch: string
  readonly acknowledged: readonly string[]
  readonly rejoins?: readonly RejoinRequest[]
}

export interface RuntimeEngine {
  readonly engine: Engine
  /** Closes the engine's connections under it and lets it open no more: the way to end one that does not drain. */
  kill(): Promise<void>
}

export interface PipelineRuntime {
  /** Pre-checks and preparation of the target; null: the pipeline may start. @throws SyncError, of disposition `retry` if it may pass */
  check(ref: SpecRef): Promise<Blocked | null>
  /** Reads the spec and resolves secrets; opens nothing yet. @throws SyncError */
  open(start: EngineStart): Promise<RuntimeEngine>
  /** Takes the target with this epoch and lets it go: whoever had it before can write nothing any more. @throws SyncError */
  fence?(start: EngineStart): Promise<void>
}

export interface RuntimeOptions {
  readonly storePath: string
}

export type CreateRuntime = (options: RuntimeOptions) => Promise<PipelineRuntime>
