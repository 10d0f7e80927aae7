/** When a pipeline goes, nothing compares or repairs it any more, and nothing will. */
import { openRepairStates, openVerificationStates, repairWorkflowId } from '../core/verification-control.ts'
import type { ApiDeps } from './context.ts'

/** More are never open: one verification and one repair of a pipeline at a time. */
const newestRuns = 1_000

export async function endVerifications(
  { store, workflows: { verifications } }: ApiDeps,
  pipeline: string,
  actor: string,
): Promise<void> {
  await verifications.schedule(pipeline, null)
  const reason = `the pipeline was deleted by ${actor}`
  for (const run of store.verifications.list(pipeline, { limit: newestRuns })) {
    if (openVerificationStates.includes(run.state)) await verifications.terminate(run.workflow, reason)
    const repairs = run.tables.total === 0 ? [] : store.repairRuns.list(run)
    for (const { number, repair, state } of repairs) {
      if (openRepairStates.includes(state))
        await verifications.terminate(repairWorkflowId(pipeline, number, repair), reason)
    }
  }
}
