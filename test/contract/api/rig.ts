/*
 * The API over a real store and a real Temporal, asked without a socket. Workers come and go as a test says: the real workflow, the real
 * control activities on the same store, and an engine that only tells what a test gives it to tell.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CancelledFailure, Context } from '@temporalio/activity'
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import type { Blocked, StreamActivities } from '../../../src/activities/contract.ts'
import { createControlActivities } from '../../../src/activities/control.ts'
import { createApp } from '../../../src/api/app.ts'
import { createPipelineWorkflows } from '../../../src/api/pipeline-workflows.ts'
import type { PipelineStatusAnswer, Problem } from '../../../src/api/wire.ts'
import { taskQueues } from '../../../src/core/pipeline-control.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { ensureWorkflowBundle } from '../../../src/worker/workflow-bundle.ts'

Runtime.install({ logger: new DefaultLogger('ERROR') })

export interface Answer<T = unknown> {
  readonly status: number
  readonly headers: Headers
  readonly body: T
}

export interface ApiRig {
  readonly store: Store
  readonly prefix: string
  /** A name that no other test has. */
  name(word: string): string
  ask<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>
  refusal(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<[number, string, Problem]>
  /** Waits until a pipeline's status shows what is wanted. */
  reaches(
    pipeline: string,
    isWanted: (status: PipelineStatusAnswer) => boolean,
  ): Promise<PipelineStatusAnswer>
  startWorker(engine?: ScriptedEngine): Promise<{ stop(): Promise<void> }>
  close(): Promise<void>
}

export interface ScriptedEngine {
  /** What the pre-checks find, by generation of the spec. */
  check?(specGeneration: number): Blocked | null
  /** Heartbeat details. */
  report?: object
  /** Milliseconds that a drain takes. */
  drainMs?: number
}

export async function startApi(
  temporal: { address: string; namespace: string },
  options: { drainWithinMs?: number; callWithinMs?: number } = {},
): Promise<ApiRig> {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-api-'))
  const store = openStore(join(folder, 'store.db'))
  const prefix = `t${randomBytes(4).toString('hex')}-`
  const workflows = createPipelineWorkflows({
    ...temporal,
    taskQueuePrefix: prefix,
    callWithinMs: options.callWithinMs ?? 5_000,
  })
  const app = createApp({ store, workflows, drainWithinMs: options.drainWithinMs ?? 10_000 })
  const workers: { stop(): Promise<void> }[] = []

  const ask = async <T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const answer = await app.request(path, {
      method,
      headers: { 'x-syncline-actor': 'ann', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    return {
      status: answer.status,
      headers: answer.headers,
      body: (text === '' ? null : JSON.parse(text)) as T,
    }
  }
  return {
    store,
    prefix,
    name: (word) => `${word}-${randomBytes(4).toString('hex')}`,
    ask,
    async refusal(method, path, body, headers) {
      const answer = await ask<Problem>(method, path, body, headers)
      if (answer.headers.get('content-type') !== 'application/problem+json') {
        throw new Error(`not a problem: ${answer.status} ${JSON.stringify(answer.body)}`)
      }
      return [answer.status, answer.body.code, answer.body]
    },
    async reaches(pipeline, isWanted) {
      const deadline = Date.now() + 20_000
      for (;;) {
        const { body } = await ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${pipeline}/status`)
        if (isWanted(body)) return body
        if (Date.now() > deadline) throw new Error(`not within 20 s: ${JSON.stringify(body)}`)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    async startWorker(engine = {}) {
      const worker = await startWorkers(temporal, prefix, store, engine)
      workers.push(worker)
      return worker
    },
    async close() {
      for (const worker of workers) await worker.stop()
      await workflows.close()
      store.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** Real workflow, real control activities, scripted engine. */
export async function startWorkers(
  { address, namespace }: { address: string; namespace: string },
  prefix: string,
  store: Store,
  engine: ScriptedEngine,
): Promise<{ stop(): Promise<void> }> {
  const stream: StreamActivities = {
    checkPipeline: async ({ specGeneration }) => engine.check?.(specGeneration) ?? null,
    async runPipeline({ until }) {
      const context = Context.current()
      context.heartbeat(engine.report)
      if (until !== 'stopped') return { kind: 'reached', phase: until }
      const beat = setInterval(() => context.heartbeat(engine.report), 100)
      try {
        await context.cancelled
      } catch (error) {
        if (!(error instanceof CancelledFailure) || context.cancellationDetails?.cancelRequested !== true)
          throw error
        await new Promise((resolve) => setTimeout(resolve, engine.drainMs ?? 20))
      } finally {
        clearInterval(beat)
      }
      return { kind: 'drained' }
    },
  }
  const connection = await NativeConnection.connect({ address })
  const codePath = await ensureWorkflowBundle(join(tmpdir(), 'syncline-test-bundles'))
  const queues = taskQueues(prefix)
  const shared = { connection, namespace, maxHeartbeatThrottleInterval: '100ms' } as const
  const control = createControlActivities({ store })
  const workers = [
    await Worker.create({
      ...shared,
      taskQueue: queues.control,
      workflowBundle: { codePath },
      activities: control,
    }),
    await Worker.create({ ...shared, taskQueue: queues.stream, activities: stream }),
  ]
  const running = Promise.all(workers.map((worker) => worker.run()))
  let stopped = false
  return {
    async stop() {
      if (stopped) return
      stopped = true
      for (const worker of workers) worker.shutdown()
      await running
      await connection.close()
    },
  }
}
