/**
 * SQL to read rows by key, such that every value is exactly what the binlog decoder makes of the same row. Pure.
 *
 * Key bounds are compared by the server, in each column's own collation. They are written out as nested ORs, because MySQL makes index
 * ranges of those and not of row constructors: "(a, b) > (1, 2)" reads the whole index (manual, "Range Optimization of Row Constructor
 * Expressions").
 */

import { SyncError } from '../../core/errors.ts'
import type { Column, ColumnType, TableShape } from '../../core/schema.ts'
import { tableName } from '../../core/schema.ts'
import type { Value } from '../../core/value.ts'
import { identifier, literal, qualifiedName } from './sql-text.ts'
import type { CellDecoder } from './text-protocol.ts'

/** A column as it is selected, and how its text becomes a Value. */
export function selected(column: Column): { readonly sql: string; readonly decoder: CellDecoder } {
  const name = identifier(column.name)
  const { type } = column
  switch (type.kind) {
    case 'int':
      return { sql: name, decoder: type.bytes === 8 ? 'bigint' : 'number' }
    case 'year':
      return { sql: name, decoder: 'number' }
    case 'float':
      // As FLOAT the server shows six digits; widened it shows all.
      return { sql: `CAST(${name} AS DOUBLE)`, decoder: 'number' }
    case 'double':
      // DOUBLE(M,D) is shown with D digits, whatever is stored.
      return { sql: type.sql.includes('(') ? `CAST(${name} AS DOUBLE)` : name, decoder: 'number' }
    case 'decimal':
      return { sql: type.sql.includes('zerofill') ? unpadded(name, type) : name, decoder: 'bytes' }
    case 'enum':
      return { sql: `CAST(${name} AS UNSIGNED)`, decoder: 'number' }
    case 'set':
      // As a number through the integer path: "+0" goes through a double and loses labels beyond the 53rd.
      return { sql: `CAST(${name} AS UNSIGNED)`, decoder: 'bigint' }
    case 'bytes':
      // Addresses are shown as text (MariaDB).
      return /^inet[46]$/.test(type.sql)
        ? { sql: `CAST(${name} AS BINARY(${type.maxBytes ?? 0}))`, decoder: 'bytes' }
        : { sql: name, decoder: 'bytes' }
    case 'bit':
      return { sql: name, decoder: 'bits' }
    default:
      return { sql: name, decoder: 'bytes' }
  }
}

/** A column as text that is only passed on (load-lines.ts): labels stay labels. */
export const selectedText = (column: Column): string =>
  column.type.kind === 'enum' || column.type.kind === 'set' ? identifier(column.name) : selected(column).sql

const unpadded = (name: string, type: ColumnType): string =>
  `CAST(${name} AS DECIMAL(${type.precision ?? 65},${type.scale ?? 0}))`

/** The parts of a table's statements that do not change from chunk to chunk. */
export interface TableSelect {
  /** All columns of a row. */
  readonly rowColumns: string
  readonly rowDecoders: readonly CellDecoder[]
  readonly keyColumns: string
  readonly keyDecoders: readonly CellDecoder[]
  readonly from: string
  readonly orderBy: string
  /** Conditions for `after < key` and `key <= upTo`; none: an empty string. */
  between(after: readonly Value[] | null, upTo: readonly Value[] | null, where: string | null): string
  /** The same for named keys. */
  among(keys: readonly (readonly Value[])[], where: string | null): string
}

/** @throws SYNC-2202 for a table without a primary key */
export function tableSelect(table: TableShape): TableSelect {
  const key = table.primaryKey
  if (key === undefined) throw new SyncError('SYNC-2202', `Table ${tableName(table.id)} has no primary key`)
  const columns = table.columns.map(selected)
  const keyShape = key.ordinals.map((ordinal) => table.columns[ordinal] as Column)
  const keys = key.ordinals.map((ordinal) => columns[ordinal] as ReturnType<typeof selected>)
  return {
    rowColumns: columns.map((column) => column.sql).join(', '),
    rowDecoders: columns.map((column) => column.decoder),
    keyColumns: keys.map((column) => column.sql).join(', '),
    keyDecoders: keys.map((column) => column.decoder),
    from: `${qualifiedName(table.id)} FORCE INDEX (PRIMARY)`,
    orderBy: keyShape.map((column) => identifier(column.name)).join(', '),
    between(after, upTo, where) {
      const conditions: string[] = []
      if (after !== null) conditions.push(keyBeyond(keyShape, after, '>', '>'))
      if (upTo !== null) conditions.push(keyBeyond(keyShape, upTo, '<', '<='))
      if (where !== null) conditions.push(`(${where})`)
      return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
    },
    among(keys, where) {
      const named = keys.map((values) =>
        keyShape
          .map(({ name, type }, part) => `${identifier(name)} = ${literal(values[part] as Value, type)}`)
          .join(' AND '),
      )
      return ` WHERE (${named.map((condition) => `(${condition})`).join(' OR ')})${where === null ? '' : ` AND (${where})`}`
    },
  }
}

/** `key > bound` or `key <= bound`, column by column: `a > 1 OR (a = 1 AND b > 2)`. */
function keyBeyond(
  key: readonly Column[],
  bound: readonly Value[],
  inner: '>' | '<',
  last: '>' | '<=',
): string {
  let sql = ''
  for (let part = key.length - 1; part >= 0; part--) {
    const column = key[part] as Column
    const name = identifier(column.name)
    const value = literal(bound[part] as Value, column.type)
    sql =
      sql === ''
        ? `${name} ${last} ${value}`
        : `(${name} ${inner} ${value} OR (${name} = ${value} AND ${sql}))`
  }
  return sql
}
