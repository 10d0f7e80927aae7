/**
 * What verifications were asked for, how far they are, and what they found: tables, ranges of keys with their positions, and differing rows with
 * both images.
 *
 * The only place of the store where rows of data are, and a bounded one: differences up to a number per table, runs up to a number per pipeline.
 * Progress is one transaction of cursor, counts and differences, so a successor goes on without counting anything twice. Only the attempt that
 * claimed a run last may write to it.
 */
import { randomUUID } from 'node:crypto'
import { SyncError } from '../core/errors.ts'
import { keyText, readKeyText } from '../core/key-text.ts'
import type { ColumnKind } from '../core/schema.ts'
import type { Value } from '../core/value.ts'
import type { ComparisonTally, Difference } from '../core/verification.ts'
import {
  type ComparedTableState,
  openVerificationStates,
  type VerificationOutcome,
  type VerificationState,
  type VerificationTrouble,
  verificationId,
  verificationWorkflowId,
} from '../core/verification-control.ts'
import { type VerificationRequest } from '../core/verification-request.ts'
import type { Database, SqlRow } from './database.ts'

export interface VerificationRecord {
  readonly pipeline: string
  readonly number: number
  /** Temporal's id of its workflow. */
  readonly workflow: string
  readonly origin: 'person' | 'schedule'
  readonly actor: string
  /** Of the pipeline's spec, when it was asked for. */
  readonly generation: number
  readonly request: VerificationRequest
  readonly state: VerificationState
  readonly outcome: VerificationOutcome | null
  /** Why it failed, or what it waits for. */
  readonly trouble: VerificationTrouble | null
  /** ISO 8601, UTC. */
  readonly requestedAt: string
  readonly startedAt: string | null
  readonly endedAt: string | null
  /** How often both ends were aligned. */
  readonly passes: number
  /** The longest time that the stream stood still for it. */
  readonly longestPauseMs: number
  /** Over all tables. */
  readonly tally: ComparisonTally
  readonly tables: { readonly total: number; readonly done: number; readonly notCompared: number }
}

/** A column that is carried. */
export interface ComparedColumn {
  readonly source: string
  readonly target: string
  readonly kind: ColumnKind
  readonly isKey: boolean
}

export interface PlannedTable {
  /** `schema.table` at the source. */
  readonly name: string
  /** The same at the target. */
  readonly target: string
  /** In the source's order; empty where the table cannot be compared. */
  readonly columns: readonly ComparedColumn[]
  readonly shard: number
  readonly after: readonly Value[] | null
  readonly upTo: readonly Value[] | null
  readonly rowsEstimated: number
  /** It cannot be compared, and why. */
  readonly trouble: VerificationTrouble | null
}

/** A table, or a range of its keys. */
export interface ComparedTable extends PlannedTable {
  readonly ordinal: number
  readonly state: ComparedTableState
  /** Everything up to here is compared; null: nothing yet. */
  readonly cursor: readonly Value[] | null
  readonly tally: ComparisonTally
  /** Differences that are kept; the tally counts all. */
  readonly kept: number
  readonly durationMs: number
}

export interface ComparedSegment {
  readonly after: readonly Value[] | null
  /** null: to the end of what was asked for. */
  readonly upTo: readonly Value[] | null
  /** Of the source: both ends were compared as of it. */
  readonly position: string
  readonly at: string
}

export interface KeptDifference extends Difference {
  readonly id: number
  readonly ordinal: number
  /** Of a continuous verification, ISO 8601, UTC: when it was read unequal first, and when it was found equal again. */
  readonly seenAt: string | null
  readonly healedAt: string | null
}

/** What one step adds to a table. */
export interface ComparisonStep {
  readonly ordinal: number
  /** null with `isDone`: the end of what was asked for. */
  readonly cursor: readonly Value[] | null
  readonly isDone: boolean
  readonly tally: ComparisonTally
  readonly differences: readonly Difference[]
  readonly position: string
  readonly tookMs: number
}

export interface RunKey {
  readonly pipeline: string
  readonly number: number
}

export interface VerificationStore {
  /**
   * A new run, waiting. Of a schedule: the run that its workflow has, if it has one.
   * @throws SyncError SYNC-5144 while another one of the pipeline is not ended
   */
  create(
    run: Pick<VerificationRecord, 'pipeline' | 'origin' | 'actor' | 'generation' | 'request'> & {
      readonly workflow?: string
    },
  ): VerificationRecord
  get(run: RunKey): VerificationRecord | null
  /** Newest first. */
  list(
    pipeline: string,
    page: {
      readonly before?: number
      readonly limit: number
      readonly origin?: VerificationRecord['origin']
    },
  ): VerificationRecord[]
  /** Writes the tables, if there are none yet. */
  plan(run: RunKey, tables: readonly PlannedTable[]): void
  tables(run: RunKey, page?: { readonly after?: number; readonly limit: number }): ComparedTable[]
  table(run: RunKey, ordinal: number): ComparedTable | null
  segments(run: RunKey, ordinal: number): ComparedSegment[]
  /** The next table of a shard that is not compared to its end. */
  next(run: RunKey, shard: number): ComparedTable | null
  /** From now on only the holder of this word may write progress. */
  claim(run: RunKey): string
  /** Both ends stand at one position again. */
  aligned(run: RunKey, owner: string, pausedMs: number): void
  /** @throws SyncError SYNC-5150 when another attempt has claimed the run */
  step(run: RunKey, owner: string, step: ComparisonStep): void
  /** The table is not compared (any further). */
  giveUp(
    run: RunKey,
    owner: string,
    ordinal: number,
    state: 'skipped' | 'failed',
    trouble: VerificationTrouble,
  ): void
  /** It waits, and for what. @param owner null: nobody has claimed it yet. From an attempt that was given up it is not heard. */
  waits(run: RunKey, owner: string | null, trouble: VerificationTrouble): void
  /** Ends a run that is open; one that has ended stays as it is. */
  end(
    run: RunKey,
    end: {
      readonly state: 'done' | 'failed' | 'cancelled'
      readonly outcome: VerificationOutcome | null
      readonly trouble: VerificationTrouble | null
    },
  ): void
  differences(
    run: RunKey,
    page: { readonly table?: string; readonly after?: number; readonly limit: number },
  ): KeptDifference[]
  /** Forgets all but the last runs; open ones stay, and so do those with a repair that has not ended. */
  prune(pipeline: string, keep: number): void
  /** A run that could not be started. */
  forget(run: RunKey): void
  /** Asks a run for something else, from its next attempt on. */
  ask(run: RunKey, request: VerificationRequest): void
}

const tallyColumns = ['rows_compared', 'equal', 'different', 'only_source', 'only_target', 'unsettled']
const sums = tallyColumns
  .map(
    (column) =>
      `(SELECT coalesce(sum(${column}), 0) FROM verification_tables t WHERE t.pipeline = v.pipeline AND t.number = v.number) AS ${column}`,
  )
  .join(', ')
const countOf = (states: string): string =>
  `(SELECT count(*) FROM verification_tables t WHERE t.pipeline = v.pipeline AND t.number = v.number${states})`
const selectRun = `SELECT v.*, ${sums}, ${countOf('')} AS total, ${countOf(" AND t.state = 'done'")} AS done,
  ${countOf(" AND t.state IN ('skipped', 'failed')")} AS not_compared FROM verifications v`

export function createVerificationStore(database: Database, now: () => Date): VerificationStore {
  const get = ({ pipeline, number }: RunKey): VerificationRecord | null => {
    const row = database.get(`${selectRun} WHERE v.pipeline = ? AND v.number = ?`, pipeline, number)
    return row === undefined ? null : recordOf(row)
  }
  const assertOwner = ({ pipeline, number }: RunKey, owner: string): void => {
    const row = database.get(
      'SELECT owner, state FROM verifications WHERE pipeline = ? AND number = ?',
      pipeline,
      number,
    )
    if (row?.['owner'] === owner && isOpenState(row['state'])) return
    throw new SyncError('SYNC-5150', `verification ${verificationId(pipeline, number)} goes on elsewhere`)
  }
  const isOpen = `state IN (${openVerificationStates.map((state) => `'${state}'`).join(', ')})`

  return {
    get,
    create: ({ pipeline, workflow, origin, actor, generation, request }) =>
      database.write(() => {
        const known =
          workflow === undefined
            ? undefined
            : database.get(`${selectRun} WHERE v.workflow = ? AND v.pipeline = ?`, workflow, pipeline)
        if (known !== undefined) return recordOf(known)
        // One that follows the log goes on beside the others.
        const isContinuous = request.mode === 'continuous' ? 1 : 0
        const open = database.get(
          `SELECT number FROM verifications WHERE pipeline = ? AND ${isOpen}
             AND (json_extract(request, '$.mode') = 'continuous') = ?`,
          pipeline,
          isContinuous,
        )
        if (open !== undefined) {
          const id = verificationId(pipeline, Number(open['number']))
          throw new SyncError('SYNC-5144', `verification ${id} has not ended`, {
            remedy: `Wait for it (\`syncline verify show ${id}\`), or end it with \`syncline verify cancel ${id}\`.`,
          })
        }
        const number = Number(
          database.get(
            `INSERT INTO verification_numbers (pipeline, last) VALUES (?, 1)
             ON CONFLICT (pipeline) DO UPDATE SET last = last + 1 RETURNING last`,
            pipeline,
          )?.['last'],
        )
        database.run(
          `INSERT INTO verifications (pipeline, number, workflow, origin, actor, generation, request, state, requested_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', ?)`,
          pipeline,
          number,
          workflow ?? verificationWorkflowId(pipeline, number),
          origin,
          actor,
          generation,
          JSON.stringify(request),
          now().toISOString(),
        )
        return get({ pipeline, number }) as VerificationRecord
      }),
    list: (pipeline, { before = Number.MAX_SAFE_INTEGER, limit, origin }) =>
      database
        .all(
          `${selectRun} WHERE v.pipeline = ? AND v.number < ? AND v.origin = coalesce(?, v.origin)
           ORDER BY v.number DESC LIMIT ?`,
          pipeline,
          before,
          origin ?? null,
          limit,
        )
        .map(recordOf),
    plan: ({ pipeline, number }, tables) =>
      database.write(() => {
        const row = database.get(
          'SELECT count(*) AS n FROM verification_tables WHERE pipeline = ? AND number = ?',
          pipeline,
          number,
        )
        if (Number(row?.['n']) === 0) {
          for (const [
            ordinal,
            { name, target, columns, shard, after, upTo, rowsEstimated, trouble },
          ] of tables.entries()) {
            database.run(
              `INSERT INTO verification_tables
                 (pipeline, number, ordinal, shard, name, target, columns, after_key, up_to_key, state, trouble, rows_estimated)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
              pipeline,
              number,
              ordinal,
              shard,
              name,
              target,
              JSON.stringify(columns),
              boundText(after),
              boundText(upTo),
              trouble === null ? 'pending' : 'skipped',
              trouble === null ? null : JSON.stringify(trouble),
              rowsEstimated,
            )
          }
        }
        database.run(
          `UPDATE verifications SET state = 'running', trouble = NULL, started_at = coalesce(started_at, ?)
           WHERE pipeline = ? AND number = ? AND ${isOpen}`,
          now().toISOString(),
          pipeline,
          number,
        )
      }),
    tables: ({ pipeline, number }, { after = -1, limit } = { limit: 1_000_000 }) =>
      database
        .all(
          `SELECT * FROM verification_tables WHERE pipeline = ? AND number = ? AND ordinal > ?
           ORDER BY ordinal LIMIT ?`,
          pipeline,
          number,
          after,
          limit,
        )
        .map(tableOf),
    table({ pipeline, number }, ordinal) {
      const row = database.get(
        'SELECT * FROM verification_tables WHERE pipeline = ? AND number = ? AND ordinal = ?',
        pipeline,
        number,
        ordinal,
      )
      return row === undefined ? null : tableOf(row)
    },
    segments: ({ pipeline, number }, ordinal) =>
      database
        .all(
          `SELECT * FROM verification_segments WHERE pipeline = ? AND number = ? AND ordinal = ? ORDER BY segment`,
          pipeline,
          number,
          ordinal,
        )
        .map((row) => ({
          after: keyOf(row['after_key']),
          upTo: keyOf(row['up_to_key']),
          position: String(row['position']),
          at: String(row['at']),
        })),
    next({ pipeline, number }, shard) {
      const row = database.get(
        `SELECT * FROM verification_tables WHERE pipeline = ? AND number = ? AND shard = ?
           AND state IN ('pending', 'running') ORDER BY ordinal LIMIT 1`,
        pipeline,
        number,
        shard,
      )
      return row === undefined ? null : tableOf(row)
    },
    claim: ({ pipeline, number }) =>
      database.write(() => {
        const owner = randomUUID()
        database.run(
          `UPDATE verifications SET owner = ?, state = 'running', trouble = NULL WHERE pipeline = ? AND number = ? AND ${isOpen}`,
          owner,
          pipeline,
          number,
        )
        return owner
      }),
    aligned: (run, owner, pausedMs) =>
      database.write(() => {
        assertOwner(run, owner)
        database.run(
          `UPDATE verifications SET passes = passes + 1, longest_pause_ms = max(longest_pause_ms, ?)
           WHERE pipeline = ? AND number = ?`,
          Math.round(pausedMs),
          run.pipeline,
          run.number,
        )
      }),
    step: (run, owner, step) =>
      database.write(() => {
        assertOwner(run, owner)
        const { pipeline, number } = run
        const row = database.get(
          'SELECT * FROM verification_tables WHERE pipeline = ? AND number = ? AND ordinal = ?',
          pipeline,
          number,
          step.ordinal,
        )
        const request = get(run)?.request
        if (row === undefined || request === undefined) return
        const before = tableOf(row)
        const room = Math.max(0, request.maxDifferences - before.kept)
        const kept = step.differences.slice(0, room)
        keep(database, run, step.ordinal, kept)
        const upTo = step.isDone ? before.upTo : step.cursor
        extendSegment(database, run, step, before.cursor ?? before.after, upTo, now().toISOString())
        const { tally } = step
        database.run(
          `UPDATE verification_tables SET state = ?, cursor = ?, rows_compared = rows_compared + ?, equal = equal + ?,
             different = different + ?, only_source = only_source + ?, only_target = only_target + ?,
             unsettled = unsettled + ?, kept = kept + ?, duration_ms = duration_ms + ?
           WHERE pipeline = ? AND number = ? AND ordinal = ?`,
          step.isDone ? 'done' : 'running',
          boundText(step.cursor ?? before.cursor),
          tally.rowsCompared,
          tally.equal,
          tally.different,
          tally.onlySource,
          tally.onlyTarget,
          tally.unsettled,
          kept.length,
          Math.round(step.tookMs),
          pipeline,
          number,
          step.ordinal,
        )
      }),
    giveUp: (run, owner, ordinal, state, trouble) =>
      database.write(() => {
        assertOwner(run, owner)
        database.run(
          'UPDATE verification_tables SET state = ?, trouble = ? WHERE pipeline = ? AND number = ? AND ordinal = ?',
          state,
          JSON.stringify(trouble),
          run.pipeline,
          run.number,
          ordinal,
        )
      }),
    waits: ({ pipeline, number }, owner, trouble) =>
      database.write(() => {
        database.run(
          `UPDATE verifications SET state = 'waiting', trouble = ?
           WHERE pipeline = ? AND number = ? AND owner IS ? AND ${isOpen}`,
          JSON.stringify(trouble),
          pipeline,
          number,
          owner,
        )
      }),
    end: ({ pipeline, number }, { state, outcome, trouble }) =>
      database.write(() => {
        database.run(
          `UPDATE verifications SET state = ?, outcome = ?, trouble = ?, ended_at = ?, owner = NULL
           WHERE pipeline = ? AND number = ? AND ${isOpen}`,
          state,
          outcome,
          trouble === null ? null : JSON.stringify(trouble),
          now().toISOString(),
          pipeline,
          number,
        )
      }),
    differences({ pipeline, number }, { table, after = 0, limit }) {
      return database
        .all(
          `SELECT d.*, t.name FROM verification_differences d JOIN verification_tables t USING (pipeline, number, ordinal)
           WHERE d.pipeline = ? AND d.number = ? AND d.id > ? AND (? IS NULL OR t.name = ?) ORDER BY d.id LIMIT ?`,
          pipeline,
          number,
          after,
          table ?? null,
          table ?? null,
          limit,
        )
        .map(differenceOf)
    },
    prune: (pipeline, keepRuns) =>
      database.write(() => {
        database.run(
          `DELETE FROM verifications AS v WHERE pipeline = ? AND NOT ${isOpen} AND number NOT IN
             (SELECT number FROM verifications WHERE pipeline = ? ORDER BY number DESC LIMIT ?)
             AND NOT EXISTS (SELECT 1 FROM repairs r WHERE r.pipeline = v.pipeline AND r.number = v.number
               AND r.ended_at IS NULL)`,
          pipeline,
          pipeline,
          keepRuns,
        )
      }),
    ask: ({ pipeline, number }, request) =>
      database.write(() => {
        database.run(
          'UPDATE verifications SET request = ? WHERE pipeline = ? AND number = ?',
          JSON.stringify(request),
          pipeline,
          number,
        )
      }),
    forget: ({ pipeline, number }) =>
      database.write(() => {
        database.run('DELETE FROM verifications WHERE pipeline = ? AND number = ?', pipeline, number)
      }),
  }
}

function keep(
  database: Database,
  { pipeline, number }: RunKey,
  ordinal: number,
  differences: readonly Difference[],
): void {
  if (differences.length === 0) return
  const last = database.get(
    'SELECT max(id) AS id FROM verification_differences WHERE pipeline = ? AND number = ?',
    pipeline,
    number,
  )
  let id = Number(last?.['id'] ?? 0)
  for (const { kind, key, columns, source, target } of differences) {
    database.run(
      `INSERT INTO verification_differences (pipeline, number, id, ordinal, kind, key, columns, source, target)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      pipeline,
      number,
      ++id,
      ordinal,
      kind,
      keyText(key),
      JSON.stringify(columns),
      source === null ? null : JSON.stringify(source),
      target === null ? null : JSON.stringify(target),
    )
  }
}

/** Steps at one position are one range of keys. */
function extendSegment(
  database: Database,
  { pipeline, number }: RunKey,
  { ordinal, position }: ComparisonStep,
  after: readonly Value[] | null,
  upTo: readonly Value[] | null,
  at: string,
): void {
  const last = database.get(
    `SELECT segment, position FROM verification_segments WHERE pipeline = ? AND number = ? AND ordinal = ?
     ORDER BY segment DESC LIMIT 1`,
    pipeline,
    number,
    ordinal,
  )
  if (last?.['position'] === position) {
    database.run(
      `UPDATE verification_segments SET up_to_key = ? WHERE pipeline = ? AND number = ? AND ordinal = ? AND segment = ?`,
      boundText(upTo),
      pipeline,
      number,
      ordinal,
      Number(last['segment']),
    )
    return
  }
  database.run(
    `INSERT INTO verification_segments (pipeline, number, ordinal, segment, after_key, up_to_key, position, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    pipeline,
    number,
    ordinal,
    Number(last?.['segment'] ?? 0) + 1,
    boundText(after),
    boundText(upTo),
    position,
    at,
  )
}

const isOpenState = (state: SqlRow[string] | undefined): boolean =>
  openVerificationStates.some((open) => open === state)

const boundText = (key: readonly Value[] | null): string | null => (key === null ? null : keyText(key))
const keyOf = (text: SqlRow[string] | undefined): readonly Value[] | null =>
  text === null || text === undefined ? null : readKeyText(String(text))
const jsonOf = <T>(text: SqlRow[string] | undefined): T | null =>
  text === null || text === undefined ? null : (JSON.parse(String(text)) as T)
const textOf = (value: SqlRow[string] | undefined): string | null =>
  value === null || value === undefined ? null : String(value)

const tallyOf = (row: SqlRow): ComparisonTally => ({
  rowsCompared: Number(row['rows_compared']),
  equal: Number(row['equal']),
  different: Number(row['different']),
  onlySource: Number(row['only_source']),
  onlyTarget: Number(row['only_target']),
  unsettled: Number(row['unsettled']),
})

const recordOf = (row: SqlRow): VerificationRecord => ({
  pipeline: String(row['pipeline']),
  number: Number(row['number']),
  workflow: String(row['workflow']),
  origin: row['origin'] as VerificationRecord['origin'],
  actor: String(row['actor']),
  generation: Number(row['generation']),
  request: JSON.parse(String(row['request'])) as VerificationRequest,
  state: row['state'] as VerificationState,
  outcome: textOf(row['outcome']) as VerificationOutcome | null,
  trouble: jsonOf<VerificationTrouble>(row['trouble']),
  requestedAt: String(row['requested_at']),
  startedAt: textOf(row['started_at']),
  endedAt: textOf(row['ended_at']),
  passes: Number(row['passes']),
  longestPauseMs: Number(row['longest_pause_ms']),
  tally: tallyOf(row),
  tables: {
    total: Number(row['total']),
    done: Number(row['done']),
    notCompared: Number(row['not_compared']),
  },
})

const tableOf = (row: SqlRow): ComparedTable => ({
  ordinal: Number(row['ordinal']),
  shard: Number(row['shard']),
  name: String(row['name']),
  target: String(row['target']),
  columns: JSON.parse(String(row['columns'])) as ComparedColumn[],
  after: keyOf(row['after_key']),
  upTo: keyOf(row['up_to_key']),
  state: row['state'] as ComparedTableState,
  trouble: jsonOf<VerificationTrouble>(row['trouble']),
  cursor: keyOf(row['cursor']),
  rowsEstimated: Number(row['rows_estimated']),
  tally: tallyOf(row),
  kept: Number(row['kept']),
  durationMs: Number(row['duration_ms']),
})

const differenceOf = (row: SqlRow): KeptDifference => ({
  id: Number(row['id']),
  ordinal: Number(row['ordinal']),
  table: String(row['name']),
  kind: row['kind'] as Difference['kind'],
  key: readKeyText(String(row['key'])),
  columns: JSON.parse(String(row['columns'])) as string[],
  source: jsonOf<Record<string, string | null>>(row['source']),
  target: jsonOf<Record<string, string | null>>(row['target']),
  seenAt: textOf(row['seen_at']),
  healedAt: textOf(row['healed_at']),
})
