/**
 * SIGKILL of the engine's process around a definition change at the target: before it is begun, while the server holds it up, while it runs, and
 * when it is done and nothing is stored of that. Each moment is held fast by locks of the test's own, not by chance.
 *
 * A statement that is done twice, or comes late, would show: the rows behind it, or a table that was made anew under its name, would be gone.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { expect, it } from 'vitest'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { connect } from '../support/servers.ts'
import { waitFor } from '../support/stack.ts'

const here = useInstallation()

interface Change {
  readonly name: string
  readonly statement: string
  /** At the source, behind the statement. */
  readonly behind: readonly string[]
  /** Gives a row at the target when the statement was done there, and nothing behind it. */
  readonly done: string
  readonly rows: number
}

const inDatabase = 'FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME'
const anew = ['CREATE TABLE t (id INT PRIMARY KEY, w INT)', 'INSERT INTO t VALUES (1, 10), (2, 20)']
const changes: readonly Change[] = [
  {
    name: 'added',
    statement: 'ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7 AFTER id',
    behind: ["INSERT INTO t VALUES (5, 50, 'after')", 'UPDATE t SET n = 9 WHERE id = 1'],
    done: "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't' AND COLUMN_NAME = 'n'",
    rows: 4,
  },
  {
    name: 'emptied',
    statement: 'TRUNCATE TABLE t',
    behind: ["INSERT INTO t VALUES (1, 'new'), (6, 'six')"],
    done: 'SELECT 1 WHERE NOT EXISTS (SELECT * FROM t)',
    rows: 2,
  },
  {
    name: 'dropped',
    statement: 'DROP TABLE t',
    behind: anew,
    done: `SELECT 1 WHERE NOT EXISTS (SELECT * ${inDatabase} = 't')`,
    rows: 2,
  },
  {
    name: 'renamed',
    statement: 'RENAME TABLE t TO u',
    behind: ["INSERT INTO u VALUES (5, 'after')", ...anew],
    done: `SELECT 1 ${inDatabase} = 'u'`,
    rows: 6,
  },
]
const schemaChanges = { truncateTable: 'apply', dropTable: 'apply', renameTable: 'apply' }

async function streaming(name: string, spec: Record<string, unknown> = {}): Promise<PipelineCase> {
  const pipeline = await here.createCase(name)
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))')
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')")
  await pipeline.apply({ schemaChanges, ...spec })
  expect(await pipeline.expectEqual()).toBe(3)
  return pipeline
}

interface Statement {
  readonly id: number
  readonly state: string
}

/** What the pipeline runs at the target by now, of the text that it signs its definition changes with. */
async function running({ target, name }: PipelineCase): Promise<readonly Statement[]> {
  const [rows] = await target.query<RowDataPacket[]>(
    "SELECT ID AS id, STATE AS state FROM information_schema.PROCESSLIST WHERE COMMAND = 'Query' AND ID <> CONNECTION_ID() AND INFO LIKE ?",
    [`%/*syncline {"pipeline":"${name}"%`],
  )
  return rows as unknown as readonly Statement[]
}

/** Waits for a statement of the pipeline in a state. @returns its connection */
async function seen(pipeline: PipelineCase, state: RegExp, otherThan = 0): Promise<number> {
  let found: Statement | undefined
  let last: readonly Statement[] = []
  await waitFor(`a statement in state ${state}`, 60_000, async () => {
    last = await running(pipeline)
    found = last.find((statement) => statement.id !== otherThan && state.test(statement.state))
    return found !== undefined
  }).catch((cause: unknown) => {
    throw new Error(`seen instead: ${JSON.stringify(last)}`, { cause })
  })
  return (found as Statement).id
}
const heldUp = /metadata lock/

async function kill(pipeline: PipelineCase): Promise<void> {
  const pid = (await pipeline.status()).engine?.hostPid ?? 0
  expect(pid).toBeGreaterThan(0)
  process.kill(pid, 'SIGKILL')
}

/** A connection that holds something by an open transaction until it is let go. */
async function holding(pipeline: PipelineCase, sql: string, values: unknown[] = []): Promise<Connection> {
  const holder = await connect(here.target, { database: pipeline.database })
  await holder.query('BEGIN')
  await holder.query(sql, values)
  return holder
}
const holdTable = (pipeline: PipelineCase) => holding(pipeline, 'SELECT * FROM t LIMIT 1')
const holdMarks = (pipeline: PipelineCase) =>
  holding(pipeline, 'SELECT * FROM syncline.apply_mark WHERE pipeline = ? AND slot = 0 FOR UPDATE', [
    pipeline.name,
  ])
async function letGo(holder: Connection): Promise<void> {
  await holder.query('ROLLBACK')
  await holder.end()
}

async function change(pipeline: PipelineCase, { statement, behind }: Change): Promise<void> {
  for (const sql of [statement, ...behind]) await pipeline.source.query(sql)
}

/** Both sides, rows and definitions, and nothing is left of a statement. */
async function expectDone(pipeline: PipelineCase, rows: number): Promise<void> {
  let last: unknown
  await waitFor('both sides equal', 120_000, async () => {
    last = await pipeline.expectEqual().catch((error: unknown) => error)
    return last === rows
  }).catch(() => {
    throw last instanceof Error ? last : new Error(`${String(last)} rows and not ${rows}`)
  })
  expect(await pipeline.status()).toMatchObject({ state: 'streaming', blocked: null })
  expect(await running(pipeline)).toEqual([])
  expect(
    await pipeline.rows(
      `SELECT * FROM syncline.schema_change WHERE pipeline = '${pipeline.name}' AND connection_id IS NOT NULL`,
    ),
  ).toEqual([])
  const [tables] = await pipeline.source.query<RowDataPacket[]>('SHOW TABLES')
  for (const table of tables.map((row) => String(Object.values(row)[0]))) {
    const [[source], [target]] = await Promise.all(
      [pipeline.source, pipeline.target].map(
        async (end) => (await end.query<RowDataPacket[]>(`SHOW CREATE TABLE ${table}`))[0],
      ) as [Promise<RowDataPacket[]>, Promise<RowDataPacket[]>],
    )
    expect(target?.['Create Table']).toBe(source?.['Create Table'])
  }
}

it.each(changes)('killed before it is begun: $name', async (one) => {
  const pipeline = await streaming(`before-${one.name}`)
  const marks = await holdMarks(pipeline)
  await change(pipeline, one)
  await waitFor('the engine to wait for its mark row', 60_000, async () => {
    const waiting = await pipeline.rows(
      "SELECT 1 FROM performance_schema.data_locks WHERE OBJECT_SCHEMA = 'syncline' AND OBJECT_NAME = 'apply_mark' AND LOCK_STATUS = 'WAITING'",
    )
    return waiting.length > 0
  })
  expect(await running(pipeline)).toEqual([])
  await kill(pipeline)
  await letGo(marks)
  await expectDone(pipeline, one.rows)
})

it.each(changes)('killed while the server holds it up: $name', async (one) => {
  const pipeline = await streaming(`held-up-${one.name}`)
  const holder = await holdTable(pipeline)
  await change(pipeline, one)
  const first = await seen(pipeline, heldUp)
  await kill(pipeline)
  // The successor's own: by then nothing of the first may be left.
  await seen(pipeline, heldUp, first)
  expect((await running(pipeline)).map(({ id }) => id)).not.toContain(first)
  await letGo(holder)
  await expectDone(pipeline, one.rows)
})

const done = [
  ...changes.map((one) => ({ ...one, spec: {} })),
  // A table that has its new name already is neither a new one with rows, nor is the old one missing.
  ...changes
    .filter(({ name }) => name === 'renamed')
    .map((one) => ({
      ...one,
      name: `${one.name}-emptying`,
      spec: { onExistingRows: 'empty', onMissingTable: 'create' },
    })),
]

it.each(done)('killed when it is done, and nothing is stored of that: $name', async (one) => {
  const pipeline = await streaming(`done-${one.name}`, one.spec)
  const holder = await holdTable(pipeline)
  await change(pipeline, one)
  await seen(pipeline, heldUp)
  const marks = await holdMarks(pipeline)
  await letGo(holder)
  await waitFor('the statement to be done', 60_000, async () => {
    return (await running(pipeline)).length === 0 && (await pipeline.rows(one.done)).length > 0
  })
  await kill(pipeline)
  await letGo(marks)
  await expectDone(pipeline, one.rows)
})

it('killed while it runs: a large table that is copied', async () => {
  const pipeline = await streaming('running')
  const { source } = pipeline
  const many = 100_000
  await source.query('SET SESSION cte_max_recursion_depth = 1000000')
  await source.query(
    `INSERT INTO t WITH RECURSIVE s (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM s WHERE i < ${many + 9}) SELECT i, REPEAT('x', 40) FROM s`,
  )
  await pipeline.settled(120_000)
  await source.query('ALTER TABLE t MODIFY id BIGINT NOT NULL, MODIFY v VARCHAR(300)')
  await source.query("INSERT INTO t VALUES (5000000000, REPEAT('y', 300))")
  const first = await seen(pipeline, /copy to tmp table|altering table/)
  await kill(pipeline)
  await expectDone(pipeline, many + 4)
  expect(first).toBeGreaterThan(0)
})
