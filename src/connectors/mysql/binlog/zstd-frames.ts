/*
 * Unpacks small zstd frames, one after the other, with one decoder and into one buffer.
 * Guarantees: exactly what zstdDecompressSync gives, or its error.
 * Why not that one for each: it makes a decoder and drops it, which costs 8 to 12 us and a native context to collect, where a small transaction
 * takes 2 (measured, Node 24.21). The way to use a decoder twice without waiting for a thread is not in Node's documentation (`_handle.writeSync`, which
 * node:zlib's own synchronous functions use); where a version of Node has no such way, or a frame does not come out as it should,
 * zstdDecompressSync does it.
 */
import { createZstdDecompress, zstdDecompressSync } from 'node:zlib'
import { type Bytes, u16, u24, u32 } from './bytes.ts'

export interface FrameUnpacker {
  /**
   * @param size of what comes out, as the frame's owner says
   * @returns a buffer that begins with it; good until the next call. Its length says nothing
   * @throws what zstdDecompressSync throws, or RangeError where the size is another
   */
  unpack(frame: Bytes, size: number): Bytes
}

/** The parts of node:zlib's stream that its own synchronous functions use. */
interface Decoder {
  readonly _handle?: {
    writeSync?(
      flush: number,
      input: Uint8Array,
      inputAt: number,
      inputBytes: number,
      output: Uint8Array,
      outputAt: number,
      outputBytes: number,
    ): void
  } | null
  /** Left of the output's room and of the input, after a write. */
  readonly _writeState?: Uint32Array
}

const goOn = 0
const firstBufferBytes = 64 * 1024

export function createFrameUnpacker(): FrameUnpacker {
  let decoder: Decoder | null = null
  let buffer: Bytes = Buffer.allocUnsafeSlow(firstBufferBytes)

  function open(): Decoder {
    const stream = createZstdDecompress()
    // Errors are seen by what comes out.
    stream.on('error', () => {})
    return stream as unknown as Decoder
  }

  /** False: not so. */
  function decode(frame: Bytes, size: number): boolean {
    decoder ??= open()
    const { _handle: handle, _writeState: state } = decoder
    if (handle === undefined || handle === null || handle.writeSync === undefined || state === undefined)
      return false
    // After an error it stays as it is, so it must not say what the last frame left. A byte more than is wanted shows what is too long.
    state[0] = 0
    handle.writeSync(goOn, frame, 0, frame.length, buffer, 0, size + 1)
    return state[0] === 1 && state[1] === 0
  }

  return {
    unpack(frame, size) {
      if (buffer.length < size + 1) buffer = Buffer.allocUnsafeSlow(2 * size + 1)
      if (isWholeFrame(frame, size) && decode(frame, size)) return buffer
      // Whatever state it is in.
      decoder = null
      const bytes = zstdDecompressSync(frame)
      if (bytes.length !== size)
        throw new RangeError(`a frame of ${bytes.length} bytes where ${size} are said`)
      return bytes
    },
  }
}

const magic = 0xfd2f_b528
const dictionaryIdBytes = [0, 1, 2, 4] as const
const contentSizeBytes = [0, 2, 4, 8] as const
const blockType = { runLength: 1, compressed: 2 } as const

/**
 * Is this one frame of `size` bytes, from its beginning to its end (RFC 8878, 3.1.1)? By the lengths of its blocks: a decoder does not tell whether it waits for
 * more of a frame, and the next one would be taken for that.
 */
function isWholeFrame(b: Bytes, size: number): boolean {
  if (b.length < 5 || u32(b, 0) !== magic) return false
  const descriptor = b[4] as number
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeFlag = descriptor >> 6
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (contentSizeBytes[sizeFlag] as number)
  const sizeAt = 5 + (isSingleSegment ? 0 : 1) + (dictionaryIdBytes[descriptor & 3] as number)
  let at = sizeAt + sizeBytes
  if (at > b.length || (sizeBytes > 0 && contentSize(b, sizeAt, sizeBytes) !== size)) return false
  for (let isLast = false; !isLast; ) {
    if (at + 3 > b.length) return false
    const block = u24(b, at)
    isLast = (block & 1) === 1
    const type = (block >> 1) & 3
    if (type > blockType.compressed) return false
    at += 3 + (type === blockType.runLength ? 1 : block >> 3)
  }
  const checksumBytes = (descriptor & 4) !== 0 ? 4 : 0
  return at + checksumBytes === b.length
}

function contentSize(b: Bytes, at: number, bytes: number): number {
  if (bytes === 1) return b[at] as number
  if (bytes === 2) return 256 + u16(b, at)
  return bytes === 4 ? u32(b, at) : Number(b.readBigUInt64LE(at))
}
