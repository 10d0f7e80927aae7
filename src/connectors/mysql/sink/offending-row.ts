/**
 * Which row of a batch the target refuses, and why: for the message and the remedy of a blocked pipeline.
 *
 * Runs after the failed transaction was rolled back: the same statements again, then those of the refused one row by row, and rolls back
 * whatever happens. After an error nothing is sent but reads and ROLLBACK, because some errors end the transaction at the server and
 * a write behind them would commit by itself; the search goes on to further rows only where a savepoint shows that it still stands. Begins
 * with the mark row like every transaction, so a fenced owner finds nothing.
 * Finding nothing is not an error: the cause may be gone, or the search itself be interrupted.
 */
import { SyncError } from '../../../core/errors.ts'
import type { Destination } from '../../../core/plan.ts'
import { type RefusedRow, withDetails } from '../../../core/quarantine.ts'
import { type ColumnType, tableName } from '../../../core/schema.ts'
import type { Row, Value } from '../../../core/value.ts'
import type { Connection } from '../connection.ts'
import { classify } from '../errors.ts'
import { identifier, qualifiedName } from '../sql-text.ts'
import { columnWriter } from './column-writer.ts'
import { describeKey, keyOfRow } from './row-key.ts'
import type { WriteStatement } from './statements.ts'

export interface RefusedWrite {
  /** The statements that begin the transaction (mark row). */
  readonly head: string
  readonly statements: () => Iterable<WriteStatement>
  readonly single: (destination: Destination, row: Row) => readonly string[]
  /** How many refused rows of a statement are handed on as `details.refused`; 0: none, and the search ends at the first. */
  readonly refusedRows: number
}

/** The search for further refused rows ends after this: everything else of the pipeline waits for it. */
const searchMs = 2_000

const rowErrors = new Set(['SYNC-3301', 'SYNC-3302', 'SYNC-3303', 'SYNC-3199'])
const notAnAnswer = new Set(['SYNC-3101', 'SYNC-3104', 'SYNC-4002', 'SYNC-9001'])

/** The failure with table, key and unique key named, as far as they can be found. Never throws; leaves no transaction open. */
export async function explainRefusal(
  connection: Connection,
  write: RefusedWrite,
  failure: SyncError,
): Promise<SyncError> {
  if (notAnAnswer.has(failure.code)) return failure
  try {
    const refused = await firstRefused(connection, write)
    if (refused === null) return failure
    const { statement, index, error } = refused
    if (statement.kind === 'removal' || !rowErrors.has(error.code)) {
      return named(error, statement.destination, null, null)
    }
    return await refusedRow(connection, write, statement, index, error)
  } catch {
    return failure
  } finally {
    await connection.query('ROLLBACK').catch(() => connection.destroy())
  }
}

interface Refused {
  readonly statement: WriteStatement
  readonly index: number
  readonly error: SyncError
}

async function firstRefused(connection: Connection, write: RefusedWrite): Promise<Refused | null> {
  await connection.queryAll(write.head)
  let index = 0
  for (const statement of write.statements()) {
    const error = await errorOf(connection, statement.sql)
    if (error !== null) return notAnAnswer.has(error.code) ? null : { statement, index, error }
    index++
  }
  return null
}

async function refusedRow(
  connection: Connection,
  write: RefusedWrite,
  refused: WriteStatement,
  index: number,
  error: SyncError,
): Promise<SyncError> {
  await connection.query('ROLLBACK')
  await connection.queryAll(write.head)
  let before = 0
  for (const statement of write.statements()) {
    if (before++ === index) break
    await connection.queryAll(statement.sql)
  }
  const deadline = performance.now() + searchMs
  const found: RefusedRow[] = []
  let first: SyncError | null = null
  for (const row of refused.rows) {
    const rowError = await errorOfRow(connection, write, refused.destination, row)
    if (rowError === null) continue
    if (notAnAnswer.has(rowError.code)) break
    const described = await describeRow(connection, refused.destination, row, rowError)
    first ??= described
    found.push(refusedOf(described, refused.destination, row))
    if (found.length >= write.refusedRows || performance.now() > deadline) break
    // Gone with the transaction, where the error has ended that: then nothing more may be tried, for it would stay.
    if ((await errorOf(connection, 'ROLLBACK TO SAVEPOINT syncline_row')) !== null) break
  }
  if (first === null) return named(error, refused.destination, null, null)
  return write.refusedRows === 0 ? first : withDetails(first, { refused: found })
}

async function errorOfRow(
  connection: Connection,
  write: RefusedWrite,
  destination: Destination,
  row: Row,
): Promise<SyncError | null> {
  if (write.refusedRows > 0) await connection.queryAll('SAVEPOINT syncline_row')
  for (const sql of write.single(destination, row)) {
    const error = await errorOf(connection, sql)
    if (error !== null) return error
  }
  return null
}

const refusedOf = (error: SyncError, destination: Destination, row: Row): RefusedRow => ({
  destination,
  row,
  key: describeKey(destination, keyOfRow(destination, row)),
  code: error.code,
  message: error.message,
})

async function errorOf(connection: Connection, sql: string): Promise<SyncError | null> {
  try {
    await connection.queryAll(sql)
    return null
  } catch (error) {
    return classify(error, 'target')
  }
}

const erBadNull = 1048

async function describeRow(
  connection: Connection,
  destination: Destination,
  row: Row,
  error: SyncError,
): Promise<SyncError> {
  if (error.code !== 'SYNC-3301') return named(error, destination, row, null)
  const empty = destination.columns.find((column, i) => !column.nullable && row[i] === null)
  if (error.details['errno'] === erBadNull && empty !== undefined) {
    const refusal = new SyncError('SYNC-3302', `${error.message}; the source's value is NULL`, {
      details: error.details,
      cause: error,
    })
    return named(refusal, destination, row, null)
  }
  const met = await metRow(connection, destination, row)
  if (met === null) return named(error, destination, row, null)
  // The server's words are about the NULL by which the statement was made to fail (destination-sql.ts); they would only puzzle people.
  const words = `The target's row ${met.key} already has the value that a row of the source brings`
  const refusal = new SyncError(error.code, words, {
    remedy: error.remedy,
    details: error.details,
    cause: error,
  })
  return named(refusal, destination, row, met.uniqueKey)
}

/** The row at the target that has the row's value of a unique key already, and that key. */
async function metRow(
  connection: Connection,
  destination: Destination,
  row: Row,
): Promise<{ readonly uniqueKey: string; readonly key: string } | null> {
  const equal = (ordinals: readonly number[]): string =>
    ordinals
      .map((i) => {
        const type = destination.valueTypes[i] as ColumnType
        const target = destination.columns[i]
        const write = columnWriter(type, target?.type ?? type)
        return `${identifier(target?.name ?? '')} = ${write(row[i] as Value)}`
      })
      .join(' AND ')
  const keyColumns = destination.key.ordinals
    .map((i) => identifier(destination.columns[i]?.name ?? ''))
    .join(', ')
  for (const key of destination.uniqueKeys) {
    if (key.ordinals.length === 0) continue
    const { rows } = await connection.query(
      `SELECT ${keyColumns} FROM ${qualifiedName(destination.id)} WHERE ${equal(key.ordinals)} ` +
        `AND NOT (${equal(destination.key.ordinals)}) LIMIT 1`,
    )
    const met = rows[0]
    if (met === undefined) continue
    const values = destination.key.ordinals.map((ordinal, i): Value => {
      const value = met[i] ?? null
      return value !== null && destination.columns[ordinal]?.type.kind === 'int' ? BigInt(value) : value
    })
    return { uniqueKey: key.name, key: describeKey(destination, values) }
  }
  return null
}

function named(
  error: SyncError,
  destination: Destination,
  row: Row | null,
  uniqueKey: string | null,
): SyncError {
  const table = tableName(destination.id)
  const key = row === null ? null : describeKey(destination, keyOfRow(destination, row))
  const where = [`table ${table}`, ...(key === null ? [] : [`row ${key}`])]
  if (uniqueKey !== null) where.push(`unique key ${uniqueKey}`)
  return new SyncError(error.code, `${error.message} (${where.join(', ')})`, {
    remedy: error.remedy,
    details: {
      ...error.details,
      table,
      ...(key === null ? {} : { key }),
      ...(uniqueKey === null ? {} : { uniqueKey }),
    },
    cause: error.cause ?? error,
  })
}
