/**
 * Bytes of packed rows (packed-row.ts) of one batch, in pages that are used again by the batches to come.
 *
 * Why pages of their own: what lies here is invisible to the garbage collector, and all tables of a batch share them, so a thousand tables with a row
 * each take no more than their rows. After `release` nothing may be read. Nothing outlives the process.
 */
import { SyncError } from './errors.ts'
import { writeByteString } from './packed-row.ts'

const pageBytes = 1 << 18
/** Images are written over by later ones of about the same length: a little room spares a new place. */
const roundedTo = 16

export interface PagePool {
  take(): Uint8Array
  give(pages: readonly Uint8Array[]): void
}

/** @param maxPages kept for later */
export function createPagePool(maxPages = 64): PagePool {
  const free: Uint8Array[] = []
  return {
    take: () => free.pop() ?? new Uint8Array(pageBytes),
    give(pages) {
      for (const page of pages) if (page.length === pageBytes && free.length < maxPages) free.push(page)
    },
  }
}

export const roomFor = (length: number): number => Math.ceil(length / roundedTo) * roundedTo

export class PackedPages {
  readonly #pool: PagePool
  #pages: Uint8Array[] = []
  /** Where the next image goes in the last page. */
  #at = pageBytes

  constructor(pool: PagePool) {
    this.#pool = pool
  }

  /** A place of `room` bytes; it is never given back alone. Positions are below 2 GiB. */
  place(room: number): number {
    if (this.#at + room > pageBytes) {
      this.#pages.push(room > pageBytes ? new Uint8Array(room) : this.#pool.take())
      this.#at = 0
    }
    const position = (this.#pages.length - 1) * pageBytes + this.#at
    this.#at += room
    return position
  }

  write(position: number, packed: string): void {
    writeByteString(this.page(position), position % pageBytes, packed)
  }

  /** The page of a position; the bytes begin at `offset(position)`. */
  page(position: number): Uint8Array {
    const page = this.#pages[Math.floor(position / pageBytes)]
    if (page === undefined) throw new SyncError('SYNC-9001', 'packed rows were read after their release')
    return page
  }

  offset(position: number): number {
    return position % pageBytes
  }

  release(): void {
    this.#pool.give(this.#pages)
    this.#pages = []
    this.#at = pageBytes
  }
}
