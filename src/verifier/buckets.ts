/**
 * Compares tables whose ends do not order keys alike (collations or labels differ): there a range of keys is not the same rows at both ends.
 *
 * Each end divides its rows by a hash of what the key is (`ComparedEnd.identity`) and digests every bucket, in one pass over the table; of the buckets
 * that differ the rows are read, a bounded number at a time, each time by one more pass. There is no place between two keys, so nothing can be kept in the middle:
 * after a lost worker such a table begins anew.
 */
import type { ComparisonReader, RangeDigest } from '../connectors/contract.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import type { VerifyMode } from '../core/verification.ts'
import { createRowCompare } from './row-compare.ts'
import { equalRows, type Found, ofCounts, together } from './tally.ts'

const rowsPerBucket = 300
const mostBuckets = 65_536
/** Rows whose digests are held at once, of each end. */
const rowsAtOnce = 50_000

export interface BucketOptions {
  readonly pair: TablePair
  readonly source: ComparisonReader
  readonly target: ComparisonReader
  readonly mode: VerifyMode
  /** Of a sample: does the bucket take part? */
  readonly takes?: (bucket: number) => boolean
}

const nothing: RangeDigest = { rows: 0, digest: '' }

export async function* compareBuckets(options: BucketOptions): AsyncGenerator<Found> {
  const { pair, source, target, mode, takes = () => true } = options
  const estimate = await source.estimateRows(pair.source)
  const of = Math.min(mostBuckets, Math.max(16, Math.ceil(estimate / rowsPerBucket)))
  const [there, here] = await Promise.all([source.buckets(pair.source, of), target.buckets(pair.target, of)])
  const rows = createRowCompare(pair, source, target)
  const numbers = [...new Set([...there.keys(), ...here.keys()])].filter(takes)
  const differing: { readonly bucket: number; readonly rows: number }[] = []
  const settled: Found[] = []
  for (const bucket of numbers) {
    const [left, right] = [there.get(bucket) ?? nothing, here.get(bucket) ?? nothing]
    const isEqual = left.rows === right.rows && left.digest === right.digest
    if (mode === 'count') settled.push(ofCounts(left.rows, right.rows))
    else if (isEqual && mode === 'checksum') settled.push(equalRows(left.rows))
    else differing.push({ bucket, rows: left.rows + right.rows })
  }
  yield together(settled)
  for (const buckets of inGroups(differing)) {
    const [left, right] = await Promise.all([
      source.bucketRowDigests(pair.source, of, buckets),
      target.bucketRowDigests(pair.target, of, buckets),
    ])
    yield await rows.ofDigests(left, right, mode === 'row')
  }
}

function* inGroups(
  buckets: readonly { readonly bucket: number; readonly rows: number }[],
): Generator<number[]> {
  let group: number[] = []
  let rows = 0
  for (const each of buckets) {
    if (group.length > 0 && rows + each.rows > rowsAtOnce) {
      yield group
      group = []
      rows = 0
    }
    group.push(each.bucket)
    rows += each.rows
  }
  if (group.length > 0) yield group
}
