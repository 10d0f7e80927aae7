/**
 * Rows as lines of LOAD DATA, made of the bytes in which a server sends them, and read back again. Pure.
 *
 * A row that is only passed on is not made into values: its fields are copied from the received bytes, with a backslash before each tab,
 * line end and backslash. Read with `CHARACTER SET binary` and the separators of `loadSyntax`, each field is byte for byte what the
 * source sent (manual, "LOAD DATA Statement"); `\N` is NULL. Only the key is looked at, because the log is compared with it.
 *
 * Which columns can travel so: those whose text means the same to both ends (`travelsAsText`). What the server then makes of a field that does
 * not fit, it counts as a warning, and the writer takes no line back that was warned of (sink/load-data.ts).
 */

import { SyncError } from '../../core/errors.ts'
import type { ColumnType } from '../../core/schema.ts'
import { keyOf, type Row, type Value } from '../../core/value.ts'
import { type CellDecoder, cellAt, fieldLength, ProtocolError, type RowTaker } from './text-protocol.ts'

/** The name under which reader and writer know these lines. */
export const loadLines = 'mysql-load-lines'

/** What LOAD DATA must say so that it reads the lines as they are meant. */
export const loadSyntax = String.raw`CHARACTER SET binary FIELDS TERMINATED BY '\t' ENCLOSED BY '' ESCAPED BY '\\' LINES TERMINATED BY '\n'`

const tab = 0x09
const lineEnd = 0x0a
const backslash = 0x5c
const letterN = 0x4e
const nullLength = 0xfb

/** Character sets in which the bytes of tab, line end and backslash are no characters, or a comma is more than one byte. */
const wideCharsets = new Set(['ucs2', 'utf16', 'utf16le', 'utf32'])

/** Does the source's text of a value mean the same value at the target? */
export function travelsAsText(source: ColumnType, target: ColumnType, labelsAgree: boolean): boolean {
  if (source.kind !== target.kind) return false
  switch (source.kind) {
    case 'text':
      return source.charset === target.charset && !wideCharsets.has(source.charset ?? 'ucs2')
    case 'enum':
    case 'set':
      return (
        labelsAgree &&
        // As text, the error value of an ENUM and the empty SET are '' as well.
        source.labels?.includes('') === false &&
        source.charset === target.charset &&
        !wideCharsets.has(source.charset ?? 'ucs2')
      )
    case 'json':
    case 'geometry':
    case 'vector':
      return false
    default:
      return true
  }
}

/** Columns whose text holds none of the three bytes. */
export const isPlain = ({ kind }: ColumnType): boolean =>
  kind !== 'text' && kind !== 'bytes' && kind !== 'bit' && kind !== 'enum' && kind !== 'set'

export interface LineColumn {
  readonly plain: boolean
  /** Place in the key, and how the key's value is read; null for other columns. */
  readonly key: { readonly place: number; readonly decoder: CellDecoder } | null
}

/** Takes rows as they come and keeps them as lines. */
export interface LineCollector extends RowTaker {
  /** Lines of all rows, one after the other. */
  bytes(): Buffer
  /** By row: where its line ends. */
  readonly ends: readonly number[]
  /** By row: `keyOf` its key. */
  readonly keys: readonly string[]
  /** The key of the row that came last. */
  lastKey(): readonly Value[] | null
}

/** Once there is a row: thousands of tables may have none. */
const firstBytes = 64 * 1024
const nothing = Buffer.alloc(0)
/** What a row costs besides its line: the key's text and its places in lists and maps. */
const rowOverheadBytes = 96

export function createLineCollector(columns: readonly LineColumn[]): LineCollector {
  const keyOrdinals = columns.flatMap(({ key }) => (key === null ? [] : [key.place])).sort((a, b) => a - b)
  const ends: number[] = []
  const keys: string[] = []
  let key: Value[] = []
  let lines = nothing
  let used = 0

  function makeRoom(bytes: number): void {
    if (lines.length - used >= bytes) return
    const larger = Buffer.allocUnsafeSlow(Math.max(firstBytes, lines.length * 2, used + bytes))
    lines.copy(larger, 0, 0, used)
    lines = larger
  }

  return {
    columnCount: columns.length,
    ends,
    keys,
    bytes: () => lines.subarray(0, used),
    lastKey: () => (keys.length === 0 ? null : key),
    take(bytes, start, end) {
      // Twice for escapes, and a separator for each column.
      makeRoom((end - start) * 2 + columns.length)
      const to = lines
      let out = used
      let at = start
      key = keyOrdinals.map(() => null)
      for (const column of columns) {
        if (bytes[at] === nullLength) {
          at++
          to[out++] = backslash
          to[out++] = letterN
          if (column.key !== null) key[column.key.place] = null
        } else {
          const field = fieldLength(bytes, at)
          at = field.next
          const fieldEnd = at + field.length
          if (fieldEnd > end) throw new ProtocolError('a value runs past the end of its row')
          if (column.key !== null) key[column.key.place] = cellAt(bytes, column.key.decoder, at, fieldEnd)
          if (column.plain) while (at < fieldEnd) to[out++] = bytes[at++] as number
          else {
            while (at < fieldEnd) {
              const byte = bytes[at++] as number
              // Two comparisons for nearly every byte: this loop is most of what a passed-on row costs.
              if ((byte <= lineEnd && byte >= tab) || byte === backslash) to[out++] = backslash
              to[out++] = byte
            }
          }
        }
        to[out++] = tab
      }
      if (at !== end) throw new ProtocolError('a row is longer than its columns')
      // The last separator ends the line.
      to[out - 1] = lineEnd
      const lineBytes = out - used
      used = out
      ends.push(used)
      keys.push(keyOf(key, keyOrdinals))
      return lineBytes + rowOverheadBytes
    },
  }
}

/** A line's fields as values, by the types of its columns: what the reader of rows would have made of them. */
export function rowOfLine(line: Buffer, types: readonly ColumnType[]): Row {
  const row: Value[] = []
  let field = ''
  let isNull = false
  let from = 0
  for (let at = 0; at < line.length; at++) {
    const byte = line[at]
    if (byte === backslash) {
      field += line.toString('latin1', from, at)
      at++
      if (line[at] === letterN) isNull = true
      from = at
    } else if (byte === tab || byte === lineEnd) {
      field += line.toString('latin1', from, at)
      row.push(isNull ? null : valueOfText(field, types[row.length] as ColumnType))
      field = ''
      isNull = false
      from = at + 1
    }
  }
  if (row.length !== types.length)
    throw new SyncError('SYNC-9001', 'a line has another number of fields than its table')
  return row
}

function valueOfText(text: string, type: ColumnType): Value {
  switch (type.kind) {
    case 'int':
      return type.bytes === 8 ? BigInt(text) : Number(text)
    case 'year':
    case 'float':
    case 'double':
      return Number(text)
    case 'bit':
      return text === '' ? 0n : BigInt(`0x${Buffer.from(text, 'latin1').toString('hex')}`)
    case 'enum':
      // '' is the error value: there is no such label.
      return text === '' ? 0 : placeOf(text, type) + 1
    case 'set':
      return text === ''
        ? 0n
        : text.split(',').reduce((bits, label) => bits | (1n << BigInt(placeOf(label, type))), 0n)
    default:
      return text
  }
}

function placeOf(label: string, { labels, sql }: ColumnType): number {
  const place = labels?.indexOf(label) ?? -1
  if (place < 0)
    throw new SyncError('SYNC-9001', `${sql} has no label of ${label.length} bytes that a row has`)
  return place
}
