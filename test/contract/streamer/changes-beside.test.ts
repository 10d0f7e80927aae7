/**
 * Definition changes where a pipeline does more than carry tables: shards, global order, tables that are parked. Through the real engine between
 * real servers.
 */
import type { RowDataPacket } from 'mysql2'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { defaultPolicies, type SchemaChangePolicies } from '../../../src/core/schema-policy.ts'
import { spanShards } from '../../../src/streamer/mapping.ts'
import type { EngineOptions, TableRule } from '../../../src/streamer/options.ts'
import { createRig, dump, type EngineRun, type Rig, until } from '../../support/engine-rig.ts'
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

const schemaChanges: SchemaChangePolicies = {
  ...defaultPolicies,
  truncateTable: 'apply',
  dropTable: 'apply',
  renameTable: 'apply',
  dropColumn: 'apply',
}

async function prepared(tables: readonly string[], rows = 3): Promise<void> {
  rig = await createRig(sourceServer, targetServer, 'beside')
  for (const connection of [rig.source, rig.target]) await connection.query(`USE ${rig.database}`)
  for (const name of tables) {
    for (const connection of [rig.source, rig.target])
      await connection.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, v VARCHAR(40), n INT)`)
    await rig.source.query(
      `INSERT INTO ${name} WITH RECURSIVE s AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM s WHERE i < ${rows}) SELECT i, CONCAT('v', i), i FROM s`,
    )
  }
}

async function source(...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await rig.source.query(statement)
}

const tablesOf = async (end: 'source' | 'target'): Promise<string[]> => {
  const [rows] = await rig[end].query<RowDataPacket[]>('SHOW TABLES')
  return rows.map((row) => String(Object.values(row)[0]))
}

/** Tables, definitions and rows. */
async function expectSame(): Promise<void> {
  await vi.waitFor(
    async () => {
      const names = await tablesOf('source')
      expect(await tablesOf('target')).toEqual(names)
      for (const name of names) {
        expect(await dump(rig.target, name), name).toEqual(await dump(rig.source, name))
        const shown = await Promise.all(
          [rig.source, rig.target].map((end) => end.query<RowDataPacket[]>(`SHOW CREATE TABLE ${name}`)),
        )
        expect(shown[1]?.[0]).toEqual(shown[0]?.[0])
      }
    },
    { timeout: 60_000, interval: 100 },
  )
}

const allTables: Omit<TableRule, 'match'> = {
  exclude: [],
  toSchema: '{schema}',
  toTable: '{table}',
  includeColumns: null,
  excludeColumns: [],
  renameColumns: {},
  where: null,
}
const shards = 3
const rulesOf = (index: number): TableRule[] => [
  { ...allTables, match: `${rig.database}.*`, shard: { index, of: shards } },
]

describe('shards', () => {
  const start = (): EngineRun[] =>
    Array.from({ length: shards }, (_, index) =>
      rig.start({
        pipeline: `${rig.pipeline}#${index + 1}/${shards}`,
        rules: rulesOf(index),
        schemaChanges,
      }),
    )
  const settled = async (runs: readonly EngineRun[]): Promise<void> => {
    for (const run of runs) await rig.settled(run)
  }
  const apart = (...names: string[]): boolean =>
    spanShards(
      rulesOf(0),
      names.map((name) => ({ schema: rig.database, name })),
    )
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

  it('each changes the tables that it carries, also by one statement about many', async () => {
    await prepared(names)
    expect(apart(...names)).toBe(true)
    const runs = start()
    await settled(runs)
    for (const name of names)
      await source(
        `ALTER TABLE ${name} ADD COLUMN w INT NOT NULL DEFAULT 5 FIRST, ADD INDEX (v)`,
        `INSERT INTO ${name} VALUES (50, 4, 'four', 4)`,
      )
    await source(
      'DROP TABLE a, b, c',
      'TRUNCATE TABLE d',
      'INSERT INTO d VALUES (1, 1, NULL, 1)',
      'CREATE TABLE parent (id INT PRIMARY KEY)',
      ...names
        .slice(3)
        .map(
          (name) =>
            `CREATE TABLE child_${name} (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))`,
        ),
      'INSERT INTO parent VALUES (1)',
      ...names.slice(3).map((name) => `INSERT INTO child_${name} VALUES (1, 1)`),
    )
    await settled(runs)
    await expectSame()
  })

  it('a rename from one into another cannot be carried, and says so', async () => {
    await prepared(['a'])
    const runs = start()
    await settled(runs)
    const other = ['r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8'].find((name) => apart('a', name)) as string
    await source(`RENAME TABLE a TO ${other}`)
    const outcomes = await Promise.race(runs.map(({ outcome }) => outcome))
    expect(outcomes).toMatchObject({ kind: 'blocked', code: 'SYNC-4006' })
  })

  it('an online change whose copies other shards carry: the table is changed where it is', async () => {
    await prepared(names, 50)
    const runs = start()
    await settled(runs)
    const spread = names.filter((name) => apart(name, `_${name}_gho`, `_${name}_del`))
    expect(spread.length).toBeGreaterThan(3)
    for (const name of names) {
      await source(
        `CREATE /* gh-ost */ TABLE _${name}_gho LIKE ${name}`,
        `ALTER /* gh-ost */ TABLE _${name}_gho ADD COLUMN w INT NOT NULL DEFAULT 6`,
        `INSERT INTO _${name}_gho (id, v, n) SELECT id, v, n FROM ${name}`,
        `RENAME /* gh-ost */ TABLE ${name} TO _${name}_del, _${name}_gho TO ${name}`,
        `INSERT INTO ${name} VALUES (1000, 'after', 1, 2)`,
        `UPDATE ${name} SET n = n + 1, w = 9 WHERE id < 10`,
      )
    }
    await settled(runs)
    await expectSame()
    for (const name of names) await source(`DROP /* gh-ost */ TABLE _${name}_del`)
    await settled(runs)
    await expectSame()
  })
})

it('global order: every kind of change between two commits', async () => {
  await prepared(['a', 'b', 'c'])
  const run = rig.start({ order: 'global', schemaChanges })
  await rig.settled(run)
  await source(
    "INSERT INTO a VALUES (10, 'x', 1)",
    'ALTER TABLE a ADD COLUMN w INT NOT NULL DEFAULT 3',
    "INSERT INTO a VALUES (11, 'y', 1, 1)",
    'ALTER TABLE b ADD COLUMN at DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6), DROP COLUMN n',
    'UPDATE b SET v = NULL WHERE id = 2',
    'TRUNCATE TABLE c',
    "INSERT INTO c VALUES (1, 'new', 1)",
    'RENAME TABLE a TO d, c TO a',
    "UPDATE a SET v = 'a'",
    "UPDATE d SET v = 'd'",
    'CREATE TABLE e (PRIMARY KEY (id)) SELECT * FROM b',
    'DROP TABLE b',
  )
  await rig.settled(run)
  await expectSame()
})

describe('a change that the target refuses for one table', () => {
  const wide = 'ALTER TABLE a MODIFY v VARCHAR(4000)'
  const change = ['ALTER TABLE a ADD INDEX i (v), ADD COLUMN w INT', "INSERT INTO a VALUES (9, 'nine', 9, 9)"]
  const parking: Partial<EngineOptions> = { quarantine: { maxTables: 2, maxDeadLetters: 5 } }

  it('parks it where the pipeline parks tables, and all others go on', async () => {
    await prepared(['a', 'b'])
    const run = rig.start(parking)
    await rig.settled(run)
    // The index would be longer than any may be.
    await rig.target.query(wide)
    await source(...change, "INSERT INTO b VALUES (9, 'nine', 9)")
    await rig.settled(run)
    expect(rig.parked()).toMatchObject([{ table: { name: 'a' }, code: 'SYNC-2303' }])
    expect(await dump(rig.target, 'b')).toEqual(await dump(rig.source, 'b'))
    expect(await dump(rig.target, 'a')).toHaveLength(3)
    const [notes] = await rig.target.query(
      'SELECT change_id FROM syncline.schema_change WHERE pipeline = ?',
      [rig.pipeline],
    )
    expect(notes).toEqual([])
    await run.drain()
    await rig.target.query('ALTER TABLE a MODIFY v VARCHAR(40), ADD INDEX i (v), ADD COLUMN w INT')
    const [parked] = rig.parked()
    const next = rig.start(parking, [{ table: `${rig.database}.a`, parking: parked?.parking ?? '' }])
    await until(next, 30_000, () => rig.parked().length === 0)
    await rig.settled(next)
    await expectSame()
  })

  it('parks it where a person is to decide, too', async () => {
    await prepared(['a', 'b'])
    const run = rig.start({ ...parking, schemaChanges: { ...schemaChanges, addColumn: 'block' } })
    await rig.settled(run)
    await source(...change, "INSERT INTO b VALUES (9, 'nine', 9)")
    await rig.settled(run)
    expect(rig.parked()).toMatchObject([{ table: { name: 'a' }, code: 'SYNC-2301' }])
    expect(await dump(rig.target, 'b')).toEqual(await dump(rig.source, 'b'))
  })

  it('blocks the pipeline otherwise, and is tried again', async () => {
    await prepared(['a', 'b'])
    const run = rig.start()
    await rig.settled(run)
    await rig.target.query(wide)
    await source(...change)
    expect(await run.outcome).toMatchObject({ kind: 'blocked', code: 'SYNC-2303' })
    await rig.target.query('ALTER TABLE a MODIFY v VARCHAR(40)')
    const next = rig.start()
    await rig.settled(next)
    await expectSame()
  })
})
