import { describe, expect, it } from 'vitest'
import { afterPass, patienceMs, type Waiting } from '../../../src/workflows/verification-states.ts'

const trouble = { code: 'SYNC-5122', message: 'nobody', remedy: 'resume' }
const waiting = (rows = 0) => ({ kind: 'waiting', trouble, tables: 0, rows }) as const

describe('after an activity', () => {
  it('goes on where there is more, and to the next where it is done', () => {
    expect(afterPass({ kind: 'more', tables: 1, rows: 5 }, null, 0)).toEqual({ do: 'again' })
    expect(afterPass({ kind: 'done', tables: 1, rows: 5 }, null, 0)).toEqual({ do: 'next' })
    expect(afterPass({ kind: 'superseded' }, null, 0)).toEqual({ do: 'leave' })
    expect(afterPass({ kind: 'cancelled' }, null, 0)).toEqual({ do: 'leave' })
  })

  it('waits longer each time, and gives up after a while without a row', () => {
    let before: Waiting | null = null
    let nowMs = 0
    const pauses: number[] = []
    for (let round = 0; round < 1_000; round++) {
      const next = afterPass(waiting(), before, nowMs)
      if (next.do === 'fail') {
        expect(next.trouble).toEqual(trouble)
        break
      }
      if (next.do !== 'wait') throw new Error(next.do)
      pauses.push(next.ms)
      nowMs += next.ms
      before = next.waiting
    }
    expect(pauses.slice(0, 6)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000])
    expect(nowMs).toBeGreaterThanOrEqual(patienceMs)
    expect(nowMs).toBeLessThan(patienceMs + 60_000)
  })

  it('is patient again once rows were compared', () => {
    const before: Waiting = { sinceMs: 0, times: 20, trouble }
    expect(afterPass(waiting(), before, patienceMs)).toMatchObject({ do: 'fail' })
    expect(afterPass(waiting(7), before, patienceMs)).toMatchObject({
      do: 'wait',
      ms: 1_000,
      waiting: { sinceMs: patienceMs, times: 1 },
    })
  })
})
