/**
 * A token bucket: how much may pass in how much time. Pure; the caller brings the clock.
 *
 * Guarantees: over any stretch of time no more is granted than the rate gives in that stretch and in `burstMs`, plus the one grant with which
 * the bucket went below zero (what passes at once is not cut here). Whoever waits for `waitMs` may pass. A rate may change at any time: what was
 * gained until then stays, what is owed is paid off at the new rate. Nothing here outlives the process: after a crash it begins full.
 * Assumes: a clock that does not go back; where it does, no time has passed.
 */
export interface TokenBucket {
  /** Units per second; null: no limit. */
  setRate(perSecond: number | null, nowMs: number): void
  /** Milliseconds until something may pass; 0: now. */
  waitMs(nowMs: number): number
  /** Takes `amount` out, and may leave the bucket in debt; a negative amount gives back what was taken too much. */
  take(amount: number, nowMs: number): void
  rate(): number | null
}

/** What an idle bucket saves up. */
export const burstMs = 250

export function createTokenBucket(startMs: number): TokenBucket {
  let perSecond: number | null = null
  let level = 0
  let atMs = startMs

  const capacity = (): number => ((perSecond ?? 0) * burstMs) / 1000

  function advance(nowMs: number): void {
    if (nowMs <= atMs) return
    if (perSecond !== null) level = Math.min(capacity(), level + (perSecond * (nowMs - atMs)) / 1000)
    atMs = nowMs
  }

  return {
    setRate(next, nowMs) {
      advance(nowMs)
      if (perSecond === null) level = 0
      perSecond = next
      level = next === null ? 0 : Math.min(level, capacity())
    },
    waitMs(nowMs) {
      advance(nowMs)
      if (perSecond === null || level >= 0) return 0
      // Rounded up: a timer that fires a moment early would find the bucket still in debt.
      return Math.ceil((-level * 1000) / perSecond)
    },
    take(amount, nowMs) {
      advance(nowMs)
      if (perSecond !== null) level = Math.min(capacity(), level - amount)
    },
    rate: () => perSecond,
  }
}
