/*
 * The data path under tens of thousands of histories: transactions, chunks, batches, lanes, crashes, lost replies, zombies and takeovers in any
 * order (src/core/model). What is checked stands in model/target.ts.
 *
 * MODEL_RUNS sets another number of histories. A failure prints the shortest history that was found and the seed to repeat it.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { runHistory } from '../../../src/core/model/run.ts'
import { history } from './histories.ts'

const runs = Number(process.env['MODEL_RUNS'] ?? 30_000)

it('keeps every promise of the data path in every history', { timeout: 3_600_000 }, () => {
  const seen = new Map<string, number>()
  const saw = (situation: string): void => void seen.set(situation, (seen.get(situation) ?? 0) + 1)
  fc.assert(
    fc.property(history, (h) => runHistory(h, null, saw)),
    { numRuns: runs },
  )
  console.log(seen)
  expect([...seen.keys()]).toEqual(expect.arrayContaining([]))
})
