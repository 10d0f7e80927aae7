/**
 * What the workflows of verification and repair ask of the store: short, idempotent, retried by Temporal until the store answers.
 */
import { ApplicationFailure } from '@temporalio/activity'
import { requestOf, verifySettings } from '../config/verify.ts'
import { asSyncError } from '../core/errors.ts'
import { verificationId } from '../core/verification-control.ts'
import { outcomeOf } from '../core/verification-request.ts'
import type { Store } from '../store/store.ts'
import type { VerificationControlActivities } from './contract.ts'

/** Who asks for what nobody asked for. */
const scheduleActor = 'schedule'

type ControlStore = Pick<Store, 'pipelines' | 'audit' | 'verifications' | 'repairRuns'>

export const createVerificationControlActivities = ({
  store,
}: {
  readonly store: ControlStore
}): VerificationControlActivities => ({
  openVerification: ({ pipeline, workflow }) =>
    answered(() => {
      const record = store.pipelines.get(pipeline)
      if (record === null || record.wanted === 'delete') return null
      try {
        const { number } = store.verifications.create({
          pipeline,
          workflow,
          origin: 'schedule',
          actor: scheduleActor,
          generation: record.generation,
          request: requestOf(verifySettings(record.document.spec.verify)),
        })
        return { number }
      } catch (thrown) {
        const error = asSyncError(thrown)
        if (error.code !== 'SYNC-5144') throw thrown
        store.audit.append({
          actor: scheduleActor,
          action: 'verify',
          kind: 'Pipeline',
          name: pipeline,
          outcome: 'refused',
          code: error.code,
          detail: error.message,
          key: workflow,
        })
        return null
      }
    }),

  endVerification: ({ pipeline, number, state, actor, trouble }) =>
    answered(() => {
      const found = store.verifications.get({ pipeline, number })
      if (found === null) return { outcome: null, repair: null }
      const { tally, tables } = found
      const told = outcomeOf(tally, tables.total === tables.done)
      // What was not compared to its end says nothing but of the differences in it.
      const outcome = state === 'done' || told === 'different' ? told : null
      store.verifications.end({ pipeline, number }, { state, outcome, trouble })
      store.audit.append({
        actor,
        action: 'verify',
        kind: 'Pipeline',
        name: pipeline,
        outcome: state === 'failed' ? 'failed' : 'done',
        ...(trouble === null ? {} : { code: trouble.code }),
        detail: { id: verificationId(pipeline, number), state, outcome, ...tally },
        key: `verification/${pipeline}/${number}/${state}`,
      })
      const settings = verifySettings(store.pipelines.get(pipeline)?.document.spec.verify)
      store.verifications.prune(pipeline, settings.keepRuns)
      const wantsRepair =
        found.origin === 'schedule' &&
        state === 'done' &&
        outcome === 'different' &&
        settings.repair.automatic
      if (!wantsRepair) return { outcome, repair: null }
      return { outcome, repair: automaticRepair(store, pipeline, number, settings.repair) }
    }),

  noteRepair: ({ pipeline, number, repair, state, actor, trouble }) =>
    answered(() => {
      const key = { pipeline, number, repair }
      store.repairRuns.enter(key, state, actor, trouble)
      const rows = store.repairRuns.get(key)?.rows
      store.audit.append({
        actor,
        action: 'repair',
        kind: 'Pipeline',
        name: pipeline,
        outcome: state === 'failed' ? 'failed' : 'done',
        ...(trouble === null ? {} : { code: trouble.code }),
        detail: { id: verificationId(pipeline, number), repair, state, ...rows },
        key: `repair/${pipeline}/${number}/${repair}/${state}`,
      })
    }),
})

/** The same one, however often it is asked for. null: another repair is under way, or there is nothing to repair. */
function automaticRepair(
  store: ControlStore,
  pipeline: string,
  number: number,
  { approval, maxRowsPerSecond }: ReturnType<typeof verifySettings>['repair'],
): { repair: number; needsApproval: boolean } | null {
  const known = store.repairRuns.list({ pipeline, number }).find(({ actor }) => actor === scheduleActor)
  if (known !== undefined) return { repair: known.repair, needsApproval: known.needsApproval }
  try {
    const { repair, needsApproval } = store.repairRuns.create({
      pipeline,
      number,
      actor: scheduleActor,
      needsApproval: approval === 'required',
      maxRowsPerSecond,
    })
    return { repair, needsApproval }
  } catch (thrown) {
    if (asSyncError(thrown).disposition === 'reject') return null
    throw thrown
  }
}

const answered = async <T>(work: () => T): Promise<T> => {
  try {
    return work()
  } catch (thrown) {
    const { code, message, remedy } = asSyncError(thrown)
    throw ApplicationFailure.create({ type: code, message, details: [{ remedy }], nonRetryable: false })
  }
}
