/**
 * The workflow `repair`: one for each repair of what a verification found.
 *
 * Waits for a person's `approve` where the pipeline's file says so, lets the rows be written by the pipeline's engine, and then looks at just those
 * rows again. Which rows are done is in the store, so a killed worker costs the rows it had in hand, which are safe to write again.
 * A cancel ends it between rows; what is repaired stays repaired and recorded.
 * Frozen once released: the names of activities and updates, and the order of what is scheduled (test/replay holds recorded histories).
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineUpdate,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { PassResult, VerificationControlActivities, VerifyActivities } from '../activities/contract.ts'
import { type ActorArgs, taskQueues } from '../core/pipeline-control.ts'
import {
  type RepairInput,
  type RepairState,
  type VerificationTrouble,
  verificationUpdateNames,
} from '../core/verification-control.ts'
import { answerWithin, createCancellation } from './cancellation.ts'
import { blockedBy } from './failure.ts'
import { assertActor, refused } from './messages.ts'
import { afterPass, troubleOf, verifyRetries, type Waiting } from './verification-states.ts'

/** What one run hands to the next. */
export interface CarriedRepair {
  readonly step: 'repairing' | 'verifying'
  readonly approvedBy: string | null
  readonly waiting: Waiting | null
}

export interface RepairResult {
  readonly state: RepairState
}

const approveUpdate = defineUpdate<RepairResult, [ActorArgs]>(verificationUpdateNames.approve)
const cancelRepairUpdate = defineUpdate<RepairResult, [ActorArgs]>(verificationUpdateNames.cancel)

const defaultPassesPerRun = 200

export async function repair(input: RepairInput, carried?: CarriedRepair): Promise<RepairResult> {
  return CancellationScope.nonCancellable(() => run(input, carried))
}

async function run(input: RepairInput, carried?: CarriedRepair): Promise<RepairResult> {
  const { noteRepair } = proxyActivities<VerificationControlActivities>({
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    startToCloseTimeout: '30s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
  })
  const { repairRows, verifyRepaired } = proxyActivities<VerifyActivities>({
    taskQueue: taskQueues(input.taskQueuePrefix).verify,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    startToCloseTimeout: '365d',
    heartbeatTimeout: '10s',
    retry: verifyRetries,
  })
  const { pipeline, number, repair: repairNumber } = input
  const ref = { pipeline, number, repair: repairNumber }

  let state: RepairState = carried?.step ?? (input.needsApproval ? 'awaiting-approval' : 'repairing')
  let approvedBy = carried?.approvedBy ?? null
  let waiting = carried?.waiting ?? null
  let passes = 0
  const cancellation = createCancellation()
  setHandler(
    approveUpdate,
    async ({ actor }) => {
      approvedBy = actor
      await condition(() => state !== 'awaiting-approval' || cancellation.isLeaving(), answerWithin)
      return { state }
    },
    {
      validator: (args) => {
        assertActor('approve', args)
        if (approvedBy === null && cancellation.by() === null && state === 'awaiting-approval') return
        throw refused('SYNC-5145', 'cannot approve: the repair does not wait for it')
      },
    },
  )
  cancellation.listen(cancelRepairUpdate, () => ({ state }))

  const enter = async (
    next: RepairState,
    actor = 'syncline',
    trouble: VerificationTrouble | null = null,
  ): Promise<void> => {
    await noteRepair({ ...ref, state: next, actor, trouble })
    state = next
    setCurrentDetails(`**${next}**`)
  }
  const end = async (
    last: 'done' | 'failed' | 'cancelled',
    trouble: VerificationTrouble | null = null,
  ): Promise<RepairResult> => {
    await enter(last, cancellation.by() ?? 'syncline', trouble)
    cancellation.ended()
    await condition(allHandlersFinished)
    return { state: last }
  }
  try {
    if (state === 'awaiting-approval') {
      await condition(() => approvedBy !== null || cancellation.by() !== null)
      if (cancellation.by() !== null) return await end('cancelled')
    }
    if (carried === undefined) await enter('repairing', approvedBy ?? 'syncline')
    for (;;) {
      if (passes >= (input.passesPerRun ?? defaultPassesPerRun) || workflowInfo().continueAsNewSuggested) {
        if ((await cancellation.leave()) && (state === 'repairing' || state === 'verifying'))
          await continueAsNew<typeof repair>(input, { step: state, approvedBy, waiting })
      }
      const result: PassResult | undefined = await cancellation.attempt(() =>
        state === 'verifying' ? verifyRepaired(ref) : repairRows(ref),
      )
      passes++
      if (result === undefined || cancellation.by() !== null) return await end('cancelled')
      const next = afterPass(result, waiting, Date.now())
      waiting = next.do === 'wait' ? next.waiting : null
      switch (next.do) {
        case 'again':
          break
        case 'next':
          if (state === 'verifying') return await end('done')
          await enter('verifying')
          break
        case 'wait':
          if (!(await cancellation.pause(next.ms))) return await end('cancelled')
          break
        case 'fail':
          return await end('failed', next.trouble)
        case 'leave':
          return await end('cancelled')
      }
    }
  } catch (error) {
    if (cancellation.isLeaving() && cancellation.by() === null) throw error
    log.error('the repair failed', { error })
    return await end('failed', troubleOf(blockedBy(error)))
  }
}
