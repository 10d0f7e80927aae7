import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  countsFor,
  mapColumn,
  mapTables,
  ruleFor,
  schemaInScope,
  spanShards,
  withoutTables,
} from '../../../src/streamer/mapping.ts'
import type { TableRule } from '../../../src/streamer/options.ts'

const rule = (match: string, more: Partial<TableRule> = {}): TableRule => ({
  match,
  exclude: [],
  toSchema: '{schema}',
  toTable: '{table}',
  includeColumns: null,
  excludeColumns: [],
  renameColumns: {},
  where: null,
  ...more,
})
const t = (schema: string, name: string) => ({ schema, name })

describe('which tables take part', () => {
  it('matches names as they are, with * for any run of characters', () => {
    const rules = [rule('shop.*'), rule('a.b')]
    expect(ruleFor(rules, t('shop', 'orders'))).toBe(rules[0])
    expect(ruleFor(rules, t('a', 'b'))).toBe(rules[1])
    expect(ruleFor(rules, t('a', 'bb'))).toBeNull()
    expect(ruleFor(rules, t('xshop', 'orders'))).toBeNull()
  })

  it('takes every other character for itself', () => {
    expect(ruleFor([rule('s.a+b(c)')], t('s', 'a+b(c)'))).not.toBeNull()
    expect(ruleFor([rule('s.a.c')], t('s', 'abc'))).toBeNull()
    expect(ruleFor([rule('s.a?')], t('s', 'ab'))).toBeNull()
  })

  it('lets the first rule that matches decide, also when it excludes', () => {
    const rules = [rule('shop.*', { exclude: ['shop.tmp_*'] }), rule('*.*')]
    expect(ruleFor(rules, t('shop', 'tmp_1'))).toBeNull()
    expect(ruleFor(rules, t('other', 'tmp_1'))).toBe(rules[1])
  })

  it('never takes its own tables or those of the server', () => {
    for (const schema of ['syncline', 'mysql', 'sys', 'information_schema', 'performance_schema']) {
      expect(ruleFor([rule('*.*')], t(schema, 'x'))).toBeNull()
      expect(schemaInScope([rule('*.*')], schema)).toBe(false)
    }
  })
})

describe('shards', () => {
  const sharded = (index: number, of: number, more: Partial<TableRule> = {}) => [
    rule('shop.*', { ...more, shard: { index, of } }),
  ]
  const tables = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/), { minLength: 1, maxLength: 50 })

  it('share the tables: each is in exactly one', () => {
    fc.assert(
      fc.property(tables, fc.integer({ min: 2, max: 64 }), (names, of) => {
        for (const name of names) {
          const owners = Array.from({ length: of }, (_, index) => index).filter(
            (index) => ruleFor(sharded(index, of), t('shop', name)) !== null,
          )
          expect(owners).toHaveLength(1)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('keep what goes into one table at the target together, and names that differ in case alone', () => {
    fc.assert(
      fc.property(tables, fc.integer({ min: 2, max: 64 }), (names, of) => {
        const ids = names.map((name) => t('shop', name))
        expect(spanShards(sharded(0, of, { toTable: 'one' }), ids)).toBe(false)
        for (const name of names)
          expect(spanShards(sharded(0, of), [t('shop', name), t('shop', name.toUpperCase())])).toBe(false)
      }),
      { numRuns: 50 },
    )
  })

  it('are never divided in another way: positions and progress of running pipelines stand on it', () => {
    const ownerOf = (name: string): number =>
      [0, 1, 2, 3].find((index) => ruleFor(sharded(index, 4), t('shop', name)) !== null) ?? -1
    expect(['orders', 'items', 'customers', 'prices', 'stock', 'a', 'b', 'c'].map(ownerOf)).toEqual([
      0, 3, 0, 2, 0, 1, 3, 0,
    ])
  })

  it('tell a rename that crosses them', () => {
    const ids = 'abcdefgh'.split('').map((name) => t('shop', name))
    expect(spanShards(sharded(0, 4), ids)).toBe(true)
    expect(spanShards(sharded(0, 4), [t('shop', 'a'), t('elsewhere', 'b')])).toBe(false)
    expect(spanShards([rule('shop.*')], ids)).toBe(false)
    // What is parked comes back, in the shard that has parked it.
    expect(spanShards(withoutTables(sharded(0, 4), ids), ids)).toBe(true)
  })

  it('count what is carried by none of them once, and what is parked in its own', () => {
    fc.assert(
      fc.property(tables, fc.integer({ min: 2, max: 64 }), (names, of) => {
        const ids = names.flatMap((name) => [t('shop', name), t('other', name), t('mysql', name)])
        const shards = Array.from({ length: of }, (_, index) => index)
        for (const id of ids) {
          const owner = shards.findIndex((index) => ruleFor(sharded(index, of), id) !== null)
          // Only the owner knows that it is parked.
          const counting = shards.filter((index) =>
            countsFor(withoutTables(sharded(index, of), index === owner ? [id] : []), id),
          )
          expect(counting).toHaveLength(1)
          if (owner >= 0) expect(counting).toEqual([owner])
        }
      }),
      { numRuns: 50 },
    )
    expect(countsFor([rule('shop.*')], t('other', 'a'))).toBe(true)
  })
})

describe('names at the target', () => {
  it('fills the templates', () => {
    const mappings = mapTables(
      [rule('shop.*', { toSchema: '{schema}_copy', toTable: 'x_{table}' })],
      [t('shop', 'orders'), t('no', 'x')],
    )
    expect(mappings.map((mapping) => mapping.target)).toEqual([t('shop_copy', 'x_orders')])
  })

  it('refuses two sources in one table', () => {
    expect(() =>
      mapTables([rule('*.orders', { toSchema: 'all' })], [t('a', 'orders'), t('b', 'orders')]),
    ).toThrow(/a\.orders and b\.orders would both be written to all\.orders/)
  })

  it('selects and renames columns', () => {
    const some = rule('a.b', { includeColumns: ['id', 'v'], renameColumns: { v: 'w' } })
    expect(['id', 'v', 'x'].map((name) => mapColumn(some, name))).toEqual(['id', 'w', null])
    expect(mapColumn(rule('a.b', { excludeColumns: ['x'] }), 'x')).toBeNull()
  })
})
