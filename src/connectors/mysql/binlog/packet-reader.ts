/*
 * Cuts a stream of chunks into packets of the MySQL protocol, without copying where a packet lies within one chunk.
 * Guarantees: packets of any size, also those of 16 MiB and more, which the protocol splits; each byte is copied at most a fixed number of
 * times, however the stream is cut into chunks.
 * Assumes the stream begins at a packet's start. Sequence numbers are not checked: TCP keeps the order, and each event has a checksum.
 */
import type { Bytes } from './bytes.ts'

const headerBytes = 4
const fullPacket = 0xff_ffff

export class PacketReader {
  /** The packet that `next` found: `bytes[start, end)`. Valid as long as the caller keeps `bytes`. */
  bytes: Bytes = Buffer.alloc(0)
  start = 0
  end = 0

  /** Bytes that were pushed and not yet returned as packets. */
  unreadBytes = 0

  /** The chunk that is being cut, and where the next packet begins in it. */
  #chunk: Bytes = Buffer.alloc(0)
  #at = 0
  /** Chunks behind it. */
  #queue: Bytes[] = []
  #queuedBytes = 0
  /** Parts of a split packet whose last part has not come. */
  #parts: Bytes[] = []

  push(chunk: Bytes): void {
    this.unreadBytes += chunk.length
    if (this.#at === this.#chunk.length && this.#queue.length === 0) {
      this.#chunk = chunk
      this.#at = 0
    } else {
      this.#queue.push(chunk)
      this.#queuedBytes += chunk.length
    }
  }

  /** Moves to the next packet. False: more bytes are needed. */
  next(): boolean {
    for (;;) {
      if (!this.#has(headerBytes)) return false
      const chunk = this.#chunk
      const at = this.#at
      const length =
        (chunk[at] as number) | ((chunk[at + 1] as number) << 8) | ((chunk[at + 2] as number) << 16)
      if (!this.#has(headerBytes + length)) return false
      const start = this.#at + headerBytes
      this.#at = start + length
      this.unreadBytes -= headerBytes + length
      if (length < fullPacket && this.#parts.length === 0) {
        this.bytes = this.#chunk
        this.start = start
        this.end = start + length
        return true
      }
      this.#parts.push(this.#chunk.subarray(start, start + length))
      if (length < fullPacket) {
        this.bytes = Buffer.concat(this.#parts)
        this.start = 0
        this.end = this.bytes.length
        this.#parts = []
        return true
      }
    }
  }

  /** Are `count` bytes there? Then they stand together in `#chunk`. */
  #has(count: number): boolean {
    const left = this.#chunk.length - this.#at
    if (left >= count) return true
    if (left + this.#queuedBytes < count) return false
    if (left === 0 && this.#queue.length > 0 && (this.#queue[0] as Bytes).length >= count) {
      this.#chunk = this.#queue.shift() as Bytes
      this.#queuedBytes -= this.#chunk.length
      this.#at = 0
      return true
    }
    // Join only as many chunks as are needed, so that a full queue is not copied over and over.
    const joined: Bytes[] = [this.#chunk.subarray(this.#at)]
    let bytes = left
    let taken = 0
    while (bytes < count) {
      const chunk = this.#queue[taken++] as Bytes
      joined.push(chunk)
      bytes += chunk.length
    }
    this.#queue.splice(0, taken)
    this.#queuedBytes -= bytes - left
    this.#chunk = Buffer.concat(joined, bytes)
    this.#at = 0
    return true
  }
}
