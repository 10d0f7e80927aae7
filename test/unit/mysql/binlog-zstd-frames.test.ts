/** Frames that one decoder unpacks, one after the other, against the same by node:zlib's own function; damaged ones in between. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createFrameUnpacker } from '../../../src/connectors/mysql/binlog/zstd-frames.ts'

const outcome = (unpack: () => Buffer): string => {
  try {
    return unpack().toString('hex')
  } catch {
    return 'refused'
  }
}

const content = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 20_000 }))
    .map(([pattern, times]) => Buffer.alloc(pattern.length * times, pattern)),
)
const damage = fc.option(
  fc.oneof(
    fc.record({ kind: fc.constant('bit' as const), at: fc.nat() }),
    fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
    fc.record({ kind: fc.constant('size' as const), at: fc.integer({ min: -3, max: 3 }) }),
    fc.record({ kind: fc.constant('tail' as const), at: fc.constant(0) }),
  ),
  { freq: 3 },
)

it('come out as node:zlib has them, whatever came before', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(content, damage), { minLength: 1, maxLength: 12 }), (frames) => {
      const unpacker = createFrameUnpacker()
      for (const [bytes, harm] of frames) {
        let frame: Buffer = zstdCompressSync(bytes)
        let size = bytes.length
        if (harm?.kind === 'bit') {
          const at = harm.at % frame.length
          frame[at] = (frame[at] as number) ^ (1 << (harm.at & 7))
        } else if (harm?.kind === 'cut') frame = frame.subarray(0, harm.at % frame.length)
        else if (harm?.kind === 'tail') frame = Buffer.concat([frame, Buffer.from('xyz')])
        else if (harm?.kind === 'size') size = Math.max(0, size + harm.at)
        const found = outcome(() => unpacker.unpack(frame, size).subarray(0, size))
        const expected = outcome(() => {
          const whole = zstdDecompressSync(frame)
          if (whole.length !== size) throw new RangeError('another size')
          return whole
        })
        expect(found).toBe(expected)
      }
    }),
    { numRuns: 150 },
  )
})

it('are unpacked into one buffer by one decoder, which this Node lets be used twice', () => {
  const unpacker = createFrameUnpacker()
  const frame = zstdCompressSync(Buffer.from('the same again'))
  const first = unpacker.unpack(frame, 14)
  for (let i = 0; i < 100; i++) expect(unpacker.unpack(frame, 14)).toBe(first)
  const large = Buffer.alloc(1_000_000, 'large')
  expect(unpacker.unpack(zstdCompressSync(large), large.length).subarray(0, large.length).equals(large)).toBe(
    true,
  )
})
