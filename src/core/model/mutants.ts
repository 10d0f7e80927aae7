/**
 * Seeded bugs: each breaks one rule of the data path, and the model has to notice (test/property/core/model-mutants.test.ts). A model
 * that lets one of them pass is not looking at that rule.
 *
 * They live in the model's wiring: the production's merge, plan and chunk window are wrapped, never changed.
 */
import { type ChunkWindow, createChunkWindow } from '../chunk-window.ts'
import { createMerge, type Merge, type NetChange, type NetChanges } from '../merge.ts'
import { type BatchPlan, type LaneWork, planBatch } from '../plan.ts'
import type { Position } from '../position.ts'
import type { TableShape, UniqueKey } from '../schema.ts'
import { keyOf, rowsEqual } from '../value.ts'

export const mutants = {
  lowFromLogEnd: "a chunk's low is the end of the log: not everything in it is visible yet",
  highFromExecuted: "a chunk's high is what was executed: the rows may show more than that",
  passedNotAwaited: 'a chunk is read before everything that the consumer has passed is visible',
  noStriking: 'what the log touches is not struck from a chunk in flight',
  windowInsideTransaction: 'a chunk is opened while the consumer stands inside a transaction',
  sliceEndsWithTransaction:
    'a slice in the midst of a transaction is said to reach to its end: a chunk that shows the rest joins too early',
  chunkOvertakesBatch: 'rows of a chunk are written while batches before them are under way',
  batchOvertakesChunk: 'a batch is written while rows of a chunk that it touches are under way',
  handedOutAmongChanges: 'rows of a chunk are handed out although the open batch has changes before them',
  noopUpdatesDropped: 'an update that ends as it began is not written',
  keyChangeAsUpdate: 'a changed key is written as an update of the new key',
  removalsNotFirst: 'upserts are written before removals',
  uniqueKeysIgnored: 'the plan does not know the unique keys',
  hiddenKeysIgnored: 'the plan does not know unique keys over expressions and generated columns',
  noBarrier: 'removals and upserts under a collation are written side by side',
  positionBeforeData: 'the position is stored before the data',
  progressBeforeRows: "a chunk's progress is stored before its rows",
  noHeader: "a large batch's bounds are not stored before its lanes start",
  confirmationsIgnored: 'all lanes run again after a crash, and the confirmed ones too',
  sameNumberForNewPlan: 'a batch whose plan has changed is run again under its old number',
  oldLanesForNewPlan: 'only the unconfirmed lanes are run although the plan has changed',
  noFence: 'epochs are not checked',
  takeoverDoesNotWait: 'a takeover reads the marks while older writes are in flight',
} as const

export type Mutant = keyof typeof mutants

export function mergeOf(mutant: Mutant | null): Merge {
  const merge = createMerge()
  const inner = { ...merge }
  switch (mutant) {
    case 'keyChangeAsUpdate':
      inner.add = ({ destination, before, after }) => {
        const { ordinals } = destination.key
        const moved = before !== null && after !== null && keyOf(before, ordinals) !== keyOf(after, ordinals)
        merge.add({ destination, before: moved ? null : before, after })
      }
      break
    case 'noopUpdatesDropped':
      inner.net = () => mapChanges(merge.net(), withoutNoop)
      break
    default:
      return merge
  }
  return Object.defineProperties(inner, {
    rows: { get: () => merge.rows },
    bytes: { get: () => merge.bytes },
    changes: { get: () => merge.changes },
  })
}

const mapChanges = (net: NetChanges, map: (change: NetChange) => NetChange): NetChanges => ({
  destinations: net.destinations.map((table) => ({
    ...table,
    changes: new Map(Array.from(table.changes, ([key, change]) => [key, map(change)])),
  })),
})

const withoutNoop = (change: NetChange): NetChange =>
  change.before !== null && change.after !== null && rowsEqual(change.before, change.after)
    ? { ...change, before: null, after: null }
    : change

export const keepsUniqueKey = (mutant: Mutant | null, key: UniqueKey): boolean =>
  mutant !== 'uniqueKeysIgnored' && !(mutant === 'hiddenKeysIgnored' && key.ordinals.length === 0)

export function planOf(
  mutant: Mutant | null,
  net: NetChanges,
  lanes: number,
  oneLaneRows: number,
): BatchPlan {
  const plan = planBatch(net, lanes, oneLaneRows)
  if (mutant === 'noBarrier' && plan.phases === 2) {
    const [first = [], second = []] = plan.work
    const work = first.map(({ tables }, lane) => ({
      tables: [...tables, ...(second[lane] as LaneWork).tables],
    }))
    return { ...plan, phases: 1, work: [work] }
  }
  return plan
}

export function windowOf(mutant: Mutant | null, table: TableShape, consumedUpTo: Position): ChunkWindow {
  const asked = mutant === 'windowInsideTransaction' ? { ...consumedUpTo, ordinal: 0 } : consumedUpTo
  const window = createChunkWindow(table, asked)
  return mutant === 'noStriking' ? { ...window, touch: () => false } : window
}

/** The order in which a target transaction runs its work: removals of all tables, then upserts of all tables. */
export const removalsFirst = (mutant: Mutant | null): boolean => mutant !== 'removalsNotFirst'
