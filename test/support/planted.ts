/**
 * A large table that is written to and in which the target differs in rows that are known: what a verification has to report, whatever happens
 * while it runs.
 *
 * Keys are even, so that a row that only the target has stands between those of the source. Writers change one row of ten, never the planted ones, and never
 * their number; rows come and go in a second table. They go on by themselves when a server that was away is back.
 */
import type { Connection } from 'mysql2/promise'
import { expect } from 'vitest'
import type { PipelineCase } from './pipeline-case.ts'
import { connect, type Reachable } from './servers.ts'
import type { Shown } from './verifying.ts'

export const plantedTables = [
  'CREATE TABLE big (id INT PRIMARY KEY, v BIGINT NOT NULL, note VARCHAR(60) NOT NULL)',
  'CREATE TABLE hot (id INT PRIMARY KEY, v BIGINT NOT NULL)',
]

/** @param rows a multiple of 1,000 */
export async function fillBig(source: Connection, rows: number): Promise<void> {
  await source.query(`INSERT INTO big WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
    SELECT 2 * i, i, REPEAT('n', i MOD 60) FROM n`)
  for (let filled = 1_000; filled < rows; ) {
    const more = Math.min(filled, rows - filled)
    await source.query(
      `INSERT INTO big SELECT id + ${2 * filled}, v + ${filled}, note FROM big WHERE id <= ${2 * more}`,
    )
    filled += more
  }
}

export interface Planted {
  readonly different: readonly number[]
  readonly missing: readonly number[]
  readonly extra: readonly number[]
}

/** One row of each kind in every `every` keys (a multiple of 100), over the whole table. */
export async function plant(target: Connection, rows: number, every: number): Promise<Planted> {
  const places = Array.from({ length: Math.floor((2 * rows) / every) }, (_, place) => place * every)
  const planted = {
    different: places.map((at) => at + 14),
    missing: places.map((at) => at + 34),
    extra: places.map((at) => at + 55),
  }
  await target.query(`UPDATE big SET note = 'broken' WHERE id IN (${planted.different.join()})`)
  await target.query(`DELETE FROM big WHERE id IN (${planted.missing.join()})`)
  await target.query(`INSERT INTO big VALUES ${planted.extra.map((id) => `(${id}, 0, 'extra')`).join()}`)
  return planted
}

/** All that was planted, nothing else, and every row once. */
export function expectPlanted(
  { verification, tables, differences = [] }: Shown,
  rows: number,
  planted: Planted,
) {
  const { different, missing, extra } = planted
  const big = tables.find(({ table }) => table.endsWith('.big'))
  expect(verification, JSON.stringify(verification)).toMatchObject({ state: 'done', outcome: 'different' })
  expect(verification.tally).toMatchObject({
    different: different.length,
    onlySource: missing.length,
    onlyTarget: extra.length,
    unsettled: 0,
  })
  expect(big?.tally).toMatchObject({
    rowsCompared: rows + extra.length,
    equal: rows - different.length - missing.length,
  })
  const found = (kind: string): string[] =>
    differences.filter((row) => row.kind === kind).map(({ key }) => String(key['id']))
  const sorted = (ids: readonly number[]): string[] => ids.toSorted((a, b) => a - b).map(String)
  expect(found('different')).toEqual(sorted(different))
  expect(found('only-source')).toEqual(sorted(missing))
  expect(found('only-target')).toEqual(sorted(extra))
  // Each range of keys once, one behind the other.
  const positions = big?.positions ?? []
  expect(positions[0]?.after).toBeNull()
  expect(positions.at(-1)?.upTo).toBeNull()
  for (const [index, { after }] of positions.entries())
    if (index > 0) expect(after).toBe(positions[index - 1]?.upTo)
}

/** @returns what ends it */
export function startPlantedWrites(
  server: Reachable,
  { database }: Pick<PipelineCase, 'database'>,
  rows: number,
): () => Promise<void> {
  let isOn = true
  const random = (below: number): number => Math.floor(Math.random() * below)
  const work = async (writer: number): Promise<void> => {
    let connection: Connection | null = null
    for (let n = 0; isOn; n++) {
      const id = 20 * (1 + random(rows / 10))
      const hot = 1 + random(500)
      const statements = [
        `UPDATE big SET v = v + 1, note = 'w${writer}-${n}' WHERE id BETWEEN ${id} AND ${id + 100} AND id % 20 = 0`,
        `INSERT INTO hot VALUES (${hot}, ${n}) ON DUPLICATE KEY UPDATE v = v + 1`,
        `DELETE FROM hot WHERE id = ${1 + random(500)}`,
      ]
      try {
        connection ??= await connect(server, { database })
        await connection.query(statements[n % 3] as string)
        await new Promise((resolve) => setTimeout(resolve, 5))
      } catch {
        connection?.destroy()
        connection = null
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
    connection?.destroy()
  }
  const writers = [work(1), work(2)]
  return async () => {
    isOn = false
    await Promise.all(writers)
  }
}
