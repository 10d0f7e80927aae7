/**
 * How far verifications that follow the log are, and which rows differ by what they saw last (docs/adr/0009).
 *
 * A step is one transaction: checkpoint, counts, differences and heals, so a successor goes on from there and loses nothing. Only the attempt that claimed the run
 * last may write (store/verifications.ts, `claim`). Kept are up to `maxDifferences` rows of a table that differ, and as many that did; others are counted.
 * In the counts of a table `different`, `only_source` and `only_target` are the rows that differ now.
 */
import { SyncError } from '../core/errors.ts'
import { keyText, readKeyText } from '../core/key-text.ts'
import type { Value } from '../core/value.ts'
import type { Difference } from '../core/verification.ts'
import { type VerificationTrouble, verificationId } from '../core/verification-control.ts'
import type { Database, SqlRow } from './database.ts'
import type { PlannedTable, RunKey } from './verifications.ts'

export interface ContinuousProgress {
  /** All before is read back; null: nothing yet. The text of a position. */
  readonly checkpoint: string | null
  /** Where the reader of the log stands. */
  readonly position: string | null
  /** Changes of rows that the log had. */
  readonly changes: number
  readonly rowsRead: number
  /** Rows that differed and were found equal later. */
  readonly healed: number
  /** Differences that were found and are not kept. */
  readonly beyond: number
  readonly pendingRows: number
  readonly lagMs: number
  readonly oldestMs: number
  readonly updatedAt: string | null
}

export interface ContinuousStep
  extends Pick<ContinuousProgress, 'checkpoint' | 'position' | 'pendingRows' | 'lagMs' | 'oldestMs'> {
  /** Tables that are new, or whose state is another. */
  readonly tables: readonly { readonly table: PlannedTable; readonly trouble: VerificationTrouble | null }[]
  readonly counts: readonly {
    readonly table: string
    readonly changes: number
    readonly rowsRead: number
    readonly equal: number
  }[]
  readonly found: readonly { readonly difference: Difference; readonly seenAt: string }[]
  readonly healed: readonly { readonly table: string; readonly key: readonly Value[] }[]
  readonly waiting: VerificationTrouble | null
  readonly maxDifferences: number
}

export interface ContinuousRunStore {
  /** null: the run does not follow the log, or has not begun. */
  get(run: RunKey): ContinuousProgress | null
  /** @throws SyncError SYNC-5150 when another attempt has claimed the run, or it has ended */
  step(run: RunKey, owner: string, step: ContinuousStep): void
  /** Rows that differ by what was seen last, `limit` at most. */
  open(run: RunKey, limit: number): { readonly table: string; readonly key: readonly Value[] }[]
}

const columnOf = {
  different: 'different',
  'only-source': 'only_source',
  'only-target': 'only_target',
  unsettled: 'unsettled',
} as const

export function createContinuousRunStore(database: Database, now: () => Date): ContinuousRunStore {
  const assertOwner = ({ pipeline, number }: RunKey, owner: string): void => {
    const row = database.get(
      'SELECT owner, state FROM verifications WHERE pipeline = ? AND number = ?',
      pipeline,
      number,
    )
    if (row?.['owner'] === owner && (row['state'] === 'running' || row['state'] === 'waiting')) return
    throw new SyncError('SYNC-5150', `verification ${verificationId(pipeline, number)} goes on elsewhere`)
  }
  const tableOf = ({ pipeline, number }: RunKey, name: string): SqlRow | undefined =>
    database.get(
      'SELECT ordinal, kept FROM verification_tables WHERE pipeline = ? AND number = ? AND name = ?',
      pipeline,
      number,
      name,
    )

  function putTable(run: RunKey, table: PlannedTable, trouble: VerificationTrouble | null): void {
    const { pipeline, number } = run
    const state = trouble === null ? 'running' : 'skipped'
    const why = trouble === null ? null : JSON.stringify(trouble)
    const known = tableOf(run, table.name)
    if (known === undefined) {
      database.run(
        `INSERT INTO verification_tables (pipeline, number, ordinal, shard, name, target, columns, state, trouble)
         VALUES (?, ?, (SELECT coalesce(max(ordinal), -1) + 1 FROM verification_tables WHERE pipeline = ? AND number = ?),
                 ?, ?, ?, ?, ?, ?)`,
        pipeline,
        number,
        pipeline,
        number,
        table.shard,
        table.name,
        table.target,
        JSON.stringify(table.columns),
        state,
        why,
      )
      return
    }
    database.run(
      `UPDATE verification_tables SET state = ?, trouble = ?, target = ?, columns = ?
       WHERE pipeline = ? AND number = ? AND ordinal = ?`,
      state,
      why,
      table.target,
      JSON.stringify(table.columns),
      pipeline,
      number,
      Number(known['ordinal']),
    )
  }

  const openRow = ({ pipeline, number }: RunKey, ordinal: number, key: string): SqlRow | undefined =>
    database.get(
      `SELECT id, kind FROM verification_differences
       WHERE pipeline = ? AND number = ? AND ordinal = ? AND key = ? AND healed_at IS NULL`,
      pipeline,
      number,
      ordinal,
      key,
    )
  const count = ({ pipeline, number }: RunKey, ordinal: number, kind: string, by: 1 | -1): void => {
    const column = columnOf[kind as Difference['kind']]
    database.run(
      `UPDATE verification_tables SET ${column} = ${column} + ${by}, kept = kept + ${by}
       WHERE pipeline = ? AND number = ? AND ordinal = ?`,
      pipeline,
      number,
      ordinal,
    )
  }

  /** @returns whether there is room for it */
  function keep(run: RunKey, difference: Difference, seenAt: string, most: number): boolean {
    const { pipeline, number } = run
    const table = tableOf(run, difference.table)
    if (table === undefined) return false
    const ordinal = Number(table['ordinal'])
    const key = keyText(difference.key)
    const { kind, columns, source, target } = difference
    const images = [
      JSON.stringify(columns),
      source === null ? null : JSON.stringify(source),
      target === null ? null : JSON.stringify(target),
    ] as const
    const known = openRow(run, ordinal, key)
    if (known !== undefined) {
      count(run, ordinal, String(known['kind']), -1)
      count(run, ordinal, kind, 1)
      database.run(
        `UPDATE verification_differences SET kind = ?, columns = ?, source = ?, target = ?
         WHERE pipeline = ? AND number = ? AND id = ?`,
        kind,
        ...images,
        pipeline,
        number,
        Number(known['id']),
      )
      return true
    }
    if (Number(table['kept']) >= most) return false
    count(run, ordinal, kind, 1)
    database.run(
      `INSERT INTO verification_differences (pipeline, number, id, ordinal, kind, key, columns, source, target, seen_at)
       VALUES (?, ?, (SELECT coalesce(max(id), 0) + 1 FROM verification_differences WHERE pipeline = ? AND number = ?),
               ?, ?, ?, ?, ?, ?, ?)`,
      pipeline,
      number,
      pipeline,
      number,
      ordinal,
      kind,
      key,
      ...images,
      seenAt,
    )
    return true
  }

  /** @returns whether it was kept as one that differs */
  function heal(run: RunKey, name: string, key: readonly Value[], most: number): boolean {
    const { pipeline, number } = run
    const table = tableOf(run, name)
    const ordinal = Number(table?.['ordinal'] ?? -1)
    const known = openRow(run, ordinal, keyText(key))
    if (known === undefined) return false
    count(run, ordinal, String(known['kind']), -1)
    database.run(
      'UPDATE verification_differences SET healed_at = ? WHERE pipeline = ? AND number = ? AND id = ?',
      now().toISOString(),
      pipeline,
      number,
      Number(known['id']),
    )
    // The last of those that were healed are kept to be seen; what a repair has to tell of stays.
    database.run(
      `DELETE FROM verification_differences WHERE pipeline = ? AND number = ? AND id IN (
         SELECT id FROM verification_differences d WHERE d.pipeline = ? AND d.number = ? AND d.ordinal = ? AND d.healed_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM repaired_rows w WHERE w.pipeline = d.pipeline AND w.number = d.number AND w.difference = d.id)
           -- Numbers are given by the greatest one: it stays.
           AND d.id < (SELECT max(id) FROM verification_differences WHERE pipeline = d.pipeline AND number = d.number)
         ORDER BY d.healed_at DESC LIMIT -1 OFFSET ?)`,
      pipeline,
      number,
      pipeline,
      number,
      ordinal,
      most,
    )
    return true
  }

  return {
    get({ pipeline, number }) {
      const row = database.get(
        'SELECT * FROM continuous_verifications WHERE pipeline = ? AND number = ?',
        pipeline,
        number,
      )
      return row === undefined ? null : progressOf(row)
    },
    step: (run, owner, step) =>
      database.write(() => {
        assertOwner(run, owner)
        const { pipeline, number } = run
        const sums = { changes: 0, rowsRead: 0, healed: 0, beyond: 0 }
        for (const { table, trouble } of step.tables) putTable(run, table, trouble)
        for (const { table, changes, rowsRead, equal } of step.counts) {
          sums.changes += changes
          sums.rowsRead += rowsRead
          database.run(
            `UPDATE verification_tables SET rows_compared = rows_compared + ?, equal = equal + ?
             WHERE pipeline = ? AND number = ? AND name = ?`,
            rowsRead,
            equal,
            pipeline,
            number,
            table,
          )
        }
        for (const { table, key } of step.healed)
          if (heal(run, table, key, step.maxDifferences)) sums.healed++
        for (const { difference, seenAt } of step.found)
          if (!keep(run, difference, seenAt, step.maxDifferences)) sums.beyond++
        database.run(
          `INSERT INTO continuous_verifications (pipeline, number) VALUES (?, ?) ON CONFLICT DO NOTHING`,
          pipeline,
          number,
        )
        database.run(
          `UPDATE continuous_verifications SET checkpoint = ?, position = ?, changes = changes + ?, rows_read = rows_read + ?,
             healed = healed + ?, beyond = beyond + ?, pending_rows = ?, lag_ms = ?, oldest_ms = ?, updated_at = ?
           WHERE pipeline = ? AND number = ?`,
          step.checkpoint,
          step.position,
          sums.changes,
          sums.rowsRead,
          sums.healed,
          sums.beyond,
          step.pendingRows,
          step.lagMs,
          step.oldestMs,
          now().toISOString(),
          pipeline,
          number,
        )
        database.run(
          `UPDATE verifications SET state = ?, trouble = ?, started_at = coalesce(started_at, ?) WHERE pipeline = ? AND number = ?`,
          step.waiting === null ? 'running' : 'waiting',
          step.waiting === null ? null : JSON.stringify(step.waiting),
          now().toISOString(),
          pipeline,
          number,
        )
      }),
    open: ({ pipeline, number }, limit) =>
      database
        .all(
          `SELECT t.name, d.key FROM verification_differences d JOIN verification_tables t USING (pipeline, number, ordinal)
           WHERE d.pipeline = ? AND d.number = ? AND d.healed_at IS NULL ORDER BY d.id LIMIT ?`,
          pipeline,
          number,
          limit,
        )
        .map((row) => ({ table: String(row['name']), key: readKeyText(String(row['key'])) })),
  }
}

const textOf = (value: SqlRow[string] | undefined): string | null =>
  value === null || value === undefined ? null : String(value)

const progressOf = (row: SqlRow): ContinuousProgress => ({
  checkpoint: textOf(row['checkpoint']),
  position: textOf(row['position']),
  changes: Number(row['changes']),
  rowsRead: Number(row['rows_read']),
  healed: Number(row['healed']),
  beyond: Number(row['beyond']),
  pendingRows: Number(row['pending_rows']),
  lagMs: Number(row['lag_ms']),
  oldestMs: Number(row['oldest_ms']),
  updatedAt: textOf(row['updated_at']),
})
