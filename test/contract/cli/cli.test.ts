/*
 * The command line as a user runs it: its own process, against the server that it starts itself, a real Temporal and the real workflow.
 * stdout, stderr and exit status are looked at apart.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore, type Store } from '../../../src/store/store.ts'
import { createMeter } from '../../../src/streamer/meter.ts'
import { sharedTemporal } from '../../support/servers.ts'
import { type ScriptedEngine, startWorkers } from '../api/rig.ts'

const entry = fileURLToPath(new URL('../../../bin/syncline.js', import.meta.url))

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

let folder: string
let environment: NodeJS.ProcessEnv
let server: ChildProcess
let store: Store
let workers: { stop(): Promise<void> }
const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString()
const retention = {
  at: inMs(0),
  keptMs: 3_600_000,
  bytesBehind: 5,
  isPurged: false,
  standsUntil: inMs(500_000),
  purgeFrom: inMs(1_000_000),
  pace: 0.5,
  catchUpMs: null,
}
const engine: ScriptedEngine = {
  report: {
    phase: 'streaming',
    epoch: '1',
    position: { token: 'a:1-9', ordinal: 0 },
    batch: 3,
    lagMs: 12,
    rowsApplied: 1234,
    rowsPerSecond: 10,
    load: { tables: 1, tablesDone: 1, rows: 90, rowsEstimated: 90, etaMs: null },
    retrying: null,
    hostPid: 1,
    restarts: 0,
  },
}

const start = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [entry, ...args], {
    env: environment,
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
  })

const ended = (child: ChildProcess): Promise<Ended> =>
  new Promise((resolve, reject) => {
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, stdout, stderr }))
  })

const run = (args: string, input = ''): Promise<Ended> => {
  const child = start(args.split(' '))
  child.stdin?.end(input)
  return ended(child)
}

const documents = (pipeline: string, lanes = 4): string => `
apiVersion: syncline/v1
kind: Pipeline
metadata: { name: ${pipeline} }
spec:
  source: src
  target: dst
  tables:
    - match: shop.*
  stream: { lanes: ${lanes} }
---
apiVersion: syncline/v1
kind: Endpoint
metadata: { name: src }
spec:
  kind: mysql
  host: src.example
  user: syncline
  password: \${env:SRC_PASSWORD}
---
apiVersion: syncline/v1
kind: Endpoint
metadata: { name: dst }
spec:
  kind: mysql
  host: dst.example
  user: syncline
`
const file = async (text: string): Promise<string> => {
  const path = join(folder, `${randomBytes(4).toString('hex')}.yaml`)
  await writeFile(path, text)
  return path
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'syncline-cli-'))
  const temporal = await sharedTemporal()
  const prefix = `t${randomBytes(4).toString('hex')}-`
  environment = {
    PATH: process.env['PATH'],
    HOME: folder,
    SYNCLINE_TEMPORAL: temporal.address,
    SYNCLINE_NAMESPACE: temporal.namespace,
    SYNCLINE_STORE: join(folder, 'store.db'),
    SYNCLINE_PREFIX: prefix,
    SYNCLINE_ACTOR: 'ann',
    SYNCLINE_LOG_LEVEL: 'warn',
  }
  server = start(['server', '--listen', '127.0.0.1:0'])
  const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream })
  environment['SYNCLINE_SERVER'] = await new Promise<string>((resolve) => lines.once('line', resolve))
  store = openStore(join(folder, 'store.db'))
  workers = await startWorkers(temporal, prefix, store, engine)
})

afterAll(async () => {
  await workers.stop()
  store.close()
  const end = ended(server)
  server.kill('SIGTERM')
  expect((await end).status).toBe(0)
  await rm(folder, { recursive: true })
})

describe('without a server', () => {
  it('validates files, each mistake with place, code and remedy', async () => {
    const good = await file(documents('shop'))
    expect(await run(`validate -f ${good}`)).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringContaining('pipeline/shop is valid'),
    })
    const json = await run(`validate -f ${good} -o json`)
    expect(JSON.parse(json.stdout)).toMatchObject([{ kind: 'Pipeline', name: 'shop', line: 2 }, {}, {}])
    const bad = await run(
      'validate -f -',
      documents('shop').replace('lanes', 'lane').replace('${env:SRC_PASSWORD}', 'hunter2'),
    )
    expect(bad).toMatchObject({ status: 3, stdout: '' })
    expect(bad.stderr).toContain(
      'SYNC-1002 -:10:13  spec.stream.lane: `lane` is not a field here\n  remedy Did you mean `lanes`?',
    )
    expect(bad.stderr).toContain('SYNC-1004')
    expect(bad.stderr).not.toContain('hunter2')
    expect(await run('validate -f', '')).toMatchObject({ status: 2 })
    expect(await run(`validate -f ${await file('a: [')}`)).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('SYNC-1001'),
    })
  })

  it('says how it is used', async () => {
    expect(await run('frobnicate')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining('unknown command'),
    })
    expect(await run('get pipes')).toMatchObject({ status: 2 })
    expect(await run('apply --help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--wait') })
    expect(await run('server --listen 0.0.0.0:0')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--allow-remote'),
    })
  })

  it('says when nothing answers, and when something else does', async () => {
    const away = await run('get pipelines --server http://127.0.0.1:1')
    expect(away).toMatchObject({ status: 9, stdout: '', stderr: expect.stringContaining('SYNC-1107') })
    expect(away.stderr).toContain('remedy')
  })
})

describe('a pipeline', () => {
  it('goes the whole way', async () => {
    const name = `p-${randomBytes(4).toString('hex')}`
    const path = await file(documents(name))
    expect(await run(`get pipeline ${name}`)).toMatchObject({ status: 2 })
    expect(await run(`get pipelines ${name}`)).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('SYNC-1101'),
    })
    expect((await run(`diff -f ${path}`)).status).toBe(7)
    const dry = await run(`apply -f ${path} --dry-run`)
    expect(dry).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(`pipeline/${name} would be created`),
    })
    expect(store.pipelines.get(name)).toBeNull()

    const applied = await run(`apply -f ${path} --wait --timeout 60s`)
    expect(applied.status).toBe(0)
    // Endpoints first, though the file has them last.
    expect(applied.stdout).toBe(
      `endpoint/src created\nendpoint/dst created\npipeline/${name} created, started\n`,
    )
    expect(applied.stderr).toContain(`${name}  streaming  1,234 rows  10 rows/s  lag 12 ms`)
    expect(`${applied.stdout}${applied.stderr}`).not.toContain('\u001b')

    expect(await run(`diff -f ${path}`)).toMatchObject({ status: 0, stdout: '' })
    const changed = await file(documents(name, 8))
    const diff = await run(`diff -f ${changed}`)
    expect(diff).toMatchObject({ status: 7 })
    expect(diff.stdout).toContain('  spec.stream.lanes: 4 -> 8  (restart)\n')
    expect(JSON.parse((await run(`diff -f ${changed} -o json`)).stdout)).toMatchObject([
      {},
      {},
      { plan: { restarts: [name] } },
    ])

    const list = await run('get pipelines')
    expect(list.stdout).toMatch(/^NAME +STATE +SOURCE +TARGET +LAG +ROWS\/S +VERIFIED +GENERATION\n/)
    expect(list.stdout).toMatch(new RegExp(`^${name} +streaming +src +dst +12 ms +10 +never +1$`, 'm'))
    expect(JSON.parse((await run(`get pipelines ${name} -o json`)).stdout)).toMatchObject({ generation: 1 })
    // What is read as YAML may be applied as it is.
    const yaml = await run(`get pipelines ${name} -o yaml`)
    expect(await run('apply -f -', yaml.stdout)).toMatchObject({
      status: 0,
      stdout: `pipeline/${name} unchanged\n`,
    })
    expect((await run('get endpoints')).stdout).toMatch(/^src +mysql +src\.example:3306 +syncline +src +1$/m)
    const described = await run(`describe pipeline ${name}`)
    expect(described.stdout).toMatch(/^State +streaming, since /m)
    expect(described.stdout).toMatch(/^Position +a:1-9$/m)
    expect(JSON.parse((await run(`describe pipeline ${name} -o json`)).stdout)).toMatchObject({
      status: { state: 'streaming' },
    })
    expect(JSON.parse((await run(`lag ${name} -o json`)).stdout)).toMatchObject({
      lagMs: 12,
      state: 'streaming',
    })

    expect((await run(`stats ${name}`)).stdout).toContain('No engine of pipeline')
    store.reports.put([{ pipeline: name, epoch: '1', totals: createMeter().totals(), tables: [], retention }])
    expect((await run(`stats ${name}`)).stdout).toMatch(/^Rows +0 inserted, 0 updated.*\n.*\nBottleneck /m)
    expect(JSON.parse((await run(`stats ${name} -o json`)).stdout)).toMatchObject({
      name,
      statistics: { rows: { inserted: 0 }, heldMs: { batchFull: 0 } },
      tables: [],
    })
    expect((await run(`describe pipeline ${name}`)).stdout).toMatch(
      /^Log kept +for 1 h 0 min; at the present pace \(0\.5 s in a second\) enough until .*\n[^]*^Warning +SYNC-2214 From /m,
    )

    expect(await run(`pause ${name}`)).toMatchObject({ status: 0, stdout: `pipeline/${name} paused\n` })
    expect(await run(`pause ${name}`)).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('SYNC-1104'),
    })
    expect(await run(`apply -f ${path} --wait`)).toMatchObject({
      status: 5,
      stderr: expect.stringContaining(`syncline resume ${name}`),
    })
    expect(await run(`resume ${name}`)).toMatchObject({ status: 0 })
    expect(await run(`stop ${name}`)).toMatchObject({ status: 0, stdout: `pipeline/${name} stopped\n` })
    expect(await run('delete endpoint src --yes')).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('SYNC-1105'),
    })
    expect(await run(`delete ${name}`)).toMatchObject({ status: 2, stderr: expect.stringContaining('--yes') })
    expect(await run(`delete ${name} --yes`)).toMatchObject({
      status: 0,
      stdout: `pipeline/${name} deleted\n`,
    })
    expect(await run(`delete ${name} --yes`)).toMatchObject({ status: 4 })
    expect(store.audit.list({ name }).every(({ actor }) => actor === 'ann' || actor === 'syncline')).toBe(
      true,
    )
  })

  it('tells of parked tables, of its load and of all its limits, and lifts them', async () => {
    const name = `p-${randomBytes(4).toString('hex')}`
    const limited = `${documents(name).replace('stream: { lanes: 4 }', 'stream: { lanes: 4, maxRowsPerSecond: 500, pauseWhen: { targetThreadsRunning: 9 } }\n  load: { maxBytesPerSecond: 1MiB, pauseWhen: { targetReplicaLag: 5s } }')}`
    expect((await run('apply -f - --wait --timeout 60s', limited)).status).toBe(0)
    const limits = await run(`limits ${name}`)
    expect(limits.stdout).toBe(
      `pipeline/${name} load 1MiB/s, waits for replicas 5s behind; stream 500 rows/s, waits above 9 threads at the target\n`,
    )
    expect((await run(`limits ${name} --load-bytes none`)).stdout).toBe(
      `pipeline/${name} load waits for replicas 5s behind; stream 500 rows/s, waits above 9 threads at the target\n`,
    )
    expect((await run(`limits ${name} --none`)).stdout).toBe(
      `pipeline/${name} load without limit; stream without limit\n`,
    )
    expect(store.pipelines.get(name)?.document.spec.load).not.toHaveProperty('pauseWhen')

    expect((await run(`quarantine list ${name}`)).stdout).toBe(
      'TABLE   STATE   SINCE   CODE   DEAD LETTERS\n',
    )
    const parked = {
      parking: 'p1',
      state: 'parked',
      code: 'SYNC-3302',
      message: 'v is too short',
      remedy: 'Widen v.',
      parkedAt: '2026-01-02T03:04:05.678Z',
      deadLetters: 12,
    } as const
    const rejoining = { ...parked, table: 'shop.items', parking: 'p2', state: 'rejoining' } as const
    const shard = (index: number) => ({ pipeline: name, shard: { index, of: 2 } })
    store.parkedTables.replace(shard(0), 1, [{ ...parked, table: 'shop.orders' }])
    store.parkedTables.replace(shard(1), 1, [rejoining])
    expect((await run(`quarantine list ${name}`)).stdout).toBe(
      [
        'TABLE         STATE       SINCE                      CODE        DEAD LETTERS',
        'shop.items    rejoining   2026-01-02T03:04:05.678Z   SYNC-3302   12',
        'shop.orders   parked      2026-01-02T03:04:05.678Z   SYNC-3302   12\n',
      ].join('\n'),
    )
    expect((await run(`quarantine show ${name} shop.orders`)).stdout).toBe(
      [
        'Table         shop.orders',
        'State         parked, since 2026-01-02T03:04:05.678Z',
        'Cause         SYNC-3302 v is too short',
        'Remedy        Widen v.',
        'Dead letters  12, in syncline.dead_letter at the target',
        `Then          syncline quarantine rejoin ${name} shop.orders\n`,
      ].join('\n'),
    )
    expect(await run(`quarantine show ${name} shop.notes`)).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('SYNC-3305'),
    })
    store.checkWarnings.put(name, [
      { code: 'SYNC-2213', message: 'cascades are not logged', remedy: 'Mind.' },
    ])
    const described = (await run(`describe pipeline ${name}`)).stdout
    expect(described).toMatch(/^Warning +SYNC-2213 cascades are not logged\. Mind\.$/m)
    expect(described).toContain(
      `Parked, and not kept in step: shop.items, shop.orders. See \`syncline quarantine list ${name}\`.`,
    )
    await run(`delete ${name} --yes`)
  })

  it('tells what blocks it while somebody waits', async () => {
    const name = `p-${randomBytes(4).toString('hex')}`
    engine.check = () => ({
      code: 'SYNC-4003',
      message: 'the pre-checks found 1 error',
      remedy: 'Mend each finding, then resume.',
      at: null,
      findings: [
        {
          code: 'SYNC-2202',
          severity: 'error',
          message: 'shop.log has no primary key',
          remedy: 'Exclude it.',
        },
      ],
    })
    const applied = await run('apply -f - --wait', documents(name))
    expect(applied.status).toBe(1)
    expect(applied.stderr).toContain(`SYNC-4003 ${name}: the pre-checks found 1 error`)
    expect(applied.stderr).toContain('error SYNC-2202 shop.log has no primary key\n    remedy Exclude it.')
    delete engine.check
    await run(`delete ${name} --yes`)
  })

  it('is watched until Ctrl-C, and not waited for longer than asked', async () => {
    const name = `p-${randomBytes(4).toString('hex')}`
    engine.check = () => {
      throw new Error('not yet')
    }
    const late = await run('apply -f - --wait --timeout 1s', documents(name))
    expect(late).toMatchObject({ status: 8, stderr: expect.stringContaining(`${name} is checking`) })
    delete engine.check
    const child = start(['lag', name, '--watch', '--interval', '100ms', '-o', 'json'])
    const end = ended(child)
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    let seen = 0
    await new Promise<void>((resolve) => {
      lines.on('line', (line) => {
        expect(JSON.parse(line)).toMatchObject({ name })
        if (++seen === 3) resolve()
      })
    })
    child.kill('SIGINT')
    expect((await end).status).toBe(130)
    await run(`delete ${name} --yes`)
  })
})
