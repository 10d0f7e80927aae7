/**
 * What the pumps of both orders do alike: when the open batch is due, and how a sealed one is handed to who applies it. Keeps nothing; on a crash
 * there is nothing of it.
 */
import type { BatchSize } from './batch-size.ts'
import type { Batcher, SealedBatch } from './batcher.ts'

/** A position without rows is stored at most this often: a checkpoint costs the target a commit. */
const idleCheckpointMs = 1_000
/** Progress of a load without rows of the log: a crash costs what was loaded since, so it is stored more often. */
const loadProgressMs = 200

export interface BatchTiming {
  /** How long a batch smaller than `smallBatchRows` may wait for more rows. */
  readonly maxDelayMs: number
  readonly smallBatchRows: number
}

/** Milliseconds until the open batch should go, 0 for now, null for "nothing to do". @param confirmedAtMs performance.now clock */
export function dueInMs(batcher: Batcher, timing: BatchTiming, confirmedAtMs: number): number | null {
  if (batcher.isEmpty()) return null
  if (batcher.rows() === 0) {
    const everyMs = batcher.hasWork() ? loadProgressMs : idleCheckpointMs
    return Math.max(0, confirmedAtMs + everyMs - performance.now())
  }
  if (batcher.rows() > timing.smallBatchRows) return 0
  return Math.max(0, batcher.openedAtMs() + timing.maxDelayMs - performance.now())
}

export const isFull = (batcher: Batcher, size: BatchSize): boolean =>
  batcher.rows() >= size.maxRows || batcher.bytes() >= size.maxBytes

/**
 * Seals the open batch and applies it behind the chunks that it touches; then its net effect is gone. What sealing throws (chunks are handed out then) rejects too. */
export async function applySealed<T>(
  batcher: Batcher,
  size: BatchSize,
  apply: (batch: SealedBatch) => Promise<T>,
): Promise<{ readonly batch: SealedBatch; readonly applied: T }> {
  const batch = batcher.seal()
  const { rows, bytes } = batch.merge
  if (batch.after.length > 0) await Promise.all(batch.after)
  const startedAtMs = performance.now()
  const applied = await apply(batch)
  size.written({ rows, bytes, tookMs: performance.now() - startedAtMs })
  batch.merge.release()
  return { batch, applied }
}
