/**
 * Values and names as SQL text: exact, whatever the character set, the server's sql_mode aside from NO_BACKSLASH_ESCAPES.
 *
 * SQL is a byte string (core/value.ts): one UTF-16 unit per byte, sent as it stands. Assumes a session set up by connection.ts:
 * `SET NAMES binary` makes the server's lexer read byte by byte, so that 0x5C inside a gbk or sjis character is escaped like any other,
 * and names are taken as UTF-8 without conversion; the sql_mode there has neither NO_BACKSLASH_ESCAPES nor ANSI_QUOTES.
 * A text carries its own character set as introducer (`_gbk'...'`), and the server converts it where the column's differs.
 * No I/O. What cannot be written exactly throws SYNC-9001: a value of another type than its column's is our own mistake.
 */
import { SyncError } from '../../core/errors.ts'
import type { ColumnKind, ColumnType } from '../../core/schema.ts'
import { byteStringOf, type Value } from '../../core/value.ts'
import { jsonLiteral } from './json-literal.ts'

const needsEscape = /['\\]/
const everyEscape = /['\\]/g
const quote = 0x27
const backslash = 0x5c
const largeBytes = 4_096
const decimalText = /^-?[0-9]+(?:\.[0-9]+)?$/
const asciiName = /^[ -~]*$/
const charsetName = /^[a-z0-9_]+$/

/**
 * A name in backticks, as a byte string. `name` is ordinary text (as in TableShape), not a byte string.
 */
export function identifier(name: string): string {
  const bytes = asciiName.test(name) ? name : byteStringOf(name)
  return `\`${bytes.includes('`') ? bytes.replaceAll('`', '``') : bytes}\``
}

/** `schema`.`table`, as a byte string. */
export const qualifiedName = (id: { readonly schema: string; readonly name: string }): string =>
  `${identifier(id.schema)}.${identifier(id.name)}`

/** Quotes bytes. Only ' and \ have a meaning inside quotes; NUL and line ends stand for themselves. */
function quoted(bytes: string): string {
  if (!needsEscape.test(bytes)) return `'${bytes}'`
  return bytes.length < largeBytes ? `'${bytes.replace(everyEscape, '\\$&')}'` : quotedLarge(bytes)
}

/** As above by copying bytes: a regular expression takes 5 s for 20 MB of which every third byte is a quote, this takes 0.1 s. */
function quotedLarge(bytes: string): string {
  const from = Buffer.from(bytes, 'latin1')
  const to = Buffer.allocUnsafe(from.length * 2 + 2)
  let length = 0
  to[length++] = quote
  for (const byte of from) {
    if (byte === quote || byte === backslash) to[length++] = backslash
    to[length++] = byte
  }
  to[length++] = quote
  return to.toString('latin1', 0, length)
}

/** A string where the grammar takes no introducer: a file's name. */
export const plainLiteral = (bytes: string): string => quoted(bytes)

/** A literal of ordinary text (names in conditions, messages), in utf8mb4. */
export const textLiteral = (text: string): string => `_utf8mb4${quoted(byteStringOf(text))}`

/** A literal of bytes. */
export const bytesLiteral = (bytes: string): string => `_binary${quoted(bytes)}`

const introducers = new Map<string, string>()

function introducer(charset: string | undefined): string {
  const known = introducers.get(charset ?? '')
  if (known !== undefined) return known
  if (charset === undefined || !charsetName.test(charset)) {
    throw new SyncError(
      'SYNC-9001',
      `no character set is known for a text column (${charset ?? 'undefined'})`,
    )
  }
  const made = `_${charset}`
  introducers.set(charset, made)
  return made
}

/**
 * A value as SQL, as a byte string. `type` is the type by which the value is to be read (the source's), not the target column's.
 *
 * FLOAT and DOUBLE: the shortest text that reads back as the same double, always with an exponent so that the server takes it as a double
 * and not as a decimal; -0 keeps its sign. BIT, SET and ENUM are integers, so labels of any character set pass untouched.
 */
export function literal(value: Value, type: ColumnType): string {
  if (value === null) return 'NULL'
  if (typeof value === 'number') {
    if (type.kind === 'double' || type.kind === 'float') return doubleText(value)
    return `${value}`
  }
  if (typeof value === 'bigint') return `${value}`
  switch (type.kind) {
    case 'text':
      return introducer(type.charset) + quoted(value)
    case 'bytes':
    case 'geometry':
    case 'vector':
      return `_binary${quoted(value)}`
    case 'json':
      return jsonLiteral(value, quoted)
    case 'decimal':
      if (!decimalText.test(value)) throw misfit(value, type.kind)
      return value
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
      return quoted(value)
    default:
      throw misfit(value, type.kind)
  }
}

function doubleText(value: number): string {
  if (Object.is(value, -0)) return '-0e0'
  if (!Number.isFinite(value)) throw misfit(`${value}`, 'double')
  const text = `${value}`
  return text.includes('e') ? text : `${text}e0`
}

/**
 * Must the statement that writes this value run without STRICT_ALL_TABLES? Index 0 of an ENUM is the server's own error value ''; strict
 * mode refuses to write it, and without strict mode it is written as it is.
 */
export const needsNonStrict = (value: Value, type: ColumnType): boolean => type.kind === 'enum' && value === 0

const misfit = (value: string, kind: ColumnKind): SyncError =>
  new SyncError('SYNC-9001', `a value of ${value.length} characters does not fit its column type ${kind}`)
