/**
 * What is left of a step's differences when those in keys in doubt were looked at again (docs/adr/0008).
 *
 * Of these keys alone the source's snapshot may be older than the position that is told. In mode `count` nobody knows which rows make the numbers
 * differ, so where they do, and keys of the table are in doubt, the rows are found first.
 */
import type { TablePair } from '../core/comparison-plan.ts'
import type { Value } from '../core/value.ts'
import type { ComparisonTally, Difference, VerifyMode } from '../core/verification.ts'
import { addTallies, differencesIn } from '../core/verification-request.ts'
import { inDoubtOf } from '../verifier/in-doubt.ts'
import { type Found, ofDifferences } from '../verifier/tally.ts'

type Key = readonly Value[]

export interface Doubt {
  readonly pair: TablePair
  readonly keys: readonly Key[]
  readonly mode: VerifyMode
  /** All rows that differ within the step, in the same snapshots. */
  readonly find: () => Promise<readonly Difference[]>
  /** What still differs, and how many rows there are. */
  readonly settle: (keys: readonly Key[]) => Promise<Found>
}

export async function withoutDoubt(found: Found, doubt: Doubt): Promise<Found> {
  if (doubt.keys.length === 0 || differencesIn(found.tally) === 0) return found
  return doubt.mode === 'count' ? countedAnew(found, doubt) : lookedAtAgain(found, doubt)
}

async function lookedAtAgain({ tally, differences }: Found, { pair, keys, settle }: Doubt): Promise<Found> {
  const { certain, again } = inDoubtOf(pair, differences, keys)
  if (again.length === 0) return { tally, differences }
  const settled = await settle(again.map(({ key }) => key))
  const without = addTallies(tally, negative(ofDifferences(again).tally))
  return {
    tally: addTallies(without, settled.tally),
    differences: [...certain, ...settled.differences],
  }
}

/** Rows that differ in their values alone are none of a count's business. */
async function countedAnew({ tally }: Found, { pair, keys, find, settle }: Doubt): Promise<Found> {
  const all = (await find()).filter(isMissing)
  const { certain, again } = inDoubtOf(pair, all, keys)
  const settled = again.length === 0 ? null : await settle(again.map(({ key }) => key))
  const missing = [...certain, ...(settled?.differences ?? []).filter(isMissing)]
  const rowsAtSource = tally.equal + tally.onlySource
  const equal =
    rowsAtSource -
    all.filter(({ kind }) => kind === 'only-source').length +
    (settled === null ? 0 : settled.tally.equal + settled.tally.different)
  const counted = ofDifferences(missing).tally
  const unsettled = settled?.tally.unsettled ?? 0
  return {
    tally: { ...counted, equal, unsettled, rowsCompared: equal + counted.rowsCompared + unsettled },
    differences: [],
  }
}

const isMissing = ({ kind }: Difference): boolean => kind === 'only-source' || kind === 'only-target'

const negative = (tally: ComparisonTally): ComparisonTally => ({
  rowsCompared: -tally.rowsCompared,
  equal: -tally.equal,
  different: -tally.different,
  onlySource: -tally.onlySource,
  onlyTarget: -tally.onlyTarget,
  unsettled: -tally.unsettled,
})
