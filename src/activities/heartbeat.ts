/**
 * The heartbeat details of `runPipeline`: what the engine says of itself, and where it runs. Read through a workflow's pending activities
 * (`describe().raw.pendingActivities`); a report and a hint, up to a second old, never the truth about a position.
 */
import type { ShardRef } from '../core/pipeline-control.ts'
import type { EngineStatus } from '../streamer/status.ts'

export interface RunHeartbeat extends EngineStatus {
  /** Process of the engine host on the worker that sent it; null while none runs. */
  readonly hostPid: number | null
  /** Engines that this attempt's worker has started again after they died. */
  readonly restarts: number
  /** Which of the pipeline's engines; absent where there is one. */
  readonly shard?: ShardRef
}
