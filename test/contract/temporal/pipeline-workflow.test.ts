/*
 * The workflow `pipeline` on a real Temporal server: states, updates and their refusals, blocked and fenced engines, cancel,
 * continue-as-new under a hail of updates. The activities are scripted (scripted-worker.ts); everything else is real.
 */
import { WorkflowUpdateFailedError } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Blocked } from '../../../src/core/pipeline-control.ts'
import { sharedTemporal } from '../../support/servers.ts'
import {
  healthy,
  type ScriptedPipeline,
  type ScriptedWorker,
  startScriptedWorker,
} from './scripted-worker.ts'

let worker: ScriptedWorker

beforeAll(async () => {
  worker = await startScriptedWorker(await sharedTemporal())
})
afterAll(() => worker?.stop())

const refusalOf = async (attempt: Promise<unknown>): Promise<ApplicationFailure> => {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof WorkflowUpdateFailedError)) throw new Error(`was not refused: ${String(error)}`)
  if (!(error.cause instanceof ApplicationFailure)) throw new Error(`no failure: ${String(error.cause)}`)
  return error.cause
}
const blocked = (code: string, at: string | null = null): Blocked => ({
  code,
  message: `${code} happened`,
  remedy: 'mend it',
  at,
  findings: [],
})

describe('the life of a pipeline', () => {
  it('runs to streaming, pauses, resumes, stops; each change is audited once and in order', async () => {
    const orders = await worker.start()
    await orders.streams()
    expect(orders.calls).toEqual(['claim', 'check 1', 'run loaded', 'run caught-up', 'run stopped'])

    const paused = await orders.update('pause', { actor: 'bob' })
    expect(paused).toMatchObject({ state: 'paused', wanted: 'pause' })
    expect(orders.active).toBe(0)

    const resumed = await orders.update('resume')
    expect(resumed.state).not.toBe('paused')
    await orders.streams()
    expect(orders.calls.slice(5)).toEqual(['claim', 'check 1', 'run caught-up', 'run stopped'])
    const generations = orders.runs.map((run) => run.generation)
    expect(new Set(generations.slice(0, 3)).size).toBe(1)
    expect(Math.min(...generations.slice(3))).toBeGreaterThan(generations[0] ?? Infinity)

    const stopped = await orders.update('stop', { actor: 'eve' })
    expect(stopped.state).toBe('stopped')
    expect(await orders.handle.result()).toMatchObject({ state: 'stopped' })
    expect(orders.active).toBe(0)
    expect(orders.audit.map((entry) => `${entry.actor}: ${entry.state}`)).toEqual([
      'tester: created',
      'syncline: checking',
      'syncline: loading',
      'syncline: catching-up',
      'syncline: streaming',
      'bob: draining',
      'bob: paused',
      'ann: paused',
      'syncline: checking',
      'syncline: catching-up',
      'syncline: streaming',
      'eve: draining',
      'eve: stopped',
    ])
  })

  it('is found by its search attributes', async () => {
    const orders = await worker.start()
    await orders.streams()
    const described = await orders.handle.describe()
    expect(described.searchAttributes).toMatchObject({
      SyncPhase: ['streaming'],
      SyncPipeline: [orders.name],
    })
    await orders.update('stop')
  })

  it('stops with a drain when the workflow is cancelled', async () => {
    const orders = await worker.start()
    await orders.streams()
    await orders.handle.cancel()
    expect(await orders.handle.result()).toMatchObject({ state: 'stopped', actor: 'temporal' })
    expect(orders.active).toBe(0)
    expect(orders.audit.find((entry) => entry.actor === 'temporal')).toMatchObject({ state: 'draining' })
  })

  it('stops at once when it is paused, and when no streamer has taken its work yet', async () => {
    const pausedOne = await worker.start()
    await pausedOne.streams()
    await pausedOne.update('pause')
    expect(await pausedOne.update('stop')).toMatchObject({ state: 'stopped' })
    await pausedOne.handle.result()

    const orphan = await worker.start(healthy, { taskQueuePrefix: `nobody-${worker.prefix}` })
    await orphan.reaches((status) => status.state === 'checking' && status.generation > 0)
    expect(await orphan.update('stop')).toMatchObject({ state: 'stopped' })
    await orphan.handle.result()
  })
})

describe('updates that are refused', () => {
  it('name a code and a remedy, and change nothing', async () => {
    const orders = await worker.start()
    await orders.streams()
    const before = await orders.status()

    const nobody = await refusalOf(orders.handle.executeUpdate('pause', { args: [{ actor: '  ' }] }))
    expect(nobody.type).toBe('SYNC-1102')
    expect((await refusalOf(orders.handle.executeUpdate('stop', { args: [] }))).type).toBe('SYNC-1102')
    const wrongState = await refusalOf(orders.update('resume'))
    expect(wrongState.type).toBe('SYNC-1104')
    expect(wrongState.message).toContain('is streaming')
    expect(wrongState.details?.[0]).toHaveProperty('remedy')
    expect((await refusalOf(orders.update('respec', { specGeneration: 1 }))).type).toBe('SYNC-1104')
    expect((await refusalOf(orders.update('respec', { specGeneration: 'x' }))).type).toBe('SYNC-1102')

    expect(await orders.status()).toEqual(before)
    await orders.update('pause')
    expect((await refusalOf(orders.update('pause'))).type).toBe('SYNC-1104')
    await orders.update('stop')
  })
})

describe('a pipeline that cannot go on', () => {
  it('is blocked by findings, shows them, and goes on after resume once they are mended', async () => {
    const finding = {
      code: 'SYNC-2202',
      severity: 'error' as const,
      message: 'shop.log',
      remedy: 'add a key',
    }
    const orders = await worker.start({
      ...healthy,
      check: async () => ({ ...blocked('SYNC-4003'), findings: [finding] }),
    })
    const status = await orders.reaches(({ state }) => state === 'blocked')
    expect(status.blocked).toMatchObject({ code: 'SYNC-4003', remedy: 'mend it', findings: [finding] })
    expect(orders.calls).toEqual(['claim', 'check 1'])
    orders.script = healthy
    await orders.update('resume')
    expect((await orders.streams()).blocked).toBeNull()
    await orders.update('stop')
  })

  it('acknowledges the log entry that blocked it', async () => {
    const orders = await worker.start({
      ...healthy,
      run: async (input, untilCancelled) =>
        input.until === 'stopped' && input.acknowledged.length === 0
          ? { kind: 'blocked', blocked: blocked('SYNC-2301', 'uuid:17') }
          : healthy.run(input, untilCancelled),
    })
    expect((await orders.reaches(({ state }) => state === 'blocked')).blocked?.at).toBe('uuid:17')
    await orders.update('resume')
    expect((await orders.streams()).acknowledged).toEqual(['uuid:17'])
    expect(orders.runs.at(-1)?.acknowledged).toEqual(['uuid:17'])
    await orders.update('stop')
  })

  it('is blocked, and does not fail, when an activity fails for good', async () => {
    const orders = await worker.start({
      ...healthy,
      run: async () => {
        throw ApplicationFailure.create({
          type: 'SYNC-4004',
          message: 'the store is gone',
          nonRetryable: true,
          details: [{ remedy: 'bring it back' }],
        })
      },
    })
    const status = await orders.reaches(({ state }) => state === 'blocked')
    expect(status.blocked).toMatchObject({
      code: 'SYNC-4004',
      message: 'the store is gone',
      remedy: 'bring it back',
    })
    await orders.update('stop')
  })

  it('takes the pipeline back once from another owner, and leaves a quarrel to a person', async () => {
    let fences = 1
    const orders = await worker.start({
      ...healthy,
      run: async (input, untilCancelled) =>
        input.until === 'stopped' && fences-- > 0 ? { kind: 'fenced' } : healthy.run(input, untilCancelled),
    })
    await orders.reaches(() => orders.runs.length === 5)
    await orders.streams()
    expect(orders.calls.filter((call) => call === 'claim')).toHaveLength(2)
    expect(orders.calls.filter((call) => call.startsWith('check'))).toHaveLength(1)

    fences = 5
    await orders.update('pause')
    await orders.update('resume')
    const status = await orders.reaches(({ state }) => state === 'blocked')
    expect(status.blocked?.code).toBe('SYNC-4002')
    expect(status.blocked?.remedy).toContain('resume')
    await orders.update('stop')
  })
})

it('goes on at once when a worker that is ending hands the engine over', async () => {
  let handovers = 3
  const orders = await worker.start({
    ...healthy,
    run: async (input, untilCancelled) =>
      input.until === 'stopped' && handovers-- > 0
        ? { kind: 'handover' }
        : healthy.run(input, untilCancelled),
  })
  await orders.reaches(() => handovers < 0)
  await orders.streams()
  expect(orders.calls.filter((call) => call === 'claim' || call.startsWith('check'))).toHaveLength(2)
  expect(orders.maxActive).toBe(1)
  await orders.update('stop')
})

describe('a changed spec', () => {
  it('drains, checks, and goes on with the new generation', async () => {
    const orders = await worker.start()
    await orders.streams()
    await orders.update('respec', { specGeneration: 2 })
    await orders.reaches(({ specGeneration }) => specGeneration === 2 && orders.runs.length === 6)
    await orders.streams()
    expect(orders.calls.slice(5)).toEqual(['claim', 'check 2', 'run loaded', 'run caught-up', 'run stopped'])
    expect(orders.maxActive).toBe(1)
    await orders.update('stop')
  })
})

describe('continue-as-new', () => {
  it('loses no update and no state, however many come', async () => {
    const orders = await worker.start(healthy, { changesPerRun: 12 })
    await orders.streams()
    const firstRun = (await orders.handle.describe()).runId
    const accepted: string[] = []
    let refused = 0
    let specGeneration = 1
    const hammer = async (name: string): Promise<void> => {
      for (let round = 0; round < 25; round++) {
        const command = ['pause', 'resume', 'respec'][Math.floor(Math.random() * 3)] ?? 'pause'
        const actor = `${name}-${round}`
        try {
          await orders.update(
            command,
            command === 'respec' ? { actor, specGeneration: ++specGeneration } : { actor },
          )
          accepted.push(actor)
        } catch (error) {
          // Anything else than a refusal by the state is a lost update.
          if (!(error instanceof WorkflowUpdateFailedError)) throw error
          expect((error.cause as ApplicationFailure).type).toBe('SYNC-1104')
          refused++
        }
      }
    }
    await Promise.all(['u1', 'u2', 'u3', 'u4'].map((name) => hammer(name)))
    expect(accepted.length + refused).toBe(100)
    expect(accepted.length).toBeGreaterThan(10)

    const at = await orders.status()
    if (at.wanted === 'pause' || at.state === 'blocked') await orders.update('resume', { actor: 'last' })
    const final = await orders.streams()
    expect((await orders.handle.describe()).runId).not.toBe(firstRun)
    expect(orders.maxActive).toBe(1)
    expect((await orders.handle.describe()).searchAttributes).toMatchObject({ SyncPhase: ['streaming'] })
    await orders.update('stop', { actor: 'last' })
    await orders.handle.result()

    // What was accepted has been done once, and what was refused has not been done at all.
    const wishes = orders.audit.filter(
      ({ actor, detail }) => actor.startsWith('u') && /requested|applied/.test(detail),
    )
    expect(wishes.map((entry) => entry.actor).sort()).toEqual(accepted.toSorted())
    const applied = wishes.filter((entry) => entry.detail.startsWith('spec generation'))
    expect(applied.at(-1)?.detail ?? 'spec generation 1 applied').toBe(
      `spec generation ${final.specGeneration} applied`,
    )
    expect(new Set(orders.audit.map((entry) => entry.key)).size).toBe(orders.audit.length)
  })

  it('keeps a blocked pipeline blocked, with what was acknowledged', async () => {
    const alwaysBlocked = {
      ...healthy,
      run: async () =>
        ({ kind: 'blocked', blocked: blocked('SYNC-2301', `at-${orders.runs.length}`) }) as const,
    }
    const orders: ScriptedPipeline = await worker.start(alwaysBlocked, { changesPerRun: 6 })
    const firstRun = (await orders.handle.describe()).runId
    for (let round = 1; round <= 5; round++) {
      const before = orders.runs.length
      await orders.reaches(({ state }) => state === 'blocked')
      await orders.update('resume')
      await orders.reaches(({ state }) => state === 'blocked' && orders.runs.length > before)
    }
    expect((await orders.handle.describe()).runId).not.toBe(firstRun)
    const status = await orders.status()
    expect(status.acknowledged).toEqual(orders.runs.slice(0, 5).map((_, index) => `at-${index + 1}`))
    await orders.update('stop')
  })
})

describe('a pipeline of several shards', () => {
  const shards = 3
  const untils = (pipeline: ScriptedPipeline, index: number): string[] =>
    pipeline.runs.filter(({ shard }) => shard?.index === index).map(({ until }) => until)
  const allStream = (pipeline: ScriptedPipeline) =>
    pipeline.reaches(({ state }) => state === 'streaming' && pipeline.active === shards)

  it('runs every shard through its own phases, and all of them pause, resume and stop', async () => {
    const pipeline = await worker.start(healthy, { shards })
    await allStream(pipeline)
    for (let index = 0; index < shards; index++)
      expect(untils(pipeline, index)).toEqual(['loaded', 'caught-up', 'stopped'])
    expect(pipeline.calls.slice(0, 2)).toEqual(['claim', 'check 1'])
    expect(await pipeline.update('pause')).toMatchObject({ state: 'paused' })
    expect(pipeline.active).toBe(0)
    await pipeline.update('resume')
    await allStream(pipeline)
    expect(untils(pipeline, 0).slice(3)).toEqual(['caught-up', 'stopped'])
    expect(await pipeline.update('stop')).toMatchObject({ state: 'stopped' })
    expect(await pipeline.handle.result()).toMatchObject({ state: 'stopped' })
    const states = pipeline.audit.map(({ state }) => state)
    expect(states.slice(0, 5)).toEqual(['created', 'checking', 'loading', 'catching-up', 'streaming'])
  })

  it('is as far as its slowest shard, and a new number of shards comes with a new spec', async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const pipeline = await worker.start(
      {
        ...healthy,
        run: async (input, untilCancelled) => {
          if (input.shard?.index === 1 && input.until === 'loaded') await held
          return healthy.run(input, untilCancelled)
        },
      },
      { shards },
    )
    await pipeline.reaches(
      ({ shards: each }) => each?.filter(({ state }) => state === 'streaming').length === 2,
    )
    expect(await pipeline.status()).toMatchObject({ state: 'loading' })
    release()
    await allStream(pipeline)
    await pipeline.update('respec', { specGeneration: 2, shards: 2 })
    await pipeline.reaches(({ state, specGeneration }) => state === 'streaming' && specGeneration === 2)
    expect(
      new Set(pipeline.runs.filter((run) => run.specGeneration === 2).map(({ shard }) => shard?.of)),
    ).toEqual(new Set([2]))
    await pipeline.update('stop')
  })

  it('shows what one shard is blocked by while the others run, and resume lets it go on', async () => {
    let isMended = false
    const pipeline = await worker.start(
      {
        ...healthy,
        run: async (input, untilCancelled) =>
          input.shard?.index === 2 && input.until === 'stopped' && !isMended
            ? { kind: 'blocked', blocked: blocked('SYNC-2301', 'u:9') }
            : healthy.run(input, untilCancelled),
      },
      { shards },
    )
    const status = await pipeline.reaches(({ state }) => state === 'blocked')
    expect(status.blocked).toMatchObject({ code: 'SYNC-2301', message: 'Shard 3 of 3: SYNC-2301 happened' })
    await pipeline.reaches(
      ({ shards: each }) => each?.filter(({ state }) => state === 'streaming').length === 2,
    )
    expect(pipeline.active).toBe(2)
    isMended = true
    await pipeline.update('resume')
    await allStream(pipeline)
    expect(pipeline.runs.at(-1)?.acknowledged).toEqual(['u:9'])
    await pipeline.update('stop')
  })

  it('goes on through continue-as-new', async () => {
    const pipeline = await worker.start(healthy, { shards, changesPerRun: 8 })
    await allStream(pipeline)
    for (let round = 0; round < 3; round++) {
      await pipeline.update('pause')
      await pipeline.update('resume')
      await allStream(pipeline)
    }
    expect(pipeline.maxActive).toBe(shards)
    await pipeline.update('stop')
    expect(await pipeline.handle.result()).toMatchObject({ state: 'stopped' })
    for (let index = 0; index < shards; index++)
      expect(untils(pipeline, index).filter((until) => until === 'loaded')).toHaveLength(1)
  })
})
