/** Parked tables through the API: what the store was told, the warning, and the way back up to the engine that is started anew. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type {
  AppliedPipeline,
  AuditRecordAnswer,
  ParkedTableAnswer,
  PipelineStatusAnswer,
} from '../../../src/api/wire.ts'
import { sharedTemporal } from '../../support/servers.ts'
import { type ApiRig, startApi } from './rig.ts'

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'syncline/v1',
  kind,
  metadata: { name },
  spec,
})
const parked = {
  table: 'shop.orders',
  parking: 'p1',
  state: 'parked',
  code: 'SYNC-3302',
  message: 'a value does not fit',
  remedy: 'Widen the column.',
  parkedAt: '2026-01-01T00:00:00.000Z',
  deadLetters: 2,
} as const

let api: ApiRig

beforeAll(async () => {
  api = await startApi(await sharedTemporal())
  for (const name of ['src', 'dst']) {
    const spec = { kind: 'mysql', host: `${name}.example`, user: 'syncline' }
    await api.ask('PUT', `/v1/endpoints/${name}`, document('Endpoint', name, spec))
  }
  await api.startWorker({ report: { phase: 'streaming' }, check: () => null })
})
afterAll(() => api.close())

it('lists what is parked, warns, and takes a rejoin, and the audit log says who asked', async () => {
  const name = api.name('parked')
  const spec = { source: 'src', target: 'dst', tables: [{ match: 'shop.*' }], onRefusedRow: 'quarantine' }
  const applied = await api.ask<AppliedPipeline>(
    'PUT',
    `/v1/pipelines/${name}`,
    document('Pipeline', name, spec),
  )
  expect(applied.status).toBe(201)
  const before = await api.reaches(name, ({ state }) => state === 'streaming')
  const path = `/v1/pipelines/${name}/quarantine`
  const list = async () => (await api.ask<{ items: ParkedTableAnswer[] }>('GET', path)).body.items
  expect(await list()).toEqual([])
  expect(before.warnings).toEqual([])

  api.store.parkedTables.replace({ pipeline: name }, 1, [parked])
  expect(await list()).toEqual([parked])
  const status = await api.ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${name}/status`)
  expect(status.body.warnings).toEqual([expect.stringContaining('not kept in step: shop.orders')])

  const refusal = async (body: object, at = path) =>
    (await api.refusal('POST', `${at}/rejoin`, body)).slice(0, 2)
  expect(await refusal({ table: 'shop.items' })).toEqual([409, 'SYNC-3305'])
  expect(await refusal({ tables: ['shop.orders'] })).toEqual([400, 'SYNC-1102'])
  expect(await refusal({ table: 'shop.orders' }, `/v1/pipelines/none-${name}/quarantine`)).toEqual([
    404,
    'SYNC-1101',
  ])
  expect((await api.refusal('GET', `/v1/pipelines/none-${name}/quarantine`)).slice(0, 2)).toEqual([
    404,
    'SYNC-1101',
  ])

  const rejoined = await api.ask(
    'POST',
    `${path}/rejoin`,
    { table: 'shop.orders' },
    { 'x-syncline-actor': 'bob' },
  )
  expect(rejoined.status, JSON.stringify(rejoined.body)).toBe(200)
  const audited = async (action: string) => {
    const { body } = await api.ask<{ items: AuditRecordAnswer[] }>(
      'GET',
      `/v1/audit?name=${name}&pageSize=200`,
    )
    return body.items.filter((record) => record.action === action)
  }
  // The engine is started anew, from catching up on: it is the one that is told of the request.
  const catchingUp = async () =>
    (await audited('state')).filter(({ detail }) => (detail as { state: string }).state === 'catching-up')
      .length
  await expect.poll(catchingUp, { timeout: 20_000 }).toBe(2)
  await api.reaches(name, ({ state }) => state === 'streaming')

  expect((await audited('rejoin')).map(({ actor, outcome, code }) => [actor, outcome, code])).toEqual([
    ['bob', 'done', undefined],
    ['ann', 'refused', 'SYNC-1102'],
    ['ann', 'refused', 'SYNC-3305'],
  ])

  await api.ask('POST', `/v1/pipelines/${name}/stop`)
  await api.reaches(name, ({ state }) => state === 'stopped')
  expect(await refusal({ table: 'shop.orders' })).toEqual([409, 'SYNC-1104'])
  expect(await list()).toEqual([parked])
})
