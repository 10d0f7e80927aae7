/**
 * One end of a pair as SQL: conditions for ranges and keys, digests, identities and select lists. Pure; made once for each end.
 *
 * Bounds are values of the source's key, written in the source's types, so that both servers compare the same value with their own keys; what that is
 * worth where collations differ, `TablePair.order` says. Like row-select.ts, bounds are nested ORs, because MySQL makes index ranges of those alone.
 */
import { labelTexts } from '../../../core/comparison.ts'
import type { ComparedColumn, ComparedEnd } from '../../../core/comparison-plan.ts'
import { compileFilter } from '../../../core/filter.ts'
import type { ColumnType } from '../../../core/schema.ts'
import type { Value } from '../../../core/value.ts'
import type { KeyRange } from '../../../core/verification.ts'
import type { Product } from '../flavour.ts'
import { selected } from '../row-select.ts'
import { identifier, literal, qualifiedName } from '../sql-text.ts'
import type { CellDecoder } from '../text-protocol.ts'
import { cellSql, formSql, shorterThan, shownSql } from './column-form.ts'
import { rangeHashSql, rowHashSql } from './row-hash.ts'

export interface TableSql {
  /** With the index that makes the key. */
  readonly from: string
  readonly orderBy: string
  readonly keyColumns: string
  readonly keyDecoders: readonly CellDecoder[]
  /** The same with names, for a derived table, and those names. */
  readonly numberedKey: string
  readonly keyNames: string
  /** The source's value of what `keyColumns` gave. */
  keyValues(selectedKey: readonly Value[]): Value[]
  readonly identity: string
  /** A number that is equal for equal identities: BIGINT UNSIGNED. */
  readonly identityHash: string
  /** Of one row. */
  readonly rowHash: string
  /** Of all rows of a query. */
  readonly rangeHash: string
  readonly cells: string
  readonly wholeCells: string
  readonly shown: string
  /** ` WHERE ...`, or nothing. */
  inRange(range: KeyRange): string
  /** ` WHERE ...` */
  ofKeys(keys: readonly (readonly Value[])[], isFiltered: boolean): string
  /** The row filter with ` WHERE`, or nothing. */
  readonly everything: string
}

export function tableSql(end: ComparedEnd, product: Product): TableSql {
  const key = end.key.map((ordinal) => end.columns[ordinal] as ComparedColumn)
  const keys = key.map((column, part) => keyColumn(column, end.keyTypes[part] as ColumnType))
  const filter = end.filter === null ? null : compileFilter(end.filter.condition, end.filter.shape).sql
  const identities = key.map((column, part) => {
    const { sql, plain } = formSql(column, end.identity[part])
    if (plain) return `CAST(${sql} AS CHAR)`
    return shorterThan(column.type, 256) ? `HEX(${sql})` : `SHA2(${sql}, 256)`
  })
  const identity =
    identities.length === 1 && key[0]?.nullable === false
      ? (identities[0] as string)
      : `CONCAT_WS(',', ${identities.map((part) => `IFNULL(${part}, '~')`).join(', ')})`
  return {
    from: `${qualifiedName(end.table)} FORCE INDEX (${identifier(end.keyName)})`,
    orderBy: key.map((column) => identifier(column.name)).join(', '),
    keyColumns: keys.map((column) => column.sql).join(', '),
    keyDecoders: keys.map((column) => column.decoder),
    numberedKey: keys.map((column, part) => `${column.sql} AS k${part}`).join(', '),
    keyNames: keys.map((_, part) => `k${part}`).join(', '),
    keyValues: (values) => values.map((value, part) => (keys[part] as KeyColumn).valueOf(value)),
    identity,
    identityHash: `CRC32(${identity})`,
    rowHash: rowHashSql(end),
    rangeHash: rangeHashSql(end, product),
    cells: end.columns.map((column) => cellSql(column, false)).join(', '),
    wholeCells: end.columns.map((column) => cellSql(column, true)).join(', '),
    shown: end.columns.map(shownSql).join(', '),
    inRange({ after, upTo }) {
      const conditions: string[] = []
      if (after !== null) conditions.push(beyond(key, end.keyTypes, after))
      if (upTo !== null) conditions.push(upToSql(key, end.keyTypes, upTo))
      if (filter !== null) conditions.push(`(${filter})`)
      return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
    },
    ofKeys(wanted, isFiltered) {
      const rows = wanted.map(
        (values) =>
          `(${key.map((column, part) => equalSql(column, end.keyTypes[part] as ColumnType, values[part] as Value)).join(' AND ')})`,
      )
      return ` WHERE (${rows.join(' OR ')})${isFiltered && filter !== null ? ` AND (${filter})` : ''}`
    },
    everything: filter === null ? '' : ` WHERE (${filter})`,
  }
}

interface KeyColumn {
  readonly sql: string
  readonly decoder: CellDecoder
  valueOf(value: Value): Value
}

/** A column of the key as the source has its values. */
function keyColumn(column: ComparedColumn, keyType: ColumnType): KeyColumn {
  const { type } = column
  const same = (value: Value): Value => value
  const plain = selected({ ...column, generated: false })
  if (type.kind === 'text' && keyType.kind === 'text' && type.charset !== keyType.charset) {
    return {
      sql: `CONVERT(${identifier(column.name)} USING ${keyType.charset ?? 'utf8mb4'})`,
      decoder: 'bytes',
      valueOf: same,
    }
  }
  if (type.kind === 'enum' && keyType.kind === 'enum') {
    const [own, wanted] = [labelTexts(type), labelTexts(keyType)]
    return {
      ...plain,
      valueOf: (value) =>
        value === null || value === 0 ? value : wanted.indexOf(own[Number(value) - 1] as string) + 1,
    }
  }
  if (type.kind === 'set' && keyType.kind === 'set') {
    const places = labelTexts(type).map((label) => labelTexts(keyType).indexOf(label))
    return {
      ...plain,
      valueOf: (value) => (value === null ? value : (movedBits(BigInt(value), places) ?? 0n)),
    }
  }
  return { ...plain, valueOf: same }
}

/** Bit i goes to place places[i]; null when a bit that is set has none. */
function movedBits(bits: bigint, places: readonly number[]): bigint | null {
  let moved = 0n
  for (const [i, place] of places.entries()) {
    if ((bits & (1n << BigInt(i))) === 0n) continue
    if (place < 0) return null
    moved |= 1n << BigInt(place)
  }
  return moved
}

/** A value of the source's key as this end has it; null: it cannot have it. */
function keyLiteral(column: ComparedColumn, keyType: ColumnType, value: Value): string | null {
  const { type } = column
  if (type.kind === 'enum' && keyType.kind === 'enum' && typeof value === 'number' && value > 0) {
    const place = labelTexts(type).indexOf(labelTexts(keyType)[value - 1] as string)
    return place < 0 ? null : `${place + 1}`
  }
  if (type.kind === 'set' && keyType.kind === 'set' && typeof value === 'bigint') {
    const own = labelTexts(type)
    const moved = movedBits(
      value,
      labelTexts(keyType).map((label) => own.indexOf(label)),
    )
    return moved === null ? null : `${moved}`
  }
  // Between whole numbers and decimals the text is the number.
  if (typeof value === 'string' && keyType.kind !== 'decimal' && type.kind === 'decimal')
    return literal(value, type)
  return literal(value, keyType)
}

function equalSql(column: ComparedColumn, keyType: ColumnType, value: Value): string {
  const written = value === null ? 'NULL' : keyLiteral(column, keyType, value)
  return written === null ? 'FALSE' : `${identifier(column.name)} ${value === null ? '<=>' : '='} ${written}`
}

/** `key > bound`: NULLs come before everything, so they are never beyond. */
function beyond(
  key: readonly ComparedColumn[],
  types: readonly ColumnType[],
  bound: readonly Value[],
): string {
  return nested(key, types, bound, (name, value) => `${name} > ${value}`)
}

/** `key <= bound` */
function upToSql(
  key: readonly ComparedColumn[],
  types: readonly ColumnType[],
  bound: readonly Value[],
): string {
  return nested(key, types, bound, (name, value, isLast, column) =>
    column.nullable
      ? `(${name} ${isLast ? '<=' : '<'} ${value} OR ${name} IS NULL)`
      : `${name} ${isLast ? '<=' : '<'} ${value}`,
  )
}

/** Column by column: `a > 1 OR (a = 1 AND b > 2)`. A bound with fewer values than the key ends with its last one. */
function nested(
  key: readonly ComparedColumn[],
  types: readonly ColumnType[],
  bound: readonly Value[],
  compare: (name: string, value: string, isLast: boolean, column: ComparedColumn) => string,
): string {
  let sql = ''
  for (let part = bound.length - 1; part >= 0; part--) {
    const column = key[part] as ComparedColumn
    const name = identifier(column.name)
    const value = literalOrNull(column, types[part] as ColumnType, bound[part] as Value)
    const compared = compare(name, value, part === bound.length - 1, column)
    sql = sql === '' ? compared : `(${compared} OR (${name} = ${value} AND ${sql}))`
  }
  return sql
}

/** Ranges are only asked of ends that order keys alike: there every value of a key can be written. */
const literalOrNull = (column: ComparedColumn, type: ColumnType, value: Value): string =>
  keyLiteral(column, type, value) ?? 'NULL'
