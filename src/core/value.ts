/**
 * Values as they travel from a source to a target: exact, or not at all.
 *
 * A `Value` is one of four JavaScript types, and its column's `ColumnType` says how to read it:
 * - `null`: SQL NULL.
 * - `number`: integers of at most 32 bits, YEAR, the 1-based index of an ENUM (0 is the error value ''), FLOAT, DOUBLE.
 * - `bigint`: 64-bit integers, BIT (as an unsigned integer), SET (as its bit mask).
 * - `string`: everything else, as a **byte string**: one UTF-16 unit (0 to 255) per byte. Text stands in the bytes of its
 *   column's own character set, so no character set can lose anything. Decimals, dates and times are ASCII with every
 *   digit. JSON is the server's own text of it in UTF-8 bytes. GEOMETRY is SRID + WKB, VECTOR is its floats.
 *
 * Why byte strings and not Uint8Array: they are compared, hashed and joined at the engine's speed, are keys of a Map as they
 * stand, and cost one byte per byte in V8 (docs/adr/0003).
 */

/** One column's value. Never a Date, never a float for a decimal. */
export type Value = null | number | bigint | string

/** Values by the ordinal of their table's columns. */
export type Row = readonly Value[]

/** The bytes of a byte string. */
export const bytesOf = (value: string): Uint8Array => {
  const bytes = new Uint8Array(value.length)
  for (let i = 0; i < value.length; i++) bytes[i] = value.charCodeAt(i)
  return bytes
}

/** A byte string from UTF-8 text (names, SQL literals and tests; never for a column's value of an unknown charset). */
export const byteStringOf = (text: string): string => {
  let out = ''
  for (const byte of new TextEncoder().encode(text)) out += String.fromCharCode(byte)
  return out
}

/**
 * A text that is equal exactly where the values are equal byte by byte; used as the key of a row.
 * Types are told apart (1 and '1' differ) and parts cannot run into each other (each carries its length).
 */
export function keyOf(row: Row, ordinals: readonly number[]): string {
  if (ordinals.length === 1) return keyPart(row[ordinals[0] as number] as Value)
  let key = ''
  for (const ordinal of ordinals) {
    const part = keyPart(row[ordinal] as Value)
    key += `${part.length}:${part}`
  }
  return key
}

function keyPart(value: Value): string {
  if (value === null) return 'n'
  if (typeof value === 'string') return `s${value}`
  // -0 and 0 are one key for every server; 1 and 1n are one integer whatever the width of the column.
  return `i${value === 0 ? 0 : value}`
}

/** Equal in every byte. */
export function rowsEqual(a: Row, b: Row): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false
  return true
}

/** Approximate memory of a value in bytes; what backpressure and batch bounds count. */
function valueBytes(value: Value): number {
  return typeof value === 'string' ? value.length + 16 : 16
}

/** Approximate memory of a row in bytes. */
export function rowBytes(row: Row): number {
  let bytes = 32
  for (const value of row) bytes += valueBytes(value)
  return bytes
}
