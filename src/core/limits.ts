/**
 * What a running pipeline may be held back by, in plain values: rates, and measures above which it waits. All of it can change while the
 * pipeline runs, and none of it decides what is written, only when.
 */

/** null: no limit. */
export interface RateLimits {
  readonly maxRowsPerSecond: number | null
  readonly maxBytesPerSecond: number | null
}

/** Measures above which work waits; null: not measured. */
export interface PauseRules {
  readonly sourceThreadsRunning: number | null
  readonly targetThreadsRunning: number | null
  /** Of every replica of the target. */
  readonly targetReplicaLagMs: number | null
  /** A number that a query at the target gives. */
  readonly targetQuery: { readonly sql: string; readonly above: number } | null
}

export interface PipelineLimits {
  /** Rows read from tables. */
  readonly load: RateLimits
  /** Row changes of tables in scope, read from the log. */
  readonly stream: RateLimits
  readonly pauseWhen: { readonly load: PauseRules; readonly stream: PauseRules }
}

/** The equal part of one of several engines, at least 1; what is measured at a server holds for each of them. */
export const shareOf = (limits: PipelineLimits, engines: number): PipelineLimits => {
  const part = (limit: number | null): number | null =>
    limit === null ? null : Math.max(1, Math.round(limit / engines))
  const parts = (rates: RateLimits): RateLimits => ({
    maxRowsPerSecond: part(rates.maxRowsPerSecond),
    maxBytesPerSecond: part(rates.maxBytesPerSecond),
  })
  return { load: parts(limits.load), stream: parts(limits.stream), pauseWhen: limits.pauseWhen }
}

export const noRates: RateLimits = { maxRowsPerSecond: null, maxBytesPerSecond: null }
export const noPauses: PauseRules = {
  sourceThreadsRunning: null,
  targetThreadsRunning: null,
  targetReplicaLagMs: null,
  targetQuery: null,
}
export const noLimits: PipelineLimits = {
  load: noRates,
  stream: noRates,
  pauseWhen: { load: noPauses, stream: noPauses },
}
