/*
 * A pipeline of four shards on two workers is verified and repaired like any other: each shard's engine stands for its own tables, and writes its
 * own rows; one whose worker has died is waited for.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { textHash } from '../../src/core/hash.ts'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { connect } from '../support/servers.ts'
import { waitFor } from '../support/stack.ts'
import { createVerifying, type Verifying } from '../support/verifying.ts'

const shards = 4
const rows = 400
const name = 'verify-shards'
const tables = ['orders', 'items', 'customers', 'prices', 'stock', 'a', 'b', 'c', 'd', 'e', 'f', 'g']

const here = useInstallation({ streamWorkers: 2, verifyWorkers: 1 })
let verifying: Verifying
beforeAll(async () => {
  verifying = await createVerifying(here.stack, here.temporal)
})
afterAll(() => verifying?.close())

/** Changes rows of every table, some transactions in several; never the row with id 7, and none above 300. */
async function startWrites({ database }: PipelineCase): Promise<() => Promise<void>> {
  const connection = await connect(here.source, { database })
  let isOn = true
  const work = (async () => {
    for (let n = 0; isOn; n++) {
      const [one, other] = [tables[n % tables.length], tables[(n * 5 + 1) % tables.length]]
      const id = 8 + (n % 290)
      await connection.query(
        `BEGIN; UPDATE ${one} SET v = v + 1 WHERE id = ${id}; REPLACE INTO ${other} VALUES (${id}, ${n}); COMMIT`,
      )
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  return async () => {
    isOn = false
    await work
    await connection.end()
  }
}

it('differences in tables of every shard are found, repaired and verified again', {
  timeout: 400_000,
}, async () => {
  const pipeline = await here.createCase(name)
  for (const table of tables) {
    await pipeline.both(`CREATE TABLE ${table} (id INT PRIMARY KEY, v INT NOT NULL)`)
    await pipeline.source.query(
      `INSERT INTO ${table} WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT i, i FROM n`,
    )
  }
  const shardOf = (table: string): number => textHash(`${pipeline.database}.${table}`) % shards
  const used = [...new Set(tables.map(shardOf))]
  await pipeline.apply({ shards, verify: { repair: { approval: 'none' } } })
  await pipeline.reaches('streaming', 180_000)
  for (const shard of used) await pipeline.settled(60_000, `${name}#${shard + 1}/${shards}`)
  // In each shard a row of each kind, in the first and the last table that it has.
  const planted = used.flatMap((shard) => {
    const own = tables.filter((table) => shardOf(table) === shard)
    return [...new Set([own[0], own.at(-1)])].map((table) => String(table))
  })
  for (const table of planted) {
    await pipeline.target.query(
      `UPDATE ${table} SET v = -1 WHERE id = 7; DELETE FROM ${table} WHERE id = 350; INSERT INTO ${table} VALUES (9000, 1)`,
    )
  }
  const stopWrites = await startWrites(pipeline)
  try {
    const id = await verifying.start([name])
    const { verification, tables: compared, differences = [] } = await verifying.ends(id)
    expect(verification, JSON.stringify(verification)).toMatchObject({
      state: 'done',
      outcome: 'different',
      // Each shard stands for its own.
      passes: used.length,
      tally: {
        different: planted.length,
        onlySource: planted.length,
        onlyTarget: planted.length,
        unsettled: 0,
      },
      tables: { total: tables.length, done: tables.length, notCompared: 0 },
    })
    expect(
      differences.map(({ table, kind, key }) => `${table.split('.')[1]} ${kind} ${key['id']}`).toSorted(),
    ).toEqual(
      planted
        .flatMap((table) => [`${table} different 7`, `${table} only-source 350`, `${table} only-target 9000`])
        .toSorted(),
    )
    expect(compared.every(({ positions }) => positions.length === 1)).toBe(true)

    expect(await here.stack.cli(['verify', 'repair', id])).toMatchObject({ code: 0 })
    expect((await verifying.repairOf(id))?.rows).toMatchObject({
      total: 3 * planted.length,
      written: 2 * planted.length,
      removed: planted.length,
      verifiedEqual: 3 * planted.length,
    })

    // Some engines are away for a while.
    const { worker } = (
      (await here.stack.status(name)) as unknown as { shards: readonly { worker: string | null }[] }
    ).shards.find((shard) => shard.worker !== null) ?? { worker: null }
    const pid = Number(/^stream-(\d+)-/.exec(worker ?? '')?.[1])
    const again = await verifying.start([name, '--mode', 'row'])
    process.kill(pid, 'SIGKILL')
    await here.stack.startWorker('stream')
    const after = await verifying.ends(again, 180_000)
    expect(after.verification, JSON.stringify(after.verification)).toMatchObject({
      state: 'done',
      outcome: 'equal',
      tables: { done: tables.length },
    })
  } finally {
    await stopWrites()
  }
  await waitFor('all shards to stream', 120_000, async () => (await pipeline.status()).state === 'streaming')
  for (const shard of used) await pipeline.settled(60_000, `${name}#${shard + 1}/${shards}`)
  await pipeline.expectEqual({ mark: `${name}#${(used[0] as number) + 1}/${shards}` })
})
