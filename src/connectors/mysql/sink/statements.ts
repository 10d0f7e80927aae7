/**
 * A plan's work as SQL statements, lazily and in order: all removals of all tables, then all upserts (core/plan.ts).
 *
 * Statements are bounded by rows and bytes, so that memory and the server's parse are bounded whatever the size of a batch: 1 MiB is far
 * behind the point where larger statements stop being faster. A single row may be larger, up to what the server accepts; beyond that SYNC-3303
 * names table, key and size. The same work gives the same statements, so a transaction can be built again after a deadlock.
 * Rows that were not there before may go as lines of LOAD DATA, which the caller allows (line-text.ts).
 * Rows go in the order of their keys, as far as it can be told here, so that neighbours in a table are written one after the other (measured: 4 to
 * 18 % of the target's CPU while all fits in memory). Nothing else depends on that order.
 */
import { SyncError } from '../../../core/errors.ts'
import { PackedRows } from '../../../core/packed-table.ts'
import type { Destination, LaneWork, TableWork } from '../../../core/plan.ts'
import type { RefusedRow } from '../../../core/quarantine.ts'
import { tableName } from '../../../core/schema.ts'
import type { Row, Value } from '../../../core/value.ts'
import { needsNonStrict } from '../sql-text.ts'
import { type DestinationSql, destinationSql } from './destination-sql.ts'
import { type LineSql, lineSql } from './line-text.ts'
import { describeKey, keyOfRow } from './row-key.ts'
import { SqlBuffer } from './sql-buffer.ts'
import type { WriteDialect } from './write-dialect.ts'

export const maxStatementBytes = 1024 * 1024
export const maxUpsertRows = 2_000
/** Range access by many row constructors costs the optimizer memory and time per key. */
export const maxRemovalKeys = 1_000
/** A file costs a round trip of its own: fewer rows are sooner written by a statement. */
export const minLines = 100
/** The server reads on while this is sent, and nothing is sent behind it before its answer. */
const maxFileBytes = 2 * 1024 * 1024

/** A statement, and the rows that it writes, so that a refusal can be traced to one of them. */
export interface WriteStatement {
  readonly sql: string
  readonly destination: Destination
  readonly kind: 'removal' | 'upsert'
  readonly rows: readonly Row[] | PackedRows
  /** Lines that the statement reads (line-text.ts). */
  readonly file?: Buffer
}

export interface StatementLimits {
  /** Bytes of the largest packet that the server takes. */
  readonly maxPacketBytes: number
  readonly dialect: WriteDialect
}

export interface StatementBuilder {
  /**
   * All removals of all the works, then all upserts.
   * @param lines for which tables rows that were not there before may be sent as lines; default: for none
   */
  statements(
    works: readonly LaneWork[],
    lines?: (destination: Destination) => boolean,
  ): Generator<WriteStatement>
  /** One for each key: its own bytes alone, not what a collation calls equal. */
  exactRemovals(destination: Destination, keys: readonly Row[]): Generator<WriteStatement>
  /** One upsert of one row alone, for the search of an offending row. */
  single(destination: Destination, row: Row): readonly string[]
}

export function createStatementBuilder(limits: StatementLimits): StatementBuilder {
  const made = new WeakMap<Destination, DestinationSql>()
  const madeLines = new WeakMap<Destination, LineSql | null>()
  const sqlOf = (destination: Destination): DestinationSql => {
    let sql = made.get(destination)
    if (sql === undefined) {
      sql = destinationSql(destination, limits.dialect)
      made.set(destination, sql)
    }
    return sql
  }
  const largest = Math.min(maxStatementBytes, limits.maxPacketBytes >>> 2)

  function* removals({ destination, removals: keys }: TableWork): Generator<WriteStatement> {
    const sql = sqlOf(destination)
    let text = sql.removeHead
    let from = 0
    for (let i = 0; i < keys.length; i++) {
      const part = sql.keyText(keys[i] as Row)
      if (i > from && (i - from >= maxRemovalKeys || text.length + part.length >= largest)) {
        yield { sql: `${text})`, destination, kind: 'removal', rows: keys.slice(from, i) }
        text = sql.removeHead
        from = i
      }
      text += i > from ? sql.removeSeparator + part : part
    }
    if (keys.length > from) yield { sql: `${text})`, destination, kind: 'removal', rows: keys.slice(from) }
  }

  const lineSqlOf = (destination: Destination): LineSql | null => {
    let sql = madeLines.get(destination)
    if (sql === undefined) {
      sql = lineSql(destination)
      madeLines.set(destination, sql)
    }
    return sql
  }

  function* inserts(
    { sql, lineText }: LineSql,
    destination: Destination,
    rows: PackedRows,
    lines: SqlBuffer,
  ): Generator<WriteStatement> {
    const inOrder = rows.inKeyOrder(destination.key.ordinals)
    let from = 0
    let at = 0
    const flush = (): WriteStatement => {
      const made = {
        sql,
        destination,
        kind: 'upsert',
        rows: inOrder.slice(from, at),
        file: lines.takeBytes(),
      } as const
      from = at
      return made
    }
    for (const row of inOrder) {
      const line = lineText(row)
      if (at > from && lines.length + line.length > maxFileBytes) yield flush()
      lines.add(line)
      at++
    }
    if (at > from) yield flush()
  }

  function* upsertsOf(
    { destination, upserts: rows }: TableWork,
    mayTakeLines: (destination: Destination) => boolean,
    text: SqlBuffer,
  ): Generator<WriteStatement> {
    if (rows instanceof PackedRows && rows.length >= minLines && mayTakeLines(destination)) {
      const made = lineSqlOf(destination)
      const { fresh, others } = rows.apart()
      if (made !== null && fresh.length >= minLines) {
        yield* inserts(made, destination, fresh, text)
        yield* upserts(destination, others, text)
        return
      }
    }
    yield* upserts(destination, rows, text)
  }

  function* upserts(
    destination: Destination,
    rows: readonly Row[] | PackedRows,
    text: SqlBuffer,
  ): Generator<WriteStatement> {
    const sql = sqlOf(destination)
    const { upsertHead, upsertTail, enumOrdinals } = sql
    const fixedBytes = upsertHead.length + upsertTail.length
    const inOrder = inKeyOrder(rows, destination.key.ordinals)
    /** Rows in `text` are those of `inOrder` from here on. */
    let from = 0
    let at = 0
    const flush = (): WriteStatement => {
      text.add(upsertTail)
      const statement: WriteStatement = {
        sql: text.take(),
        destination,
        kind: 'upsert',
        rows: inOrder.slice(from, at),
      }
      from = at
      return statement
    }
    for (const row of inOrder) {
      if (enumOrdinals.length > 0 && hasEmptyEnum(row, destination, enumOrdinals)) {
        if (at > from) yield flush()
        for (const statement of sql.emptyEnumStatements(row)) {
          yield { sql: statement, destination, kind: 'upsert', rows: [row] }
        }
        from = ++at
        continue
      }
      const part = sql.rowText(row)
      if (fixedBytes + part.length > limits.maxPacketBytes) {
        throw tooLarge(destination, row, fixedBytes + part.length, limits.maxPacketBytes)
      }
      if (
        at > from &&
        (at - from >= maxUpsertRows || text.length + upsertTail.length + part.length >= largest)
      ) {
        yield flush()
      }
      text.add(at > from ? ',' : upsertHead)
      text.add(part)
      at++
    }
    if (at > from) yield flush()
  }

  return {
    *statements(works, lines = () => false) {
      for (const work of works) for (const table of work.tables) yield* removals(table)
      // One for all tables: of one for each, a batch over two thousand tables would hold hundreds of megabytes.
      const text = new SqlBuffer()
      for (const work of works) for (const table of work.tables) yield* upsertsOf(table, lines, text)
    },
    *exactRemovals(destination, keys) {
      const sql = sqlOf(destination)
      for (const key of keys) yield { sql: sql.exactRemoval(key), destination, kind: 'removal', rows: [key] }
    },
    single(destination, row) {
      const sql = sqlOf(destination)
      if (hasEmptyEnum(row, destination, sql.enumOrdinals)) return sql.emptyEnumStatements(row)
      return [sql.upsertHead + sql.rowText(row) + sql.upsertTail]
    },
  }
}

/** By bytes where a key is text: near enough to the server's order for what it is for. */
function inKeyOrder(
  rows: readonly Row[] | PackedRows,
  ordinals: readonly number[],
): readonly Row[] | PackedRows {
  if (rows.length < 2) return rows
  if (rows instanceof PackedRows) return rows.inKeyOrder(ordinals)
  return rows.toSorted((a, b) => {
    for (const ordinal of ordinals) {
      const [x, y] = [a[ordinal] ?? 0, b[ordinal] ?? 0]
      if (x < y) return -1
      if (x > y) return 1
    }
    return 0
  })
}

function hasEmptyEnum(row: Row, destination: Destination, ordinals: readonly number[]): boolean {
  for (const ordinal of ordinals) {
    const type = destination.valueTypes[ordinal]
    if (type !== undefined && needsNonStrict(row[ordinal] as Value, type)) return true
  }
  return false
}

function tooLarge(destination: Destination, row: Row, bytes: number, maxBytes: number): SyncError {
  const table = tableName(destination.id)
  const key = describeKey(destination, keyOfRow(destination, row))
  const message = `a row of ${table} (${key}) takes ${bytes} bytes as a statement; the target accepts ${maxBytes}`
  const refused: RefusedRow = { destination, row, key, code: 'SYNC-3303', message }
  return new SyncError('SYNC-3303', message, {
    remedy: `Set max_allowed_packet at the target to at least ${Math.ceil((bytes + 1024) / 1_048_576)} MiB, then resume.`,
    details: { table, key, bytes, maxBytes, refused: [refused] },
  })
}
