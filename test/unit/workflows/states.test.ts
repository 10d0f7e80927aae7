/*
 * The decisions of a pipeline's workflow, without Temporal: the story of each path, and rules that hold under any order of events.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Blocked } from '../../../src/core/pipeline-control.ts'
import {
  dueProposal,
  limited,
  paused,
  proposalChecked,
  refusal,
  rejoined,
  respecified,
  resumed,
  retabled,
  stopped,
} from '../../../src/workflows/commands.ts'
import { checkEnded, claimed, quarrelWindowMs, runEnded } from '../../../src/workflows/outcomes.ts'
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

const start = (): PipelineMemory => created({ pipeline: 'orders', specGeneration: 3, actor: 'ann' }, 1000)
const blocked = (at: string | null = null): Blocked => ({
  code: 'SYNC-2301',
  message: 'a column was dropped',
  remedy: 'drop it at the target',
  at,
  findings: [],
})

/** Does the step that is due, with the given outcome. */
const perform = (
  memory: PipelineMemory,
  outcome?: StepOutcome | Blocked | null,
  nowMs = 2000,
): PipelineMemory => {
  const step = nextStep(memory)
  const during = entered(memory, step, nowMs)
  switch (step.do) {
    case 'claim':
      return claimed(during, 7)
    case 'check':
      return checkEnded(during, step, (outcome ?? null) as Blocked | null)
    case 'run':
      return runEnded(during, step, outcome as StepOutcome, nowMs)
    default:
      return during
  }
}
const loading = (): PipelineMemory => perform(perform(start()), null)
const streaming = (): PipelineMemory =>
  perform(perform(loading(), { kind: 'reached', phase: 'loaded' }), { kind: 'reached', phase: 'caught-up' })

describe('the way to streaming', () => {
  it('claims, checks, loads, catches up, streams, and shows each of them', () => {
    const seen: string[] = []
    let memory = start()
    seen.push(memory.state)
    for (const outcome of [
      undefined,
      null,
      { kind: 'reached', phase: 'loaded' } as const,
      { kind: 'reached', phase: 'caught-up' } as const,
    ]) {
      memory = perform(memory, outcome)
      seen.push(memory.state)
    }
    memory = entered(memory, nextStep(memory), 3000)
    seen.push(memory.state)
    expect(seen).toEqual(['created', 'checking', 'checking', 'loading', 'catching-up', 'streaming'])
    expect(nextStep(memory)).toEqual({ do: 'run', specGeneration: 3, until: 'stopped' })
    expect(memory.sinceMs).toBe(3000)
  })

  it('shows who asked for what, and nothing of its inner memory', () => {
    const status = publicStatus(paused(streaming(), 'bob'))
    expect(status).toEqual({
      pipeline: 'orders',
      state: 'catching-up',
      sinceMs: 2000,
      wanted: 'pause',
      specGeneration: 3,
      generation: 7,
      blocked: null,
      acknowledged: [],
      actor: 'bob',
      detail: 'pause requested',
    })
  })
})

describe('rejoin', () => {
  const request = { table: 'shop.orders', parking: 'p1' }

  it('starts the engine anew under another generation, without loading or checking again', () => {
    const memory = rejoined(streaming(), 'bob', request)
    expect(nextStep(memory)).toEqual({ do: 'claim' })
    expect(memory).toMatchObject({ actor: 'bob', rejoins: [request], checked: true, loaded: true })
    const running = perform(memory)
    expect(running.generation).toBe(7)
    expect(nextStep(running)).toEqual({ do: 'run', specGeneration: 3, until: 'caught-up' })
    // Kept until the engine is told, and told to every engine after it: only the parking it names is concerned.
    expect(respecified(running, 'ann', 4).rejoins).toEqual([request])
    expect(publicStatus(running)).not.toHaveProperty('rejoins')
  })

  it('keeps the newest request of each table', () => {
    const other = { table: 'shop.items', parking: 'p2' }
    const again = { table: 'shop.orders', parking: 'p3' }
    const memory = [request, other, again].reduce((m, r) => rejoined(m, 'bob', r), streaming())
    expect(memory.rejoins).toEqual([other, again])
  })

  it('leaves a paused pipeline paused, and a stopped one stopped', () => {
    expect(nextStep(rejoined(paused(streaming(), 'ann'), 'bob', request))).toEqual({
      do: 'rest',
      as: 'paused',
    })
    expect(refusal(stopped(streaming(), 'ann'), 'rejoin', undefined)).toContain('stopping')
  })
})

describe('pause and resume', () => {
  it('drains, rests, then claims and checks again without loading again', () => {
    const running = streaming()
    const draining = interrupted(paused(running, 'bob'), 5000)
    expect(draining.state).toBe('draining')
    const rested = perform(runEnded(draining, nextStep(running), { kind: 'drained' }, 5500))
    expect(rested.state).toBe('paused')
    expect(nextStep(rested)).toEqual({ do: 'rest', as: 'paused' })
    const back = resumed(rested, 'bob')
    expect(nextStep(back)).toEqual({ do: 'claim' })
    const checked = perform(perform(back), null)
    expect(nextStep(checked)).toEqual({ do: 'run', specGeneration: 3, until: 'caught-up' })
  })

  it('can be taken back while it drains', () => {
    const running = streaming()
    const draining = interrupted(paused(running, 'bob'), 5000)
    expect(refusal(draining, 'resume', undefined)).toBeNull()
    const back = runEnded(resumed(draining, 'bob'), nextStep(running), { kind: 'drained' }, 5500)
    expect(nextStep(back).do).toBe('claim')
  })
})

it('tells when a pause or a stop was not confirmed by a worker', () => {
  const running = streaming()
  const asked = interrupted(paused(running, 'bob'), 5000)
  const detail = (kind: 'drained' | 'interrupted'): string =>
    perform(runEnded(asked, nextStep(running), { kind }, 5500)).detail
  expect(detail('drained')).toBe('paused')
  expect(detail('interrupted')).toMatch(/no worker confirmed/)
  const gone = runEnded(
    interrupted(stopped(running, 'bob'), 1),
    nextStep(running),
    { kind: 'interrupted' },
    2,
  )
  expect(entered(gone, nextStep(gone), 3).detail).toMatch(/no worker confirmed/)
})

describe('blocked', () => {
  it('waits, and resume acknowledges the log entry and checks again', () => {
    const memory = perform(perform(streaming(), { kind: 'blocked', blocked: blocked('gtid:5') }))
    expect(memory.state).toBe('blocked')
    expect(memory.detail).toBe('SYNC-2301: a column was dropped')
    const back = resumed(memory, 'ann')
    expect(back.acknowledged).toEqual(['gtid:5'])
    expect(back.blocked).toBeNull()
    expect(nextStep(back)).toEqual({ do: 'claim' })
  })

  it('keeps the newest hundred acknowledgements, each once', () => {
    let memory = streaming()
    for (let n = 0; n < 120; n++) memory = resumed({ ...memory, blocked: blocked(`id-${n}`) }, 'ann')
    memory = resumed({ ...memory, blocked: blocked('id-60') }, 'ann')
    expect(memory.acknowledged).toHaveLength(100)
    expect(memory.acknowledged.at(-1)).toBe('id-60')
    expect(new Set(memory.acknowledged).size).toBe(100)
  })

  it('of the checks names their findings and does not acknowledge anything', () => {
    const memory = perform(perform(start()), blocked())
    expect(nextStep(memory)).toEqual({ do: 'rest', as: 'blocked' })
    expect(resumed(memory, 'ann').acknowledged).toEqual([])
  })

  it('wins over a pause that was asked for meanwhile, and can still be stopped', () => {
    const running = streaming()
    const memory = runEnded(
      interrupted(paused(running, 'bob'), 1),
      nextStep(running),
      { kind: 'blocked', blocked: blocked() },
      2,
    )
    expect(nextStep(memory)).toEqual({ do: 'rest', as: 'blocked' })
    expect(nextStep(stopped(memory, 'bob'))).toEqual({ do: 'finish' })
  })
})

describe('a changed spec', () => {
  it('is checked and loaded anew under a new claim', () => {
    const memory = respecified(streaming(), 'ann', 4)
    expect(nextStep(memory)).toEqual({ do: 'claim' })
    expect(nextStep(perform(memory))).toEqual({ do: 'check', specGeneration: 4 })
    expect(nextStep(perform(perform(memory), null))).toEqual({
      do: 'run',
      specGeneration: 4,
      until: 'loaded',
    })
  })

  it('makes what the old one reached, or was blocked by, meaningless', () => {
    const old = loading()
    const memory = respecified(old, 'ann', 4)
    for (const outcome of [
      { kind: 'reached', phase: 'loaded' },
      { kind: 'blocked', blocked: blocked() },
    ] as const) {
      expect(runEnded(memory, nextStep(old), outcome, 1)).toEqual(memory)
    }
    expect(checkEnded(memory, { do: 'check', specGeneration: 3 }, blocked())).toEqual(memory)
  })

  it('leaves a paused pipeline paused and sets a blocked one going', () => {
    const rested = paused(streaming(), 'bob')
    expect(nextStep(respecified(rested, 'ann', 4))).toEqual({ do: 'rest', as: 'paused' })
    const stuck = { ...streaming(), blocked: blocked() }
    expect(nextStep(respecified(stuck, 'ann', 4))).toEqual({ do: 'claim' })
  })
})

describe('a newer owner', () => {
  it('is answered once by a newer claim, without new checks', () => {
    const memory = perform(streaming(), { kind: 'fenced' }, 10_000)
    expect(nextStep(memory)).toEqual({ do: 'claim' })
    expect(nextStep(perform(memory)).do).toBe('run')
  })

  it('is a quarrel when it comes back at once, and not when it comes back later', () => {
    const once = perform(perform(streaming(), { kind: 'fenced' }, 10_000))
    const soon = perform(once, { kind: 'fenced' }, 10_000 + quarrelWindowMs - 1)
    expect(soon.blocked?.code).toBe('SYNC-4002')
    const later = perform(once, { kind: 'fenced' }, 10_000 + quarrelWindowMs)
    expect(later.blocked).toBeNull()
    expect(nextStep(resumed(soon, 'ann'))).toEqual({ do: 'claim' })
  })
})

describe('what is refused', () => {
  const rested = entered(paused(streaming(), 'bob'), { do: 'rest', as: 'paused' }, 1)
  const stuck = entered({ ...streaming(), blocked: blocked() }, { do: 'rest', as: 'blocked' }, 1)
  const stopping = stopped(streaming(), 'bob')
  it.each([
    ['pause', start(), true],
    ['pause', streaming(), true],
    ['pause', rested, false],
    ['pause', stuck, false],
    ['pause', stopping, false],
    ['resume', streaming(), false],
    ['resume', rested, true],
    ['resume', stuck, true],
    ['resume', stopping, false],
    ['stop', start(), true],
    ['stop', rested, true],
    ['stop', stuck, true],
    ['stop', stopping, false],
  ] as const)('%s in %o', (command, memory, isAllowed) => {
    expect(refusal(memory, command, undefined) === null).toBe(isAllowed)
  })
  it('respec with a generation that is not newer', () => {
    expect(refusal(streaming(), 'respec', 3)).toMatch(/generation 3 already/)
    expect(refusal(streaming(), 'respec', 4)).toBeNull()
    expect(refusal(stopping, 'respec', 4)).not.toBeNull()
  })
})

describe('changes beside the stream', () => {
  it('limits stop nothing: the step in hand goes on, the new generation is the one that is shown', () => {
    const before = streaming()
    const after = limited(before, 'bob', 4)
    expect(sameStep(nextStep(after), nextStep(before))).toBe(true)
    expect(publicStatus(after)).toMatchObject({ specGeneration: 4, actor: 'bob', state: before.state })
    expect(publicStatus(after)).not.toHaveProperty('runs')
    // What the engine of the older generation answers still counts, and what runs next is the newest.
    expect(nextStep(perform(after, { kind: 'drained' }))).toMatchObject({ specGeneration: 3 })
    expect(nextStep(perform(resumed(paused(after, 'bob'), 'bob')))).toMatchObject({ specGeneration: 4 })
    expect(refusal(after, 'setLimits', 4)).toContain('already')
  })

  it('other tables wait for their check while the stream goes on, then end it', () => {
    const before = streaming()
    const proposed = retabled(before, 'bob', 4, 'shop.x joins')
    expect(nextStep(proposed)).toEqual(nextStep(before))
    expect(dueProposal(proposed)).toBe(4)
    expect(publicStatus(proposed)).toMatchObject({ specGeneration: 3, pending: { specGeneration: 4 } })
    const taken = proposalChecked(proposed, 4, null)
    expect(nextStep(taken)).toEqual({ do: 'run', specGeneration: 4, until: 'loaded' })
    expect(taken).toMatchObject({ generation: before.generation, pending: null })
  })

  it('what the checks refuse is held back, shown, and tried again by resume', () => {
    const refused = proposalChecked(retabled(streaming(), 'bob', 4, 'x'), 4, blocked())
    expect(nextStep(refused)).toEqual(nextStep(streaming()))
    expect(dueProposal(refused)).toBeNull()
    expect(publicStatus(refused).pending?.refused?.code).toBe('SYNC-2301')
    expect(refusal(refused, 'resume', undefined)).toBeNull()
    expect(dueProposal(resumed(refused, 'bob'))).toBe(4)
    expect(nextStep(resumed(refused, 'bob'))).toEqual(nextStep(streaming()))
    // Given up: the stored spec is again what runs.
    expect(limited(refused, 'bob', 5)).toMatchObject({ pending: null, specGeneration: 5, runs: 3 })
  })

  it('a pause in between keeps the change, and a late answer about another change changes nothing', () => {
    const proposed = retabled(streaming(), 'bob', 4, 'x')
    const waiting = paused(proposed, 'bob')
    expect(dueProposal(waiting)).toBeNull()
    const again = perform(perform(resumed(waiting, 'bob')), null)
    expect(dueProposal(again)).toBe(4)
    const newer = retabled(proposed, 'bob', 5, 'y')
    expect(proposalChecked(newer, 4, null)).toBe(newer)
    expect(proposalChecked(newer, 4, blocked())).toBe(newer)
  })

  it('without a stream, other tables are a new spec like any other, and unblock', () => {
    const stuck = perform(streaming(), { kind: 'blocked', blocked: blocked() })
    expect(retabled(stuck, 'bob', 4, 'x leaves')).toMatchObject({ blocked: null, specGeneration: 4 })
    expect(retabled(paused(streaming(), 'bob'), 'bob', 4, 'x')).toMatchObject({
      wanted: 'pause',
      specGeneration: 4,
      checked: false,
    })
  })
})

describe('under any order of events', () => {
  const outcome = fc.oneof(
    fc.constantFrom<StepOutcome>(
      { kind: 'reached', phase: 'loaded' },
      { kind: 'reached', phase: 'caught-up' },
      { kind: 'drained' },
      { kind: 'handover' },
      { kind: 'interrupted' },
      { kind: 'fenced' },
      { kind: 'blocked', blocked: blocked('at-1') },
    ),
  )
  const event = fc.oneof(
    fc.record({
      command: fc.constantFrom(
        'pause',
        'resume',
        'respec',
        'addTables',
        'setLimits',
        'rejoin',
        'proposal' as const,
      ),
      checks: fc.boolean(),
    }),
    fc.record({ outcome, checks: fc.boolean(), elapsedMs: fc.integer({ min: 0, max: 90_000 }) }),
  )

  it('a stop ends it, numbers never go back, JSON carries it, and it can always be brought to stream', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        let memory = start()
        let nowMs = 2000
        for (const next of events) {
          const before = memory
          if ('command' in next) {
            const generation = Math.max(memory.specGeneration, memory.pending?.specGeneration ?? 0) + 1
            if (next.command === 'proposal') {
              const due = dueProposal(memory)
              if (due !== null) memory = proposalChecked(memory, due, next.checks ? null : blocked())
              continue
            }
            if (refusal(memory, next.command as 'pause', generation) !== null) continue
            if (next.command === 'addTables') memory = retabled(memory, 'ann', generation, 'x')
            if (next.command === 'setLimits') memory = limited(memory, 'ann', generation)
            if (next.command === 'rejoin') memory = rejoined(memory, 'ann', { table: 's.t', parking: 'p1' })
            if (next.command === 'pause') memory = paused(memory, 'ann')
            if (next.command === 'resume') memory = resumed(memory, 'ann')
            if (next.command === 'respec') memory = respecified(memory, 'ann', generation)
            expect(memory.seq).toBe(before.seq + 1)
          } else {
            nowMs += next.elapsedMs
            const step = nextStep(memory)
            memory = perform(
              memory,
              step.do === 'check' ? (next.checks ? null : blocked()) : next.outcome,
              nowMs,
            )
          }
          expect(memory.seq).toBeGreaterThanOrEqual(before.seq)
          expect(JSON.parse(JSON.stringify(memory))).toEqual(memory)
          expect(nextStep(stopped(memory, 'ann'))).toEqual({ do: 'finish' })
          // Rests only for a reason that is shown, and never streams what was not checked and loaded.
          const due = nextStep(memory)
          if (due.do === 'rest') expect(memory.blocked !== null || memory.wanted === 'pause').toBe(true)
          if (due.do === 'run') expect(memory.checked && memory.generation > 0).toBe(true)
          if (due.do === 'run' && due.until !== 'loaded') expect(memory.loaded).toBe(true)
        }
        if (nextStep(memory).do === 'rest') memory = resumed(memory, 'ann')
        for (let turn = 0; turn < 10 && nextStep(memory).do !== 'finish'; turn++) {
          const step = nextStep(memory)
          const due = dueProposal(memory)
          if (due !== null) memory = proposalChecked(memory, due, null)
          else if (step.do === 'run' && step.until === 'stopped') return
          const phase = step.do === 'run' && step.until === 'loaded' ? 'loaded' : 'caught-up'
          memory = perform(memory, step.do === 'check' ? null : { kind: 'reached', phase }, nowMs)
        }
        expect.unreachable('it never came to streaming')
      }),
      { numRuns: 2000 },
    )
  })
})
