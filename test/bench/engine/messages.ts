/*
 * What the benchmark and the process of the engine say to each other.
 */
import type { PipelineStatistics } from '../../../src/core/statistics.ts'
import type { EngineOutcome, EngineStatus } from '../../../src/streamer/status.ts'
import type { Reach } from '../servers.ts'

export type EngineStart = {
  readonly pipeline: string
  readonly source: Reach
  readonly target: Reach
  /** Schemas whose tables are carried. */
  readonly schemas: readonly string[]
  readonly load: 'once' | 'none'
  readonly lanes?: number
  readonly order?: 'merged' | 'global'
}

export type ToEngine = { readonly type: 'start'; readonly start: EngineStart } | { readonly type: 'drain' }

export type FromEngine =
  | { readonly type: 'ready' }
  | { readonly type: 'status'; readonly status: EngineStatus }
  | {
      readonly type: 'ended'
      readonly outcome: EngineOutcome
      readonly statistics: PipelineStatistics | null
    }
