import { describe, expect, it } from 'vitest'
import { type ChunkWindow, createChunkWindow as createWindow } from '../../../src/core/chunk-window.ts'
import type { Position } from '../../../src/core/position.ts'
import type { TableShape } from '../../../src/core/schema.ts'
import { keyOf } from '../../../src/core/value.ts'
import { column, shape } from './shapes.ts'

type Rows = (number | string)[][]

/** A window that is shown rows and gives them back, where the real one is shown their keys and gives ordinals. */
function createChunkWindow(table: TableShape, consumed: Position, maxTouchedBytes?: number) {
  const window: ChunkWindow = createWindow(table, consumed, maxTouchedBytes)
  let rows: Rows = []
  return Object.assign(Object.create(window) as ChunkWindow, {
    arrive: (chunk: { rows: Rows; isInLow: (id: string) => boolean; high: ReturnType<typeof at> }) => {
      rows = chunk.rows
      const keys = rows.map((row) => keyOf(row, table.primaryKey?.ordinals ?? []))
      window.arrive({ keys, isInLow: chunk.isInLow, high: chunk.high })
    },
    take: () => window.take().map((ordinal) => rows[ordinal]),
  })
}

const t = shape('t', [column('id'), column('v')])
const at = (offset: number) => ({ file: 1, offset })
const start = { token: '', ordinal: 0 }
const arrived = (rows: Rows, low: string[], high: number) => ({
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

  it('tells of changes that meet a row that was handed out, and of no others', () => {
    const window = createChunkWindow(t, start)
    window.arrive(
      arrived(
        [
          [1, 1],
          [2, 1],
          [3, 1],
        ],
        [],
        10,
      ),
    )
    expect(window.touch({ table: t, before: [2, 1], after: null }, 'a')).toBe(false)
    expect(window.take()).toEqual([
      [1, 1],
      [3, 1],
    ])
    expect(window.touch({ table: t, before: [2, 1], after: [4, 1] }, 'b')).toBe(false)
    expect(window.touch({ table: t, before: [1, 1], after: [4, 1] }, 'b')).toBe(true)
    expect(window.touch({ table: t, before: [4, 1], after: [3, 1] }, 'b')).toBe(true)
    expect(window.touch({ table: t, before: [1, 1], after: [1, 2] }, 'c')).toBe(true)
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
