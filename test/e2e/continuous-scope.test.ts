/*
 * A verification that follows the log of a pipeline of two shards which filters rows, leaves columns out and renames tables and columns: it means what the
 * pipeline means, stands with the mark of each table's own shard, and reports nothing that the pipeline does not carry.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { DifferenceAnswer } from '../../src/api/verification-wire.ts'
import { textHash } from '../../src/core/hash.ts'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { connect } from '../support/servers.ts'
import { type Proc, waitFor } from '../support/stack.ts'
import { createVerifying, type Verifying } from '../support/verifying.ts'

const shards = 2
const name = 'follow-scope'
const plain = ['a', 'b', 'c', 'd', 'e', 'f']
const rows = 200

const here = useInstallation({ streamWorkers: 2 })
let verifying: Verifying
let verifyWorker: Proc
beforeAll(async () => {
  verifyWorker = await here.stack.startWorker('verify')
  verifying = await createVerifying(here.stack, here.temporal)
})
afterAll(() => verifying?.close())

const passes = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Rows above 100 of every table; those of `orders` go in and out of what is carried, and columns that are not carried change alone. */
async function startWrites({ database }: PipelineCase): Promise<() => Promise<number>> {
  const connection = await connect(here.source, { database })
  let isOn = true
  let statements = 0
  const work = (async () => {
    for (let n = 0; isOn; n++) {
      const id = 101 + (n % 99)
      await connection.query(
        [
          `UPDATE orders SET state = IF(state = 'paid', 'new', 'paid'), total = total + 1 WHERE id = ${id}`,
          `UPDATE orders SET secret = 'other ${n}' WHERE id = ${id + 1}`,
          `BEGIN; REPLACE INTO ${plain[n % 6]} VALUES (${id}, ${n}); UPDATE orders SET total = ${n} WHERE id = ${id}; COMMIT`,
          `DELETE FROM orders WHERE id = ${id + 2}`,
          `REPLACE INTO orders VALUES (${id + 2}, 'paid', 'again', ${n})`,
        ][n % 5] as string,
      )
      statements++
      await passes(3)
    }
  })()
  return async () => {
    isOn = false
    await work
    await connection.end()
    return statements
  }
}

it('follows what the pipeline carries, in every shard, and nothing else', { timeout: 400_000 }, async () => {
  const pipeline = await here.createCase(name)
  const { database, source, target } = pipeline
  await source.query(
    "CREATE TABLE orders (id INT PRIMARY KEY, state ENUM('new','paid') NOT NULL, secret VARCHAR(40) NOT NULL, total DECIMAL(12,2) NOT NULL)",
  )
  // The target has another order, wider types and a column of its own.
  await target.query(
    "CREATE TABLE bestellung (summe DECIMAL(14,4), nr BIGINT PRIMARY KEY, stand ENUM('paid','new') NOT NULL, eigenes INT DEFAULT 7)",
  )
  await source.query(
    `INSERT INTO orders WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT i, 1 + i MOD 2, 'first', i FROM n`,
  )
  for (const table of plain) {
    await pipeline.both(`CREATE TABLE ${table} (id INT PRIMARY KEY, v INT NOT NULL)`)
    await source.query(
      `INSERT INTO ${table} WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT i, i FROM n`,
    )
  }
  await pipeline.apply({
    shards,
    tables: [
      {
        match: `${database}.orders`,
        to: { table: 'bestellung' },
        columns: { exclude: ['secret'], rename: { id: 'nr', state: 'stand', total: 'summe' } },
        where: "state = 'paid'",
      },
      { match: `${database}.*` },
    ],
    verify: { repair: { approval: 'none' }, continuous: { settleMs: 1_000, recheckMs: 1_000 } },
  })
  await pipeline.reaches('streaming', 180_000)
  const id = `${name}-1`
  await waitFor('the tables to be followed', 120_000, async () => {
    const { tables } = await verifying.show(id)
    return tables.length === plain.length + 1 && tables.every(({ state }) => state === 'running')
  })
  const shardOf = (table: string): number => textHash(`${database}.${table}`) % shards
  // In each shard one table, and the filtered one.
  const used = [...new Set([...plain, 'orders'].map(shardOf))]
  expect(used).toHaveLength(shards)
  const planted = used
    .map((shard) => plain.find((table) => shardOf(table) === shard))
    .filter((table) => table !== undefined)

  const stop = await startWrites(pipeline)
  try {
    await passes(8_000)
    const { worker } = (
      (await here.stack.status(name)) as unknown as { shards: readonly { worker: string | null }[] }
    ).shards.find((shard) => shard.worker !== null) ?? { worker: null }
    process.kill(Number(/^stream-(\d+)-/.exec(worker ?? '')?.[1]), 'SIGKILL')
    await here.stack.startWorker('stream')
    await passes(8_000)
    await pipeline.reaches('streaming', 120_000)
    const before = await verifying.show(id, '--differences')
    expect(before.differences).toEqual([])
    expect(before.verification).toMatchObject({ state: 'running', outcome: null })
    expect(before.verification.tally.equal).toBeGreaterThan(100)

    // Touched at the source, so that they are read back: one leaves what is carried, one is in it, one never was.
    // Nobody may look before somebody has spoiled them.
    verifyWorker.kill('SIGSTOP')
    try {
      await source.query(
        `UPDATE orders SET state = 'new' WHERE id = 1; UPDATE orders SET total = 50 WHERE id = 3; UPDATE orders SET total = 1 WHERE id = 4`,
      )
      for (const table of planted) await source.query(`UPDATE ${table} SET v = v + 1 WHERE id = 7`)
      for (const shard of used) await pipeline.settled(60_000, `${name}#${shard + 1}/${shards}`)
      await target.query(
        `INSERT INTO bestellung VALUES (1, 1, 'paid', 7), (4, 4, 'paid', 7); UPDATE bestellung SET summe = 5.0001 WHERE nr = 3; UPDATE bestellung SET eigenes = 8 WHERE nr = 5`,
      )
      for (const table of planted) await target.query(`DELETE FROM ${table} WHERE id = 7`)
    } finally {
      verifyWorker.kill('SIGCONT')
    }
    const inShort = ({ table, kind, key, healedAt }: DifferenceAnswer): string =>
      `${table.split('.')[1]} ${kind} ${key['id']}${healedAt === null || healedAt === undefined ? '' : ' healed'}`
    const expected = [
      'orders different 3',
      'orders only-target 1',
      'orders only-target 4',
      ...planted.map((table) => `${table} only-source 7`),
    ].toSorted()
    await waitFor('all that was planted', 120_000, async () => {
      const { differences = [] } = await verifying.show(id, '--differences')
      return differences.length >= expected.length
    })
    const { differences = [] } = await verifying.show(id, '--differences')
    expect(differences.map(inShort).toSorted()).toEqual(expected)
    expect(
      differences.find(({ key, table }) => table.endsWith('.orders') && key['id'] === '3'),
    ).toMatchObject({
      columns: ['total'],
      source: { id: '3', total: '50.00' },
      target: { total: '5.0001' },
    })

    expect(await here.stack.cli(['verify', 'repair', id])).toMatchObject({ code: 0 })
    await waitFor('all to be equal again', 120_000, async () => {
      const { verification } = await verifying.show(id)
      return verification.outcome === null && verification.continuous?.healed === expected.length
    })
  } finally {
    await stop()
  }
  for (const shard of used) await pipeline.settled(60_000, `${name}#${shard + 1}/${shards}`)
  const inTarget = await pipeline.rows(
    'SELECT CAST(nr AS SIGNED) AS id, stand AS state, ROUND(summe, 2) AS total FROM bestellung ORDER BY nr',
  )
  const [inSource] = await source.query(
    "SELECT id, state, total FROM orders WHERE state = 'paid' ORDER BY id",
  )
  expect(inTarget.length).toBeGreaterThan(50)
  expect(inTarget).toEqual(inSource)
})
