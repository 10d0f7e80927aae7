import { describe, expect, it } from 'vitest'
import { mapColumn, mapTables, ruleFor, schemaInScope } from '../../../src/streamer/mapping.ts'
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
