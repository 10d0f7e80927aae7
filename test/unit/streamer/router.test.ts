import { describe, expect, it } from 'vitest'
import type { Column, TableShape, UniqueKey } from '../../../src/core/schema.ts'
import type { TableRule } from '../../../src/streamer/options.ts'
import { createRouter } from '../../../src/streamer/router.ts'

const rule = (more: Partial<TableRule> = {}): TableRule => ({
  match: 's.*',
  exclude: [],
  toSchema: 't',
  toTable: '{table}',
  includeColumns: null,
  excludeColumns: [],
  renameColumns: {},
  where: null,
  ...more,
})
const int = (name: string, generated = false): Column => ({
  name,
  nullable: true,
  generated,
  type: { kind: 'int', bytes: 4, sql: 'int' },
})
const primary: UniqueKey = { name: 'PRIMARY', ordinals: [0], comparesBytes: true }
const shape = (
  schema: string,
  columns: readonly Column[],
  uniqueKeys: readonly UniqueKey[] = [],
): TableShape => ({
  id: { schema, name: 'orders' },
  columns,
  primaryKey: primary,
  uniqueKeys,
})
const router = (rules: TableRule[], source: TableShape, target: TableShape) =>
  createRouter(rules, [source], new Map([['t.orders', target]]))

describe('a route', () => {
  it('hands rows over untouched where nothing is mapped', () => {
    const source = shape('s', [int('id'), int('v')])
    const route = router([rule()], source, shape('t', [int('id'), int('v')])).route(source)
    const row = [1, 2]
    expect(route?.map(row)).toBe(row)
  })

  it('selects and renames columns, and finds the key under its new name', () => {
    const source = shape('s', [int('id'), int('secret'), int('v')])
    const target = shape('t', [int('key'), int('w')])
    const route = router(
      [rule({ excludeColumns: ['secret'], renameColumns: { id: 'key', v: 'w' } })],
      source,
      target,
    ).route(source)
    expect(route?.map([1, 2, 3])).toEqual([1, 3])
    expect(route?.destination.columns.map((column) => column.name)).toEqual(['key', 'w'])
    expect(route?.destination.key.ordinals).toEqual([0])
  })

  it('never writes a column that the target computes', () => {
    const source = shape('s', [int('id'), int('sum'), int('v')])
    const route = router([rule()], source, shape('t', [int('id'), int('sum', true), int('v')])).route(source)
    expect(route?.map([1, 2, 3])).toEqual([1, 3])
  })

  it('shares a destination between the catalogue and the log', () => {
    const source = shape('s', [int('id'), int('v')])
    const logged = { ...shape('s', [int('id'), int('v')]) }
    const compiled = router([rule()], source, shape('t', [int('id'), int('v')]))
    expect(compiled.route(logged)?.destination).toBe(compiled.route(source)?.destination)
  })

  it('keeps a unique key in view whose columns are not all written', () => {
    const unique = { name: 'u', ordinals: [1, 2], comparesBytes: true }
    const source = shape('s', [int('id'), int('a')])
    const route = router([rule()], source, shape('t', [int('id'), int('a'), int('b')], [unique])).route(
      source,
    )
    expect(route?.destination.uniqueKeys).toEqual([{ name: 'u', ordinals: [], comparesBytes: false }])
  })

  it('filters rows', () => {
    const source = shape('s', [int('id'), int('tenant')])
    const route = router(
      [rule({ where: 'tenant = 7' })],
      source,
      shape('t', [int('id'), int('tenant')]),
    ).route(source)
    expect([7, 8, null].map((tenant) => route?.matches([1, tenant]))).toEqual([true, false, false])
  })

  it('is none for a table out of scope', () => {
    const source = shape('s', [int('id')])
    expect(router([rule({ match: 'x.*' })], source, shape('t', [int('id')])).route(source)).toBeNull()
  })
})

describe('what cannot be routed without loss is refused', () => {
  const source = shape('s', [int('id'), int('v')])

  it.each([
    ['a missing table', 'SYNC-3201', () => createRouter([rule()], [source], new Map()).route(source)],
    ['a missing column', 'SYNC-3202', () => router([rule()], source, shape('t', [int('id')])).route(source)],
    [
      'another key',
      'SYNC-3205',
      () =>
        router([rule()], source, {
          ...shape('t', [int('id'), int('v')]),
          primaryKey: { ...primary, ordinals: [1] },
        }).route(source),
    ],
    [
      'a key column left out',
      'SYNC-3205',
      () =>
        router([rule({ excludeColumns: ['id'] })], source, shape('t', [int('id'), int('v')])).route(source),
    ],
    [
      'a table without a key',
      'SYNC-2202',
      () => {
        const { primaryKey: _, ...keyless } = source
        return router([rule()], keyless, shape('t', [int('id'), int('v')])).route(keyless)
      },
    ],
  ])('%s', (_, code, attempt) => {
    expect(attempt).toThrow(expect.objectContaining({ code }))
  })

  it('but a column that only old log entries know was dropped at both ends', () => {
    const old = shape('s', [int('id'), int('gone'), int('v')])
    const route = router([rule()], source, shape('t', [int('id'), int('v')])).route(old)
    expect(route?.map([1, 2, 3])).toEqual([1, 3])
  })
})
