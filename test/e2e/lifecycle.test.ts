/**
 * The life of a pipeline as a person leads it, through the command line, with two stream workers: applied, looked at, changed, paused, resumed,
 * stopped and deleted, each with its exit status and its entry in the audit log.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { type CliResult, type Proc, waitFor } from '../support/stack.ts'

const here = useInstallation({ streamWorkers: 2 })

async function ok(...args: string[]): Promise<CliResult> {
  const result = await here.stack.cli(args)
  expect(result, `${args.join(' ')}: ${result.stderr}`).toMatchObject({ code: 0 })
  return result
}

async function refused(code: number, error: string, ...args: string[]): Promise<CliResult> {
  const result = await here.stack.cli(args)
  expect(result, args.join(' ')).toMatchObject({ code })
  expect(result.stdout).not.toContain('pipeline/')
  expect(result.stderr).toContain(error)
  expect(result.stderr).toContain('remedy')
  return result
}

interface AuditEntry {
  readonly actor: string
  readonly action: string
  readonly kind: string
  readonly name: string
  readonly outcome: string
  readonly code?: string
  readonly detail: { readonly state?: string } | null
}

async function audit(name: string): Promise<readonly AuditEntry[]> {
  const answer = await fetch(`${here.stack.url}/v1/audit?name=${name}&pageSize=200`)
  const { items } = (await answer.json()) as { items: (AuditEntry & { seq: number })[] }
  return items.toSorted((a, b) => a.seq - b.seq)
}

const acts = (entries: readonly AuditEntry[]): string[] =>
  entries
    .filter(({ action }) => action !== 'state')
    .map(
      ({ actor, action, outcome, code }) =>
        `${actor} ${action} ${outcome}${code === undefined ? '' : ` ${code}`}`,
    )

/** The epoch of the engine that holds the pipeline's mark rows. */
async function epoch(pipeline: PipelineCase): Promise<bigint> {
  const [row] = await pipeline.rows(
    `SELECT CAST(MAX(epoch) AS CHAR) AS epoch FROM syncline.apply_mark WHERE pipeline = '${pipeline.name}'`,
  )
  return BigInt(String(row?.['epoch']))
}

async function tableWithRows(name: string): Promise<PipelineCase> {
  const pipeline = await here.createCase(name)
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, v INT)')
  await pipeline.source.query('INSERT INTO t VALUES (1, 1), (2, 2)')
  return pipeline
}

it('the whole way', async () => {
  const pipeline = await tableWithRows('whole-way')
  const { source } = pipeline
  const file = await pipeline.file()
  const name = 'whole-way'

  // Nothing is there yet, and a dry run does not change that.
  expect((await here.stack.cli(['diff', '-f', file])).code).toBe(7)
  expect((await ok('apply', '-f', file, '--dry-run')).stdout).toBe(
    `endpoint/${name}-source would be created\nendpoint/${name}-target would be created\npipeline/${name} would be created\n`,
  )
  await refused(4, 'SYNC-1101', 'describe', 'pipeline', name)
  expect(await audit(name)).toEqual([])

  // Applied, and applied again.
  const applied = await ok('apply', '-f', file, '--wait', '--timeout', '60s', '--as', 'alice')
  expect(applied.stdout).toBe(
    `endpoint/${name}-source created\nendpoint/${name}-target created\npipeline/${name} created, started\n`,
  )
  expect(applied.stderr).toMatch(/whole-way {2}streaming/)
  expect(applied.stderr).not.toContain('\u001b')
  expect(await pipeline.expectEqual()).toBe(2)
  expect((await ok('apply', '-f', file, '--as', 'alice')).stdout).toMatch(
    /^endpoint\S+ unchanged\n.* unchanged\n.* unchanged\n$/,
  )
  expect(await ok('diff', '-f', file)).toMatchObject({ stdout: '' })

  // Looked at, as a table, as JSON and as YAML.
  expect((await ok('get', 'pipelines')).stdout).toMatch(
    /^NAME +STATE +SOURCE.*\n(.*\n)*whole-way +streaming +whole-way-source +whole-way-target +\d+ ms/,
  )
  expect((await ok('get', 'endpoints')).stdout).toContain(`${here.source.host}:${here.source.port}`)
  const listed = JSON.parse((await ok('get', 'pipelines', name, '-o', 'json')).stdout) as {
    generation: number
    document: unknown
  }
  expect(listed).toMatchObject({ generation: 1, wanted: 'run', document: { metadata: { name } } })
  const exported = await ok('get', 'pipelines', name, '-o', 'yaml')
  expect(parse(exported.stdout)).toEqual(listed.document)
  const again = join(here.stack.dir, 'exported.yaml')
  await writeFile(again, exported.stdout)
  expect((await ok('apply', '-f', again)).stdout).toBe(`pipeline/${name} unchanged\n`)
  expect((await ok('describe', 'pipeline', name)).stdout).toMatch(
    /State +streaming[\s\S]*Tables +whole_way_\w+\.\*[\s\S]*Lag +\d+ ms[\s\S]*1 of 1 tables, 2 of about 2 rows[\s\S]*Position +[0-9a-f-]{36}:/,
  )
  expect(JSON.parse((await ok('describe', 'pipeline', name, '-o', 'json')).stdout)).toMatchObject({
    status: {
      state: 'streaming',
      blocked: null,
      engine: { phase: 'streaming', load: { tables: 1, tablesDone: 1 } },
    },
  })
  expect((await ok('lag', name)).stdout).toMatch(/^TIME +STATE +LAG +ROWS\/S +ROWS\n\S+Z +streaming +\d+ ms/)
  expect(parseAllDocuments((await ok('lag', name, '-o', 'yaml')).stdout)[0]?.toJS()).toMatchObject({
    name,
    state: 'streaming',
  })

  // Paused: it writes nothing. What does not fit is refused.
  expect((await ok('pause', name, '--as', 'bob')).stdout).toBe(`pipeline/${name} paused\n`)
  await refused(5, 'SYNC-1104', 'pause', name, '--as', 'bob')
  await source.query('INSERT INTO t VALUES (3, 3); UPDATE t SET v = 20 WHERE id = 2')
  expect(await pipeline.rows('SELECT * FROM t')).toHaveLength(2)
  await ok('resume', name, '--as', 'carol')
  expect(await pipeline.expectEqual()).toBe(3)
  await refused(5, 'SYNC-1104', 'resume', name)

  // Stopped: its workflow has ended; a second time is fine. It goes on from where it stood.
  expect((await ok('stop', name, '--as', 'bob')).stdout).toBe(`pipeline/${name} stopped\n`)
  await ok('stop', name, '--as', 'bob')
  expect((await ok('get', 'pipelines', name)).stdout).toMatch(/whole-way +stopped/)
  await refused(5, 'SYNC-1104', 'pause', name)
  await source.query('DELETE FROM t WHERE id = 1')
  expect((await ok('apply', '-f', file)).stdout, 'a file does not start what was stopped').toMatch(
    /pipeline\/whole-way unchanged.*`syncline resume/,
  )
  await ok('resume', name, '--as', 'carol')
  expect(await pipeline.expectEqual()).toBe(2)

  // Deleted: the rows stay.
  await refused(2, 'SYNC-1102', 'delete', name)
  await refused(5, 'SYNC-1105', 'delete', 'endpoint', `${name}-source`, '--yes')
  expect((await ok('delete', name, '--yes', '--as', 'dave')).stdout).toBe(`pipeline/${name} deleted\n`)
  await refused(4, 'SYNC-1101', 'describe', 'pipeline', name)
  await ok('delete', 'endpoint', `${name}-source`, '--yes', '--as', 'dave')
  await ok('delete', 'endpoint', `${name}-target`, '--yes', '--as', 'dave')
  expect(await pipeline.rows('SELECT id FROM t ORDER BY id')).toEqual([{ id: 2 }, { id: 3 }])

  const entries = await audit(name)
  expect(acts(entries).map((text) => text.replace(/anonymous@\S+/, 'anonymous'))).toEqual([
    'alice apply done',
    'bob pause done',
    'bob pause refused SYNC-1104',
    'carol resume done',
    'anonymous resume refused SYNC-1104',
    'bob stop done',
    'bob stop done',
    'anonymous pause refused SYNC-1104',
    'carol resume done',
    'dave delete done',
  ])
  const states = entries.filter(({ action }) => action === 'state').map(({ detail }) => detail?.state)
  expect(states.slice(0, 4)).toEqual(['created', 'checking', 'loading', 'catching-up'])
  for (const state of ['streaming', 'paused', 'stopped']) expect(states).toContain(state)
  expect(
    acts(await audit(`${name}-source`)).map((text) => text.replace(/anonymous@\S+/, 'anonymous')),
  ).toEqual(['alice apply done', 'anonymous delete refused SYNC-1105', 'dave delete done'])
})

it('paused means that nobody writes, whichever worker had the pipeline before', async () => {
  const pipeline = await tableWithRows('paused')
  await pipeline.apply()
  for (let round = 0; round < 8; round++) {
    await pipeline.reaches('streaming')
    const paused = await fetch(`${here.stack.url}/v1/pipelines/paused/pause`, { method: 'POST' })
    expect(((await paused.json()) as { state: string }).state).toBe('paused')
    await pipeline.source.query(`INSERT INTO t VALUES (${100 + round}, 0)`)
    // Long enough for an engine that is left over to write it.
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(await pipeline.rows(`SELECT * FROM t WHERE id = ${100 + round}`), `round ${round}`).toEqual([])
    await fetch(`${here.stack.url}/v1/pipelines/paused/resume`, { method: 'POST' })
  }
  expect(await pipeline.expectEqual()).toBe(10)
})

it('a changed file: seen before, applied, and the stream goes on with it', async () => {
  const pipeline = await tableWithRows('changed')
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(2)
  const before = await epoch(pipeline)

  const changed = await pipeline.file({ stream: { lanes: 2, batch: { maxDelay: '5ms' } } })
  const diff = await here.stack.cli(['diff', '-f', changed])
  expect(diff.code).toBe(7)
  expect(diff.stdout).toMatch(
    /^pipeline\/changed would be changed\n {2}spec\.stream\.lanes: 4 -> 2 {2}\(restart\)\n {2}spec\.stream\.batch\.maxDelay: "0ms" -> "5ms" {2}\(restart\)\n {2}the stream restarts: changed\n$/,
  )
  const dry = JSON.parse((await ok('apply', '-f', changed, '--dry-run', '-o', 'json')).stdout) as unknown[]
  expect(dry).toHaveLength(3)
  expect(dry[2]).toMatchObject({ name: 'pipeline/changed', plan: { restarts: ['changed'] } })
  expect(await epoch(pipeline), 'looked at, not touched').toBe(before)
  expect(JSON.parse((await ok('get', 'pipelines', 'changed', '-o', 'json')).stdout)).toMatchObject({
    generation: 1,
  })
  expect(acts(await audit('changed'))).toHaveLength(1)

  await ok('apply', '-f', changed, '--wait', '--timeout', '60s')
  await pipeline.source.query('INSERT INTO t VALUES (3, 3)')
  expect(await pipeline.expectEqual()).toBe(3)
  expect(await epoch(pipeline)).toBeGreaterThan(before)
  expect(JSON.parse((await ok('describe', 'pipeline', 'changed', '-o', 'json')).stdout)).toMatchObject({
    resource: { generation: 2 },
    status: { observedGeneration: 2 },
  })

  // What would part the two sides is refused, and nothing of it is stored.
  const moved = await pipeline.file({
    tables: [{ match: `${pipeline.database}.*`, to: { schema: 'elsewhere' } }],
  })
  const { stderr } = await refused(5, 'SYNC-1104', 'apply', '-f', moved)
  expect(stderr).toContain('spec.tables[0].to')
  expect(JSON.parse((await ok('get', 'pipelines', 'changed', '-o', 'json')).stdout)).toMatchObject({
    generation: 2,
  })
})

it('a table joins and another leaves while it streams', async () => {
  const pipeline = await tableWithRows('joins')
  const { database, source } = pipeline
  await pipeline.both('CREATE TABLE late (id INT PRIMARY KEY)')
  await source.query('INSERT INTO late VALUES (1), (2), (3)')
  await pipeline.apply({ tables: [{ match: `${database}.t` }] })
  expect(await pipeline.expectEqual({ exclude: ['late'] })).toBe(2)
  await pipeline.apply({ tables: [{ match: `${database}.t` }, { match: `${database}.late` }] })
  await source.query('DELETE FROM late WHERE id = 2; INSERT INTO t VALUES (3, 3)')
  await waitFor(
    'the load of the late table',
    30_000,
    async () => (await pipeline.rows('SELECT * FROM late')).length === 2,
  )
  expect(await pipeline.expectEqual()).toBe(5)
  await pipeline.apply({ tables: [{ match: `${database}.late` }] })
  await pipeline.reaches('streaming')
  await source.query('INSERT INTO t VALUES (4, 4); INSERT INTO late VALUES (4)')
  await pipeline.settled()
  expect(await pipeline.rows('SELECT id FROM t ORDER BY id'), 'left alone').toEqual([
    { id: 1 },
    { id: 2 },
    { id: 3 },
  ])
  expect(await pipeline.rows('SELECT id FROM late ORDER BY id')).toEqual([{ id: 1 }, { id: 3 }, { id: 4 }])
  // It must not come back with a hole: rows that it left behind are of another time.
  const back = await pipeline.file({ tables: [{ match: `${database}.late` }, { match: `${database}.t` }] })
  const held = await here.stack.cli(['apply', '-f', back])
  expect(held).toMatchObject({ code: 1, stdout: expect.stringContaining('held back') })
  expect(held.stderr).toContain('SYNC-3204')
  expect((await pipeline.status()).state).toBe('streaming')
  await pipeline.target.query('TRUNCATE TABLE t')
  await pipeline.resume()
  await waitFor(
    'the table that came back',
    60_000,
    async () => (await pipeline.rows('SELECT * FROM t')).length === 4,
  )
  expect(await pipeline.expectEqual()).toBe(7)
})

it('a worker that is told to end hands its pipelines to the other', async () => {
  const third: Proc = await here.stack.startWorker('stream')
  const pipelines = await Promise.all(['share-a', 'share-b', 'share-c', 'share-d'].map(tableWithRows))
  for (const pipeline of pipelines) await pipeline.apply()
  for (const pipeline of pipelines) expect(await pipeline.expectEqual()).toBe(2)
  await waitFor('the third worker', 30_000, async () =>
    (await readFile(third.logFile, 'utf8')).includes('worker at work'),
  )
  third.kill('SIGTERM')
  expect(await third.ended()).toBe(0)
  for (const pipeline of pipelines) await pipeline.source.query('INSERT INTO t VALUES (3, 3)')
  for (const pipeline of pipelines) expect(await pipeline.expectEqual()).toBe(3)
  const workers = new Set<string>()
  for (const { name } of pipelines) {
    const described = JSON.parse((await ok('describe', 'pipeline', name, '-o', 'json')).stdout) as {
      status: { worker: string }
    }
    workers.add(described.status.worker)
  }
  expect([...workers].join(), 'none of them the one that ended').not.toContain(`stream-${third.pid}-`)
})
