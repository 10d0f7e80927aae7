/*
 * A pipeline of several shards, as its workflow decides: the whole shows the earliest, one that is blocked leaves the others alone, and
 * whatever is asked for goes for all.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Blocked } from '../../../src/core/pipeline-control.ts'
import { paused, refusal, rejoined, respecified, resumed, stopped } from '../../../src/workflows/commands.ts'
import { checkEnded, claimed, shardEnded, shardsStarted } from '../../../src/workflows/outcomes.ts'
import {
  created,
  entered,
  interrupted,
  nextStep,
  type PipelineMemory,
  publicStatus,
  type StepOutcome,
  sameStep,
} from '../../../src/workflows/states.ts'

const count = 3
const blocked: Blocked = {
  code: 'SYNC-2301',
  message: 'a column went',
  remedy: 'mend it',
  at: 'u:7',
  findings: [],
}

const running = (): PipelineMemory => {
  const fresh = created({ pipeline: 'orders', specGeneration: 1, actor: 'ann', shards: count }, 1000)
  const checked = checkEnded(claimed(fresh, 7), { do: 'check', specGeneration: 1 }, null)
  return shardsStarted(entered(checked, nextStep(checked), 1000))
}
const ends = (memory: PipelineMemory, index: number, outcome: StepOutcome, nowMs = 2000): PipelineMemory => {
  const step = nextStep(memory)
  const after = shardEnded(memory, { index, generation: 7 }, step, outcome, nowMs)
  return sameStep(step, nextStep(after)) ? entered(after, step, nowMs) : after
}
const loaded: StepOutcome = { kind: 'reached', phase: 'loaded' }
const caughtUp: StepOutcome = { kind: 'reached', phase: 'caught-up' }
const streaming = (): PipelineMemory => {
  let memory = running()
  for (let i = 0; i < count; i++) memory = ends(ends(memory, i, loaded), i, caughtUp)
  return memory
}

describe('the whole', () => {
  it('shows the earliest of its shards', () => {
    let memory = running()
    const seen = [memory.state]
    for (const [index, outcome] of [
      [0, loaded],
      [0, caughtUp],
      [1, loaded],
      [2, loaded],
      [1, caughtUp],
      [2, caughtUp],
    ] as const) {
      memory = ends(memory, index, outcome)
      seen.push(memory.state)
    }
    expect(seen).toEqual([
      'loading',
      'loading',
      'loading',
      'loading',
      'catching-up',
      'catching-up',
      'streaming',
    ])
    expect(publicStatus(memory).shards).toEqual(Array(count).fill({ state: 'streaming', blocked: null }))
  })

  it('of one shard is as it was before there were shards', () => {
    const one = created({ pipeline: 'orders', specGeneration: 1, actor: 'ann', shards: 1 }, 1000)
    expect(one).toEqual(created({ pipeline: 'orders', specGeneration: 1, actor: 'ann' }, 1000))
    expect(publicStatus(one)).not.toHaveProperty('shards')
  })
})

describe('a shard that is blocked', () => {
  it('is what the whole shows, while the others stream on', () => {
    const memory = ends(streaming(), 1, { kind: 'blocked', blocked })
    expect(publicStatus(memory)).toMatchObject({
      state: 'blocked',
      blocked: { code: 'SYNC-2301', message: 'Shard 2 of 3: a column went', at: 'u:7' },
      shards: [{ state: 'streaming' }, { state: 'blocked', blocked }, { state: 'streaming' }],
    })
    expect(nextStep(memory)).toEqual({ do: 'run-shards', specGeneration: 1 })
    expect(refusal(memory, 'pause', undefined), 'the others write').toBeNull()
  })

  it('goes on with a resume, which acknowledges what it was blocked by; all claim anew', () => {
    const memory = resumed(ends(streaming(), 1, { kind: 'blocked', blocked }), 'bob')
    expect(memory).toMatchObject({ acknowledged: ['u:7'], generation: 0 })
    expect(nextStep(memory)).toEqual({ do: 'claim' })
    expect(memory.shards).toEqual(Array(count).fill({ loaded: true, caughtUp: false, blocked: null }))
  })

  it('leaves nothing to do when all of them are', () => {
    let memory = streaming()
    for (let i = 0; i < count; i++) memory = ends(memory, i, { kind: 'blocked', blocked })
    expect(nextStep(memory)).toEqual({ do: 'rest', as: 'blocked' })
    memory = entered(memory, nextStep(memory), 3000)
    expect(refusal(memory, 'pause', undefined)).toMatch(/writes nothing/)
    expect(refusal(memory, 'resume', undefined)).toBeNull()
    expect(publicStatus(memory).blocked?.code).toBe('SYNC-2301')
  })

  it('does not keep the whole from being paused', () => {
    const memory = paused(ends(streaming(), 1, { kind: 'blocked', blocked }), 'bob')
    expect(nextStep(memory)).toEqual({ do: 'rest', as: 'paused' })
    const rested = entered(interrupted(memory, 3000), nextStep(memory), 4000)
    expect(publicStatus(rested)).toMatchObject({ state: 'paused', blocked: null })
    expect(refusal(rested, 'resume', undefined)).toBeNull()
  })
})

describe('a newer owner', () => {
  it('of all shards at once is one newer owner, not a quarrel', () => {
    let memory = streaming()
    for (let i = 0; i < count; i++) memory = ends(memory, i, { kind: 'fenced' })
    expect(memory).toMatchObject({ blocked: null, generation: 0, fencedAtMs: 2000 })
    expect(nextStep(memory)).toEqual({ do: 'claim' })
    expect(memory.shards?.every((shard) => shard.loaded)).toBe(true)
  })

  it('twice within a minute blocks', () => {
    const once = ends(streaming(), 0, { kind: 'fenced' })
    const again = ends(claimed(once, 7), 2, { kind: 'fenced' }, 3000)
    expect(again.blocked?.code).toBe('SYNC-4002')
    expect(nextStep(again)).toEqual({ do: 'rest', as: 'blocked' })
  })
})

describe('a table that is to rejoin', () => {
  const request = { table: 'shop.orders', parking: 'p1' }

  it('starts all of them anew, since only the engine knows whose it is; nothing is loaded or checked again', () => {
    const memory = rejoined(streaming(), 'bob', request)
    expect(nextStep(memory)).toEqual({ do: 'claim' })
    const anew = claimed(memory, 8)
    expect(nextStep(anew)).toEqual({ do: 'run-shards', specGeneration: 1 })
    expect(anew).toMatchObject({ rejoins: [request], checked: true })
    expect(anew.shards).toEqual(Array(count).fill({ loaded: true, caughtUp: false, blocked: null }))
  })

  it('leaves a shard blocked that waits for something else', () => {
    const memory = claimed(rejoined(ends(streaming(), 1, { kind: 'blocked', blocked }), 'bob', request), 8)
    expect(memory.shards?.map((shard) => shard.blocked)).toEqual([null, blocked, null])
    expect(memory.acknowledged).toEqual([])
  })
})

it('a changed spec loads all anew, in as many shards as it says', () => {
  expect(respecified(streaming(), 'bob', 2, 5).shards).toEqual(
    Array(5).fill({ loaded: false, caughtUp: false, blocked: null }),
  )
  expect(respecified(streaming(), 'bob', 2)).not.toHaveProperty('shards')
})

it('under any order of events it can be stopped, JSON carries it, and it can be brought to stream', () => {
  const outcome = fc.constantFrom<StepOutcome>(
    loaded,
    caughtUp,
    { kind: 'drained' },
    { kind: 'handover' },
    { kind: 'interrupted' },
    { kind: 'fenced' },
    { kind: 'blocked', blocked },
  )
  const event = fc.oneof(
    fc.record({ command: fc.constantFrom('pause' as const, 'resume' as const) }),
    fc.record({ index: fc.nat({ max: count - 1 }), outcome, elapsedMs: fc.nat({ max: 90_000 }) }),
  )
  const prepare = (memory: PipelineMemory): PipelineMemory => {
    const at = nextStep(memory).do === 'claim' ? claimed(memory, 7) : memory
    return nextStep(at).do === 'check' ? checkEnded(at, nextStep(at), null) : at
  }
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      let memory = running()
      let nowMs = 2000
      for (const next of events) {
        if ('command' in next) {
          if (refusal(memory, next.command, undefined) !== null) continue
          memory = (next.command === 'pause' ? paused : resumed)(memory, 'ann')
          const due = nextStep(memory)
          if (due.do === 'rest') memory = entered(memory, due, nowMs)
        } else {
          nowMs += next.elapsedMs
          memory = prepare(memory)
          if (nextStep(memory).do === 'run-shards') memory = ends(memory, next.index, next.outcome, nowMs)
        }
        const status = publicStatus(memory)
        if (status.blocked !== null) expect(status.state === 'blocked' || memory.blocked !== null).toBe(true)
        expect(JSON.parse(JSON.stringify(memory))).toEqual(memory)
        expect(nextStep(stopped(memory, 'ann'))).toEqual({ do: 'finish' })
      }
      memory = prepare(resumed(memory, 'ann'))
      for (let i = 0; i < count; i++) memory = ends(ends(memory, i, loaded), i, caughtUp)
      expect(memory.state).toBe('streaming')
    }),
    { numRuns: 1000 },
  )
})
