/*
 * What one writer's operation may use: its connection, its own random numbers, and the keys that belong to it.
 *
 * Why keys belong to writers: a version must never be smaller than any before it for the same key, also across a delete and a
 * re-insert. An UPDATE computes the version while it holds the row's lock, so any writer may update any row. An INSERT computes it before
 * it has a lock; so keys that can come back (not the counted ones) are inserted, deleted and moved by one writer alone.
 */
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { text } from './table.ts'

/** Greater with every evaluation, after a restart of the server too (UUID_SHORT: start time and counter); fits a signed BIGINT. */
export const newVersion = '(UUID_SHORT() & 0xFFFFFFFFFFFFFF)'

export type Cell = string | number | null

export type Turn = {
  /** Runs a statement; the number of rows that it affected. */
  readonly run: (sql: string) => Promise<number>
  readonly select: (sql: string) => Promise<readonly Readonly<Record<string, Cell>>[]>
  /** From 0 to `below - 1`. */
  readonly int: (below: number) => number
  readonly chance: (probability: number) => boolean
  /** A number from 0 to about `below` that belongs to this writer: no other writer gets it. */
  readonly own: (below: number) => number
  /** Rows of a table when the shop was filled. */
  readonly filled: (table: string) => number
  /** A number that no other call gets, in this process and its predecessors; for unique values. */
  readonly unique: () => string
}

export type Operation = {
  readonly name: string
  /** How often, in relation to the others. */
  readonly weight: number
  readonly work: (turn: Turn) => Promise<void>
}

/** Repeatable pseudo-random numbers, 32 bits of state (the public-domain generator mulberry32). */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * below)
  }
}

export type TurnOptions = {
  readonly writer: number
  readonly writers: number
  readonly int: (below: number) => number
  readonly filled: (table: string) => number
}

let uniqueCount = 0

export function createTurn(connection: Connection, options: TurnOptions): Turn {
  const { writer, writers, int, filled } = options
  return {
    async run(sql) {
      const [result] = await connection.query<ResultSetHeader>(sql)
      return result.affectedRows
    },
    async select(sql) {
      const [rows] = await connection.query<RowDataPacket[]>(sql)
      return rows as Record<string, Cell>[]
    },
    int,
    chance: (probability) => int(1_000_000) < probability * 1_000_000,
    own: (below) => int(Math.max(1, Math.ceil(below / writers))) * writers + writer,
    filled,
    unique: () => `${Date.now()}${process.pid % 1000}${uniqueCount++}`,
  }
}

/** In one transaction; whatever fails is rolled back by the caller. */
export async function transaction(turn: Turn, work: () => Promise<void>): Promise<void> {
  await turn.run('START TRANSACTION')
  await work()
  await turn.run('COMMIT')
}

/** A value read from the server, as a literal that keeps every byte of its utf8mb4 text. */
export const quoted = (value: Cell): string => (value === null ? 'NULL' : text(`${value}`))
