/*
 * Numbers and names as they stand in binlog events and protocol packets: little endian unless the name says otherwise.
 * Plain index access, because it is what the engine compiles best; offsets are the caller's to keep within the event.
 */
import { SyncError } from '../../../core/errors.ts'

export type Bytes = Buffer

export const u16 = (b: Bytes, o: number): number => (b[o] as number) | ((b[o + 1] as number) << 8)

export const u24 = (b: Bytes, o: number): number => u16(b, o) | ((b[o + 2] as number) << 16)

export const u32 = (b: Bytes, o: number): number => (u24(b, o) | ((b[o + 3] as number) << 24)) >>> 0

/** 48 bits, as table ids have. */
export const u48 = (b: Bytes, o: number): number => u32(b, o) + u16(b, o + 4) * 0x1_0000_0000

/** 56 bits, as commit times have: up to 2^55, of which times need 51. */
export const u56 = (b: Bytes, o: number): number => u32(b, o) + u24(b, o + 4) * 0x1_0000_0000

/** 64 bits where what is counted stays below 2^53 (file positions, sizes). */
export function u64(b: Bytes, o: number): number {
  const value = u32(b, o) + u32(b, o + 4) * 0x1_0000_0000
  if (!Number.isSafeInteger(value)) throw malformedEvent(`a size of ${b.readBigUInt64LE(o)} bytes`)
  return value
}

export const viewOf = (b: Bytes): DataView => new DataView(b.buffer, b.byteOffset, b.length)

/** A byte string; `latin1Slice` is what `toString('latin1')` ends in, without its checks (it is not in Node's types). */
export const latin1 = (b: Bytes, start: number, end: number): string =>
  (b as unknown as { latin1Slice(start: number, end: number): string }).latin1Slice(start, end)

/** Reads a structure field by field. Every read is checked against `end`. */
export class FieldReader {
  readonly bytes: Bytes
  readonly end: number
  at: number
  constructor(bytes: Bytes, at: number, end: number) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get left(): number {
    return this.end - this.at
  }

  /** Offset of the next `count` bytes, which are taken. */
  take(count: number): number {
    const at = this.at
    if (count < 0 || count > this.end - at)
      throw malformedEvent(`${count} bytes wanted where ${this.end - at} are left`)
    this.at = at + count
    return at
  }

  u8(): number {
    return this.bytes[this.take(1)] as number
  }

  u16(): number {
    return u16(this.bytes, this.take(2))
  }

  /** A length-encoded integer of the MySQL protocol. */
  lenenc(): number {
    const first = this.u8()
    if (first < 251) return first
    if (first === 252) return u16(this.bytes, this.take(2))
    if (first === 253) return u24(this.bytes, this.take(3))
    if (first === 254) return u64(this.bytes, this.take(8))
    throw malformedEvent(`a length that begins with ${first}`)
  }

  latin1(count: number): string {
    const at = this.take(count)
    return this.bytes.toString('latin1', at, at + count)
  }

  utf8(count: number): string {
    const at = this.take(count)
    return this.bytes.toString('utf8', at, at + count)
  }

  sub(count: number): FieldReader {
    const at = this.take(count)
    return new FieldReader(this.bytes, at, at + count)
  }
}

export const malformedEvent = (what: string): SyncError =>
  new SyncError('SYNC-2206', `An event of the log is not formed as expected: ${what}`)
