/*
 * The whole way with nothing scripted: spec in the store, workflow, worker processes, the real engine, two MySQL servers. What each part does
 * in every case is tested elsewhere; here they are held against each other.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client, Connection, type WorkflowHandle } from '@temporalio/client'
import type { Connection as MysqlConnection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { RunHeartbeat } from '../../../src/activities/heartbeat.ts'
import { endpoint } from '../../../src/config/endpoint.ts'
import { pipeline as pipelineDocument } from '../../../src/config/pipeline.ts'
import {
  type PipelineStatus,
  pipelineWorkflowId,
  pipelineWorkflowType,
  taskQueues,
} from '../../../src/core/pipeline-control.ts'
import type { StoredReport } from '../../../src/store/reports.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { connect, freshDatabase, sharedSource, sharedTarget, sharedTemporal } from '../../support/servers.ts'

const entry = fileURLToPath(new URL('../../../src/worker.ts', import.meta.url))
const prefix = `r${randomBytes(4).toString('hex')}-`
const processes: ChildProcess[] = []
let folder: string
let store: Store
let client: Client
let connection: Connection
let source: MysqlConnection
let target: MysqlConnection
let database: string
let logs = ''

beforeAll(async () => {
  const temporal = await sharedTemporal()
  const [sourceServer, targetServer] = [await sharedSource(), await sharedTarget()]
  source = await connect(sourceServer)
  target = await connect(targetServer)
  database = await freshDatabase(source, 'real')
  await target.query(`CREATE DATABASE ${database}`)
  folder = await mkdtemp(join(tmpdir(), 'syncline-real-'))
  const storePath = join(folder, 'store.db')
  store = openStore(storePath)
  for (const [name, server] of [
    ['a', sourceServer],
    ['b', targetServer],
  ] as const) {
    const { host, port, user } = server
    const spec = { kind: 'mysql', host, port, user, password: '${env:TEST_PASSWORD}' }
    store.endpoints.apply(
      endpoint.parse({ apiVersion: 'syncline/v1', kind: 'Endpoint', metadata: { name }, spec }),
      'test',
    )
  }
  connection = await Connection.connect({ address: temporal.address })
  client = new Client({ connection, namespace: temporal.namespace })
  for (const role of ['control', 'stream']) {
    const args = [entry, '--role', role, '--temporal', temporal.address, '--namespace', temporal.namespace]
    args.push('--data', join(tmpdir(), 'syncline-test-bundles'), '--store', storePath, '--prefix', prefix)
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TEST_PASSWORD: '' },
    })
    processes.push(child)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      logs += text
      if (process.env['SYNCLINE_TEST_LOG'] !== undefined) process.stderr.write(text)
    })
  }
})
afterAll(async () => {
  for (const child of processes) child.kill('SIGKILL')
  await connection?.close()
  await source?.end()
  await target?.end()
  store?.close()
  await rm(folder, { recursive: true, force: true })
})

const apply = (name: string, tables: object[]): number =>
  store.pipelines.apply(
    pipelineDocument.parse({
      apiVersion: 'syncline/v1',
      kind: 'Pipeline',
      metadata: { name },
      spec: { source: 'a', target: 'b', tables, onMissingTable: 'create' },
    }),
    'test',
  ).record.generation

const start = (name: string, specGeneration: number): Promise<WorkflowHandle> =>
  client.workflow.start(pipelineWorkflowType, {
    workflowId: pipelineWorkflowId(name),
    taskQueue: taskQueues(prefix).control,
    args: [{ pipeline: name, specGeneration, actor: 'test', taskQueuePrefix: prefix }],
  })

const reaches = async (handle: WorkflowHandle, state: string): Promise<PipelineStatus> => {
  const deadline = Date.now() + 60_000
  for (;;) {
    const status = await handle.query<PipelineStatus>('status')
    if (status.state === state) return status
    if (Date.now() > deadline) {
      throw new Error(`not ${state} within 60 s: ${JSON.stringify(status)}\n${logs.slice(-4_000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const sum = async (server: MysqlConnection): Promise<string> => {
  const [rows] = await server.query(`SELECT count(*) AS n, sum(qty) AS total FROM ${database}.orders`)
  return JSON.stringify(rows)
}
const becomesEqual = async (): Promise<void> => {
  const deadline = Date.now() + 20_000
  while ((await sum(source)) !== (await sum(target))) {
    if (Date.now() > deadline) throw new Error(`${await sum(source)} is not ${await sum(target)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
const update = (handle: WorkflowHandle, command: string, args: object = {}): Promise<PipelineStatus> =>
  handle.executeUpdate(command, { args: [{ actor: 'test', ...args }] })

/** What the store holds of the engine's figures, once it is what is wanted. */
const reported = async (name: string, isWanted: (report: StoredReport) => boolean): Promise<StoredReport> => {
  const deadline = Date.now() + 20_000
  for (;;) {
    const [report] = store.reports.list(name)
    if (report !== undefined && isWanted(report)) return report
    if (Date.now() > deadline) throw new Error(`not reported within 20 s: ${JSON.stringify(report)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const heartbeatOf = async (handle: WorkflowHandle): Promise<RunHeartbeat> => {
  for (let attempt = 0; attempt < 200; attempt++) {
    const { raw } = await handle.describe()
    const data = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.[0]?.data
    if (data !== undefined && data !== null) return JSON.parse(Buffer.from(data).toString()) as RunHeartbeat
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('no heartbeat within 10 s')
}

it('loads, streams, survives its engine, pauses, takes a changed spec, and stops', async () => {
  await source.query(`CREATE TABLE ${database}.orders (id INT PRIMARY KEY AUTO_INCREMENT, qty INT NOT NULL)`)
  await source.query(`CREATE TABLE ${database}.nokey (id INT)`)
  await source.query(
    `INSERT INTO ${database}.orders (qty) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n`,
  )
  const name = `real-${prefix.slice(0, -1)}`
  const handle = await start(name, apply(name, [{ match: `${database}.*` }]))

  const stuck = await reaches(handle, 'blocked')
  expect(stuck.blocked?.code).toBe('SYNC-4003')
  expect(stuck.blocked?.findings.map((finding) => finding.code)).toContain('SYNC-2202')

  await update(handle, 'respec', {
    specGeneration: apply(name, [{ match: `${database}.*`, exclude: [`${database}.nokey`] }]),
  })
  await reaches(handle, 'streaming')
  await becomesEqual()
  await source.query(`UPDATE ${database}.orders SET qty = qty + 1 WHERE id % 3 = 0`)
  await becomesEqual()
  const { totals, retention } = await reported(
    name,
    (report) => report.totals.rows.updated > 0 && report.retention !== null,
  )
  expect(totals.rows).toMatchObject({ copied: 1000, updated: 333, deleted: 0, upserted: 1333 })
  expect(totals.bytes.written).toBeGreaterThan(1_000)
  expect(retention).toMatchObject({ isPurged: false })
  expect(store.reports.tables(name, 'rows', 0, 10).items).toMatchObject([
    { table: `${database}.orders`, target: `${database}.orders`, copied: 1000, updated: 333 },
  ])

  const details = await heartbeatOf(handle)
  process.kill(details.hostPid ?? 0, 'SIGKILL')
  await source.query(`DELETE FROM ${database}.orders WHERE id % 7 = 0`)
  await becomesEqual()

  expect((await update(handle, 'pause')).state).toBe('paused')
  await source.query(`INSERT INTO ${database}.orders (qty) VALUES (5), (6)`)
  await update(handle, 'resume')
  await becomesEqual()
  expect((await update(handle, 'stop')).state).toBe('stopped')
  // The last engine's figures outlive it; those of its predecessors are gone.
  const last = await reported(name, (report) => report.totals.rows.inserted > 0)
  expect(last.totals.rows).toMatchObject({ copied: 0, inserted: 2, updated: 0 })
  expect(last.retention).not.toBeNull()

  const audit = store.audit.list({ kind: 'Pipeline', name }).filter((entry) => entry.action === 'state')
  expect(audit.map((entry) => entry.actor)).toContain('test')
  expect(store.audit.verify()).toBeNull()
})
