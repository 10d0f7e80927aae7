/**
 * The activity that follows the log of a source and reads back what it touches, until it is cancelled, its worker ends or the pipeline's spec is another one.
 *
 * Guarantees: what is stored is stored by the attempt that claimed the run last, step by step; the next one goes on at the stored checkpoint. What passes by
 * itself or by a person is told as `waiting`, whatever it is; only a log that was purged, and what nobody can mend by waiting, ends the run.
 */
import { ApplicationFailure, Context } from '@temporalio/activity'
import { asSyncError, SyncError } from '../core/errors.ts'
import { positionOf, positionText } from '../core/exact-json.ts'
import { openVerificationStates, type VerificationTrouble } from '../core/verification-control.ts'
import type { Store } from '../store/store.ts'
import type { PlannedTable } from '../store/verifications.ts'
import type { ContinuousRuntime } from './continuous-ends.ts'
import type { PassResult, WatchActivities } from './contract.ts'
import { beating, forgotten, troubleOf } from './verify.ts'

export interface ContinuousActivitiesOptions {
  readonly store: Pick<Store, 'pipelines' | 'verifications' | 'continuousRuns'>
  readonly runtime: ContinuousRuntime
}

/** Rows that differ are looked at again from the start of every attempt. */
const mostOpenRows = 50_000

export const createContinuousActivities = ({
  store,
  runtime,
}: ContinuousActivitiesOptions): WatchActivities => ({
  followLog: (ref) =>
    beating(async (signal) => {
      const { pipeline } = ref
      let rows = 0
      let owner = ''
      /** Aborted to begin anew with what is stored now. */
      const anew = new AbortController()
      try {
        const run = store.verifications.get(ref)
        const generation = store.pipelines.generationOf(pipeline)
        const { continuous, tables, maxDifferences } = run?.request ?? {}
        if (
          continuous === undefined ||
          tables === undefined ||
          maxDifferences === undefined ||
          generation === null
        )
          throw forgotten(ref)
        owner = store.verifications.claim(ref)
        const { checkpoint } = store.continuousRuns.get(ref) ?? { checkpoint: null }
        const meant = new Map<string, PlannedTable>()
        await runtime.follow(store.pipelines.getGeneration(pipeline, generation), {
          tables,
          settings: continuous,
          from: checkpoint === null ? null : positionOf(checkpoint),
          open: store.continuousRuns.open(ref, mostOpenRows),
          meant(all) {
            for (const { pair: _, ...table } of all) meant.set(table.name, table)
          },
          record(step) {
            for (const { rowsRead } of step.counts.values()) rows += rowsRead
            store.continuousRuns.step(ref, owner, {
              checkpoint: positionText(step.checkpoint),
              position: step.position.token,
              counts: [...step.counts].map(([table, counts]) => ({ table, ...counts })),
              found: step.found.map(({ difference, seenAt }) => ({
                difference,
                seenAt: seenAt.toISOString(),
              })),
              healed: step.healed,
              tables: step.tables.flatMap(({ table, trouble }) => {
                const known = meant.get(table.name)
                return known === undefined ? [] : [{ table: known, trouble }]
              }),
              waiting: step.waiting,
              pendingRows: step.pendingRows,
              lagMs: step.lagMs,
              oldestMs: step.oldestMs,
              maxDifferences,
            })
            if (store.pipelines.generationOf(pipeline) !== generation) anew.abort()
          },
          signal: AbortSignal.any([signal, anew.signal]),
        })
        return { kind: 'done', tables: 0, rows }
      } catch (thrown) {
        if (anew.signal.aborted && !signal.aborted) return { kind: 'more', tables: 0, rows }
        return endOf(thrown, signal, rows, {
          waits: (trouble) => store.verifications.waits(ref, owner, trouble),
          isOpen: () => openVerificationStates.some((open) => open === store.verifications.get(ref)?.state),
        })
      }
    }),
})

function endOf(
  thrown: unknown,
  signal: AbortSignal,
  rows: number,
  run: { readonly waits: (trouble: VerificationTrouble) => void; readonly isOpen: () => boolean },
): PassResult {
  if (signal.aborted) {
    const details = Context.current().cancellationDetails
    if (details?.cancelRequested === true) return { kind: 'cancelled' }
    // Another worker goes on from the checkpoint.
    if (details?.workerShutdown === true) return { kind: 'more', tables: 0, rows }
    throw signal.reason
  }
  const error = endable(asSyncError(thrown))
  const { code, message, remedy, disposition } = error
  const trouble = troubleOf(error)
  const waiting: PassResult = { kind: 'waiting', trouble, tables: 0, rows }
  // An attempt that Temporal has given up may wake up and claim the run behind this one, which alone is heard: it hears so and ends.
  if (disposition === 'fenced') return run.isOpen() ? waiting : { kind: 'superseded' }
  const heals = disposition === 'retry' || (disposition === 'block' && code !== 'SYNC-2204')
  if (!heals)
    throw ApplicationFailure.create({ type: code, message, details: [{ remedy }], nonRetryable: true })
  run.waits(trouble)
  return waiting
}

/** What is gone from the log is gone for this reader alone: the pipeline has it long since. */
const endable = (error: SyncError): SyncError =>
  error.code !== 'SYNC-2204'
    ? error
    : new SyncError(error.code, `${error.message}, or not read back yet`, {
        remedy:
          'Start another one, which begins now, and compare the tables once in mode checksum: what was logged between the two was not read back.',
      })
