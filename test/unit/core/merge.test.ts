import { describe, expect, it } from 'vitest'
import { createMerge, type Merge } from '../../../src/core/merge.ts'
import { destination, uniqueKey } from './shapes.ts'

/** With a unique key beside the primary one, so that images of before are kept. */
const t = destination('t', ['id', 'v'], [uniqueKey('v_is_unique', [1])])

const effect = (merge: Merge) =>
  merge.net().destinations.map((net) => ({
    changes: [...net.changes.values()].map(({ before, after }) => [before, after]),
  }))

describe('merge', () => {
  it('keeps the first before image and the last after image of a key', () => {
    const merge = createMerge()
    for (let v = 0; v < 10; v++) merge.add({ destination: t, before: [1, v], after: [1, v + 1] })
    expect(effect(merge)).toEqual([
      {
        changes: [
          [
            [1, 0],
            [1, 10],
          ],
        ],
      },
    ])
    expect(merge.rows).toBe(1)
    expect(merge.changes).toBe(10)
  })

  it('keeps one image of an updated row where the other would tell nothing: there is no other unique key', () => {
    const merge = createMerge()
    const other = createMerge()
    const plain = destination('plain', ['id', 'v'])
    const after = [1, 2]
    merge.add({ destination: plain, before: [1, 1], after })
    expect([...(merge.net().destinations[0]?.changes.values() ?? [])]).toEqual([
      { key: 'i1', before: after, after, afterBytes: expect.any(Number) },
    ])
    other.add({ destination: t, before: [1, 1], after })
    expect(merge.bytes).toBeLessThan(other.bytes)
    merge.add({ destination: plain, before: [1, 2], after: null })
    expect(effect(merge)[0]?.changes).toEqual([[[1, 2], null]])
  })

  it('makes nothing of an insert and a delete, but an update of a delete and an insert', () => {
    const merge = createMerge()
    merge.add({ destination: t, before: null, after: [1, 1] })
    merge.add({ destination: t, before: [1, 1], after: null })
    merge.add({ destination: t, before: [2, 1], after: null })
    merge.add({ destination: t, before: null, after: [2, 7] })
    expect(effect(merge)[0]?.changes).toEqual([
      [null, null],
      [
        [2, 1],
        [2, 7],
      ],
    ])
  })

  it('keeps an update that ends as it began: the row may not be at the target yet', () => {
    const merge = createMerge()
    merge.add({ destination: t, before: [1, 1], after: [1, 2] })
    merge.add({ destination: t, before: [1, 2], after: [1, 1] })
    expect(effect(merge)[0]?.changes).toEqual([
      [
        [1, 1],
        [1, 1],
      ],
    ])
  })

  it('follows a key through a chain of changes', () => {
    const merge = createMerge()
    merge.add({ destination: t, before: [1, 5], after: [2, 5] })
    merge.add({ destination: t, before: [2, 5], after: [3, 6] })
    merge.add({ destination: t, before: null, after: [1, 9] })
    expect(effect(merge)[0]?.changes).toEqual([
      [
        [1, 5],
        [1, 9],
      ],
      [null, null],
      [null, [3, 6]],
    ])
  })

  it('tells keys apart by bytes: a change of case is a delete and an insert', () => {
    const merge = createMerge()
    merge.add({ destination: t, before: ['a', 1], after: ['A', 1] })
    expect(effect(merge)[0]?.changes).toEqual([
      [['a', 1], null],
      [null, ['A', 1]],
    ])
  })

  it('counts memory up and down: a hot row does not grow the batch', () => {
    const merge = createMerge()
    merge.add({ destination: t, before: [1, 'x'], after: [1, 'y'] })
    const once = merge.bytes
    for (let i = 0; i < 1000; i++) merge.add({ destination: t, before: [1, 'y'], after: [1, 'y'] })
    expect(merge.bytes).toBe(once)
    merge.add({ destination: t, before: null, after: [2, 'z'.repeat(1000)] })
    expect(merge.bytes).toBeGreaterThan(once + 1000)
    merge.add({ destination: t, before: [2, 'z'.repeat(1000)], after: null })
    expect(merge.bytes).toBeLessThan(once + 1000)
    expect(merge.rows).toBe(2)
  })

  it('refuses two definitions of one target table in a batch', () => {
    const merge = createMerge()
    merge.add({ destination: t, before: null, after: [1, 1] })
    const again = destination('t', ['id', 'v'])
    expect(() => merge.add({ destination: again, before: [1, 1], after: null })).toThrow(/two definitions/)
  })
})
