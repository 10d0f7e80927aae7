/**
 * Global order through the real engine between real servers, where a transaction is longer than a slice of the log (10,000 rows) and than a
 * batch: it comes in parts, and is seen at once or not at all.
 */
import type { RowDataPacket } from 'mysql2'
import { afterEach, expect, it } from 'vitest'
import type { EngineOptions } from '../../src/streamer/options.ts'
import { createRig, dump, inPhase, type Rig, until } from '../support/engine-rig.ts'
import { connect, sharedSource, sharedTarget } from '../support/servers.ts'

const rows = 25_000
const inParts: Partial<EngineOptions> = {
  order: 'global',
  batch: { maxRows: 4_000, maxBytes: 8 * 1024 * 1024, maxDelayMs: 0 },
}

let rig: Rig
afterEach(() => rig.close())

async function createTables(...definitions: string[]): Promise<void> {
  rig = await createRig(await sharedSource(), await sharedTarget(), 'whole')
  for (const connection of [rig.source, rig.target]) {
    await connection.query(`USE ${rig.database}; SET SESSION cte_max_recursion_depth = 1000000`)
    for (const definition of definitions) await connection.query(definition)
  }
}

const fill = (columns: string): Promise<unknown> =>
  rig.source.query(
    `INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT ${columns} FROM n`,
  )

async function expectEqual(...tables: string[]): Promise<void> {
  for (const table of tables) expect(await dump(rig.target, table)).toEqual(await dump(rig.source, table))
}

it('unique values that move between all rows of a table within one transaction', async () => {
  await createTables('CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, v INT)')
  await fill('i, i, 0')
  const run = rig.start(inParts)
  await rig.settled(run)
  await rig.source.query(
    `BEGIN; UPDATE t SET u = -u; UPDATE t SET u = (7 - u) MOD ${rows} + 1 ORDER BY id DESC; DELETE FROM t WHERE id MOD 5 = 0;
     INSERT INTO t SELECT id + 4, NULL, 1 FROM t WHERE id MOD 5 = 1; COMMIT; UPDATE t SET v = 2 WHERE id = 5`,
  )
  await rig.settled(run)
  await expectEqual('t')
})

it('engines that are drained and replaced in the middle of a transaction: it is there wholly or not at all', async () => {
  await createTables(
    'CREATE TABLE t (id INT PRIMARY KEY, v INT)',
    'CREATE TABLE s (id INT PRIMARY KEY, v INT)',
  )
  await fill('i, 0')
  await rig.source.query('INSERT INTO s VALUES (1, 0)')
  let run = rig.start(inParts)
  await rig.settled(run)
  const reader = await connect(await sharedTarget())
  await reader.query(`USE ${rig.database}`)
  let isOver = false
  const mixed: unknown[] = []
  const reading = (async () => {
    while (!isOver) {
      const [found] = await reader.query<RowDataPacket[]>(
        'SELECT COUNT(*) AS n, MIN(v) AS least, MAX(v) AS most, (SELECT v FROM s) AS other FROM t',
      )
      const { n, least, most, other } = found[0] as { n: number; least: number; most: number; other: number }
      if (n !== rows || least !== most || other !== most) mixed.push(found[0])
    }
  })()
  const lastDrained: (number | undefined)[] = []
  for (let round = 1; round <= 5; round++) {
    await rig.source.query('BEGIN; UPDATE t SET v = v + 1; UPDATE s SET v = v + 1; COMMIT')
    await new Promise((resolve) => setTimeout(resolve, 60 * round))
    const outcome = await run.drain()
    if (outcome.kind === 'drained') lastDrained.push(outcome.position?.ordinal)
    run = rig.start(inParts)
  }
  await rig.settled(run)
  isOver = true
  await reading
  await reader.end()
  expect(mixed).toEqual([])
  expect(lastDrained).toEqual([0, 0, 0, 0, 0])
  await expectEqual('t', 's')
})

it('a large table created from a query: its definition, and then all its rows at once', async () => {
  await createTables('CREATE TABLE t (id INT PRIMARY KEY, v INT)')
  await fill('i, i')
  const run = rig.start(inParts)
  await rig.settled(run)
  await rig.target.query('CREATE TABLE copied (id INT PRIMARY KEY, v INT)')
  await rig.source.query(
    'CREATE TABLE copied (id INT PRIMARY KEY) SELECT id, v FROM t; DELETE FROM copied WHERE v < 5',
  )
  await rig.settled(run)
  await expectEqual('t', 'copied')
})

it('a load under writes, some of them longer than a batch', async () => {
  await createTables('CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, v BIGINT)')
  await fill('i, i, 0')
  const run = rig.start({ ...inParts, load: { enabled: true, chunkRows: 300, chunksInFlight: 2 } })
  for (let i = 0; i < 60; i++) {
    const a = Math.floor(Math.random() * rows)
    await rig.source.query(
      `UPDATE t SET v = v + 1 WHERE id BETWEEN ${a} AND ${a + 20}; DELETE FROM t WHERE id = ${a + 30}; UPDATE t SET id = ${100_000 + i} WHERE id = ${a + 40}`,
    )
    if (i % 15 === 0) await rig.source.query('UPDATE t SET v = v + 1')
  }
  await until(run, 60_000, inPhase('streaming'))
  await rig.settled(run)
  await expectEqual('t')
})
