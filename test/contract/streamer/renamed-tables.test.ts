/**
 * Tables that are renamed, through the real engine between real servers: what stands in the way of a new name, what a person renamed too early, and
 * names that are exchanged. No row is missed: what cannot be known for certain waits.
 */
import type { RowDataPacket } from 'mysql2'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { defaultPolicies } from '../../../src/core/schema-policy.ts'
import { createRig, dump, type EngineRun, type Rig } from '../../support/engine-rig.ts'
import { type MysqlFacts, sharedSource, sharedTarget } from '../../support/servers.ts'

let sourceServer: MysqlFacts
let targetServer: MysqlFacts
let rig: Rig

beforeAll(async () => {
  sourceServer = await sharedSource()
  targetServer = await sharedTarget()
})
afterEach(async () => {
  await rig.close()
})

const options = { schemaChanges: { ...defaultPolicies, renameTable: 'apply' } } as const
const table = 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))'

async function streaming(...more: readonly string[]): Promise<EngineRun> {
  rig = await createRig(sourceServer, targetServer, 'renamed')
  for (const connection of [rig.source, rig.target]) {
    await connection.query(`USE ${rig.database}`)
    for (const definition of [table, ...more]) await connection.query(definition)
  }
  await source("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')")
  const run = rig.start(options)
  await rig.settled(run)
  return run
}

async function source(...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await rig.source.query(statement)
}

async function expectEqual(...tables: string[]): Promise<void> {
  for (const name of tables)
    await vi.waitFor(
      async () => expect(await dump(rig.target, name), name).toEqual(await dump(rig.source, name)),
      { timeout: 30_000, interval: 50 },
    )
  const [[atSource], [atTarget]] = await Promise.all(
    [rig.source, rig.target].map((end) => end.query('SHOW TABLES')) as [
      Promise<[RowDataPacket[], unknown]>,
      Promise<[RowDataPacket[], unknown]>,
    ],
  )
  expect(atTarget).toEqual(atSource)
}

async function blocked(run: EngineRun) {
  const outcome = await run.outcome
  if (outcome.kind !== 'blocked') throw new Error(`not blocked: ${JSON.stringify(outcome)}`)
  return outcome
}

const rowsLoaded = async (name: string): Promise<number> => {
  const [rows] = await rig.target.query<RowDataPacket[]>(
    'SELECT rows_loaded FROM syncline.load_progress WHERE pipeline = ? AND table_name = ?',
    [rig.pipeline, `${rig.database}.${name}`],
  )
  return Number(rows[0]?.['rows_loaded'])
}

describe('the new name is taken at the target', () => {
  it('by a table without rows, such as one that was made for the name: it gives way', async () => {
    const run = await streaming()
    await run.drain()
    await source(
      "INSERT INTO t VALUES (4, 'four')",
      'RENAME TABLE t TO u',
      "INSERT INTO u VALUES (5, 'five')",
    )
    await rig.target.query('CREATE TABLE u (id INT PRIMARY KEY, other INT)')
    await rig.settled(rig.start(options))
    await expectEqual('u')
    expect(await rowsLoaded('u')).toBe(3)
  })

  it('by a table with rows: nobody knows whose they are', async () => {
    const run = await streaming()
    await rig.target.query('CREATE TABLE u (id INT PRIMARY KEY, v VARCHAR(40))')
    await rig.target.query("INSERT INTO u VALUES (9, 'of somebody')")
    await source('RENAME TABLE t TO u', "INSERT INTO u VALUES (5, 'five')")
    expect(await blocked(run)).toMatchObject({ code: 'SYNC-2303' })
    expect(await dump(rig.target, 't')).toHaveLength(3)
    await rig.target.query('DROP TABLE u')
    await rig.settled(rig.start(options))
    await expectEqual('u')
  })
})

describe('a person renames at the target before the stream comes to the statement', () => {
  it('and rows under the old name are on the way: waits, instead of losing them', async () => {
    const run = await streaming()
    await run.drain()
    await source('DELETE FROM t WHERE id = 1', 'RENAME TABLE t TO u', "INSERT INTO u VALUES (5, 'five')")
    await rig.target.query('RENAME TABLE t TO u')
    const { code, remedy } = await blocked(rig.start(options))
    expect(code).toBe('SYNC-3201')
    expect(remedy).toContain('old name')
    await rig.target.query('RENAME TABLE u TO t')
    await rig.settled(rig.start(options))
    await expectEqual('u')
  })

  it('and there are none: goes on, and what was loaded stays', async () => {
    const run = await streaming()
    await run.drain()
    await source('RENAME TABLE t TO u', "INSERT INTO u VALUES (5, 'five')", 'DELETE FROM u WHERE id = 1')
    await rig.target.query('RENAME TABLE t TO u')
    await rig.settled(rig.start(options))
    await expectEqual('u')
    expect(await rowsLoaded('u')).toBe(3)
  })

  it('also where tables that the target lacks are left out', async () => {
    const run = await streaming()
    await run.drain()
    await source('DELETE FROM t WHERE id = 1', 'RENAME TABLE t TO u')
    await rig.target.query('RENAME TABLE t TO u')
    const ignoring = { schemaChanges: { ...options.schemaChanges, createTable: 'ignore' } } as const
    expect(await blocked(rig.start(ignoring))).toMatchObject({ code: 'SYNC-3201' })
  })
})

it('tables exchange their names: a person is asked, for nobody could say afterwards whether it was done', async () => {
  const run = await streaming('CREATE TABLE u (id INT PRIMARY KEY, v VARCHAR(40))')
  await source('RENAME TABLE t TO x, u TO t, x TO u', "INSERT INTO t VALUES (7, 'seven')")
  expect(await blocked(run)).toMatchObject({ code: 'SYNC-2301' })
  expect(await dump(rig.target, 't')).toHaveLength(3)
})

it('names that move up in a row', async () => {
  const run = await streaming('CREATE TABLE u (id INT PRIMARY KEY, v VARCHAR(40))')
  await source(
    "INSERT INTO u VALUES (8, 'eight')",
    'RENAME TABLE u TO x, t TO u',
    "INSERT INTO u VALUES (9, 'nine')",
  )
  await rig.settled(run)
  await expectEqual('u', 'x')
})

it('what the same statement did to the columns is done as well, and values that it made are loaded', async () => {
  const run = await streaming()
  await source(
    'ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 4, ADD COLUMN at DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6), ADD INDEX i (v), RENAME TO u',
    "INSERT INTO u (id, v) VALUES (5, 'five')",
  )
  await rig.settled(run)
  await expectEqual('u')
  const shown = await Promise.all(
    [rig.source, rig.target].map((end) => end.query<RowDataPacket[]>('SHOW CREATE TABLE u')),
  )
  expect(shown[1]?.[0]).toEqual(shown[0]?.[0])
})

it('what was asked for under a name that the source has no more is made up for under the new one', async () => {
  const run = await streaming()
  await run.drain()
  await source(
    'ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT 3',
    "INSERT INTO t VALUES (4, 'four', 40)",
    'DELETE FROM t WHERE id = 2',
    'RENAME TABLE t TO u',
    "INSERT INTO u VALUES (5, 'five', 50)",
    'ALTER TABLE u ADD COLUMN b INT',
    'UPDATE u SET b = id',
  )
  await rig.settled(rig.start(options))
  await expectEqual('u')
})

it('a table that is dropped while nobody streams, and kept at the target: with the rows that it had at the end', async () => {
  const run = await streaming()
  await run.drain()
  await source("INSERT INTO t VALUES (4, 'four')", 'DELETE FROM t WHERE id = 1', 'DROP TABLE t')
  await rig.settled(rig.start({ schemaChanges: { ...defaultPolicies, dropTable: 'ignore' } }))
  const [rows] = await rig.target.query('SELECT id FROM t ORDER BY id')
  expect(rows).toEqual([{ id: 2 }, { id: 3 }, { id: 4 }])
})

it('a table that never came to the target is made under its new name', async () => {
  const run = await streaming()
  await run.drain()
  await source(
    'CREATE TABLE a LIKE t',
    'INSERT INTO a SELECT * FROM t',
    'RENAME TABLE a TO b',
    'DELETE FROM b WHERE id = 2',
  )
  await rig.settled(rig.start(options))
  await expectEqual('t', 'b')
})
