/*
 * Workers as processes of their own (src/worker.ts), with scripted engines that write into a SQLite file with a fence, so that tests can kill,
 * stop and continue them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { Client, Connection, defaultPayloadConverter } from '@temporalio/client'
import type { RunHeartbeat } from '../../../src/activities/heartbeat.ts'
import {
  type PipelineStatus,
  pipelineWorkflowId,
  pipelineWorkflowType,
  taskQueues,
} from '../../../src/core/pipeline-control.ts'
import type { EngineCommand } from '../temporal-supervisor/scripted-runtime.ts'
import {
  commandEngine,
  eventually,
  scriptedRuntimePath,
  scriptedTarget,
  type WriteRow,
  writesOf,
} from '../temporal-supervisor/supervisor-bench.ts'

const entry = fileURLToPath(new URL('../../../src/worker.ts', import.meta.url))
const dataDir = join(tmpdir(), 'syncline-test-bundles')

export interface WorkerProcess {
  readonly pid: number
  log(): string
  signal(name: NodeJS.Signals): void
  readonly exited: Promise<number | null>
}

export interface Fleet {
  readonly client: Client
  startWorker(role: 'control' | 'stream'): Promise<WorkerProcess>
  /** Starts the workflow of a pipeline of this name and waits until its engine's last phase runs. */
  startPipeline(name?: string): Promise<FleetPipeline>
  /**
   * Stops a host, but not in the middle of a transaction: other than a MySQL server, SQLite would wait for it for ever.
   */
  freezeHost(pid: number): Promise<void>
  close(): Promise<void>
}

export interface FleetPipeline {
  readonly name: string
  status(): Promise<PipelineStatus>
  update(command: string): Promise<PipelineStatus>
  /** What the engine said last, and the identity of the worker that runs it. */
  heartbeat(): Promise<{ details: RunHeartbeat | null; worker: string; attempt: number; type: string } | null>
  reaches(isWanted: (status: PipelineStatus) => boolean): Promise<PipelineStatus>
  command(command: EngineCommand): void
  writes(): WriteRow[]
  /** Waits until something was written after this moment. */
  goesOn(): Promise<void>
  /** Waits until the engine runs under the worker of this process. */
  runsOn(worker: WorkerProcess): Promise<void>
}

export const startFleet = async (temporal: { address: string; namespace: string }): Promise<Fleet> => {
  const { address, namespace } = temporal
  const scripted = await scriptedTarget()
  const { path, target } = scripted
  const connection = Connection.lazy({
    address,
    channelArgs: { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 500 },
  })
  const client = new Client({ connection, namespace })
  const prefix = `w${randomBytes(4).toString('hex')}-`
  const processes: ChildProcess[] = []
  const folder = await mkdtemp(join(tmpdir(), 'syncline-fleet-'))

  const startWorker = async (role: 'control' | 'stream'): Promise<WorkerProcess> => {
    const args = [entry, '--role', role, '--temporal', address, '--namespace', namespace, '--data', dataDir]
    args.push('--prefix', prefix, '--store', role === 'control' ? join(folder, 'control.db') : path)
    args.push('--runtime', scriptedRuntimePath)
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    processes.push(child)
    let text = ''
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (process.env['SYNCLINE_TEST_LOG'] !== undefined) process.stderr.write(chunk)
    })
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const died = exited.then(() => {
      throw new Error(`the ${role} worker ended at its start:\n${text}`)
    })
    died.catch(() => {})
    await Promise.race([died, eventually('the worker says something', () => text !== '')])
    return { pid: child.pid ?? 0, log: () => text, signal: (name) => void child.kill(name), exited }
  }

  const startPipeline = async (name = `fleet-${randomBytes(4).toString('hex')}`): Promise<FleetPipeline> => {
    const handle = client.workflow.getHandle(pipelineWorkflowId(name))
    const pipeline: FleetPipeline = {
      name,
      status: () => handle.query<PipelineStatus>('status'),
      update: (command) =>
        handle.executeUpdate<PipelineStatus, [object]>(command, { args: [{ actor: 'ann' }] }),
      async heartbeat() {
        const { raw } = await handle.describe()
        const run = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'runPipeline')
        if (run === undefined) return null
        const payload = run.heartbeatDetails?.payloads?.[0]
        return {
          details: payload === undefined ? null : defaultPayloadConverter.fromPayload<RunHeartbeat>(payload),
          worker: run.lastWorkerIdentity ?? '',
          attempt: run.attempt ?? 0,
          type: run.activityType?.name ?? '',
        }
      },
      async reaches(isWanted) {
        const deadline = Date.now() + 40_000
        for (;;) {
          const status = await pipeline.status()
          if (isWanted(status)) return status
          if (Date.now() > deadline) throw new Error(`not within 40 s: ${JSON.stringify(status)}`)
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      },
      command: (command) => commandEngine(target, name, command),
      writes: () => writesOf(target, name),
      async goesOn() {
        const since = Date.now()
        await eventually('it writes on', () => (pipeline.writes().at(-1)?.at ?? 0) > since, 60_000)
      },
      async runsOn(worker) {
        const deadline = Date.now() + 60_000
        for (;;) {
          const beat = await pipeline.heartbeat()
          if (beat?.worker.startsWith(`stream-${worker.pid}-`) && beat.details !== null) return
          if (Date.now() > deadline) throw new Error(`does not run on ${worker.pid}: ${JSON.stringify(beat)}`)
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      },
    }
    await client.workflow.start(pipelineWorkflowType, {
      workflowId: pipelineWorkflowId(name),
      taskQueue: taskQueues(prefix).control,
      args: [{ pipeline: name, specGeneration: 1, actor: 'tester', taskQueuePrefix: prefix }],
    })
    return pipeline
  }

  return {
    client,
    startWorker,
    startPipeline,
    async freezeHost(pid) {
      const probe = new DatabaseSync(path, { timeout: 0 })
      for (let attempt = 0; attempt < 200; attempt++) {
        process.kill(pid, 'SIGSTOP')
        try {
          probe.exec('BEGIN IMMEDIATE; ROLLBACK')
          probe.close()
          return
        } catch {
          process.kill(pid, 'SIGCONT')
          await new Promise((resolve) => setTimeout(resolve, 7))
        }
      }
      throw new Error(`host ${pid} was in a transaction each time`)
    },
    async close() {
      for (const child of processes) {
        child.kill('SIGCONT')
        child.kill('SIGKILL')
      }
      await connection.close()
      await scripted.remove()
    },
  }
}

/** Every number once and in order, under epochs that only grow. */
export const exactness = (writes: readonly WriteRow[]): { inOrder: boolean; epochsGrow: boolean } => ({
  inOrder: writes.every((write, index) => write.n === index + 1),
  epochsGrow: writes.every(
    (write, index) => index === 0 || BigInt(write.epoch) >= BigInt(writes[index - 1]?.epoch ?? 0),
  ),
})

/** Longest time without a write, for people who read the test's output. */
export const longestGapMs = (writes: readonly WriteRow[]): number =>
  Math.round(Math.max(0, ...writes.map((write, index) => write.at - (writes[index - 1]?.at ?? write.at))))
