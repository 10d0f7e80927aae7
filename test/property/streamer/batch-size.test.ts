import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createBatchSize } from '../../../src/streamer/batch-size.ts'

const bounds = fc.record({
  maxRows: fc.integer({ min: 1, max: 1e6 }),
  maxBytes: fc.integer({ min: 1, max: 2 ** 28 }),
})
const batch = fc.record({
  filled: fc.double({ min: 0, max: 2, noNaN: true }),
  tookMs: fc.integer({ min: 0, max: 60_000 }),
})

it('never passes the bounds, and always lets at least one row through', () => {
  fc.assert(
    fc.property(bounds, fc.array(batch, { maxLength: 50 }), (given, batches) => {
      const size = createBatchSize(given)
      for (const { filled, tookMs } of batches) {
        size.written({ rows: Math.round(size.maxRows * filled), bytes: 0, tookMs })
        expect(size.maxRows).toBeGreaterThanOrEqual(1)
        expect(size.maxRows).toBeLessThanOrEqual(given.maxRows)
        expect(size.maxBytes).toBeGreaterThanOrEqual(1)
        expect(size.maxBytes).toBeLessThanOrEqual(given.maxBytes)
      }
    }),
  )
})

it('comes to the whole of its bounds while full batches are quick, and away from it while they are slow', () => {
  fc.assert(
    fc.property(bounds, (given) => {
      const size = createBatchSize(given)
      const full = (tookMs: number): void =>
        size.written({ rows: size.maxRows, bytes: size.maxBytes, tookMs })
      for (let i = 0; i < 10; i++) full(10)
      expect([size.maxRows, size.maxBytes]).toEqual([given.maxRows, given.maxBytes])
      for (let i = 0; i < 10; i++) full(10_000)
      expect(size.maxRows).toBeLessThanOrEqual(Math.ceil(given.maxRows / 64))
    }),
  )
})

it('is left alone by batches that are not full: they say nothing of how many rows the target can take', () => {
  const size = createBatchSize({ maxRows: 1_000, maxBytes: 1_000_000 })
  const before = size.maxRows
  for (let i = 0; i < 10; i++) size.written({ rows: 3, bytes: 100, tookMs: 1 })
  expect(size.maxRows).toBe(before)
})
