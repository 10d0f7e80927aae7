/**
 * Reads the server's answers to COM_QUERY: frames, result sets, OK and ERR packets (MySQL source documentation, "Text Protocol").
 *
 * Why not the driver's own reader: it decodes every value through its character set, and calls into native code for each. Here a
 * received piece is made into one byte string at once and values are cut out of it: measured 3 times the rows per CPU second, and the bytes are exact.
 * Assumes a connection without CLIENT_DEPRECATE_EOF, CLIENT_SESSION_TRACK and compression. Bounded only by the size of an answer: the caller
 * asks for bounded answers. Any byte that does not fit throws; the caller then gives the connection up.
 */
import type { Row, Value } from '../../core/value.ts'

/** One statement's answer. Rows are empty for statements without a result set. */
export interface QueryResult {
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
  /** Rows found by the statement's condition (FOUND_ROWS), changed or not; 1 or 2 per row for upserts. */
  readonly affectedRows: number
  readonly insertId: bigint
  readonly warnings: number
  /** The server's own words ("Records: 3  Duplicates: 1  Warnings: 0"), a byte string. */
  readonly info: string
  /** Approximate memory of the rows, as core/value.ts counts it. */
  readonly bytes: number
  /** False: there were more rows, and the answer was given up after `maxBytes`. */
  readonly complete: boolean
}

/** What the server answered instead of a result. */
export class ServerError extends Error {
  override readonly name = 'ServerError'
  readonly errno: number
  readonly sqlState: string
  /** Index of the failed statement in what was sent. */
  readonly statement: number

  constructor(errno: number, sqlState: string, message: string, statement: number) {
    super(message)
    this.errno = errno
    this.sqlState = sqlState
    this.statement = statement
  }
}

/** Bytes that do not follow the protocol: the connection cannot be used any further. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** How a column's text becomes a Value. `bytes`: as it stands. `bits`: raw bytes of a BIT column. */
export type CellDecoder = 'bytes' | 'number' | 'bigint' | 'bits'

/** Takes the rows of a statement in place of the reader, as they were sent. */
export interface RowTaker {
  readonly columnCount: number
  /** A row is bytes[start, end), which are valid during the call only. @returns the memory it keeps, in bytes */
  take(bytes: Buffer, start: number, end: number): number
}

/** Sends what LOAD DATA LOCAL reads. */
export interface LocalFile {
  /** The one statement that may ask for it, by its index, and the name that it must ask for. */
  readonly statement: number
  readonly name: string
  /** Sends the packets, the first one with this number. @returns the number of the answer's first packet */
  readonly send: (sequence: number) => number
}

export type RowDecoding = readonly CellDecoder[] | RowTaker

const isTaker = (decoding: RowDecoding | null): decoding is RowTaker =>
  decoding !== null && 'take' in decoding

const moreResultsExist = 0x0008
const longestFrame = 0xffffff
const nothing = Buffer.alloc(0)

const phase = { header: 0, columns: 1, columnsEnd: 2, rows: 3 } as const

export interface AnswerReader {
  /** Takes received bytes. Returns the results when the answer is complete or cut, null before. Throws ServerError or ProtocolError. */
  take(chunk: Buffer): QueryResult[] | null
  /** What came behind the end of the answer, also of one that `take` threw: the beginning of the next one. */
  readonly rest: Buffer
  /** The rest of the answer was given up: the connection cannot be used any further. */
  readonly isCut: boolean
}

/**
 * @param decoders by statement that gives rows; null: all columns as byte strings. Rows for a taker are counted and not kept
 * @param maxBytes rows of one statement beyond this are given up after the row that passes it
 * @param localFile null: a server that asks for a file is refused
 * @param firstSequence number of the answer's first packet: the count of packets that the command took
 */
export function createAnswerReader(
  decoders: readonly (RowDecoding | null)[] | null = null,
  firstSequence = 1,
  maxBytes = Number.POSITIVE_INFINITY,
  localFile: LocalFile | null = null,
): AnswerReader {
  let state: number = phase.header
  let sequence = firstSequence & 0xff
  const results: QueryResult[] = []
  let columns: string[] = []
  let columnCount = 0
  let rows: Row[] = []
  let rowBytes = 0
  let rowCount = 0
  let cells: readonly CellDecoder[] | null = null
  let taker: RowTaker | null = null
  let isCut = false
  let refusal: ServerError | null = null
  let rest: Buffer = nothing
  // Bytes of a frame whose end has not come yet, and how many are needed before it is worth looking again.
  let held: Buffer[] = []
  let heldBytes = 0
  let neededBytes = 0
  // Parts of a payload of 16 MiB or more.
  let parts: Buffer[] = []

  const finish = (result: QueryResult, status: number): boolean => {
    results.push(result)
    columns = []
    rows = []
    rowBytes = 0
    rowCount = 0
    state = phase.header
    return (status & moreResultsExist) === 0
  }

  /** Any other file than the one that was offered would be the server's choice: this is how a client is robbed. */
  const sendFile = (name: string): void => {
    if (localFile === null || localFile.statement !== results.length || localFile.name !== name) {
      throw new ProtocolError('the server asks for a local file')
    }
    const { send } = localFile
    localFile = null
    sequence = send(sequence) & 0xff
  }

  /** A payload is bytes[start, end); `text` is the byte string of `bytes`, made when rows are read. True: the answer is complete. */
  const payload = (bytes: Buffer, text: () => string, start: number, end: number): boolean => {
    const first = bytes[start]
    if (first === 0xff) {
      refusal = serverError(bytes, start, end, results.length)
      return true
    }
    switch (state) {
      case phase.header: {
        if (first === 0x00) {
          const affected = lengthAt(bytes, start + 1)
          const inserted = lengthAt(bytes, affected.next)
          const status = bytes.readUInt16LE(inserted.next)
          const warnings = bytes.readUInt16LE(inserted.next + 2)
          const info = bytes.toString('latin1', inserted.next + 4, end)
          return finish(
            {
              columns: [],
              rows: [],
              affectedRows: Number(affected.value),
              insertId: BigInt(inserted.value),
              warnings,
              info,
              bytes: 0,
              complete: true,
            },
            status,
          )
        }
        if (first === 0xfb) {
          sendFile(bytes.toString('latin1', start + 1, end))
          return false
        }
        columnCount = Number(lengthAt(bytes, start).value)
        const decoding = decoders?.[results.length] ?? null
        taker = isTaker(decoding) ? decoding : null
        cells = isTaker(decoding) ? null : decoding
        const asked = isTaker(decoding) ? decoding.columnCount : decoding?.length
        if (asked !== undefined && asked !== columnCount) {
          throw new ProtocolError(`${columnCount} columns came where ${asked} were asked for`)
        }
        state = phase.columns
        return false
      }
      case phase.columns: {
        columns.push(columnName(bytes, start))
        if (columns.length === columnCount) state = phase.columnsEnd
        return false
      }
      case phase.columnsEnd: {
        if (first !== 0xfe) throw new ProtocolError('no end after the column definitions')
        state = phase.rows
        return false
      }
      default: {
        if (first === 0xfe && end - start < 9) {
          const warnings = bytes.readUInt16LE(start + 1)
          const status = bytes.readUInt16LE(start + 3)
          return finish(
            {
              columns,
              rows,
              affectedRows: rowCount,
              insertId: 0n,
              warnings,
              info: '',
              bytes: rowBytes,
              complete: true,
            },
            status,
          )
        }
        rowCount++
        if (taker !== null) rowBytes += taker.take(bytes, start, end)
        else {
          rows.push(readRow(bytes, text(), start, end, columnCount, cells))
          rowBytes += end - start + 32 + 15 * columnCount
        }
        if (rowBytes < maxBytes) return false
        isCut = true
        finish(
          {
            columns,
            rows,
            affectedRows: rowCount,
            insertId: 0n,
            warnings: 0,
            info: '',
            bytes: rowBytes,
            complete: false,
          },
          0,
        )
        return true
      }
    }
  }

  /** Returns how many bytes were used up; sets `done`. */
  let done = false
  const frames = (bytes: Buffer): number => {
    let whole: string | null = null
    const text = (): string => (whole ??= bytes.toString('latin1'))
    let at = 0
    while (bytes.length - at >= 4) {
      const length =
        (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)
      const end = at + 4 + length
      if (end > bytes.length) {
        neededBytes = 4 + length
        return at
      }
      if (bytes[at + 3] !== sequence) throw new ProtocolError('a packet is out of order')
      sequence = (sequence + 1) & 0xff
      if (length === longestFrame || parts.length > 0) {
        parts.push(bytes.subarray(at + 4, end))
        if (length < longestFrame) {
          const joined = Buffer.concat(parts)
          parts = []
          done = payload(joined, () => joined.toString('latin1'), 0, joined.length)
        }
      } else {
        done = payload(bytes, text, at + 4, end)
      }
      at = end
      if (done) return at
    }
    neededBytes = 4
    return at
  }

  return {
    get isCut() {
      return isCut
    },
    get rest() {
      return rest
    },
    take(chunk) {
      let bytes = chunk
      if (heldBytes > 0) {
        held.push(chunk)
        heldBytes += chunk.length
        if (heldBytes < neededBytes) return null
        bytes = Buffer.concat(held, heldBytes)
        held = []
        heldBytes = 0
      }
      const used = frames(bytes)
      if (done) {
        rest = bytes.subarray(used)
        if (refusal !== null) throw refusal
        return results
      }
      if (used < bytes.length) {
        held = [bytes.subarray(used)]
        heldBytes = bytes.length - used
      }
      return null
    },
  }
}

function readRow(
  bytes: Buffer,
  text: string,
  start: number,
  end: number,
  columnCount: number,
  cells: readonly CellDecoder[] | null,
): Row {
  const row: Value[] = []
  let at = start
  for (let column = 0; column < columnCount; column++) {
    let length = bytes[at++] as number
    if (length === 0xfb) {
      row.push(null)
      continue
    }
    if (length > 0xfb) {
      const field = fieldLength(bytes, at - 1)
      length = field.length
      at = field.next
    }
    const to = at + length
    if (to > end) throw new ProtocolError('a value runs past the end of its row')
    const decoder = cells === null ? 'bytes' : cells[column]
    row.push(decoder === 'bytes' ? text.substring(at, to) : cellAt(bytes, decoder as CellDecoder, at, to))
    at = to
  }
  if (at !== end) throw new ProtocolError('a row is longer than its columns')
  return row
}

/** The value of a field that is not NULL: bytes[from, to). */
export function cellAt(bytes: Buffer, decoder: CellDecoder, from: number, to: number): Value {
  if (decoder === 'number') return numberAt(bytes, from, to)
  if (decoder === 'bigint') return bigintAt(bytes, from, to)
  return decoder === 'bits' ? bitsAt(bytes, from, to) : bytes.toString('latin1', from, to)
}

/** A field's length, which is not NULL's, and where its bytes begin. */
export function fieldLength(bytes: Buffer, at: number): { readonly length: number; readonly next: number } {
  const first = bytes[at] as number
  if (first < 0xfb) return { length: first, next: at + 1 }
  if (first === 0xfc) return { length: bytes.readUInt16LE(at + 1), next: at + 3 }
  if (first === 0xfd) return { length: bytes.readUIntLE(at + 1, 3), next: at + 4 }
  return { length: Number(bytes.readBigUInt64LE(at + 1)), next: at + 9 }
}

/** Integers digit by digit (a string per value costs three times as much); everything else through Number, which reads exactly. */
function numberAt(bytes: Buffer, from: number, to: number): number {
  const negative = bytes[from] === 0x2d
  let at = negative ? from + 1 : from
  if (to - at > 15 || at === to) return Number(bytes.toString('latin1', from, to))
  let value = 0
  for (; at < to; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return Number(bytes.toString('latin1', from, to))
    value = value * 10 + digit
  }
  return negative ? -value : value
}

function bigintAt(bytes: Buffer, from: number, to: number): bigint {
  return to - from <= 15 ? BigInt(numberAt(bytes, from, to)) : BigInt(bytes.toString('latin1', from, to))
}

function bitsAt(bytes: Buffer, from: number, to: number): bigint {
  let high = 0
  let low = 0
  for (let at = from; at < to; at++) {
    high = ((high << 8) | (low >>> 24)) >>> 0
    low = ((low << 8) | (bytes[at] as number)) >>> 0
  }
  return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low)
}

/** A length-encoded integer: its value and where the next byte stands. */
function lengthAt(bytes: Buffer, at: number): { value: number | bigint; next: number } {
  const first = bytes[at] as number
  if (first < 0xfb) return { value: first, next: at + 1 }
  if (first === 0xfc) return { value: bytes.readUInt16LE(at + 1), next: at + 3 }
  if (first === 0xfd) return { value: bytes.readUIntLE(at + 1, 3), next: at + 4 }
  return { value: bytes.readBigUInt64LE(at + 1), next: at + 9 }
}

/** Column definition 4.1: catalog, schema, table, original table, name, original name, ... */
function columnName(bytes: Buffer, start: number): string {
  let at = start
  for (let skipped = 0; skipped < 4; skipped++) {
    const length = lengthAt(bytes, at)
    at = length.next + Number(length.value)
  }
  const length = lengthAt(bytes, at)
  return bytes.toString('utf8', length.next, length.next + Number(length.value))
}

function serverError(bytes: Buffer, start: number, end: number, statement: number): ServerError {
  const errno = bytes.readUInt16LE(start + 1)
  const marked = bytes[start + 3] === 0x23
  const sqlState = marked ? bytes.toString('latin1', start + 4, start + 9) : 'HY000'
  return new ServerError(errno, sqlState, bytes.toString('utf8', start + (marked ? 9 : 3), end), statement)
}
