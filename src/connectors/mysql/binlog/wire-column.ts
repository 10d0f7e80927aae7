/*
 * A column as the log carries it: the type's number, its metadata and what the optional metadata tells, as a `ColumnType`.
 * Guarantees: a type that cannot be carried exactly comes out as a refusal that names it, never as a guess.
 */
import type { ColumnType } from '../../../core/schema.ts'
import { comparesByBytes } from '../column-type.ts'
import type { Product } from '../flavour.ts'
import { type Bytes, u16 } from './bytes.ts'
import { binaryCollation, type Collation, collationOf } from './collations.ts'

/** Numbers of the column types in a table map (enum_field_types of the server). */
export const wireType = {
  decimal: 0,
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  timestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  time: 11,
  datetime: 12,
  year: 13,
  newdate: 14,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  vector: 242,
  json: 245,
  newdecimal: 246,
  enum: 247,
  set: 248,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const

/** The type's number and its numbers in the metadata block, with CHAR, BINARY, ENUM and SET told apart. */
export interface WireColumn {
  readonly wire: number
  /** Bytes in front of a value that tell its length; for BIT, ENUM and SET the bytes of the value. */
  readonly lengthBytes: number
  /** Longest value in bytes (strings), bits (BIT), precision (DECIMAL), digits of the fraction (times). */
  readonly size: number
  /** DECIMAL: digits after the point. */
  readonly scale: number
}

/** How many bytes the type has in the metadata block, or undefined for a type that is not known. */
export function metadataBytes(wire: number): number | undefined {
  switch (wire) {
    case wireType.float:
    case wireType.double:
    case wireType.blob:
    case wireType.geometry:
    case wireType.json:
    case wireType.vector:
    case wireType.timestamp2:
    case wireType.datetime2:
    case wireType.time2:
      return 1
    case wireType.varchar:
    case wireType.varString:
    case wireType.bit:
    case wireType.newdecimal:
    case wireType.string:
    case wireType.enum:
    case wireType.set:
      return 2
    case wireType.decimal:
    case wireType.tiny:
    case wireType.short:
    case wireType.long:
    case wireType.timestamp:
    case wireType.longlong:
    case wireType.int24:
    case wireType.date:
    case wireType.time:
    case wireType.datetime:
    case wireType.year:
    case wireType.newdate:
      return 0
    default:
      return undefined
  }
}

export function wireColumn(wire: number, b: Bytes, meta: number): WireColumn {
  const plain = { wire, lengthBytes: 0, size: 0, scale: 0 }
  switch (wire) {
    case wireType.blob:
    case wireType.geometry:
    case wireType.json:
    case wireType.vector: {
      const lengthBytes = b[meta] as number
      return { ...plain, lengthBytes, size: 2 ** (8 * lengthBytes) - 1 }
    }
    case wireType.varchar:
    case wireType.varString: {
      const size = u16(b, meta)
      return { ...plain, lengthBytes: size > 255 ? 2 : 1, size }
    }
    case wireType.bit: {
      const bits = (b[meta + 1] as number) * 8 + (b[meta] as number)
      return { ...plain, lengthBytes: Math.ceil(bits / 8), size: bits }
    }
    case wireType.newdecimal:
      return { ...plain, size: b[meta] as number, scale: b[meta + 1] as number }
    case wireType.timestamp2:
    case wireType.datetime2:
    case wireType.time2:
      return { ...plain, size: b[meta] as number }
    case wireType.string: {
      const first = b[meta] as number
      const second = b[meta + 1] as number
      // Lengths above 255 borrow two bits of the type's number, turned over (the server's Field_string).
      const real = first | 0x30
      const size = real === first ? second : second | (((first & 0x30) ^ 0x30) << 4)
      if (real === wireType.enum || real === wireType.set)
        return { ...plain, wire: real, lengthBytes: second, size: second }
      return { ...plain, wire: real, lengthBytes: size > 255 ? 2 : 1, size }
    }
    default:
      return plain
  }
}

/** Types whose signedness the map tells. YEAR is among them: in MySQL (has_signedess_information_type; seen on 9.7), and in MariaDB (seen on 10.11). */
export const isNumeric = (wire: number): boolean =>
  wire === wireType.year ||
  wire === wireType.tiny ||
  wire === wireType.short ||
  wire === wireType.int24 ||
  wire === wireType.long ||
  wire === wireType.longlong ||
  wire === wireType.newdecimal ||
  wire === wireType.float ||
  wire === wireType.double

/** Types that have a place in the map's list of character sets: strings; VECTOR in MySQL (seen on 9.7), and GEOMETRY in MariaDB (seen on 10.11). */
export const isCharacter = (wire: number, product: Product): boolean =>
  wire === wireType.string ||
  wire === wireType.varString ||
  wire === wireType.varchar ||
  wire === wireType.blob ||
  wire === (product === 'mysql' ? wireType.vector : wireType.geometry)

/** What the optional metadata tells of one column. */
export interface ColumnMetadata {
  readonly unsigned: boolean
  readonly collation: number | undefined
  readonly labels: readonly string[] | undefined
  readonly geometry: number | undefined
  readonly dimensions: number | undefined
}

const geometryNames = [
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geomcollection',
] as const

const intTypes: ReadonlyMap<number, readonly [bytes: number, sql: string]> = new Map([
  [wireType.tiny, [1, 'tinyint']],
  [wireType.short, [2, 'smallint']],
  [wireType.int24, [3, 'mediumint']],
  [wireType.long, [4, 'int']],
  [wireType.longlong, [8, 'bigint']],
])

const withFraction = (sql: string, fraction: number): string => (fraction === 0 ? sql : `${sql}(${fraction})`)

/** The column's type, or what speaks against carrying it. */
export function columnType(
  column: WireColumn,
  meta: ColumnMetadata,
): ColumnType | { readonly refusal: string } {
  const { wire, size, scale } = column
  const unsigned = meta.unsigned
  const int = intTypes.get(wire)
  if (int !== undefined) {
    return { kind: 'int', bytes: int[0], unsigned, sql: `${int[1]}${unsigned ? ' unsigned' : ''}` }
  }
  const suffix = unsigned ? ' unsigned' : ''
  switch (wire) {
    case wireType.float:
      return { kind: 'float', unsigned, sql: `float${suffix}` }
    case wireType.double:
      return { kind: 'double', unsigned, sql: `double${suffix}` }
    case wireType.newdecimal:
      return { kind: 'decimal', precision: size, scale, unsigned, sql: `decimal(${size},${scale})${suffix}` }
    case wireType.date:
    case wireType.newdate:
      return { kind: 'date', sql: 'date' }
    case wireType.time2:
      return { kind: 'time', fraction: size, sql: withFraction('time', size) }
    case wireType.datetime2:
      return { kind: 'datetime', fraction: size, sql: withFraction('datetime', size) }
    case wireType.timestamp2:
      return { kind: 'timestamp', fraction: size, sql: withFraction('timestamp', size) }
    case wireType.year:
      return { kind: 'year', sql: 'year' }
    case wireType.bit:
      return { kind: 'bit', maxBytes: size, sql: `bit(${size})` }
    case wireType.json:
      return { kind: 'json', sql: 'json' }
    case wireType.geometry:
      return { kind: 'geometry', sql: geometryNames[meta.geometry ?? 0] ?? 'geometry' }
    case wireType.vector: {
      const dimensions = meta.dimensions
      if (dimensions === undefined) return { kind: 'vector', sql: 'vector' }
      return { kind: 'vector', maxBytes: dimensions * 4, sql: `vector(${dimensions})` }
    }
    case wireType.enum:
    case wireType.set:
      return labelled(wire === wireType.enum ? 'enum' : 'set', meta)
    case wireType.varchar:
    case wireType.varString:
    case wireType.string:
    case wireType.blob:
      return stringType(column, meta)
    case wireType.timestamp:
    case wireType.datetime:
    case wireType.time:
      return {
        refusal:
          'a time type in the form of MySQL before 5.6 (ALTER TABLE ... FORCE makes it the present one)',
      }
    default:
      return { refusal: `a type with the number ${wire}` }
  }
}

function charsetOf(meta: ColumnMetadata): Collation | { readonly refusal: string } {
  if (meta.collation === undefined) return { refusal: 'text without its character set' }
  return collationOf(meta.collation) ?? { refusal: `text of the unknown collation number ${meta.collation}` }
}

function labelled(kind: 'enum' | 'set', meta: ColumnMetadata): ColumnType | { readonly refusal: string } {
  const charset = charsetOf(meta)
  if ('refusal' in charset) return charset
  const labels = meta.labels ?? []
  const list = labels.map(
    (label) => `'${Buffer.from(label, 'latin1').toString('utf8').replaceAll("'", "''")}'`,
  )
  return {
    kind,
    charset: charset.charset,
    collation: charset.collation,
    labels,
    sql: `${kind}(${list.join(',')})`,
  }
}

const blobNames = ['tiny', '', 'medium', 'long'] as const

function stringType(
  { wire, lengthBytes, size }: WireColumn,
  meta: ColumnMetadata,
): ColumnType | { readonly refusal: string } {
  const charset = charsetOf(meta)
  if ('refusal' in charset) return charset
  const isBlob = wire === wireType.blob
  if (meta.collation === binaryCollation) {
    const fixed = wire === wireType.string
    const sql = isBlob ? `${blobNames[lengthBytes - 1]}blob` : `${fixed ? 'binary' : 'varbinary'}(${size})`
    return { kind: 'bytes', maxBytes: size, ...(fixed ? { fixed } : {}), sql }
  }
  const characters = Math.floor(size / charset.charBytes)
  const sql = isBlob
    ? `${blobNames[lengthBytes - 1]}text`
    : `${wire === wireType.string ? 'char' : 'varchar'}(${characters})`
  return { kind: 'text', charset: charset.charset, collation: charset.collation, maxBytes: size, sql }
}

/** Besides `binary`, trailing spaces count in MySQL's collations of UCA 9.0.0 and in those that MariaDB calls so (information_schema.COLLATIONS). */
const padsSpace = (type: ColumnType): boolean => !/_0900_|_nopad_/.test(type.collation ?? '')

/** Do two values of this type meet in a key exactly when their bytes are equal? As the catalogue has it. */
export const comparesBytes = (type: ColumnType): boolean =>
  comparesByBytes(type, type.sql.startsWith('char(') ? 'char' : '', padsSpace(type))
