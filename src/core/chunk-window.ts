/**
 * One chunk in flight: which of its rows may still be handed out when the log's consumer has reached the chunk's `high`, and whether a
 * change after that meets one of them (docs: DATA-PATH 2).
 *
 * Guarantees: a row that is handed out is, byte for byte, the source's row at every moment from `low` to the coordinate at which it is
 * handed out, and on to the first change for which `touch` gives true. A row that is not handed out was touched by a change that the
 * consumer has seen, so the log brings it.
 *
 * Assumes: opened before the chunk is read, at a moment when the consumer stands between two transactions at R; the reader
 * waits until all up to R is visible before it takes `low`; from then on every change of the table is shown to `touch`,
 * before any filter and including echoes, and only then `reached` is told. After a lost source connection, a change of the table's
 * definition or a crash the window is thrown away and the chunk read again: coordinates of another server mean nothing here.
 *
 * Why between two transactions: a transaction that is half consumed at R may be invisible to the chunk, and the keys of its first half were
 * never shown to this window; its old rows would be handed out.
 *
 * Why bytes of keys are enough even under a collation where 'a' = 'A'. The log's images carry the bytes of the real rows, not those of
 * statements. A chunk's row with key bytes K was visible at the SELECT. If it is gone or different later, some change not in `low`
 * has it as its before image: bytes K. If it came after `low`, some change not in `low` has it as its after image: bytes K. So if no
 * change outside `low` has K on either side, the row stands unchanged; that 'k' is equal to K for the server does not matter. (The
 * reader of chunks and the reader of the log must give equal bytes for equal values: see their parity test.)
 *
 * Why only the last transaction is kept per key. Changes of one key wait for each other's row locks until commit. If the last transaction that touched the
 * key is in `low`, it is visible in the chunk, and so are all before it that touched that key.
 *
 * Memory: before the rows arrive, keys of the whole table are kept, because keys are never compared by order here (only the server can). At
 * `maxTouchedBytes` the window is full: the consumer pauses until the rows arrive. That cannot lock up, since the reader waits only
 * for what the consumer has passed already. From then on the window shrinks only.
 */
import { SyncError } from './errors.ts'
import { compareCoordinates, type LogCoordinate, type Position } from './position.ts'
import { type TableShape, tableName } from './schema.ts'
import type { RowChange } from './transaction.ts'
import { keyOf } from './value.ts'

/** What the reader of a chunk delivers. */
export interface ArrivedRows {
  /** `keyOf` each row by the primary key of the chunk's table. */
  readonly keys: readonly string[]
  isInLow(id: string): boolean
  readonly high: LogCoordinate
}

export interface ChunkWindow {
  /** Shows a consumed change, of any table, and the id of its transaction. True: it touches a row that was handed out. */
  touch(change: RowChange, transactionId: string): boolean
  /** The rows have arrived: those touched outside `low` since the opening are struck. */
  arrive(chunk: ArrivedRows): void
  /** True when the rows have arrived and the consumer, now at `coordinate`, has reached `high`. */
  reached(coordinate: LogCoordinate): boolean
  /** Hands out what was not struck: ordinals of the arrived rows, ascending. From then on nothing is struck. Call once, when reached. */
  take(): readonly number[]
  /** True while the consumer has to wait for the rows to arrive. */
  readonly full: boolean
  /** Rows that are still held. */
  readonly rows: number
}

/** 64 MiB of keys: millions of integer keys touched during one SELECT of a chunk. */
const MAX_TOUCHED_BYTES = 64 * 1024 * 1024
/** A place in the map, the text's header, and the reference to the transaction's id. */
const TOUCH_BYTES = 64

/**
 * @param table the chunk's table as the chunk is read; it has a primary key
 * @param consumedUpTo where the consumer stands now; ordinal must be 0
 * @param maxTouchedBytes approximate memory for touched keys until the rows arrive
 */
export function createChunkWindow(
  table: TableShape,
  consumedUpTo: Position,
  maxTouchedBytes = MAX_TOUCHED_BYTES,
): ChunkWindow {
  const key = table.primaryKey
  if (key === undefined)
    throw new SyncError('SYNC-9001', `a chunk of ${tableName(table.id)}, which has no primary key`)
  if (consumedUpTo.ordinal !== 0) {
    throw new SyncError('SYNC-9001', `a chunk of ${tableName(table.id)} was opened inside a transaction`)
  }
  const keyColumns = key.ordinals.map((ordinal) => table.columns[ordinal]?.name as string)

  /** Before arrival: the last transaction that touched the key. */
  let touched = new Map<string, string>()
  let touchedBytes = 0
  /** After arrival: ordinals of the rows not struck. */
  let waiting: Map<string, number> | null = null
  let isTaken = false
  let high: LogCoordinate | null = null

  let lastShape: TableShape | null = null
  let lastOrdinals: readonly number[] | null = null

  /** Ordinals of the key's columns in the log's shape; null for another table. By name: after a DDL the log's columns may be ordered otherwise. */
  function ordinalsIn(shape: TableShape): readonly number[] | null {
    if (shape === lastShape) return lastOrdinals
    lastShape = shape
    lastOrdinals =
      shape.id.name === table.id.name && shape.id.schema === table.id.schema
        ? keyColumns.map((name) => ordinalOf(shape, name))
        : null
    return lastOrdinals
  }

  function strike(rowKey: string, transactionId: string): boolean {
    if (waiting !== null) {
      if (isTaken) return waiting.has(rowKey)
      waiting.delete(rowKey)
      return false
    }
    if (!touched.has(rowKey)) touchedBytes += rowKey.length + TOUCH_BYTES
    touched.set(rowKey, transactionId)
    return false
  }

  return {
    touch({ table: shape, before, after }, transactionId) {
      const ordinals = ordinalsIn(shape)
      if (ordinals === null) return false
      const keyBefore = before === null ? null : keyOf(before, ordinals)
      const meetsBefore = keyBefore !== null && strike(keyBefore, transactionId)
      if (after === null) return meetsBefore
      const keyAfter = keyOf(after, ordinals)
      return (keyAfter !== keyBefore && strike(keyAfter, transactionId)) || meetsBefore
    },

    arrive(chunk) {
      waiting = new Map()
      high = chunk.high
      const inLow = new Map<string, boolean>()
      for (let ordinal = 0; ordinal < chunk.keys.length; ordinal++) {
        const rowKey = chunk.keys[ordinal] as string
        const transactionId = touched.get(rowKey)
        if (transactionId !== undefined) {
          let visible = inLow.get(transactionId)
          if (visible === undefined) {
            visible = chunk.isInLow(transactionId)
            inLow.set(transactionId, visible)
          }
          if (!visible) continue
        }
        waiting.set(rowKey, ordinal)
      }
      touched = new Map()
      touchedBytes = 0
    },

    reached(coordinate) {
      return high !== null && compareCoordinates(coordinate, high) >= 0
    },

    take() {
      if (waiting === null)
        throw new SyncError('SYNC-9001', `a chunk of ${tableName(table.id)} was taken before it arrived`)
      isTaken = true
      return [...waiting.values()]
    },

    get full() {
      return waiting === null && touchedBytes >= maxTouchedBytes
    },
    get rows() {
      return waiting?.size ?? 0
    },
  }
}

function ordinalOf(shape: TableShape, name: string): number {
  const ordinal = shape.columns.findIndex((column) => column.name === name)
  if (ordinal < 0) {
    throw new SyncError('SYNC-2301', `the log's ${tableName(shape.id)} lacks the key column ${name}`)
  }
  return ordinal
}
