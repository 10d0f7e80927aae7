/*
 * Row images that are kept as they stand in the log (core/packed-row.ts): the key is read, the rest is passed over.
 * Guarantees: the image's bytes are copied, so nothing of the event is kept alive, and what is read of them later is what `readRow` would have read at once.
 * Assumes what row-reader.ts assumes. A packed row may be read until the log's table maps are gone, and from one place at a time (no await inside).
 */
import { PackedRow, type RowForm } from '../../../core/packed-row.ts'
import { keyOf } from '../../../core/value.ts'
import { latin1, viewOf } from './bytes.ts'
import { compileRowReader, type RowCursor } from './row-reader.ts'
import type { MappedTable } from './table-map.ts'

export interface RowPacking {
  /** Takes the image at the cursor, which moves behind it. */
  take(cursor: RowCursor): PackedRow
}

/** Null: the table has no primary key that the log tells of. */
export function createRowPacking(table: MappedTable): RowPacking | null {
  const { shape, columns } = table
  if (shape.primaryKey === undefined) return null
  const { ordinals } = shape.primaryKey
  const readKey = compileRowReader(
    columns,
    shape.columns.map((column) => column.type),
    ordinals,
  )
  const places = ordinals.map((_, place) => place)
  const form = createForm(table)
  return {
    take(cursor) {
      const from = cursor.at
      const key = readKey(cursor)
      return new PackedRow(keyOf(key, places), latin1(cursor.bytes, from, cursor.at), form)
    },
  }
}

/** Reads images back: from memory of its own, which the compiled reader knows as a Buffer with its view and its text. */
function createForm(table: MappedTable): RowForm {
  let own = Buffer.alloc(0)
  const cursor: RowCursor = { bytes: own, view: viewOf(own), text: '', textAt: 0, at: 0 }
  return {
    read(bytes, at, length) {
      if (length > own.length) {
        own = Buffer.allocUnsafeSlow(Math.max(1024, length * 2))
        cursor.bytes = own
        cursor.view = viewOf(own)
      }
      if (length < 64) for (let i = 0; i < length; i++) own[i] = bytes[at + i] as number
      else own.set(bytes.subarray(at, at + length))
      cursor.text = latin1(own, 0, length)
      cursor.at = 0
      return table.readRow(cursor)
    },
  }
}
