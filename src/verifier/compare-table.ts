/**
 * Compares one table at two ends, each as of its snapshot, range by range of the key.
 *
 * Guarantees: every row of either end that lies behind `after` and within `within` is compared exactly once, rows that only the target has
 * included, before the first key of the source, behind its last one and in between; a step is given out only when all up to its cursor is compared,
 * so that whoever stores cursor and tally together may begin again there after any crash. Ranges whose digests are equal move no rows; others are
 * divided until the rows are found. Memory is bounded by a few ranges of `leafRows` rows, whatever the table's size.
 * Assumes that snapshots stay open; when one is lost, the error of the store comes out and the caller begins anew behind the last cursor.
 */
import type { ComparisonReader, PressureGauge } from '../connectors/contract.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import { SyncError } from '../core/errors.ts'
import type { Value } from '../core/value.ts'
import type { ComparisonTally, Difference, KeyRange, VerifyMode } from '../core/verification.ts'
import { createDrill } from './drill.ts'

export interface ComparisonStep {
  /** All up to here is compared (core/key-text.ts makes a text of it); null: all to the end. Only the last step has null. */
  readonly cursor: readonly Value[] | null
  /** Of this step alone. */
  readonly tally: ComparisonTally
  /** Of this step, all of them: about `stepDifferences` at most. Empty in mode `count`. */
  readonly differences: readonly Difference[]
  /** Ranges that a sample left out of this step. */
  readonly rangesSkipped: number
}

export interface CompareTableOptions {
  readonly pair: TablePair
  /** As many at either end; each pair of them works on a range of its own. */
  readonly source: readonly ComparisonReader[]
  readonly target: readonly ComparisonReader[]
  readonly mode: VerifyMode
  /** The cursor of the last step that was kept; null: from the beginning. */
  readonly after: readonly Value[] | null
  /** A part of the table alone. */
  readonly within?: KeyRange
  /** This part of the ranges, chosen by chance from the seed; the same ones for one seed as long as the rows are the same. */
  readonly sample?: { readonly fraction: number; readonly seed: number }
  /** Ranges become smaller, and fewer are read at once, while more threads run at the source than `busyThreads`. */
  readonly pressure?: PressureGauge
  readonly busyThreads?: number
  /** How long the digest of a range may take. Default 500. */
  readonly rangeGoalMs?: number
  /** A step ends when it has so many differences. Default 500. */
  readonly stepDifferences?: number
  readonly signal?: AbortSignal
}

const firstRangeRows = 2_000
const mostRangeRows = 1_000_000

export async function* compareTable(options: CompareTableOptions): AsyncGenerator<ComparisonStep> {
  if (options.pair.order === 'apart' || options.mode === 'count') {
    throw new SyncError('SYNC-9001', 'not built yet')
  }
  const { pair, source, target, after, within, signal } = options
  const [from, to] = [source[0], target[0]]
  if (from === undefined || to === undefined) throw new SyncError('SYNC-9001', 'no snapshot to compare in')
  const drill = createDrill(pair, from, to)
  let begin = after ?? within?.after ?? null
  let rows = firstRangeRows
  for (;;) {
    signal?.throwIfAborted()
    const end = within?.upTo ?? null
    const [bound = null] = await from.bounds(pair.source, { after: begin, upTo: end }, rows, 1)
    const range = { after: begin, upTo: bound ?? end }
    const startedAtMs = performance.now()
    const step = await drill.compare(range)
    rows = nextRows(rows, performance.now() - startedAtMs, options.rangeGoalMs ?? 500)
    yield { ...step, cursor: bound, rangesSkipped: 0 }
    if (bound === null) return
    begin = bound
  }
}

const nextRows = (rows: number, tookMs: number, goalMs: number): number =>
  Math.max(
    100,
    Math.min(mostRangeRows, Math.round(rows * Math.min(4, Math.max(0.25, goalMs / Math.max(1, tookMs))))),
  )
