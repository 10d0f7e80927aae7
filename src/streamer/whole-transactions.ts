/**
 * Writes sealed batches in global order (DATA-PATH 8): every commit at the target ends where a transaction of the source ends, with the mark
 * row in it, so the target's tables in scope are exactly the source's of some moment (those that are loaded).
 *
 * A batch that ends within a source transaction is a part: it goes into a transaction at the target that stays open until the part with the
 * source transaction's end, so memory is bounded and nothing is ever half visible. Merging within a commit is allowed, since only its end can be
 * seen. After a crash there is nothing to finish: either the commit took place, position included, or nothing did.
 * Why parts are right where unique values move between rows: each is a run of the log, and the source was free of collisions after each change.
 */
import type { LoadProgress, PartsTransaction, Sink } from '../connectors/contract.ts'
import { type BatchPlan, planBatch } from '../core/plan.ts'
import type { Position } from '../core/position.ts'
import type { SealedBatch } from './batcher.ts'
import { type Counted, type Meter, rowsOut } from './meter.ts'

/** What a commit has confirmed. */
export interface Committed {
  readonly position: Position
  readonly rows: number
}

export interface WholeApplier {
  /** Resolves when the batch is committed, or with null when it was a part. Never two at once; nothing more after an error. */
  apply(batch: SealedBatch): Promise<Committed | null>
  batch(): number
}

interface Parts {
  readonly transaction: PartsTransaction
  readonly from: Position
  readonly load: Map<string, LoadProgress>
  readonly counted: Counted[]
  rows: number
}

export function createWholeApplier(sink: Sink, lastBatch: number, meter: Meter): WholeApplier {
  let number = lastBatch
  let parts: Parts | null = null

  const headerOf = (from: Position, { to, commitTimeUs }: SealedBatch) => ({
    batch: number,
    from,
    to,
    lanes: 1,
    phases: 1,
    planDigest: '',
    sourceCommitTimeUs: commitTimeUs,
  })

  async function addPart(batch: SealedBatch, plan: BatchPlan): Promise<Parts> {
    if (parts === null) {
      number++
      const transaction = await sink.beginParts(number)
      parts = { transaction, from: batch.from, load: new Map(), counted: [], rows: 0 }
    }
    parts.counted.push({ tally: batch.tally, out: rowsOut(plan) })
    for (const progress of batch.load) parts.load.set(progress.table, progress)
    parts.rows += batch.merge.rows
    await parts.transaction.write(plan)
    return parts
  }

  return {
    async apply(batch) {
      const startedAtMs = performance.now()
      const plan = planBatch(batch.merge.net(), 1)
      const plannedAtMs = meter.spent('plan', startedAtMs)
      const { to } = batch
      if (to.ordinal > 0) {
        await addPart(batch, plan)
        meter.spent('small', plannedAtMs)
        return null
      }
      if (parts === null) {
        number++
        await sink.applySmall(headerOf(batch.from, batch), plan, batch.load)
        meter.spent('small', plannedAtMs)
        meter.confirmed([{ tally: batch.tally, out: rowsOut(plan) }], true)
        return { position: to, rows: batch.merge.rows }
      }
      const { transaction, from, load, counted, rows } = await addPart(batch, plan)
      await transaction.commit(headerOf(from, batch), [...load.values()])
      meter.spent('small', plannedAtMs)
      meter.confirmed(counted, true)
      parts = null
      return { position: to, rows }
    },
    batch: () => number,
  }
}
