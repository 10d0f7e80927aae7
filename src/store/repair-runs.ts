/**
 * Repairs of what verifications found: who asked and who approved, and every row with its images before the write and after it.
 *
 * A row is recorded in the transaction that says that it is done, so a successor goes on with the rows that are not, and none is counted twice.
 * Only the attempt that claimed a repair last may write to it. Bounded by the differences that a run keeps.
 */
import { randomUUID } from 'node:crypto'
import { SyncError } from '../core/errors.ts'
import { readKeyText } from '../core/key-text.ts'
import type { Value } from '../core/value.ts'
import type { DifferenceKind, RepairedRow } from '../core/verification.ts'
import {
  openRepairStates,
  type RepairState,
  type VerificationTrouble,
  verificationId,
} from '../core/verification-control.ts'
import type { Database, SqlRow } from './database.ts'
import type { RunKey } from './verifications.ts'

export type RowImage = Readonly<Record<string, string | null>>

export interface RepairRun extends RunKey {
  readonly repair: number
  readonly actor: string
  readonly needsApproval: boolean
  readonly approvedBy: string | null
  readonly approvedAt: string | null
  /** null: no limit. */
  readonly maxRowsPerSecond: number | null
  readonly state: RepairState
  readonly trouble: VerificationTrouble | null
  readonly requestedAt: string
  readonly endedAt: string | null
  /** Why the first of the refused rows was. */
  readonly refusal: VerificationTrouble | null
  readonly rows: {
    readonly total: number
    readonly pending: number
    readonly written: number
    readonly removed: number
    readonly overtaken: number
    /** Equal by the time of the repair: nothing was written. */
    readonly equal: number
    /** The target did not take them. */
    readonly refused: number
    readonly verifiedEqual: number
    readonly verifiedDifferent: number
    readonly unsettled: number
  }
}

/** equal: it did not differ any more when it was to be repaired. */
export type RepairRowState = 'pending' | RepairedRow['outcome'] | 'equal'

export interface RepairRowRecord {
  /** Number of the difference in its verification. */
  readonly difference: number
  /** `schema.table` at the source. */
  readonly table: string
  readonly shard: number
  readonly kind: DifferenceKind
  readonly key: readonly Value[]
  readonly state: RepairRowState
  /** Its images before the repair are kept: an attempt may have written it. */
  readonly isExamined: boolean
  /** As found right before the repair; null also where there is no such row. */
  readonly sourceBefore: RowImage | null
  readonly targetBefore: RowImage | null
  readonly repairedAt: string | null
  /** Of a refused row. */
  readonly refusal: VerificationTrouble | null
  readonly verified: 'equal' | 'different' | 'unsettled' | null
  readonly sourceAfter: RowImage | null
  readonly targetAfter: RowImage | null
}

export interface RepairKey extends RunKey {
  readonly repair: number
}

export interface RepairRunStore {
  /**
   * A new repair of all kept differences that no earlier repair has mended.
   * @throws SyncError SYNC-5146 where there is nothing to repair, SYNC-5144 while another repair of the pipeline is not ended
   */
  create(
    repair: Pick<RepairRun, 'pipeline' | 'number' | 'actor' | 'needsApproval' | 'maxRowsPerSecond'>,
  ): RepairRun
  /** Ids of the differences that a repair would take. */
  due(run: RunKey, page: { readonly after?: number; readonly limit: number }): number[]
  get(key: RepairKey): RepairRun | null
  /** Newest first. */
  list(run: RunKey): RepairRun[]
  /** A repair that has ended stays as it is. */
  enter(key: RepairKey, state: RepairState, actor: string, trouble: VerificationTrouble | null): void
  claim(key: RepairKey): string
  /** What it waits for. From an attempt that was given up it is not heard. */
  waits(key: RepairKey, owner: string | null, trouble: VerificationTrouble): void
  rows(
    key: RepairKey,
    page: {
      readonly state?: 'pending' | 'unverified'
      readonly shard?: number
      readonly after?: number
      readonly limit: number
    },
  ): RepairRowRecord[]
  /** How rows were found that are about to be repaired. @throws SyncError SYNC-5150 when another attempt has claimed the repair */
  examined(
    key: RepairKey,
    owner: string,
    rows: readonly Pick<RepairRowRecord, 'difference' | 'sourceBefore' | 'targetBefore'>[],
  ): void
  /** Images only of rows that were not examined. @throws SyncError SYNC-5150 when another attempt has claimed the repair */
  repaired(
    key: RepairKey,
    owner: string,
    rows: readonly (Pick<RepairRowRecord, 'difference' | 'state'> &
      Partial<Pick<RepairRowRecord, 'sourceBefore' | 'targetBefore' | 'refusal'>>)[],
  ): void
  /** @throws SyncError SYNC-5150 when another attempt has claimed the repair */
  verified(
    key: RepairKey,
    owner: string,
    rows: readonly Pick<RepairRowRecord, 'difference' | 'verified' | 'sourceAfter' | 'targetAfter'>[],
  ): void
  /** A repair that could not be started. */
  forget(key: RepairKey): void
}

const isOpen = `state IN (${openRepairStates.map((state) => `'${state}'`).join(', ')})`
const countOf = (name: string, condition: string): string =>
  `(SELECT count(*) FROM repaired_rows w WHERE w.pipeline = r.pipeline AND w.number = r.number AND w.repair = r.repair${condition}) AS ${name}`
const selectRepair = `SELECT r.*, ${countOf('total', '')}, ${countOf('pending', " AND w.state = 'pending'")},
  ${countOf('written', " AND w.state = 'written'")}, ${countOf('removed', " AND w.state = 'removed'")},
  ${countOf('overtaken', " AND w.state = 'overtaken'")}, ${countOf('equal', " AND w.state = 'equal'")},
  ${countOf('refused', " AND w.state = 'refused'")},
  (SELECT w.refusal FROM repaired_rows w WHERE w.pipeline = r.pipeline AND w.number = r.number AND w.repair = r.repair
    AND w.state = 'refused' ORDER BY w.difference LIMIT 1) AS refusal,
  ${countOf('verified_equal', " AND w.verified = 'equal'")},
  ${countOf('verified_different', " AND w.verified = 'different'")},
  ${countOf('unsettled', " AND w.verified = 'unsettled'")} FROM repairs r`
/** Differences of a run that are to be repaired. A row that was never told is told by the next verification. */
const dueDifferences = `FROM verification_differences d WHERE d.pipeline = ? AND d.number = ? AND d.kind <> 'unsettled' AND d.healed_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM repaired_rows w WHERE w.pipeline = d.pipeline AND w.number = d.number
    AND w.difference = d.id AND w.verified = 'equal')`

export function createRepairRunStore(database: Database, now: () => Date): RepairRunStore {
  const get = ({ pipeline, number, repair }: RepairKey): RepairRun | null => {
    const row = database.get(
      `${selectRepair} WHERE r.pipeline = ? AND r.number = ? AND r.repair = ?`,
      pipeline,
      number,
      repair,
    )
    return row === undefined ? null : recordOf(row)
  }
  const assertOwner = ({ pipeline, number, repair }: RepairKey, owner: string): void => {
    const row = database.get(
      `SELECT owner FROM repairs WHERE pipeline = ? AND number = ? AND repair = ? AND ${isOpen}`,
      pipeline,
      number,
      repair,
    )
    if (row?.['owner'] === owner) return
    throw new SyncError(
      'SYNC-5150',
      `repair ${repair} of ${verificationId(pipeline, number)} goes on elsewhere`,
    )
  }

  return {
    get,
    create: ({ pipeline, number, actor, needsApproval, maxRowsPerSecond }) =>
      database.write(() => {
        const open = database.get(
          `SELECT number, repair FROM repairs WHERE pipeline = ? AND ${isOpen}`,
          pipeline,
        )
        if (open !== undefined) {
          const id = verificationId(pipeline, Number(open['number']))
          throw new SyncError('SYNC-5144', `repair ${Number(open['repair'])} of ${id} has not ended`, {
            remedy: `See it with \`syncline verify show ${id}\`; approve it, wait for it, or end it with \`syncline verify cancel ${id}\`.`,
          })
        }
        const due = Number(database.get(`SELECT count(*) AS n ${dueDifferences}`, pipeline, number)?.['n'])
        if (due === 0) {
          throw new SyncError(
            'SYNC-5146',
            `verification ${verificationId(pipeline, number)} has no row to repair`,
          )
        }
        const last = database.get(
          'SELECT max(repair) AS last FROM repairs WHERE pipeline = ? AND number = ?',
          pipeline,
          number,
        )
        const repair = Number(last?.['last'] ?? 0) + 1
        database.run(
          `INSERT INTO repairs (pipeline, number, repair, actor, needs_approval, max_rows_per_second, state, requested_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
          pipeline,
          number,
          repair,
          actor,
          needsApproval ? 1 : 0,
          maxRowsPerSecond,
          needsApproval ? 'awaiting-approval' : 'waiting',
          now().toISOString(),
        )
        database.run(
          `INSERT INTO repaired_rows (pipeline, number, repair, difference, state)
           SELECT d.pipeline, d.number, ?, d.id, 'pending' ${dueDifferences}`,
          repair,
          pipeline,
          number,
        )
        return get({ pipeline, number, repair }) as RepairRun
      }),
    due: ({ pipeline, number }, { after = 0, limit }) =>
      database
        .all(
          `SELECT d.id ${dueDifferences} AND d.id > ? ORDER BY d.id LIMIT ?`,
          pipeline,
          number,
          after,
          limit,
        )
        .map((row) => Number(row['id'])),
    list: ({ pipeline, number }) =>
      database
        .all(`${selectRepair} WHERE r.pipeline = ? AND r.number = ? ORDER BY r.repair DESC`, pipeline, number)
        .map(recordOf),
    enter: ({ pipeline, number, repair }, state, actor, trouble) =>
      database.write(() => {
        const at = now().toISOString()
        const isEnd = !openRepairStates.includes(state)
        database.run(
          `UPDATE repairs SET
             approved_by = CASE WHEN state = 'awaiting-approval' AND ? = 'repairing' THEN ? ELSE approved_by END,
             approved_at = CASE WHEN state = 'awaiting-approval' AND ? = 'repairing' THEN ? ELSE approved_at END,
             state = ?, trouble = ?, ended_at = ?
           WHERE pipeline = ? AND number = ? AND repair = ? AND ${isOpen}`,
          state,
          actor,
          state,
          at,
          state,
          trouble === null ? null : JSON.stringify(trouble),
          isEnd ? at : null,
          pipeline,
          number,
          repair,
        )
      }),
    claim: ({ pipeline, number, repair }) =>
      database.write(() => {
        const owner = randomUUID()
        database.run(
          `UPDATE repairs SET owner = ?, trouble = NULL WHERE pipeline = ? AND number = ? AND repair = ? AND ${isOpen}`,
          owner,
          pipeline,
          number,
          repair,
        )
        return owner
      }),
    waits: ({ pipeline, number, repair }, owner, trouble) =>
      database.write(() => {
        database.run(
          `UPDATE repairs SET trouble = ? WHERE pipeline = ? AND number = ? AND repair = ? AND owner IS ? AND ${isOpen}`,
          JSON.stringify(trouble),
          pipeline,
          number,
          repair,
          owner,
        )
      }),
    rows({ pipeline, number, repair }, { state, shard, after = 0, limit }) {
      const wanted =
        state === 'pending'
          ? " AND w.state = 'pending'"
          : state === 'unverified'
            ? " AND w.state NOT IN ('pending', 'refused') AND w.verified IS NULL"
            : ''
      return database
        .all(
          `SELECT w.*, d.kind, d.key, t.name, t.shard FROM repaired_rows w
             JOIN verification_differences d ON d.pipeline = w.pipeline AND d.number = w.number AND d.id = w.difference
             JOIN verification_tables t ON t.pipeline = d.pipeline AND t.number = d.number AND t.ordinal = d.ordinal
           WHERE w.pipeline = ? AND w.number = ? AND w.repair = ? AND w.difference > ?${wanted}
             AND (? IS NULL OR t.shard = ?)
           ORDER BY w.difference LIMIT ?`,
          pipeline,
          number,
          repair,
          after,
          shard ?? null,
          shard ?? null,
          limit,
        )
        .map(rowOf)
    },
    examined: (key, owner, rows) =>
      database.write(() => {
        assertOwner(key, owner)
        for (const { difference, sourceBefore, targetBefore } of rows) {
          database.run(
            `UPDATE repaired_rows SET source_before = ?, target_before = ?, is_examined = 1
             WHERE pipeline = ? AND number = ? AND repair = ? AND difference = ? AND is_examined = 0`,
            imageText(sourceBefore),
            imageText(targetBefore),
            key.pipeline,
            key.number,
            key.repair,
            difference,
          )
        }
      }),
    repaired: (key, owner, rows) =>
      database.write(() => {
        assertOwner(key, owner)
        for (const { difference, state, sourceBefore = null, targetBefore = null, refusal = null } of rows) {
          database.run(
            `UPDATE repaired_rows SET state = ?, refusal = ?, source_before = coalesce(source_before, ?),
               target_before = coalesce(target_before, ?), repaired_at = ?
             WHERE pipeline = ? AND number = ? AND repair = ? AND difference = ?`,
            state,
            refusal === null ? null : JSON.stringify(refusal),
            imageText(sourceBefore),
            imageText(targetBefore),
            now().toISOString(),
            key.pipeline,
            key.number,
            key.repair,
            difference,
          )
        }
      }),
    verified: (key, owner, rows) =>
      database.write(() => {
        assertOwner(key, owner)
        for (const { difference, verified, sourceAfter, targetAfter } of rows) {
          database.run(
            `UPDATE repaired_rows SET verified = ?, source_after = ?, target_after = ?
             WHERE pipeline = ? AND number = ? AND repair = ? AND difference = ?`,
            verified,
            imageText(sourceAfter),
            imageText(targetAfter),
            key.pipeline,
            key.number,
            key.repair,
            difference,
          )
        }
      }),
    forget: ({ pipeline, number, repair }) =>
      database.write(() => {
        database.run(
          'DELETE FROM repairs WHERE pipeline = ? AND number = ? AND repair = ?',
          pipeline,
          number,
          repair,
        )
      }),
  }
}

const imageText = (image: RowImage | null): string | null => (image === null ? null : JSON.stringify(image))
const imageOf = (text: SqlRow[string] | undefined): RowImage | null =>
  text === null || text === undefined ? null : (JSON.parse(String(text)) as RowImage)
const troubleOf = (text: SqlRow[string] | undefined): VerificationTrouble | null =>
  text === null || text === undefined ? null : (JSON.parse(String(text)) as VerificationTrouble)
const textOf = (value: SqlRow[string] | undefined): string | null =>
  value === null || value === undefined ? null : String(value)

const recordOf = (row: SqlRow): RepairRun => ({
  pipeline: String(row['pipeline']),
  number: Number(row['number']),
  repair: Number(row['repair']),
  actor: String(row['actor']),
  needsApproval: row['needs_approval'] === 1,
  approvedBy: textOf(row['approved_by']),
  approvedAt: textOf(row['approved_at']),
  maxRowsPerSecond: row['max_rows_per_second'] === null ? null : Number(row['max_rows_per_second']),
  state: row['state'] as RepairState,
  trouble: troubleOf(row['trouble']),
  requestedAt: String(row['requested_at']),
  endedAt: textOf(row['ended_at']),
  refusal: troubleOf(row['refusal']),
  rows: {
    total: Number(row['total']),
    pending: Number(row['pending']),
    written: Number(row['written']),
    removed: Number(row['removed']),
    overtaken: Number(row['overtaken']),
    equal: Number(row['equal']),
    refused: Number(row['refused']),
    verifiedEqual: Number(row['verified_equal']),
    verifiedDifferent: Number(row['verified_different']),
    unsettled: Number(row['unsettled']),
  },
})

const rowOf = (row: SqlRow): RepairRowRecord => ({
  difference: Number(row['difference']),
  table: String(row['name']),
  shard: Number(row['shard']),
  kind: row['kind'] as DifferenceKind,
  key: readKeyText(String(row['key'])),
  state: row['state'] as RepairRowState,
  isExamined: row['is_examined'] === 1,
  sourceBefore: imageOf(row['source_before']),
  targetBefore: imageOf(row['target_before']),
  repairedAt: textOf(row['repaired_at']),
  refusal: troubleOf(row['refusal']),
  verified: textOf(row['verified']) as RepairRowRecord['verified'],
  sourceAfter: imageOf(row['source_after']),
  targetAfter: imageOf(row['target_after']),
})
