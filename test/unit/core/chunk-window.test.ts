import { describe, expect, it } from 'vitest'
import { createChunkWindow } from '../../../src/core/chunk-window.ts'
import { column, shape } from './shapes.ts'

const t = shape('t', [column('id'), column('v')])
const at = (offset: number) => ({ file: 1, offset })
const start = { token: '', ordinal: 0 }
const arrived = (rows: (number | string)[][], low: string[], high: number) => ({
  rows,
  isInLow: (id: string) => low.includes(id),
  high: at(high),
})

describe('chunk window', () => {
  it('strikes what was touched outside low before the rows arrived', () => {
    const window = createChunkWindow(t, start)
    window.touch({ table: t, before: [1, 1], after: [1, 2] }, 'a')
    window.touch({ table: t, before: [2, 1], after: [2, 2] }, 'b')
    window.touch({ table: t, before: [3, 1], after: null }, 'c')
    window.arrive(
      arrived(
        [
          [1, 2],
          [2, 1],
          [3, 1],
          [4, 1],
        ],
        ['a'],
        10,
      ),
    )
    expect(window.take()).toEqual([
      [1, 2],
      [4, 1],
    ])
  })

  it('strikes by the last transaction that touched the key', () => {
    const window = createChunkWindow(t, start)
    window.touch({ table: t, before: [1, 1], after: [1, 2] }, 'a')
    window.touch({ table: t, before: [1, 2], after: [1, 3] }, 'b')
    window.arrive(arrived([[1, 2]], ['a'], 10))
    expect(window.take()).toEqual([])
  })

  it('strikes the keys of both sides, and more until the rows are taken', () => {
    const window = createChunkWindow(t, start)
    window.arrive(
      arrived(
        [
          [1, 1],
          [2, 1],
          [3, 1],
          [4, 1],
        ],
        [],
        10,
      ),
    )
    window.touch({ table: t, before: [1, 1], after: [2, 1] }, 'a')
    window.touch({ table: t, before: null, after: [4, 4] }, 'a')
    expect(window.rows).toBe(1)
    expect(window.take()).toEqual([[3, 1]])
  })

  it('is reached at high, and never before the rows are there', () => {
    const window = createChunkWindow(t, start)
    expect(window.reached(at(99))).toBe(false)
    window.arrive(arrived([[1, 1]], [], 10))
    expect(window.reached(at(9))).toBe(false)
    expect(window.reached(at(10))).toBe(true)
    expect(window.reached({ file: 2, offset: 4 })).toBe(true)
  })

  it('finds the key by name where the log orders the columns otherwise', () => {
    const logShape = shape('t', [column('v'), column('id')], [1])
    const window = createChunkWindow(t, start)
    window.arrive(
      arrived(
        [
          [1, 7],
          [7, 1],
        ],
        [],
        10,
      ),
    )
    window.touch({ table: logShape, before: [7, 1], after: null }, 'a')
    expect(window.take()).toEqual([[7, 1]])
  })

  it('knows keys that are made of several columns and of any type', () => {
    const wide = shape('t', [column('a'), column('b'), column('c')], [2, 0])
    const window = createChunkWindow(wide, start)
    window.touch({ table: wide, before: ['1', 0, 'x'], after: null }, 'a')
    window.arrive(
      arrived(
        [
          ['1', 5, 'x'],
          ['1', 5, 'X'],
          ['x', 5, '1'],
        ],
        [],
        10,
      ),
    )
    expect(window.take()).toEqual([
      ['1', 5, 'X'],
      ['x', 5, '1'],
    ])
  })

  it('does not mind other tables', () => {
    const other = shape('other', [column('id'), column('v')])
    const window = createChunkWindow(t, start)
    window.arrive(arrived([[1, 1]], [], 10))
    window.touch({ table: other, before: [1, 1], after: null }, 'a')
    expect(window.take()).toEqual([[1, 1]])
  })

  it('is full at its bound until the rows arrive', () => {
    const window = createChunkWindow(t, start, 1000)
    for (let i = 0; i < 8; i++) window.touch({ table: t, before: null, after: [1, i] }, 'a')
    expect(window.full).toBe(false)
    for (let i = 0; i < 20; i++) window.touch({ table: t, before: null, after: [i, i] }, 'a')
    expect(window.full).toBe(true)
    window.arrive(arrived([], [], 10))
    expect(window.full).toBe(false)
  })

  it('refuses to be opened inside a transaction, or for a table without a key', () => {
    expect(() => createChunkWindow(t, { token: '', ordinal: 3 })).toThrow(/inside a transaction/)
    const keyless = { id: t.id, columns: t.columns, uniqueKeys: [] }
    expect(() => createChunkWindow(keyless, start)).toThrow(/no primary key/)
  })
})
