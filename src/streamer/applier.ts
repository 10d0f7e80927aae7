/**
 * Writes sealed batches, one after the other: a small one as one transaction, a large one as header, lanes and phases
 * (DATA-PATH 3). A position is confirmed only after every lane has confirmed; after a crash `finish` completes exactly the batch that was begun.
 */
import type { BatchHeader, Sink, UnfinishedBatch } from '../connectors/contract.ts'
import { asSyncError } from '../core/errors.ts'
import type { Merge, NetChanges } from '../core/merge.ts'
import { type BatchPlan, type LaneWork, planBatch, planDigest } from '../core/plan.ts'
import { refusalOf } from '../core/quarantine.ts'
import type { TableId } from '../core/schema.ts'
import type { SealedBatch } from './batcher.ts'
import { type Meter, rowsOut } from './meter.ts'

export interface Applier {
  /** Resolves when the batch is confirmed at the target. Never two at once. */
  apply(batch: SealedBatch): Promise<void>
  /** Finishes the batch that a predecessor left: only what its lanes have not confirmed. */
  finish(unfinished: UnfinishedBatch, merge: Merge, commitTimeUs: number): Promise<void>
  batch(): number
}

export interface ApplierOptions {
  readonly lanes: number
  /** Batches of so many rows are one transaction, and of larger ones a table with a lane's share of it is written by one lane. */
  readonly smallBatchRows: number
  /** What decides which rows take part: a batch begun under another scope is planned anew. */
  readonly scope: readonly string[]
  /** The source of a target table, for errors that name one. */
  readonly sourceOf: (target: string) => TableId | null
}

export function createApplier(sink: Sink, options: ApplierOptions, lastBatch: number, meter: Meter): Applier {
  let number = lastBatch
  const planOf = (net: NetChanges, lanes: number): BatchPlan =>
    planBatch(net, lanes, Math.floor(options.smallBatchRows / lanes))
  const digestOf = (net: NetChanges, { lanes, inOneLane }: BatchPlan): string =>
    planDigest(
      net.destinations.map((table) => table.destination),
      lanes,
      options.scope,
      inOneLane,
    )

  async function runPhases(
    header: BatchHeader,
    work: readonly (readonly LaneWork[])[],
    confirmed: readonly number[],
    headerStands?: Promise<void>,
  ): Promise<void> {
    for (let phase = 1; phase <= header.phases; phase++) {
      const lanes = work[phase - 1] as readonly LaneWork[]
      const pending = lanes
        .map((laneWork, i) => ({ lane: i + 1, laneWork }))
        .filter(({ lane }) => (confirmed[lane - 1] ?? 0) < phase)
      // All settle before anything is thrown: no lane may still be writing when the session is taken down.
      const doneAtMs: number[] = []
      const results = await Promise.allSettled(
        pending.map(async ({ lane, laneWork }) => {
          await sink.applyLane(header, lane, phase, laneWork, phase === 1 ? headerStands : undefined)
          doneAtMs.push(performance.now())
        }),
      )
      const lastAtMs = performance.now()
      for (const atMs of doneAtMs) meter.held('laneSkew', lastAtMs - atMs)
      for (const result of results) if (result.status === 'rejected') throw result.reason
    }
  }

  /** What the target refuses, with the source's name of the table and the images of the refused rows. */
  async function naming(
    net: NetChanges,
    batch: Pick<BatchHeader, 'from' | 'to'>,
    write: () => Promise<void>,
  ): Promise<void> {
    try {
      await write()
    } catch (thrown) {
      throw refusalOf(asSyncError(thrown), options.sourceOf, net, batch)
    }
  }

  async function writeLarge(
    header: BatchHeader,
    batch: SealedBatch,
    work: readonly (readonly LaneWork[])[],
  ): Promise<void> {
    const startedAtMs = performance.now()
    // The lanes write while the header is on its way, and commit after it: a round trip less for each batch.
    const headerStands = sink.writeHeader(header).then(() => {
      meter.spent('header', startedAtMs)
    })
    headerStands.catch(() => {})
    try {
      await runPhases(header, work, [], headerStands)
    } finally {
      // A lane that is refused may be so before the header is answered.
      await headerStands.catch(() => {})
    }
    meter.spent('lanes', startedAtMs)
    if (batch.load.length > 0) await sink.storeLoad(batch.load)
  }

  return {
    async apply(batch) {
      number++
      const startedAtMs = performance.now()
      const net = batch.merge.net()
      const isSmall = batch.merge.rows <= options.smallBatchRows
      const lanes = isSmall ? 1 : options.lanes
      const plan = planOf(net, lanes)
      const header: BatchHeader = {
        batch: number,
        from: batch.from,
        to: batch.to,
        lanes,
        phases: plan.phases,
        planDigest: isSmall ? '' : digestOf(net, plan),
        sourceCommitTimeUs: batch.commitTimeUs,
      }
      const plannedAtMs = meter.spent('plan', startedAtMs)
      await naming(net, batch, () =>
        isSmall ? sink.applySmall(header, plan, batch.load) : writeLarge(header, batch, plan.work),
      )
      if (isSmall) meter.spent('small', plannedAtMs)
      meter.confirmed([{ tally: batch.tally, out: rowsOut(plan) }], isSmall)
    },

    async finish(unfinished, merge, commitTimeUs) {
      const net = merge.net()
      const plan = planOf(net, unfinished.lanes)
      const digest = digestOf(net, plan)
      // A plan made under other rules (a changed mapping, a new index at the target) spreads rows over the lanes in another way. Then
      // every lane runs again, under a number of its own so that no confirmation of the old plan counts for the new one: net
      // effects of whole rows can be written twice, and end at `to` as well.
      const samePlan = digest === unfinished.planDigest && plan.phases === unfinished.phases
      number = samePlan ? unfinished.batch : unfinished.batch + 1
      const header: BatchHeader = {
        batch: number,
        from: unfinished.from,
        to: unfinished.to,
        lanes: unfinished.lanes,
        phases: plan.phases,
        planDigest: digest,
        sourceCommitTimeUs: commitTimeUs,
      }
      if (!samePlan) await sink.writeHeader(header)
      await naming(net, unfinished, () => runPhases(header, plan.work, samePlan ? unfinished.confirmed : []))
    },

    batch: () => number,
  }
}
