/**
 * How large a batch may grow while the stream is behind: merging pays more the larger it is, but a slow target should not be held in one
 * transaction for long, nor changes wait long for the ones before them. Pure but for what it was told.
 *
 * A batch that was full and was written within the goal doubles the next one, one that took more than twice the goal halves it; both between a
 * sixty-fourth of the pipeline's bounds and the whole. After a crash it begins anew: nothing depends on the size of a batch.
 * Measured (docs/operations/performance.md): the same backlog in 2.7 s with batches that may grow to 200,000 rows, 3.7 s with 20,000.
 */

export interface BatchBounds {
  readonly maxRows: number
  readonly maxBytes: number
}

export interface BatchSize extends BatchBounds {
  /** Told of each batch that was written. */
  written(batch: { readonly rows: number; readonly bytes: number; readonly tookMs: number }): void
}

/** A full batch takes about this long, where the bounds allow it. */
const goalMs = 1_500
const firstShare = 1 / 8
const leastShare = 1 / 64

/** @param bounds the most that a batch may ever hold */
export function createBatchSize(bounds: BatchBounds): BatchSize {
  let share = firstShare
  return {
    get maxRows() {
      return Math.max(1, Math.ceil(bounds.maxRows * share))
    },
    get maxBytes() {
      return Math.max(1, Math.ceil(bounds.maxBytes * share))
    },
    written({ rows, bytes, tookMs }) {
      const wasFull = rows >= this.maxRows / 2 || bytes >= this.maxBytes / 2
      if (tookMs > 2 * goalMs) share = Math.max(leastShare, share / 2)
      else if (wasFull && tookMs < goalMs) share = Math.min(1, share * 2)
    },
  }
}
