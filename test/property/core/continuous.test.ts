/*
 * The rule of continuous verification over random histories: what it reports differs, and what differs where it looked is reported. Rules that are wrong
 * in one place are noticed, so the histories reach what the rule is there for.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Mutant, type Outcome, runHistory } from './continuous-history.ts'

/** Mulberry32. */
const randomOf = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const steps = 600

describe('a continuous verification', () => {
  it('reports no row that does not differ, and every one that does where it looked', () => {
    const sum = { reported: 0, planted: 0, equal: 0, crashes: 0, scouted: 0 }
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const outcome = runHistory(randomOf(seed), steps, null)
        for (const name of ['reported', 'planted', 'equal', 'crashes', 'scouted'] as const)
          sum[name] += outcome[name]
        expect(outcome.violations).toEqual([])
      }),
      { numRuns: 400 },
    )
    // The histories have what they are for.
    for (const [name, times] of Object.entries(sum)) expect(times, name).toBeGreaterThan(100)
  })

  const mutants: readonly Mutant[] = [
    'source-first',
    'no-high',
    'high-before',
    'target-not-asked',
    'visibility-not-asked',
    'sessions-not-asked',
    'alterations-not-seen',
    'checkpoint-too-far',
  ]
  for (const mutant of mutants) {
    it(`is noticed when its rule is wrong: ${mutant}`, () => {
      let found: Outcome | null = null
      for (let seed = 0; found === null && seed < 3_000; seed++) {
        const outcome = runHistory(randomOf(seed), steps, mutant)
        if (outcome.violations.length > 0) found = outcome
      }
      expect(found?.violations ?? []).not.toEqual([])
    })
  }
})
