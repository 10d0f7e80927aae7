import { describe, expect, it } from 'vitest'
import { textHash } from '../../../src/core/hash.ts'
import { createMerge } from '../../../src/core/merge.ts'
import { type BatchPlan, type Destination, planBatch, planDigest } from '../../../src/core/plan.ts'
import type { Row } from '../../../src/core/value.ts'
import { destination, uniqueKey } from './shapes.ts'

type Change = readonly [Destination, Row | null, Row | null]

function plan(changes: readonly Change[], lanes: number, oneLaneRows = 0): BatchPlan {
  const merge = createMerge()
  for (const [to, before, after] of changes) merge.add({ destination: to, before, after })
  return planBatch(merge.net(), lanes, oneLaneRows)
}

/** Per phase and lane: removals and upserts, tables left out. */
const flat = ({ work }: BatchPlan) =>
  work.map((phase) =>
    phase.map((lane) => ({
      removals: lane.tables.flatMap((table) => table.removals),
      upserts: lane.tables.flatMap((table) => [...table.upserts]),
    })),
  )

const byteUnique = destination('b', ['id', 'u'], [uniqueKey('u', [1])])
const collatingUnique = destination('c', ['id', 'u'], [uniqueKey('u', [1], false)])
const collatingKey = destination('k', ['id', 'v'], [], uniqueKey('PRIMARY', [0], false))

describe('plan', () => {
  it('removes by key, upserts whole rows, and writes nothing for a row that came and went', () => {
    const t = destination('t', ['a', 'id', 'v'], [], uniqueKey('PRIMARY', [1, 0]))
    const made = plan(
      [
        [t, [1, 2, 3], null],
        [t, null, [4, 5, 6]],
        [t, null, [7, 8, 9]],
        [t, [7, 8, 9], null],
        [t, [10, 11, 12], [10, 11, 13]],
      ],
      1,
    )
    expect(flat(made)).toEqual([
      [
        {
          removals: [[2, 1]],
          upserts: [
            [4, 5, 6],
            [10, 11, 13],
          ],
        },
      ],
    ])
    expect(made.rows).toBe(3)
  })

  it('keeps a swap of unique values in one lane, both rows removed first', () => {
    const made = plan(
      [
        [byteUnique, [1, 100], [1, 0]],
        [byteUnique, [2, 200], [2, 100]],
        [byteUnique, [1, 0], [1, 200]],
      ],
      8,
    )
    expect(made.phases).toBe(1)
    expect(flat(made)[0]?.filter((lane) => lane.upserts.length > 0)).toEqual([
      {
        removals: [[1], [2]],
        upserts: [
          [1, 200],
          [2, 100],
        ],
      },
    ])
  })

  it('takes a value in place where its former row lets go of it first', () => {
    const made = plan(
      [
        [byteUnique, [1, 100], [1, 101]],
        [byteUnique, [2, 200], [2, 100]],
      ],
      1,
    )
    expect(flat(made)).toEqual([
      [
        {
          removals: [[1]],
          upserts: [
            [1, 101],
            [2, 100],
          ],
        },
      ],
    ])
  })

  it('lets NULLs of a unique key meet nobody', () => {
    const made = plan(
      [
        [byteUnique, [1, null], [1, 7]],
        [byteUnique, [2, 8], [2, null]],
        [byteUnique, [3, 9], [3, null]],
      ],
      1,
    )
    expect(flat(made)[0]?.[0]?.removals).toEqual([])
  })

  it('spreads rows that do not meet over all lanes', () => {
    const changes: Change[] = []
    for (let i = 0; i < 4000; i++) changes.push([byteUnique, null, [i, i]])
    const sizes = flat(plan(changes, 8))[0]?.map((lane) => lane.upserts.length) ?? []
    expect(Math.min(...sizes)).toBeGreaterThan(400)
    expect(Math.max(...sizes)).toBeLessThan(600)
  })

  it('puts a barrier between removals and upserts where a collating unique key may meet', () => {
    const made = plan(
      [
        [collatingUnique, [1, 'a'], [1, 'b']],
        [collatingUnique, [2, 'B'], [2, 'A']],
        [collatingUnique, [3, 'x'], [3, 'x']],
        [byteUnique, [1, 1], null],
      ],
      4,
    )
    expect(made.phases).toBe(2)
    const [first, second] = flat(made)
    // The row that keeps its value stays in place, and the other table stays atomic in the last phase.
    expect(first?.flatMap((lane) => lane.removals).sort()).toEqual([[1], [2]])
    expect(first?.flatMap((lane) => lane.upserts)).toEqual([])
    expect(second?.flatMap((lane) => lane.removals)).toEqual([[1]])
    expect(second?.flatMap((lane) => lane.upserts)).toHaveLength(3)
  })

  it('needs no barrier with one lane, but still removes first', () => {
    const made = plan([[collatingKey, ['a', 1], ['A', 1]]], 1)
    expect(flat(made)).toEqual([[{ removals: [['a']], upserts: [['A', 1]] }]])
  })

  it('puts a barrier where a collating primary key is removed and inserted', () => {
    const made = plan([[collatingKey, ['a', 1], ['A', 1]]], 4)
    expect(made.phases).toBe(2)
  })

  it.each([
    [
      'inserts alone',
      [
        [collatingUnique, null, [1, 'a']],
        [collatingUnique, null, [2, 'b']],
      ] as Change[],
    ],
    [
      'deletes alone',
      [
        [collatingUnique, [1, 'a'], null],
        [collatingUnique, [2, 'b'], null],
      ] as Change[],
    ],
    ['one changed value', [[collatingUnique, [1, 'a'], [1, 'A']]] as Change[]],
    [
      'values left alone',
      [
        [collatingUnique, [1, 'a'], [1, 'a']],
        [collatingUnique, null, [2, 'b']],
      ] as Change[],
    ],
  ])('needs no barrier for %s', (_, changes) => {
    expect(plan(changes, 4).phases).toBe(1)
  })

  it('takes any change of a row for a change of a key that the columns do not tell', () => {
    const hidden = destination('h', ['id', 'v'], [uniqueKey('expression', [], false)])
    expect(
      plan(
        [
          [hidden, [1, 1], [1, 2]],
          [hidden, [2, 2], [2, 1]],
        ],
        4,
      ).phases,
    ).toBe(2)
    expect(
      plan(
        [
          [hidden, [1, 1], [1, 1]],
          [hidden, [2, 2], [2, 1]],
        ],
        4,
      ).phases,
    ).toBe(1)
  })
})

describe('a table with few rows in the batch', () => {
  const many = Array.from({ length: 40 }, (_, i): Change => [byteUnique, null, [i, i]])
  const lanesOf = (made: BatchPlan, name: string): number[] =>
    (made.work.at(-1) ?? []).flatMap(({ tables }, lane) =>
      tables.some(({ destination: { id } }) => id.name === name) ? [lane] : [],
    )

  it('is written by one lane, and the others are spread', () => {
    const few = Array.from({ length: 9 }, (_, i): Change => [collatingUnique, null, [i, i]])
    const made = plan([...many, ...few], 4, 9)
    expect(lanesOf(made, 'b')).toEqual([0, 1, 2, 3])
    expect(lanesOf(made, 'c')).toHaveLength(1)
    expect(made.inOneLane).toEqual(['d.c'])
    expect(made.rows).toBe(49)
    expect(plan([...many, ...few], 4, 8).inOneLane).toEqual([])
    expect(plan(few, 1, 9).inOneLane).toEqual([])
  })

  it('counts keys that were touched, so that it does not hang on what is left of them', () => {
    const gone = Array.from({ length: 10 }, (_, i): Change[] => [
      [collatingUnique, null, [i, i]],
      [collatingUnique, [i, i], null],
    ]).flat()
    expect(plan([...many, ...gone, [collatingUnique, null, [99, 1]]], 4, 9).inOneLane).toEqual([])
  })

  it('keeps removals of a two-phase table before its upserts', () => {
    const swapped: Change[] = [
      [collatingUnique, [1, 1], null],
      [collatingUnique, null, [2, 1]],
    ]
    const made = plan([...many, ...swapped], 4, 9)
    expect(made.phases).toBe(2)
    const lane = lanesOf(made, 'c')[0] as number
    expect(flat(made).map((phase) => phase[lane]?.removals)).toEqual([[[1]], []])
  })

  it('meets the tables of its shard in all lanes', () => {
    const names = Array.from({ length: 400 }, (_, i) => `t${i}`).filter(
      (name) => textHash(`d.${name}`) % 4 === 1,
    )
    const made = plan(
      names.map((name): Change => [destination(name, ['id', 'u'], []), null, [1, 1]]),
      4,
      9,
    )
    for (const { tables } of made.work[0] ?? []) expect(tables.length).toBeGreaterThan(names.length / 8)
  })
})

describe('plan digest', () => {
  it('does not depend on the order of tables', () => {
    expect(planDigest([byteUnique, collatingKey], 4)).toBe(planDigest([collatingKey, byteUnique], 4))
    expect(planDigest([byteUnique], 4)).toMatch(/^[0-9a-f]{16}$/)
  })

  it('differs with everything that shapes a plan', () => {
    const digests = [
      planDigest([byteUnique], 4),
      planDigest([byteUnique], 3),
      planDigest([byteUnique, collatingKey], 4),
      planDigest([{ ...byteUnique, id: { schema: 'd', name: 'other' } }], 4),
      planDigest([destination('b', ['id', 'w'], [uniqueKey('u', [1])])], 4),
      planDigest([destination('b', ['id', 'u'], [])], 4),
      planDigest([destination('b', ['id', 'u'], [uniqueKey('u', [1], false)])], 4),
      planDigest([destination('b', ['id', 'u'], [uniqueKey('u', [0])])], 4),
      planDigest([byteUnique], 4, ['id > 3']),
      planDigest([byteUnique], 4, [], ['d.b']),
    ]
    expect(new Set(digests).size).toBe(digests.length)
  })

  it('never changes by itself: a batch begun by one version is finished by the next', () => {
    expect(planDigest([byteUnique, collatingUnique], 4)).toBe('047ae6569524d01c')
  })
})
