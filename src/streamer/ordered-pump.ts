/**
 * The pump of global order: moves batches to the target as pump.ts does, but never ends a commit within a source transaction.
 *
 * A transaction that comes in several slices (over a megabyte) begins a batch of its own: what was consumed before it is committed
 * first, so that an error or a drain in the middle of it leaves the position right before it. While it is consumed, a full batch goes to
 * the target as a part of a transaction that stays open (whole-transactions.ts); backpressure is as in pump.ts.
 * A part is not confirmed: `flush` waits for the end of the transaction, `finish` leaves it to be read again.
 */
import { SyncError } from '../core/errors.ts'
import type { LogEvent } from '../core/transaction.ts'
import type { BatchSize } from './batch-size.ts'
import { applySealed, type BatchTiming, dueInMs, isFull } from './batch-turn.ts'
import type { Batcher } from './batcher.ts'
import { createConfirmations } from './confirmations.ts'
import type { Pump } from './pump.ts'
import type { Committed, WholeApplier } from './whole-transactions.ts'

export function createOrderedPump(
  batcher: Batcher,
  applier: WholeApplier,
  size: BatchSize,
  timing: BatchTiming,
  onConfirmed: (committed: Committed) => void,
  onFailure: (error: unknown) => void,
  /** As in pump.ts. */
  onIdle: (ms: number) => void = () => {},
): Pump {
  let applying: Promise<void> | null = null
  /** What is being applied ends a commit. */
  let endsCommit = false
  /** Parts are at the target that are not committed. */
  let hasParts = false
  let commits = 0
  /** Commits begun, the confirmed ones among them. */
  let begun = 0
  /** Commit time of the oldest transaction that is at the target and not committed. */
  let sentOldestUs = 0
  let confirmedAtMs = performance.now()
  /** As `confirmedAtMs`, parts included. */
  let appliedAtMs = confirmedAtMs
  let timer: ReturnType<typeof setTimeout> | null = null
  let stopped: SyncError | null = null
  /** Resolves when the transaction that is being consumed has ended. */
  let ended: PromiseWithResolvers<void> | null = null
  const waiting = createConfirmations()

  /** Milliseconds until the open batch should be committed, 0 for now, null for "not now". */
  function waitMs(): number | null {
    if (batcher.isInside()) return null
    return hasParts ? 0 : dueInMs(batcher, timing, confirmedAtMs)
  }

  function start(): Promise<void> {
    if (stopped !== null) throw stopped
    onIdle(performance.now() - appliedAtMs)
    if (sentOldestUs === 0) sentOldestUs = batcher.oldestCommitTimeUs()
    endsCommit = !batcher.isInside()
    hasParts = !endsCommit
    if (endsCommit) begun++
    applying = applySealed(batcher, size, (batch) => applier.apply(batch)).then(
      ({ applied: committed }) => {
        applying = null
        appliedAtMs = performance.now()
        if (committed !== null) {
          commits++
          sentOldestUs = 0
          confirmedAtMs = appliedAtMs
          onConfirmed(committed)
          waiting.confirmed(commits)
        }
        kick()
      },
      (error: unknown) => {
        waiting.fail(error)
        // `applying` stays set: nothing more may be written after a failure.
        onFailure(error)
        throw error
      },
    )
    applying.catch(() => {})
    return applying
  }

  function kick(): void {
    if (ended !== null && !batcher.isInside()) {
      ended.resolve()
      ended = null
    }
    if (stopped !== null || applying !== null) return
    const wait = waitMs()
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

  function transactionEnd(): Promise<void> {
    if (stopped !== null) throw stopped
    ended ??= Promise.withResolvers()
    return ended.promise
  }

  async function flush(): Promise<void> {
    // Not "until nothing is left": under writes that never stop there is always more.
    const isUnderWay = applying !== null && endsCommit
    const isToCome = hasParts || !batcher.isEmpty()
    const goal = commits + (isUnderWay ? 1 : 0) + (isToCome ? 1 : 0)
    while (commits < goal) await (applying ?? (batcher.isInside() ? transactionEnd() : start()))
  }

  /** An error of its own: no transaction that was read in part is confirmed by a definition behind it. */
  function refuseDefinitionInside(event: LogEvent): void {
    if (event.kind !== 'schema-change' || !batcher.isInside()) return
    throw new SyncError(
      'SYNC-2206',
      `A definition changes within a transaction that has changed rows before (${event.id})`,
      {
        remedy: 'Set spec.stream.order: merged to pass it, then set it back.',
        details: { at: event.id },
      },
    )
  }

  return {
    kick,
    isFull: () => isFull(batcher, size),
    async room() {
      kick()
      while (isFull(batcher, size)) await (applying ?? start())
    },
    flush,
    admit(event) {
      refuseDefinitionInside(event)
      const isLong = event.kind === 'slice' && !event.last && !batcher.isInside()
      return isLong && !batcher.isEmpty() ? flush() : null
    },
    async finish() {
      if (!batcher.isInside()) await flush()
      else if (applying !== null) await applying
    },
    // A part is confirmed by the commit that is to come.
    sealedConfirmed: () => waiting.until(begun + (hasParts ? 1 : 0)),
    async between(work) {
      while (applying !== null || hasParts)
        await (applying ?? (batcher.isInside() ? transactionEnd() : start()))
      if (stopped !== null) throw stopped
      // It ends no commit: `flush` does not count it.
      endsCommit = false
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
    oldestPendingUs: () => sentOldestUs || batcher.oldestCommitTimeUs(),
    confirmedAtMs: () => confirmedAtMs,
    stop() {
      stopped ??= new SyncError('SYNC-4001', 'The session ended')
      if (timer !== null) clearTimeout(timer)
      waiting.fail(stopped)
      ended?.reject(stopped)
      ended?.promise.catch(() => {})
    },
  }
}
