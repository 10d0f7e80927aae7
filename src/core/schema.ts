/**
 * The shape of tables, in words that no single store owns.
 *
 * A `TableShape` is what a log's table map or a catalogue tells of a table at one moment. It is immutable; a changed table is a
 * new shape. `id` names the table; shapes of one table from two moments have equal ids.
 */

/** How a column's `Value` is to be read; see core/value.ts. */
export type ColumnKind =
  | 'int' // number or, for 64 bits, bigint
  | 'float'
  | 'double'
  | 'decimal'
  | 'text' // byte string in `charset`
  | 'bytes'
  | 'json'
  | 'date'
  | 'time'
  | 'datetime'
  | 'timestamp' // always in UTC
  | 'year'
  | 'bit'
  | 'enum'
  | 'set'
  | 'geometry'
  | 'vector'

export interface ColumnType {
  readonly kind: ColumnKind
  /** int: bytes of the integer, 1 to 8. */
  readonly bytes?: number
  readonly unsigned?: boolean
  /** decimal: digits in all and after the point. */
  readonly precision?: number
  readonly scale?: number
  /** time, datetime, timestamp: digits of the fraction of a second, 0 to 6. */
  readonly fraction?: number
  /** text, enum, set: the character set of the column, as the server names it ('utf8mb4', 'latin1'). */
  readonly charset?: string
  /** text: the collation, where it is known (the catalogue knows it, a table map gives its number). */
  readonly collation?: string
  /** text and bytes: the longest value, in bytes. bit: in bits. */
  readonly maxBytes?: number
  /** BINARY(n): values are padded with zero bytes to `maxBytes`. */
  readonly fixed?: boolean
  /** enum, set: the labels, as byte strings in `charset`. */
  readonly labels?: readonly string[]
  /** The server's own words for it, for people ('bigint unsigned'). */
  readonly sql: string
}

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** Computed by the store: never written. */
  readonly generated: boolean
  /**
   * What rows that were there before get when the column is added, as a text that is equal where the values are, for one type. Absent: it
   * depends on more than the definition (an expression, the time, a counter), or is not known (a table map).
   */
  readonly initial?: string
}

export interface UniqueKey {
  readonly name: string
  /** Ordinals into `columns`, in the key's order. */
  readonly ordinals: readonly number[]
  /**
   * True where two values meet in the key exactly if their bytes are equal (integers, dates, decimals, binary strings). False for
   * text under a collation, prefixes and expressions: what meets there, only the server can tell.
   */
  readonly comparesBytes: boolean
}

export interface TableId {
  readonly schema: string
  readonly name: string
}

export interface TableShape {
  readonly id: TableId
  readonly columns: readonly Column[]
  /** The key by which rows are told apart. Undefined: the table has none and cannot be synced. */
  readonly primaryKey?: UniqueKey
  /** The other unique keys. Empty where the origin of the shape does not tell (a table map). */
  readonly uniqueKeys: readonly UniqueKey[]
}

/** `schema.table`, for people and for maps of tables. */
export const tableName = (id: TableId): string => `${id.schema}.${id.name}`
