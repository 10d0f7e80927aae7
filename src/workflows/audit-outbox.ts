/**
 * Hands every numbered change of a pipeline to the audit log, in order, without making the pipeline wait for the store.
 *
 * Guarantees: each entry is recorded at least once under its own key (the activity drops a key that it has seen); what is not recorded yet
 * travels on through continue-as-new. A store that is away delays the log and nothing else.
 */
import { condition, log, proxyActivities } from '@temporalio/workflow'
import type { ControlActivities } from '../activities/contract.ts'

export type AuditEntry = Parameters<ControlActivities['recordState']>[0]

const { recordState } = proxyActivities<ControlActivities>({
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  startToCloseTimeout: '30s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
})

/** Retried without end; only an entry that the store can never take fails for good, and must not hold up the ones behind it. */
const record = async (entry: AuditEntry): Promise<void> => {
  try {
    await recordState(entry)
  } catch (error) {
    log.error('the audit log refuses an entry', { entry, error })
  }
}

export interface AuditOutbox {
  add(entry: AuditEntry): void
  isEmpty(): boolean
  /** What is not known to be recorded, oldest first. */
  unrecorded(): readonly AuditEntry[]
}

export const startAuditOutbox = (carried: readonly AuditEntry[]): AuditOutbox => {
  const entries = [...carried]
  const deliver = async (): Promise<never> => {
    for (;;) {
      await condition(() => entries.length > 0)
      const [oldest] = entries
      if (oldest !== undefined) await record(oldest)
      entries.shift()
    }
  }
  void deliver()
  return {
    add: (entry) => void entries.push(entry),
    isEmpty: () => entries.length === 0,
    unrecorded: () => [...entries],
  }
}
