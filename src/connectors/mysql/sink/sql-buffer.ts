/**
 * Text of a statement as it grows, as bytes.
 *
 * Why not `text += part`: V8 keeps the parts and a node for each of them until the text is looked at, and a statement of 1 MiB takes long enough to
 * make that the garbage collector copies them all, twice (seen: half of what was allocated survived, two thirds of the engine's garbage collection).
 * Everything is a byte string (sql-text.ts). Memory only.
 */

const firstBytes = 64 * 1024

/** What Node has and its types do not show: without the checks of `write`. */
interface Latin1Buffer extends Buffer {
  latin1Write(text: string, at: number, bytes: number): number
  latin1Slice(start: number, end: number): string
}

export class SqlBuffer {
  #bytes = Buffer.allocUnsafeSlow(firstBytes) as Latin1Buffer
  #length = 0

  get length(): number {
    return this.#length
  }

  add(text: string): void {
    const end = this.#length + text.length
    if (end > this.#bytes.length) this.#grow(end)
    this.#bytes.latin1Write(text, this.#length, text.length)
    this.#length = end
  }

  /** The text so far; begins anew. */
  take(): string {
    const text = this.#bytes.latin1Slice(0, this.#length)
    this.#length = 0
    return text
  }

  /** The same as bytes of their own. */
  takeBytes(): Buffer {
    const bytes = Buffer.from(this.#bytes.subarray(0, this.#length))
    this.#length = 0
    return bytes
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length)) as Latin1Buffer
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}
