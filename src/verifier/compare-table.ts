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
import { textHash } from '../core/hash.ts'
import { keyText } from '../core/key-text.ts'
import type { Value } from '../core/value.ts'
import type { ComparisonTally, Difference, KeyRange, VerifyMode } from '../core/verification.ts'
import { type BucketOptions, compareBuckets } from './buckets.ts'
import { createDrill, type Piece } from './drill.ts'
import { createRangeSizes } from './range-sizes.ts'
import { type Found, together } from './tally.ts'

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

/** Ranges of a sample have this size always, so that one seed gives the same ones. */
const sampleRangeRows = 2_000
/** In mode `row` all rows of a range are read, a few hundred at a time. */
const rowRangeRows = 5_000
const defaultStepDifferences = 500

/** A range that was taken, and what has been found in it and not been given out. */
interface Taken {
  readonly upTo: readonly Value[] | null
  readonly isLast: boolean
  readonly skipped: number
  readonly pieces: Piece[]
  isDone: boolean
}

export async function* compareTable(options: CompareTableOptions): AsyncGenerator<ComparisonStep> {
  if (options.source.length === 0 || options.source.length !== options.target.length) {
    throw new SyncError('SYNC-9001', 'a comparison needs as many snapshots of the source as of the target')
  }
  if (options.pair.order === 'apart') yield* byBuckets(options)
  else yield* byRanges(options)
}

async function* byBuckets(options: CompareTableOptions): AsyncGenerator<ComparisonStep> {
  const { pair, within, source, target, mode, sample } = options
  if (within !== undefined && (within.after !== null || within.upTo !== null)) {
    throw new SyncError(
      'SYNC-5101',
      `${pair.name}: both ends order its keys unalike, so a range of keys is not the same rows`,
      {
        remedy: 'Compare the whole table, or give the key columns the same type and collation.',
      },
    )
  }
  const work: BucketOptions = {
    pair,
    source: source[0] as ComparisonReader,
    target: target[0] as ComparisonReader,
    mode,
    ...(sample === undefined ? {} : { takes: (bucket) => takes(sample, `${bucket}`) }),
  }
  let pending: Found | null = null
  // Where one pass has no place between two keys, nothing is kept before its end.
  for await (const found of compareBuckets(work))
    pending = pending === null ? found : together([pending, found])
  yield { ...(pending ?? together([])), cursor: null, rangesSkipped: 0 }
}

async function* byRanges(options: CompareTableOptions): AsyncGenerator<ComparisonStep> {
  const { pair, source, target, mode, within, sample, signal } = options
  const most = options.stepDifferences ?? defaultStepDifferences
  const estimate = await (source[0] as ComparisonReader).estimateRows(pair.source)
  const sizes = createRangeSizes({ ...options, estimate })
  const queue: Taken[] = []
  const tableEnd = within?.upTo ?? null
  let begin = options.after ?? within?.after ?? null
  let isAtEnd = false
  let failure: { readonly error: unknown } | null = null
  let isStopped = false
  let wake = Promise.withResolvers<void>()
  /** Lets everybody look again: something was found, given out, or went wrong. */
  const changed = (): void => {
    wake.resolve()
    wake = Promise.withResolvers<void>()
  }
  const mayGoOn = (): boolean => !isStopped && failure === null
  let taking: Promise<void> = Promise.resolve()

  /** The next range, found by this lane's own connection, one lane at a time. */
  function take(lane: number): Promise<{ readonly taken: Taken; readonly range: KeyRange } | null> {
    const turn = taking.then(() => takeNow(lane))
    taking = turn.then(
      () => undefined,
      () => undefined,
    )
    return turn
  }

  async function takeNow(lane: number): Promise<{ readonly taken: Taken; readonly range: KeyRange } | null> {
    const reader = source[lane] as ComparisonReader
    let skipped = 0
    for (;;) {
      while (mayGoOn() && !isAtEnd && queue.length > 2 * source.length) await wake.promise
      if (!mayGoOn() || isAtEnd) return null
      signal?.throwIfAborted()
      const rows = sample !== undefined ? sampleRangeRows : mode === 'row' ? rowRangeRows : await sizes.next()
      const after = begin
      const [upTo = tableEnd, isLast = true] = await boundOf(reader, after, rows)
      begin = upTo
      isAtEnd = isLast
      if (sample !== undefined && !takes(sample, keyText(after ?? []))) {
        skipped++
        if (!isLast) continue
        queue.push({ upTo, isLast, skipped, pieces: [], isDone: true })
        changed()
        return null
      }
      const taken: Taken = { upTo, isLast, skipped, pieces: [], isDone: false }
      queue.push(taken)
      return { taken, range: { after, upTo } }
    }
  }

  const boundOf = async (
    reader: ComparisonReader,
    after: readonly Value[] | null,
    rows: number,
  ): Promise<[readonly Value[], boolean] | []> => {
    const [bound] = await reader.bounds(pair.source, { after, upTo: tableEnd }, rows, 1)
    return bound === undefined ? [] : [bound, false]
  }

  async function work(lane: number): Promise<void> {
    const drill = createDrill(pair, source[lane] as ComparisonReader, target[lane] as ComparisonReader, mode)
    for (;;) {
      await sizes.turn(lane)
      const next = await take(lane)
      if (next === null) return
      const { taken, range } = next
      for await (const piece of drill.compare(range, sizes.took)) {
        taken.pieces.push(piece)
        changed()
        while (mayGoOn() && differencesOf(taken) >= most) await wake.promise
        if (!mayGoOn()) return
        signal?.throwIfAborted()
      }
      taken.isDone = true
      changed()
    }
  }

  const lanes = source.map((_, lane) =>
    work(lane).catch((error: unknown) => {
      failure ??= { error }
      changed()
    }),
  )
  try {
    for (;;) {
      const head = queue[0]
      if (failure !== null) throw (failure as { readonly error: unknown }).error
      if (head?.isDone === true) {
        const found = together(head.pieces)
        queue.shift()
        changed()
        yield { ...found, cursor: head.isLast ? null : head.upTo, rangesSkipped: head.skipped }
        if (head.isLast) return
      } else if (head !== undefined && differencesOf(head) >= most) {
        const pieces = head.pieces.splice(0)
        changed()
        yield { ...together(pieces), cursor: pieces.at(-1)?.upTo ?? null, rangesSkipped: 0 }
      } else await wake.promise
    }
  } finally {
    isStopped = true
    changed()
    await Promise.all(lanes)
  }
}

const differencesOf = ({ pieces }: Taken): number =>
  pieces.reduce((total, { differences }) => total + differences.length, 0)

const takes = ({ fraction, seed }: NonNullable<CompareTableOptions['sample']>, name: string): boolean =>
  textHash(name, seed) / 2 ** 32 < fraction
