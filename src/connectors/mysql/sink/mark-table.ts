/**
 * The tables of Syncline's own in a target: one mark row per pipeline and slot, and the load's progress per table (DATA-PATH 5).
 *
 * A mark row is checkpoint, intent, fence, loop guard and lag at once; slot 0 is the header, slot n belongs to lane n. A transaction
 * writes if and only if its first statement finds the row of its slot under its own epoch *and* owner: `owner` is drawn at every takeover, so
 * that a statement of a lost connection that the server has not run yet is fenced even where the same engine took over again under
 * the same epoch. `writes` counts, so that every transaction changes the row and has it as its first row event, whatever else is equal.
 * After a crash of anything: these rows are read again, and they are the truth.
 */

import { keyText, positionText } from '../../../core/exact-json.ts'
import type { Value } from '../../../core/value.ts'
import type { BatchHeader, LoadProgress } from '../../contract.ts'
import { textLiteral } from '../sql-text.ts'
import type { WriteDialect } from './write-dialect.ts'

export const markTable = '`syncline`.`apply_mark`'
export const loadTable = '`syncline`.`load_progress`'
/** The definition change that a pipeline stands before, or stood before last (definition-runner.ts). */
export const changeTable = '`syncline`.`schema_change`'

const rowFormat = 'ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'

/** Each may be run again at any time. */
export const createStatements: readonly string[] = [
  'CREATE DATABASE IF NOT EXISTS `syncline`',
  `CREATE TABLE IF NOT EXISTS ${markTable} (
  pipeline VARCHAR(64) NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  epoch BIGINT UNSIGNED NOT NULL,
  owner CHAR(36) NOT NULL DEFAULT '',
  writes BIGINT UNSIGNED NOT NULL DEFAULT 0,
  batch BIGINT UNSIGNED NOT NULL DEFAULT 0,
  part SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  from_position LONGTEXT NULL,
  to_position LONGTEXT NULL,
  lanes SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  phases TINYINT UNSIGNED NOT NULL DEFAULT 0,
  plan_digest VARCHAR(64) NOT NULL DEFAULT '',
  origin VARCHAR(64) NOT NULL DEFAULT '',
  chain TEXT NULL,
  source_commit_us BIGINT NOT NULL DEFAULT 0,
  connection_id BIGINT UNSIGNED NULL,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (pipeline, slot)
) ${rowFormat}`,
  `CREATE TABLE IF NOT EXISTS ${loadTable} (
  pipeline VARCHAR(64) NOT NULL,
  table_name VARCHAR(255) NOT NULL,
  after_key LONGTEXT NULL,
  rows_loaded BIGINT UNSIGNED NOT NULL,
  done TINYINT NOT NULL,
  PRIMARY KEY (pipeline, table_name)
) ${rowFormat}`,
  `CREATE TABLE IF NOT EXISTS ${changeTable} (
  pipeline VARCHAR(64) NOT NULL,
  change_id VARCHAR(512) NOT NULL,
  seen LONGTEXT NOT NULL,
  table_names LONGTEXT NULL,
  statements LONGTEXT NULL,
  connection_id BIGINT UNSIGNED NULL,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (pipeline, change_id)
) ${rowFormat}`,
]

/** Under whose name a sink writes. */
export interface Ownership {
  readonly pipeline: string
  readonly epoch: bigint
  /** Drawn anew at every takeover; a UUID. */
  readonly owner: string
}

/**
 * The beginning of every write transaction: opens it, writes the mark row, and fails with ER_DATA_OUT_OF_RANGE (1690) where the row was not
 * found, so that whatever stands behind it in the same packet is not run. ROW_COUNT() counts found rows (CLIENT_FOUND_ROWS).
 * @param assignments to columns of the slot's row
 * @param condition beside pipeline, slot, epoch and owner
 */
export const beginWithMark = (
  ownership: Ownership,
  slot: number,
  assignments: readonly string[],
  condition: string | null,
): string => `BEGIN; ${updateMark(ownership, slot, assignments, condition)}`

/** Writes the mark row within a transaction, and fails as `beginWithMark` does. */
export function updateMark(
  ownership: Ownership,
  slot: number,
  assignments: readonly string[],
  condition: string | null,
): string {
  const sets = ['writes = writes + 1', 'updated_at = CURRENT_TIMESTAMP(6)', ...assignments].join(', ')
  return (
    `UPDATE ${markTable} SET ${sets} WHERE ${ownedBy(ownership)} AND slot = ${slot}` +
    `${condition === null ? '' : ` AND ${condition}`}; SET @syncline_mark = ~0 + IF(ROW_COUNT() = 1, 0, 1)`
  )
}

export const ownedBy = ({ pipeline, epoch, owner }: Ownership): string =>
  `pipeline = ${textLiteral(pipeline)} AND epoch = ${epoch} AND owner = '${owner}'`

/** Which connection writes in which slot, for a successor that must end it; NULL: none is open. */
export function connectionIds(slots: readonly ({ readonly threadId: number } | undefined)[]): string {
  const ids = slots.flatMap((connection, slot) =>
    connection === undefined ? [] : [`WHEN ${slot} THEN ${connection.threadId}`],
  )
  return `CASE slot ${ids.join(' ')} END`
}

/** What a header or a small batch says in slot 0. lanes 0 and phases 0: complete by itself. */
export function headerAssignments(header: BatchHeader, isSmall: boolean): readonly string[] {
  return [
    `batch = ${header.batch}`,
    'part = 0',
    `from_position = ${textLiteral(positionText(header.from))}`,
    `to_position = ${textLiteral(positionText(header.to))}`,
    `lanes = ${isSmall ? 0 : header.lanes}`,
    `phases = ${isSmall ? 0 : header.phases}`,
    `plan_digest = ${textLiteral(isSmall ? '' : header.planDigest)}`,
    `source_commit_us = ${Math.trunc(header.sourceCommitTimeUs)}`,
  ]
}

/** What lane says when it has done `phase` of a batch. */
export const laneAssignments = (header: BatchHeader, phase: number): readonly string[] => [
  `batch = ${header.batch}`,
  `part = ${phase}`,
  `source_commit_us = ${Math.trunc(header.sourceCommitTimeUs)}`,
]

const afterText = (values: readonly Value[], order: string | undefined): string =>
  keyText(order === undefined ? { values } : { values, order })

/** Upserts load progress; the caller gives at least one. */
export function loadProgressStatement(
  pipeline: string,
  load: readonly LoadProgress[],
  dialect: WriteDialect,
): string {
  const rows = load.map(
    ({ table, after, keyOrder, rows: loaded, done }) =>
      `(${textLiteral(pipeline)}, ${textLiteral(table)}, ${after === null ? 'NULL' : textLiteral(afterText(after, keyOrder))}, ` +
      `${loaded}, ${done ? 1 : 0})`,
  )
  return (
    `INSERT INTO ${loadTable} (pipeline, table_name, after_key, rows_loaded, done) VALUES ${rows.join(', ')}${dialect.upsertAlias('new')} ` +
    `ON DUPLICATE KEY UPDATE ${['after_key', 'rows_loaded', 'done'].map((column) => `${column} = ${dialect.incoming('new', column)}`).join(', ')}`
  )
}

/** Removes load progress; the caller gives at least one table. */
export const forgetStatement = (pipeline: string, tables: readonly string[]): string =>
  `DELETE FROM ${loadTable} WHERE pipeline = ${textLiteral(pipeline)} AND table_name IN (${tables.map(textLiteral).join(', ')})`
