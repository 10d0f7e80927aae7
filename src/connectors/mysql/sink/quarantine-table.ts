/**
 * The tables in which a target remembers what a pipeline has parked there, and the dead letters that go with it (core/quarantine.ts).
 *
 * Written behind the mark row of slot 0 like everything else, so a fact stands whole or not at all and only under the owner. That a table is
 * parked and that its load counts as not begun are one transaction: whatever comes later finds both.
 */

import { positionOf, positionText } from '../../../core/exact-json.ts'
import type { DeadLetter, ParkedTable } from '../../../core/quarantine.ts'
import { type TableId, tableName } from '../../../core/schema.ts'
import type { Row } from '../../../core/value.ts'
import { textLiteral } from '../sql-text.ts'
import { loadProgressStatement } from './mark-table.ts'
import type { WriteDialect } from './write-dialect.ts'

const parkedTable = '`syncline`.`parked_table`'
const letterTable = '`syncline`.`dead_letter`'

const rowFormat = 'ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'

/** Each may be run again at any time. */
export const quarantineTables: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${parkedTable} (
  pipeline VARCHAR(64) NOT NULL,
  schema_name VARCHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  parking CHAR(36) NOT NULL,
  since_position LONGTEXT NOT NULL,
  code VARCHAR(16) NOT NULL,
  message TEXT NOT NULL,
  remedy TEXT NOT NULL,
  parked_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (pipeline, schema_name, table_name)
) ${rowFormat}`,
  `CREATE TABLE IF NOT EXISTS ${letterTable} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  pipeline VARCHAR(64) NOT NULL,
  schema_name VARCHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  row_key TEXT NOT NULL,
  before_image LONGTEXT NULL,
  after_image LONGTEXT NULL,
  code VARCHAR(16) NOT NULL,
  message TEXT NOT NULL,
  from_position LONGTEXT NOT NULL,
  to_position LONGTEXT NOT NULL,
  recorded_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  KEY of_table (pipeline, schema_name, table_name)
) ${rowFormat}`,
]

export const probeParked = `SELECT 1 FROM ${parkedTable} LIMIT 0; SELECT 1 FROM ${letterTable} LIMIT 0`

const of = (pipeline: string, { schema, name }: TableId): string =>
  `pipeline = ${textLiteral(pipeline)} AND schema_name = ${textLiteral(schema)} AND table_name = ${textLiteral(name)}`

const inWords = (text: string): string => textLiteral(text.slice(0, 4_000))

const notBegun = (pipeline: string, table: TableId, dialect: WriteDialect): string =>
  loadProgressStatement(pipeline, [{ table: tableName(table), after: null, rows: 0, done: false }], dialect)

/** Since when it is parked stays as it was where it is parked already. */
export function parkStatements(
  pipeline: string,
  parked: Omit<ParkedTable, 'parkedAtMs' | 'deadLetters'>,
  letters: readonly DeadLetter[],
  dialect: WriteDialect,
): readonly string[] {
  const { table, parking, since, code, message, remedy } = parked
  const names = [pipeline, table.schema, table.name].map(textLiteral).join(', ')
  return [
    `INSERT INTO ${parkedTable} (pipeline, schema_name, table_name, parking, since_position, code, message, remedy) VALUES ` +
      `(${names}, ${textLiteral(parking)}, ${textLiteral(positionText(since))}, ${textLiteral(code)}, ${inWords(message)}, ${inWords(remedy)})${dialect.upsertAlias('new')} ` +
      `ON DUPLICATE KEY UPDATE ${['parking', 'code', 'message', 'remedy'].map((column) => `${column} = ${dialect.incoming('new', column)}`).join(', ')}`,
    `DELETE FROM ${letterTable} WHERE ${of(pipeline, table)}`,
    ...letters.map(
      (letter) =>
        `INSERT INTO ${letterTable} (pipeline, schema_name, table_name, row_key, before_image, after_image, code, message, from_position, to_position) ` +
        `VALUES (${names}, ${inWords(letter.key)}, ${textOrNull(letter.before)}, ${textOrNull(letter.after)}, ${textLiteral(letter.code)}, ` +
        `${inWords(letter.message)}, ${textLiteral(positionText(letter.from))}, ${textLiteral(positionText(letter.to))})`,
    ),
    notBegun(pipeline, table, dialect),
  ]
}

export const releaseStatements = (
  pipeline: string,
  table: TableId,
  dialect: WriteDialect,
): readonly string[] => [
  `DELETE FROM ${parkedTable} WHERE ${of(pipeline, table)}`,
  `DELETE FROM ${letterTable} WHERE ${of(pipeline, table)}`,
  notBegun(pipeline, table, dialect),
]

const textOrNull = (text: string | null): string => (text === null ? 'NULL' : textLiteral(text))

export const selectParked = (pipeline: string): string =>
  'SELECT schema_name, table_name, parking, since_position, code, message, remedy, ' +
  'CAST(UNIX_TIMESTAMP(parked_at) * 1000 AS SIGNED), ' +
  `(SELECT COUNT(*) FROM ${letterTable} l WHERE l.pipeline = p.pipeline AND l.schema_name = p.schema_name AND l.table_name = p.table_name) ` +
  `FROM ${parkedTable} p WHERE pipeline = ${textLiteral(pipeline)} ORDER BY parked_at, schema_name, table_name`

/** A pipeline of this name that never wrote here has nothing parked: what is there belongs to an earlier life. */
export const deleteParked = (pipeline: string): string =>
  [parkedTable, letterTable]
    .map((table) => `DELETE FROM ${table} WHERE pipeline = ${textLiteral(pipeline)}`)
    .join('; ')

/** From a row of `selectParked`. */
export function parkedOf(row: Row): ParkedTable {
  const texts = row.map((value) => Buffer.from(String(value ?? ''), 'latin1').toString('utf8'))
  const [schema = '', name = '', parking = '', since = '', code = '', message = '', remedy = ''] = texts
  return {
    table: { schema, name },
    parking,
    since: positionOf(since),
    code,
    message,
    remedy,
    parkedAtMs: Number(row[7]),
    deadLetters: Number(row[8]),
  }
}
