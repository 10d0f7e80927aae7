/*
 * What pipelines cost that have nothing to do: 200 of them on one stream worker, with the whole product around it (Temporal, API server,
 * control worker, all started by the product's own command line). CPU and memory are those of the worker's processes together: the worker, the
 * engine host and the spare. Afterwards each pipeline carries a row, so that none of them was idle because it was dead.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Connection } from '@temporalio/client'
import { startTemporal, type TemporalServer } from '../../../dev/temporal.ts'
import { pipelineWorkflowId } from '../../../src/core/pipeline-control.ts'
import { type Stack, startStack, waitFor } from '../../support/stack.ts'
import type { Bench, BenchContext } from '../bench.ts'
import { measured, processTree, residentMegabytes } from '../process-usage.ts'
import { assertEqual, type BenchServers, database, type Reach, startServers } from '../servers.ts'
import { mediansOf, type Round, resultOf } from '../statistics.ts'

const cpuLimitPercent = 5
const memoryLimitMegabytes = 15

const pipelineName = (i: number): string => `idle-${i}`
const startWithinMs = 600_000

export const idle: Bench = async (context) => {
  const count = context.quick ? 20 : 200
  const windowMs = context.quick ? 10_000 : 60_000
  await using servers = await startServers({ replica: false, flags: ['--max-connections=4000'] })
  await using temporal = await startTemporal({ ui: false })
  const tables = Array.from({ length: count }, (_, i) => `CREATE TABLE t${i + 1} (id INT PRIMARY KEY)`)
  await servers.define(tables.join('; '))
  const stack = await startStack({ address: temporal.address, namespace: temporal.namespace })
  try {
    await stack.startWorker('control')
    const worker = await stack.startWorker('stream')
    // The worker, the host at work and the spare.
    await waitFor('the engine hosts', 60_000, async () => (await processTree(worker.pid)).length >= 3)
    await sleep(3_000)
    const before = await resident(worker.pid)
    const startedAt = performance.now()
    await startPipelines(stack, servers, count)
    context.say(
      `idle: ${count} pipelines stream after ${Math.round((performance.now() - startedAt) / 1000)} s`,
    )
    // What starting left behind: connections that close when they are idle, garbage of the load.
    await sleep(context.quick ? 5_000 : 90_000)
    const windows = await measureWindows(context, {
      servers,
      temporal,
      workerPid: worker.pid,
      count,
      windowMs,
    })
    const grown = (await resident(worker.pid)) - before
    await carryOneRowEach(servers, count)
    const threads = await connectionsOf(servers)
    return [
      resultOf({
        name: 'idle/cpu',
        unit: '% of a core',
        rounds: windows.map(({ percent }): Round => ({ syncline: percent })),
        bar: context.quick ? null : cpuLimitPercent,
        rule: 'at most',
        details: { pipelines: count, ...threads, ...mediansOf(windows.map(({ details }) => details)) },
      }),
      resultOf({
        name: 'idle/memory',
        unit: 'MB per pipeline',
        rounds: [{ syncline: grown / count }],
        bar: context.quick ? null : memoryLimitMegabytes,
        rule: 'at most',
        details: { 'MB before': Math.round(before), 'MB with all': Math.round(before + grown) },
      }),
      resultOf({
        name: 'idle/events',
        unit: 'Temporal events per pipeline-hour',
        rounds: windows.map(({ eventsPerHour }): Round => ({ syncline: eventsPerHour })),
        bar: null,
        rule: 'at most',
      }),
    ]
  } finally {
    await stack.stop()
  }
}

type Window = {
  readonly percent: number
  readonly eventsPerHour: number
  readonly details: Record<string, number>
}

async function measureWindows(
  context: BenchContext,
  at: {
    readonly servers: BenchServers
    readonly temporal: TemporalServer
    readonly workerPid: number
    readonly count: number
    readonly windowMs: number
  },
): Promise<Window[]> {
  const { servers, temporal, workerPid, count, windowMs } = at
  const [worker = 0, ...hosts] = await processTree(workerPid)
  const pids = {
    worker,
    ...Object.fromEntries(hosts.map((pid, i) => [`host ${i + 1}`, pid])),
    temporal: temporal.pid,
    source: servers.source.pid,
    target: servers.target.pid,
  }
  const windows: Window[] = []
  for (let round = 0; round < context.rounds; round++) {
    const eventsBefore = await historyEvents(temporal, count)
    const { seconds, cpu } = await measured(pids, () => sleep(windowMs))
    const events = (await historyEvents(temporal, count)) - eventsBefore
    const own = Object.entries(cpu).filter(([name]) => name === 'worker' || name.startsWith('host '))
    const percent = (100 * own.reduce((sum, [, used]) => sum + used, 0)) / seconds
    windows.push({
      percent,
      eventsPerHour: (events * 3600) / seconds / count,
      details: Object.fromEntries(
        Object.entries(cpu).map(([name, used]) => [`% ${name}`, (100 * used) / seconds]),
      ),
    })
    context.say(`idle: ${percent.toFixed(1)} % of a core for ${count} pipelines`)
  }
  return windows
}

const resident = async (pid: number): Promise<number> => {
  const each = await Promise.all((await processTree(pid)).map(residentMegabytes))
  return each.reduce((sum, one) => sum + one, 0)
}

async function startPipelines(stack: Stack, { source, target }: BenchServers, count: number): Promise<void> {
  const put = async (kind: 'Endpoint' | 'Pipeline', name: string, spec: unknown): Promise<void> => {
    const path = `/v1/${kind === 'Endpoint' ? 'endpoints' : 'pipelines'}/${name}`
    const body = JSON.stringify({ apiVersion: 'syncline/v1', kind, metadata: { name }, spec })
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${stack.url}${path}`, { method: 'PUT', headers, body })
    if (!answer.ok) throw new Error(`PUT ${path}: ${await answer.text()}`)
  }
  const endpoint = ({ host, port, user }: Reach) => ({ kind: 'mysql', host, port, user })
  await put('Endpoint', 'source', endpoint(source))
  await put('Endpoint', 'target', endpoint(target))
  const names = Array.from({ length: count }, (_, i) => pipelineName(i + 1))
  for (const [i, name] of names.entries()) {
    const tables = [{ match: `${database}.t${i + 1}` }]
    await put('Pipeline', name, { source: 'source', target: 'target', tables })
  }
  // One question per pipeline and second: each asks its workflow, which is work for Temporal and the control worker.
  for (const name of names) {
    const until = performance.now() + startWithinMs
    while ((await stack.status(name)).state !== 'streaming') {
      if (performance.now() > until) throw new Error(`${name} does not stream: ${await stack.logs()}`)
      await sleep(1_000)
    }
  }
}

/** Events in the histories of all pipelines. */
async function historyEvents(temporal: TemporalServer, count: number): Promise<number> {
  const connection = await Connection.connect({ address: temporal.address })
  try {
    const { workflow } = new Client({ connection, namespace: temporal.namespace })
    let events = 0
    for (let i = 1; i <= count; i++) {
      events += (await workflow.getHandle(pipelineWorkflowId(pipelineName(i))).describe()).historyLength
    }
    return events
  } finally {
    await connection.close()
  }
}

async function carryOneRowEach({ at, source, target }: BenchServers, count: number): Promise<void> {
  for (let i = 1; i <= count; i++) await at.source.query(`INSERT INTO ${database}.t${i} VALUES (${i})`)
  await waitFor('a row of every pipeline', 60_000, async () => {
    await assertEqual(source, target, 'The target')
    return true
  })
}

/** Connections of the pipelines at each end, without our own. */
async function connectionsOf({ at }: BenchServers): Promise<Record<string, number>> {
  const open = async (connection: BenchServers['at']['source']): Promise<number> => {
    const [rows] = await connection.query({
      sql: `SELECT COUNT(*) FROM performance_schema.session_connect_attrs WHERE ATTR_NAME = 'program_name' AND ATTR_VALUE = 'syncline'`,
      rowsAsArray: true,
    })
    return Number((rows as unknown[][])[0]?.[0])
  }
  return {
    'connections at the source': await open(at.source),
    'connections at the target': await open(at.target),
  }
}
