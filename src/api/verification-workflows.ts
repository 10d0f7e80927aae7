/**
 * The API's side of the workflows `verification` and `repair`, and of the schedules that start verifications.
 *
 * Every call ends within a deadline, as those of pipeline-workflows.ts do, whose connection this uses.
 */
import {
  type Client,
  type ScheduleClient,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
} from '@temporalio/client'
import { taskQueues } from '../core/pipeline-control.ts'
import {
  continuousWorkflowType,
  type RepairInput,
  repairWorkflowId,
  repairWorkflowType,
  scheduledWorkflowId,
  type VerificationInput,
  verificationScheduleId,
  verificationUpdateNames,
  verificationWorkflowType,
} from '../core/verification-control.ts'

export interface VerificationWorkflows {
  /** Starts the workflow; one that runs already is left as it is. */
  start(run: { pipeline: string; number: number; workflow: string; request: { mode: string } }): Promise<void>
  startRepair(repair: Omit<RepairInput, 'taskQueuePrefix'>): Promise<void>
  /** Waits for the end, at most 10 s. false: there is no such workflow (that runs). */
  cancel(workflowId: string, actor: string): Promise<boolean>
  /** false: there is no such workflow (that runs). @throws SyncError SYNC-5145 where nothing waits for it */
  approve(workflowId: string, actor: string): Promise<boolean>
  /** For how long a verify worker could have taken what the workflow waits for and none did; null: the workflow does not run. */
  untakenMs(workflowId: string): Promise<number | null>
  /** Ends the workflow where it stands. */
  terminate(workflowId: string, reason: string): Promise<void>
  /** Makes the schedule of a pipeline say this; null: there is none. */
  schedule(pipeline: string, cron: string | null): Promise<void>
}

/** What is lent by pipeline-workflows.ts. */
export interface TemporalCalls {
  readonly workflow: Client['workflow']
  readonly schedules: ScheduleClient
  readonly taskQueuePrefix: string | undefined
  /** @throws SyncError SYNC-1106, SYNC-1108, or as the workflow refuses */
  readonly call: <T>(work: () => Promise<T>, withinMs?: number) => Promise<T>
  /** The same, with null where there is no workflow (that runs). */
  readonly callIfThere: <T>(work: () => Promise<T>, withinMs?: number) => Promise<T | null>
  readonly updateWithinMs: number
}

/** One that was missed while Temporal was away is made up for within this time. */
const catchUpWithin = '10 minutes'

export function createVerificationWorkflows(calls: TemporalCalls): VerificationWorkflows {
  const { workflow, schedules, taskQueuePrefix, call, callIfThere, updateWithinMs } = calls
  const prefixed = taskQueuePrefix === undefined ? {} : { taskQueuePrefix }
  const taskQueue = taskQueues(taskQueuePrefix).control
  const update = async (workflowId: string, name: string, actor: string): Promise<boolean> =>
    (await callIfThere(
      () =>
        workflow
          .getHandle(workflowId)
          .executeUpdate<object, [{ actor: string }]>(name, { args: [{ actor }] }),
      updateWithinMs,
    )) !== null

  return {
    async start({ pipeline, number, workflow: workflowId, request }) {
      const type = request.mode === 'continuous' ? continuousWorkflowType : verificationWorkflowType
      const input: VerificationInput = { pipeline, number, ...prefixed }
      await call(() =>
        workflow.start(type, {
          workflowId,
          taskQueue,
          args: [input],
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          staticSummary: `Verification ${number} of pipeline ${pipeline}`,
        }),
      )
    },
    async startRepair(repair) {
      const input: RepairInput = { ...repair, ...prefixed }
      await call(() =>
        workflow.start(repairWorkflowType, {
          workflowId: repairWorkflowId(repair.pipeline, repair.number, repair.repair),
          taskQueue,
          args: [input],
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          staticSummary: `Repair ${repair.repair} of verification ${repair.number} of pipeline ${repair.pipeline}`,
        }),
      )
    },
    cancel: (workflowId, actor) => update(workflowId, verificationUpdateNames.cancel, actor),
    approve: (workflowId, actor) => update(workflowId, verificationUpdateNames.approve, actor),
    async untakenMs(workflowId) {
      const found = await callIfThere(() => workflow.getHandle(workflowId).describe())
      if (found === null || found.status.name !== 'RUNNING') return null
      const waits = (found.raw.pendingActivities ?? [])
        // PENDING_ACTIVITY_STATE_SCHEDULED = 1 (temporal.api.enums.v1); also while it waits for its next attempt, which lies in the future then.
        .filter(({ state }) => state === 1)
        .map(({ nextAttemptScheduleTime, scheduledTime }) => {
          const since = nextAttemptScheduleTime ?? scheduledTime
          return since === null || since === undefined
            ? 0
            : Date.now() - (Number(since.seconds) * 1000 + (since.nanos ?? 0) / 1e6)
        })
      return Math.max(0, ...waits)
    },
    async terminate(workflowId, reason) {
      await callIfThere(() => workflow.getHandle(workflowId).terminate(reason))
    },
    async schedule(pipeline, cron) {
      const handle = schedules.getHandle(verificationScheduleId(pipeline))
      if (cron === null) {
        await call(() => handle.delete().catch(unlessMissing))
        return
      }
      const input: VerificationInput = { pipeline, ...prefixed }
      const stated = {
        spec: { cronExpressions: [cron] },
        policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: catchUpWithin },
        action: {
          type: 'startWorkflow' as const,
          workflowType: verificationWorkflowType,
          workflowId: scheduledWorkflowId(pipeline),
          taskQueue,
          args: [input],
        },
      }
      const isThere = await call(() =>
        handle
          .update(({ state }) => ({ ...stated, state }))
          .then(() => true)
          .catch(unlessMissing),
      )
      if (isThere !== true)
        await call(() => schedules.create({ scheduleId: verificationScheduleId(pipeline), ...stated }))
    },
  }
}

const unlessMissing = (error: unknown): undefined => {
  if (error instanceof ScheduleNotFoundError) return undefined
  throw error
}
