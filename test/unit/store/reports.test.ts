/** Figures of engines: replaced by newer engines alone, bounded, and gone with their pipeline. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PipelineStatistics, TableStatistics } from '../../../src/core/statistics.ts'
import type { EngineReport } from '../../../src/store/reports.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { createMeter } from '../../../src/streamer/meter.ts'
import { endpoint, pipeline } from './documents.ts'

let store: Store
beforeEach(() => {
  store = openStore(':memory:')
  store.endpoints.apply(endpoint('a'), 'ann')
  store.endpoints.apply(endpoint('b'), 'ann')
  store.pipelines.apply(pipeline('shop'), 'ann')
})
afterEach(() => store.close())

const totals = (since: string): PipelineStatistics => ({ ...createMeter().totals(), since })
const tableOf = (name: string, inserted: number): TableStatistics => ({
  table: `shop.${name}`,
  target: `shop.${name}`,
  inserted,
  updated: 0,
  deleted: 0,
  copied: 0,
  upserted: inserted,
  removed: 0,
  merged: 0,
  bytes: inserted * 10,
})
const report = (epoch: string, since: string, tables: TableStatistics[] = []): EngineReport => ({
  pipeline: 'shop',
  epoch,
  totals: totals(since),
  tables,
  retention: null,
})
const names = (order: 'rows' | 'name', skip = 0, most = 10): string[] =>
  store.reports.tables('shop', order, skip, most).items.map(({ table }) => table)

describe('reports', () => {
  it('gives tables page by page, by rows or by name', () => {
    expect(store.reports.get('shop')).toBeNull()
    store.reports.put([report('5', 's1', [tableOf('a', 1), tableOf('b', 3), tableOf('c', 2)])])
    expect(names('rows')).toEqual(['shop.b', 'shop.c', 'shop.a'])
    expect(names('name')).toEqual(['shop.a', 'shop.b', 'shop.c'])
    expect(store.reports.tables('shop', 'rows', 1, 1)).toMatchObject({
      items: [{ table: 'shop.c' }],
      hasMore: true,
    })
    expect(store.reports.tables('shop', 'rows', 2, 1).hasMore).toBe(false)
    store.reports.put([report('5', 's1', [tableOf('a', 9)])])
    expect(names('rows')).toEqual(['shop.a', 'shop.b', 'shop.c'])
  })

  it('a new engine begins anew, and an outdated one changes nothing', () => {
    store.reports.put([report('9', 's1', [tableOf('a', 1)])])
    store.reports.put([report('10', 's2', [tableOf('b', 1)])])
    expect(names('name')).toEqual(['shop.b'])
    store.reports.put([report('9', 's1', [tableOf('a', 100)])])
    expect(store.reports.get('shop')?.totals.since).toBe('s2')
    expect(names('name')).toEqual(['shop.b'])
    // A later session of the same engine goes on.
    store.reports.put([report('11', 's2', [tableOf('a', 1)])])
    expect(names('name')).toEqual(['shop.a', 'shop.b'])
  })

  it('keeps what the last engine was told of the log until the next one has asked', () => {
    const retention = {
      at: '2026-03-01T00:00:00.000Z',
      keptMs: 1,
      bytesBehind: 0,
      isPurged: false,
      standsUntil: null,
      purgeFrom: null,
      pace: null,
      catchUpMs: null,
    }
    store.reports.put([{ ...report('1', 's1'), retention }])
    store.reports.put([report('2', 's2')])
    expect(store.reports.get('shop')?.retention).toEqual(retention)
  })

  it('goes with its pipeline, and none comes back for a deleted one', () => {
    store.reports.put([report('1', 's1', [tableOf('a', 1)])])
    store.pipelines.delete('shop')
    store.reports.put([report('2', 's1', [tableOf('a', 2)])])
    expect(store.reports.get('shop')).toBeNull()
    store.pipelines.apply(pipeline('shop'), 'ann')
    expect([store.reports.get('shop'), names('name')]).toEqual([null, []])
  })
})
