/*
 * Row events: WRITE, UPDATE and DELETE, in the form since 5.6 and the one before.
 * Guarantees: every row of the event, whole and in order, or an error; an event without all columns (binlog_row_image) is refused, because an absent
 * value would read as another, unless its table does not take part. A large event is read in steps, so that its rows are never all in memory.
 */
import { SyncError } from '../../../core/errors.ts'
import { tableName } from '../../../core/schema.ts'
import { PackedChange, type RowChange } from '../../../core/transaction.ts'
import type { LogScope } from '../../contract.ts'
import { type Bytes, FieldReader, latin1, malformedEvent, u16, u48, viewOf } from './bytes.ts'
import { eventType, header } from './event-types.ts'
import type { RowCursor } from './row-reader.ts'
import type { SliceBuilder } from './slice-builder.ts'
import type { MappedTable, TableMaps, WantedRows } from './table-map.ts'

/** Row events up to this size are turned into text at once (row-reader.ts). */
const maxTextBytes = 32 * 1024
/** Marks an event that only ends a statement. */
const dummyTableId = 0xff_ffff

const isInsert = (type: number): boolean => type === eventType.writeRows || type === eventType.writeRowsV1
const isUpdate = (type: number): boolean => type === eventType.updateRows || type === eventType.updateRowsV1

export class RowEvents {
  readonly #maps: TableMaps
  readonly #slices: SliceBuilder
  readonly #scope: LogScope
  readonly #cursor: RowCursor = {
    bytes: Buffer.alloc(0),
    view: new DataView(new ArrayBuffer(0)),
    text: '',
    textAt: 0,
    at: 0,
  }
  /** The event in hand; its next row is at `#cursor.at`. */
  #open: { readonly table: MappedTable; readonly type: number; readonly end: number } | null = null

  constructor(maps: TableMaps, slices: SliceBuilder, scope: LogScope) {
    this.#maps = maps
    this.#slices = slices
    this.#scope = scope
  }

  /** Is an event in hand with rows left? Then `read` before anything else. */
  get isOpen(): boolean {
    return this.#open !== null
  }

  /** Most events in a row stand in one chunk, whose view is made once. Not while an event is open. */
  viewOf(b: Bytes): DataView {
    const cursor = this.#cursor
    if (cursor.bytes !== b) {
      cursor.bytes = b
      cursor.view = viewOf(b)
    }
    return cursor.view
  }

  /** Opens the event at `start`, whose body ends at `end`, and reads as far as fits the turn. */
  start(b: Bytes, start: number, end: number, type: number): void {
    const body = start + header.bytes
    const id = u48(b, body)
    if (id === dummyTableId) return
    const table = this.#maps.get(id)
    if (table === undefined) throw malformedEvent(`rows of the table id ${id}, which no table map names`)
    if (table.isSequence) return
    if (table.refusal !== null) {
      this.#refuse(table, table.refusal)
      return
    }
    let at = body + 8
    // Since 5.6 there is a list of extra data, whose length counts itself.
    if (type >= eventType.writeRows) at += u16(b, at)
    const fields = new FieldReader(b, at, end)
    if (fields.lenenc() !== table.columns.length) {
      throw malformedEvent('rows with another number of columns than their table map')
    }
    if (!hasAllColumns(fields, table) || (isUpdate(type) && !hasAllColumns(fields, table))) {
      const name = tableName(table.shape.id)
      this.#refuse(
        table,
        new SyncError('SYNC-2208', `${name}: a row event lacks columns (binlog_row_image is not FULL)`, {
          details: { table: name },
        }),
      )
      return
    }

    const cursor = this.#cursor
    this.viewOf(b)
    cursor.at = fields.at
    cursor.textAt = fields.at
    table.wanted ??= this.#wantedOf(table)
    const isText = table.wanted === 'values' && end - fields.at <= maxTextBytes
    cursor.text = isText ? latin1(b, fields.at, end) : ''
    this.#open = { table, type, end }
    this.read()
  }

  #wantedOf(table: MappedTable): WantedRows {
    const wanted = this.#scope.rowsOf?.(table.shape) ?? 'values'
    return wanted === 'packed' && table.packing() === null ? 'values' : wanted
  }

  /** Refuses an event of rows that are logged in part. */
  refusePartial(b: Bytes, start: number): void {
    const table = this.#maps.get(u48(b, start + header.bytes))
    if (table === undefined) throw malformedEvent('an update of a table that no table map names')
    const name = tableName(table.shape.id)
    this.#refuse(
      table,
      new SyncError(
        'SYNC-2208',
        `${name}: an update is logged as parts of JSON documents (binlog_row_value_options=PARTIAL_JSON)`,
        { details: { table: name } },
      ),
    )
  }

  /** What cannot be read and does not take part is passed over, and its rows are not counted: nobody could ever read them. */
  #refuse({ shape }: MappedTable, refusal: SyncError): void {
    if (this.#scope.takesTable(shape.id)) throw refusal
  }

  /** Reads rows until the event ends or the turn's output is full. */
  read(): void {
    if (this.#open === null) return
    const { table, type, end } = this.#open
    const { shape } = table
    const cursor = this.#cursor
    const slices = this.#slices
    const inserts = isInsert(type)
    const updates = isUpdate(type)
    // As core/value.ts counts: 32 for a row and 16 for a value, besides the bytes; the encoded row is near enough to those.
    const overhead = (32 + 16 * table.columns.length) * (updates ? 2 : 1)
    while (cursor.at < end) {
      const from = cursor.at
      const change = readChange(table, inserts, updates, cursor)
      if (cursor.at > end) throw malformedEvent(`a row of ${tableName(shape.id)} that ends outside its event`)
      if (slices.add(change, cursor.at - from + overhead) && slices.isFull && cursor.at < end) return
    }
    this.#open = null
    cursor.text = ''
  }
}

/** Reads one change at the cursor, in the form that is wanted. */
function readChange(table: MappedTable, inserts: boolean, updates: boolean, cursor: RowCursor): RowChange {
  const { shape } = table
  if (table.wanted === 'values') {
    const first = table.readRow(cursor)
    if (inserts) return { table: shape, before: null, after: first }
    return { table: shape, before: first, after: updates ? table.readRow(cursor) : null }
  }
  const packing = table.wanted === 'packed' ? table.packing() : null
  if (packing !== null) {
    const first = packing.take(cursor)
    if (inserts) return new PackedChange(shape, null, first)
    return new PackedChange(shape, first, updates ? packing.take(cursor) : null)
  }
  table.skipRow(cursor)
  if (updates) table.skipRow(cursor)
  return { table: shape, before: null, after: null }
}

function hasAllColumns(fields: FieldReader, { columns }: MappedTable): boolean {
  const bitmap = fields.take((columns.length + 7) >> 3)
  for (let i = 0; i < columns.length; i += 8) {
    const wanted = columns.length - i >= 8 ? 0xff : (1 << (columns.length - i)) - 1
    if (((fields.bytes[bitmap + (i >> 3)] as number) & wanted) !== wanted) return false
  }
  return true
}
