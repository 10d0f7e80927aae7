/**
 * A target that does not fit: columns missing or too narrow, rows that were there before, triggers, keys; before the start and while it
 * streams. Refused or blocked with what to do, nothing half-applied, and on it goes once that is done.
 */
import type { Connection } from 'mysql2/promise'
import { expect, it } from 'vitest'
import { useInstallation } from '../support/installation.ts'
import type { Blocked } from '../support/pipeline-case.ts'

const here = useInstallation()
const table = 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))'

/** Runs the statements that the findings, or the block itself, name. */
async function followRemedies(connection: Connection, { findings, remedy }: Blocked): Promise<void> {
  const errors = findings.filter(({ severity }) => severity === 'error')
  for (const text of errors.length > 0 ? errors.map((finding) => finding.remedy) : [remedy]) {
    await connection.query(text.replace(/; or .*/, ''))
  }
}

it.each([
  { what: 'a missing table', code: 'SYNC-3201', definition: null },
  { what: 'a missing column', code: 'SYNC-3202', definition: 'CREATE TABLE t (id INT PRIMARY KEY)' },
  {
    what: 'a narrower column',
    code: 'SYNC-3203',
    definition: 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(4))',
  },
  {
    what: 'a column of another kind',
    code: 'SYNC-3203',
    definition: 'CREATE TABLE t (id INT PRIMARY KEY, v INT)',
  },
  {
    what: 'a smaller key',
    code: 'SYNC-3203',
    definition: 'CREATE TABLE t (id SMALLINT PRIMARY KEY, v VARCHAR(40))',
  },
  {
    what: 'a column that does not take NULL',
    code: 'SYNC-3203',
    definition: 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL)',
  },
  {
    what: 'another key',
    code: 'SYNC-3205',
    definition: 'CREATE TABLE t (id INT NOT NULL, v VARCHAR(40), w INT PRIMARY KEY DEFAULT 1)',
  },
  { what: 'a table without transactions', code: 'SYNC-3207', definition: `${table} ENGINE=MyISAM` },
])('$what at the target, before the start', async ({ what, code, definition }) => {
  const pipeline = await here.createCase(what.replaceAll(' ', '-').toLowerCase())
  await pipeline.source.query(table)
  if (definition !== null) await pipeline.target.query(definition)
  await pipeline.source.query("INSERT INTO t VALUES (100000, 'one and more'), (2, NULL)")
  await pipeline.apply()
  const blocked = await pipeline.blocked(code)
  expect(blocked.message).toContain(`${pipeline.database}.t`)
  if (definition === null) await pipeline.target.query(table)
  else {
    expect(await pipeline.rows('SELECT * FROM t')).toEqual([])
    await followRemedies(pipeline.target, blocked)
  }
  await pipeline.resume()
  await pipeline.reaches('streaming')
  await pipeline.source.query("UPDATE t SET v = 'changed'")
  expect(await pipeline.expectEqual({ exclude: [`${pipeline.database}.t.w`] })).toBe(2)
})

it('a missing table is created when the pipeline says so', async () => {
  const pipeline = await here.createCase('created')
  await pipeline.source.query(`${table}; INSERT INTO t VALUES (1, 'one')`)
  await pipeline.apply({ onMissingTable: 'create' })
  expect(await pipeline.expectEqual()).toBe(1)
})

it('a column is narrowed at the target while it streams', async () => {
  const pipeline = await here.createCase('narrowed')
  await pipeline.both(table)
  await pipeline.apply()
  await pipeline.reaches('streaming')
  await pipeline.target.query('ALTER TABLE t MODIFY v VARCHAR(4)')
  await pipeline.source.query(
    "START TRANSACTION; INSERT INTO t VALUES (1, 'one'); INSERT INTO t VALUES (2, 'too long'); COMMIT",
  )
  const blocked = await pipeline.blocked('SYNC-3302')
  expect(blocked.message).toMatch(/too long/i)
  expect(await pipeline.rows('SELECT * FROM t'), 'nothing half-applied').toEqual([])
  await pipeline.target.query('ALTER TABLE t MODIFY v VARCHAR(40)')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

it('a column is dropped at the target while it streams', async () => {
  const pipeline = await here.createCase('dropped')
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(1)
  await pipeline.target.query('ALTER TABLE t DROP COLUMN v')
  await pipeline.source.query("INSERT INTO t VALUES (2, 'two')")
  await pipeline.blocked('SYNC-3202')
  await pipeline.target.query('ALTER TABLE t ADD COLUMN v VARCHAR(40)')
  await pipeline.target.query("UPDATE t SET v = 'one'")
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

it('a table is dropped at the target while it streams', async () => {
  const pipeline = await here.createCase('lost-table')
  await pipeline.both(table)
  await pipeline.apply()
  await pipeline.reaches('streaming')
  await pipeline.target.query('DROP TABLE t')
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  await pipeline.blocked('SYNC-3201')
  await pipeline.target.query(table)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(1)
})

it('rows that are there before the start: refused, then emptied by choice', async () => {
  const pipeline = await here.createCase('full-empty')
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  await pipeline.target.query("INSERT INTO t VALUES (1, 'old'), (9, 'mine')")
  await pipeline.apply()
  await pipeline.blocked('SYNC-3204')
  expect(await pipeline.rows('SELECT id FROM t ORDER BY id')).toEqual([{ id: 1 }, { id: 9 }])
  await pipeline.apply({ onExistingRows: 'empty' })
  expect(await pipeline.expectEqual()).toBe(1)
})

it('rows that are there before the start: refused, then kept by choice', async () => {
  const pipeline = await here.createCase('full-keep')
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
  await pipeline.target.query("INSERT INTO t VALUES (1, 'old'), (9, 'mine')")
  await pipeline.apply()
  await pipeline.blocked('SYNC-3204')
  await pipeline.apply({ onExistingRows: 'keep' })
  await pipeline.reaches('streaming')
  await pipeline.source.query("UPDATE t SET v = 'zwei' WHERE id = 2")
  await pipeline.settled()
  expect(await pipeline.rows('SELECT id, v FROM t ORDER BY id')).toEqual([
    { id: 1, v: 'one' },
    { id: 2, v: 'zwei' },
    { id: 9, v: 'mine' },
  ])
})

it('rows that are there before the start: refused, then removed by hand', async () => {
  const pipeline = await here.createCase('full-by-hand')
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  await pipeline.target.query("INSERT INTO t VALUES (9, 'mine')")
  await pipeline.apply()
  await followRemedies(pipeline.target, await pipeline.blocked('SYNC-3204'))
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(1)
})

it('a trigger at the target', async () => {
  const pipeline = await here.createCase('trigger')
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  await pipeline.target.query(
    "CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'from the trigger'",
  )
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-3206')
  expect(blocked.message).toContain('stamp')
  expect(await pipeline.rows('SELECT * FROM t')).toEqual([])
  await followRemedies(pipeline.target, blocked)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(1)
})

it('a check that only the target has: it starts, and says so until it is gone', async () => {
  const pipeline = await here.createCase('warned')
  await pipeline.source.query('CREATE TABLE t (id INT PRIMARY KEY)')
  await pipeline.target.query('CREATE TABLE t (id INT PRIMARY KEY, CONSTRAINT positive CHECK (id > 0))')
  await pipeline.apply()
  await pipeline.reaches('streaming')
  const described = async () => (await here.stack.cli(['describe', 'pipeline', pipeline.name])).stdout
  expect(await described()).toMatch(/^Warning +SYNC-3209 .*the check positive /m)
  await pipeline.target.query('ALTER TABLE t DROP CONSTRAINT positive')
  expect((await here.stack.cli(['pause', pipeline.name])).code).toBe(0)
  await pipeline.resume()
  await pipeline.reaches('streaming')
  expect(await described()).not.toContain('SYNC-3209')
})

it('somebody else writes to the target', async () => {
  const pipeline = await here.createCase('somebody-else')
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE)')
  await pipeline.apply()
  await pipeline.reaches('streaming')
  await pipeline.target.query('INSERT INTO t VALUES (77, 5)')
  await pipeline.source.query(
    'START TRANSACTION; INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 5); COMMIT',
  )
  const blocked = await pipeline.blocked('SYNC-3301')
  expect(blocked.message).toMatch(/row id=77 .*row id=2, unique key u/)
  expect(await pipeline.rows('SELECT id FROM t'), 'not overwritten in silence').toEqual([{ id: 77 }])
  await pipeline.target.query('DELETE FROM t WHERE id = 77')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(2)
})

it('source and target are one server', async () => {
  const pipeline = await here.createCase('onto-itself', {
    target: here.source,
    named: { target: { host: 'localhost' } },
  })
  await pipeline.source.query(`${table}; INSERT INTO t VALUES (1, 'one')`)
  await pipeline.apply()
  await pipeline.blocked('SYNC-3208')
  const copy = `${pipeline.database}_copy`
  await pipeline.apply({
    tables: [{ match: `${pipeline.database}.*`, to: { schema: copy } }],
    onMissingTable: 'create',
  })
  expect(await pipeline.expectEqual({ databases: [{ source: pipeline.database, target: copy }] })).toBe(1)
})
