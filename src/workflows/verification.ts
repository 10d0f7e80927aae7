/**
 * The workflow `verification`: one for each run, started by a person through the API or by the pipeline's schedule.
 *
 * Names the tables, then lets each shard's tables be compared, activity by activity: each aligns both ends anew and goes on by key where the one
 * before it stood (the store has that), so a killed worker costs the ranges it had in hand. Ends in the store with an outcome, or
 * with the reason why there is none. A cancel waits until the snapshots are let go. It continues as new between activities.
 * Frozen once released: the names of activities and updates, and the order of what is scheduled (test/replay holds recorded histories).
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineUpdate,
  log,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  startChild,
  workflowInfo,
} from '@temporalio/workflow'
import type { PassResult, VerificationControlActivities, VerifyActivities } from '../activities/contract.ts'
import { type ActorArgs, taskQueues } from '../core/pipeline-control.ts'
import {
  type RepairInput,
  repairWorkflowId,
  repairWorkflowType,
  type VerificationInput,
  type VerificationTrouble,
  verificationUpdateNames,
} from '../core/verification-control.ts'
import { createCancellation } from './cancellation.ts'
import { blockedBy } from './failure.ts'
import { afterPass, troubleOf, verifyRetries, type Waiting } from './verification-states.ts'

/** What one run hands to the next. */
export interface CarriedVerification {
  readonly number: number
  /** That are not compared to their end, this one first. */
  readonly shards: readonly number[]
  readonly waiting: Waiting | null
}

export interface VerificationResult {
  readonly number: number | null
  readonly outcome: string | null
}

export const cancelUpdate = defineUpdate<{ isEnded: boolean }, [ActorArgs]>(verificationUpdateNames.cancel)

const defaultPassesPerRun = 200

export async function verification(
  input: VerificationInput,
  carried?: CarriedVerification,
): Promise<VerificationResult> {
  return CancellationScope.nonCancellable(() => run(input, carried))
}

async function run(input: VerificationInput, carried?: CarriedVerification): Promise<VerificationResult> {
  const { openVerification, endVerification } = proxyActivities<VerificationControlActivities>({
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    startToCloseTimeout: '30s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
  })
  const { planVerification, compareTables } = proxyActivities<VerifyActivities>({
    taskQueue: taskQueues(input.taskQueuePrefix).verify,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    startToCloseTimeout: '365d',
    heartbeatTimeout: '10s',
    retry: verifyRetries,
  })

  const { pipeline } = input
  let number = carried?.number ?? input.number ?? null
  let shards = carried?.shards ?? null
  let waiting = carried?.waiting ?? null
  let passes = 0
  const cancellation = createCancellation()
  cancellation.listen(cancelUpdate, () => ({ isEnded: cancellation.isEnded() }))

  const end = async (
    state: 'done' | 'failed' | 'cancelled',
    trouble: VerificationTrouble | null,
  ): Promise<VerificationResult> => {
    if (number === null) return { number, outcome: null }
    const ended = await endVerification({
      pipeline,
      number,
      state,
      actor: cancellation.by() ?? 'syncline',
      trouble,
    })
    cancellation.ended()
    if (ended.repair !== null) await startRepair(number, ended.repair)
    await condition(allHandlersFinished)
    return { number, outcome: ended.outcome }
  }
  const startRepair = async (
    of: number,
    { repair, needsApproval }: { repair: number; needsApproval: boolean },
  ): Promise<void> => {
    const { taskQueuePrefix } = input
    const repairInput: RepairInput = {
      pipeline,
      number: of,
      repair,
      needsApproval,
      ...(taskQueuePrefix === undefined ? {} : { taskQueuePrefix }),
    }
    await startChild(repairWorkflowType, {
      workflowId: repairWorkflowId(pipeline, of, repair),
      args: [repairInput],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    })
  }

  try {
    if (number === null) {
      const opened = await openVerification({ pipeline, workflow: workflowInfo().workflowId })
      if (opened === null) return { number: null, outcome: null }
      number = opened.number
    }
    const ref = { pipeline, number }
    if (shards === null) {
      const planned = await cancellation.attempt(() => planVerification(ref))
      if (planned === undefined) return await end('cancelled', null)
      if (planned.kind === 'refused') return await end('failed', planned.trouble)
      shards = planned.shards
    }
    while (shards.length > 0) {
      if (passes >= (input.passesPerRun ?? defaultPassesPerRun) || workflowInfo().continueAsNewSuggested) {
        if (await cancellation.leave())
          await continueAsNew<typeof verification>({ ...input, number }, { number, shards, waiting })
      }
      const shard = shards[0] as number
      setCurrentDetails(`shard ${shard + 1}, ${shards.length} to go`)
      const result: PassResult | undefined = await cancellation.attempt(() =>
        compareTables({ ...ref, shard }),
      )
      passes++
      if (result === undefined || cancellation.by() !== null) return await end('cancelled', null)
      const next = afterPass(result, waiting, Date.now())
      waiting = next.do === 'wait' ? next.waiting : null
      switch (next.do) {
        case 'again':
          break
        case 'next':
          shards = shards.slice(1)
          break
        case 'wait':
          if (!(await cancellation.pause(next.ms))) return await end('cancelled', null)
          break
        case 'fail':
          return await end('failed', next.trouble)
        case 'leave':
          return await end('cancelled', null)
      }
    }
    return await end('done', null)
  } catch (error) {
    if (cancellation.isLeaving() && cancellation.by() === null) throw error
    log.error('the verification failed', { error })
    return await end('failed', troubleOf(blockedBy(error)))
  }
}
