/**
 * Moves batches from the batcher to the applier: one is applied while the next one fills. An idle target gets what is there at once
 * (lowest latency); a busy one lets the batch grow, so that merging pays more the further behind it is.
 *
 * Backpressure: `room()` holds the consumer back while the open batch is full, which stops reading from the source's socket.
 */
import { SyncError } from '../core/errors.ts'
import type { LogEvent } from '../core/transaction.ts'
import type { Applier } from './applier.ts'
import type { BatchSize } from './batch-size.ts'
import { applySealed, type BatchTiming, dueInMs, isFull } from './batch-turn.ts'
import type { Batcher, SealedBatch } from './batcher.ts'
import { createConfirmations } from './confirmations.ts'

export interface Pump {
  /** Applies the open batch if it is worth it and the target is idle. */
  kick(): void
  isFull(): boolean
  /** What has to be done before an event is consumed; null: nothing. @throws SyncError when it cannot be taken */
  admit(event: LogEvent): Promise<void> | null
  /** Resolves when the open batch has room. Rejects when the pump was stopped before. */
  room(): Promise<void>
  /** Resolves when everything consumed so far is confirmed, and only then: rejects when the pump was stopped before. */
  flush(): Promise<void>
  /** Confirms what can be, when no more events come: of a transaction that has not ended, global order confirms nothing. */
  finish(): Promise<void>
  /** Resolves when every batch sealed so far is confirmed. Rejects when the pump fails or is stopped before. */
  sealedConfirmed(): Promise<void>
  /** Does work at the target between two batches, which then wait for it. Rejects with what the work throws, which ends the session too. */
  between<T>(work: () => Promise<T>): Promise<T>
  /** Resolves when nothing is being written; never rejects. After `stop` nothing more is. */
  settled(): Promise<void>
  /** Commit time of the oldest transaction not confirmed; 0 when there is none. */
  oldestPendingUs(): number
  /** When the last batch was confirmed (performance.now clock). */
  confirmedAtMs(): number
  stop(): void
}

export function createPump(
  batcher: Batcher,
  applier: Applier,
  size: BatchSize,
  timing: BatchTiming,
  onConfirmed: (batch: SealedBatch) => void,
  onFailure: (error: unknown) => void,
  /** Told at each batch's start for how long there had been nothing to apply, in milliseconds. */
  onIdle: (ms: number) => void = () => {},
): Pump {
  let applying: Promise<void> | null = null
  let applyingOldestUs = 0
  let confirmedAtMs = performance.now()
  let timer: ReturnType<typeof setTimeout> | null = null
  let stopped = false
  let sealed = 0
  let confirmed = 0
  const waiting = createConfirmations()

  function start(): Promise<void> {
    const oldest = batcher.oldestCommitTimeUs()
    onIdle(performance.now() - confirmedAtMs)
    sealed++
    applyingOldestUs = oldest
    applying = applySealed(batcher, size, (batch) => applier.apply(batch)).then(
      ({ batch }) => {
        applying = null
        confirmed++
        waiting.confirmed(confirmed)
        applyingOldestUs = 0
        confirmedAtMs = performance.now()
        onConfirmed(batch)
        kick()
      },
      (error: unknown) => {
        // `applying` stays set: nothing more may be written after a failure.
        waiting.fail(error)
        onFailure(error)
        throw error
      },
    )
    applying.catch(() => {})
    return applying
  }

  function startUnlessStopped(): Promise<void> {
    if (stopped) throw new SyncError('SYNC-4001', 'The session ended')
    return start()
  }

  function kick(): void {
    if (stopped || applying !== null) return
    const wait = dueInMs(batcher, timing, confirmedAtMs)
    if (wait === null) return
    if (wait === 0) void start()
    else {
      // Anew each time: what came since may be due sooner.
      if (timer !== null) clearTimeout(timer)
      timer = setTimeout(() => {
        timer = null
        kick()
      }, wait)
    }
  }

  async function flush(): Promise<void> {
    // Not "until nothing is left": under writes that never stop there is always more.
    const goal = batcher.isEmpty() ? sealed : sealed + 1
    while (confirmed < goal) await (applying ?? startUnlessStopped())
  }

  return {
    kick,
    isFull: () => isFull(batcher, size),
    async room() {
      while (isFull(batcher, size)) await (applying ?? startUnlessStopped())
    },
    admit: () => null,
    flush,
    finish: flush,
    sealedConfirmed: () => waiting.until(sealed),
    async between(work) {
      while (applying !== null) await applying
      if (stopped) throw new SyncError('SYNC-4001', 'The session ended')
      const result = work()
      applying = result.then(
        () => {
          applying = null
          kick()
        },
        (error: unknown) => {
          onFailure(error)
          throw error
        },
      )
      applying.catch(() => {})
      return await result
    },
    settled: async () => {
      await applying?.catch(() => {})
    },
    oldestPendingUs: () => applyingOldestUs || batcher.oldestCommitTimeUs(),
    confirmedAtMs: () => confirmedAtMs,
    stop() {
      stopped = true
      waiting.fail(new SyncError('SYNC-4001', 'The session ended'))
      if (timer !== null) clearTimeout(timer)
    },
  }
}
