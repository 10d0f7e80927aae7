/*
 * Verifications in whose way something stands: an end that cannot be reached, a log that was purged, tables that are dropped or altered meanwhile.
 * Each says what is wrong and what to do, goes on where that passes by itself, and compares everything else.
 */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { startMysql } from '../../dev/mysql.ts'
import { proxyTo } from '../support/chaos-rig.ts'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import type { Proxy } from '../support/proxy.ts'
import { waitFor } from '../support/stack.ts'
import { createVerifying, type Verifying } from '../support/verifying.ts'

const here = useInstallation({ verifyWorkers: 1 })
let verifying: Verifying
let link: Proxy

beforeAll(async () => {
  verifying = await createVerifying(here.stack, here.temporal)
  link = await proxyTo(here.target)
})
afterEach(() => {
  link.setLatency({ upMs: 0, downMs: 0 })
  link.setNewConnections('open')
})
afterAll(async () => {
  await verifying?.close()
  await link?.close()
})

/** The target is reached through `link`. */
const throughLink = (name: string): Promise<PipelineCase> =>
  here.createCase(name, { named: { target: { host: link.host, port: link.port } } })

const fill = (table: string, rows: number): string =>
  `SET SESSION cte_max_recursion_depth = ${rows}; INSERT INTO ${table}
   WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT i, i FROM n`

it('a target that cannot be reached is told of, and waited for', async () => {
  const pipeline = await throughLink('verify-away')
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, v INT)')
  await pipeline.source.query('INSERT INTO t VALUES (1, 1), (2, 2)')
  await pipeline.apply()
  await pipeline.reaches('streaming')
  link.setNewConnections('reset')
  link.cut('rst')
  const id = await verifying.start([pipeline.name])
  await waitFor('a word of the target', 60_000, async () => {
    const { verification } = await verifying.show(id)
    return verification.trouble?.code === 'SYNC-3101'
  })
  const { stdout } = await here.stack.cli(['verify', 'show', id])
  expect(stdout).toMatch(/State +waiting/)
  expect(stdout).toMatch(/Reason +SYNC-3101 .*127\.0\.0\.1/)
  expect(stdout).toMatch(/Remedy +\S/)
  link.setNewConnections('open')
  const { verification } = await verifying.ends(id)
  expect(verification).toMatchObject({ state: 'done', outcome: 'equal', trouble: null })
})

it('a position that the source has purged stops the pipeline, and the verification says why', async () => {
  await using server = await startMysql({
    name: 'purged under a verification',
    serverId: 122,
    durable: false,
  })
  const pipeline = await here.createCase('verify-purged', { source: server })
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, v INT)')
  await pipeline.source.query('INSERT INTO t VALUES (1, 1)')
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(1)
  expect(await here.stack.cli(['pause', pipeline.name])).toMatchObject({ code: 0 })
  await pipeline.reaches('paused')
  await pipeline.source.query(
    'INSERT INTO t VALUES (2, 2); FLUSH BINARY LOGS; INSERT INTO t VALUES (3, 3); FLUSH BINARY LOGS',
  )
  const [logs] = await pipeline.source.query('SHOW BINARY LOGS')
  await pipeline.source.query(`PURGE BINARY LOGS TO '${(logs as { Log_name: string }[]).at(-1)?.Log_name}'`)
  await pipeline.resume()
  await pipeline.blocked('SYNC-2204')
  const { code, stdout, stderr } = await here.stack.cli(['verify', pipeline.name])
  expect(code).not.toBe(0)
  expect(stdout + stderr).toMatch(/SYNC-5140 pipeline verify-purged is blocked, SYNC-2204 /)
  expect(stdout + stderr).toMatch(/remedy .*Then verify again/)
})

it('tables that are dropped or altered meanwhile are named, and all others are compared to their end', async () => {
  const pipeline = await throughLink('verify-altered')
  const tables = ['a_large', 'b_dropped', 'c_wider', 'd_altered', 'e_gone', 'f_last']
  for (const table of tables) {
    await pipeline.both(`CREATE TABLE ${table} (id INT PRIMARY KEY, v INT)`)
    await pipeline.source.query(fill(table, table === 'a_large' ? 40_000 : 1_000))
  }
  await pipeline.apply()
  await pipeline.reaches('streaming')
  await pipeline.settled()
  await pipeline.target.query('UPDATE f_last SET v = -1 WHERE id = 77')

  link.setLatency({ upMs: 40, downMs: 40 })
  const id = await verifying.start([pipeline.name, '--mode', 'row'])
  await verifying.reaches(id, 1_000)
  await pipeline.target.query('DROP TABLE b_dropped')
  await pipeline.target.query('ALTER TABLE c_wider ADD COLUMN note VARCHAR(10)')
  await pipeline.source.query('ALTER TABLE d_altered ADD COLUMN note VARCHAR(10)')
  await pipeline.target.query('ALTER TABLE e_gone DROP COLUMN v')
  link.setLatency({ upMs: 0, downMs: 0 })
  const { verification, tables: compared, differences = [] } = await verifying.ends(id)
  const found = compared.map(({ table, state, trouble, tally }) => [
    table.split('.')[1],
    state,
    trouble?.code ?? null,
    tally.rowsCompared,
  ])
  expect(found).toEqual([
    ['a_large', 'done', null, 40_000],
    ['b_dropped', 'failed', 'SYNC-5103', 0],
    ['c_wider', 'failed', 'SYNC-5103', 0],
    ['d_altered', 'failed', 'SYNC-5103', 0],
    ['e_gone', 'failed', 'SYNC-5101', 0],
    ['f_last', 'done', null, 1_000],
  ])
  for (const { trouble } of compared.filter(({ state }) => state === 'failed'))
    expect(trouble?.remedy).toMatch(/\S/)
  expect(differences.map(({ table, key }) => [table.split('.')[1], key])).toEqual([['f_last', { id: '77' }]])
  expect(verification).toMatchObject({
    state: 'done',
    outcome: 'different',
    tables: { total: 6, done: 2, notCompared: 4 },
  })
  const { stdout } = await here.stack.cli(['verify', 'show', id])
  expect(stdout).toMatch(/b_dropped was not compared: SYNC-5103 .*\n +remedy \S/)
})
