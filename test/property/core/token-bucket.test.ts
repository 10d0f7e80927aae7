/** The token bucket against its two promises: never more than the rate and one burst, and nobody waits longer than told. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { burstMs, createTokenBucket } from '../../../src/core/token-bucket.ts'

const rate = fc.double({ min: 0.5, max: 1e9, noNaN: true })
const amount = fc.double({ min: 0, max: 1e6, noNaN: true })
const gapMs = fc.oneof(fc.double({ min: 0, max: 5_000, noNaN: true }), fc.constant(0))

it('grants no more than the rate gives, and the grant that went below zero', () => {
  fc.assert(
    fc.property(rate, fc.array(fc.tuple(gapMs, amount), { maxLength: 60 }), (perSecond, asks) => {
      let nowMs = 0
      const bucket = createTokenBucket(nowMs)
      bucket.setRate(perSecond, nowMs)
      const grants: { atMs: number; amount: number }[] = []
      for (const [gap, units] of asks) {
        nowMs += gap
        if (bucket.waitMs(nowMs) > 0) continue
        bucket.take(units, nowMs)
        grants.push({ atMs: nowMs, amount: units })
      }
      for (let from = 0; from < grants.length; from++) {
        let sum = 0
        for (let to = from; to < grants.length; to++) {
          const { atMs, amount: units } = grants[to] as (typeof grants)[number]
          const stretchMs = atMs - (grants[from] as (typeof grants)[number]).atMs
          // All but the last were let through while something was left.
          expect(sum).toBeLessThanOrEqual((perSecond * (stretchMs + burstMs)) / 1000 + 1e-6 * (1 + sum))
          sum += units
        }
      }
    }),
    { numRuns: 2_000 },
  )
})

it('lets everybody through after the time it told, and gives the whole rate to who always asks', () => {
  fc.assert(
    fc.property(rate, fc.array(amount, { minLength: 1, maxLength: 60 }), (perSecond, amounts) => {
      let nowMs = 0
      const bucket = createTokenBucket(nowMs)
      bucket.setRate(perSecond, nowMs)
      let taken = 0
      for (const units of amounts) {
        const waitMs = bucket.waitMs(nowMs)
        expect(waitMs).toBeGreaterThanOrEqual(0)
        nowMs += waitMs
        expect(bucket.waitMs(nowMs)).toBe(0)
        bucket.take(units, nowMs)
        taken += units
      }
      // Nobody waited for more than what all before took, and the millisecond to which waits are rounded.
      const last = amounts.at(-1) as number
      expect(nowMs).toBeLessThanOrEqual(((taken - last) / perSecond) * 1000 + amounts.length + 1e-3)
    }),
    { numRuns: 2_000 },
  )
})

it('pays off what is owed at a new rate, lets everything through without one, and gives back', () => {
  const bucket = createTokenBucket(0)
  expect(bucket.waitMs(0)).toBe(0)
  bucket.take(1e9, 0)
  expect(bucket.waitMs(0), 'without a rate nothing is owed').toBe(0)
  bucket.setRate(10, 0)
  bucket.take(1_000, 0)
  expect(bucket.waitMs(0)).toBe(100_000)
  bucket.setRate(1_000, 0)
  expect(bucket.waitMs(0)).toBe(1_000)
  bucket.take(-500, 0)
  expect(bucket.waitMs(0)).toBe(500)
  expect(bucket.waitMs(-10_000), 'a clock that goes back').toBe(500)
  bucket.setRate(null, 0)
  expect(bucket.waitMs(0)).toBe(0)
  bucket.setRate(10, 0)
  expect(bucket.waitMs(0), 'lifted is forgiven').toBe(0)
})
