/*
 * TRANSACTION_PAYLOAD events: the events of a whole transaction, compressed (binlog_transaction_compression).
 * Guarantees: small payloads are unpacked at once; of large ones only the compressed bytes and a window of the unpacked ones are held,
 * whatever the transaction's size.
 * Events inside have no checksums of their own (the payload's covers them) and no file positions.
 */
import { createZstdDecompress } from 'node:zlib'
import { SyncError } from '../../../core/errors.ts'
import { type Bytes, FieldReader, malformedEvent, u32 } from './bytes.ts'
import { header } from './event-types.ts'
import type { FrameUnpacker } from './zstd-frames.ts'

/** Events that stand inside something else; like PacketReader, `next` sets what it found. */
export interface InnerEvents {
  bytes: Bytes
  start: number
  end: number
  /** False: either the end (`done`), or `fill` must be awaited. */
  next(): boolean
  readonly done: boolean
  fill(): Promise<void>
}

const field = { end: 0, size: 1, compression: 2, uncompressedSize: 3 }
const compression = { zstd: 0, none: 255 }

/** Payloads that unpack to more than this are unpacked piece by piece. */
const maxAtOnceBytes = 4 * 1024 * 1024
const windowBytes = 256 * 1024

/** The events of one payload at a time: those of the one before are gone with the next. */
export function openPayload(unpacker: FrameUnpacker, b: Bytes, start: number, end: number): InnerEvents {
  const fields = new FieldReader(b, start, end)
  let size = -1
  let kind = compression.none
  let uncompressedSize = -1
  for (let type = fields.lenenc(); type !== field.end; type = fields.lenenc()) {
    const value = fields.sub(fields.lenenc())
    if (type === field.size) size = value.lenenc()
    else if (type === field.compression) kind = value.lenenc()
    else if (type === field.uncompressedSize) uncompressedSize = value.lenenc()
  }
  const at = fields.take(size === -1 ? fields.left : size)
  const payload = b.subarray(at, at + (size === -1 ? end - at : size))
  if (kind === compression.none) return eventsIn(payload, payload.length)
  if (kind !== compression.zstd) throw malformedEvent(`a payload with the compression ${kind}`)
  if (uncompressedSize >= 0 && uncompressedSize <= maxAtOnceBytes) {
    let bytes: Bytes
    try {
      bytes = unpacker.unpack(payload, uncompressedSize)
    } catch (cause) {
      throw cannotUnpack(cause)
    }
    return eventsIn(bytes, uncompressedSize)
  }
  return streamedEvents(payload)
}

const cannotUnpack = (cause: unknown): SyncError =>
  new SyncError('SYNC-2206', 'A compressed transaction of the log cannot be unpacked', { cause })

function eventLength(bytes: Bytes, at: number): number {
  const length = u32(bytes, at + header.size)
  if (length < header.bytes) throw malformedEvent(`an event of ${length} bytes inside a payload`)
  return length
}

/** @param end of the events in `bytes` */
function eventsIn(bytes: Bytes, end: number): InnerEvents {
  let at = 0
  return {
    bytes,
    start: 0,
    end: 0,
    next() {
      if (at === end) return false
      if (at + header.bytes > end) throw malformedEvent('a payload that ends within an event')
      const length = eventLength(bytes, at)
      if (at + length > end) throw malformedEvent('a payload that ends within an event')
      this.start = at
      at += length
      this.end = at
      return true
    },
    get done() {
      return at === end
    },
    fill: () => Promise.resolve(),
  }
}

/** Events kept one by one, as they were taken out of the stream. */
export function eventsOf(list: readonly Bytes[]): InnerEvents {
  let i = 0
  return {
    bytes: Buffer.alloc(0),
    start: 0,
    end: 0,
    next() {
      const bytes = list[i]
      if (bytes === undefined) return false
      i++
      this.bytes = bytes
      this.end = bytes.length
      return true
    },
    get done() {
      return i === list.length
    },
    fill: () => Promise.resolve(),
  }
}

function streamedEvents(payload: Bytes): InnerEvents {
  const unpack = createZstdDecompress({ chunkSize: windowBytes })
  const chunks = unpack[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  unpack.end(payload)
  let window: Buffer = Buffer.alloc(0)
  let at = 0
  let ended = false
  return {
    bytes: window,
    start: 0,
    end: 0,
    next() {
      if (at + header.bytes > window.length) return false
      const length = eventLength(window, at)
      if (at + length > window.length) return false
      this.bytes = window
      this.start = at
      at += length
      this.end = at
      return true
    },
    get done() {
      return ended && at === window.length
    },
    async fill() {
      // Read until the next event is whole; a single event may be larger than the window.
      const parts = [window.subarray(at)]
      let bytes = window.length - at
      let wanted = 0
      do {
        const chunk = await chunks.next().catch((cause: unknown) => {
          throw cannotUnpack(cause)
        })
        if (chunk.done === true) {
          if (bytes > 0) throw malformedEvent('a payload that ends within an event')
          ended = true
          break
        }
        parts.push(chunk.value)
        bytes += chunk.value.length
        if (wanted === 0 && bytes >= header.bytes) wanted = eventLength(Buffer.concat(parts), 0)
      } while (bytes < Math.max(wanted, header.bytes))
      window = Buffer.concat(parts, bytes)
      at = 0
    },
  }
}
