/**
 * Online changes of a table under writes, statement by statement as gh-ost and pt-online-schema-change make them: with the copies carried and
 * without, read as they happen and after a pause. Both sides are equal, nobody is asked, and the table is not loaded again without need.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { defaultPolicies } from '../../../src/core/schema-policy.ts'
import type { EngineOptions, TableRule } from '../../../src/streamer/options.ts'
import { createRig, dump, type EngineRun, type Rig } from '../../support/engine-rig.ts'
import { connect, type MysqlFacts, sharedSource, sharedTarget } from '../../support/servers.ts'

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

const ruleOf = (exclude: readonly string[]): TableRule => ({
  match: `${rig.database}.*`,
  exclude: exclude.map((pattern) => `${rig.database}.${pattern}`),
  toSchema: '{schema}',
  toTable: '{table}',
  includeColumns: null,
  excludeColumns: [],
  renameColumns: {},
  where: null,
})

const rowCount = 400

async function prepared(definition: string): Promise<void> {
  rig = await createRig(sourceServer, targetServer, 'osc')
  for (const connection of [rig.source, rig.target]) {
    await connection.query(`USE ${rig.database}`)
    await connection.query(definition)
  }
  await rig.source.query(
    `INSERT INTO t (id, v, n) WITH RECURSIVE s AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM s WHERE i < ${rowCount}) SELECT i, CONCAT('v', i), i FROM s`,
  )
}

const definition = 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40), n INT NOT NULL DEFAULT 3)'

let nextId = 10_000

/** Inserts, updates and deletes until it is told to stop. */
async function writer(): Promise<{ stop(): Promise<void> }> {
  const connection = await connect(sourceServer)
  await connection.query(`USE ${rig.database}`)
  let isStopped = false
  // The copying takes locks on many rows: a deadlock is tried again, as an application does.
  const write = async (statement: string): Promise<void> => {
    for (;;) {
      const failed = await connection.query(statement).then(
        () => null,
        (error: { errno?: number }) => error,
      )
      if (failed === null) return
      if (failed.errno !== 1213 && failed.errno !== 1205) throw failed
    }
  }
  const done = (async () => {
    for (let i = 0; !isStopped; i++) {
      await write(`INSERT INTO t (id, v, n) VALUES (${nextId++}, 'new', ${i})`)
      await write(`UPDATE t SET n = n + 1 WHERE id % 7 = ${i % 7} AND id < 10050`)
      await write(`DELETE FROM t WHERE id = ${1 + (i % rowCount)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  done.catch(() => {})
  return {
    async stop() {
      isStopped = true
      await done
      await connection.end()
    },
  }
}

/**
 * Both tools do the same with the rows: each write goes to the copy too (gh-ost by the log, pt-osc by triggers), and the old ones are copied with
 * INSERT IGNORE. Triggers stand for both here.
 */
async function copyRows(source: Connection, copy: string, columns: string): Promise<void> {
  for (let from = 0; from < 12_000; from += 100)
    await source.query(
      `INSERT LOW_PRIORITY IGNORE INTO \`${copy}\` (${columns}) SELECT ${columns} FROM t WHERE id BETWEEN ${from} AND ${from + 99} LOCK IN SHARE MODE`,
    )
}

const triggers = (prefix: string, copy: string): string[] => {
  const d = rig.database
  return [
    `CREATE TRIGGER \`${d}\`.\`${prefix}_del\` AFTER DELETE ON \`${d}\`.\`t\` FOR EACH ROW DELETE IGNORE FROM \`${d}\`.\`${copy}\` WHERE id <=> OLD.id`,
    `CREATE TRIGGER \`${d}\`.\`${prefix}_upd\` AFTER UPDATE ON \`${d}\`.\`t\` FOR EACH ROW REPLACE INTO \`${d}\`.\`${copy}\` (id, v, n) VALUES (NEW.id, NEW.v, NEW.n)`,
    `CREATE TRIGGER \`${d}\`.\`${prefix}_ins\` AFTER INSERT ON \`${d}\`.\`t\` FOR EACH ROW REPLACE INTO \`${d}\`.\`${copy}\` (id, v, n) VALUES (NEW.id, NEW.v, NEW.n)`,
  ]
}

async function ptOsc(alteration: string): Promise<void> {
  const { source, database: d } = rig
  await source.query(
    `CREATE TABLE \`${d}\`.\`_t_new\` (id INT NOT NULL, v VARCHAR(40), n INT NOT NULL DEFAULT 3, PRIMARY KEY (id))`,
  )
  await source.query(`ALTER TABLE \`${d}\`.\`_t_new\` ${alteration}`)
  const prefix = `pt_osc_${d}_t`
  for (const trigger of triggers(prefix, '_t_new')) await source.query(trigger)
  await copyRows(source, '_t_new', 'id, v, n')
  await source.query(`ANALYZE TABLE \`${d}\`.\`_t_new\` /* pt-online-schema-change */`)
  await source.query(
    `RENAME TABLE \`${d}\`.\`t\` TO \`${d}\`.\`_t_old\`, \`${d}\`.\`_t_new\` TO \`${d}\`.\`t\``,
  )
  await source.query(`DROP TABLE IF EXISTS \`${d}\`.\`_t_old\``)
  for (const which of ['del', 'upd', 'ins'])
    await source.query(`DROP TRIGGER IF EXISTS \`${d}\`.\`${prefix}_${which}\``)
}

async function ghost(alteration: string): Promise<void> {
  const { source, database: d } = rig
  await source.query(`drop /* gh-ost */ table if exists \`${d}\`.\`_t_gho\``)
  await source.query(`drop /* gh-ost */ table if exists \`${d}\`.\`_t_ghc\``)
  await source.query(
    `create /* gh-ost */ table \`${d}\`.\`_t_ghc\` (id bigint auto_increment, last_update timestamp not null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hint varchar(64) charset ascii not null, value varchar(4096) charset ascii not null, primary key(id), unique key hint_uidx(hint)) auto_increment=256`,
  )
  await source.query(`create /* gh-ost */ table \`${d}\`.\`_t_gho\` like \`${d}\`.\`t\``)
  await source.query(`alter /* gh-ost */ table \`${d}\`.\`_t_gho\` ${alteration}`)
  await source.query(
    `insert /* gh-ost */ into \`${d}\`.\`_t_ghc\` (id, hint, value) values (NULLIF(2, 0), 'state', 'GhostTableMigrated')`,
  )
  const prefix = `stands_for_the_log_${d}`.slice(0, 50)
  for (const trigger of triggers(prefix, '_t_gho')) await source.query(trigger)
  await copyRows(source, '_t_gho', 'id, v, n')
  await source.query(
    `create /* gh-ost */ table \`${d}\`.\`_t_del\` (id int auto_increment primary key) engine=InnoDB comment='ghost-cut-over-sentry'`,
  )
  await source.query(`drop /* gh-ost */ table if exists \`${d}\`.\`_t_del\``)
  await source.query(
    `rename /* gh-ost */ table \`${d}\`.\`t\` to \`${d}\`.\`_t_del\`, \`${d}\`.\`_t_gho\` to \`${d}\`.\`t\``,
  )
  for (const which of ['del', 'upd', 'ins']) await source.query(`DROP TRIGGER \`${prefix}_${which}\``)
  await source.query(`drop /* gh-ost */ table if exists \`${d}\`.\`_t_ghc\``)
  await source.query(`drop /* gh-ost */ table if exists \`${d}\`.\`_t_del\``)
}

const tools = { ghost, ptOsc }

const rowsLoaded = async (): Promise<number> => {
  const [rows] = await rig.target.query<RowDataPacket[]>(
    'SELECT rows_loaded FROM syncline.load_progress WHERE pipeline = ? AND table_name = ?',
    [rig.pipeline, `${rig.database}.t`],
  )
  return Number(rows[0]?.['rows_loaded'])
}

async function expectSame(): Promise<void> {
  // Once what has to be loaded again is loaded.
  await vi.waitFor(async () => expect(await dump(rig.target, 't')).toEqual(await dump(rig.source, 't')), {
    timeout: 30_000,
    interval: 50,
  })
  const created = async (connection: Connection): Promise<unknown> =>
    (await connection.query<RowDataPacket[]>('SHOW CREATE TABLE t'))[0][0]?.['Create Table']
  expect(await created(rig.target)).toBe(await created(rig.source))
  const tables = async (connection: Connection): Promise<unknown> =>
    (await connection.query('SHOW TABLES'))[0]
  expect(await tables(rig.target)).toEqual(await tables(rig.source))
}

async function undisturbed(run: EngineRun): Promise<void> {
  const writes = await writer()
  try {
    await rig.settled(run)
  } finally {
    await writes.stop()
  }
  await rig.settled(run)
}

const alteration =
  "ADD COLUMN a INT NOT NULL DEFAULT 7, ADD INDEX i (n), MODIFY v VARCHAR(200), ADD COLUMN b VARCHAR(9) DEFAULT 'x' AFTER id"

describe.each(['ghost', 'ptOsc'] as const)('%s', (tool) => {
  it.each([
    { what: 'the copies excluded', exclude: ['_t_*'] },
    { what: 'the copies carried', exclude: [] },
  ])('with $what, under writes', async ({ exclude }) => {
    await prepared(definition)
    const options: Partial<EngineOptions> = { rules: [ruleOf(exclude)] }
    const run = rig.start(options)
    await rig.settled(run)
    const loadedBefore = await rowsLoaded()
    const writes = await writer()
    try {
      await tools[tool](alteration)
    } finally {
      await writes.stop()
    }
    await undisturbed(run)
    await expectSame()
    if (exclude.length > 0) expect(await rowsLoaded(), 'not loaded again').toBe(loadedBefore)
  })

  it.each([
    { what: 'the copies excluded', exclude: ['_t_*'] },
    { what: 'the copies carried', exclude: [] },
  ])('with $what, read after a pause', async ({ exclude }) => {
    await prepared(definition)
    const options: Partial<EngineOptions> = { rules: [ruleOf(exclude)] }
    const first = rig.start(options)
    await rig.settled(first)
    await first.drain()
    const writes = await writer()
    try {
      await tools[tool](alteration)
    } finally {
      await writes.stop()
    }
    await rig.source.query('ALTER TABLE t ADD COLUMN c DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)')
    const run = rig.start(options)
    await undisturbed(run)
    await expectSame()
  })

  it('that changes values: loaded again', async () => {
    await prepared(definition)
    const run = rig.start({
      rules: [ruleOf(['_t_*'])],
      schemaChanges: { ...defaultPolicies, narrowColumn: 'apply' },
    })
    await rig.settled(run)
    await tools[tool](
      'ADD COLUMN at DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6), MODIFY n DECIMAL(4,0) NOT NULL',
    )
    await undisturbed(run)
    await expectSame()
  })

  it('that adds a unique key, and leaves rows out that meet in it: a person decides', async () => {
    await prepared(definition)
    const run = rig.start({ rules: [ruleOf(['_t_*'])] })
    await rig.source.query('UPDATE t SET n = 1 WHERE id < 4')
    await rig.settled(run)
    await tools[tool]('ADD UNIQUE KEY u (n)')
    const outcome = await run.outcome
    expect(outcome).toMatchObject({ kind: 'blocked', code: 'SYNC-2303' })
  })
})

it('a swap that is nobody’s: a person decides', async () => {
  await prepared(definition)
  const run = rig.start({ rules: [ruleOf(['_t_*'])] })
  await rig.settled(run)
  for (const statement of [
    'CREATE TABLE _t_new LIKE t',
    'INSERT INTO _t_new SELECT id, UPPER(v), n FROM t WHERE id > 1',
    'RENAME TABLE t TO _t_old, _t_new TO t',
  ])
    await rig.source.query(statement)
  expect(await run.outcome).toMatchObject({ kind: 'blocked', code: 'SYNC-2301' })
  expect(await dump(rig.target, 't')).toHaveLength(rowCount)
})
