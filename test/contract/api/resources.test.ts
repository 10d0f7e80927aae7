/* Endpoints and pipelines as resources: every answer and every refusal, over a real store and a real Temporal. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type {
  AppliedEndpoint,
  AppliedPipeline,
  AuditRecordAnswer,
  EndpointResource,
  PipelineResource,
  PipelineStatusAnswer,
} from '../../../src/api/wire.ts'
import { sharedTemporal } from '../../support/servers.ts'
import { type ApiRig, startApi } from './rig.ts'

let api: ApiRig

beforeAll(async () => {
  api = await startApi(await sharedTemporal())
})
afterAll(() => api.close())

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
const put = <T>(document: { kind: string; metadata: { name: string } }, headers?: Record<string, string>) =>
  api.ask<T>('PUT', `/v1/${document.kind.toLowerCase()}s/${document.metadata.name}`, document, headers)
const putRefused = (
  document: { kind: string; metadata: { name: string } },
  headers?: Record<string, string>,
) => api.refusal('PUT', `/v1/${document.kind.toLowerCase()}s/${document.metadata.name}`, document, headers)
const auditOf = async (name: string) =>
  (await api.ask<{ items: AuditRecordAnswer[] }>('GET', `/v1/audit?name=${name}`)).body.items

describe('endpoints', () => {
  it('are created, read, listed, changed and deleted', async () => {
    const name = api.name('e')
    const created = await put<AppliedEndpoint>(endpoint(name))
    expect(created).toMatchObject({ status: 201, body: { change: 'created', plan: { change: 'create' } } })
    expect(created.headers.get('etag')).toBe('"1"')
    const read = await api.ask<EndpointResource>('GET', `/v1/endpoints/${name}`)
    expect(read.body.document.spec).toMatchObject({ port: 3306, password: '${env:PW}' })
    expect(read.headers.get('etag')).toBe('"1"')
    // What is read may be applied as it is.
    expect(await put(read.body.document)).toMatchObject({ status: 200, body: { change: 'unchanged' } })
    const changed = await put<AppliedEndpoint>(endpoint(name, { port: 3307 }))
    expect(changed).toMatchObject({
      status: 200,
      body: {
        change: 'changed',
        plan: {
          fields: [{ path: 'spec.port', before: 3306, after: 3307, effect: 'in-place' }],
          restarts: [],
        },
      },
    })
    const list = await api.ask<{ items: EndpointResource[] }>('GET', '/v1/endpoints')
    expect(list.body.items.map(({ document }) => document.metadata.name)).toContain(name)
    expect(await api.ask('DELETE', `/v1/endpoints/${name}`)).toMatchObject({ status: 204, body: null })
    expect(await api.refusal('GET', `/v1/endpoints/${name}`)).toMatchObject([404, 'SYNC-1101', {}])
    expect((await auditOf(name)).map(({ action, outcome, actor }) => [action, outcome, actor])).toEqual([
      ['delete', 'done', 'ann'],
      ['apply', 'done', 'ann'],
      ['apply', 'done', 'ann'],
    ])
  })

  it('are not changed by a dry run', async () => {
    const name = api.name('e')
    const dry = await api.ask('PUT', `/v1/endpoints/${name}?dryRun=true`, endpoint(name))
    expect(dry).toMatchObject({
      status: 200,
      body: { change: 'dry-run', plan: { change: 'create' }, resource: null },
    })
    expect((await api.refusal('GET', `/v1/endpoints/${name}`))[0]).toBe(404)
    expect(await auditOf(name)).toEqual([])
  })

  it('are guarded by ETags', async () => {
    const name = api.name('e')
    await put(endpoint(name), { 'if-none-match': '*' })
    expect((await putRefused(endpoint(name), { 'if-none-match': '*' })).slice(0, 2)).toEqual([
      412,
      'SYNC-1103',
    ])
    expect((await put(endpoint(name, { port: 1 }), { 'if-match': '"1"' })).status).toBe(200)
    expect((await putRefused(endpoint(name, { port: 2 }), { 'if-match': '"1"' })).slice(0, 2)).toEqual([
      412,
      'SYNC-1103',
    ])
    expect((await putRefused(endpoint(name), { 'if-match': 'x' })).slice(0, 2)).toEqual([400, 'SYNC-1102'])
    expect((await api.refusal('DELETE', `/v1/endpoints/${name}`, undefined, { 'if-match': '"1"' }))[0]).toBe(
      412,
    )
  })

  it('say every mistake with its path, never the secret', async () => {
    const name = api.name('e')
    const [status, code, problem] = await putRefused(endpoint(name, { password: 'hunter2', prot: 1 }))
    expect([status, code]).toEqual([422, 'SYNC-1004'])
    expect(problem.errors).toEqual([
      expect.objectContaining({ code: 'SYNC-1004', path: 'spec.password', pointer: '/spec/password' }),
      expect.objectContaining({ code: 'SYNC-1002', path: 'spec.prot', remedy: 'Did you mean `port`?' }),
    ])
    const entries = await auditOf(name)
    expect(entries).toMatchObject([{ outcome: 'refused', code: 'SYNC-1004' }])
    expect(JSON.stringify([problem, entries])).not.toContain('hunter2')
  })

  it.each([
    ['a body that is not JSON', '{', 400, 'SYNC-1102'],
    ['another name than in the URL', endpoint('e2'), 422, 'SYNC-1003'],
    ['a document of another kind', { ...endpoint('e'), kind: 'Pipeline' }, 422, 'SYNC-1002'],
    ['an empty document', {}, 422, 'SYNC-1002'],
    ['a list', [], 422, 'SYNC-1002'],
  ])('refuse %s', async (_, body, status, code) => {
    expect((await api.refusal('PUT', '/v1/endpoints/e', body)).slice(0, 2)).toEqual([status, code])
  })

  it('refuse names that are none, and pages of other sites', async () => {
    expect((await api.refusal('GET', '/v1/endpoints/Not_A_Name')).slice(0, 2)).toEqual([400, 'SYNC-1102'])
    expect((await api.refusal('GET', '/v1/nothing')).slice(0, 2)).toEqual([404, 'SYNC-1101'])
    const evil = { origin: 'https://evil.example' }
    expect((await api.refusal('POST', '/v1/pipelines/x/stop', undefined, evil)).slice(0, 2)).toEqual([
      403,
      'SYNC-1109',
    ])
    const big = 'x'.repeat(9 * 1024 * 1024)
    const length = { 'content-length': String(big.length) }
    expect((await api.refusal('PUT', '/v1/endpoints/x', big, length)).slice(0, 2)).toEqual([400, 'SYNC-1102'])
    expect((await api.refusal('GET', '/v1/endpoints', undefined, { 'x-syncline-actor': 'a\u00e9' }))[1]).toBe(
      'SYNC-1102',
    )
  })
})

describe('pipelines', () => {
  beforeAll(async () => {
    await put(endpoint('src'))
    await put(endpoint('dst'))
  })

  it('need their endpoints', async () => {
    const name = api.name('p')
    const [status, code, problem] = await putRefused(pipeline(name, { source: 'nowhere' }))
    expect([status, code]).toEqual([422, 'SYNC-1003'])
    expect(problem.errors).toMatchObject([{ path: 'spec.source', message: 'there is no endpoint nowhere' }])
    expect((await api.refusal('GET', `/v1/pipelines/${name}`))[0]).toBe(404)
  })

  it('are not copied into themselves under another name', async () => {
    await put(endpoint('src-alias', { host: 'src.example' }))
    expect((await putRefused(pipeline(api.name('p'), { target: 'src-alias' }))).slice(0, 2)).toEqual([
      422,
      'SYNC-1003',
    ])
  })

  it('are applied again and again, and plan what a change costs', async () => {
    const name = api.name('p')
    const dry = await api.ask<AppliedPipeline>('PUT', `/v1/pipelines/${name}?dryRun=true`, pipeline(name))
    expect(dry.body).toMatchObject({ change: 'dry-run', plan: { change: 'create' }, workflow: null })
    expect((await api.refusal('GET', `/v1/pipelines/${name}/status`)).slice(0, 2)).toEqual([404, 'SYNC-1101'])
    const created = await put<AppliedPipeline>(pipeline(name))
    expect(created).toMatchObject({ status: 201, body: { change: 'created', workflow: 'started' } })
    const changed = { ...pipeline(name, { stream: { lanes: 8 } }), metadata: { name, labels: { team: 'a' } } }
    const plan = await api.ask<AppliedPipeline>('PUT', `/v1/pipelines/${name}?dryRun=true`, changed)
    expect(plan.body.plan).toEqual({
      change: 'change',
      fields: [
        { path: 'metadata.labels.team', before: null, after: 'a', effect: 'in-place' },
        { path: 'spec.stream.lanes', before: 4, after: 8, effect: 'restart' },
      ],
      restarts: [name],
    })
    const { body } = await api.ask<{ items: PipelineResource[] }>('GET', '/v1/pipelines')
    expect(body.items.find(({ document }) => document.metadata.name === name)).toMatchObject({
      generation: 1,
      wanted: 'run',
    })
  })

  it('show their state without any worker', async () => {
    const name = api.name('p')
    await put(pipeline(name))
    const { body, status } = await api.ask<PipelineStatusAnswer>('GET', `/v1/pipelines/${name}/status`)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      name,
      state: 'created',
      wanted: 'run',
      engine: null,
      workflow: { id: `pipeline/${name}` },
    })
    expect(body.warnings).toEqual([expect.stringContaining('syncline worker')])
  })

  it('keep endpoints in use', async () => {
    const name = api.name('p')
    const own = api.name('e')
    await put(endpoint(own))
    await put(pipeline(name, { source: own }))
    const [status, code, problem] = await api.refusal('DELETE', `/v1/endpoints/${own}`)
    expect([status, code]).toEqual([409, 'SYNC-1105'])
    expect(problem.remedy).toContain(`syncline delete pipeline ${name}`)
  })

  it('are told of what does not exist', async () => {
    for (const path of ['pause', 'resume', 'stop']) {
      expect((await api.refusal('POST', `/v1/pipelines/none/${path}`)).slice(0, 2)).toEqual([
        404,
        'SYNC-1101',
      ])
    }
    expect((await api.refusal('DELETE', '/v1/pipelines/none')).slice(0, 2)).toEqual([404, 'SYNC-1101'])
    expect((await api.refusal('GET', '/v1/pipelines/none')).slice(0, 2)).toEqual([404, 'SYNC-1101'])
  })
})

describe('audit, health and the document', () => {
  it('pages through the audit log', async () => {
    const name = api.name('e')
    for (const port of [1, 2, 3]) await put(endpoint(name, { port }))
    const first = await api.ask<{ items: AuditRecordAnswer[]; nextPageToken: string | null }>(
      'GET',
      `/v1/audit?name=${name}&pageSize=2`,
    )
    expect(first.body.items).toHaveLength(2)
    const second = await api.ask<{ items: AuditRecordAnswer[]; nextPageToken: string | null }>(
      'GET',
      `/v1/audit?name=${name}&pageSize=2&pageToken=${first.body.nextPageToken}`,
    )
    expect(second.body).toMatchObject({ items: [{ detail: { generation: 1 } }], nextPageToken: null })
    expect((await api.refusal('GET', '/v1/audit?pageSize=0')).slice(0, 2)).toEqual([400, 'SYNC-1102'])
    expect(api.store.audit.verify()).toBeNull()
  })

  it('gives every request an id, and a name to who asks', async () => {
    const name = api.name('e')
    const answer = await put(endpoint(name), { 'x-request-id': 'r-1', 'x-syncline-actor': 'bob' })
    expect(answer.headers.get('x-request-id')).toBe('r-1')
    expect(await auditOf(name)).toMatchObject([{ actor: 'bob', requestId: 'r-1' }])
    expect((await api.ask('GET', '/healthz')).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('is healthy and ready', async () => {
    expect(await api.ask('GET', '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } })
    expect(await api.ask('GET', '/readyz')).toMatchObject({ status: 200, body: { ready: true } })
  })

  it('describes itself as OpenAPI 3.1', async () => {
    const { body } = await api.ask<{ openapi: string; paths: object; components: { schemas: object } }>(
      'GET',
      '/v1/openapi.json',
    )
    expect(body.openapi).toBe('3.1.0')
    expect(Object.keys(body.paths)).toEqual([
      '/v1/endpoints',
      '/v1/endpoints/{name}',
      '/v1/pipelines',
      '/v1/pipelines/{name}',
      '/v1/pipelines/{name}/pause',
      '/v1/pipelines/{name}/resume',
      '/v1/pipelines/{name}/stop',
      '/v1/pipelines/{name}/limits',
      '/v1/pipelines/{name}/add-tables',
      '/v1/pipelines/{name}/remove-tables',
      '/v1/pipelines/{name}/quarantine',
      '/v1/pipelines/{name}/quarantine/rejoin',
      '/v1/pipelines/{name}/status',
      '/v1/pipelines/{name}/statistics',
      '/v1/pipelines/{name}/verifications',
      '/v1/pipelines/{name}/verifications/{number}',
      '/v1/pipelines/{name}/verifications/{number}/tables',
      '/v1/pipelines/{name}/verifications/{number}/differences',
      '/v1/pipelines/{name}/verifications/{number}/cancel',
      '/v1/pipelines/{name}/verifications/{number}/repair-statements',
      '/v1/pipelines/{name}/verifications/{number}/repairs',
      '/v1/pipelines/{name}/verifications/{number}/approve',
      '/v1/pipelines/{name}/verifications/{number}/repairs/{repair}/rows',
      '/v1/audit',
      '/healthz',
      '/readyz',
    ])
    // Every reference leads somewhere.
    const references = [...JSON.stringify(body).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(
      ([, name]) => name,
    )
    expect(references.length).toBeGreaterThan(20)
    for (const name of references) expect(Object.keys(body.components.schemas)).toContain(name)
  })
})
