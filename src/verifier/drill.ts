/**
 * Finds the rows that differ in one range of the key: digest of the range, digests of its parts, digests of rows, rows.
 *
 * Only ranges whose digests differ are divided, at the keys of the end that has more rows there, and only rows whose digests differ are read; both ends
 * work at the same time. In mode `row` every row is read; in mode `count` none. Holds one leaf: the digests of 2,000 rows, or 500 rows.
 */
import type { ComparisonReader, RangeDigest } from '../connectors/contract.ts'
import type { ComparedEnd, TablePair } from '../core/comparison-plan.ts'
import type { Value } from '../core/value.ts'
import type { KeyRange, VerifyMode } from '../core/verification.ts'
import { createRowCompare } from './row-compare.ts'
import { equalRows, type Found, ofCounts } from './tally.ts'

/** A range with more rows at either end is divided. Digests of so many rows are sooner read than the range is divided once more. */
const leafRows: Readonly<Record<VerifyMode, number>> = { checksum: 2_000, row: 500, count: 500 }
const mostParts = 128

/** A part of a range that is compared, in the order of keys. */
export interface Piece extends Found {
  /** Up to where; null: to the table's end. */
  readonly upTo: readonly Value[] | null
}

export interface Drill {
  /** Pieces in the order of keys, the last one up to the range's end. @param took is told how long the first look took */
  compare(range: KeyRange, took: (rows: number, ms: number) => void): AsyncGenerator<Piece>
}

export function createDrill(
  pair: TablePair,
  source: ComparisonReader,
  target: ComparisonReader,
  mode: VerifyMode,
): Drill {
  const both = <T>(read: (reader: ComparisonReader, end: ComparedEnd) => Promise<T>): Promise<[T, T]> =>
    Promise.all([read(source, pair.source), read(target, pair.target)])
  const rowRanges = createRowCompare(pair, source, target)

  /** What tells whether rows have to be looked at: in mode `checksum` alone the digest. */
  const look = async (
    reader: ComparisonReader,
    end: ComparedEnd,
    ranges: readonly KeyRange[],
  ): Promise<readonly RangeDigest[]> =>
    mode === 'checksum'
      ? reader.digests(end, ranges)
      : (await reader.counts(end, ranges)).map((rows) => ({ rows, digest: '' }))

  async function* compare(range: KeyRange, took: (rows: number, ms: number) => void): AsyncGenerator<Piece> {
    const startedAtMs = performance.now()
    const [[there], [here]] = await both((reader, end) => look(reader, end, [range]))
    const [left, right] = [there as RangeDigest, here as RangeDigest]
    took(Math.max(left.rows, right.rows), performance.now() - startedAtMs)
    yield* found(range, left, right)
  }

  async function* found(range: KeyRange, there: RangeDigest, here: RangeDigest): AsyncGenerator<Piece> {
    const { upTo } = range
    if (mode === 'count') {
      yield { ...ofCounts(there.rows, here.rows), upTo }
      return
    }
    const most = Math.max(there.rows, here.rows)
    const isEqual = there.rows === here.rows && there.digest === here.digest
    if (most === 0 || (isEqual && mode === 'checksum')) {
      yield { ...equalRows(there.rows), upTo }
      return
    }
    const ranges = most <= leafRows[mode] ? [range] : await divided(range, most, there.rows >= here.rows)
    if (ranges.length === 1) {
      yield { ...(await (mode === 'row' ? rowRanges.whole(range) : rowRanges.byDigest(range))), upTo }
      return
    }
    const [left, right] = await both((reader, end) => look(reader, end, ranges))
    for (const [i, part] of ranges.entries())
      yield* found(part, left[i] as RangeDigest, right[i] as RangeDigest)
  }

  /** Divides at the keys of the end with more rows, so that no part stays too large. */
  async function divided(range: KeyRange, rows: number, bySource: boolean): Promise<KeyRange[]> {
    const parts = Math.min(mostParts, Math.ceil(rows / leafRows[mode]))
    const step = Math.ceil(rows / parts)
    const reader = bySource ? source : target
    const bounds = await reader.bounds(bySource ? pair.source : pair.target, range, step, parts - 1)
    const ends: (readonly Value[] | null)[] = [...bounds, range.upTo]
    return ends.map((upTo, i) => ({ after: i === 0 ? range.after : (ends[i - 1] as readonly Value[]), upTo }))
  }

  return { compare }
}
