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

it('is one for each shard, and another under another division', () => {
  expect(markName('orders', 1, { index: 1, of: 4 })).toBe('orders#2/4')
  expect(markName('orders', 3, { index: 0, of: 2 })).toBe('orders@3#1/2')
})

it('fits, and is never shared', () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
  const life = fc.integer({ min: 1, max: 9_999 })
  const shard = fc.option(
    fc
      .integer({ min: 2, max: 64 })
      .chain((of) => fc.record({ index: fc.integer({ min: 0, max: of - 1 }), of: fc.constant(of) })),
    { nil: undefined },
  )
  fc.assert(
    fc.property(name, life, shard, name, life, shard, (a, m, s, b, n, t) => {
      expect(markName(a, m, s).length).toBeLessThanOrEqual(64)
      if (a !== b || m !== n || s?.index !== t?.index || s?.of !== t?.of)
        expect(markName(a, m, s)).not.toBe(markName(b, n, t))
    }),
  )
})
