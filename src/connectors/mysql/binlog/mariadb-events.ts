/*
 * What MariaDB's log has of its own: GTID events, and statements and rows that are compressed one by one (log_bin_compress).
 * Guarantees: a flag or a form that is not known is refused, never guessed at.
 * Source: MariaDB 10.11, sql/log_event.h (flags of Gtid_log_event) and the format of binlog_buf_compress; tried on 10.11.18.
 */
import { inflateSync } from 'node:zlib'
import { SyncError } from '../../../core/errors.ts'
import { type Bytes, FieldReader, malformedEvent, u16, u32 } from './bytes.ts'
import { eventType, header } from './event-types.ts'

const flag = {
  /** A transaction of one event: no COMMIT follows. */
  standalone: 1,
  groupCommitId: 2,
  preparedXa: 64,
  completedXa: 128,
} as const

const extraFlag = {
  startAlter: 2,
  rollbackAlter: 8,
} as const

export interface MariadbGtid {
  /** `domain-server-sequence`. */
  readonly id: string
  /** What follows. `alter-begun`: an ALTER TABLE that takes effect with a later event, or never (binlog_alter_two_phase). */
  readonly kind: 'transaction' | 'standalone' | 'xa-prepare' | 'xa-end' | 'alter-begun'
  /** Name of the XA transaction, as XA statements of the log write it; '' for others. */
  readonly xa: string
}

export function readMariadbGtid(b: Bytes, start: number, body: number, end: number): MariadbGtid {
  const fields = new FieldReader(b, body, end)
  const at = fields.take(8)
  const high = u32(b, at + 4)
  const sequence = high < 2 ** 21 ? u32(b, at) + high * 2 ** 32 : b.readBigUInt64LE(at)
  const domain = u32(b, fields.take(4))
  const flags = fields.u8()
  const id = `${domain}-${u32(b, start + header.serverId)}-${sequence}`
  if ((flags & flag.groupCommitId) !== 0) fields.take(8)
  const isXa = (flags & (flag.preparedXa | flag.completedXa)) !== 0
  const xa = isXa ? xaNameOf(fields) : ''
  // A short event is filled up with zeroes, so what is not there reads as no flag.
  const extra = fields.left > 0 ? fields.u8() : 0
  if ((extra & (extraFlag.startAlter | extraFlag.rollbackAlter)) !== 0) {
    return { id, kind: 'alter-begun', xa: '' }
  }
  if ((flags & flag.preparedXa) !== 0) return { id, kind: 'xa-prepare', xa }
  if ((flags & flag.completedXa) !== 0) return { id, kind: 'xa-end', xa }
  return plain(id, flags)
}

const plain = (id: string, flags: number): MariadbGtid => ({
  id,
  kind: (flags & flag.standalone) !== 0 ? 'standalone' : 'transaction',
  xa: '',
})

function xaNameOf(fields: FieldReader): string {
  const format = u32(fields.bytes, fields.take(4)) | 0
  const gtridBytes = fields.u8()
  const bqualBytes = fields.u8()
  const hex = (bytes: number): string => {
    const at = fields.take(bytes)
    return fields.bytes.toString('hex', at, at + bytes)
  }
  return `X'${hex(gtridBytes)}',X'${hex(bqualBytes)}',${format}`
}

/** A compressed event as it would stand in the log without compression: the header is the old one but for the type. */
export function uncompressedEvent(b: Bytes, start: number, end: number, type: number): Buffer {
  const body = start + header.bytes
  const isQuery = type === eventType.queryCompressed
  const at = isQuery ? queryTextAt(b, body) : rowsAt(b, body, end, type)
  if (at >= end) throw malformedEvent('a compressed event without its content')
  const event = Buffer.concat([b.subarray(start, at), inflated(b, at, end)])
  event[header.type] = isQuery ? eventType.query : plainRowsType(type)
  return event
}

const plainRowsType = (type: number): number =>
  type >= eventType.writeRowsCompressed
    ? type - eventType.writeRowsCompressed + eventType.writeRows
    : type - eventType.writeRowsCompressedV1 + eventType.writeRowsV1

/** Behind the fixed part, the status variables and the schema's name with its zero byte. */
const queryTextAt = (b: Bytes, body: number): number =>
  body + 13 + u16(b, body + 11) + (b[body + 8] as number) + 1

function rowsAt(b: Bytes, body: number, end: number, type: number): number {
  let at = body + 8
  if (type >= eventType.writeRowsCompressed) at += u16(b, at)
  const fields = new FieldReader(b, at, end)
  const bitmapBytes = (fields.lenenc() + 7) >> 3
  const isUpdate = type === eventType.updateRowsCompressed || type === eventType.updateRowsCompressedV1
  fields.take(isUpdate ? 2 * bitmapBytes : bitmapBytes)
  return fields.at
}

/** One byte of algorithm and length of the length, the length (big endian), the compressed bytes. */
function inflated(b: Bytes, at: number, end: number): Buffer {
  const first = b[at] as number
  const lengthBytes = first & 0x07
  if ((first & 0xf8) !== 0x80 || lengthBytes < 1 || lengthBytes > 4 || at + 1 + lengthBytes > end) {
    throw malformedEvent(`content compressed in a form (${first}) that is not known`)
  }
  const length = b.readUIntBE(at + 1, lengthBytes)
  let bytes: Buffer
  try {
    bytes = inflateSync(b.subarray(at + 1 + lengthBytes, end), { maxOutputLength: Math.max(length, 1) })
  } catch (cause) {
    throw new SyncError('SYNC-2206', 'A compressed event of the log cannot be unpacked', { cause })
  }
  if (bytes.length !== length)
    throw malformedEvent(`${bytes.length} bytes unpacked where ${length} were packed`)
  return bytes
}
