/**
 * A column of information_schema as a ColumnType: the same words that the binlog decoder makes from table maps, so that rows of both origins
 * are read alike. Pure. A type that is not known here gives null: whoever needs it refuses the column by name (SYNC-2203).
 */
import type { ColumnType } from '../../core/schema.ts'

/** The fields of information_schema.COLUMNS that make a type; every text as the server gives it, null as null. */
export interface ColumnFacts {
  readonly dataType: string
  /** 'int unsigned', "enum('a','b')". */
  readonly columnType: string
  readonly octetLength: string | null
  readonly numericPrecision: string | null
  readonly numericScale: string | null
  readonly datetimePrecision: string | null
  readonly charset: string | null
  readonly collation: string | null
}

const intBytes: Readonly<Record<string, number>> = {
  tinyint: 1,
  smallint: 2,
  mediumint: 3,
  int: 4,
  bigint: 8,
}

const geometryTypes = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geomcollection',
  'geometrycollection',
])

const textTypes = new Set(['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext'])
const byteTypes = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob'])
const textSizes: Readonly<Record<string, number>> = {
  tinytext: 255,
  text: 65_535,
  mediumtext: 16_777_215,
  longtext: 4_294_967_295,
  tinyblob: 255,
  blob: 65_535,
  mediumblob: 16_777_215,
  longblob: 4_294_967_295,
}

/**
 * @param labels of ENUM and SET, as byte strings in the column's character set
 */
export function columnTypeOf(facts: ColumnFacts, labels: readonly string[]): ColumnType | null {
  const { dataType, columnType: sql } = facts
  // MariaDB's compressed columns are logged in a form of their own.
  if (/\bCOMPRESSED\b/.test(sql)) return null
  const unsigned = / unsigned\b/.test(sql)
  const bytes = intBytes[dataType]
  if (bytes !== undefined) return { kind: 'int', bytes, unsigned, sql }
  const collation = facts.collation === null ? {} : { collation: facts.collation }
  if (textTypes.has(dataType)) {
    return {
      kind: 'text',
      charset: facts.charset ?? 'utf8mb4',
      ...collation,
      maxBytes: textSizes[dataType] ?? Number(facts.octetLength),
      sql,
    }
  }
  if (byteTypes.has(dataType)) {
    const maxBytes = textSizes[dataType] ?? Number(facts.octetLength)
    return { kind: 'bytes', maxBytes, ...(dataType === 'binary' ? { fixed: true } : {}), sql }
  }
  if (geometryTypes.has(dataType)) return { kind: 'geometry', sql }
  const fraction = facts.datetimePrecision === null ? 0 : Number(facts.datetimePrecision)
  switch (dataType) {
    case 'decimal':
      return {
        kind: 'decimal',
        precision: Number(facts.numericPrecision),
        scale: Number(facts.numericScale),
        unsigned,
        sql,
      }
    case 'float':
    case 'double':
      return { kind: dataType, unsigned, sql }
    case 'date':
    case 'year':
    case 'json':
      return { kind: dataType, sql }
    case 'time':
    case 'datetime':
    case 'timestamp':
      return { kind: dataType, fraction, sql }
    case 'bit':
      return { kind: 'bit', maxBytes: Number(facts.numericPrecision), sql }
    case 'enum':
    case 'set':
      return { kind: dataType, charset: facts.charset ?? 'binary', ...collation, labels, sql }
    // MariaDB logs and takes addresses as bytes.
    case 'inet6':
      return { kind: 'bytes', maxBytes: 16, fixed: true, sql }
    case 'inet4':
      return { kind: 'bytes', maxBytes: 4, fixed: true, sql }
    case 'vector':
      return { kind: 'vector', maxBytes: 4 * Number(/\((\d+)\)/.exec(sql)?.[1] ?? 2048), sql }
    default:
      return null
  }
}

/** What the server escapes in a COLUMN_TYPE (tried on 9.7.4): these four and nothing else, whatever the sql_mode; a quote is doubled. */
const escapedInType: Readonly<Record<string, string>> = { n: '\n', r: '\r', 0: '\0', '\\': '\\' }

/** The labels inside `enum('a','it''s','b\\\\c')`, unquoted. Works on byte strings and on text alike: only ASCII matters here. */
export function labelsOf(columnType: string): string[] {
  const labels: string[] = []
  const quoted = /'((?:[^']|'')*)'/g
  for (let match = quoted.exec(columnType); match !== null; match = quoted.exec(columnType)) {
    const label = (match[1] as string).replaceAll("''", "'")
    labels.push(label.replace(/\\(.)/gs, (escape, character: string) => escapedInType[character] ?? escape))
  }
  return labels
}

/** May two values of this type, byte for byte different, meet in a unique key? Then false. See UniqueKey.comparesBytes. */
export function comparesByBytes(type: ColumnType, dataType: string, padsSpace: boolean): boolean {
  switch (type.kind) {
    case 'text':
      // Under a _bin collation characters are compared by their codes; trailing spaces count only with NO PAD, and CHAR has none.
      return (type.collation ?? '').endsWith('_bin') && (!padsSpace || dataType === 'char')
    // A FLOAT is compared after widening, and its text is not its value; it is refused as a key.
    case 'float':
    case 'json':
    case 'geometry':
    case 'vector':
      return false
    default:
      return true
  }
}
