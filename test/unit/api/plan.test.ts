import { describe, expect, it } from 'vitest'
import { assertAccepted, planEndpoint, planPipeline } from '../../../src/api/plan.ts'
import { endpoint, pipeline } from '../store/documents.ts'

const effects = (plan: ReturnType<typeof planPipeline>) =>
  plan.fields.map(({ path, effect }) => `${path} ${effect}`)

describe('planPipeline', () => {
  const before = pipeline('p')

  it('tells a creation, and no change', () => {
    expect(planPipeline(null, before, [])).toMatchObject({ change: 'create', restarts: [] })
    expect(planPipeline(before, pipeline('p'), [before])).toEqual({
      change: 'unchanged',
      fields: [],
      restarts: [],
    })
  })

  it('lets everything change before rows were written', () => {
    const after = pipeline('p', {
      source: 'x',
      target: 'y',
      tables: [{ match: 'crm.*' }],
      load: { mode: 'none' },
    })
    const plan = planPipeline(before, after, [])
    expect(effects(plan)).toEqual([
      'spec.source restart',
      'spec.target restart',
      'spec.load.mode restart',
      'spec.tables[0] restart',
      'spec.tables[0] restart',
    ])
    assertAccepted(plan, 'pipeline p')
  })

  it('lets what only tunes change, and refuses what it stands on', () => {
    const after = pipeline('p', {
      source: 'x',
      load: { chunkRows: 1000 },
      stream: { lanes: 2, batch: { maxDelay: '1s' } },
      onMissingTable: 'create',
    })
    const plan = planPipeline(before, after, [before])
    expect(effects(plan)).toEqual([
      'spec.source refused',
      'spec.onMissingTable restart',
      'spec.load.chunkRows restart',
      'spec.stream.lanes restart',
      'spec.stream.batch.maxDelay restart',
    ])
    expect(plan.restarts).toEqual(['p'])
    expect(() => assertAccepted(plan, 'pipeline p')).toThrow(
      expect.objectContaining({
        code: 'SYNC-1104',
        message: expect.stringContaining('spec.source: its position'),
      }),
    )
  })

  it('never changes the number of shards once rows were written', () => {
    const after = pipeline('p', { shards: 4 })
    expect(effects(planPipeline(before, after, []))).toEqual(['spec.shards restart'])
    const plan = planPipeline(before, after, [before])
    expect(effects(plan)).toEqual(['spec.shards refused'])
    expect(() => assertAccepted(plan, 'pipeline p')).toThrow(expect.objectContaining({ code: 'SYNC-1115' }))
  })

  it('takes a document of before there were shards for one with a single engine', () => {
    const { shards: _, ...spec } = before.spec
    const old = { ...before, spec } as typeof before
    expect(planPipeline(old, before, [old])).toMatchObject({ change: 'unchanged' })
  })

  it('lets tables join and leave, and come back where they are loaded again', () => {
    const more = pipeline('p', { tables: [{ match: 'shop.*' }, { match: 'crm.*' }] })
    expect(effects(planPipeline(before, more, [before]))).toEqual(['spec.tables[1] restart'])
    expect(effects(planPipeline(more, before, [before, more]))).toEqual(['spec.tables[1] restart'])
    expect(effects(planPipeline(before, more, [more, before]))).toEqual(['spec.tables[1] restart'])
    const elsewhere = pipeline('p', {
      tables: [{ match: 'shop.*' }, { match: 'crm.*', to: { schema: 'elsewhere' } }],
    })
    expect(planPipeline(before, elsewhere, [more, before]).fields[0]).toMatchObject({
      effect: 'refused',
      reason: expect.stringContaining('another mapping'),
    })
    const [unloaded, unloadedMore] = [before, more].map((document) => ({
      ...document,
      spec: { ...document.spec, load: { ...document.spec.load, mode: 'none' as const } },
    })) as [typeof before, typeof before]
    expect(planPipeline(unloaded, unloadedMore, [unloadedMore, unloaded]).fields[0]).toMatchObject({
      effect: 'refused',
      reason: expect.stringContaining('without what changed'),
    })
  })
})

it('planEndpoint restarts who uses it, and keeps the site of what has written', () => {
  const after = endpoint('a', { port: 3307, site: 'dc-b' })
  expect(planEndpoint(endpoint('a'), after, [])).toMatchObject({
    restarts: [],
    fields: [{ effect: 'in-place' }, { effect: 'in-place' }],
  })
  expect(planEndpoint(endpoint('a'), after, [{ name: 'p', written: false }])).toMatchObject({
    restarts: ['p'],
  })
  const plan = planEndpoint(endpoint('a'), after, [{ name: 'p', written: true }])
  expect(plan.fields.map(({ path, effect }) => `${path} ${effect}`)).toEqual([
    'spec.port restart',
    'spec.site refused',
  ])
})
