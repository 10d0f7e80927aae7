/** What engines tell of parked tables: each of its own, and every parking once in the audit log. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { ParkedRecord } from '../../../src/store/parked-tables.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { endpoint, pipeline } from './documents.ts'

let store: Store
beforeEach(() => {
  store = openStore(':memory:')
  for (const name of ['a', 'b']) store.endpoints.apply(endpoint(name), 'ann')
  store.pipelines.apply(pipeline('shop'), 'ann')
})
afterEach(() => store.close())

const parked = (table: string, second: number, more: Partial<ParkedRecord> = {}): ParkedRecord => ({
  table: `shop.${table}`,
  parking: `parking of ${table}`,
  state: 'parked',
  code: 'SYNC-3302',
  message: 'a value does not fit',
  remedy: 'Widen the column.',
  parkedAt: `2026-01-01T00:00:0${second}.000Z`,
  deadLetters: 2,
  ...more,
})
const shard = (index: number, of = 2) => ({ pipeline: 'shop', shard: { index, of } })
const tables = () => store.parkedTables.list('shop').map(({ table, state }) => `${table} ${state}`)
const audited = () =>
  store.audit
    .list({ name: 'shop' })
    .filter(({ action }) => action === 'quarantine')
    .map(({ detail }) => `${(detail as ParkedRecord).table} ${(detail as { what: string }).what}`)
    .toReversed()

it('shows those of all shards, in the order in which they were parked, and a shard replaces only its own', () => {
  store.parkedTables.replace(shard(1), 1, [parked('b', 2), parked('c', 3)])
  store.parkedTables.replace(shard(0), 1, [parked('a', 1)])
  expect(tables()).toEqual(['shop.a parked', 'shop.b parked', 'shop.c parked'])
  // Every session of an engine tells the whole list again.
  store.parkedTables.replace(shard(0), 1, [parked('a', 1)])
  store.parkedTables.replace(shard(1), 1, [parked('b', 2, { state: 'rejoining' }), parked('c', 3)])
  expect(tables()).toEqual(['shop.a parked', 'shop.b rejoining', 'shop.c parked'])
  store.parkedTables.replace(shard(1), 1, [parked('c', 3)])
  store.parkedTables.replace(shard(0), 1, [])
  expect(tables()).toEqual(['shop.c parked'])
  expect(audited()).toEqual([
    'shop.b parked',
    'shop.c parked',
    'shop.a parked',
    'shop.b rejoined',
    'shop.a rejoined',
  ])
})

it('goes with its pipeline, and with another division', () => {
  store.parkedTables.replace({ pipeline: 'shop' }, 1, [parked('a', 1)])
  store.parkedTables.replace(shard(1, 3), 1, [])
  expect(tables()).toEqual([])
  store.parkedTables.replace(shard(1, 3), 1, [parked('b', 1)])
  store.pipelines.delete('shop')
  expect(tables()).toEqual([])
})
