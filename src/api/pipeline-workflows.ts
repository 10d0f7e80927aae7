/**
 * The API's side of the workflow `pipeline`: start it, tell it, ask it.
 *
 * Guarantees: every call ends within a deadline. Temporal away is SYNC-1106, a workflow that no worker serves is SYNC-1108, and a command that
 * the workflow refuses carries the workflow's own code and remedy. Connects on first use and again by itself, without end.
 */
import {
  ApplicationFailure,
  Client,
  Connection,
  defaultGrpcRetryOptions,
  defaultPayloadConverter,
  isGrpcServiceError,
  makeGrpcRetryInterceptor,
  ServiceError,
  type WorkflowExecutionDescription,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client'
import { catalogue, type ErrorCode, SyncError } from '../core/errors.ts'
import {
  type PipelineInput,
  type PipelineState,
  type PipelineStatus,
  pipelineWorkflowId,
  pipelineWorkflowType,
  type ShardRef,
  searchAttributeNames,
  shardOfActivityId,
  statusQueryName,
  taskQueues,
  updateNames,
} from '../core/pipeline-control.ts'
import { createVerificationWorkflows, type VerificationWorkflows } from './verification-workflows.ts'

/** What Temporal itself knows of a pipeline, without asking a worker. */
export interface WorkflowDescription {
  readonly runId: string
  readonly isRunning: boolean
  /** COMPLETED, TERMINATED, ... as Temporal names it. */
  readonly status: string
  /** The state that the workflow announced last. */
  readonly announced: PipelineState | null
  /** The engine's activity, while there is one; of a pipeline with shards the first that there is. */
  readonly run: EngineRun | null
  /** The engines' activities of a pipeline with shards, while there are any, in the order of the shards. */
  readonly shardRuns: readonly (EngineRun & { readonly shard: ShardRef })[]
  /** Why the activity in hand is tried again, while it is. */
  readonly retrying: { readonly code: string; readonly message: string; readonly attempt: number } | null
  /** For how long a stream worker could have taken the activity in hand and none did, in milliseconds; 0 where one has. */
  readonly untakenMs: number
}

export interface EngineRun {
  /** Heartbeat details: what the engine said last. */
  readonly details: unknown
  readonly seenAt: Date | null
  readonly worker: string | null
  readonly attempt: number
}

export type Command = keyof typeof updateNames

export interface PipelineWorkflows {
  /** Throws SYNC-1106 unless Temporal answers. */
  ping(): Promise<void>
  /** Starts the workflow; one that runs already is left as it is. */
  start(input: Omit<PipelineInput, 'taskQueuePrefix'>): Promise<void>
  /** null: there is no workflow of this pipeline, or Temporal has forgotten it. */
  describe(pipeline: string): Promise<WorkflowDescription | null>
  /** null: no worker answers, or there is no workflow. */
  status(pipeline: string): Promise<PipelineStatus | null>
  /** Waits for the effect, at most 10 s. null: no workflow of this pipeline runs. @throws SyncError as the workflow refuses */
  command(
    pipeline: string,
    command: Command,
    args: {
      actor: string
      specGeneration?: number
      shards?: number
      tables?: readonly string[]
      basedOn?: number
      table?: string
      parking?: string
    },
  ): Promise<PipelineStatus | null>
  /** Asks the workflow to drain and end, and does not wait for it. false: it does not run. */
  requestStop(pipeline: string, actor: string): Promise<boolean>
  /** Waits until the workflow has ended; false when it still runs after `withinMs`. */
  ended(pipeline: string, withinMs: number): Promise<boolean>
  /** Ends the workflow where it stands, without a drain. */
  terminate(pipeline: string, reason: string): Promise<void>
  readonly verifications: VerificationWorkflows
  close(): Promise<void>
}

export interface TemporalOptions {
  /** host:port */
  readonly address: string
  readonly namespace: string
  readonly taskQueuePrefix?: string
  /** Default 5,000. An update waits for its effect for up to 10 s by itself, so commands get three times as long. */
  readonly callWithinMs?: number
}

const pingWithinMs = 2_000

export function createPipelineWorkflows(options: TemporalOptions): PipelineWorkflows {
  const { address, namespace, taskQueuePrefix, callWithinMs = 5_000 } = options
  const connection = Connection.lazy({
    address,
    // gRPC's own default lets a restarted Temporal wait for up to two minutes (grpc connection back-off).
    // Its default also asks an absent Temporal ten times, for half a minute; people wait for these answers.
    interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: 4 }))],
    channelArgs: {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      // A link that went silent is noticed after 20 s instead of the SDK's 45. Temporal ends connections that ping more often than
      // every 10 s (frontend.keepAliveMinTime).
      'grpc.keepalive_time_ms': 15_000,
      'grpc.keepalive_timeout_ms': 5_000,
    },
  })
  const { workflow, schedule: schedules } = new Client({ connection, namespace, identity: 'syncline-api' })
  const handleOf = (pipeline: string) => workflow.getHandle(pipelineWorkflowId(pipeline))

  let answeredAtMs = Number.NEGATIVE_INFINITY
  const ping = async (): Promise<void> => {
    try {
      await connection.withDeadline(Date.now() + pingWithinMs, () =>
        connection.workflowService.describeNamespace({ namespace }),
      )
      answeredAtMs = performance.now()
    } catch (cause) {
      const details = isGrpcServiceError(cause) ? cause.details : (cause as Error).message
      answeredAtMs = Number.NEGATIVE_INFINITY
      throw new SyncError('SYNC-1106', `Temporal at ${address}, namespace ${namespace}: ${details}`, {
        cause,
      })
    }
  }

  const call = async <T>(work: () => Promise<T>, withinMs = callWithinMs): Promise<T> => {
    // A call that waits for a worker looks the same as one that waits for Temporal: so that one is known first.
    if (performance.now() - answeredAtMs > 1_000) await ping()
    try {
      return await connection.withDeadline(Date.now() + withinMs, work)
    } catch (error) {
      const refusal = refusalIn(error)
      if (refusal !== null) throw refusal
      if (!isUnanswered(error)) throw error
      await ping()
      throw new SyncError('SYNC-1108', `no worker answered within ${withinMs / 1000} s`, { cause: error })
    }
  }
  /** The same, with null where there is no workflow (that runs). */
  const callIfThere = async <T>(work: () => Promise<T>, withinMs?: number): Promise<T | null> =>
    call(work, withinMs).catch((error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return null
      throw error
    })

  const updateWithinMs = 3 * callWithinMs
  const verifications = createVerificationWorkflows({
    workflow,
    schedules,
    taskQueuePrefix,
    call,
    callIfThere,
    updateWithinMs,
  })
  return {
    verifications,
    ping,
    async start({ pipeline, ...input }) {
      const args: PipelineInput = {
        pipeline,
        ...input,
        ...(taskQueuePrefix === undefined ? {} : { taskQueuePrefix }),
      }
      await call(() =>
        workflow.start(pipelineWorkflowType, {
          workflowId: pipelineWorkflowId(pipeline),
          taskQueue: taskQueues(taskQueuePrefix).control,
          args: [args],
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          staticSummary: `Pipeline ${pipeline}`,
        }),
      )
    },
    async describe(pipeline) {
      const found = await callIfThere(() => handleOf(pipeline).describe())
      return found === null ? null : descriptionOf(found)
    },
    async status(pipeline) {
      try {
        return await callIfThere(() => handleOf(pipeline).query<PipelineStatus>(statusQueryName), 3_000)
      } catch (error) {
        if (error instanceof SyncError && error.code === 'SYNC-1108') return null
        // "no poller seen for task queue recently" comes at once, as a failed precondition; a query that failed, as an invalid argument.
        if (error instanceof SyncError) throw error
        return null
      }
    },
    command: (pipeline, command, args) =>
      callIfThere(
        () =>
          handleOf(pipeline).executeUpdate<PipelineStatus, [typeof args]>(updateNames[command], {
            args: [args],
          }),
        updateWithinMs,
      ),
    async requestStop(pipeline, actor) {
      const started = await callIfThere(() =>
        handleOf(pipeline).startUpdate<PipelineStatus, [{ actor: string }]>(updateNames.stop, {
          args: [{ actor }],
          waitForStage: 'ACCEPTED',
        }),
      )
      return started !== null
    },
    async ended(pipeline, withinMs) {
      const until = Date.now() + withinMs
      for (;;) {
        const found = await callIfThere(() => handleOf(pipeline).describe())
        if (found === null || found.status.name !== 'RUNNING') return true
        if (Date.now() >= until) return false
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    },
    async terminate(pipeline, reason) {
      await callIfThere(() => handleOf(pipeline).terminate(reason))
    },
    close: () => connection.close(),
  }
}

function refusalIn(error: unknown): SyncError | null {
  if (!(error instanceof WorkflowUpdateFailedError) || !(error.cause instanceof ApplicationFailure))
    return null
  const { type, message, details } = error.cause
  if (type === null || type === undefined || !(type in catalogue)) return null
  const remedy = (details?.[0] as { remedy?: string } | undefined)?.remedy
  return new SyncError(type as ErrorCode, message, remedy === undefined ? {} : { remedy })
}

// grpc status codes: 4 DEADLINE_EXCEEDED, 14 UNAVAILABLE, 1 CANCELLED (a channel that is closed under the call).
const unanswered = new Set([1, 4, 14])

function isUnanswered(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true
  if (isGrpcServiceError(error)) return unanswered.has(error.code)
  return error instanceof ServiceError && isUnanswered(error.cause)
}

function descriptionOf(found: WorkflowExecutionDescription): WorkflowDescription {
  const announced = found.typedSearchAttributes
    .getAll()
    .find(({ key }) => key.name === searchAttributeNames.phase)?.value
  const pending = found.raw.pendingActivities ?? []
  const running = pending.filter(({ activityType }) => activityType?.name === 'runPipeline')
  return {
    runId: found.runId,
    isRunning: found.status.name === 'RUNNING',
    status: found.status.name,
    announced: (announced as PipelineState | undefined) ?? null,
    retrying: retryingOf(pending.find(({ activityType }) => retriedActivities.has(activityType?.name ?? ''))),
    untakenMs: Math.max(0, ...pending.map(untakenMs)),
    run: running[0] === undefined ? null : runOf(running[0]),
    shardRuns: running
      .flatMap((activity) => {
        const shard = shardOfActivityId(activity.activityId ?? '')
        return shard === null ? [] : [{ ...runOf(activity), shard }]
      })
      .toSorted((a, b) => a.shard.index - b.shard.index),
  }
}

function runOf({
  heartbeatDetails,
  lastHeartbeatTime,
  lastWorkerIdentity,
  attempt,
}: PendingActivity): EngineRun {
  const payload = heartbeatDetails?.payloads?.[0]
  return {
    details: payload === undefined ? null : defaultPayloadConverter.fromPayload(payload),
    seenAt: lastHeartbeatTime === null || lastHeartbeatTime === undefined ? null : dateOf(lastHeartbeatTime),
    worker: lastWorkerIdentity ?? null,
    attempt: attempt ?? 1,
  }
}

const retriedActivities = new Set(['claimGeneration', 'checkPipeline', 'runPipeline'])

type PendingActivity = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number]

const streamActivities = new Set(['checkPipeline', 'runPipeline'])

const dateOf = ({ seconds, nanos }: { seconds?: unknown; nanos?: number | null }): Date =>
  new Date(Number(seconds) * 1000 + (nanos ?? 0) / 1e6)

function untakenMs({ activityType, state, scheduledTime, nextAttemptScheduleTime }: PendingActivity): number {
  // PENDING_ACTIVITY_STATE_SCHEDULED = 1 (temporal.api.enums.v1); also while it waits for its next attempt, which lies in the future then.
  const since = nextAttemptScheduleTime ?? scheduledTime
  if (state !== 1 || !streamActivities.has(activityType?.name ?? '') || since === null || since === undefined)
    return 0
  return Date.now() - dateOf(since).getTime()
}

/** An engine that runs again tells of its own retries; the failure of the attempt before it is the past. */
function retryingOf(activity: PendingActivity | undefined): WorkflowDescription['retrying'] {
  const failure = activity?.lastFailure
  const code = failure?.applicationFailureInfo?.type ?? ''
  // PENDING_ACTIVITY_STATE_STARTED = 2 (temporal.api.enums.v1).
  const runsAgain = activity?.activityType?.name === 'runPipeline' && activity.state === 2
  if (failure === undefined || failure === null || !(code in catalogue) || runsAgain) return null
  return { code, message: failure.message ?? '', attempt: activity?.attempt ?? 1 }
}
