/**
 * What the workflow asks of the store. Short, idempotent, and retried by Temporal until the store answers: a store that is away delays
 * a decision and never fails a pipeline.
 */
import { ApplicationFailure } from '@temporalio/activity'
import { asSyncError } from '../core/errors.ts'
import type { Store } from '../store/store.ts'
import type { ControlActivities } from './contract.ts'

/** What of the store is needed here. */
export interface ControlStore {
  readonly pipelines: Pick<Store['pipelines'], 'claimGeneration'>
  readonly audit: Pick<Store['audit'], 'append'>
}

export const createControlActivities = ({ store }: { readonly store: ControlStore }): ControlActivities => ({
  // A retry after a lost answer claims another number: numbers may be skipped, never shared.
  claimGeneration: (pipeline) => answered(() => store.pipelines.claimGeneration(pipeline)),
  recordState: ({ pipeline, state, detail, actor, key }) =>
    answered(() => {
      store.audit.append({
        actor,
        action: 'state',
        kind: 'Pipeline',
        name: pipeline,
        outcome: 'done',
        detail: { state, detail },
        key,
      })
    }),
})

const answered = async <T>(work: () => T): Promise<T> => {
  try {
    return work()
  } catch (thrown) {
    const { code, message, remedy } = asSyncError(thrown)
    throw ApplicationFailure.create({ type: code, message, details: [{ remedy }], nonRetryable: false })
  }
}
