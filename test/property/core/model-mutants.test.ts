/*
 * Does the model look? Each seeded bug of src/core/model/mutants.ts breaks one rule of the data path, and the model has to catch it within a
 * bounded number of histories. The seed is fixed, so that the answer is the same each time.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Mutant, mutants } from '../../../src/core/model/mutants.ts'
import { runHistory } from '../../../src/core/model/run.ts'
import { Violation } from '../../../src/core/model/target.ts'
import { histories, type Lean } from './histories.ts'

/** Bugs that need a rare meeting are looked for where it is less rare. */
const leans: Partial<Record<Mutant, Lean>> = {
  windowInsideTransaction: { engine: { sliceChanges: 1, chunkRows: 1, maxRows: 2 }, table: 0, unseen: 2 },
  oldLanesForNewPlan: { engine: { smallBatchRows: 0 }, table: 0 },
}

const maxRuns = 20_000

it.each(Object.keys(mutants) as Mutant[])('catches %s', { timeout: 300_000 }, (mutant) => {
  const result = fc.check(
    fc.property(histories(leans[mutant]), (history) => runHistory(history, mutant)),
    { numRuns: maxRuns, seed: 1, endOnFailure: true },
  )
  expect(result.failed, `${mutants[mutant]}: not noticed in ${maxRuns} histories`).toBe(true)
  // Noticed by what it does to the data, and not because the model itself fell over.
  expect(result.errorInstance).toBeInstanceOf(Violation)
})
