/**
 * A pipeline of four shards on two workers, one of which is killed while it loads and one while it streams, under writers that never stop: all
 * rows arrive, each shard keeps its own position, and what is asked for goes for all of them.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { textHash } from '../../src/core/hash.ts'
import { proxyTo, slowLoad } from '../support/chaos-rig.ts'
import { createCase, type PipelineCase } from '../support/pipeline-case.ts'
import type { Proxy } from '../support/proxy.ts'
import { connect, type MysqlFacts, sharedSource, sharedTarget, sharedTemporal } from '../support/servers.ts'
import { type Proc, type Stack, startStack, waitFor } from '../support/stack.ts'

const shards = 4
const rowsPerTable = 1_500
// Which shard has which follows from their names, with the database's, which is another one in each run.
const tables = ['orders', 'items', 'customers', 'prices', 'stock', 'a', 'b', 'c', 'd', 'e', 'f', 'g']
const name = 'sharded'
const marks = Array.from({ length: shards }, (_, index) => `${name}#${index + 1}/${shards}`)

interface ShardAnswer {
  readonly shard: number
  readonly state: string | null
  readonly blocked: { readonly code: string } | null
  readonly engine: { readonly phase: string; readonly hostPid: number | null } | null
  readonly worker: string | null
}

let stack: Stack
let source: MysqlFacts
let target: MysqlFacts
let link: Proxy
let pipeline: PipelineCase
const workers: Proc[] = []

beforeAll(async () => {
  source = await sharedSource()
  target = await sharedTarget()
  // A long link makes the load last.
  link = await proxyTo(target, 10)
  stack = await startStack(await sharedTemporal())
  await stack.startWorker('control')
  for (let i = 0; i < 2; i++) workers.push(await stack.startWorker('stream'))
  pipeline = await createCase(
    stack,
    { source, target, named: { target: { host: link.host, port: link.port } } },
    name,
  )
})
afterEach(async (context) => {
  if (context.task.result?.state === 'fail') console.error(await stack.logs())
})
afterAll(async () => {
  await pipeline?.close()
  await stack?.stop()
  await link?.close()
})

const shardsNow = async (): Promise<readonly ShardAnswer[]> =>
  ((await stack.status(name)) as unknown as { shards: readonly ShardAnswer[] | null }).shards ?? []

/** A worker that runs at least one shard now. */
async function workerAtWork(): Promise<Proc> {
  let found: Proc | undefined
  await waitFor('a worker with a shard', 60_000, async () => {
    const now = await shardsNow()
    found = workers.find(({ pid }) => now.some(({ worker }) => worker?.startsWith(`stream-${pid}-`) === true))
    return found !== undefined
  })
  return found as Proc
}

async function killOneAndReplaceIt(): Promise<void> {
  const worker = await workerAtWork()
  worker.kill('SIGKILL')
  await worker.ended()
  workers.splice(workers.indexOf(worker), 1)
  workers.push(await stack.startWorker('stream'))
}

/** Changes rows of all tables until it is told to stop; some transactions span shards. */
function startWriter(connection: Connection): () => Promise<void> {
  let isOn = true
  const random = (below: number): number => Math.floor(Math.random() * below)
  const one = (): string => {
    const table = tables[random(tables.length)] as string
    const id = 1 + random(rowsPerTable * 2)
    const kind = random(4)
    if (kind === 0) return `DELETE FROM ${table} WHERE id = ${id}`
    if (kind === 1) return `UPDATE ${table} SET v = v + 1 WHERE id BETWEEN ${id} AND ${id + 20}`
    return `REPLACE INTO ${table} VALUES (${id}, ${random(1000)}, REPEAT('x', ${random(60)}))`
  }
  const work = (async () => {
    while (isOn) {
      await connection.query(`BEGIN; ${[one(), one(), one()].join('; ')}; COMMIT`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })()
  return async () => {
    isOn = false
    await work
  }
}

const shardOf = (table: string): number => textHash(`${pipeline.database}.${table}`) % shards

/** A table that another shard has. */
const tableBeside = (table: string): string => {
  const other = tables.find((candidate) => shardOf(candidate) !== shardOf(table))
  expect(other).toBeDefined()
  return other as string
}

async function expectEqual(): Promise<void> {
  await pipeline.reaches('streaming', 240_000)
  for (const mark of marks) await pipeline.settled(240_000, mark)
  expect(await pipeline.expectEqual({ mark: marks[0] as string })).toBeGreaterThan(rowsPerTable)
}

it('every row arrives, though a worker is killed while it loads and another while it streams', {
  timeout: 900_000,
}, async () => {
  for (const table of tables) {
    await pipeline.both(
      `CREATE TABLE ${table} (id INT PRIMARY KEY, v INT NOT NULL, filler VARCHAR(60) NOT NULL)`,
    )
    await pipeline.source.query(
      `INSERT INTO ${table} WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
       SELECT i, i, REPEAT('f', i MOD 60) FROM n`,
    )
  }
  const writing = await connect(source)
  await writing.query(`USE ${pipeline.database}`)
  const stopWriting = startWriter(writing)
  try {
    await pipeline.apply({ shards, ...slowLoad })
    await pipeline.reaches('loading', 180_000)
    await waitFor('a shard in its load', 60_000, async () =>
      (await shardsNow()).some(({ engine }) => engine?.phase === 'loading'),
    )
    await killOneAndReplaceIt()
    link.setLatency({ upMs: 0, downMs: 0 })
    await pipeline.reaches('streaming', 240_000)
    const now = await shardsNow()
    expect(now.map(({ shard, state }) => [shard, state])).toEqual([1, 2, 3, 4].map((n) => [n, 'streaming']))
    await killOneAndReplaceIt()
    await pipeline.reaches('streaming', 240_000)
  } finally {
    await stopWriting()
    await writing.end()
  }
  await expectEqual()
  // Each has marks and progress of its own, for tables that no other has.
  const [progress] = await pipeline.target.query<RowDataPacket[]>(
    'SELECT pipeline, table_name FROM syncline.load_progress WHERE pipeline IN (?) AND done = 1',
    [marks],
  )
  expect(new Set(progress.map((row) => String(row['pipeline'])))).toEqual(
    new Set(tables.map((table) => marks[shardOf(table)])),
  )
  expect(progress.map((row) => String(row['table_name'])).toSorted()).toEqual(
    tables.map((table) => `${pipeline.database}.${table}`).toSorted(),
  )
  // The shards of the worker that was killed last are missed after some seconds only: by then all rows may be there, and what they tell is of before.
  await waitFor('each shard streams, and is up to date', 120_000, async () => {
    const described = await stack.cli(['describe', 'pipeline', name])
    const stream = marks.every((_, index) =>
      new RegExp(`Shard ${index + 1} +streaming, lag `).test(described.stdout),
    )
    return stream && /LAG OF SHARDS\n.*(\d+ ms, ){3}\d+ ms/.test((await stack.cli(['lag', name])).stdout)
  })
})

it('pause and resume are of all shards; the number of shards stays', { timeout: 400_000 }, async () => {
  expect((await stack.cli(['pause', name])).stdout).toBe(`pipeline/${name} paused\n`)
  for (const table of tables) await pipeline.source.query(`INSERT INTO ${table} VALUES (900001, 1, 'paused')`)
  await new Promise((resolve) => setTimeout(resolve, 500))
  for (const table of tables)
    expect(await pipeline.rows(`SELECT id FROM ${table} WHERE id = 900001`), table).toEqual([])
  const changed = await stack.cli(['apply', '-f', await pipeline.file({ shards: 2, ...slowLoad })])
  expect(changed.code).toBe(5)
  expect(changed.stderr).toContain('SYNC-1115')
  await pipeline.resume()
  await expectEqual()
})

it('a shard that is blocked leaves the others streaming, until a person has mended it', {
  timeout: 400_000,
}, async () => {
  // A person has to look: only the shard of this table stands still.
  await pipeline.source.query('TRUNCATE TABLE prices')
  const blocked = await pipeline.blocked('SYNC-2302', 180_000)
  expect(blocked.message).toMatch(/^Shard \d of 4: /)
  const now = await shardsNow()
  expect(now.filter(({ state }) => state === 'blocked')).toHaveLength(1)
  expect(now.findIndex(({ state }) => state === 'blocked')).toBe(shardOf('prices'))
  const other = tableBeside('prices')
  await pipeline.source.query(`INSERT INTO ${other} VALUES (900002, 1, 'streams on')`)
  await waitFor('a row of another shard', 30_000, async () => {
    return (await pipeline.rows(`SELECT id FROM ${other} WHERE id = 900002`)).length === 1
  })
  await pipeline.target.query('TRUNCATE TABLE prices')
  await pipeline.resume()
  await expectEqual()
})

it('a rename from one shard into another is never passed', { timeout: 400_000 }, async () => {
  const b = tableBeside('a')
  await pipeline.source.query(`RENAME TABLE a TO moved_1, ${b} TO a, moved_1 TO ${b}`)
  await pipeline.blocked('SYNC-4006', 180_000)
  await pipeline.resume()
  await pipeline.blocked('SYNC-4006', 180_000)
  expect((await stack.cli(['stop', name])).code).toBe(0)
})
