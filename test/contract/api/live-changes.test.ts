/** Limits and tables of running pipelines through the API: what the workflow is told, what is stored, what the audit log says. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AppliedPipeline, AuditRecordAnswer, PipelineStatusAnswer } from '../../../src/api/wire.ts'
import type { Blocked } from '../../../src/core/pipeline-control.ts'
import { sharedTemporal } from '../../support/servers.ts'
import { type ApiRig, type ScriptedEngine, startApi } from './rig.ts'

const document = (kind: string, name: string, spec: object) => ({
  apiVersion: 'syncline/v1',
  kind,
  metadata: { name },
  spec,
})

let api: ApiRig
const engine: ScriptedEngine & { check: (generation: number) => Blocked | null } = {
  report: { phase: 'streaming' },
  check: () => null,
}

beforeAll(async () => {
  api = await startApi(await sharedTemporal())
  for (const name of ['src', 'dst']) {
    const spec = { kind: 'mysql', host: `${name}.example`, user: 'syncline' }
    await api.ask('PUT', `/v1/endpoints/${name}`, document('Endpoint', name, spec))
  }
  await api.startWorker(engine)
})
afterAll(() => api.close())

const apply = (name: string, spec: object = {}) =>
  api.ask<AppliedPipeline>(
    'PUT',
    `/v1/pipelines/${name}`,
    document('Pipeline', name, { source: 'src', target: 'dst', tables: [{ match: 'shop.*' }], ...spec }),
  )
const streaming = async (): Promise<string> => {
  const name = api.name('live')
  expect((await apply(name)).status).toBe(201)
  await api.reaches(name, ({ state }) => state === 'streaming')
  // The audit log is told of it by an activity, so a little later than the status.
  await expect.poll(() => states(name), { timeout: 20_000 }).toContain('streaming')
  return name
}
const status = async (name: string) =>
  (await api.ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${name}/status`)).body
const states = async (name: string): Promise<string[]> => {
  const { body } = await api.ask<{ items: AuditRecordAnswer[] }>('GET', `/v1/audit?name=${name}&pageSize=200`)
  return body.items
    .toReversed()
    .filter(({ action }) => action === 'state')
    .map(({ detail }) => (detail as { state: string }).state)
}

describe('limits', () => {
  it('are set and lifted while it streams, by their own route and by apply, and nothing restarts', async () => {
    const name = await streaming()
    // The audit log is written a moment after the state is entered.
    await expect.poll(async () => (await states(name)).at(-1)).toBe('streaming')
    const before = await states(name)
    const set = await api.ask<AppliedPipeline>('POST', `/v1/pipelines/${name}/limits`, {
      load: { maxRowsPerSecond: 5_000 },
      stream: { maxBytesPerSecond: '10MiB' },
    })
    expect(set.status).toBe(200)
    expect(set.body).toMatchObject({
      change: 'changed',
      workflow: 'changed',
      plan: { restarts: [], fields: [{ effect: 'in-place' }, { effect: 'in-place' }] },
      resource: {
        generation: 2,
        document: {
          spec: { load: { maxRowsPerSecond: 5_000 }, stream: { maxBytesPerSecond: '10MiB' } },
        },
      },
    })
    expect(await status(name)).toMatchObject({ observedGeneration: 2, state: 'streaming', actor: 'ann' })
    const lifted = await api.ask<AppliedPipeline>('POST', `/v1/pipelines/${name}/limits`, {
      load: { maxRowsPerSecond: null, maxBytesPerSecond: '1MiB' },
    })
    expect(lifted.body.resource?.document.spec.load).not.toHaveProperty('maxRowsPerSecond')
    expect(lifted.body.resource?.document.spec).toMatchObject({
      load: { maxBytesPerSecond: '1MiB' },
      stream: { maxBytesPerSecond: '10MiB' },
    })
    // The whole document again, without limits: the same way.
    const applied = await apply(name)
    expect(applied.body).toMatchObject({ change: 'changed', workflow: 'changed', plan: { restarts: [] } })
    expect(await status(name)).toMatchObject({ observedGeneration: 4, generation: 4, state: 'streaming' })
    await expect.poll(() => states(name)).toEqual([...before, 'streaming', 'streaming', 'streaming'])
    // What it runs next time is the newest.
    await api.ask('POST', `/v1/pipelines/${name}/pause`)
    await api.ask('POST', `/v1/pipelines/${name}/limits`, { load: { maxRowsPerSecond: 7 } })
    await api.ask('POST', `/v1/pipelines/${name}/resume`)
    expect(await api.reaches(name, ({ state }) => state === 'streaming')).toMatchObject({
      observedGeneration: 5,
    })
  })

  it('are refused where they make no sense, and everything is in the audit log', async () => {
    const name = await streaming()
    const path = `/v1/pipelines/${name}/limits`
    expect((await api.refusal('POST', path, {})).slice(0, 2)).toEqual([400, 'SYNC-1102'])
    expect((await api.refusal('POST', path, { load: { rows: 5 } })).slice(0, 2)).toEqual([400, 'SYNC-1102'])
    // Measures to wait for are lifted here, not set.
    const pauseWhen = { targetThreadsRunning: 5 }
    expect((await api.refusal('POST', path, { load: { pauseWhen } })).slice(0, 2)).toEqual([400, 'SYNC-1102'])
    const [code, error, problem] = await api.refusal('POST', path, { stream: { maxBytesPerSecond: '10' } })
    expect([code, error]).toEqual([422, 'SYNC-1002'])
    expect(problem.errors[0]?.path).toBe('spec.stream.maxBytesPerSecond')
    expect(
      (await api.refusal('POST', `/v1/pipelines/none-${name}/limits`, { load: {} })).slice(0, 2),
    ).toEqual([404, 'SYNC-1101'])
    expect(
      (await api.refusal('POST', path, { load: { maxRowsPerSecond: 1 } }, { 'if-match': '"7"' })).slice(0, 2),
    ).toEqual([412, 'SYNC-1103'])
    await api.ask('POST', path, { load: { maxRowsPerSecond: 1 } }, { 'x-syncline-actor': 'bob' })
    const { body } = await api.ask<{ items: AuditRecordAnswer[] }>('GET', `/v1/audit?name=${name}`)
    const acts = body.items.filter(({ action }) => action === 'set-limits')
    expect(acts.map(({ actor, outcome, code: why }) => [actor, outcome, why])).toEqual([
      ['bob', 'done', undefined],
      ['ann', 'refused', 'SYNC-1103'],
      ['ann', 'refused', 'SYNC-1002'],
      ['ann', 'refused', 'SYNC-1102'],
      ['ann', 'refused', 'SYNC-1102'],
      ['ann', 'refused', 'SYNC-1102'],
    ])
    expect((await status(name)).generation).toBe(2)
  })
})
