/**
 * The net effect of a batch on one table whose rows are packed (packed-row.ts), as bytes in a few pages instead of objects on the heap.
 *
 * Guarantees: for each key whether the row was there before the first change and is there after the last one, and its last image; the same as
 * merge.ts keeps for rows. Assumes a table that meets others by its primary key alone (no other unique key), so that no image of before is wanted.
 * Why: short rows cost some 250 bytes and five objects each on the heap, all of which live for one batch: the garbage collector copied each of them twice
 * (40 % of the engine's CPU while inserts were caught up with, docs/operations/performance.md). Here it is the key and some 20 bytes beside the image.
 * Nothing can be read after the release of its pages, and nothing outlives the process.
 */
import { type PackedPages, roomFor } from './packed-pages.ts'
import type { PackedRow, RowForm } from './packed-row.ts'
import type { Row } from './value.ts'

const wasThere = 1
const isThere = 2
/** Of a key besides its text: the text's header, its places in map and list, and its part of the columns below. */
const keyBytes = 88
const firstEntries = 32

export class PackedTable {
  readonly #pages: PackedPages
  readonly #index = new Map<string, number>()
  readonly #keys: string[] = []
  readonly #forms: RowForm[] = []
  // By entry.
  #position = new Int32Array(firstEntries)
  #length = new Int32Array(firstEntries)
  #room = new Int32Array(firstEntries)
  #formOf = new Uint16Array(firstEntries)
  #state = new Uint8Array(firstEntries)
  #bytes = 0

  constructor(pages: PackedPages) {
    this.#pages = pages
  }

  /** Keys that were touched. */
  get size(): number {
    return this.#keys.length
  }

  /** Approximate memory. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes a change of one key. */
  add(before: PackedRow | null, after: PackedRow | null): void {
    const { key } = (after ?? before) as PackedRow
    let entry = this.#index.get(key)
    if (entry === undefined) {
      entry = this.#keys.push(key) - 1
      this.#index.set(key, entry)
      if (entry === this.#state.length) this.#grow()
      this.#state[entry] = before === null ? 0 : wasThere
      this.#bytes += keyBytes + key.length
      // Of a row that is removed its key is wanted, which any of its images has.
      this.#write(entry, (after ?? before) as PackedRow)
    } else if (after !== null) this.#write(entry, after)
    const state = this.#state[entry] as number
    this.#state[entry] = after === null ? state & wasThere : state | isThere
  }

  key(entry: number): string {
    return this.#keys[entry] as string
  }

  wasThere(entry: number): boolean {
    return ((this.#state[entry] as number) & wasThere) !== 0
  }

  isThere(entry: number): boolean {
    return ((this.#state[entry] as number) & isThere) !== 0
  }

  /** The last image, or of a removed row one with its key. */
  read(entry: number): Row {
    const position = this.#position[entry] as number
    const form = this.#forms[this.#formOf[entry] as number] as RowForm
    const pages = this.#pages
    return form.read(pages.page(position), pages.offset(position), this.#length[entry] as number)
  }

  find(key: string): number | undefined {
    return this.#index.get(key)
  }

  #write(entry: number, { packed, form }: PackedRow): void {
    const { length } = packed
    if (length > (this.#room[entry] as number)) {
      // The place before is lost until the batch is done.
      const room = roomFor(length)
      this.#position[entry] = this.#pages.place(room)
      this.#room[entry] = room
      this.#bytes += room
    }
    this.#pages.write(this.#position[entry] as number, packed)
    this.#length[entry] = length
    this.#formOf[entry] = this.#numberOf(form)
  }

  #numberOf(form: RowForm): number {
    const last = this.#forms.length - 1
    if (this.#forms[last] === form) return last
    const known = this.#forms.indexOf(form)
    return known >= 0 ? known : this.#forms.push(form) - 1
  }

  #grow(): void {
    const size = this.#state.length * 2
    const grown = <T extends Int32Array | Uint16Array | Uint8Array>(from: T, to: T): T => {
      to.set(from)
      return to
    }
    this.#position = grown(this.#position, new Int32Array(size))
    this.#length = grown(this.#length, new Int32Array(size))
    this.#room = grown(this.#room, new Int32Array(size))
    this.#formOf = grown(this.#formOf, new Uint16Array(size))
    this.#state = grown(this.#state, new Uint8Array(size))
  }
}

/** Some rows of a packed table, in an order of their own; read one by one when they are written. */
export class PackedRows {
  readonly #table: PackedTable
  readonly #entries: number[]

  constructor(table: PackedTable, entries: number[] = []) {
    this.#table = table
    this.#entries = entries
  }

  get length(): number {
    return this.#entries.length
  }

  push(entry: number): void {
    this.#entries.push(entry)
  }

  /** Those that were not there before the batch, and the others. */
  apart(): { readonly fresh: PackedRows; readonly others: PackedRows } {
    const fresh: number[] = []
    const others: number[] = []
    for (const entry of this.#entries) (this.#table.wasThere(entry) ? others : fresh).push(entry)
    return { fresh: new PackedRows(this.#table, fresh), others: new PackedRows(this.#table, others) }
  }

  slice(from: number, to: number): PackedRows {
    return new PackedRows(this.#table, this.#entries.slice(from, to))
  }

  *[Symbol.iterator](): Generator<Row> {
    for (const entry of this.#entries) yield this.#table.read(entry)
  }

  /**
   * By the primary key: numbers by size as far as a double tells them apart, texts by bytes, where it is of one column; otherwise by the values at
   * `ordinals`.
   */
  inKeyOrder(ordinals: readonly number[]): PackedRows {
    const table = this.#table
    if (ordinals.length > 1) {
      const keys = new Map(
        this.#entries.map((entry) => {
          const row = table.read(entry)
          return [entry, ordinals.map((i) => row[i] ?? 0)]
        }),
      )
      return new PackedRows(
        table,
        this.#entries.toSorted((a, b) => compareLists(keys.get(a), keys.get(b))),
      )
    }
    const first = this.#entries[0]
    if (first === undefined || !table.key(first).startsWith('i')) {
      return new PackedRows(
        table,
        this.#entries.toSorted((a, b) => (table.key(a) < table.key(b) ? -1 : 1)),
      )
    }
    const numbers = Float64Array.from(this.#entries, (entry) => Number(table.key(entry).slice(1)))
    const order = Uint32Array.from(numbers, (_, i) => i).sort(
      (a, b) => (numbers[a] as number) - (numbers[b] as number),
    )
    return new PackedRows(
      table,
      Array.from(order, (i) => this.#entries[i] as number),
    )
  }
}

function compareLists(a: readonly unknown[] = [], b: readonly unknown[] = []): number {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number]
    if (x < y) return -1
    if (x > y) return 1
  }
  return 0
}
