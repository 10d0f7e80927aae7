/**
 * Where work waits for its turn: by rates (rows and bytes per second), and while the gate is closed; first come, first served.
 *
 * Guarantees: work is let through in the order in which it asked; a change of limits holds for whoever waits already; nothing is dropped: what
 * waits is either let through or told that it is over (the signal). Assumes one process; in a crash the waiting are lost with the work they do.
 */
import type { RateLimits } from '../core/limits.ts'
import { createTokenBucket } from '../core/token-bucket.ts'

export interface Gate {
  set(limits: RateLimits): void
  limits(): RateLimits
  /** Closes the gate for the reason given, or opens it again with null. */
  pause(reason: string | null): void
  /**
   * Resolves when the work may begin, and counts it; at once while nothing limits it. Rejects with the signal's reason.
   * @param rows, bytes as they are expected; `settle` corrects them
   */
  pass(rows: number, bytes: number, signal: AbortSignal): Promise<void>
  /** False while nothing limits it, so that the hot path need not measure what passes. */
  isLimited(): boolean
  /** Counts what passed beyond (or below) what `pass` was told. */
  settle(rows: number, bytes: number): void
  /** Why something waits now; null: nothing does. */
  heldBackBy(): string | null
}

interface Waiting {
  readonly rows: number
  readonly bytes: number
  readonly admit: () => void
}

/** Longest sleep of a gate: a timer's delay is a 32-bit number. */
const maxSleepMs = 60_000

export function createGate(nowMs: () => number = () => performance.now()): Gate {
  const rows = createTokenBucket(nowMs())
  const bytes = createTokenBucket(nowMs())
  const queue: Waiting[] = []
  let limits: RateLimits = { maxRowsPerSecond: null, maxBytesPerSecond: null }
  let closedBy: string | null = null
  let timer: NodeJS.Timeout | null = null

  const waitMs = (): number => Math.max(rows.waitMs(nowMs()), bytes.waitMs(nowMs()))

  function take(rowCount: number, byteCount: number): void {
    rows.take(rowCount, nowMs())
    bytes.take(byteCount, nowMs())
  }

  function serve(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    for (;;) {
      const next = queue[0]
      if (next === undefined || closedBy !== null) return
      const delayMs = waitMs()
      if (delayMs > 0) {
        timer = setTimeout(serve, Math.min(delayMs, maxSleepMs))
        return
      }
      queue.shift()
      take(next.rows, next.bytes)
      next.admit()
    }
  }

  return {
    set(next) {
      limits = next
      rows.setRate(next.maxRowsPerSecond, nowMs())
      bytes.setRate(next.maxBytesPerSecond, nowMs())
      serve()
    },
    limits: () => limits,
    pause(reason) {
      closedBy = reason
      serve()
    },
    pass: (rowCount, byteCount, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        const leave = (): void => {
          queue.splice(queue.indexOf(waiting), 1)
          serve()
          reject(signal.reason)
        }
        const waiting: Waiting = {
          rows: rowCount,
          bytes: byteCount,
          admit() {
            signal.removeEventListener('abort', leave)
            resolve()
          },
        }
        signal.addEventListener('abort', leave, { once: true })
        queue.push(waiting)
        if (queue.length === 1) serve()
      }),
    isLimited: () =>
      closedBy !== null || limits.maxRowsPerSecond !== null || limits.maxBytesPerSecond !== null,
    settle: take,
    heldBackBy() {
      if (queue.length === 0) return null
      if (closedBy !== null) return closedBy
      if (rows.waitMs(nowMs()) >= bytes.waitMs(nowMs())) return `limit of ${limits.maxRowsPerSecond} rows/s`
      return `limit of ${limits.maxBytesPerSecond} bytes/s`
    },
  }
}
