/**
 * Compares rows one by one: by their digests first, then by the forms of their values, which have the last word.
 *
 * Rows of both ends are matched by the identity that the servers made of their keys, never by comparing keys here. Reads the rows of a few hundred keys at a time.
 */
import type { ComparedRow, ComparisonReader, RowDigest } from '../connectors/contract.ts'
import { cellsEqual } from '../core/comparison.ts'
import type { ComparedEnd, TablePair } from '../core/comparison-plan.ts'
import { SyncError } from '../core/errors.ts'
import type { Value } from '../core/value.ts'
import type { Difference, KeyRange } from '../core/verification.ts'
import { equalRows, type Found, ofDifferences, together } from './tally.ts'

/** Rows that are read at once to be compared. */
const rowsAtOnce = 200

export interface RowCompare {
  /** The rows of a range whose digests differ. */
  byDigest(range: KeyRange): Promise<Found>
  /** Every row of a range, value by value. */
  whole(range: KeyRange): Promise<Found>
  /** Those of the rows whose digests differ. */
  ofDigests(there: readonly RowDigest[], here: readonly RowDigest[]): Promise<Found>
  /** The rows of these keys at both ends. */
  ofKeys(keys: readonly (readonly Value[])[]): Promise<Found>
}

export function createRowCompare(
  pair: TablePair,
  source: ComparisonReader,
  target: ComparisonReader,
): RowCompare {
  const both = <T>(read: (reader: ComparisonReader, end: ComparedEnd) => Promise<T>): Promise<[T, T]> =>
    Promise.all([read(source, pair.source), read(target, pair.target)])

  async function ofKeys(keys: readonly (readonly Value[])[]): Promise<Found> {
    const all: Found[] = []
    for (let at = 0; at < keys.length; at += rowsAtOnce) {
      const some = keys.slice(at, at + rowsAtOnce)
      const [there, here] = await both((reader, end) => reader.rowsByKey(end, some))
      all.push(comparedRows(pair, there, here))
    }
    return together(all)
  }

  /** @param isEqual may say no of rows that are equal: they are read again */
  async function matched<R extends { readonly identity: string; readonly key: readonly Value[] }>(
    there: readonly R[],
    here: readonly R[],
    isEqual: (row: R, other: R) => boolean,
  ): Promise<Found> {
    const others = byIdentity(pair, here)
    const doubtful: (readonly Value[])[] = []
    let equal = 0
    for (const row of byIdentity(pair, there).values()) {
      const other = others.get(row.identity)
      others.delete(row.identity)
      if (other !== undefined && isEqual(row, other)) equal++
      else doubtful.push(row.key)
    }
    for (const row of others.values()) doubtful.push(row.key)
    return together([equalRows(equal), await ofKeys(doubtful)])
  }

  const ofDigests: RowCompare['ofDigests'] = (there, here) =>
    matched(there, here, (row, other) => row.digest === other.digest)

  return {
    ofKeys,
    ofDigests,
    async byDigest(range) {
      return ofDigests(...(await both((reader, end) => reader.rowDigests(end, range))))
    },
    async whole(range) {
      const [there, here] = await both((reader, end) => reader.rows(end, range))
      return matched(there, here, (row, other) => row.cells.every((cell, i) => cell === other.cells[i]))
    },
  }
}

function byIdentity<R extends { readonly identity: string }>(
  pair: TablePair,
  rows: readonly R[],
): Map<string, R> {
  const found = new Map(rows.map((row) => [row.identity, row]))
  if (found.size === rows.length) return found
  throw new SyncError(
    'SYNC-5101',
    `${pair.name}: two rows of one end have one key in the form in which keys are compared`,
    {
      remedy: 'Take away the rule of a key column under spec.verify.columns.',
    },
  )
}

/** Rows of both ends, each end's all that it has of the same keys. */
export function comparedRows(
  pair: TablePair,
  there: readonly ComparedRow[],
  here: readonly ComparedRow[],
): Found {
  const others = byIdentity(pair, here)
  const differences: Difference[] = []
  let equal = 0
  for (const row of byIdentity(pair, there).values()) {
    const other = others.get(row.identity)
    others.delete(row.identity)
    const columns = other === undefined ? [] : differingColumns(pair, row, other)
    if (other !== undefined && columns.length === 0) {
      equal++
      continue
    }
    differences.push({
      table: pair.name,
      kind: other === undefined ? 'only-source' : 'different',
      key: row.key,
      source: shownRow(pair, row),
      target: other === undefined ? null : shownRow(pair, other),
      columns,
    })
  }
  for (const row of others.values()) {
    const target = shownRow(pair, row)
    differences.push({
      table: pair.name,
      kind: 'only-target',
      key: row.key,
      source: null,
      target,
      columns: [],
    })
  }
  return together([equalRows(equal), ofDifferences(differences)])
}

function differingColumns(pair: TablePair, row: ComparedRow, other: ComparedRow): string[] {
  const names: string[] = []
  for (const [i, { form }] of pair.source.columns.entries()) {
    if (!cellsEqual(form, row.cells[i] ?? null, other.cells[i] ?? null))
      names.push(pair.columnNames[i] as string)
  }
  return names
}

const utf8 = new TextDecoder()

/** By the source's column names. */
function shownRow(pair: TablePair, row: ComparedRow): Record<string, string | null> {
  return Object.fromEntries(
    pair.columnNames.map((name, i) => {
      const bytes = row.shown[i] ?? null
      return [name, bytes === null ? null : utf8.decode(Uint8Array.from(bytes, (unit) => unit.charCodeAt(0)))]
    }),
  )
}
