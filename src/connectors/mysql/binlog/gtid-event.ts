/*
 * GTID and GTID_TAGGED events: the name and the commit time of the transaction that follows.
 * Guarantees: the id is the server's text of the GTID (`uuid:5`, `uuid:tag:5`); the time is that of the first commit anywhere
 * (original_commit_timestamp), in microseconds, or 0 where the server does not tell (before 8.0.1).
 */
import { type Bytes, FieldReader, malformedEvent, u16, u32, u48, u56 } from './bytes.ts'

export interface GtidEvent {
  id: string
  commitTimeUs: number
}

const hex: readonly string[] = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, '0'))

/** The UUID in 16 bytes, with the colon that follows it in a GTID. */
function uuidPrefix(b: ArrayLike<number>, o: number): string {
  let text = ''
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += hex[b[o + i] as number] as string
  }
  return `${text}:`
}

/** One per stream: nearly all GTIDs in a row have the same UUID, whose text is made once. */
export function createGtidReader(): (b: Bytes, start: number, end: number) => GtidEvent {
  const known = [-1, -1, -1, -1]
  let prefix = ''
  return (b, start, end) => {
    if (end - start < 42) throw malformedEvent('a GTID event that is too short')
    const uuid = start + 1
    const w0 = u32(b, uuid)
    const w1 = u32(b, uuid + 4)
    const w2 = u32(b, uuid + 8)
    const w3 = u32(b, uuid + 12)
    if (w0 !== known[0] || w1 !== known[1] || w2 !== known[2] || w3 !== known[3]) {
      prefix = uuidPrefix(b, uuid)
      known[0] = w0
      known[1] = w1
      known[2] = w2
      known[3] = w3
    }
    const number = start + 17
    // A bigint costs as much as all the rest of this event.
    const gno = u16(b, number + 6) === 0 ? u48(b, number) : b.readBigInt64LE(number)
    // type of the logical clock (1), last committed and sequence number (16), then the commit times.
    const time = start + 42
    return { id: `${prefix}${gno}`, commitTimeUs: end - time < 7 ? 0 : commitTime(b, time, end) }
  }
}

/** The time of the commit on this server has its highest bit set when the original one follows; otherwise they are the same. */
function commitTime(b: Bytes, o: number, end: number): number {
  const hasOriginal = ((b[o + 6] as number) & 0x80) !== 0
  if (!hasOriginal) return u56(b, o)
  if (end - o < 14) throw malformedEvent('a GTID event without its commit time')
  return u56(b, o + 7)
}

const field = {
  flags: 0,
  uuid: 1,
  gno: 2,
  tag: 3,
  lastCommitted: 4,
  sequenceNumber: 5,
  immediate: 6,
  original: 7,
}

/**
 * GTID_TAGGED (8.3+): a message of fields with ids, ascending; absent fields have their default. Integers have as many
 * bytes as the first byte has trailing ones, plus one (the server's library `serialization`; read off 9.7's events).
 */
export function readTaggedGtid(b: Bytes, start: number, end: number): GtidEvent {
  const fields = new FieldReader(b, start, end)
  const version = unsignedVarint(fields)
  if (version !== 1n) throw malformedEvent(`a tagged GTID in the form ${version}`)
  const size = Number(unsignedVarint(fields))
  const message = new FieldReader(b, fields.at, start + size)
  if (message.end > end) throw malformedEvent('a tagged GTID that is cut off')
  const lastKnownNeeded = unsignedVarint(message)
  if (lastKnownNeeded > 12n) throw malformedEvent('a tagged GTID with fields that are not known')

  let uuid = ''
  let tag = ''
  let gno = 0n
  let immediate = 0
  let original: number | undefined
  while (message.left > 0) {
    const id = Number(unsignedVarint(message))
    if (id === field.uuid) {
      uuid = uuidPrefix(
        Array.from({ length: 16 }, () => Number(unsignedVarint(message))),
        0,
      )
    } else if (id === field.tag) {
      tag = message.latin1(Number(unsignedVarint(message)))
    } else if (id === field.gno) {
      gno = signedVarint(message)
    } else if (id === field.lastCommitted || id === field.sequenceNumber) {
      signedVarint(message)
    } else if (id === field.immediate) {
      immediate = Number(unsignedVarint(message))
    } else if (id === field.original) {
      original = Number(unsignedVarint(message))
      break
    } else if (id === field.flags) {
      unsignedVarint(message)
    } else {
      break
    }
  }
  if (uuid === '' || gno < 1n) throw malformedEvent('a tagged GTID without its number')
  return { id: `${uuid}${tag === '' ? '' : `${tag}:`}${gno}`, commitTimeUs: original ?? immediate }
}

function unsignedVarint(fields: FieldReader): bigint {
  const first = fields.u8()
  let bytes = 1
  while (bytes < 9 && (first & (1 << (bytes - 1))) !== 0) bytes++
  // All ones: the value stands in the eight bytes that follow; otherwise what is left of the first byte are the lowest bits.
  let value = 0n
  const more = fields.take(bytes - 1)
  for (let i = bytes - 2; i >= 0; i--) value = (value << 8n) | BigInt(fields.bytes[more + i] as number)
  return bytes === 9 ? value : (value << BigInt(8 - bytes)) | BigInt(first >> bytes)
}

/** The lowest bit is the sign; negative numbers are stored as -(n + 1). */
function signedVarint(fields: FieldReader): bigint {
  const value = unsignedVarint(fields)
  return (value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n
}
