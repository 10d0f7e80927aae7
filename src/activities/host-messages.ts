/**
 * What a streamer worker and its engine hosts say to each other (Node's IPC channel, JSON). Both ends are always of one version.
 *
 * `id` names one engine or one check in one host and is never used again, so that a late word of a former engine is recognized.
 */
import type { Blocked } from '../core/pipeline-control.ts'
import type { StatisticsReport } from '../core/statistics.ts'
import type { EngineOutcome, EngineStatus } from '../streamer/status.ts'
import type { EngineStart, RuntimeOptions, SpecRef } from './pipeline-runtime.ts'

export type ToHost =
  | { readonly type: 'start'; readonly id: string; readonly start: EngineStart }
  | { readonly type: 'drain'; readonly id: string }
  | { readonly type: 'kill'; readonly id: string }
  | { readonly type: 'check'; readonly id: string; readonly ref: SpecRef }
  /** Answered like a check. */
  | { readonly type: 'fence'; readonly id: string; readonly start: EngineStart }

export interface EngineReport {
  readonly id: string
  readonly status: EngineStatus
  /** Milliseconds since the engine last gave a sign of life. */
  readonly silentMs: number
}

/** A SyncError as it crosses the channel. */
export interface ReportedError {
  readonly code: string
  readonly message: string
  readonly remedy: string
  readonly isPassing: boolean
}

export type FromHost =
  | { readonly type: 'ready' }
  /** Every `reportIntervalMs`: the host's own sign of life, with the engines whose status changed (seen within a second) or which are silent. */
  | { readonly type: 'report'; readonly engines: readonly EngineReport[] }
  /** Every `statisticsIntervalMs` while there is news. */
  | { readonly type: 'statistics'; readonly id: string; readonly report: StatisticsReport }
  | { readonly type: 'ended'; readonly id: string; readonly outcome: EngineOutcome }
  | { readonly type: 'checked'; readonly id: string; readonly found: Blocked | null }
  | { readonly type: 'check-failed'; readonly id: string; readonly error: ReportedError }

/** Given to the host process as its only argument. */
export interface HostArguments {
  /** URL or path of the module that exports `createRuntime`. */
  readonly runtimeModule: string
  readonly runtime: RuntimeOptions
}

export const reportIntervalMs = 250
export const statisticsIntervalMs = 1_000
/** Tables in one message: about 50 kB, so that 10,000 tables that all change are told within 40 s. */
export const mostTablesTold = 250
/** An engine that is silent for longer is reported even when its status is unchanged. */
export const silenceReportedMs = 2_000
