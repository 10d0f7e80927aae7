/**
 * A pipeline of two shards on two workers, one of whose tables the target refuses: its shard parks it and streams on, the other shard never
 * hears of it, a killed worker changes nothing, and it rejoins by the command that people use. The figures of both shards add up meanwhile.
 */
import { expect, it } from 'vitest'
import type { ParkedTableAnswer, PipelineStatusAnswer, StatisticsAnswer } from '../../src/api/wire.ts'
import { ruleFor } from '../../src/streamer/mapping.ts'
import { useInstallation } from '../support/installation.ts'
import { type Proc, waitFor } from '../support/stack.ts'

const here = useInstallation({ streamWorkers: 0 })
const shards = 2
const tables = ['orders', 'items', 'customers', 'prices', 'stock', 'notes']
const rowsEach = 200

const ownerOf = (database: string, table: string): number =>
  Array.from({ length: shards }, (_, index) => index).findIndex((index) => {
    const rule = {
      match: `${database}.*`,
      exclude: [],
      toSchema: '{schema}',
      toTable: '{table}',
      where: null,
      includeColumns: null,
      excludeColumns: [],
      renameColumns: {},
      shard: { index, of: shards },
    }
    return ruleFor([rule], { schema: database, name: table }) !== null
  })

it('parks a table in its shard, counts in both, and takes the table back', { timeout: 600_000 }, async () => {
  const { stack } = here
  const workers: Proc[] = [await stack.startWorker('stream'), await stack.startWorker('stream')]
  const c = await here.createCase('sharded-parking')
  const marks = [1, 2].map((number) => `${c.name}#${number}/${shards}`)
  for (const table of tables) {
    await c.both(`CREATE TABLE ${table} (id INT PRIMARY KEY, v VARCHAR(40))`)
    await c.source.query(
      `INSERT INTO ${table} WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rowsEach}) SELECT i, 'v' FROM n`,
    )
  }
  const owners = new Map(tables.map((table) => [table, ownerOf(c.database, table)]))
  expect(new Set(owners.values()), 'tables in both shards').toEqual(new Set([0, 1]))
  const refused = tables.find((table) => owners.get(table) === 1) as string
  await c.apply({
    shards,
    onRefusedRow: 'quarantine',
    tables: [{ match: `${c.database}.*`, exclude: [`${c.database}.left_out`] }],
  })
  await c.reaches('streaming', 120_000)

  const shardsNow = async () => ((await stack.status(c.name)) as unknown as PipelineStatusAnswer).shards ?? []
  // ------------------------------------------------------------------------------------------------------ the figures
  const stats = async () =>
    JSON.parse((await stack.cli(['stats', c.name, '-o', 'json'])).stdout) as StatisticsAnswer
  for (const end of [c.source, c.target]) await end.query('CREATE TABLE left_out (id INT PRIMARY KEY)')
  let before: StatisticsAnswer | undefined
  let after: StatisticsAnswer | undefined
  /** False: an engine was followed by another one meanwhile, which counts anew. A phase may begin on the other worker. So then: again. */
  const counted = async (round: number): Promise<boolean> => {
    await waitFor('figures of both shards', 60_000, async () => {
      before = await stats()
      return before.shards?.length === shards
    })
    for (const table of tables) await c.source.query(`UPDATE ${table} SET v = '${round}' WHERE id <= 50`)
    for (const end of [c.source, c.target]) await end.query(`INSERT INTO left_out VALUES (${round})`)
    for (const mark of marks) await c.settled(60_000, mark)
    const done = () => {
      const [was, is] = [before?.statistics?.rows, after?.statistics?.rows]
      return (
        (is?.updated ?? 0) - (was?.updated ?? 0) === 50 * tables.length && is?.outOfScope !== was?.outOfScope
      )
    }
    await waitFor('the figures', 5_000, async () => {
      after = await stats()
      return done()
    }).catch(() => {})
    return done()
  }
  let round = 1
  while (!(await counted(round))) expect(++round, JSON.stringify({ before, after })).toBeLessThan(20)
  const [was, is] = [before as unknown as StatisticsAnswer, after as unknown as StatisticsAnswer]
  expect((is.statistics?.rows.outOfScope ?? 0) - (was.statistics?.rows.outOfScope ?? 0)).toBe(1)
  const updatedIn = ({ shards: each }: StatisticsAnswer, index: number): number =>
    each?.[index]?.rows.updated ?? 0
  for (const index of [0, 1])
    expect(updatedIn(is, index) - updatedIn(was, index)).toBe(
      50 * tables.filter((table) => owners.get(table) === index).length,
    )
  const updatesOf = ({ tables: each }: StatisticsAnswer): Map<string, number> =>
    new Map(each.map(({ table, updated }) => [table, updated]))
  expect(is.tables).toHaveLength(tables.length)
  for (const table of tables.map((name) => `${c.database}.${name}`))
    expect([table, (updatesOf(is).get(table) ?? 0) - (updatesOf(was).get(table) ?? 0)]).toEqual([table, 50])
  const retention = await stack.cli(['describe', 'pipeline', c.name])
  expect(retention.stdout).toMatch(/^Log kept .*\(shard [12]\)$/m)

  // ------------------------------------------------------------------------------------------------- parked, and back
  await c.target.query(`ALTER TABLE ${refused} MODIFY v VARCHAR(3)`)
  const list = async () =>
    JSON.parse((await stack.cli(['quarantine', 'list', c.name, '-o', 'json'])).stdout) as ParkedTableAnswer[]
  await c.source.query(`UPDATE ${refused} SET v = 'far too wide' WHERE id = 1`)
  await waitFor('a parked table', 60_000, async () => (await list()).length === 1)
  expect(await list()).toMatchObject([{ table: `${c.database}.${refused}`, state: 'parked' }])
  let owner: Proc | undefined
  await waitFor('the worker of its shard', 60_000, async () => {
    const [, its] = await shardsNow()
    owner = workers.find(({ pid }) => its?.worker?.startsWith(`stream-${pid}-`) === true)
    return owner !== undefined
  })
  owner?.kill('SIGKILL')
  await owner?.ended()
  for (const table of tables) {
    await c.source.query(`DELETE FROM ${table} WHERE id > ${rowsEach - 20}`)
    await c.source.query(`INSERT INTO ${table} VALUES (${rowsEach + 1}, 'later')`)
  }
  await c.reaches('streaming', 120_000)
  for (const mark of marks) await c.settled(120_000, mark)
  const rowsOf = async (end: 'source' | 'target', table: string) =>
    (await c[end].query(`SELECT * FROM ${table} ORDER BY id`))[0]
  for (const table of tables)
    if (table !== refused) expect(await rowsOf('target', table)).toEqual(await rowsOf('source', table))
  // Every session tells anew what is parked: also that of the shard which has nothing.
  expect(await list()).toMatchObject([{ table: `${c.database}.${refused}`, state: 'parked' }])
  const described = await stack.cli(['describe', 'pipeline', c.name])
  expect(described.stdout).toContain(`Parked, and not kept in step: ${c.database}.${refused}`)

  await c.target.query(`ALTER TABLE ${refused} MODIFY v VARCHAR(40)`)
  const rejoined = await stack.cli(['quarantine', 'rejoin', c.name, `${c.database}.${refused}`])
  expect(rejoined, rejoined.stderr).toMatchObject({ code: 0 })
  await c.source.query(`INSERT INTO ${refused} VALUES (${rowsEach + 2}, 'while it rejoins')`)
  await waitFor('the table back', 120_000, async () => (await list()).length === 0)
  await c.reaches('streaming', 120_000)
  for (const mark of marks) await c.settled(120_000, mark)
  await waitFor('its rows', 60_000, async () => {
    const [ours, theirs] = [await rowsOf('target', refused), await rowsOf('source', refused)]
    return JSON.stringify(ours) === JSON.stringify(theirs)
  })
  expect(await c.expectEqual({ mark: marks[0] as string })).toBeGreaterThan(rowsEach)
})
