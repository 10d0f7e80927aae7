/**
 * Definitions that change while a pipeline streams: what the target needs is done there or asked for before the statement is passed, what it has
 * is passed by itself, and rows whose values the server changed without logging them are loaded again. Both sides are equal in the end.
 */
import { expect, it } from 'vitest'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { waitFor } from '../support/stack.ts'

const here = useInstallation()
const table = 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))'
const rows = "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')"

/** A table of three rows that streams. */
async function streaming(name: string, spec: Record<string, unknown> = {}): Promise<PipelineCase> {
  const pipeline = await here.createCase(name)
  await pipeline.both(table)
  await pipeline.source.query(rows)
  await pipeline.apply(spec)
  expect(await pipeline.expectEqual()).toBe(3)
  return pipeline
}

/** The state is never seen as blocked while everything gets to the target. */
async function expectNeverBlocked(pipeline: PipelineCase): Promise<void> {
  await pipeline.settled()
  // A session that starts with new definitions has to catch up first; being blocked fails at once.
  await pipeline.reaches('streaming')
  const { stdout } = await here.stack.cli(['get', 'pipelines', pipeline.name, '-o', 'json'])
  expect(stdout).toContain(pipeline.name)
  const audit = await (await fetch(`${here.stack.url}/v1/audit?name=${pipeline.name}`)).text()
  expect(audit).toContain(pipeline.name)
  expect(audit).not.toContain('SYNC-2')
}

const added =
  "INSERT INTO t VALUES (4, 'before'); ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7 AFTER id; INSERT INTO t VALUES (5, 50, 'after'); UPDATE t SET n = 9 WHERE id = 1"

it('a column is added: the target gets it by itself', async () => {
  const pipeline = await streaming('add-column')
  await pipeline.source.query(added)
  await expectNeverBlocked(pipeline)
  expect(await pipeline.expectEqual()).toBe(5)
})

it('a column is added while the pipeline is paused: resumed, it goes on by itself', async () => {
  const pipeline = await streaming('add-while-paused', { onMissingTable: 'create' })
  const paused = await here.stack.cli(['pause', pipeline.name])
  expect(paused, paused.stderr).toMatchObject({ code: 0 })
  await pipeline.source.query(`${added}; CREATE TABLE u (id INT PRIMARY KEY); INSERT INTO u VALUES (1)`)
  await pipeline.resume()
  await expectNeverBlocked(pipeline)
  await expectEqualSoon(pipeline, 6)
})

it('a column is added, and a person is to decide', async () => {
  const pipeline = await streaming('add-asked', { schemaChanges: { addColumn: 'block' } })
  await pipeline.source.query(added)
  const blocked = await pipeline.blocked('SYNC-2301')
  expect(blocked.message).toContain('ADD COLUMN n')
  expect(await pipeline.rows('SELECT id FROM t ORDER BY id')).toEqual([1, 2, 3, 4].map((id) => ({ id })))
  // Resumed without having done it.
  await pipeline.resume()
  const { remedy } = await pipeline.blocked('SYNC-2301')
  await pipeline.target.query(remedy.slice(remedy.indexOf('ALTER TABLE')))
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(5)
})

it('a column is added that the target had before: nobody is asked', async () => {
  const pipeline = await streaming('add-known-column')
  await pipeline.target.query(
    "ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7, ADD COLUMN s VARCHAR(10) DEFAULT 'x'",
  )
  await pipeline.source.query(
    "ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7, ADD COLUMN s VARCHAR(10) DEFAULT 'x'; INSERT INTO t VALUES (4, 'four', 1, NULL)",
  )
  await expectNeverBlocked(pipeline)
  expect(await pipeline.expectEqual()).toBe(4)
})

it.each([
  { what: 'another default', at: 'source', definition: 'n INT DEFAULT 5', there: 'n INT' },
  {
    what: 'the time',
    at: 'source',
    definition: 'n DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)',
    there: 'n DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)',
  },
  { what: 'computed', at: 'source', definition: 'n INT AS (id * 2) STORED', there: 'n INT' },
])('values that come with a column are $what: loaded again', async ({ what, definition, there }) => {
  const pipeline = await streaming(`added-${what.replaceAll(' ', '-')}`)
  await pipeline.target.query(`ALTER TABLE t ADD COLUMN ${there}`)
  await pipeline.source.query(
    `ALTER TABLE t ADD COLUMN ${definition}; INSERT INTO t (id, v) VALUES (4, 'four')`,
  )
  await expectEqualSoon(pipeline, 4)
})

it('types change: the same at the target, or loaded again', async () => {
  const pipeline = await here.createCase('modify')
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, at DATETIME(6), n INT, s VARCHAR(10))')
  await pipeline.source.query(
    "INSERT INTO t VALUES (1, '2026-01-01 00:00:00.654321', 5, 'a'), (2, '2026-01-01 00:00:01.5', 6, 'b')",
  )
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(2)
  // Rounded at the source, where no row event tells of it; the target's wider column would keep the fractions.
  await pipeline.source.query('ALTER TABLE t MODIFY at DATETIME(0)')
  await pipeline.settled()
  await waitFor(
    'rounded times',
    30_000,
    async () => (await pipeline.rows('SELECT * FROM t WHERE MICROSECOND(at) > 0')).length === 0,
  )
  await pipeline.target.query('ALTER TABLE t MODIFY at DATETIME(0)')
  expect(await pipeline.expectEqual()).toBe(2)
  await pipeline.both('ALTER TABLE t MODIFY n BIGINT')
  await pipeline.source.query("INSERT INTO t VALUES (3, NULL, 5000000000, 'c')")
  await expectNeverBlocked(pipeline)
  // What the target cannot hold is made wider there.
  await pipeline.source.query(
    "ALTER TABLE t MODIFY s VARCHAR(200); INSERT INTO t VALUES (4, NULL, 1, REPEAT('x', 200))",
  )
  await expectNeverBlocked(pipeline)
  expect(await pipeline.expectEqual()).toBe(4)
})

it('a type becomes wider, and a person is to decide', async () => {
  const pipeline = await streaming('widen-asked', { schemaChanges: { widenColumn: 'block' } })
  await pipeline.source.query(
    "ALTER TABLE t MODIFY v VARCHAR(200); INSERT INTO t VALUES (4, REPEAT('x', 200))",
  )
  await pipeline.blocked('SYNC-2301')
  await pipeline.target.query('ALTER TABLE t MODIFY v VARCHAR(200)')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(4)
})

it('a key changes its type: a person decides', async () => {
  const pipeline = await here.createCase('modify-key')
  await pipeline.both('CREATE TABLE t (at DATETIME(6) PRIMARY KEY, v INT)')
  await pipeline.source.query("INSERT INTO t VALUES ('2026-01-01 00:00:00.4', 1), ('2026-01-01 00:00:07', 2)")
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(2)
  await pipeline.source.query('ALTER TABLE t MODIFY at DATETIME(0); UPDATE t SET v = v + 1')
  const blocked = await pipeline.blocked('SYNC-2301')
  expect(blocked.message).toContain('keys')
  await pipeline.target.query('ALTER TABLE t MODIFY at DATETIME(0)')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

it('a column is renamed', async () => {
  const pipeline = await streaming('rename-column')
  await pipeline.source.query("ALTER TABLE t RENAME COLUMN v TO w; INSERT INTO t VALUES (4, 'four')")
  await pipeline.blocked('SYNC-2301')
  await pipeline.target.query('ALTER TABLE t RENAME COLUMN v TO w')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(4)
})

it('a column is renamed, and the target was given a new one instead', async () => {
  const pipeline = await streaming('rename-column-added')
  await pipeline.target.query('ALTER TABLE t ADD COLUMN w VARCHAR(40)')
  await pipeline.source.query('ALTER TABLE t RENAME COLUMN v TO w')
  await pipeline.settled()
  await pipeline.reaches('streaming')
  await waitFor(
    'the values',
    30_000,
    async () => (await pipeline.rows('SELECT * FROM t WHERE w IS NULL')).length === 0,
  )
  expect(await pipeline.rows('SELECT id, w FROM t ORDER BY id')).toEqual(
    (await pipeline.source.query('SELECT id, w FROM t ORDER BY id'))[0],
  )
})

it('a column is dropped: the target may keep it', async () => {
  const pipeline = await streaming('drop-column')
  await pipeline.source.query('ALTER TABLE t DROP COLUMN v; INSERT INTO t VALUES (4)')
  await expectNeverBlocked(pipeline)
  expect(await pipeline.rows('SELECT id, v FROM t WHERE id > 2 ORDER BY id')).toEqual([
    { id: 3, v: 'three' },
    { id: 4, v: null },
  ])
})

it('a column is dropped, kept at the target, and added again: its old values do not come back', async () => {
  const pipeline = await streaming('add-again')
  await pipeline.source.query('ALTER TABLE t DROP COLUMN v; INSERT INTO t VALUES (4)')
  await expectNeverBlocked(pipeline)
  await pipeline.source.query('ALTER TABLE t ADD COLUMN v VARCHAR(20)')
  await expectNeverBlocked(pipeline)
  expect(await pipeline.rows('SELECT COUNT(*) AS n FROM t WHERE v IS NOT NULL')).toEqual([{ n: 0 }])
})

it('indexes come and go unnoticed', async () => {
  const pipeline = await streaming('indexes')
  await pipeline.source.query(
    "CREATE INDEX i ON t (v); ALTER TABLE t ADD UNIQUE KEY u (v); ALTER TABLE t RENAME INDEX i TO j; DROP INDEX j ON t; ALTER TABLE t ALTER COLUMN v SET DEFAULT 'd', COMMENT 'x'; INSERT INTO t (id) VALUES (4)",
  )
  await pipeline.target.query('ALTER TABLE t ADD KEY other (v)')
  await expectNeverBlocked(pipeline)
  expect(await pipeline.expectEqual()).toBe(4)
})

it('a table is emptied', async () => {
  const pipeline = await streaming('truncate')
  await pipeline.source.query(
    "INSERT INTO t VALUES (4, 'four'); TRUNCATE TABLE t; INSERT INTO t VALUES (1, 'new')",
  )
  const blocked = await pipeline.blocked('SYNC-2302')
  expect(blocked.message).toMatch(/TRUNCATE/i)
  expect(await pipeline.rows('SELECT COUNT(*) AS n FROM t'), 'stands right before it').toEqual([{ n: 4 }])
  await pipeline.target.query('TRUNCATE TABLE t')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(1)
})

it('a table is dropped, and one of its name is made anew', async () => {
  const pipeline = await streaming('drop-table', { onMissingTable: 'create' })
  await pipeline.both('CREATE TABLE other (id INT PRIMARY KEY)')
  await pipeline.source.query('INSERT INTO other VALUES (1); DROP TABLE t; INSERT INTO other VALUES (2)')
  await pipeline.blocked('SYNC-2302')
  await pipeline.target.query('DROP TABLE t')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
  await pipeline.source.query(`${table}; ${rows}`)
  await expectEqualSoon(pipeline, 5)
})

it('a table is dropped that the target does not have, as a dump begins', async () => {
  const pipeline = await streaming('drop-if-exists', { onMissingTable: 'create' })
  await pipeline.source.query(
    `DROP TABLE IF EXISTS restored; CREATE TABLE restored (id INT PRIMARY KEY); INSERT INTO restored VALUES (1), (2)`,
  )
  await expectNeverBlocked(pipeline)
  await expectEqualSoon(pipeline, 5)
})

it('a schema is dropped', async () => {
  const pipeline = await here.createCase('drop-schema')
  const second = `${pipeline.database}_b`
  await pipeline.both(table, `CREATE DATABASE ${second}`, `CREATE TABLE ${second}.t (id INT PRIMARY KEY)`)
  await pipeline.source.query(`${rows}; INSERT INTO ${second}.t VALUES (1)`)
  await pipeline.apply({ tables: [{ match: `${pipeline.database}*.*` }] })
  expect(await pipeline.expectEqual({ databases: [pipeline.database, second] })).toBe(4)
  await pipeline.source.query(`DROP DATABASE ${second}; UPDATE t SET v = 'x'`)
  await pipeline.blocked('SYNC-2302')
  await pipeline.target.query(`DROP DATABASE ${second}`)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)
})

it('a table is made: created and filled at the target when the pipeline says so', async () => {
  const pipeline = await streaming('create-table', { onMissingTable: 'create' })
  await pipeline.source.query(
    "CREATE TABLE made (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO made VALUES (1, 'a'), (2, 'b'); CREATE TABLE copied (PRIMARY KEY (id)) SELECT * FROM t; CREATE TABLE alike LIKE t; INSERT INTO alike SELECT * FROM t",
  )
  await expectEqualSoon(pipeline, 3 + 2 + 3 + 3)
})

it('a table is made: created and filled by default', async () => {
  const pipeline = await streaming('create-default')
  await pipeline.source.query('CREATE TABLE made (id INT PRIMARY KEY); INSERT INTO made VALUES (1)')
  await expectNeverBlocked(pipeline)
  await expectEqualSoon(pipeline, 4)
})

it('a table is made: asked for otherwise', async () => {
  const pipeline = await streaming('create-asked', { schemaChanges: { createTable: 'block' } })
  await pipeline.source.query('CREATE TABLE made (id INT PRIMARY KEY); INSERT INTO made VALUES (1)')
  await pipeline.blocked('SYNC-2301')
  await pipeline.target.query('CREATE TABLE made (id INT PRIMARY KEY)')
  await pipeline.resume()
  await expectEqualSoon(pipeline, 4)
})

it('tables exchange their names: the target has both, and still a person is asked', async () => {
  const pipeline = await streaming('swap')
  await pipeline.both('CREATE TABLE u LIKE t')
  await pipeline.source.query("INSERT INTO u VALUES (1, 'uno')")
  expect(await pipeline.expectEqual()).toBe(4)
  const exchange = 'RENAME TABLE t TO w, u TO t, w TO u'
  await pipeline.source.query(`${exchange}; UPDATE t SET v = 'changed'; DELETE FROM u WHERE id = 3`)
  await pipeline.blocked('SYNC-2301')
  await pipeline.target.query(exchange)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)
})

it.each(['refuse', 'empty'])(
  'a table is renamed at both ends, as asked (onExistingRows: %s)',
  async (onExistingRows) => {
    const pipeline = await streaming(`renamed-${onExistingRows}`, {
      onMissingTable: 'create',
      onExistingRows,
    })
    await pipeline.source.query(
      "INSERT INTO t VALUES (4, 'four'); RENAME TABLE t TO u; DELETE FROM u WHERE id = 1; INSERT INTO u VALUES (5, 'five')",
    )
    await pipeline.blocked('SYNC-2301')
    await pipeline.target.query('RENAME TABLE t TO u')
    await pipeline.resume()
    expect(await pipeline.expectEqual()).toBe(4)
  },
)

it('a table is renamed at both ends while the pipeline is paused: rows under the old name are not lost', async () => {
  const pipeline = await streaming('renamed-early', { onMissingTable: 'create' })
  const paused = await here.stack.cli(['pause', pipeline.name])
  expect(paused, paused.stderr).toMatchObject({ code: 0 })
  await pipeline.source.query(
    "DELETE FROM t WHERE id = 1; RENAME TABLE t TO u; INSERT INTO u VALUES (5, 'five')",
  )
  await pipeline.target.query('RENAME TABLE t TO u')
  await pipeline.resume()
  await pipeline.blocked('SYNC-3201')
  expect(await pipeline.rows('SELECT id FROM u')).toHaveLength(3)
  await pipeline.target.query('RENAME TABLE u TO t')
  await pipeline.resume()
  await pipeline.blocked('SYNC-2301')
  expect(await pipeline.rows('SELECT id FROM t')).toHaveLength(2)
  await pipeline.target.query('DROP TABLE IF EXISTS u; RENAME TABLE t TO u')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)
})

it.each(['refuse', 'empty'])(
  'an online change of a table, cut over by a rename (onExistingRows: %s)',
  async (onExistingRows) => {
    const pipeline = await streaming(`cut-over-${onExistingRows}`, {
      onMissingTable: 'create',
      onExistingRows,
    })
    await pipeline.source.query(
      `CREATE TABLE _t_new LIKE t; ALTER TABLE _t_new ADD COLUMN n INT NOT NULL DEFAULT 1; INSERT INTO _t_new (id, v) SELECT id, v FROM t;
     UPDATE _t_new SET n = id * 10`,
    )
    // The copy of a table takes longer than its way to the target. A swap that nobody signs is carried where the copy is at the target.
    await pipeline.settled()
    await pipeline.source.query("RENAME TABLE t TO _t_old, _t_new TO t; INSERT INTO t VALUES (4, 'four', 40)")
    await expectNeverBlocked(pipeline)
    await expectEqualSoon(pipeline, 4 + 3)
    await pipeline.source.query('DROP TABLE _t_old')
    await expectNeverBlocked(pipeline)
    expect(await pipeline.expectEqual()).toBe(4)
  },
)

it('a cut-over from a table that takes no part: loaded again', async () => {
  const pipeline = await here.createCase('cut-over-outside')
  await pipeline.both(table)
  await pipeline.source.query(rows)
  const match = `${pipeline.database}.*`
  await pipeline.apply({ tables: [{ match, exclude: [`${pipeline.database}._*`] }] })
  expect(await pipeline.expectEqual()).toBe(3)
  await pipeline.source.query(
    `CREATE TABLE _t_new LIKE t; INSERT INTO _t_new SELECT id, UPPER(v) FROM t WHERE id > 1;
     RENAME TABLE t TO _t_old, _t_new TO t; INSERT INTO t VALUES (4, 'four')`,
  )
  const blocked = await pipeline.blocked('SYNC-2301')
  expect(blocked.remedy).toContain('empty')
  await pipeline.target.query('TRUNCATE TABLE t')
  await pipeline.resume()
  await waitFor('the load', 30_000, async () => (await pipeline.rows('SELECT id FROM t')).length === 3)
  await pipeline.settled()
  expect(await pipeline.expectEqual({ exclude: ['_t_old'] })).toBe(3)
})

it('rows come with a partition', async () => {
  const pipeline = await here.createCase('exchange')
  const parted =
    'CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE)'
  await pipeline.both(parted, 'CREATE TABLE x (id INT PRIMARY KEY, v INT)')
  await pipeline.source.query('INSERT INTO p VALUES (1, 1), (20, 20); INSERT INTO x VALUES (5, 5)')
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(3)
  const exchange = 'ALTER TABLE p EXCHANGE PARTITION a WITH TABLE x'
  await pipeline.source.query(exchange)
  await pipeline.blocked('SYNC-2302')
  await pipeline.target.query(exchange)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)
})

it('what a pipeline does not carry is none of its business', async () => {
  const pipeline = await here.createCase('elsewhere')
  await pipeline.both(table)
  await pipeline.source.query(`${rows}; CREATE TABLE other (id INT PRIMARY KEY)`)
  await pipeline.apply({ tables: [{ match: `${pipeline.database}.t` }] })
  expect(await pipeline.expectEqual({ exclude: ['other'] })).toBe(3)
  await pipeline.source.query(
    "INSERT INTO other VALUES (1); TRUNCATE TABLE other; ALTER TABLE other ADD COLUMN n INT; RENAME TABLE other TO another; DROP TABLE another; CREATE VIEW v AS SELECT * FROM t; DROP VIEW v; ANALYZE TABLE t; UPDATE t SET v = 'x'",
  )
  await expectNeverBlocked(pipeline)
  expect(await pipeline.expectEqual()).toBe(3)
})

/** Equal, once what has to be loaded again is loaded. */
async function expectEqualSoon(pipeline: PipelineCase, count: number): Promise<void> {
  await pipeline.settled()
  let last: unknown
  await waitFor('both sides equal', 30_000, async () => {
    last = await pipeline.expectEqual().catch((error: unknown) => error)
    return last === count
  }).catch(() => {
    throw last
  })
}
