/*
 * Work that a source does while nobody follows: tables with rows, and then transactions of several writers at once. Writers keep to rows of
 * their own, so none waits for another and the log has as much to apply in parallel as a replica can find.
 */
import { type BenchServers, connect, database, fillQuickly } from '../servers.ts'
import { createRandom, type Random } from './random.ts'

export type Workload = {
  /** CREATE TABLE statements, run at both ends in `bench`. */
  readonly tables: readonly string[]
  /** INSERT statements that fill the source. */
  readonly rows: readonly string[]
  readonly changesPerTransaction: number
  /** The statements of one transaction of writer `writer` (0 to `writers` - 1). */
  transaction(random: Random, writer: number, ordinal: number): string
}

export const writers = 8

export async function fill(servers: BenchServers, workload: Workload): Promise<void> {
  await servers.define(workload.tables.join(';\n'))
  const { source } = servers.at
  await fillQuickly(source, async () => {
    await source.query(`USE ${database}; SET SESSION cte_max_recursion_depth = 1000000000`)
    for (const statement of workload.rows) await source.query(statement)
  })
}

/** Runs whole transactions of about `changes` row changes in all. @returns the exact number of changes */
export async function runBacklog(
  servers: BenchServers,
  workload: Workload,
  changes: number,
  seed: number,
): Promise<number> {
  const perWriter = Math.max(1, Math.round(changes / workload.changesPerTransaction / writers))
  await fillQuickly(servers.at.source, async () => {
    await Promise.all(
      Array.from({ length: writers }, async (_, writer) => {
        const connection = await connect(servers.source)
        const random = createRandom(seed * 1000 + writer)
        await connection.query(`USE ${database}; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED`)
        for (let i = 0; i < perWriter; i++) {
          const ordinal = seed * 10_000_000 + i
          await connection.query(`BEGIN; ${workload.transaction(random, writer, ordinal)}; COMMIT`)
        }
        await connection.end()
      }),
    )
  })
  return perWriter * writers * workload.changesPerTransaction
}

/** A row of `writer`'s own in a table of `rows` rows whose ids begin with 1. */
export const ownId = (random: Random, writer: number, rows: number): number =>
  1 + writer + writers * random.below(Math.floor(rows / writers))

/** `n` from 1 to `rows`, as a table named `n`. */
export const numbers = (rows: number): string =>
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})`
