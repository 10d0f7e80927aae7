/**
 * The activities that compare and repair: each works through what the store says is still to do, as long as snapshots may be held, and stores what
 * it has done step by step.
 *
 * Guarantees: what is told as compared was compared at the position that stands beside it, and is counted once: cursor, counts and differences are
 * one transaction, and an attempt that was given up cannot write any more. A table that cannot be compared is named and the others go on; what
 * passes by itself is told as `waiting` and shown. After a crash the next attempt aligns anew and goes on by key.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ApplicationFailure, Context } from '@temporalio/activity'
import { asSyncError, SyncError } from '../core/errors.ts'
import { tellsOfOneTable } from '../core/quarantine.ts'
import { createTokenBucket } from '../core/token-bucket.ts'
import type { Value } from '../core/value.ts'
import {
  openRepairStates,
  openVerificationStates,
  type VerificationTrouble,
} from '../core/verification-control.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import type { RepairRowRecord, RepairRun } from '../store/repair-runs.ts'
import type { Store } from '../store/store.ts'
import type { PassResult, RepairRef, VerificationRef, VerifyActivities } from './contract.ts'
import type { RowsAtEnds, SettledRow, VerifyPass, VerifyRuntime } from './verify-runtime.ts'

export interface VerifyActivitiesOptions {
  readonly store: Pick<Store, 'pipelines' | 'verifications' | 'repairRuns'>
  readonly runtime: VerifyRuntime
  /** How long snapshots are held: an old one keeps the servers from cleaning up. Default: ten minutes. */
  readonly snapshotLimitMs?: number
}

const heartbeatMs = 1_000
const defaultSnapshotLimitMs = 10 * 60_000
/** Rows that are looked at or repaired together. */
const rowsAtOnce = 200

export const createVerifyActivities = (options: VerifyActivitiesOptions): VerifyActivities => {
  const { store, runtime, snapshotLimitMs = defaultSnapshotLimitMs } = options
  const { verifications, repairRuns: repairs } = store

  /** The spec that streams is the one that is compared: the newest. */
  const storedOf = (pipeline: string): PipelineGeneration => {
    const generation = store.pipelines.generationOf(pipeline)
    if (generation === null) throw new SyncError('SYNC-1101', `there is no pipeline ${pipeline}`)
    return store.pipelines.getGeneration(pipeline, generation)
  }

  return {
    planVerification: (ref) =>
      beating(async () => {
        const run = verifications.get(ref)
        if (run === null) return { kind: 'refused', trouble: troubleOf(forgotten(ref)) }
        try {
          const stored = storedOf(ref.pipeline)
          verifications.plan(ref, await runtime.plan(stored, run.request))
        } catch (thrown) {
          const error = asSyncError(thrown)
          const trouble = troubleOf(error)
          if (error.disposition !== 'retry') return { kind: 'refused', trouble }
          verifications.waits(ref, null, trouble)
          throw ApplicationFailure.create({
            type: error.code,
            message: error.message,
            details: [{ remedy: error.remedy }],
            nonRetryable: false,
          })
        }
        const shards = new Set(
          verifications.tables(ref).flatMap(({ state, shard }) => (state === 'pending' ? [shard] : [])),
        )
        return { kind: 'planned', shards: [...shards].toSorted((a, b) => a - b) }
      }),

    compareTables: (ref) =>
      beating((signal) => {
        const count = { tables: 0, rows: 0 }
        let owner = ''
        return ended(
          signal,
          count,
          {
            waits: (trouble) => verifications.waits(ref, owner, trouble),
            isOpen: () => openVerificationStates.some((open) => open === verifications.get(ref)?.state),
          },
          async () => {
            const run = verifications.get(ref)
            if (run === null) throw forgotten(ref)
            owner = verifications.claim(ref)
            if (verifications.next(ref, ref.shard) === null) return 'done'
            const startedAtMs = performance.now()
            const pass = await runtime.openPass(storedOf(ref.pipeline), ref.shard, signal)
            try {
              verifications.aligned(ref, owner, pass.pausedMs)
              giveUpIncomplete(ref, owner, pass)
              for (;;) {
                const table = verifications.next(ref, ref.shard)
                if (table === null) return 'done'
                let lastMs = performance.now()
                try {
                  for await (const step of pass.compare(table, run.request)) {
                    const nowMs = performance.now()
                    const tookMs = nowMs - lastMs
                    lastMs = nowMs
                    const { ordinal } = table
                    verifications.step(ref, owner, { ...step, ordinal, position: pass.position, tookMs })
                    count.rows += step.tally.rowsCompared
                    if (step.isDone) count.tables++
                    signal.throwIfAborted()
                    if (nowMs - startedAtMs > snapshotLimitMs) return 'more'
                  }
                } catch (thrown) {
                  const error = asSyncError(thrown)
                  if (signal.aborted || error.disposition !== 'reject') throw thrown
                  verifications.giveUp(ref, owner, table.ordinal, 'failed', troubleOf(error))
                }
              }
            } finally {
              await pass.close()
            }
          },
        )
      }),

    repairRows: (ref) =>
      beating((signal) =>
        workThrough(ref, 'pending', signal, async (rows, at, repair, owner) => {
          const table = rows[0]?.table ?? ''
          /** Of all of them at once: their table cannot be repaired now. */
          const refuse = (some: readonly RepairRowRecord[]) => (refusal: VerificationTrouble) =>
            repairs.repaired(
              repair,
              owner,
              some.map(({ difference }) => ({ difference, state: 'refused', refusal })),
            )
          const found = await unlessTable(signal, () => at.settle(table, keysOf(rows)), refuse(rows))
          if (found === null) return
          const images = rows.map(({ difference }, index) => ({
            difference,
            sourceBefore: found[index]?.source ?? null,
            targetBefore: found[index]?.target ?? null,
          }))
          const isDue = (index: number): boolean => found[index]?.verdict !== 'equal'
          // Kept before anything is written, so that a crash in between loses no image.
          repairs.examined(
            repair,
            owner,
            images.filter((_, index) => isDue(index)),
          )
          const due = rows.filter((_, index) => isDue(index))
          const outcomes =
            due.length === 0
              ? []
              : await unlessTable(signal, () => at.repair(table, keysOf(due)), refuse(due))
          const outcomeOf = new Map(due.map(({ difference }, index) => [difference, outcomes?.[index]]))
          repairs.repaired(
            repair,
            owner,
            rows.flatMap((row, index): RepairedRecord[] => {
              const { difference } = row
              if (isDue(index)) {
                const outcome = outcomeOf.get(difference)
                if (outcome === undefined) return []
                return [{ difference, state: outcome.outcome, refusal: outcome.refusal ?? null }]
              }
              // Equal although it was not when an attempt before this one looked: that one wrote it.
              if (row.isExamined)
                return [{ difference, state: row.sourceBefore === null ? 'removed' : 'written' }]
              return [{ ...images[index], difference, state: 'equal' }]
            }),
          )
        }),
      ),

    verifyRepaired: (ref) =>
      beating((signal) =>
        workThrough(ref, 'unverified', signal, async (rows, at, repair, owner) => {
          const found: readonly SettledRow[] = await at.settle(rows[0]?.table ?? '', keysOf(rows))
          repairs.verified(
            repair,
            owner,
            rows.map(({ difference }, index) => ({
              difference,
              verified: found[index]?.verdict ?? 'unsettled',
              sourceAfter: found[index]?.source ?? null,
              targetAfter: found[index]?.target ?? null,
            })),
          )
        }),
      ),
  }

  /** Not a finding of the comparison: their rows are not there yet, or not kept in step. */
  function giveUpIncomplete(ref: VerificationRef & { shard: number }, owner: string, pass: VerifyPass): void {
    const whyOf = new Map(pass.incomplete.map(({ table, why }) => [table, why]))
    for (const { ordinal, name, shard, state } of verifications.tables(ref)) {
      const why = whyOf.get(name)
      if (why === undefined || shard !== ref.shard || (state !== 'pending' && state !== 'running')) continue
      verifications.giveUp(ref, owner, ordinal, 'skipped', {
        code: 'SYNC-5147',
        message: why === 'loading' ? `the load of ${name} is not done` : `${name} is parked`,
        remedy:
          why === 'loading'
            ? 'Verify it again when it is loaded.'
            : `Let it rejoin (\`syncline quarantine show ${ref.pipeline} ${name}\`), then verify it again.`,
      })
    }
  }

  /** Rows of a repair, some of one table at a time, no faster than it says. */
  function workThrough(
    ref: RepairRef,
    state: 'pending' | 'unverified',
    signal: AbortSignal,
    work: (
      rows: readonly RepairRowRecord[],
      at: RowsAtEnds,
      repair: RepairRun,
      owner: string,
    ) => Promise<void>,
  ): Promise<PassResult> {
    const count = { tables: 0, rows: 0 }
    let owner = ''
    return ended(
      signal,
      count,
      {
        waits: (trouble) => repairs.waits(ref, owner, trouble),
        isOpen: () => openRepairStates.some((open) => open === repairs.get(ref)?.state),
      },
      async () => {
        const repair = repairs.get(ref)
        if (repair === null) throw forgotten(ref)
        owner = repairs.claim(ref)
        const stored = storedOf(ref.pipeline)
        const { maxRowsPerSecond } = repair
        const bucket = createTokenBucket(performance.now())
        bucket.setRate(maxRowsPerSecond, performance.now())
        let at: RowsAtEnds | null = null
        let shard = -1
        try {
          for (;;) {
            const [first, ...more] = repairs.rows(ref, { state, limit: atOnce(maxRowsPerSecond) })
            if (first === undefined) return 'done'
            const rows = [first, ...more.filter(({ table }) => table === first.table)]
            if (at === null || shard !== first.shard) {
              await at?.close()
              at = await runtime.openRows(stored, first.shard, signal)
              shard = first.shard
            }
            await work(rows, at, repair, owner)
            count.rows += rows.length
            signal.throwIfAborted()
            bucket.take(rows.length, performance.now())
            const waitMs = bucket.waitMs(performance.now())
            if (waitMs > 0) await delay(waitMs, undefined, { signal })
          }
        } finally {
          await at?.close()
        }
      },
    )
  }
}

type RepairedRecord = Parameters<Store['repairRuns']['repaired']>[2][number]

/** null: what stands in the way is the table's alone, and was told to `refuse`. */
async function unlessTable<T>(
  signal: AbortSignal,
  work: () => Promise<T>,
  refuse: (trouble: VerificationTrouble) => void,
): Promise<T | null> {
  try {
    return await work()
  } catch (thrown) {
    const error = asSyncError(thrown)
    if (signal.aborted || !(error.disposition === 'reject' || tellsOfOneTable(error))) throw thrown
    refuse(troubleOf(error))
    return null
  }
}

const keysOf = (rows: readonly RepairRowRecord[]): readonly (readonly Value[])[] => rows.map(({ key }) => key)

const atOnce = (maxRowsPerSecond: number | null): number =>
  maxRowsPerSecond === null ? rowsAtOnce : Math.max(1, Math.min(rowsAtOnce, maxRowsPerSecond))

/** Heartbeats as long as it works. */
export async function beating<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current()
  context.heartbeat()
  const timer = setInterval(() => context.heartbeat(), heartbeatMs)
  try {
    return await work(context.cancellationSignal)
  } finally {
    clearInterval(timer)
  }
}

/** The run that is worked for, in the store. */
interface Run {
  waits(trouble: VerificationTrouble): void
  isOpen(): boolean
}

/** From how the work ended to what the workflow is told. */
async function ended(
  signal: AbortSignal,
  count: { readonly tables: number; readonly rows: number },
  run: Run,
  work: () => Promise<'more' | 'done'>,
): Promise<PassResult> {
  try {
    const kind = await work()
    return { kind, ...count }
  } catch (thrown) {
    if (signal.aborted) {
      const details = Context.current().cancellationDetails
      if (details?.cancelRequested === true) return { kind: 'cancelled' }
      // Another worker goes on by key.
      if (details?.workerShutdown === true) return { kind: 'more', ...count }
      throw signal.reason
    }
    const error = asSyncError(thrown)
    const trouble = troubleOf(error)
    if (error.disposition === 'fenced') {
      // An attempt that Temporal has given up may wake up and claim the run behind this one, which alone is heard: it hears so and ends.
      return run.isOpen() ? { kind: 'waiting', trouble, ...count } : { kind: 'superseded' }
    }
    if (error.disposition !== 'retry') {
      throw ApplicationFailure.create({
        type: error.code,
        message: error.message,
        details: [{ remedy: error.remedy }],
        nonRetryable: true,
      })
    }
    run.waits(trouble)
    return { kind: 'waiting', trouble, ...count }
  }
}

export const troubleOf = ({ code, message, remedy }: SyncError): VerificationTrouble => ({
  code,
  message,
  remedy,
})

export const forgotten = ({ pipeline, number }: VerificationRef): SyncError =>
  new SyncError('SYNC-1101', `verification ${pipeline}-${number} is not there any more`)
