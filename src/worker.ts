/**
 * A worker process: `control` runs workflows and their small activities, `stream` runs engines, `verify` compares and repairs, `all` does all of it.
 * Any number of each.
 *
 * Guarantees: waits for Temporal as long as it takes, at the start and later; engines stream on meanwhile. When it is told to end, its
 * engines drain and their work is handed over at once. When it is killed, its engine hosts end with it, and another worker takes over after the
 * heartbeat timeout.
 */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker'
import { createContinuousActivities } from './activities/continuous.ts'
import { createContinuousEnds } from './activities/continuous-ends.ts'
import { createControlActivities } from './activities/control.ts'
import {
  createEngineSupervisor,
  type EngineSupervisor,
  type EngineSupervisorOptions,
} from './activities/engine-supervisor.ts'
import { createRecorder, type Recorder } from './activities/report-recorder.ts'
import { createStreamActivities } from './activities/stream.ts'
import { createVerificationControlActivities } from './activities/verification-control.ts'
import { createVerifyActivities } from './activities/verify.ts'
import { createVerifyEnds } from './activities/verify-ends.ts'
import { heapFlags } from './config/heap-flags.ts'
import { taskQueues } from './core/pipeline-control.ts'
import { openReportWriter, openStore, type Store } from './store/store.ts'
import { createLog, type Log } from './telemetry/log.ts'
import { createTemporalLink, type TemporalLink } from './worker/temporal-link.ts'
import { ensureWorkflowBundle } from './worker/workflow-bundle.ts'

export const workerRoles = ['control', 'stream', 'verify', 'all'] as const
export type WorkerRole = (typeof workerRoles)[number]

export interface RunWorkerOptions {
  readonly role: WorkerRole
  /** host:port */
  readonly temporalAddress: string
  readonly namespace: string
  /** The metadata file that the API uses too. */
  readonly storePath: string
  /** For what may be thrown away, such as the bundled workflow code. */
  readonly dataDir: string
  readonly taskQueuePrefix?: string
  /** Aborted: drain, hand over, end. */
  readonly signal: AbortSignal
  /** Engines that this worker runs at most: a pipeline has one, or one for each of its shards. Default 500. */
  readonly maxPipelines?: number
  /** Verifications and repairs that this worker runs at a time; others wait. Default 4. */
  readonly maxVerifications?: number
  /** Verifications that follow the log, in this worker. Default 100. */
  readonly maxContinuous?: number
  /** Limit of the heap of the process that runs the engines, in MiB. Default: as Node decides by the machine's memory. */
  readonly engineHeapMiB?: number
  readonly log?: Log
  /** For tests: another module that exports `createRuntime`, and shorter times. */
  readonly runtimeModule?: string
  readonly supervision?: Partial<Pick<EngineSupervisorOptions, 'times' | 'silenceMs' | 'execArgv'>>
}

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const engineRuntime = fileURLToPath(new URL(`./activities/engine-runtime${extension}`, import.meta.url))
const retryMs = 1_000
const defaultMaxVerifications = 4
const defaultMaxContinuous = 100

/** Resolves when the worker has ended after `signal`. @throws only what no waiting mends, such as an unusable store */
export const runWorker = async (options: RunWorkerOptions): Promise<void> => {
  const { role, signal } = options
  const log = options.log ?? createLog(role === 'all' ? 'worker' : `${role}-worker`)
  const link = createTemporalLink({ address: options.temporalAddress, namespace: options.namespace }, log)
  const serves = (part: WorkerRole): boolean => role === part || role === 'all'
  const store = serves('control') || serves('verify') ? openStore(options.storePath) : null
  const bundlePath = serves('control') ? await ensureWorkflowBundle(options.dataDir) : null
  const reports = serves('stream') ? openReportWriter(options.storePath) : null
  const recorder = createRecorder(
    (list) => reports?.put(list),
    (error) => log.warn({ error }, 'figures cannot be stored; tried again every second'),
  )
  const supervisor = !serves('stream') ? null : startSupervisor(options, link, recorder, log)
  try {
    while (!signal.aborted) {
      try {
        const connection = await link.connect(signal)
        const workers = await createWorkers(options, connection, store, bundlePath, supervisor)
        await runUntil(workers, signal, log)
      } catch (error) {
        if (signal.aborted) break
        log.error({ error }, 'the worker lost its footing and starts again')
        await sleep(retryMs, undefined, { signal }).catch(() => {})
      }
    }
  } finally {
    await supervisor?.close()
    recorder.close()
    reports?.close()
    await link.close()
    store?.close()
    log.info('worker ended')
  }
}

const startSupervisor = (
  options: RunWorkerOptions,
  link: TemporalLink,
  recorder: Recorder,
  log: Log,
): EngineSupervisor =>
  createEngineSupervisor(
    {
      host: {
        runtimeModule: options.runtimeModule ?? engineRuntime,
        runtime: { storePath: options.storePath },
      },
      execArgv: heapFlags(options.engineHeapMiB ?? null),
      isTemporalReachable: () => link.isReachable(),
      onStatistics: (engine, report) => recorder.take(engine, report),
      ...options.supervision,
    },
    log,
  )

const createWorkers = async (
  options: RunWorkerOptions,
  connection: NativeConnection,
  store: Store | null,
  bundlePath: string | null,
  supervisor: EngineSupervisor | null,
): Promise<Worker[]> => {
  const queues = taskQueues(options.taskQueuePrefix)
  const shared: Pick<WorkerOptions, 'connection' | 'namespace' | 'identity' | 'shutdownForceTime'> = {
    connection,
    namespace: options.namespace,
    identity: `${options.role}-${process.pid}-${randomBytes(2).toString('hex')}@${hostname()}`,
    shutdownForceTime: '30s',
  }
  const workers: Worker[] = []
  if (store !== null && bundlePath !== null) {
    workers.push(
      await Worker.create({
        ...shared,
        taskQueue: queues.control,
        workflowBundle: { codePath: bundlePath },
        activities: {
          ...createControlActivities({ store }),
          ...createVerificationControlActivities({ store }),
        },
        // How long the tasks of a control worker that was killed wait for it before another may take them; default 10 s.
        stickyQueueScheduleToStartTimeout: '2s',
      }),
    )
  }
  if (supervisor !== null) {
    workers.push(
      await Worker.create({
        ...shared,
        taskQueue: queues.stream,
        activities: createStreamActivities({ supervisor, isEnding: () => options.signal.aborted }),
        maxConcurrentActivityTaskExecutions: options.maxPipelines ?? 500,
        // A worker that was frozen or cut off still holds its polls, and each swallows one attempt for a heartbeat timeout of 5 s: measured
        // 12 s until the takeover with one poll, 18 s with two, 30 s and more with the default of ten. (maxConcurrentActivityTaskPolls
        // has no effect in SDK 1.24.)
        activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
        // Cancellation and pause reach an activity with a heartbeat's answer, so this is how long a person waits for them.
        maxHeartbeatThrottleInterval: '500ms',
      }),
    )
  }
  if (store !== null && (options.role === 'verify' || options.role === 'all')) {
    workers.push(
      await Worker.create({
        ...shared,
        taskQueue: queues.verify,
        activities: createVerifyActivities({ store, runtime: createVerifyEnds({ store }) }),
        maxConcurrentActivityTaskExecutions: options.maxVerifications ?? defaultMaxVerifications,
        // As above: a worker that was cut off swallows one attempt for each of its polls.
        activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
        maxHeartbeatThrottleInterval: '500ms',
      }),
      await Worker.create({
        ...shared,
        taskQueue: queues.watch,
        activities: createContinuousActivities({ store, runtime: createContinuousEnds() }),
        maxConcurrentActivityTaskExecutions: options.maxContinuous ?? defaultMaxContinuous,
        activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
        maxHeartbeatThrottleInterval: '500ms',
      }),
    )
  }
  return workers
}

/**
 * Runs until the signal, or until one of the workers fails. They end one after the other, the one that runs engines first: the workflows
 * that hand its engines over are then still served, here if nowhere else.
 */
const runUntil = async (workers: readonly Worker[], signal: AbortSignal, log: Log): Promise<void> => {
  const inOrderOfEnding = [...workers].reverse()
  const shutdownNext = (): void =>
    inOrderOfEnding.find((worker) => worker.getState() === 'RUNNING')?.shutdown()
  const runs = workers.map(async (worker) => {
    try {
      await worker.run()
    } finally {
      shutdownNext()
    }
  })
  if (signal.aborted) shutdownNext()
  else signal.addEventListener('abort', shutdownNext, { once: true })
  log.info('worker at work')
  const ends = await Promise.allSettled(runs)
  signal.removeEventListener('abort', shutdownNext)
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

const usage =
  'worker --role control|stream|verify|all --temporal HOST:PORT --namespace NAME --store FILE --data DIR [--prefix TEXT]'

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      role: { type: 'string', default: 'all' },
      temporal: { type: 'string', default: '127.0.0.1:7233' },
      namespace: { type: 'string', default: 'default' },
      store: { type: 'string' },
      data: { type: 'string' },
      prefix: { type: 'string' },
      runtime: { type: 'string' },
    },
  })
  const { role, store, data } = values
  if (store === undefined || data === undefined || !workerRoles.some((known) => known === role)) {
    process.stderr.write(`${usage}\n`)
    process.exit(2)
  }
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    // A second Ctrl-C means now; whatever is in flight is settled by the next takeover.
    process.on(name, () => (controller.signal.aborted ? process.exit(130) : controller.abort()))
  }
  await runWorker({
    role: role as WorkerRole,
    temporalAddress: values.temporal,
    namespace: values.namespace,
    storePath: store,
    dataDir: data,
    signal: controller.signal,
    ...(values.prefix === undefined ? {} : { taskQueuePrefix: values.prefix }),
    ...(values.runtime === undefined ? {} : { runtimeModule: values.runtime }),
  })
  process.exit(0)
}

if (import.meta.main) await main()
