/**
 * The workflow `continuousVerification`: a verification that follows the source's log until somebody ends it.
 *
 * One long activity after the other, each from the checkpoint in the store. What an activity waits for is tried again after growing pauses, for ever: a
 * pipeline that is paused, or a server that is away, comes back. It continues as new between activities.
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
  workflowInfo,
} from '@temporalio/workflow'
import type { PassResult, VerificationControlActivities, WatchActivities } from '../activities/contract.ts'
import { type ActorArgs, taskQueues } from '../core/pipeline-control.ts'
import {
  type VerificationInput,
  type VerificationTrouble,
  verificationUpdateNames,
} from '../core/verification-control.ts'
import { createCancellation } from './cancellation.ts'
import { blockedBy } from './failure.ts'
import { troubleOf } from './verification-states.ts'

export const cancelContinuousUpdate = defineUpdate<{ isEnded: boolean }, [ActorArgs]>(
  verificationUpdateNames.cancel,
)

const defaultPassesPerRun = 200
const firstPauseMs = 1_000
const longestPauseMs = 30_000

export async function continuousVerification(
  input: Required<Pick<VerificationInput, 'number'>> & VerificationInput,
  waits = 0,
): Promise<void> {
  return CancellationScope.nonCancellable(() => run(input, waits))
}

async function run(
  input: Required<Pick<VerificationInput, 'number'>> & VerificationInput,
  waitsBefore: number,
): Promise<void> {
  const { pipeline, number } = input
  const { endVerification } = proxyActivities<VerificationControlActivities>({
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    startToCloseTimeout: '30s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
  })
  const { followLog } = proxyActivities<WatchActivities>({
    taskQueue: taskQueues(input.taskQueuePrefix).watch,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    startToCloseTimeout: '365d',
    heartbeatTimeout: '10s',
    // For ever: a worker that was lost, or is not there yet, is no reason to end.
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '30s' },
  })

  let waits = waitsBefore
  let passes = 0
  const cancellation = createCancellation()
  cancellation.listen(cancelContinuousUpdate, () => ({ isEnded: cancellation.isEnded() }))

  const end = async (state: 'failed' | 'cancelled', trouble: VerificationTrouble | null): Promise<void> => {
    await endVerification({ pipeline, number, state, actor: cancellation.by() ?? 'syncline', trouble })
    cancellation.ended()
    await condition(allHandlersFinished)
  }

  try {
    for (;;) {
      if (passes >= (input.passesPerRun ?? defaultPassesPerRun) || workflowInfo().continueAsNewSuggested) {
        if (await cancellation.leave()) await continueAsNew<typeof continuousVerification>(input, waits)
      }
      const result: PassResult | undefined = await cancellation.attempt(() => followLog({ pipeline, number }))
      passes++
      if (result === undefined || cancellation.by() !== null) return await end('cancelled', null)
      if (result.kind === 'cancelled' || result.kind === 'superseded') return await end('cancelled', null)
      if (result.kind !== 'waiting') {
        waits = 0
        continue
      }
      waits = result.rows > 0 ? 1 : waits + 1
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(waits - 1, 10))
      if (!(await cancellation.pause(pauseMs))) return await end('cancelled', null)
    }
  } catch (error) {
    if (cancellation.isLeaving() && cancellation.by() === null) throw error
    log.error('the verification failed', { error })
    await end('failed', troubleOf(blockedBy(error)))
  }
}
