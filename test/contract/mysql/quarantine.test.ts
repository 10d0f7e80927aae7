/*
 * The real engine between real servers, over targets that refuse rows: the table is parked with its dead letters, the others go on, and after
 * the cause is mended it rejoins and is equal, with what was deleted meanwhile and what somebody else had written.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createRig, dump, inPhase, type Rig, until } from '../../support/engine-rig.ts'
import { sharedSource, sharedTarget } from '../../support/servers.ts'

let rig: Rig
const quarantine = { maxTables: 2, maxDeadLetters: 3 }

beforeEach(async () => {
  rig = await createRig(await sharedSource(), await sharedTarget(), 'parked')
  for (const connection of [rig.source, rig.target]) {
    await connection.query(`USE ${rig.database}`)
    for (const table of ['a', 'b', 'c'])
      await connection.query(
        `CREATE TABLE ${table} (id INT PRIMARY KEY, code VARCHAR(20), v VARCHAR(40), UNIQUE KEY of_code (code))`,
      )
  }
  for (const table of ['a', 'b', 'c'])
    await rig.source.query(`INSERT INTO ${table} VALUES (1, 'one', 'x'), (2, 'two', 'y'), (3, 'three', 'z')`)
})
afterEach(() => rig.close())

const requests = () =>
  rig.parked().map(({ table, parking }) => ({ table: `${table.schema}.${table.name}`, parking }))

async function expectEqual(...tables: string[]): Promise<void> {
  for (const table of tables) expect(await dump(rig.target, table)).toEqual(await dump(rig.source, table))
}

async function rows(sql: string): Promise<Record<string, unknown>[]> {
  return (await rig.target.query(sql))[0] as Record<string, unknown>[]
}

for (const smallBatchRows of [200, 0])
  test(`a value that is too wide, in ${smallBatchRows > 0 ? 'small' : 'large'} batches`, async () => {
    const run = rig.start({ quarantine, smallBatchRows })
    await until(run, 30_000, inPhase('streaming'))
    await rig.target.query('ALTER TABLE b MODIFY v VARCHAR(3)')
    await rig.source.query(
      "UPDATE b SET v = 'far too wide' WHERE id < 3; UPDATE a SET v = 'fine'; DELETE FROM b WHERE id = 3; INSERT INTO c VALUES (4, 'four', 'w')",
    )
    await rig.settled(run)
    await until(run, 30_000, () => rig.parked().length === 1)
    await rig.settled(run)
    await expectEqual('a', 'c')
    expect(rig.parked()).toMatchObject([
      { table: { schema: rig.database, name: 'b' }, code: 'SYNC-3302', isRejoining: false },
    ])
    const [parked] = rig.parked()
    expect(parked?.message).toMatch(/id=[12]/)
    const letters = await rows(
      `SELECT row_key, before_image, after_image, code FROM syncline.dead_letter WHERE pipeline = '${rig.pipeline}' ORDER BY id`,
    )
    const [id, code, v] = letters[0]?.['row_key'] === 'id=1' ? [1, 'one', 'x'] : [2, 'two', 'y']
    expect(letters[0]).toEqual({
      row_key: `id=${id}`,
      before_image: JSON.stringify({ id, code, v }),
      after_image: JSON.stringify({ id, code, v: 'far too wide' }),
      code: 'SYNC-3302',
    })
    // In one small batch both rows stand in one statement; what comes later is not tried any more.
    expect(letters.length).toBeGreaterThanOrEqual(1)
    expect(parked?.deadLetters).toBe(letters.length)

    // Meanwhile rows go, unique values change hands, and somebody writes to the target.
    await rig.source.query(
      "DELETE FROM b WHERE id = 1; UPDATE b SET code = 'one' WHERE id = 2; INSERT INTO b VALUES (5, 'two', 'v')",
    )
    await rig.target.query("INSERT INTO b VALUES (77, 'five', 'no')")
    await rig.settled(run)
    expect(await rows('SELECT id FROM b ORDER BY id')).not.toEqual([{ id: 2 }, { id: 5 }])

    await rig.target.query('ALTER TABLE b MODIFY v VARCHAR(40)')
    await run.drain()
    const again = rig.start({ quarantine, smallBatchRows }, requests())
    await until(again, 30_000, () => rig.parked().length === 0)
    await rig.settled(again)
    await expectEqual('a', 'b', 'c')
    expect(await rows(`SELECT 1 FROM syncline.dead_letter WHERE pipeline = '${rig.pipeline}'`)).toEqual([])
    await rig.source.query("INSERT INTO b VALUES (6, 'six', 'u')")
    await rig.settled(again)
    await expectEqual('b')
  })

test('in the load: a table whose rows do not fit does not hold up the others', async () => {
  await rig.target.query('ALTER TABLE a MODIFY v TINYINT')
  const run = rig.start({ quarantine })
  await rig.settled(run)
  await expectEqual('b', 'c')
  expect(rig.parked()).toMatchObject([{ table: { name: 'a' }, deadLetters: 3 }])
  await rig.target.query('ALTER TABLE a MODIFY v VARCHAR(40)')
  await run.drain()
  const again = rig.start({ quarantine }, requests())
  await until(again, 30_000, () => rig.parked().length === 0)
  await rig.settled(again)
  await expectEqual('a', 'b', 'c')
})

test('rejoining too early parks it again, and the request does not count for the new parking', async () => {
  const run = rig.start({ quarantine })
  await until(run, 30_000, inPhase('streaming'))
  await rig.target.query('ALTER TABLE a MODIFY v VARCHAR(1)')
  await rig.source.query("UPDATE a SET v = 'wide'")
  await until(run, 30_000, () => rig.parked().length === 1)
  await run.drain()
  const first = requests()
  const again = rig.start({ quarantine }, first)
  await until(
    again,
    30_000,
    () => rig.parked().length === 1 && rig.parked()[0]?.parking !== first[0]?.parking,
  )
  await rig.settled(again)
  expect(rig.parked()).toMatchObject([{ table: { name: 'a' }, isRejoining: false }])
  await expectEqual('b', 'c')
})

test('a row of somebody else, a missing column, a statement that a person has to look at', async () => {
  const run = rig.start({ quarantine: { maxTables: 3, maxDeadLetters: 3 } })
  await until(run, 30_000, inPhase('streaming'))
  await rig.target.query("INSERT INTO a VALUES (99, 'mine', 'm')")
  await rig.source.query("INSERT INTO a VALUES (4, 'mine', 'm')")
  await rig.target.query('ALTER TABLE b DROP COLUMN v')
  await rig.source.query("UPDATE b SET v = 'q'")
  await rig.source.query("ALTER TABLE c RENAME COLUMN v TO w; INSERT INTO c VALUES (9, 'nine', 'n')")
  await until(run, 30_000, () => rig.parked().length === 3)
  await rig.settled(run)
  const codes = Object.fromEntries(rig.parked().map(({ table, code }) => [table.name, code]))
  // At the statement itself it is SYNC-2301; a session that starts before it finds the definition already.
  expect(codes).toEqual({ a: 'SYNC-3301', b: 'SYNC-3202', c: expect.stringMatching('SYNC-2301|SYNC-3202') })
  await rig.target.query('ALTER TABLE b ADD COLUMN v VARCHAR(40); ALTER TABLE c RENAME COLUMN v TO w')
  await run.drain()
  const again = rig.start({ quarantine }, requests())
  await until(again, 30_000, () => rig.parked().length === 0)
  await rig.settled(again)
  await expectEqual('a', 'b', 'c')
})

test('one table more than may be parked blocks the pipeline, and nothing of it is lost', async () => {
  const run = rig.start({ quarantine: { maxTables: 1, maxDeadLetters: 3 } })
  await until(run, 30_000, inPhase('streaming'))
  await rig.target.query('ALTER TABLE a MODIFY v VARCHAR(1); ALTER TABLE b MODIFY v VARCHAR(1)')
  await rig.source.query("UPDATE a SET v = 'wide'")
  await until(run, 30_000, () => rig.parked().length === 1)
  await rig.source.query("UPDATE b SET v = 'wide'; UPDATE c SET v = 'narrow'")
  expect(await run.outcome).toMatchObject({ kind: 'blocked', code: 'SYNC-3304' })
  await rig.target.query('ALTER TABLE a MODIFY v VARCHAR(40); ALTER TABLE b MODIFY v VARCHAR(40)')
  const again = rig.start({ quarantine }, requests())
  await until(again, 30_000, () => rig.parked().length === 0)
  await rig.settled(again)
  await expectEqual('a', 'b', 'c')
})

test('a parked table that is renamed at the source waits for a person', async () => {
  const run = rig.start({ quarantine })
  await until(run, 30_000, inPhase('streaming'))
  await rig.target.query('ALTER TABLE a MODIFY v VARCHAR(1)')
  await rig.source.query("UPDATE a SET v = 'wide'")
  await until(run, 30_000, () => rig.parked().length === 1)
  await rig.source.query('RENAME TABLE a TO renamed')
  expect(await run.outcome).toMatchObject({ kind: 'blocked', code: 'SYNC-3306' })
})

test('without the policy a refused row blocks as ever', async () => {
  const run = rig.start()
  await until(run, 30_000, inPhase('streaming'))
  await rig.target.query('ALTER TABLE a MODIFY v VARCHAR(1)')
  await rig.source.query("UPDATE a SET v = 'wide'")
  expect(await run.outcome).toMatchObject({ kind: 'blocked', code: 'SYNC-3302' })
  expect(rig.parked()).toEqual([])
})
