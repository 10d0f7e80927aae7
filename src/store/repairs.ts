/**
 * What is asked of engines to be repaired, and what became of it: one row per request, `asked -> taken -> done | failed`.
 *
 * Guarantees: a word is taken only in the state in which it was meant. Nothing here is lost that matters: to repair a row again does no harm, so whoever
 * asked and hears nothing asks again. Keys of rows are here until they are answered, an hour at most; other values never.
 */
import type { ErrorCode } from '../core/errors.ts'
import type { Value } from '../core/value.ts'
import { jsonOfValue, valueOfJson } from '../core/value-json.ts'
import type { RepairedRow } from '../core/verification.ts'
import type { EngineMark } from './alignments.ts'
import type { Database, SqlRow } from './database.ts'

export type RepairState = 'asked' | 'taken' | 'done' | 'failed'

export interface RepairRecord extends EngineMark {
  readonly id: string
  readonly state: RepairState
  readonly table: string
  readonly keys: readonly (readonly Value[])[]
  /** By key as asked; other keys may not be there (equal ones were asked for once). */
  readonly repaired: readonly RepairedRow[] | null
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly remedy: string } | null
}

export interface RepairStore {
  /** Also forgets what was left behind an hour ago. */
  ask(id: string, engine: EngineMark, table: string, keys: readonly (readonly Value[])[]): void
  get(id: string): RepairRecord | null
  asked(): RepairRecord[]
  /** False: somebody else has it, or nobody wants it any more. */
  take(id: string): boolean
  finish(id: string, repaired: readonly RepairedRow[]): void
  fail(id: string, error: NonNullable<RepairRecord['error']>): void
  forget(id: string): void
  /** An engine begins: what the one before it had taken is cut off. */
  failTaken(engine: EngineMark, error: NonNullable<RepairRecord['error']>): void
}

const keptMs = 3_600_000

export function createRepairStore(database: Database): RepairStore {
  return {
    ask: (id, { pipeline, incarnation, shard }, table, keys) =>
      database.write(() => {
        const now = Date.now()
        database.run('DELETE FROM repair_requests WHERE changed_at_ms < ?', now - keptMs)
        database.run(
          `INSERT INTO repair_requests (id, pipeline, incarnation, shard, state, table_name, keys, changed_at_ms)
           VALUES (?, ?, ?, ?, 'asked', ?, ?, ?)`,
          id,
          pipeline,
          incarnation,
          shard,
          table,
          JSON.stringify(keys.map((key) => key.map(jsonOfValue))),
          now,
        )
      }),
    get(id) {
      const row = database.get('SELECT * FROM repair_requests WHERE id = ?', id)
      return row === undefined ? null : recordOf(row)
    },
    asked: () => database.all("SELECT * FROM repair_requests WHERE state = 'asked'").map(recordOf),
    take: (id) =>
      database.write(() => {
        if (database.get("SELECT 1 FROM repair_requests WHERE id = ? AND state = 'asked'", id) === undefined)
          return false
        database.run(
          "UPDATE repair_requests SET state = 'taken', changed_at_ms = ? WHERE id = ?",
          Date.now(),
          id,
        )
        return true
      }),
    finish: (id, repaired) =>
      database.run(
        "UPDATE repair_requests SET state = 'done', outcome = ?, changed_at_ms = ? WHERE id = ? AND state = 'taken'",
        JSON.stringify(repaired.map((row) => ({ ...row, key: row.key.map(jsonOfValue) }))),
        Date.now(),
        id,
      ),
    fail: (id, error) =>
      database.run(
        "UPDATE repair_requests SET state = 'failed', error = ?, changed_at_ms = ? WHERE id = ? AND state = 'taken'",
        JSON.stringify(error),
        Date.now(),
        id,
      ),
    forget: (id) => database.run('DELETE FROM repair_requests WHERE id = ?', id),
    failTaken: ({ pipeline, incarnation, shard }, error) =>
      database.run(
        `UPDATE repair_requests SET state = 'failed', error = ?, changed_at_ms = ?
         WHERE pipeline = ? AND incarnation = ? AND shard = ? AND state = 'taken'`,
        JSON.stringify(error),
        Date.now(),
        pipeline,
        incarnation,
        shard,
      ),
  }
}

const keyOf = (parts: readonly unknown[]): readonly Value[] => parts.map((part) => valueOfJson(part) as Value)

function recordOf(row: SqlRow): RepairRecord {
  const outcome = row['outcome'] as string | null
  const error = row['error'] as string | null
  return {
    id: String(row['id']),
    pipeline: String(row['pipeline']),
    incarnation: Number(row['incarnation']),
    shard: String(row['shard']),
    state: row['state'] as RepairState,
    table: String(row['table_name']),
    keys: (JSON.parse(String(row['keys'])) as unknown[][]).map(keyOf),
    repaired:
      outcome === null
        ? null
        : (JSON.parse(outcome) as (RepairedRow & { key: unknown[] })[]).map((one) => ({
            ...one,
            key: keyOf(one.key),
          })),
    error: error === null ? null : (JSON.parse(error) as RepairRecord['error']),
  }
}
