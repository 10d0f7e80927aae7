/**
 * Finishes the batch that a crash left half-written (DATA-PATH 5.2): reads exactly (from, to] of the log again, merges and plans it as
 * before, and runs the lanes that had not confirmed. Chunk rows that were under way are not repeated: load progress did not move, they are read again later.
 */
import type { PositionTracker, UnfinishedBatch } from '../connectors/contract.ts'
import { SyncError } from '../core/errors.ts'
import { createMerge, type Merge } from '../core/merge.ts'
import type { Position } from '../core/position.ts'
import type { LogEvent, TransactionSlice } from '../core/transaction.ts'
import { createBatcher } from './batcher.ts'
import type { Router } from './router.ts'

export interface Reformed {
  readonly merge: Merge
  readonly commitTimeUs: number
  /** Events read beyond `to`: the first that the normal run must take. */
  readonly rest: readonly LogEvent[]
}

/** Reads the unfinished batch's changes. @throws SYNC-9001 when the log does not hold `to` */
export async function reform(
  unfinished: UnfinishedBatch,
  events: AsyncIterator<readonly LogEvent[]>,
  tracker: PositionTracker,
  router: Router,
): Promise<Reformed> {
  const batcher = createBatcher(tracker, router, [], () => {}, noChunks)
  const { to } = unfinished
  const finish = (rest: readonly LogEvent[]): Reformed => {
    if (batcher.isEmpty()) return { merge: createMerge(), commitTimeUs: 0, rest }
    const { merge, commitTimeUs } = batcher.seal()
    return { merge, commitTimeUs, rest }
  }
  if (tracker.covers(to)) return finish([])
  for (;;) {
    const next = await events.next()
    if (next.done === true)
      throw new SyncError('SYNC-2101', 'The log ended while an unfinished batch was read again')
    for (let i = 0; i < next.value.length; i++) {
      const event = next.value[i] as LogEvent
      if (event.kind === 'progress') continue
      if (event.kind === 'prepared') {
        batcher.consume(event)
        if (tracker.covers(to)) return finish(next.value.slice(i + 1))
        continue
      }
      if (event.kind === 'schema-change') {
        // It was passed inside the batch then, so it concerned nobody: those that do stand between two batches.
        batcher.pass(event)
        if (tracker.covers(to)) return finish(next.value.slice(i + 1))
        continue
      }
      const [inside, outside] = cutAt(event, tracker.position(), to)
      batcher.consume(inside)
      if (tracker.covers(to))
        return finish([...(outside === null ? [] : [outside]), ...next.value.slice(i + 1)])
    }
  }
}

const noChunks = (): Promise<never> =>
  Promise.reject(new SyncError('SYNC-9001', 'a chunk was handed out while a batch was formed again'))

/** Cuts a slice where `to` lies inside its transaction: the slices may be cut elsewhere than they were before the crash. */
function cutAt(
  slice: TransactionSlice,
  at: Position,
  to: Position,
): [TransactionSlice, TransactionSlice | null] {
  const end = slice.firstOrdinal + slice.changes.length
  // Positions of earlier versions do not name the transaction.
  const isSame = to.transaction === undefined ? to.token === at.token : to.transaction === slice.id
  const insideThisTransaction = to.ordinal > 0 && isSame
  // With the last change the transaction is not over yet: its end, which may have come in a slice of its own, belongs to what follows `to`.
  const isWithin = to.ordinal < end || (to.ordinal === end && slice.last)
  if (!insideThisTransaction || !isWithin || to.ordinal <= slice.firstOrdinal) return [slice, null]
  const cut = to.ordinal - slice.firstOrdinal
  return [
    { ...slice, changes: slice.changes.slice(0, cut), last: false },
    { ...slice, changes: slice.changes.slice(cut), firstOrdinal: to.ordinal },
  ]
}
