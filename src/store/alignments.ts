/**
 * What verifications and engines say to each other to stand at one position (docs/adr/0008): one row per alignment, in which each side writes its
 * own words, and moves the state on.
 *
 *   asked -> taken -> held -> run-to -> reached -> releasing -> released, and lost from each of them
 *
 * Guarantees: a word is taken only in the state in which it was meant: a late one of either side changes nothing. Nothing here is lost that matters:
 * an engine goes by its own limits of time, and whoever asked begins anew. Keys of rows are here, of no more than are told; other values never.
 */
import type { Value } from '../core/value.ts'
import { jsonOfValue, valueOfJson } from '../core/value-json.ts'
import type { Held, Reached, RunTo } from '../core/verification.ts'
import type { Database, SqlRow } from './database.ts'

export type AlignmentState =
  | 'asked'
  | 'taken'
  | 'held'
  | 'run-to'
  | 'reached'
  | 'releasing'
  | 'released'
  | 'lost'

/** An engine, as it is asked for. */
export interface EngineMark {
  readonly pipeline: string
  readonly incarnation: number
  /** `2/4`, or empty where one engine carries all tables. */
  readonly shard: string
}

export interface AlignmentRecord extends EngineMark {
  readonly id: string
  readonly state: AlignmentState
  readonly holdLimitMs: number
  readonly held: Held | null
  readonly runTo: RunTo | null
  readonly reached: Reached | null
  /** Why it was lost. */
  readonly reason: string | null
}

export interface AlignmentWords {
  readonly held?: Held
  readonly runTo?: RunTo
  readonly reached?: Reached
  readonly reason?: string
}

export interface AlignmentStore {
  /** Also forgets what is over, or was left behind an hour ago. */
  ask(id: string, engine: EngineMark, holdLimitMs: number): void
  get(id: string): AlignmentRecord | null
  /** Those that are not over. */
  open(): AlignmentRecord[]
  /** Moves on from one of the states; false: it is in another, and nothing was changed. */
  move(id: string, from: readonly AlignmentState[], to: AlignmentState, words?: AlignmentWords): boolean
  /** An engine begins: what was told to the one before is lost, what was asked and not taken is not. */
  loseTaken(engine: EngineMark, reason: string): void
}

const keptMs = 3_600_000

export const notOver: readonly AlignmentState[] = ['asked', 'taken', 'held', 'run-to', 'reached', 'releasing']

export function createAlignmentStore(database: Database): AlignmentStore {
  const among = (states: readonly AlignmentState[]): string => states.map((state) => `'${state}'`).join(', ')

  return {
    ask: (id, { pipeline, incarnation, shard }, holdLimitMs) =>
      database.write(() => {
        const now = Date.now()
        database.run('DELETE FROM alignment_requests WHERE changed_at_ms < ?', now - keptMs)
        database.run(
          `INSERT INTO alignment_requests (id, pipeline, incarnation, shard, state, hold_limit_ms, changed_at_ms)
           VALUES (?, ?, ?, ?, 'asked', ?, ?)`,
          id,
          pipeline,
          incarnation,
          shard,
          holdLimitMs,
          now,
        )
      }),
    get(id) {
      const row = database.get('SELECT * FROM alignment_requests WHERE id = ?', id)
      return row === undefined ? null : recordOf(row)
    },
    open: () =>
      database.all(`SELECT * FROM alignment_requests WHERE state IN (${among(notOver)})`).map(recordOf),
    move: (id, from, to, { held, runTo, reached, reason } = {}) =>
      database.write(() => {
        const row = database.get('SELECT state FROM alignment_requests WHERE id = ?', id)
        if (row === undefined || !from.includes(row['state'] as AlignmentState)) return false
        database.run(
          `UPDATE alignment_requests SET state = ?, held = coalesce(?, held), run_to = coalesce(?, run_to),
             reached = coalesce(?, reached), reason = ?, changed_at_ms = ? WHERE id = ?`,
          to,
          held === undefined ? null : JSON.stringify(held),
          runTo === undefined ? null : JSON.stringify(runTo),
          reached === undefined ? null : reachedText(reached),
          reason ?? null,
          Date.now(),
          id,
        )
        return true
      }),
    loseTaken: ({ pipeline, incarnation, shard }, reason) =>
      database.run(
        `UPDATE alignment_requests SET state = 'lost', reason = ?, changed_at_ms = ?
         WHERE pipeline = ? AND incarnation = ? AND shard = ?
           AND state IN (${among(notOver.filter((state) => state !== 'asked'))})`,
        reason,
        Date.now(),
        pipeline,
        incarnation,
        shard,
      ),
  }
}

const reachedText = (reached: Reached): string =>
  JSON.stringify({
    ...reached,
    inDoubt: reached.inDoubt.map(({ table, key }) => ({ table, key: key.map(jsonOfValue) })),
  })

function reachedOf(text: string): Reached {
  const { inDoubt, ...rest } = JSON.parse(text) as Omit<Reached, 'inDoubt'> & {
    readonly inDoubt: readonly { readonly table: string; readonly key: readonly unknown[] }[]
  }
  return {
    ...rest,
    inDoubt: inDoubt.map(({ table, key }) => ({ table, key: key.map((part) => valueOfJson(part) as Value) })),
  }
}

const recordOf = (row: SqlRow): AlignmentRecord => {
  const parsed = <T>(column: string): T | null => {
    const text = row[column]
    return text === null || text === undefined ? null : (JSON.parse(String(text)) as T)
  }
  return {
    id: String(row['id']),
    pipeline: String(row['pipeline']),
    incarnation: Number(row['incarnation']),
    shard: String(row['shard']),
    state: row['state'] as AlignmentState,
    holdLimitMs: Number(row['hold_limit_ms']),
    held: parsed<Held>('held'),
    runTo: parsed<RunTo>('run_to'),
    reached: row['reached'] === null ? null : reachedOf(String(row['reached'])),
    reason: row['reason'] === null ? null : String(row['reason']),
  }
}
