/** GET .../statistics needs the store alone: an installation whose Temporal is away still tells what was done. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createApp } from '../../../src/api/app.ts'
import { createPipelineWorkflows } from '../../../src/api/pipeline-workflows.ts'
import type { StatisticsAnswer } from '../../../src/api/wire.ts'
import { statisticsAnswer } from '../../../src/api/wire.ts'
import { statsText } from '../../../src/cli/commands/stats.ts'
import { openStore } from '../../../src/store/store.ts'
import { createMeter } from '../../../src/streamer/meter.ts'
import { endpoint, pipeline } from '../store/documents.ts'

const store = openStore(':memory:')
const workflows = createPipelineWorkflows({ address: '127.0.0.1:1', namespace: 'default' })
const app = createApp({ store, workflows })
const tables = 1_203

beforeAll(() => {
  for (const name of ['a', 'b']) store.endpoints.apply(endpoint(name), 'ann')
  for (const name of ['shop', 'fresh', 'sharded']) store.pipelines.apply(pipeline(name), 'ann')
  store.reports.put([
    {
      pipeline: 'shop',
      epoch: '1',
      totals: { ...createMeter().totals(), tables },
      tables: Array.from({ length: tables }, (_, i) => ({
        table: `shop.t${String(i).padStart(5, '0')}`,
        target: `copy.t${i}`,
        inserted: i,
        updated: 1,
        deleted: 0,
        copied: 0,
        upserted: i,
        removed: 0,
        merged: 1,
        bytes: 100,
      })),
      retention: null,
    },
  ])
})
afterAll(async () => {
  await workflows.close()
  store.close()
})

const ask = async (
  query: string,
): Promise<{ status: number; body: StatisticsAnswer & { code?: string } }> => {
  const answer = await app.request(`/v1/pipelines/${query}`)
  return { status: answer.status, body: (await answer.json()) as never }
}

it.each(['rows', 'name'])('gives every table once, page by page, by %s', async (sort) => {
  const seen: string[] = []
  let token = ''
  let pages = 0
  for (;;) {
    const { status, body } = await ask(`shop/statistics?sort=${sort}&pageSize=500${token}`)
    expect(status).toBe(200)
    expect(statisticsAnswer.parse(body)).toEqual(body)
    seen.push(...body.tables.map(({ table }) => table))
    pages++
    if (body.nextPageToken === null) break
    token = `&pageToken=${body.nextPageToken}`
  }
  expect(pages).toBe(3)
  const all = Array.from({ length: tables }, (_, i) => `shop.t${String(i).padStart(5, '0')}`)
  expect(seen).toEqual(sort === 'name' ? all : all.toReversed())
})

it('shows those with most rows first, and fifty of them, if not asked otherwise', async () => {
  const { body } = await ask('shop/statistics')
  expect(body.tables).toHaveLength(50)
  expect(body.tables[0]).toMatchObject({ inserted: tables - 1, target: `copy.t${tables - 1}` })
  expect((await ask('shop/statistics?pageSize=0')).body).toMatchObject({
    tables: [],
    nextPageToken: null,
    statistics: { tables },
  })
})

it('has no figures of a pipeline that has not run, and refuses what makes no sense', async () => {
  expect((await ask('fresh/statistics')).body).toEqual({
    name: 'fresh',
    statistics: null,
    shards: null,
    tables: [],
    nextPageToken: null,
  })
  expect(await ask('none/statistics')).toMatchObject({ status: 404, body: { code: 'SYNC-1101' } })
  const { body } = await ask('shop/statistics?sort=name&pageSize=1')
  for (const query of [
    'pageSize=501',
    'pageSize=x',
    'sort=size',
    'pageToken=x',
    `sort=rows&pageToken=${body.nextPageToken}`,
  ]) {
    expect(await ask(`shop/statistics?${query}`)).toMatchObject({ status: 400, body: { code: 'SYNC-1102' } })
  }
})

it('is told to people in lines that stand under each other', async () => {
  const { body } = await ask('shop/statistics?pageSize=2')
  const lines = statsText(body).split('\n')
  expect(lines.slice(0, 6).map((line) => line.slice(0, 12).trim())).toEqual([
    'Since',
    'Rows',
    'Batches',
    'Bottleneck',
    'Reading',
    'Writing',
  ])
  expect(lines.at(-1)).toBe('and 1,201 more: --tables 1203')
  expect(lines.at(-2)).toMatch(/^shop\.t01201 +1,201 +1 +0 +0 +1,201 +0 +1 +100 B$/)
  expect(statsText({ name: 'fresh', statistics: null, shards: null, tables: [] })).toContain(
    'fresh has counted anything yet',
  )
})

it('sums what shards did, and tells of each', async () => {
  const { rows, batches, bytes, ...empty } = createMeter().totals()
  const reportOf = (index: number, inserted: number, transactions: number) => ({
    pipeline: 'sharded',
    shard: { index, of: 2 },
    epoch: '1',
    totals: {
      ...empty,
      since: `2026-01-01T00:00:0${index}.000Z`,
      at: '2026-01-01T00:00:10.000Z',
      tables: 1,
      rows: { ...rows, inserted, upserted: inserted, outOfScope: 3 },
      batches: { ...batches, small: 2, transactions },
      bytes: { ...bytes, log: 1_000 },
      heldMs: { ...empty.heldMs, batchFull: 5_700 },
    },
    tables: [
      {
        table: `shop.t${index}`,
        target: `shop.t${index}`,
        bytes: 1,
        inserted,
        updated: 0,
        deleted: 0,
        copied: 0,
        upserted: inserted,
        removed: 0,
        merged: 0,
      },
    ],
    retention: null,
  })
  store.reports.put([reportOf(0, 10, 70), reportOf(1, 20, 90)])
  const { body } = await ask('sharded/statistics')
  expect(statisticsAnswer.parse(body)).toEqual(body)
  expect(body.statistics).toMatchObject({
    since: '2026-01-01T00:00:00.000Z',
    at: '2026-01-01T00:00:10.000Z',
    tables: 2,
    rows: { inserted: 30, upserted: 30, outOfScope: 6 },
    // Each of them sees every transaction of the log.
    batches: { small: 4, transactions: 90 },
    bytes: { log: 2_000 },
    heldMs: { batchFull: 11_400 },
  })
  expect(body.shards).toMatchObject([
    { shard: 1, rows: { inserted: 10 } },
    { shard: 2, rows: { inserted: 20 } },
  ])
  expect(body.tables.map(({ table, inserted }) => [table, inserted])).toEqual([
    ['shop.t1', 20],
    ['shop.t0', 10],
  ])
  const text = statsText(body)
  // 11.4 s of the 10 s and 9 s that they have counted.
  expect(text).toMatch(/^Bottleneck +the target \(reader held back 60% of the time/m)
  expect(text).toMatch(
    /^Shard 2 +20 rows in, 20 out, 1 tables, 1\.0 kB of log; the target \(reader held back 63%/m,
  )
})
