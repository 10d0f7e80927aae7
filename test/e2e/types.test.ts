/**
 * Every column type of MySQL with its boundary values, through the real engine between real servers: loaded, streamed, and loaded while
 * writers change the rows. Both sides are compared value by value, in bytes. That the shop has every type is held by test/unit/shop.
 */
import { afterEach, beforeAll, expect, it } from 'vitest'
import { fillShop, shopRows } from '../../dev/shop/fill.ts'
import { createShop, permissiveSession, shopTables } from '../../dev/shop/schema.ts'
import { identifier } from '../../dev/shop/table.ts'
import { startWriters } from '../../dev/shop/writer.ts'
import { assertSameDatabases } from '../support/compare.ts'
import { createRig, type EngineRun, inPhase, type Rig, until } from '../support/engine-rig.ts'
import { type MysqlFacts, sharedSource, sharedTarget } from '../support/servers.ts'

let source: MysqlFacts
let target: MysqlFacts
let rig: Rig | undefined

beforeAll(async () => {
  source = await sharedSource()
  target = await sharedTarget()
})

afterEach(async () => {
  await rig?.close()
})

/** The shop's tables at both ends, empty. */
async function emptyShops(): Promise<Rig> {
  const made = await createRig(source, target, 'types')
  rig = made
  await createShop(made.source, made.database)
  await createShop(made.target, made.database)
  return made
}

async function compared({ database }: Rig): Promise<number> {
  const { rows, tables } = await assertSameDatabases(source, target, { databases: [database] })
  expect(tables).toBe(shopTables.length)
  return rows
}

/** Each row removed and written again, and each one changed: all images of all types, as removals, inserts and updates. */
async function rewriteEverything({ source: connection, database }: Rig): Promise<void> {
  await connection.query(`${permissiveSession}; USE ${database}`)
  for (const table of shopTables) {
    const name = identifier(table.name)
    const [columns] = await connection.query(`SHOW FULL COLUMNS FROM ${name}`)
    const written = (columns as { Field: string; Extra: string }[])
      .filter(({ Extra }) => !Extra.includes('GENERATED'))
      .map(({ Field }) => identifier(Field))
      .join(', ')
    await connection.query(
      `CREATE TEMPORARY TABLE copied AS SELECT ${written} FROM ${name};
       START TRANSACTION; DELETE FROM ${name}; COMMIT;
       INSERT INTO ${name} (${written}) SELECT ${written} FROM copied;
       DROP TEMPORARY TABLE copied`,
    )
  }
}

it('loaded', async () => {
  const made = await emptyShops()
  await fillShop({ server: source, database: made.database, size: 0 })
  const run = made.start()
  await made.settled(run)
  expect(await compared(made)).toBe(shopRows(0))
})

it.each([
  { way: 'in small batches', options: { smallBatchRows: 1_000_000 } },
  { way: 'in large batches', options: { smallBatchRows: 0, lanes: 4 } },
])('streamed $way: inserted, removed and written again', async ({ options }) => {
  const made = await emptyShops()
  const run: EngineRun = made.start(options)
  await until(run, 30_000, inPhase('streaming'))
  await fillShop({ server: source, database: made.database, size: 0 })
  await made.settled(run)
  expect(await compared(made)).toBe(shopRows(0))
  await rewriteEverything(made)
  await made.settled(run)
  expect(await compared(made)).toBe(shopRows(0))
})

it('loaded and streamed while writers change the rows', async () => {
  const made = await emptyShops()
  await fillShop({ server: source, database: made.database, size: 0.02 })
  const writers = await startWriters({ server: source, database: made.database, writers: 4, seed: 11 })
  const run = made.start({ load: { enabled: true, chunkRows: 500, chunksInFlight: 4 } })
  await until(run, 120_000, inPhase('streaming'))
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  const { operations, unexpected } = await writers.stop()
  expect(unexpected).toEqual([])
  expect(operations).toBeGreaterThan(100)
  await made.settled(run)
  expect(await compared(made)).toBeGreaterThan(shopRows(0))
})
