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

/** A row whose values are to be compared, and where it was seen. */
interface Doubt {
  readonly key: readonly Value[]
  readonly atSource: boolean
  readonly atTarget: boolean
}

export interface RowCompare {
  /** The rows of a range whose digests differ. */
  byDigest(range: KeyRange): Promise<Found>
  /** Every row of a range, value by value. */
  whole(range: KeyRange): Promise<Found>
  /** Those of the rows whose digests differ; `every`: all of them, value by value. */
  ofDigests(there: readonly RowDigest[], here: readonly RowDigest[], every?: boolean): Promise<Found>
}

export function createRowCompare(
  pair: TablePair,
  source: ComparisonReader,
  target: ComparisonReader,
): RowCompare {
  const both = <T>(read: (reader: ComparisonReader, end: ComparedEnd) => Promise<T>): Promise<[T, T]> =>
    Promise.all([read(source, pair.source), read(target, pair.target)])

  /** Reads the rows again and compares their values. Rows of other identities, which a key happens to find as well, are not asked about. */
  async function look(doubtful: ReadonlyMap<string, Doubt>): Promise<Found> {
    const all: Found[] = []
    const wanted = [...doubtful]
    for (let at = 0; at < wanted.length; at += rowsAtOnce) {
      const some = new Map(wanted.slice(at, at + rowsAtOnce))
      const keys = [...some.values()].map(({ key }) => key)
      const [there, here] = await both(async (reader, end) => {
        const rows = await reader.rowsByKey(end, keys)
        return rows.filter(({ identity }) => some.has(identity))
      })
      all.push(comparedRows(pair, there, here))
      for (const { identity } of [...there, ...here]) some.delete(identity)
      all.push(ofDifferences([...some.values()].map((doubt) => unreadable(pair, doubt))))
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
    const doubtful = new Map<string, Doubt>()
    let equal = 0
    for (const row of byIdentity(pair, there).values()) {
      const other = others.get(row.identity)
      others.delete(row.identity)
      if (other !== undefined && isEqual(row, other)) equal++
      else doubtful.set(row.identity, { key: row.key, atSource: true, atTarget: other !== undefined })
    }
    for (const row of others.values()) {
      doubtful.set(row.identity, { key: row.key, atSource: false, atTarget: true })
    }
    return together([equalRows(equal), await look(doubtful)])
  }

  const ofDigests: RowCompare['ofDigests'] = (there, here, every = false) =>
    matched(there, here, (row, other) => !every && row.digest === other.digest)

  return {
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
    if (other !== undefined && differingColumns(pair, row, other).length === 0) equal++
    else differences.push(differenceOf(pair, row, other))
  }
  for (const row of others.values()) differences.push(differenceOf(pair, undefined, row))
  return together([equalRows(equal), ofDifferences(differences)])
}

/**
 * A row that was seen and is not found by its key: the source has no such value (a label, or a character that its character set lacks). It differs
 * all the same; its values are not shown.
 */
const unreadable = (pair: TablePair, { key, atSource, atTarget }: Doubt): Difference => ({
  table: pair.name,
  kind: atSource ? (atTarget ? 'different' : 'only-source') : 'only-target',
  key,
  source: atSource ? {} : null,
  target: atTarget ? {} : null,
  columns: [],
})

/** Of two rows that differ, or of one that the other end lacks. */
export function differenceOf(
  pair: TablePair,
  there: ComparedRow | undefined,
  here: ComparedRow | undefined,
): Difference {
  return {
    table: pair.name,
    kind: there === undefined ? 'only-target' : here === undefined ? 'only-source' : 'different',
    key: (there ?? here)?.key ?? [],
    source: there === undefined ? null : shownRow(pair, there),
    target: here === undefined ? null : shownRow(pair, here),
    columns: there === undefined || here === undefined ? [] : differingColumns(pair, there, here),
  }
}

export function differingColumns(pair: TablePair, row: ComparedRow, other: ComparedRow): string[] {
  const names: string[] = []
  for (const [i, { form }] of pair.source.columns.entries()) {
    if (!cellsEqual(form, row.cells[i] ?? null, other.cells[i] ?? null))
      names.push(pair.columnNames[i] as string)
  }
  return names
}

const utf8 = new TextDecoder()

/** For people, by the source's column names. */
export function shownRow(pair: TablePair, row: ComparedRow): Record<string, string | null> {
  return Object.fromEntries(
    pair.columnNames.map((name, i) => {
      const bytes = row.shown[i] ?? null
      return [name, bytes === null ? null : utf8.decode(Uint8Array.from(bytes, (unit) => unit.charCodeAt(0)))]
    }),
  )
}
