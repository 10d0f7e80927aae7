/**
 * The statements by which one destination's rows are written, made once per destination and filled with rows after that. Written down here as
 * MySQL has them; write-dialect.ts has the differences.
 *
 * Upsert: a multi-row INSERT ... ON DUPLICATE KEY UPDATE that sets the key columns too, to `IF(old key <=> new key, new key, NULL)`. So
 * 'a' becomes 'A' where the collation calls them equal, and a row met through another unique key, which is another row, gives NULL for a
 * NOT NULL column: error 1048 under strict mode, for one row or many (tried on 9.7). Nothing is ever overwritten in silence. Where the key
 * compares bytes and there is no other unique key, no other row can be met, and the key is left alone (measured: 5 to 10 % of the target's CPU).
 * Removal: DELETE ... WHERE key IN (...), or row constructors for a key of several columns, with the index named in a hint: the optimizer would
 * otherwise read a table whole where many of its rows are named (seen on 9.7), and wait there for the locks of other lanes.
 * Everything is a byte string (sql-text.ts). Pure.
 */
import { SyncError } from '../../../core/errors.ts'
import type { Destination } from '../../../core/plan.ts'
import { type ColumnType, tableName } from '../../../core/schema.ts'
import type { Row, Value } from '../../../core/value.ts'
import { nonStrictSqlMode } from '../connection.ts'
import { identifier, needsNonStrict, qualifiedName } from '../sql-text.ts'
import { columnWriter, type ValueWriter } from './column-writer.ts'
import type { WriteDialect } from './write-dialect.ts'

export interface DestinationSql {
  /** `INSERT INTO ... VALUES ` and what follows the rows. */
  readonly upsertHead: string
  readonly upsertTail: string
  /** `DELETE ... IN (` ; the end is `)`. */
  readonly removeHead: string
  /** Between two keys. */
  readonly removeSeparator: string
  /** `(1, 'x')` of a whole row. */
  rowText(row: Row): string
  /** The key of a row as an element of that list. */
  keyText(key: readonly Value[]): string
  /** Removes the row with these bytes for a key, and none that a collation calls equal. */
  exactRemoval(key: readonly Value[]): string
  /** Ordinals of ENUM columns whose value 0 strict mode refuses; empty for nearly all tables. */
  readonly enumOrdinals: readonly number[]
  /** A row with value 0 in an ENUM column, in statements of its own. */
  emptyEnumStatements(row: Row): readonly string[]
}

const incoming = 'syncline_new'

export function destinationSql(destination: Destination, dialect: WriteDialect): DestinationSql {
  const table = qualifiedName(destination.id)
  const names = destination.columns.map((column) => identifier(column.name))
  const keyOrdinals = destination.key.ordinals
  const keyNames = keyOrdinals.map((ordinal) => names[ordinal] as string)
  const isKey = new Set(keyOrdinals)
  const writers = destination.columns.map((column, i) =>
    columnWriter(destination.valueTypes[i] as ColumnType, column.type),
  )
  const keyWriters = keyOrdinals.map((ordinal) => writers[ordinal] as ValueWriter)
  // The alias must differ from the table's own name, which is what old values are named by.
  const alias = destination.id.name.toLowerCase() === incoming ? `${incoming}_row` : incoming
  // One condition for the whole key: where any part differs it is another row.
  const sameRow = keyNames
    .map((name) => `${table}.${name} <=> ${dialect.incoming(alias, name)}`)
    .join(' AND ')
  const meetsItselfOnly = destination.key.comparesBytes && destination.uniqueKeys.length === 0
  const guard = (name: string): string =>
    meetsItselfOnly
      ? `${name} = ${table}.${name}`
      : `${name} = IF(${sameRow}, ${dialect.incoming(alias, name)}, NULL)`
  const updates = names.flatMap((name, ordinal) => {
    if (!isKey.has(ordinal)) return [`${name} = ${dialect.incoming(alias, name)}`]
    // There must be one assignment at least.
    return meetsItselfOnly && names.length > isKey.size ? [] : [guard(name)]
  })
  const width = writers.length
  const rowText = (row: Row): string => {
    let text = `(${(writers[0] as ValueWriter)(row[0] as Value)}`
    for (let i = 1; i < width; i++) text += `,${(writers[i] as ValueWriter)(row[i] as Value)}`
    return `${text})`
  }
  const onlyKeyWriter = keyWriters.length === 1 ? (keyWriters[0] as ValueWriter) : null
  const isDisjunction = onlyKeyWriter === null && dialect.compositeKeys === 'disjunction'
  const keyText = (key: readonly Value[]): string => {
    if (onlyKeyWriter !== null) return onlyKeyWriter(key[0] as Value)
    const values = keyWriters.map((write, i) => write(key[i] as Value))
    if (!isDisjunction) return `(${values.join(',')})`
    return `(${values.map((value, i) => `${keyNames[i] as string}=${value}`).join(' AND ')})`
  }
  const hint = dialect.indexHint(identifier(destination.id.name), identifier(destination.key.name))
  const keyList = keyNames.length === 1 ? (keyNames[0] as string) : `(${keyNames.join(',')})`
  const amongKeys = isDisjunction ? '(' : `${keyList} IN (`
  const upsertHead = `INSERT INTO ${table} (${names.join(',')}) VALUES `
  const upsertTail = `${dialect.upsertAlias(alias)} ON DUPLICATE KEY UPDATE ${updates.join(', ')}`
  const enumOrdinals = destination.columns.flatMap((column, i) =>
    column.type.kind === 'enum' && destination.valueTypes[i]?.kind === 'enum' ? [i] : [],
  )

  return {
    upsertHead,
    upsertTail,
    removeHead: `DELETE ${hint}FROM ${table} WHERE ${amongKeys}`,
    removeSeparator: isDisjunction ? ' OR ' : ',',
    rowText,
    keyText,
    exactRemoval(key) {
      const conditions = keyOrdinals.map((ordinal, part) => {
        const name = keyNames[part] as string
        const value = (keyWriters[part] as ValueWriter)(key[part] as Value)
        const bytes = (sql: string): string => `CAST(CONVERT(${sql} USING utf8mb4) AS BINARY)`
        return destination.columns[ordinal]?.type.kind === 'text'
          ? `${name} = ${value} AND ${bytes(name)} = ${bytes(value)}`
          : `${name} = ${value}`
      })
      return `DELETE ${hint}FROM ${table} WHERE ${conditions.join(' AND ')}`
    },
    enumOrdinals,
    emptyEnumStatements(row) {
      // The guard needs strict mode, the value 0 needs its absence: first the row with another value there, then that value alone.
      const empty = enumOrdinals.filter((i) =>
        needsNonStrict(row[i] as Value, destination.valueTypes[i] as ColumnType),
      )
      if (empty.some((ordinal) => isKey.has(ordinal))) {
        // The placeholder would be another row's key.
        throw new SyncError(
          'SYNC-3302',
          `table ${tableName(destination.id)}: a row has the ENUM error value '' in its key, which cannot be written safely`,
          { remedy: 'Give that row a label of the ENUM at the source, then resume.' },
        )
      }
      const placeholder = row.map((value, i) =>
        empty.includes(i) ? (destination.columns[i]?.nullable === true ? null : 1) : value,
      )
      const key = keyOrdinals.map((ordinal) => placeholder[ordinal] as Value)
      const sets = empty.map((i) => `${names[i] as string} = 0`).join(', ')
      return [
        upsertHead + rowText(placeholder) + upsertTail,
        dialect.updateUnder(nonStrictSqlMode, `${table} SET ${sets} WHERE ${amongKeys}${keyText(key)})`),
      ]
    },
  }
}
