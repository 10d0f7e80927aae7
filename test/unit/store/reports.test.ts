/** Figures of engines: replaced by newer engines alone, bounded, and gone with their pipeline. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PipelineStatistics, TableStatistics } from '../../../src/core/statistics.ts'
import { migrations } from '../../../src/store/migrations.ts'
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
    expect(store.reports.list('shop')).toEqual([])
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
    expect(store.reports.list('shop').map(({ totals: { since } }) => since)).toEqual(['s2'])
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
    expect(store.reports.list('shop')[0]?.retention).toEqual(retention)
  })

  it('goes with its pipeline, and none comes back for a deleted one', () => {
    store.reports.put([report('1', 's1', [tableOf('a', 1)])])
    store.pipelines.delete('shop')
    store.reports.put([report('2', 's1', [tableOf('a', 2)])])
    expect(store.reports.list('shop')).toEqual([])
    store.pipelines.apply(pipeline('shop'), 'ann')
    expect([store.reports.list('shop'), names('name')]).toEqual([[], []])
  })

  describe('of shards', () => {
    const of = (index: number, shards: number, from: EngineReport): EngineReport => ({
      ...from,
      shard: { index, of: shards },
    })
    const known = () =>
      store.reports.list('shop').map(({ shard, totals: { since } }) => [shard?.index, shard?.of, since])

    it('are kept side by side, each replaced by its own successor alone', () => {
      store.reports.put([
        of(1, 2, report('9', 's1', [tableOf('b', 1), tableOf('c', 5)])),
        of(0, 2, report('7', 's0', [tableOf('a', 2)])),
      ])
      expect(known()).toEqual([
        [0, 2, 's0'],
        [1, 2, 's1'],
      ])
      expect(names('rows')).toEqual(['shop.c', 'shop.a', 'shop.b'])
      // Shards are started again one by one: the epoch of one says nothing of another.
      store.reports.put([of(0, 2, report('8', 's2', [tableOf('a', 1)]))])
      store.reports.put([of(1, 2, report('8', 's3'))])
      expect(known()).toEqual([
        [0, 2, 's2'],
        [1, 2, 's1'],
      ])
      expect(names('name')).toEqual(['shop.a', 'shop.b', 'shop.c'])
      store.reports.put([of(1, 2, report('10', 's4'))])
      expect(names('name')).toEqual(['shop.a'])
    })

    it('replace those of another division, which never come back', () => {
      store.reports.put([report('5', 's0', [tableOf('a', 1)])])
      store.reports.put([of(1, 3, report('6', 's1', [tableOf('b', 1)]))])
      expect(known()).toEqual([[1, 3, 's1']])
      expect(names('name')).toEqual(['shop.b'])
      store.reports.put([report('5', 's0', [tableOf('a', 2)]), of(0, 2, report('5', 's5'))])
      expect(known()).toEqual([[1, 3, 's1']])
      store.reports.put([of(0, 2, report('7', 's6'))])
      expect(known()).toEqual([[0, 2, 's6']])
    })
  })
})

it('a store of the former version keeps what it knew', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-store-'))
  const path = join(folder, 'store.db')
  const before = new DatabaseSync(path)
  for (const step of migrations.slice(0, 3)) before.exec(step)
  before.exec(`PRAGMA user_version = 3;
    INSERT INTO endpoints VALUES ('a', 1, '{}', '', ''), ('b', 1, '{}', '', '');
    INSERT INTO pipelines VALUES ('shop', 1, 1, 'run', '{}', 'a', 'b', '', '');
    INSERT INTO reports VALUES ('shop', '7', 's0', '{"since":"s0"}', '{"keptMs":5}');
    INSERT INTO table_reports VALUES ('shop', 'shop.a', 3, '{"table":"shop.a"}');
    INSERT INTO parked_tables VALUES ('shop', 'shop.p', 'p1', 'parked', 'SYNC-3302', 'm', 'r', 't', 2);`)
  before.close()
  const after = openStore(path)
  expect(after.reports.list('shop')).toEqual([
    { shard: null, totals: { since: 's0' }, retention: { keptMs: 5 } },
  ])
  expect(after.reports.tables('shop', 'rows', 0, 9).items).toEqual([{ table: 'shop.a' }])
  expect(after.parkedTables.list('shop')).toMatchObject([{ table: 'shop.p', parking: 'p1', deadLetters: 2 }])
  after.close()
  await rm(folder, { recursive: true })
})
