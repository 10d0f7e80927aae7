/**
 * Alignments of a real engine between real servers, under heavy writes: the target's snapshot is the source at one position, but for the keys that
 * are told to be in doubt; and the stream stands still for a moment only, which is printed.
 */
import type { Connection } from 'mysql2/promise'
import { expect, it } from 'vitest'
import type { Reached, RunTo } from '../../../src/core/verification.ts'
import { createRig, dump, inPhase, type Rig, until } from '../../support/engine-rig.ts'
import {
  connect,
  type Reachable,
  sharedMariadbSource,
  sharedSource,
  sharedTarget,
} from '../../support/servers.ts'

const tables = ['numbers', 'words', 'pairs'] as const
const keyOf = { numbers: 'id', words: 'word', pairs: 'a, b' } as const

async function fill(rig: Rig): Promise<void> {
  await rig.source.query(`
    USE ${rig.database};
    CREATE TABLE numbers (id BIGINT PRIMARY KEY, n INT, u INT UNIQUE);
    CREATE TABLE words (word VARCHAR(20) CHARACTER SET utf8mb4 PRIMARY KEY, n INT);
    CREATE TABLE pairs (a INT, b DECIMAL(8,2), n INT, PRIMARY KEY (a, b));
    INSERT INTO numbers WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 900) SELECT i, 0, NULL FROM s;
    INSERT INTO words SELECT CONCAT('w', id), 0 FROM numbers;
    INSERT INTO pairs SELECT id, id / 4, 0 FROM numbers;
  `)
  await rig.target.query(`USE ${rig.database}`)
  const [rows] = await rig.source.query(
    `SHOW CREATE TABLE numbers; SHOW CREATE TABLE words; SHOW CREATE TABLE pairs`,
  )
  for (const [row] of rows as { 'Create Table': string }[][]) {
    const sql = (row?.['Create Table'] ?? '').replaceAll(/COLLATE=?\s?\w+/g, '')
    await rig.target.query(sql)
  }
}

/** Writers that insert, update, move and delete rows, in transactions of one to thirty statements, with pauses or as fast as they can. */
function startWriters(
  server: Reachable,
  database: string,
  count: number,
  pauseMs: number,
): { stop(): Promise<number> } {
  let isOver = false
  let transactions = 0
  const write = async (): Promise<void> => {
    const connection = await connect(server, { database })
    const random = (below: number): number => Math.floor(Math.random() * below)
    while (!isOver) {
      const statements = Array.from({ length: random(8) === 0 ? 30 : 1 + random(3) }, () => {
        const i = random(1_200)
        return [
          `INSERT INTO numbers VALUES (${i}, 1, NULL) ON DUPLICATE KEY UPDATE n = n + 1`,
          `DELETE FROM numbers WHERE id = ${i}`,
          `UPDATE IGNORE numbers SET u = ${random(300)} WHERE id = ${i}`,
          `INSERT INTO words VALUES ('${random(2) ? 'w' : 'W'}${i}', 1) ON DUPLICATE KEY UPDATE n = n + 1`,
          `DELETE FROM words WHERE word = 'w${i}'`,
          `UPDATE IGNORE words SET word = UPPER(word) WHERE word = 'w${i}'`,
          `INSERT INTO pairs VALUES (${i}, ${i / 4}, 1) ON DUPLICATE KEY UPDATE n = n + 1`,
          `UPDATE IGNORE pairs SET a = ${random(1_200)} WHERE a = ${i}`,
        ][random(8)]
      })
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
      try {
        await connection.query(`BEGIN; ${statements.join('; ')}; COMMIT`)
        transactions++
      } catch {
        await connection.query('ROLLBACK')
      }
    }
    await connection.end()
  }
  const writers = Array.from({ length: count }, write)
  return {
    async stop() {
      isOver = true
      await Promise.all(writers)
      return transactions
    },
  }
}

const openSnapshot =
  'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT'

const valueOf = async (connection: Connection, sql: string): Promise<string> => {
  const [rows] = await connection.query({ sql, rowsAsArray: true })
  return (rows as unknown as (string | null)[][])[0]?.[0] ?? ''
}

interface Product {
  readonly server: () => Promise<Reachable>
  /** Between two transactions of a writer: a stream that does not keep up is no matter of this test. */
  readonly pauseMs: number
  /** Opens a snapshot that shows all up to `passed`, and tells between which places. */
  snapshot(connection: Connection, passed: string): Promise<RunTo>
}

const placeOf = ([rows]: unknown[]): { file: number; offset: number } => {
  const { File, Position } = (rows as { File: string; Position: number }[])[0] as {
    File: string
    Position: number
  }
  return { file: Number(File.split('.').at(-1)), offset: Number(Position) }
}

const products: Readonly<Record<string, Product>> = {
  MySQL: {
    server: sharedSource,
    pauseMs: 0,
    async snapshot(connection, passed) {
      await connection.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 10)', [passed])
      const token = (await valueOf(connection, 'SELECT @@global.gtid_executed')).replaceAll('\n', '')
      await connection.query(openSnapshot)
      const high = placeOf(await connection.query('SHOW BINARY LOG STATUS'))
      return { low: { token, ordinal: 0 }, high }
    },
  },
  MariaDB: {
    server: sharedMariadbSource,
    pauseMs: 20,
    async snapshot(connection) {
      const end = placeOf(await connection.query('SHOW MASTER STATUS'))
      for (;;) {
        await connection.query(openSnapshot)
        const [rows] = await connection.query("SHOW STATUS LIKE 'binlog_snapshot_%'")
        const [file, position] = (rows as { Value: string }[]).map(({ Value }) => Value) as [string, string]
        const high = { file: Number(file.split('.').at(-1)), offset: Number(position) }
        if (high.file > end.file || (high.file === end.file && high.offset >= end.offset)) {
          const token = await valueOf(connection, `SELECT BINLOG_GTID_POS('${file}', ${position})`)
          return { low: { token, ordinal: 0 }, high }
        }
        await connection.query('COMMIT')
      }
    },
  },
}

/** Rows by key, of a snapshot that is open. */
async function rowsOf(connection: Connection, table: (typeof tables)[number]): Promise<Map<string, string>> {
  const [rows] = await connection.query({
    sql: `SELECT CONCAT_WS('/', ${keyOf[table]}), ${table}.* FROM ${table}`,
    rowsAsArray: true,
  })
  return new Map((rows as unknown as [string][]).map(([key, ...row]) => [key, JSON.stringify(row)]))
}

async function compare(
  source: Connection,
  target: Connection,
  { inDoubt, isDoubtCut }: Reached,
  database: string,
) {
  expect(isDoubtCut).toBe(false)
  const doubt = new Set(inDoubt.map(({ table, key }) => `${table}/${key.join('/')}`))
  let rows = 0
  for (const table of tables) {
    const [theirs, mine] = [await rowsOf(source, table), await rowsOf(target, table)]
    const differing = [...new Set([...theirs.keys(), ...mine.keys()])].filter(
      (key) => theirs.get(key) !== mine.get(key) && !doubt.has(`${database}.${table}/${key}`),
    )
    expect(differing.map((key) => [table, key, theirs.get(key), mine.get(key)])).toEqual([])
    rows += theirs.size
  }
  return rows
}

const alignments = 20

it.each([
  ['MySQL', 'merged'],
  ['MySQL', 'global'],
  ['MariaDB', 'merged'],
] as const)('aligns %s in %s order under heavy writes', { timeout: 180_000 }, async (product, order) => {
  const { server, pauseMs, ...places } = products[product] as Product
  const sourceServer = await server()
  const targetServer = await sharedTarget()
  const rig = await createRig(sourceServer, targetServer, `align_${product}`)
  const [source, target] = await Promise.all([
    connect(sourceServer, { database: rig.database }),
    connect(targetServer, { database: rig.database }),
  ])
  try {
    await fill(rig)
    const run = rig.start({
      order,
      smallBatchRows: 20,
      batch: { maxRows: 200, maxBytes: 1 << 20, maxDelayMs: 0 },
    })
    await until(run, 60_000, inPhase('streaming'))
    const writers = startWriters(sourceServer, rig.database, 6, pauseMs)
    const pauses: number[] = []
    let inDoubt = 0
    let rows = 0
    for (let i = 0; i < alignments; i++) {
      const alignment = run.engine.align()
      const held = await alignment.held
      const heldAtMs = performance.now()
      expect(held.incomplete).toEqual([])
      const range = await places.snapshot(source, held.position.token)
      const runAtMs = performance.now()
      const reached = await alignment.runTo(range)
      const reachedAtMs = performance.now()
      await target.query(openSnapshot)
      await alignment.release()
      pauses.push(runAtMs - heldAtMs + performance.now() - reachedAtMs)
      inDoubt += reached.inDoubt.length
      rows = await compare(source, target, reached, rig.database)
      await source.query('COMMIT')
      await target.query('COMMIT')
    }
    const transactions = await writers.stop()
    await until(run, 60_000, ({ lagMs }) => lagMs === 0)
    // Otherwise nothing was tried.
    expect(transactions).toBeGreaterThan(alignments * 2)
    const sorted = pauses.toSorted((a, b) => a - b).map(Math.round)
    console.log(
      `${product}, ${order}: ${alignments} alignments of ${rows} rows during ${transactions} transactions, ${inDoubt} keys in doubt; ` +
        `the stream stood for ${sorted[alignments / 2]} ms (median), ${sorted.at(-1)} ms (most)`,
    )
    await expect
      .poll(
        async () => (await dump(rig.source, 'numbers')).join() === (await dump(rig.target, 'numbers')).join(),
        {
          timeout: 30_000,
        },
      )
      .toBe(true)
  } finally {
    await source.end()
    await target.end()
    await rig.close()
  }
})
