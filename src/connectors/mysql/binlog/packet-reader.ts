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
      while (this.#at === this.#chunk.length && this.#queue.length > 0) this.#nextChunk()
      const chunk = this.#chunk
      const at = this.#at
      const left = chunk.length - at
      if (left + this.#queuedBytes < headerBytes) return false
      const length =
        left >= headerBytes
          ? (chunk[at] as number) | ((chunk[at + 1] as number) << 8) | ((chunk[at + 2] as number) << 16)
          : this.#ahead(0) | (this.#ahead(1) << 8) | (this.#ahead(2) << 16)
      const whole = headerBytes + length
      if (left + this.#queuedBytes < whole) return false
      this.unreadBytes -= whole
      if (left >= whole) {
        this.bytes = chunk
        this.start = at + headerBytes
        this.#at = at + whole
      } else {
        // Only the packet that lies across is copied, not what stands behind it.
        this.bytes = this.#copyAcross(whole)
        this.start = headerBytes
      }
      this.end = this.start + length
      if (length < fullPacket && this.#parts.length === 0) return true
      this.#parts.push(this.bytes.subarray(this.start, this.end))
      if (length < fullPacket) {
        this.bytes = Buffer.concat(this.#parts)
        this.start = 0
        this.end = this.bytes.length
        this.#parts = []
        return true
      }
    }
  }

  #nextChunk(): void {
    this.#chunk = this.#queue.shift() as Bytes
    this.#queuedBytes -= this.#chunk.length
    this.#at = 0
  }

  /** The byte that is `offset` ahead, in whichever chunk it stands. */
  #ahead(offset: number): number {
    let at = this.#at + offset
    let chunk = this.#chunk
    for (let i = 0; at >= chunk.length; i++) {
      at -= chunk.length
      chunk = this.#queue[i] as Bytes
    }
    return chunk[at] as number
  }

  /** Takes `count` bytes, which are there, out of several chunks. */
  #copyAcross(count: number): Bytes {
    const joined = Buffer.allocUnsafe(count)
    let filled = 0
    let taken = -1
    let chunk = this.#chunk
    let at = this.#at
    for (;;) {
      const size = Math.min(count - filled, chunk.length - at)
      chunk.copy(joined, filled, at, at + size)
      filled += size
      at += size
      if (filled === count) break
      chunk = this.#queue[++taken] as Bytes
      at = 0
      this.#queuedBytes -= chunk.length
    }
    // All at once: taking them one by one off a long queue would move it over and over.
    this.#queue.splice(0, taken + 1)
    this.#chunk = chunk
    this.#at = at
    return joined
  }
}
