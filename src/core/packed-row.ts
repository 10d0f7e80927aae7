/**
 * Rows that stay as their source sent them until somebody wants their values; only the key is read at once.
 *
 * Why: nearly every row of a batch waits in memory until it is written, and many are overtaken by a later image of the same key before anybody has
 * looked at them. As values they are eight objects each (packed-table.ts keeps them as bytes).
 * Guarantees: `read` gives the same values each time. Pure memory, nothing outlives the process.
 */
import type { Row } from './value.ts'

/** How packed rows of one definition are read. */
export interface RowForm {
  /** The row whose packed bytes are `bytes[at, at + length)`. */
  read(bytes: Uint8Array, at: number, length: number): Row
}

export class PackedRow {
  /** `keyOf` the row by its table's primary key. */
  readonly key: string
  /** As the source sent it, a byte string. */
  readonly packed: string
  readonly form: RowForm

  constructor(key: string, packed: string, form: RowForm) {
    this.key = key
    this.packed = packed
    this.form = form
  }

  /** Approximate memory while it stands alone: the object, its two texts and their headers. */
  get bytes(): number {
    return 80 + this.key.length + this.packed.length
  }

  /** The row's values, read anew at each call. */
  read(): Row {
    const bytes = new Uint8Array(this.packed.length)
    writeByteString(bytes, 0, this.packed)
    return this.form.read(bytes, 0, bytes.length)
  }
}

/** Writes a byte string (value.ts) to `bytes[at, ...)`. */
export function writeByteString(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i)
}
