/*
 * Compiles, for one table map, the function that reads one row image.
 * Guarantees: every value as core/value.ts says. The function holds no state of its own; where it stopped is left in `cursor.at`.
 * Assumes all columns are present (the caller has checked the event's bitmap) and checks nothing itself: the caller compares `cursor.at` with the event's
 * end, and the event's checksum has been verified.
 * Why generated code: a loop over columns with a switch per value costs 4 to 15 times as much (research: zongji against the
 * prototype). The source text is built from numbers alone, never from names.
 */

import type { ColumnType } from '../../../core/schema.ts'
import type { Value } from '../../../core/value.ts'
import type { Bytes } from './bytes.ts'
import { decimalBytes, decimalReader } from './decimal-text.ts'
import { jsonText } from './json-text.ts'
import {
  dateText,
  datetimeText,
  fractionBytes,
  maskLE,
  timestampText,
  timeText,
  unsignedBE,
  yearOf,
} from './temporal-text.ts'
import { type WireColumn, wireType } from './wire-column.ts'

/** What rows are read from. */
export interface RowCursor {
  bytes: Bytes
  /** Over the same bytes, for what DataView reads faster: 64-bit integers and floats. */
  view: DataView
  /**
   * The whole event as a byte string, or '' for large events. A substring of it costs 10 ns where a slice of the bytes costs
   * 85 ns (measured). It keeps the event's text alive, which is as long as its rows.
   */
  text: string
  /** Offset in `bytes` of the first character of `text`. */
  textAt: number
  /** Offset in `bytes` of what is read next. */
  at: number
}

export type RowReader = (cursor: RowCursor) => Value[]

/** Beyond this many columns the function is cut in pieces: what V8 optimises is limited in size. */
const columnsPerPiece = 64

const helpers = {
  dateText,
  datetimeText,
  timestampText,
  timeText,
  yearOf,
  maskLE,
  unsignedBE,
  jsonText,
  latin1: (b: Bytes, at: number, length: number): string => b.toString('latin1', at, at + length),
  /** BINARY(n) is stored without the zero bytes at its end. */
  padded: (value: string, length: number): string =>
    value.length < length ? value + '\0'.repeat(length - value.length) : value,
}

/** @param wanted ordinals of the columns to be read, in the order in which they are given; the others are passed over. Absent: all */
export function compileRowReader(
  columns: readonly WireColumn[],
  types: readonly ColumnType[],
  wanted: readonly number[] = columns.map((_, i) => i),
): RowReader {
  const decimals: ((b: Bytes, o: number) => string)[] = []
  const placeOf = new Map(wanted.map((ordinal, place) => [ordinal, place]))
  const bodies = columns.map((column, i) =>
    placeOf.has(i)
      ? `let c${i} = null; ${ifThere(i, valueCode(column, types[i] as ColumnType, decimals).replaceAll('$', `c${i}`))}`
      : ifThere(i, skipCode(column)),
  )
  const nullBytes = (columns.length + 7) >> 3
  const enter = 'const b = s.bytes, v = s.view, t = s.text, z = s.textAt;'

  let source: string
  if (columns.length <= columnsPerPiece) {
    source = `return function readRow(s) { ${enter} const n = s.at; let o = n + ${nullBytes}, l = 0;
${bodies.join('\n')}
s.at = o; return [${wanted.map((ordinal) => `c${ordinal}`).join(', ')}] }`
  } else {
    const pieces: string[] = []
    for (let from = 0; from < columns.length; from += columnsPerPiece) {
      const puts = wanted
        .filter((ordinal) => ordinal >= from && ordinal < from + columnsPerPiece)
        .map((ordinal) => `row[${placeOf.get(ordinal) as number}] = c${ordinal};`)
      pieces.push(`function piece${pieces.length}(s, n, row) { ${enter} let o = s.at, l = 0;
${bodies.slice(from, from + columnsPerPiece).join('\n')}
s.at = o; ${puts.join(' ')} }`)
    }
    const calls = pieces.map((_, i) => `piece${i}(s, n, row);`).join(' ')
    source = `${pieces.join('\n')}
return function readRow(s) { const n = s.at, row = [${wanted.map(() => 'null').join(', ')}]; s.at = n + ${nullBytes}; ${calls} return row }`
  }
  const helperNames = Object.keys(helpers)
  // oxlint-disable-next-line typescript/no-implied-eval -- see above: made of numbers and the names of helpers only
  const make = new Function(...helperNames, 'decimals', `'use strict';\n${source}`) as (
    ...args: unknown[]
  ) => RowReader
  return make(...Object.values(helpers), decimals)
}

const ifThere = (ordinal: number, code: string): string =>
  `if ((b[n + ${ordinal >> 3}] & ${1 << (ordinal & 7)}) === 0) { ${code} }`

const lengthCode = (bytes: number): string => {
  const parts = ['b[o]', 'b[o + 1] << 8', 'b[o + 2] << 16', 'b[o + 3] << 24'].slice(0, bytes)
  return `l = ${bytes === 4 ? `(${parts.join(' | ')}) >>> 0` : parts.join(' | ')}; o += ${bytes};`
}

const textCode = "t === '' ? latin1(b, o, l) : t.substring(o - z, o - z + l)"

/** Statements that set `$` and move `o` past the value. */
function valueCode(
  column: WireColumn,
  type: ColumnType,
  decimals: ((b: Bytes, o: number) => string)[],
): string {
  const { wire, lengthBytes, size, scale } = column
  const unsigned = type.unsigned === true
  const word = (bytes: number): string =>
    ['b[o]', 'b[o + 1] << 8', 'b[o + 2] << 16', 'b[o + 3] << 24'].slice(0, bytes).join(' | ')
  const int = (bytes: number): string => {
    const unused = 32 - 8 * bytes
    const value = unsigned ? `(${word(bytes)}) >>> 0` : `(${word(bytes)}) << ${unused} >> ${unused}`
    return `$ = ${value}; o += ${bytes};`
  }
  const temporal = (reader: string, bytes: number): string =>
    `$ = ${reader}(b, o, ${size}); o += ${bytes + fractionBytes(size)};`
  switch (wire) {
    case wireType.tiny:
      return int(1)
    case wireType.short:
      return int(2)
    case wireType.int24:
      return int(3)
    case wireType.long:
      return int(4)
    case wireType.longlong:
      return `$ = v.${unsigned ? 'getBigUint64' : 'getBigInt64'}(o, true); o += 8;`
    case wireType.float:
      return '$ = v.getFloat32(o, true); o += 4;'
    case wireType.double:
      return '$ = v.getFloat64(o, true); o += 8;'
    case wireType.newdecimal: {
      const index = decimals.push(decimalReader(size, scale)) - 1
      return `$ = decimals[${index}](b, o); o += ${decimalBytes(size, scale)};`
    }
    case wireType.date:
    case wireType.newdate:
      return '$ = dateText(b, o); o += 3;'
    case wireType.time2:
      return temporal('timeText', 3)
    case wireType.timestamp2:
      return temporal('timestampText', 4)
    case wireType.datetime2:
      return temporal('datetimeText', 5)
    case wireType.year:
      return '$ = yearOf(b[o]); o += 1;'
    case wireType.bit:
      return `$ = unsignedBE(b, o, ${lengthBytes}); o += ${lengthBytes};`
    case wireType.enum:
      return `$ = ${word(lengthBytes)}; o += ${lengthBytes};`
    case wireType.set:
      return `$ = maskLE(b, o, ${lengthBytes}); o += ${lengthBytes};`
    case wireType.json:
      return `${lengthCode(lengthBytes)} $ = jsonText(b, o, l); o += l;`
    case wireType.string:
      return `${lengthCode(lengthBytes)} $ = ${type.fixed === true ? `padded(${textCode}, ${size})` : textCode}; o += l;`
    case wireType.varchar:
    case wireType.varString:
    case wireType.blob:
    case wireType.geometry:
    case wireType.vector:
      return `${lengthCode(lengthBytes)} $ = ${textCode}; o += l;`
    default:
      throw new Error(`No code for the column type ${wire}: the table map should have refused it.`)
  }
}

/** Statements that move `o` past the value. */
function skipCode({ wire, lengthBytes, size, scale }: WireColumn): string {
  const past = (bytes: number): string => `o += ${bytes};`
  switch (wire) {
    case wireType.tiny:
    case wireType.year:
      return past(1)
    case wireType.short:
      return past(2)
    case wireType.int24:
    case wireType.date:
    case wireType.newdate:
      return past(3)
    case wireType.long:
    case wireType.float:
      return past(4)
    case wireType.longlong:
    case wireType.double:
      return past(8)
    case wireType.newdecimal:
      return past(decimalBytes(size, scale))
    case wireType.time2:
      return past(3 + fractionBytes(size))
    case wireType.timestamp2:
      return past(4 + fractionBytes(size))
    case wireType.datetime2:
      return past(5 + fractionBytes(size))
    case wireType.bit:
    case wireType.enum:
    case wireType.set:
      return past(lengthBytes)
    case wireType.json:
    case wireType.string:
    case wireType.varchar:
    case wireType.varString:
    case wireType.blob:
    case wireType.geometry:
    case wireType.vector:
      return `${lengthCode(lengthBytes)} o += l;`
    default:
      throw new Error(`No code for the column type ${wire}: the table map should have refused it.`)
  }
}
