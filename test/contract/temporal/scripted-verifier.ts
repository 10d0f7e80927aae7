/*
 * The real workflows of verification and repair, their real activities and a real store, on a real Temporal; only the two ends are scripted: what is
 * compared and repaired is what the test says.
 */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection, type WorkflowHandle } from '@temporalio/client'
import { NativeConnection, Worker } from '@temporalio/worker'
import { createContinuousActivities } from '../../../src/activities/continuous.ts'
import type { ContinuousRun } from '../../../src/activities/continuous-ends.ts'
import { createVerificationControlActivities } from '../../../src/activities/verification-control.ts'
import { createVerifyActivities } from '../../../src/activities/verify.ts'
import type {
  PassStep,
  RowsAtEnds,
  SettledRow,
  VerifyPass,
  VerifyRuntime,
} from '../../../src/activities/verify-runtime.ts'
import { continuousRequestOf, verifySettings } from '../../../src/config/verify.ts'
import { taskQueues } from '../../../src/core/pipeline-control.ts'
import type { Difference } from '../../../src/core/verification.ts'
import {
  continuousWorkflowType,
  repairWorkflowId,
  repairWorkflowType,
  verificationWorkflowType,
} from '../../../src/core/verification-control.ts'
import { noTally, type VerificationRequest } from '../../../src/core/verification-request.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import type { ComparedTable, PlannedTable } from '../../../src/store/verifications.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { installTemporalRuntime } from '../../../src/telemetry/temporal-log.ts'
import { ensureWorkflowBundle } from '../../../src/worker/workflow-bundle.ts'
import { endpoint, pipeline } from '../../unit/store/documents.ts'

export interface ScriptedEnds {
  plan(request: VerificationRequest): Promise<readonly PlannedTable[]>
  /** Throws where it cannot be aligned. */
  align(shard: number): Promise<Partial<VerifyPass>>
  compare(table: ComparedTable, signal: AbortSignal): AsyncIterable<PassStep>
  settle(key: readonly unknown[]): Promise<Omit<SettledRow, 'key'>>
  repair: RowsAtEnds['repair']
  /** What follows the log; until the run's signal, or what it throws. */
  follow?(run: ContinuousRun): Promise<void>
}

export const table = (name: string, more: Partial<PlannedTable> = {}): PlannedTable => ({
  name,
  target: name,
  columns: [{ source: 'id', target: 'id', kind: 'int', isKey: true }],
  shard: 0,
  after: null,
  upTo: null,
  rowsEstimated: 100,
  trouble: null,
  ...more,
})

export const difference = (id: number): Difference => ({
  table: 's.t',
  kind: 'different',
  key: [id],
  source: { id: `${id}`, note: 'right' },
  target: { id: `${id}`, note: 'wrong' },
  columns: ['note'],
})

/** Equal rows of one table, in two steps. */
export const healthyEnds: ScriptedEnds = {
  plan: async () => [table('s.t')],
  align: async () => ({}),
  async *compare({ cursor }) {
    const tally = { ...noTally, rowsCompared: 50, equal: 50 }
    if (cursor === null) yield { cursor: [50], isDone: false, tally, differences: [] }
    yield { cursor: null, isDone: true, tally, differences: [] }
  },
  settle: async () => ({ verdict: 'equal', source: null, target: null }),
  repair: async (name, keys) => keys.map((key) => ({ table: name, key, outcome: 'written' })),
}

/** Differences in the one table, and rows that are equal once they were repaired. */
export const endsThatDiffer = (rows: number): ScriptedEnds => {
  const repaired = new Set<string>()
  return {
    ...healthyEnds,
    async *compare() {
      yield {
        cursor: null,
        isDone: true,
        tally: { ...noTally, rowsCompared: rows, different: rows },
        differences: Array.from({ length: rows }, (_, index) => difference(index + 1)),
      }
    },
    settle: async (key) => {
      const isMended = repaired.has(String(key))
      const { source, target } = difference(Number(key[0]))
      return { verdict: isMended ? 'equal' : 'different', source, target: isMended ? source : target }
    },
    repair: async (name, keys) =>
      keys.map((key) => {
        repaired.add(String(key))
        return { table: name, key, outcome: 'written' as const }
      }),
  }
}

export interface ScriptedVerifier {
  readonly store: Store
  readonly client: Client
  readonly prefix: string
  /** A pipeline with ends of its own. */
  pipeline(ends: ScriptedEnds, spec?: Record<string, unknown>): string
  /** Asks for a verification and starts its workflow. */
  verify(name: string, input?: { passesPerRun?: number }): Promise<{ number: number; handle: WorkflowHandle }>
  /** Asks for a verification that follows the log. */
  watch(name: string, input?: { passesPerRun?: number }): Promise<{ number: number; handle: WorkflowHandle }>
  repair(
    name: string,
    number: number,
    options?: { needsApproval?: boolean; passesPerRun?: number },
  ): Promise<{ repair: number; handle: WorkflowHandle }>
  /** A verify worker; `end` lets it end. */
  startWorker(): Promise<{ end(): Promise<void> }>
  stop(): Promise<void>
}

export async function startScriptedVerifier(temporal: {
  address: string
  namespace: string
}): Promise<ScriptedVerifier> {
  const { address, namespace } = temporal
  installTemporalRuntime(createLog('test', process.env['SYNCLINE_TEST_LOG'] ?? 'silent'))
  const connection = await NativeConnection.connect({ address })
  const clientConnection = await Connection.connect({ address })
  const client = new Client({ connection: clientConnection, namespace, identity: 'scripted-client' })
  const prefix = `t${randomBytes(4).toString('hex')}-`
  const queues = taskQueues(prefix)
  const store = openStore(':memory:')
  store.endpoints.apply(endpoint('a'), 'ann')
  store.endpoints.apply(endpoint('b'), 'ann')
  const endsOf = new Map<string, ScriptedEnds>()
  const of = (name: string): ScriptedEnds => endsOf.get(name) as ScriptedEnds

  const runtime: VerifyRuntime = {
    plan: (stored, request) => of(stored.pipeline.metadata.name).plan(request),
    async openPass(stored, shard, signal) {
      const ends = of(stored.pipeline.metadata.name)
      const aligned = await ends.align(shard)
      return {
        position: 'uuid:1-5',
        pausedMs: 3,
        incomplete: [],
        compare: (compared) => ends.compare(compared, signal),
        close: async () => {},
        ...aligned,
      }
    },
    async openRows(stored) {
      const ends = of(stored.pipeline.metadata.name)
      return {
        settle: (_, keys) => Promise.all(keys.map(async (key) => ({ key, ...(await ends.settle(key)) }))),
        repair: ends.repair,
        close: async () => {},
      }
    },
  }

  const shared = { connection, namespace, identity: 'scripted-verifier' } as const
  const running: { worker: Worker; run: Promise<void> }[] = []
  const start = (worker: Worker) => {
    const entry = { worker, run: worker.run() }
    running.push(entry)
    return {
      async end() {
        if (worker.getState() === 'RUNNING') worker.shutdown()
        await entry.run
      },
    }
  }
  const codePath = await ensureWorkflowBundle(join(tmpdir(), 'syncline-test-bundles'))
  start(
    await Worker.create({
      ...shared,
      taskQueue: queues.control,
      workflowBundle: { codePath },
      activities: createVerificationControlActivities({ store }),
    }),
  )
  const watching = createContinuousActivities({
    store,
    runtime: {
      async follow(stored, run) {
        await of(stored.pipeline.metadata.name).follow?.(run)
        await new Promise((_, reject) => {
          run.signal.addEventListener('abort', () => reject(run.signal.reason as Error))
          if (run.signal.aborted) reject(run.signal.reason as Error)
        })
        throw new Error('never')
      },
    },
  })
  const startWorker = async () => {
    const both = [
      start(
        await Worker.create({
          ...shared,
          taskQueue: queues.verify,
          activities: createVerifyActivities({ store, runtime }),
          maxHeartbeatThrottleInterval: '100ms',
        }),
      ),
      start(
        await Worker.create({
          ...shared,
          taskQueue: queues.watch,
          activities: watching,
          maxHeartbeatThrottleInterval: '100ms',
        }),
      ),
    ]
    return {
      async end() {
        await Promise.all(both.map((worker) => worker.end()))
      },
    }
  }

  return {
    store,
    client,
    prefix,
    startWorker,
    pipeline(ends, spec = {}) {
      const name = `vf-${randomBytes(5).toString('hex')}`
      store.pipelines.apply(pipeline(name, spec), 'ann')
      endsOf.set(name, ends)
      return name
    },
    async verify(name, input = {}) {
      const { number, workflow } = store.verifications.create({
        pipeline: name,
        origin: 'person',
        actor: 'ann',
        generation: 1,
        request: { mode: 'checksum', tables: [], ranges: [], sample: 1, maxDifferences: 100 },
      })
      const handle = await client.workflow.start(verificationWorkflowType, {
        workflowId: workflow,
        taskQueue: queues.control,
        args: [{ pipeline: name, number, taskQueuePrefix: prefix, ...input }],
      })
      return { number, handle }
    },
    async watch(name, input = {}) {
      const { number, workflow } = store.verifications.create({
        pipeline: name,
        origin: 'person',
        actor: 'ann',
        generation: 1,
        request: continuousRequestOf(verifySettings(undefined), false),
      })
      const handle = await client.workflow.start(continuousWorkflowType, {
        workflowId: workflow,
        taskQueue: queues.control,
        args: [{ pipeline: name, number, taskQueuePrefix: prefix, ...input }],
      })
      return { number, handle }
    },
    async repair(name, number, { needsApproval = false, ...input } = {}) {
      const { repair } = store.repairRuns.create({
        pipeline: name,
        number,
        actor: 'bob',
        needsApproval,
        maxRowsPerSecond: null,
      })
      const handle = await client.workflow.start(repairWorkflowType, {
        workflowId: repairWorkflowId(name, number, repair),
        taskQueue: queues.control,
        args: [{ pipeline: name, number, repair, needsApproval, taskQueuePrefix: prefix, ...input }],
      })
      return { repair, handle }
    },
    async stop() {
      for (const { worker, run } of running.toReversed()) {
        if (worker.getState() === 'RUNNING') worker.shutdown()
        await run
      }
      await connection.close()
      await clientConnection.close()
      store.close()
    },
  }
}
