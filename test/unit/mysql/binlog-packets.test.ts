/* The bytes beneath the events: packets cut from chunks, checksums. */
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { viewOf } from '../../../src/connectors/mysql/binlog/bytes.ts'
import { crc32 } from '../../../src/connectors/mysql/binlog/crc32.ts'
import { PacketReader } from '../../../src/connectors/mysql/binlog/packet-reader.ts'

const full = 0xff_ffff

/** A payload as the protocol sends it. */
function framed(payload: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at <= payload.length; at += full) {
    const part = payload.subarray(at, at + full)
    const header = Buffer.alloc(4)
    header.writeUIntLE(part.length, 0, 3)
    parts.push(header, part)
    if (part.length < full) break
  }
  return Buffer.concat(parts)
}

function packetsOf(reader: PacketReader): Buffer[] {
  const found: Buffer[] = []
  while (reader.next()) found.push(Buffer.from(reader.bytes.subarray(reader.start, reader.end)))
  return found
}

describe('packets', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 60 }),
        (payloads, cuts) => {
          const stream = Buffer.concat(payloads.map((payload) => framed(Buffer.from(payload))))
          const reader = new PacketReader()
          const found: Buffer[] = []
          for (let at = 0, i = 0; at < stream.length; i++) {
            const size = cuts[i % cuts.length] as number
            reader.push(stream.subarray(at, at + size))
            at += size
            // Sometimes several chunks wait before anyone reads.
            if (i % 3 !== 1) found.push(...packetsOf(reader))
          }
          found.push(...packetsOf(reader))
          expect(found.map((packet) => packet.toString('hex'))).toEqual(
            payloads.map((payload) => Buffer.from(payload).toString('hex')),
          )
          expect(reader.unreadBytes).toBe(0)
        },
      ),
      { numRuns: 500 },
    )
  })

  it.each([full - 1, full, full + 1, 2 * full - 1, 2 * full, 2 * full + 5])(
    'of %d bytes are put together',
    (size) => {
      const payload = Buffer.alloc(size, 'x')
      payload.write('first')
      payload.write('last', size - 4)
      const stream = Buffer.concat([framed(Buffer.from('a')), framed(payload), framed(Buffer.from('z'))])
      const reader = new PacketReader()
      const found: Buffer[] = []
      for (let at = 0; at < stream.length; at += 65_536) {
        reader.push(stream.subarray(at, at + 65_536))
        found.push(...packetsOf(reader))
      }
      expect(found.map((packet) => packet.length)).toEqual([1, size, 1])
      expect(found[1]?.equals(payload)).toBe(true)
      expect(reader.unreadBytes).toBe(0)
    },
  )
})

it('the checksum is that of zlib, at every length and alignment', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 900 }), fc.integer({ min: 0, max: 20 }), (content, skipped) => {
      const bytes = Buffer.from(content)
      const start = Math.min(skipped, bytes.length)
      expect(crc32(bytes, viewOf(bytes), start, bytes.length)).toBe(zlibCrc32(bytes.subarray(start)))
    }),
    { numRuns: 1000 },
  )
})
