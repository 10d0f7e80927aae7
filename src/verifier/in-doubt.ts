/**
 * Which of the differences that snapshots showed are to be looked at again, because their keys were in doubt (docs/adr/0008). Pure.
 *
 * Where keys are told apart by their bytes, exactly those. A key of text may be one row with another one that only a collation finds equal, and
 * collations are never guessed here: then every difference is looked at again, as long as there is a key in doubt and there are not very many differences.
 */
import type { TablePair } from '../core/comparison-plan.ts'
import { keyOf, type Value } from '../core/value.ts'
import type { Difference } from '../core/verification.ts'

/** Beyond so many, the difference is not one of a few milliseconds. */
const mostAgain = 1_000

export function inDoubtOf(
  pair: TablePair,
  differences: readonly Difference[],
  keysInDoubt: readonly (readonly Value[])[],
): { readonly certain: readonly Difference[]; readonly again: readonly Difference[] } {
  if (keysInDoubt.length === 0) return { certain: differences, again: [] }
  const everything = pair.source.keyTypes.map((_, part) => part)
  const hasText = pair.source.keyTypes.some((type) => type.kind === 'text')
  if (hasText && differences.length <= mostAgain) return { certain: [], again: differences }
  const doubtful = new Set(keysInDoubt.map((key) => keyOf(key, everything)))
  const certain: Difference[] = []
  const again: Difference[] = []
  for (const difference of differences) {
    ;(doubtful.has(keyOf(difference.key, everything)) ? again : certain).push(difference)
  }
  return { certain, again }
}
