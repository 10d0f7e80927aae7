/**
 * What an engine tells about itself, once and again: small, without rows or secrets. Travels as a heartbeat's details.
 */
import type { ErrorCode } from '../core/errors.ts'
import type { RateLimits } from '../core/limits.ts'
import type { Position } from '../core/position.ts'

export type EnginePhase = 'starting' | 'loading' | 'catching-up' | 'streaming' | 'retrying' | 'draining'

export interface EngineStatus {
  readonly phase: EnginePhase
  readonly epoch: string
  /** The last confirmed position at the target. */
  readonly position: Position | null
  readonly batch: number
  /** Now minus the source's commit time of the last confirmed transaction; 0 when everything read is confirmed and the source is idle. */
  readonly lagMs: number
  readonly rowsApplied: number
  readonly rowsPerSecond: number
  readonly load: {
    readonly tables: number
    readonly tablesDone: number
    readonly rows: number
    readonly rowsEstimated: number
    readonly etaMs: number | null
  }
  /** What the engine goes by now; it may change while it runs. */
  readonly limits: { readonly load: RateLimits; readonly stream: RateLimits }
  /** What holds the load, or the stream, back at this moment, in words; null: nothing does. */
  readonly throttled: { readonly load: string | null; readonly stream: string | null }
  /** Last error that is being retried. */
  readonly retrying: { readonly code: ErrorCode; readonly message: string; readonly attempt: number } | null
}

/** How an engine ended. */
export type EngineOutcome =
  | { readonly kind: 'drained'; readonly position: Position | null }
  | { readonly kind: 'fenced' }
  | {
      readonly kind: 'blocked'
      readonly code: ErrorCode
      readonly message: string
      readonly remedy: string
      readonly at: string | null
      readonly findings?: readonly unknown[]
    }
