/**
 * The forms of core/comparison.ts as SQL: what both servers make of a value so that equal texts mean equal values. Pure.
 *
 * Assumes a session of connection.ts (`SET NAMES binary`, time zone UTC): results are byte strings, a number's text is ASCII, and no text is
 * converted but where it says so. Every expression is NULL for NULL and for nothing else.
 */
import { type ComparisonForm, labelTexts } from '../../../core/comparison.ts'
import type { ComparedColumn } from '../../../core/comparison-plan.ts'
import { SyncError } from '../../../core/errors.ts'
import type { ColumnType } from '../../../core/schema.ts'
import { identifier, plainLiteral } from '../sql-text.ts'

/** A form as an expression, and whether its text may hold any byte. */
export interface FormSql {
  readonly sql: string
  /** True: digits, signs, points and letters alone, and at most about 100 of them. */
  readonly plain: boolean
}

const plain = (sql: string): FormSql => ({ sql, plain: true })
const free = (sql: string): FormSql => ({ sql, plain: false })

/** @param form the column's own, or the one of its identity */
export function formSql(
  { name: column, type, form: own }: ComparedColumn,
  form: ComparisonForm = own,
): FormSql {
  const name = identifier(column)
  switch (form.as) {
    case 'number':
      return plain(numberSql(name, type, form.scale))
    case 'double':
      return plain(doubleSql(name, type))
    case 'bytes':
      return free(bytesSql(name, type, form.trim))
    case 'text':
      return free(trimmed(charactersSql(name, type), form.trim))
    case 'weights':
      return free(weightsSql(name, type, form.collation, form.trim))
    case 'json':
      return free(charactersSql(name, type))
    case 'date':
      return plain(textOf(name))
    case 'time':
      return plain(fractionSql(textOf(name), type.fraction ?? 0, form.fraction))
    case 'instant':
      return plain(
        fractionSql(textOf(instantSql(name, type, form.offset)), type.fraction ?? 0, form.fraction),
      )
    case 'enum-number':
      return plain(`CAST(${name} AS UNSIGNED)`)
    case 'set-bits':
      return plain(setSql(name, type, form.labels))
    case 'label':
      return free(`CONCAT(IF(CAST(${name} AS UNSIGNED) = 0, '!', '='), CONVERT(${name} USING utf8mb4))`)
    case 'vector':
      return free(`HEX(CAST(${name} AS BINARY))`)
  }
}

/**
 * The form for a digest: the same, but for floats with a tolerance, which are rounded so far that equal roundings are within it. Those beyond
 * may be within it too: digests that differ mean only that rows are looked at.
 */
export function digestFormSql(column: ComparedColumn): FormSql {
  const { form } = column
  if (form.as !== 'double' || form.tolerance === 0) return formSql(column)
  const value = doubleSql(identifier(column.name), column.type)
  const digits = Math.ceil(-Math.log10(form.tolerance))
  return plain(`IF(${value} = 0, 0, ROUND(${value}, ${digits} - FLOOR(LOG10(ABS(${value})))))`)
}

const textOf = (sql: string): string => `CAST(${sql} AS CHAR)`

function numberSql(name: string, type: ColumnType, scale: number): string {
  if (type.kind === 'decimal') {
    // A zerofill shows zeros that the value does not have.
    if (type.scale === scale && !type.sql.includes('zerofill')) return name
    const whole = (type.precision ?? 65) - (type.scale ?? 0)
    return `CAST(${name} AS DECIMAL(${Math.min(65, whole + scale)},${scale}))`
  }
  if (scale > 0) return `CAST(${name} + 0 AS DECIMAL(${20 + scale},${scale}))`
  return type.kind === 'int' && !type.sql.includes('zerofill') ? name : `${name} + 0`
}

/** FLOAT is shown with six digits, and DOUBLE(M,D) with D behind the point, whatever is stored. */
const doubleSql = (name: string, type: ColumnType): string =>
  type.kind === 'double' && !type.sql.includes('(') ? name : `CAST(${name} AS DOUBLE)`

function bytesSql(name: string, type: ColumnType, trim: 'space' | 'zero' | null): string {
  // MariaDB shows addresses as text.
  const bytes = type.kind === 'geometry' || /^inet[46]$/.test(type.sql) ? `CAST(${name} AS BINARY)` : name
  if (trim === null) return bytes
  return trim === 'zero' ? `TRIM(TRAILING x'00' FROM ${bytes})` : trimmed(bytes, trim)
}

const trimmed = (sql: string, trim: 'space' | null): string =>
  trim === null ? sql : `TRIM(TRAILING ' ' FROM ${sql})`

const charactersSql = (name: string, type: ColumnType): string =>
  type.kind === 'json'
    ? `CAST(${name} AS CHAR CHARACTER SET utf8mb4)`
    : type.kind === 'text' && type.charset === 'utf8mb4'
      ? name
      : `CONVERT(${name} USING utf8mb4)`

function weightsSql(name: string, type: ColumnType, collation: string, trim: 'space' | null): string {
  if (!/^[a-z0-9_]+$/i.test(collation)) {
    throw new SyncError('SYNC-5101', `${collation} is not the name of a collation`)
  }
  const charset = collation.split('_')[0] as string
  const text = type.collation === collation ? name : `CONVERT(${name} USING ${charset}) COLLATE ${collation}`
  return `WEIGHT_STRING(${trimmed(text, trim)})`
}

/** Digits behind the point are cut off or filled up as text: nothing is rounded. */
function fractionSql(text: string, has: number, wanted: number): string {
  if (wanted === has) return text
  if (wanted > has) return `CONCAT(${text}, '${has === 0 ? '.' : ''}${'0'.repeat(wanted - has)}')`
  const cut = has - wanted + (wanted === 0 ? 1 : 0)
  return `LEFT(${text}, LENGTH(${text}) - ${cut})`
}

function instantSql(name: string, type: ColumnType, offset: string | null): string {
  if (offset === null || type.kind === 'timestamp') return name
  // What is no moment (a zero date) has no other time zone either.
  return `COALESCE(CONVERT_TZ(${name}, ${plainLiteral(offset)}, '+00:00'), ${name})`
}

/** The set's bits, by the numbers that `labels` gives them; bits of other labels behind a plus sign. */
function setSql(name: string, type: ColumnType, labels: readonly string[]): string {
  const own = labelTexts(type)
  const bits = `CAST(${name} AS UNSIGNED)`
  if (own.length <= labels.length && own.every((label, i) => label === labels[i])) return bits
  const terms: string[] = []
  let others = 0n
  for (const [i, label] of own.entries()) {
    const place = labels.indexOf(label)
    if (place < 0) others |= 1n << BigInt(i)
    else terms.push(`IF(${bits} & ${1n << BigInt(i)}, ${1n << BigInt(place)}, 0)`)
  }
  const known = terms.length === 0 ? '0' : terms.join(' | ')
  const moved =
    others === 0n ? known : `IF(${bits} & ${others}, CONCAT(${known}, '+', ${bits} & ${others}), ${known})`
  return `IF(${name} IS NULL, NULL, ${moved})`
}

/** Longer values are told by their SHA-256 instead, where a form is only compared. */
export const longestCellBytes = 4_096

/** The form as it is given out. @param whole however long it is */
export function cellSql(column: ComparedColumn, whole: boolean): string {
  const { sql, plain: isPlain } = formSql(column)
  if (isPlain) return textOf(sql)
  if (column.form.as === 'weights') return `HEX(${sql})`
  if (whole || shorterThan(column.type, longestCellBytes)) return sql
  return `IF(LENGTH(${sql}) > ${longestCellBytes}, CONCAT(LENGTH(${sql}), ' bytes, SHA-256 ', SHA2(${sql}, 256)), ${sql})`
}

/** Is no value of the type longer, in bytes? */
export const shorterThan = (type: ColumnType, bytes: number): boolean =>
  type.maxBytes !== undefined && type.maxBytes * 4 <= bytes

const shownCharacters = 1_000

/** What a person is shown, in utf8mb4. */
export function shownSql({ name: column, type }: ComparedColumn): string {
  const name = identifier(column)
  switch (type.kind) {
    case 'text':
    case 'json':
    case 'enum':
    case 'set': {
      const text = charactersSql(name, type)
      return `IF(CHAR_LENGTH(${text}) > ${shownCharacters}, CONCAT(LEFT(${text}, ${shownCharacters}), _utf8mb4'... (', CHAR_LENGTH(${text}), _utf8mb4' characters)'), ${text})`
    }
    case 'bytes':
    case 'geometry':
    case 'vector': {
      const bytes = type.kind === 'bytes' ? bytesSql(name, type, null) : `CAST(${name} AS BINARY)`
      return `CONCAT('0x', HEX(LEFT(${bytes}, ${shownCharacters / 2})), IF(LENGTH(${bytes}) > ${shownCharacters / 2}, CONCAT('... (', LENGTH(${bytes}), ' bytes)'), ''))`
    }
    case 'bit':
      return `CONCAT('0x', HEX(${name} + 0))`
    case 'float':
    case 'double':
      return textOf(doubleSql(name, type))
    default:
      return textOf(name)
  }
}
