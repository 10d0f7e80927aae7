/* What the API does to the workflow of a pipeline, and what it says of it; with real workers, and with Temporal away. */
import { ApplicationFailure } from '@temporalio/activity'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTemporal } from '../../../dev/temporal.ts'
import type {
  AppliedEndpoint,
  AppliedPipeline,
  AuditRecordAnswer,
  PipelineStatusAnswer,
} from '../../../src/api/wire.ts'
import { createMeter } from '../../../src/streamer/meter.ts'
import { sharedTemporal } from '../../support/servers.ts'
import { type ApiRig, type ScriptedEngine, startApi } from './rig.ts'

const report = {
  phase: 'streaming',
  epoch: '1',
  position: { token: 'a:1-9', ordinal: 0 },
  batch: 3,
  lagMs: 12,
  rowsApplied: 100,
  rowsPerSecond: 10,
  load: { tables: 1, tablesDone: 1, rows: 90, rowsEstimated: 90, etaMs: null },
  retrying: null,
  hostPid: 1,
  restarts: 0,
}

const endpoint = (name: string, spec: object = {}) => ({
  apiVersion: 'syncline/v1',
  kind: 'Endpoint',
  metadata: { name },
  spec: { kind: 'mysql', host: `${name}.example`, user: 'syncline', password: '${env:PW}', ...spec },
})
const pipeline = (name: string, spec: object = {}) => ({
  apiVersion: 'syncline/v1',
  kind: 'Pipeline',
  metadata: { name },
  spec: { source: 'src', target: 'dst', tables: [{ match: 'shop.*' }], ...spec },
})

const prepare = async (api: ApiRig): Promise<void> => {
  await api.ask('PUT', '/v1/endpoints/src', endpoint('src'))
  await api.ask('PUT', '/v1/endpoints/dst', endpoint('dst'))
}
const apply = (api: ApiRig, name: string, spec: object = {}) =>
  api.ask<AppliedPipeline>('PUT', `/v1/pipelines/${name}`, pipeline(name, spec))
const act = (api: ApiRig, name: string, action: string) =>
  api.ask<PipelineStatusAnswer>('POST', `/v1/pipelines/${name}/${action}`)

describe('with workers', () => {
  let api: ApiRig
  const engine: ScriptedEngine = { report }

  beforeAll(async () => {
    api = await startApi(await sharedTemporal())
    await prepare(api)
    await api.startWorker(engine)
  })
  afterAll(() => api.close())

  const streaming = async (spec: object = {}): Promise<string> => {
    const name = api.name('p')
    await apply(api, name, spec)
    await api.reaches(name, ({ state, engine: seen }) => state === 'streaming' && seen !== null)
    return name
  }

  it('warns of a log that will be purged, also while the pipeline is paused', async () => {
    const name = await streaming()
    const nowMs = Date.now()
    const at = (ms: number): string => new Date(nowMs + ms).toISOString()
    const told = {
      at: at(0),
      keptMs: 7_200_000,
      bytesBehind: 5,
      isPurged: false,
      standsUntil: at(3_000_000),
      purgeFrom: null,
      pace: 1.2,
      catchUpMs: 50_000,
    }
    const totals = createMeter().totals()
    api.store.reports.put([{ pipeline: name, epoch: '1', totals, tables: [], retention: told }])
    const status = async () =>
      (await api.ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${name}/status`)).body
    // Until an engine is seen, nothing moves.
    await api.reaches(name, ({ engine: seen }) => seen !== null)
    expect(await status()).toMatchObject({ retention: { ...told, warning: null }, warnings: [] })
    await act(api, name, 'pause')
    const paused = await api.reaches(name, ({ engine: seen }) => seen === null)
    expect(paused.retention?.warning).toMatchObject({ code: 'SYNC-2214', deadline: at(3_000_000) })
    expect(paused.warnings).toEqual([expect.stringContaining('SYNC-2214 From')])
    expect(paused.warnings[0]).toContain(at(3_000_000))
  })

  it('shows what the pre-checks warned of; of the load only while it loads', async () => {
    const name = await streaming()
    const warningOf = (code: string) => ({ code, message: `${code} is said`, remedy: 'Mind it.' })
    api.store.checkWarnings.put(name, [warningOf('SYNC-2213'), warningOf('SYNC-3216')])
    const warnings = async () =>
      (await api.ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${name}/status`)).body.warnings
    expect(await warnings()).toEqual(['SYNC-2213 SYNC-2213 is said. Mind it.'])
    api.store.checkWarnings.put(name, [])
    expect(await warnings()).toEqual([])
    api.store.checkWarnings.put(`${name}-deleted`, [warningOf('SYNC-2213')])
    expect(api.store.checkWarnings.list(`${name}-deleted`)).toEqual([])
  })

  it('warns of the shard whose log goes first, while another shard moves', async () => {
    const name = await streaming({ shards: 3 })
    const nowMs = Date.now()
    const at = (ms: number): string => new Date(nowMs + ms).toISOString()
    const told = (standsMs: number, purgeMs: number | null) => ({
      at: at(0),
      keptMs: 7_200_000,
      bytesBehind: 5,
      isPurged: false,
      standsUntil: at(standsMs),
      purgeFrom: purgeMs === null ? null : at(purgeMs),
      pace: 0.5,
      catchUpMs: null,
    })
    const reportOf = (index: number, retention: ReturnType<typeof told>) => ({
      pipeline: name,
      shard: { index, of: 3 },
      epoch: '1',
      tables: [],
      retention,
      totals: createMeter().totals(),
    })
    api.store.reports.put([
      reportOf(0, told(1_000_000, null)),
      reportOf(1, told(2_500_000, 3_000_000)),
      reportOf(2, told(1_500_000, 3_500_000)),
    ])
    await api.reaches(name, ({ shards }) => shards?.every(({ engine: seen }) => seen !== null) === true)
    const moving = (await api.ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${name}/status`)).body
    expect(moving.retention).toMatchObject({ shard: 2, purgeFrom: at(3_000_000) })
    expect(moving.warnings).toEqual([expect.stringContaining('SYNC-2214 Shard 2 of 3: From')])
    await act(api, name, 'pause')
    const paused = await api.reaches(name, ({ engine: seen }) => seen === null)
    expect(paused.retention).toMatchObject({ shard: 1, warning: { deadline: at(1_000_000) } })
    expect(paused.warnings).toEqual([expect.stringContaining('SYNC-2214 Shard 1 of 3: From')])
  })

  it('tells state, progress, lag and position', async () => {
    const name = api.name('p')
    await apply(api, name)
    const body = await api.reaches(name, ({ state, engine: seen }) => state === 'streaming' && seen !== null)
    expect(body).toMatchObject({
      state: 'streaming',
      wanted: 'run',
      observedGeneration: 1,
      generation: 1,
      blocked: null,
      warnings: [],
    })
    expect(body.engine).toEqual(report)
    expect(Date.parse(body.engineSeenAt ?? '')).toBeGreaterThan(Date.now() - 10_000)
    expect(body.worker).not.toBeNull()
  })

  it('pauses, resumes and stops, and refuses what does not fit', async () => {
    const name = await streaming()
    expect((await act(api, name, 'pause')).body).toMatchObject({ state: 'paused', actor: 'ann' })
    expect((await api.refusal('POST', `/v1/pipelines/${name}/pause`)).slice(0, 2)).toEqual([409, 'SYNC-1104'])
    expect((await act(api, name, 'resume')).status).toBe(200)
    await api.reaches(name, ({ state }) => state === 'streaming')
    const [status, code, problem] = await api.refusal('POST', `/v1/pipelines/${name}/resume`)
    expect([status, code]).toEqual([409, 'SYNC-1104'])
    expect(problem.detail).toContain('is streaming')
    await act(api, name, 'stop')
    const stopped = await api.reaches(name, ({ state }) => state === 'stopped')
    expect(stopped).toMatchObject({
      wanted: 'stop',
      detail: expect.stringContaining(`syncline resume ${name}`),
    })
    expect((await act(api, name, 'stop')).status).toBe(200)
    expect((await api.refusal('POST', `/v1/pipelines/${name}/pause`)).slice(0, 2)).toEqual([409, 'SYNC-1104'])
    // An apply does not start what a person stopped.
    expect((await apply(api, name)).body).toMatchObject({ change: 'unchanged', workflow: 'not-wanted' })
    expect((await act(api, name, 'resume')).status).toBe(200)
    await api.reaches(name, ({ state }) => state === 'streaming')

    const { body } = await api.ask<{ items: AuditRecordAnswer[] }>('GET', `/v1/audit?name=${name}`)
    const actions = body.items.map(({ action, outcome }) => `${action} ${outcome}`).reverse()
    expect(actions.filter((text) => !text.startsWith('state'))).toEqual([
      'apply done',
      'pause done',
      'pause refused',
      'resume done',
      'resume refused',
      'stop done',
      'stop done',
      'pause refused',
      'resume done',
    ])
    expect(body.items.filter(({ action }) => action === 'state').length).toBeGreaterThan(5)
  })

  it('restarts the stream with a changed spec, and leaves it alone for a label', async () => {
    const name = await streaming()
    expect((await apply(api, name, { stream: { lanes: 8 } })).body).toMatchObject({
      change: 'changed',
      workflow: 'changed',
    })
    await api.reaches(
      name,
      ({ observedGeneration, state }) => observedGeneration === 2 && state === 'streaming',
    )
    const labelled = {
      ...pipeline(name, { stream: { lanes: 8 } }),
      metadata: { name, labels: { team: 'a' } },
    }
    const { body } = await api.ask<AppliedPipeline>('PUT', `/v1/pipelines/${name}`, labelled)
    expect(body).toMatchObject({ change: 'changed', workflow: 'unchanged', resource: { generation: 3 } })
    expect((await api.ask('PUT', `/v1/pipelines/${name}`, labelled)).body).toMatchObject({
      change: 'unchanged',
      workflow: 'unchanged',
    })
  })

  it('restarts the pipelines of a changed endpoint', async () => {
    const own = api.name('e')
    await api.ask('PUT', `/v1/endpoints/${own}`, endpoint(own))
    const name = await streaming({ source: own })
    const changed = await api.ask<AppliedEndpoint>(
      'PUT',
      `/v1/endpoints/${own}`,
      endpoint(own, { port: 3307 }),
    )
    expect(changed.body.plan).toMatchObject({
      fields: [{ path: 'spec.port', effect: 'restart' }],
      restarts: [name],
    })
    await api.reaches(name, ({ observedGeneration }) => observedGeneration === 2)
    const refused = await api.refusal(
      'PUT',
      `/v1/endpoints/${own}`,
      endpoint(own, { port: 3307, site: 'dc-z' }),
    )
    expect(refused.slice(0, 2)).toEqual([409, 'SYNC-1104'])
    expect(refused[2].errors).toMatchObject([{ path: 'spec.site' }])
  })

  it('refuses what would break a pipeline that has written', async () => {
    const name = await streaming()
    const [status, code, problem] = await api.refusal(
      'PUT',
      `/v1/pipelines/${name}`,
      pipeline(name, {
        source: 'dst',
        target: 'src',
        tables: [{ match: 'shop.*', where: 'a = 1' }],
        load: { mode: 'none' },
      }),
    )
    expect([status, code]).toEqual([409, 'SYNC-1104'])
    expect(problem.errors.map(({ path }) => path)).toEqual([
      'spec.source',
      'spec.target',
      'spec.load.mode',
      'spec.tables[0].where',
    ])
    expect((await api.ask<{ generation: number }>('GET', `/v1/pipelines/${name}`)).body.generation).toBe(1)
    const more = { tables: [{ match: 'shop.*' }, { match: 'crm.*' }] }
    expect((await apply(api, name, more)).body).toMatchObject({ change: 'changed', workflow: 'changed' })
    expect((await apply(api, name)).body).toMatchObject({ change: 'changed' })
    const elsewhere = { tables: [{ match: 'shop.*' }, { match: 'crm.*', to: { schema: 'copy' } }] }
    expect(
      (await api.refusal('PUT', `/v1/pipelines/${name}`, pipeline(name, elsewhere))).slice(0, 2),
    ).toEqual([409, 'SYNC-1104'])
    // Under the mapping that it had, it is loaded anew.
    expect((await apply(api, name, more)).body).toMatchObject({ change: 'changed', workflow: 'changed' })
  })

  it('shows what blocks, lets anything change before rows were written, and goes on', async () => {
    const blocked = {
      code: 'SYNC-4003',
      message: 'the pre-checks found 1 error',
      remedy: 'Mend each finding, then resume.',
      at: null,
      findings: [
        {
          code: 'SYNC-2202',
          severity: 'error' as const,
          message: 'shop.log has no primary key',
          remedy: 'Exclude it.',
        },
      ],
    }
    const name = api.name('p')
    engine.check = (generation) => (generation === 1 ? blocked : null)
    await apply(api, name)
    const seen = await api.reaches(name, ({ state }) => state === 'blocked')
    expect(seen.blocked).toEqual(blocked)
    await apply(api, name, {
      source: 'dst',
      target: 'src',
      tables: [{ match: 'shop.*', exclude: ['shop.log'] }],
    })
    await api.reaches(
      name,
      ({ state, observedGeneration }) => state === 'streaming' && observedGeneration === 2,
    )
    delete engine.check
  })

  it('shows what is being tried again', async () => {
    const name = api.name('p')
    let away = true
    engine.check = () => {
      if (!away) return null
      throw ApplicationFailure.create({ type: 'SYNC-2101', message: 'nothing at port 1' })
    }
    await apply(api, name)
    const seen = await api.reaches(name, ({ retrying }) => retrying !== null)
    expect(seen).toMatchObject({
      state: 'checking',
      retrying: {
        code: 'SYNC-2101',
        message: 'nothing at port 1',
        remedy: expect.stringContaining('comes back'),
      },
    })
    away = false
    const after = await api.reaches(name, ({ state }) => state === 'streaming')
    expect(after.retrying).toBeNull()
    delete engine.check
  })

  it('drains and deletes, and a pipeline of the same name begins anew', async () => {
    const name = await streaming()
    expect(await api.ask('DELETE', `/v1/pipelines/${name}`)).toMatchObject({ status: 204 })
    expect((await api.refusal('GET', `/v1/pipelines/${name}/status`)).slice(0, 2)).toEqual([404, 'SYNC-1101'])
    const states = api.store.audit.list({ name }).filter(({ action }) => action === 'state')
    expect(states[0]).toMatchObject({ detail: { state: 'stopped' } })
    await apply(api, name, { source: 'dst', target: 'src' })
    const seen = await api.reaches(name, ({ state }) => state === 'streaming')
    expect(seen.generation).toBe(2)
  })

  it('deletes only what the caller has seen', async () => {
    const name = await streaming()
    const seen = { 'if-match': '"7"' }
    expect((await api.refusal('DELETE', `/v1/pipelines/${name}`, undefined, seen)).slice(0, 2)).toEqual([
      412,
      'SYNC-1103',
    ])
  })
})

describe('without workers', () => {
  it('does not wait for ever, and finishes a deletion later or by force', async () => {
    const api = await startApi(await sharedTemporal(), { drainWithinMs: 500, callWithinMs: 400 })
    await prepare(api)
    const name = api.name('p')
    await apply(api, name)
    expect((await api.refusal('POST', `/v1/pipelines/${name}/pause`)).slice(0, 2)).toEqual([504, 'SYNC-1108'])
    expect((await api.refusal('DELETE', `/v1/pipelines/${name}`)).slice(0, 2)).toEqual([504, 'SYNC-1108'])
    const { body } = await api.ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${name}/status`)
    expect(body).toMatchObject({ state: 'deleting', wanted: 'delete' })
    for (const action of ['resume', 'stop']) {
      expect((await api.refusal('POST', `/v1/pipelines/${name}/${action}`)).slice(0, 2)).toEqual([
        409,
        'SYNC-1104',
      ])
    }
    expect((await api.refusal('PUT', `/v1/pipelines/${name}`, pipeline(name))).slice(0, 2)).toEqual([
      409,
      'SYNC-1104',
    ])
    expect((await api.ask('DELETE', `/v1/pipelines/${name}?force=true`)).status).toBe(204)
    await api.close()
  })

  it('says that a drain takes its time', async () => {
    const api = await startApi(await sharedTemporal(), { drainWithinMs: 200 })
    await prepare(api)
    await api.startWorker({ report, drainMs: 1_500 })
    const name = api.name('p')
    await apply(api, name)
    await api.reaches(name, ({ state }) => state === 'streaming')
    const [status, code, problem] = await api.refusal('DELETE', `/v1/pipelines/${name}`)
    expect([status, code]).toEqual([409, 'SYNC-1104'])
    expect(problem.remedy).toContain('force=true')
    // Asked again and again, as its remedy says.
    const deadline = Date.now() + 20_000
    let again = 409
    while (again === 409 && Date.now() < deadline)
      again = (await api.ask('DELETE', `/v1/pipelines/${name}`)).status
    expect(again).toBe(204)
    await api.close()
  })
})

describe('with Temporal away', () => {
  it('refuses quickly, stores nothing, and goes on once it is back', async () => {
    await using temporal = await startTemporal({ ui: false })
    const api = await startApi(temporal)
    await prepare(api)
    const running = api.name('p')
    await apply(api, running)
    await temporal.kill()

    const name = api.name('p')
    expect((await api.refusal('PUT', `/v1/pipelines/${name}`, pipeline(name))).slice(0, 2)).toEqual([
      503,
      'SYNC-1106',
    ])
    expect(api.store.pipelines.get(name)).toBeNull()
    for (const [method, path] of [
      ['GET', 'status'],
      ['POST', 'pause'],
      ['POST', 'resume'],
      ['POST', 'stop'],
    ] as const) {
      expect((await api.refusal(method, `/v1/pipelines/${running}/${path}`)).slice(0, 2)).toEqual([
        503,
        'SYNC-1106',
      ])
    }
    expect((await api.refusal('DELETE', `/v1/pipelines/${running}`)).slice(0, 2)).toEqual([503, 'SYNC-1106'])
    expect((await api.refusal('PUT', '/v1/endpoints/src', endpoint('src', { port: 1 }))).slice(0, 2)).toEqual(
      [503, 'SYNC-1106'],
    )
    expect(api.store.pipelines.get(running)).toMatchObject({ wanted: 'run', generation: 1 })
    // What needs no Temporal works.
    expect((await api.ask('GET', `/v1/pipelines/${running}`)).status).toBe(200)
    expect(await api.ask('GET', '/readyz')).toMatchObject({
      status: 503,
      body: { ready: false, temporal: { code: 'SYNC-1106' } },
    })
    expect((await api.ask('GET', '/healthz')).status).toBe(200)

    await temporal.restart()
    const deadline = Date.now() + 20_000
    while ((await api.ask('GET', '/readyz')).status !== 200 && Date.now() < deadline);
    expect((await apply(api, name)).body).toMatchObject({ change: 'created', workflow: 'started' })
    await api.close()
  })

  it('shows what was stored and never started, and starts it on resume', async () => {
    const api = await startApi(await sharedTemporal())
    await prepare(api)
    const name = api.name('p')
    // As a server leaves it that dies between the store and Temporal.
    const stored = api.store.endpoints.get('src')
    expect(stored).not.toBeNull()
    const { acceptDocument, checkPipeline } = await import('../../../src/config/document.ts')
    api.store.pipelines.apply(acceptDocument(checkPipeline(pipeline(name))), 'ann')
    const { body } = await api.ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${name}/status`)
    expect(body).toMatchObject({
      state: 'created',
      workflow: null,
      detail: expect.stringContaining(`syncline resume ${name}`),
    })
    await api.startWorker({ report })
    expect((await act(api, name, 'resume')).status).toBe(200)
    await api.reaches(name, ({ state }) => state === 'streaming')
    await api.close()
  })
})
