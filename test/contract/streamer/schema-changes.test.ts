/**
 * Every kind of definition change under every policy, through the real engine between real servers: what is applied, what is left, what waits,
 * and that both sides are equal afterwards.
 */

import type { RowDataPacket } from 'mysql2'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { defaultPolicies, type SchemaChangePolicies } from '../../../src/core/schema-policy.ts'
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

const policies = (some: Partial<SchemaChangePolicies>): SchemaChangePolicies => ({
  ...defaultPolicies,
  ...some,
})

/** The tables at both ends, and an engine that streams them. */
async function streaming(
  definitions: readonly string[],
  rows: readonly string[] = [],
  options: Partial<EngineOptions> = {},
): Promise<EngineRun> {
  rig = await createRig(sourceServer, targetServer, 'ddl')
  for (const connection of [rig.source, rig.target]) {
    await connection.query(`USE ${rig.database}`)
    for (const definition of definitions) await connection.query(definition)
  }
  await source(...rows)
  const run = rig.start(options)
  await rig.settled(run)
  return run
}

async function source(...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await rig.source.query(statement)
}

/** Equal, once what has to be loaded again is loaded. */
async function expectEqual(...tables: string[]): Promise<void> {
  for (const table of tables)
    await vi.waitFor(
      async () => expect(await dump(rig.target, table), table).toEqual(await dump(rig.source, table)),
      { timeout: 30_000, interval: 50 },
    )
}

const created = async (end: 'source' | 'target', table: string): Promise<string> => {
  const [rows] = await rig[end].query<RowDataPacket[]>(`SHOW CREATE TABLE ${table}`)
  return String(rows[0]?.['Create Table']).replace(/ AUTO_INCREMENT=\d+/, '')
}
async function expectSameDefinition(...tables: string[]): Promise<void> {
  for (const table of tables) expect(await created('target', table)).toBe(await created('source', table))
}

const blocked = async (run: EngineRun) => {
  const outcome = await run.outcome
  if (outcome.kind !== 'blocked') throw new Error(`not blocked: ${JSON.stringify(outcome)}`)
  return outcome
}

const rowsLoaded = async (table: string): Promise<number> => {
  const [rows] = await rig.target.query<RowDataPacket[]>(
    'SELECT rows_loaded FROM syncline.load_progress WHERE pipeline = ? AND table_name = ?',
    [rig.pipeline, `${rig.database}.${table}`],
  )
  return Number(rows[0]?.['rows_loaded'])
}

const plain = 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40), n INT NOT NULL DEFAULT 3)'
const three = "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)"

describe('applied by default', () => {
  it.each([
    'ADD COLUMN a INT NOT NULL DEFAULT 7 AFTER id',
    "ADD COLUMN a VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_german1_ci NOT NULL DEFAULT 'ä''\\\\' COMMENT 'a, b' FIRST",
    "ADD COLUMN (a DECIMAL(20,6), b DATETIME(3) NULL, c BINARY(3) NOT NULL DEFAULT '\\0a')",
    "ADD COLUMN a ENUM('x','y''z') NOT NULL DEFAULT 'y''z', ADD COLUMN b SET('p','q') DEFAULT 'p,q'",
    "ADD COLUMN a JSON, ADD COLUMN b BIT(9) DEFAULT b'101', ADD COLUMN c TEXT, ADD COLUMN p POINT SRID 4326 NULL",
    'ADD COLUMN a INT AS (n * 2) STORED, ADD COLUMN b INT AS (n + 1) VIRTUAL, ADD INDEX (b)',
    'ADD COLUMN a INT INVISIBLE DEFAULT 5',
    'ADD COLUMN a INT UNIQUE KEY',
    'ADD INDEX i (v(10), n DESC), ADD UNIQUE KEY (n), ADD FULLTEXT KEY f (v)',
    'MODIFY n BIGINT NOT NULL DEFAULT 4',
    'MODIFY id BIGINT UNSIGNED NOT NULL, MODIFY v VARCHAR(200)',
    'MODIFY v TEXT',
  ])('%s', async (alteration) => {
    const unsigned = plain.replace('id INT', 'id INT UNSIGNED')
    const run = await streaming([unsigned], [three])
    await source("INSERT INTO t (id, v, n) VALUES (11, 'before', 11)", `ALTER TABLE t ${alteration}`)
    await source("INSERT INTO t (id, v, n) VALUES (12, 'after', 12)", "UPDATE t SET v = 'x' WHERE id = 1")
    await rig.settled(run)
    await expectEqual('t')
    await expectSameDefinition('t')
  })

  it('CREATE INDEX, and a statement of several clauses', async () => {
    const run = await streaming([plain], [three])
    await source(
      'CREATE UNIQUE INDEX `a on b` ON t (n)',
      'ALTER TABLE t ADD COLUMN a INT, ADD INDEX (a, v), MODIFY n BIGINT NOT NULL DEFAULT 3',
      "INSERT INTO t (id, v, n, a) VALUES (4, 'four', 5000000000, 1)",
    )
    await rig.settled(run)
    await expectEqual('t')
    await expectSameDefinition('t')
  })

  it('CREATE TABLE in every form, with rows', async () => {
    const run = await streaming([plain], [three])
    await source(
      'CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9)) DEFAULT CHARSET latin1',
      "INSERT INTO a VALUES (1, 'é')",
      'CREATE TABLE IF NOT EXISTS a (id INT PRIMARY KEY)',
      'CREATE TABLE b LIKE t',
      'INSERT INTO b SELECT * FROM t',
      'CREATE TABLE c (PRIMARY KEY (id)) SELECT * FROM t',
    )
    await rig.settled(run)
    await expectEqual('t', 'a', 'b', 'c')
    await expectSameDefinition('a', 'b', 'c')
  })

  it('a time that the rows got is loaded again, a constant is not', async () => {
    const run = await streaming([plain], [three])
    // Two more by the log, so that a load anew counts more rows than the first.
    await source("INSERT INTO t VALUES (4, 'four', 4), (5, 'five', 5)")
    await source("ALTER TABLE t ADD COLUMN a VARCHAR(9) NOT NULL DEFAULT 'x'")
    await rig.settled(run)
    await expectEqual('t')
    expect(await rowsLoaded('t')).toBe(3)
    await source('ALTER TABLE t ADD COLUMN b DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)')
    await rig.settled(run)
    await expectEqual('t')
    expect(await rowsLoaded('t')).toBe(5)
  })

  it('does nothing that is there already', async () => {
    const run = await streaming([plain], [three])
    await rig.target.query('ALTER TABLE t ADD COLUMN a INT, ADD INDEX i (v), MODIFY n BIGINT')
    const before = await created('target', 't')
    await source('ALTER TABLE t ADD COLUMN a INT, ADD INDEX i (v), MODIFY n BIGINT')
    await rig.settled(run)
    expect(await created('target', 't')).toBe(before)
    await expectEqual('t')
  })

  it('with names mapped and columns left out', async () => {
    rig = await createRig(sourceServer, targetServer, 'ddl')
    await rig.source.query(`USE ${rig.database}`)
    await rig.target.query(`USE ${rig.database}`)
    await source(
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40), secret INT)',
      "INSERT INTO t VALUES (1, 'a', 1)",
    )
    await rig.target.query('CREATE TABLE copy_t (id INT PRIMARY KEY, label VARCHAR(40))')
    const rule: TableRule = {
      match: `${rig.database}.*`,
      exclude: [],
      toSchema: '{schema}',
      toTable: 'copy_{table}',
      includeColumns: null,
      excludeColumns: ['secret', 'hidden'],
      renameColumns: { v: 'label', extra: 'more' },
      where: 'id > 0',
    }
    const run = rig.start({ rules: [rule] })
    await rig.settled(run)
    await source(
      'ALTER TABLE t ADD COLUMN extra INT DEFAULT 4 AFTER v, ADD COLUMN hidden INT, ADD INDEX i (v, extra), ADD INDEX j (secret)',
      'ALTER TABLE t MODIFY v VARCHAR(90), MODIFY secret BIGINT',
      'ALTER TABLE t ADD COLUMN g INT AS (extra + id) STORED',
      "INSERT INTO t (id, v, secret, extra, hidden) VALUES (2, REPEAT('x', 90), 5, 6, 7), (-1, 'out', 1, 1, 1)",
      'CREATE TABLE u (id INT PRIMARY KEY, v INT, hidden INT)',
      'INSERT INTO u VALUES (1, 2, 3)',
    )
    await rig.settled(run)
    const [rows] = await rig.target.query('SELECT * FROM copy_t ORDER BY id')
    expect(rows).toEqual([
      { id: 1, label: 'a', more: 4, g: 5 },
      { id: 2, label: 'x'.repeat(90), more: 6, g: 8 },
    ])
    expect(await created('target', 'copy_t')).toMatch(/KEY `i` \(`label`,`more`\)/)
    expect(await created('target', 'copy_t')).not.toContain('`j`')
    expect((await rig.target.query('SELECT * FROM copy_u'))[0]).toEqual([{ id: 1, label: 2 }])
  })
})

describe('by policy', () => {
  it.each([
    { kind: 'addColumn', statement: 'ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT 9' },
    { kind: 'widenColumn', statement: 'ALTER TABLE t MODIFY v VARCHAR(300)' },
    { kind: 'renameColumn', statement: 'ALTER TABLE t RENAME COLUMN v TO w' },
    { kind: 'renameColumn', statement: 'ALTER TABLE t CHANGE v w VARCHAR(300)' },
    { kind: 'addIndex', statement: 'CREATE INDEX i ON t (v)' },
    { kind: 'dropIndex', statement: 'DROP INDEX k ON t' },
    { kind: 'createTable', statement: 'CREATE TABLE u (id INT PRIMARY KEY)' },
    { kind: 'renameTable', statement: 'RENAME TABLE t TO u' },
    { kind: 'renameTable', statement: 'ALTER TABLE t RENAME TO u' },
    { kind: 'dropTable', statement: 'DROP TABLE t' },
    { kind: 'truncateTable', statement: 'TRUNCATE TABLE t' },
  ] as const)('$kind: $statement', async ({ kind, statement }) => {
    const definition = plain.replace('n INT', 'KEY k (n), n INT')
    const run = await streaming([definition], [three], { schemaChanges: policies({ [kind]: 'block' }) })
    const before = await created('target', 't')
    await source("INSERT INTO t VALUES (4, 'four', 4)", statement)
    const { code, remedy, at } = await blocked(run)
    expect(code).toMatch(/^SYNC-230[12]$/)
    expect(remedy).not.toBe('')
    expect(at).not.toBeNull()
    expect(await created('target', 't'), 'nothing is touched').toBe(before)
    expect(await dump(rig.target, 't'), 'all before it is written').toHaveLength(4)

    const all = { widenColumn: 'apply', [kind]: 'apply' } as const
    const next = rig.start({ schemaChanges: policies(all) })
    await rig.settled(next)
    const [tables] = await rig.source.query<RowDataPacket[]>('SHOW TABLES')
    const [there] = await rig.target.query<RowDataPacket[]>('SHOW TABLES')
    expect(there).toEqual(tables)
    for (const [table] of tables.map((row) => Object.values(row) as string[])) {
      await expectEqual(table as string)
      await expectSameDefinition(table as string)
    }
  })

  it('narrowColumn and dropColumn follow where the pipeline says so', async () => {
    const run = await streaming([plain.replace('n INT', 'd DECIMAL(8,3), n INT')], [], {
      schemaChanges: policies({ narrowColumn: 'apply', dropColumn: 'apply', dropIndex: 'apply' }),
    })
    await source(
      "INSERT INTO t VALUES (1, 'one', 1.455, 1), (2, NULL, 2.5, 2)",
      'ALTER TABLE t MODIFY d DECIMAL(8,1), DROP COLUMN n',
      "UPDATE t SET v = '' WHERE v IS NULL",
      'ALTER TABLE t MODIFY v CHAR(9) NOT NULL',
      "INSERT INTO t VALUES (3, 'x', 1.4)",
    )
    await rig.settled(run)
    await expectEqual('t')
    await expectSameDefinition('t')
  })

  it('narrowColumn and dropColumn go on by themselves where the target takes every row', async () => {
    const run = await streaming([plain], [three])
    await source(
      'ALTER TABLE t MODIFY v VARCHAR(20)',
      'ALTER TABLE t DROP COLUMN v',
      'INSERT INTO t VALUES (4, 4)',
    )
    await rig.settled(run)
    expect((await rig.target.query('SELECT id, n FROM t ORDER BY id'))[0]).toEqual(
      (await rig.source.query('SELECT id, n FROM t ORDER BY id'))[0],
    )
  })

  it('ignored: the target stays, and what it does not have is not carried', async () => {
    const run = await streaming(
      [plain, 'CREATE TABLE kept (id INT PRIMARY KEY)'],
      [three, 'INSERT INTO kept VALUES (1)'],
      {
        schemaChanges: policies({
          addColumn: 'ignore',
          addIndex: 'ignore',
          createTable: 'ignore',
          dropTable: 'ignore',
          truncateTable: 'ignore',
        }),
      },
    )
    const before = await created('target', 't')
    await source(
      'ALTER TABLE t ADD COLUMN a INT, ADD INDEX i (n)',
      "INSERT INTO t VALUES (4, 'four', 4, 40)",
      'CREATE TABLE u (id INT PRIMARY KEY)',
      'INSERT INTO u VALUES (1)',
      'DROP TABLE kept',
    )
    await rig.settled(run)
    expect(await created('target', 't')).toBe(before)
    expect((await rig.target.query('SELECT * FROM t ORDER BY id'))[0]).toEqual(
      (await rig.source.query('SELECT id, v, n FROM t ORDER BY id'))[0],
    )
    expect((await rig.target.query('SHOW TABLES'))[0]).toHaveLength(2)
    await source('TRUNCATE TABLE t', "INSERT INTO t VALUES (9, 'new', 1, 1)")
    await rig.settled(run)
    expect(await dump(rig.target, 't')).toHaveLength(5)
    // A later life of the engine knows it as well.
    await run.drain()
    const next = rig.start({ schemaChanges: policies({ addColumn: 'ignore', createTable: 'ignore' }) })
    await source("UPDATE t SET a = 3, v = 'again'", 'UPDATE u SET id = 2')
    await rig.settled(next)
    expect((await rig.target.query('SELECT v FROM t WHERE id = 9'))[0]).toEqual([{ v: 'again' }])
  })

  it.each(['ALTER TABLE p DROP PARTITION a', 'ALTER TABLE p TRUNCATE PARTITION a, b'])(
    '%s: a person decides, or the target keeps the rows',
    async (statement) => {
      const parted =
        'CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE)'
      const first = await streaming([parted], ['INSERT INTO p VALUES (1), (20)'])
      await source(statement, 'INSERT INTO p VALUES (30)')
      expect(await blocked(first)).toMatchObject({ code: 'SYNC-2302' })
      const run = rig.start({ schemaChanges: policies({ dropPartition: 'ignore' }) })
      await rig.settled(run)
      const [rows] = await rig.target.query('SELECT id FROM p ORDER BY id')
      expect(rows).toEqual([{ id: 1 }, { id: 20 }, { id: 30 }])
    },
  )

  it('a table that the target kept, and that is made anew: its old rows are not taken for new ones', async () => {
    const run = await streaming([plain], [three], { schemaChanges: policies({ dropTable: 'ignore' }) })
    await source('DROP TABLE t', plain, "INSERT INTO t VALUES (9, 'new', 9)")
    expect(await blocked(run)).toMatchObject({ code: 'SYNC-2304' })
    await rig.target.query('DROP TABLE t')
    await rig.settled(rig.start())
    await expectEqual('t')
  })

  it('a statement waits if one of its changes does, and does nothing until then', async () => {
    const run = await streaming([plain], [three])
    const before = await created('target', 't')
    await source('ALTER TABLE t ADD COLUMN a INT, RENAME COLUMN v TO w')
    const { remedy } = await blocked(run)
    expect(await created('target', 't')).toBe(before)
    await rig.target.query(remedy.slice(remedy.indexOf('ALTER TABLE')))
    await source("INSERT INTO t VALUES (4, 'four', 4, 5)")
    await rig.settled(rig.start())
    await expectEqual('t')
  })
})

describe('a table is emptied', () => {
  it('while it is loaded: what was loaded goes, and nothing comes back', async () => {
    rig = await createRig(sourceServer, targetServer, 'ddl')
    for (const connection of [rig.source, rig.target]) {
      await connection.query(`USE ${rig.database}`)
      await connection.query('CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100))')
    }
    await source("INSERT INTO t (v) VALUES (REPEAT('x', 100))")
    for (let i = 0; i < 14; i++) await source('INSERT INTO t (v) SELECT v FROM t')
    const run = rig.start({
      load: { enabled: true, chunkRows: 200, chunksInFlight: 2 },
      schemaChanges: policies({ truncateTable: 'apply' }),
    })
    await until(run, 60_000, (status) => status.load.rows > 1_000)
    expect(run.engine.status().phase).toBe('loading')
    await source(
      'TRUNCATE TABLE t',
      "INSERT INTO t (v) VALUES ('a'), ('b')",
      'UPDATE t SET v = CONCAT(v, id)',
    )
    await rig.settled(run)
    await expectEqual('t')
    expect(await dump(rig.target, 't')).toHaveLength(2)
  })

  it('and filled again and again', async () => {
    const run = await streaming([plain], [three], { schemaChanges: policies({ truncateTable: 'apply' }) })
    for (let i = 0; i < 5; i++) await source(three.replace('INSERT', 'REPLACE'), 'TRUNCATE t')
    await source(three)
    await rig.settled(run)
    await expectEqual('t')
  })
})

describe('old rows', () => {
  it('are written with the columns of their time after a pause with many changes', async () => {
    const run = await streaming([plain], [three], {
      schemaChanges: policies({ renameColumn: 'apply', narrowColumn: 'apply', dropColumn: 'apply' }),
    })
    const { schemaChanges } = {
      schemaChanges: policies({ renameColumn: 'apply', narrowColumn: 'apply', dropColumn: 'apply' }),
    }
    await run.drain()
    await source(
      "INSERT INTO t VALUES (4, 'four', 4)",
      'ALTER TABLE t ADD COLUMN a INT NOT NULL',
      "INSERT INTO t VALUES (5, 'five', 5, 50)",
      'ALTER TABLE t RENAME COLUMN v TO w',
      "INSERT INTO t VALUES (6, 'six', 6, 60)",
      'ALTER TABLE t ADD COLUMN b INT DEFAULT 7',
      'ALTER TABLE t ALTER b SET DEFAULT 8',
      'ALTER TABLE t MODIFY w VARCHAR(300)',
      "INSERT INTO t VALUES (7, REPEAT('7', 300), 7, 70, 71)",
      'ALTER TABLE t DROP COLUMN a, ADD COLUMN c DATETIME(3) FIRST',
      "INSERT INTO t VALUES ('2026-01-01 00:00:00.123', 8, 'eight', 8, 9)",
      'ALTER TABLE t MODIFY c DATETIME(1)',
      'UPDATE t SET n = n + 1',
      'CREATE TABLE u LIKE t',
      'INSERT INTO u SELECT * FROM t',
      'ALTER TABLE u ADD COLUMN z INT DEFAULT 1',
      'UPDATE u SET z = id',
      'RENAME TABLE u TO w',
      'DELETE FROM w WHERE id = 1',
    )
    const next = rig.start({ schemaChanges: { ...schemaChanges, renameTable: 'apply' } })
    await rig.settled(next)
    await expectEqual('t', 'w')
    await expectSameDefinition('t', 'w')
  })

  it('under a name that the target was rid of before them: loaded again', async () => {
    const run = await streaming([plain], [three])
    await run.drain()
    await source("INSERT INTO t VALUES (4, 'four', 4)", 'ALTER TABLE t RENAME COLUMN v TO w')
    await rig.target.query('ALTER TABLE t RENAME COLUMN v TO w')
    await rig.settled(rig.start())
    await expectEqual('t')
  })
})
