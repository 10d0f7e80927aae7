/*
 * The real workflow on a real Temporal with scripted activities: what is under test is the workflow, so the activities do what the test
 * tells them, and remember how they were called. Two real workers poll the two queues.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CancelledFailure, Context } from '@temporalio/activity'
import { Client, Connection, type WorkflowHandle } from '@temporalio/client'
import { NativeConnection, Worker } from '@temporalio/worker'
import type { ControlActivities, RunResult, StreamActivities } from '../../../src/activities/contract.ts'
import {
  type PipelineInput,
  type PipelineStatus,
  pipelineWorkflowId,
  pipelineWorkflowType,
  taskQueues,
} from '../../../src/core/pipeline-control.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { installTemporalRuntime } from '../../../src/telemetry/temporal-log.ts'
import { ensureWorkflowBundle } from '../../../src/worker/workflow-bundle.ts'

export type RunInput = Parameters<StreamActivities['runPipeline']>[0]
export type AuditEntry = Parameters<ControlActivities['recordState']>[0]

/** Resolves what a call of an activity answers; `untilCancelled` behaves as an engine that streams and drains when asked. */
export interface Script {
  check(
    input: Parameters<StreamActivities['checkPipeline']>[0],
  ): ReturnType<StreamActivities['checkPipeline']>
  run(input: RunInput, untilCancelled: () => Promise<RunResult>): Promise<RunResult>
}

export const healthy: Script = {
  check: async () => null,
  run: async (input, untilCancelled) =>
    input.until === 'stopped' ? untilCancelled() : { kind: 'reached', phase: input.until },
}

/** One pipeline, and what its activities were asked to do. */
export interface ScriptedPipeline {
  readonly name: string
  readonly handle: WorkflowHandle
  readonly calls: string[]
  readonly runs: RunInput[]
  readonly audit: AuditEntry[]
  script: Script
  /** Runs that have begun and not ended, now and at most. */
  active: number
  maxActive: number
  /** Waits until the status shows what is wanted. */
  reaches(isWanted: (status: PipelineStatus) => boolean): Promise<PipelineStatus>
  /** Waits until the engine's last phase has begun. */
  streams(): Promise<PipelineStatus>
  status(): Promise<PipelineStatus>
  update(command: string, args?: object): Promise<PipelineStatus>
}

export interface ScriptedWorker {
  readonly client: Client
  readonly prefix: string
  start(script?: Script, input?: Partial<PipelineInput>): Promise<ScriptedPipeline>
  stop(): Promise<void>
}

export const startScriptedWorker = async (
  temporal: { address: string; namespace: string },
  drainMs = 20,
): Promise<ScriptedWorker> => {
  const { address, namespace } = temporal
  installTemporalRuntime(createLog('test', process.env['SYNCLINE_TEST_LOG'] ?? 'silent'))
  const connection = await NativeConnection.connect({ address })
  const clientConnection = await Connection.connect({ address })
  const client = new Client({ connection: clientConnection, namespace, identity: 'scripted-client' })
  const prefix = `t${randomBytes(4).toString('hex')}-`
  const queues = taskQueues(prefix)
  const pipelines = new Map<string, ScriptedPipeline>()
  const scripted = (name: string): ScriptedPipeline => {
    const known = pipelines.get(name)
    if (known === undefined) throw new Error(`the test has no pipeline ${name}`)
    return known
  }
  let generation = 0
  const untilCancelled = async (): Promise<RunResult> => {
    const context = Context.current()
    const beat = setInterval(() => context.heartbeat(), 100)
    try {
      await context.cancelled
    } catch (error) {
      if (!(error instanceof CancelledFailure)) throw error
      if (context.cancellationDetails?.cancelRequested !== true) throw error
      await new Promise((resolve) => setTimeout(resolve, drainMs))
    } finally {
      clearInterval(beat)
    }
    return { kind: 'drained' }
  }
  const control: ControlActivities = {
    async claimGeneration(pipeline) {
      scripted(pipeline).calls.push('claim')
      return ++generation
    },
    async recordState(entry) {
      const { audit } = scripted(entry.pipeline)
      if (!audit.some((known) => known.key === entry.key)) audit.push(entry)
    },
  }
  const stream: StreamActivities = {
    async checkPipeline(input) {
      const pipeline = scripted(input.pipeline)
      pipeline.calls.push(`check ${input.specGeneration}`)
      return pipeline.script.check(input)
    },
    async runPipeline(input) {
      const pipeline = scripted(input.pipeline)
      pipeline.calls.push(`run ${input.until}`)
      pipeline.runs.push(input)
      pipeline.active++
      pipeline.maxActive = Math.max(pipeline.maxActive, pipeline.active)
      try {
        return await pipeline.script.run(input, untilCancelled)
      } finally {
        pipeline.active--
      }
    },
  }
  const start = async (script = healthy, input: Partial<PipelineInput> = {}): Promise<ScriptedPipeline> => {
    const name = `wf-${randomBytes(5).toString('hex')}`
    const handle = client.workflow.getHandle(pipelineWorkflowId(name))
    const pipeline: ScriptedPipeline = {
      name,
      handle,
      calls: [],
      runs: [],
      audit: [],
      script,
      active: 0,
      maxActive: 0,
      reaches: (isWanted) => waitForStatus(handle, isWanted),
      streams: () =>
        waitForStatus(
          handle,
          ({ state }) =>
            state === 'streaming' && pipeline.active === 1 && pipeline.runs.at(-1)?.until === 'stopped',
        ),
      status: () => handle.query<PipelineStatus>('status'),
      update: (command, args = {}) =>
        handle.executeUpdate<PipelineStatus, [object]>(command, { args: [{ actor: 'ann', ...args }] }),
    }
    pipelines.set(name, pipeline)
    await client.workflow.start(pipelineWorkflowType, {
      workflowId: pipelineWorkflowId(name),
      taskQueue: queues.control,
      args: [{ pipeline: name, specGeneration: 1, actor: 'tester', taskQueuePrefix: prefix, ...input }],
    })
    return pipeline
  }
  const codePath = await ensureWorkflowBundle(join(tmpdir(), 'syncline-test-bundles'))
  const shared = {
    connection,
    namespace,
    identity: 'scripted-worker',
    maxHeartbeatThrottleInterval: '100ms',
  } as const
  const workers = [
    await Worker.create({
      ...shared,
      taskQueue: queues.control,
      workflowBundle: { codePath },
      activities: control,
    }),
    await Worker.create({ ...shared, taskQueue: queues.stream, activities: stream }),
  ]
  const running = workers.map((worker) => worker.run())
  return {
    client,
    prefix,
    start,
    async stop() {
      for (const worker of workers) worker.shutdown()
      await Promise.all(running)
      await connection.close()
      await clientConnection.close()
    },
  }
}

/** Waits, for a bounded time, until the query `status` shows what is wanted. */
const waitForStatus = async (
  handle: WorkflowHandle,
  isWanted: (status: PipelineStatus) => boolean,
  withinMs = 20_000,
): Promise<PipelineStatus> => {
  const deadline = Date.now() + withinMs
  for (;;) {
    const status = await handle.query<PipelineStatus>('status')
    if (isWanted(status)) return status
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${JSON.stringify(status)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
