/*
 * Names under which pipelines stand in their targets: one for each life of each pipeline, never too long for the column.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { markName } from '../../../src/activities/pipeline-scope.ts'

it('is the plain name in the first life, and another one in each life after', () => {
  expect(markName('orders', 1)).toBe('orders')
  expect(markName('orders', 2)).toBe('orders@2')
  expect(markName('o'.repeat(63), 1)).toBe('o'.repeat(63))
})

it('fits, and is never shared', () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
  const life = fc.integer({ min: 1, max: 9_999 })
  fc.assert(
    fc.property(name, life, name, life, (a, m, b, n) => {
      expect(markName(a, m).length).toBeLessThanOrEqual(64)
      if (a !== b || m !== n) expect(markName(a, m)).not.toBe(markName(b, n))
    }),
  )
})
