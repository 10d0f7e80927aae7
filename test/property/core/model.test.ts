/*
 * The data path under tens of thousands of histories: transactions, chunks, batches, lanes, crashes, lost replies, zombies and takeovers in any
 * order (src/core/model). What is checked stands in model/target.ts.
 *
 * MODEL_RUNS sets another number of histories. A failure prints the shortest history that was found and the seed to repeat it.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { runHistory } from '../../../src/core/model/run.ts'
import { histories } from './histories.ts'

const runs = Number(process.env['MODEL_RUNS'] ?? 20_000)

it('keeps every promise of the data path in every history', { timeout: 3_600_000 }, () => {
  const seen = new Map<string, number>()
  const saw = (situation: string): void => void seen.set(situation, (seen.get(situation) ?? 0) + 1)
  fc.assert(
    fc.property(histories(), (history) => runHistory(history, null, saw)),
    { numRuns: runs },
  )
  // A promise kept in situations that never came about says nothing.
  const wanted = [
    'small batch',
    'large batch',
    'large batch of two phases',
    'table in one lane of a large batch',
    'chunk written',
    'row struck',
    'batch waits for a chunk',
    'killed',
    'taken over alive',
    'fenced',
    'broken batch finished',
    'broken batch planned anew',
  ]
  const rare = wanted.filter((situation) => (seen.get(situation) ?? 0) < runs / 100)
  expect(rare).toEqual([])
})

it('needs no more than the bytes of keys to strike under a case-insensitive collation', {
  timeout: 600_000,
}, () => {
  fc.assert(
    fc.property(histories({ table: 1, unseen: 1 }), (history) => runHistory(history, null)),
    { numRuns: Math.ceil(runs / 10) },
  )
})
