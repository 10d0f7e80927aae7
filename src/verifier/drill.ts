/**
 * Finds the rows that differ in one range of the key: digest of the range, digests of its parts, digests of rows, rows.
 *
 * Only ranges whose digests differ are divided, at the keys of the end that has more rows there, and only rows whose digests differ are read; both ends
 * work at the same time. Holds the rows of one leaf (a few hundred at most) and what was found so far.
 */
import type { ComparedRow, ComparisonReader, RangeDigest, RowDigest } from '../connectors/contract.ts'
import { cellsEqual } from '../core/comparison.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import type { Value } from '../core/value.ts'
import type { ComparisonTally, Difference, KeyRange } from '../core/verification.ts'

/** A range with more rows at either end is divided. */
const leafRows = 500
const mostParts = 16
/** Rows that are read at once to be compared. */
const rowsAtOnce = 200

export interface Found {
  readonly tally: ComparisonTally
  readonly differences: readonly Difference[]
}

export interface Drill {
  compare(range: KeyRange): Promise<Found>
}

export const noRows: ComparisonTally = {
  rowsCompared: 0,
  equal: 0,
  different: 0,
  onlySource: 0,
  onlyTarget: 0,
  unsettled: 0,
}

export function createDrill(pair: TablePair, source: ComparisonReader, target: ComparisonReader): Drill {
  const both = <T>(
    read: (reader: ComparisonReader, end: TablePair['source']) => Promise<T>,
  ): Promise<[T, T]> => Promise.all([read(source, pair.source), read(target, pair.target)])

  async function compare(range: KeyRange): Promise<Found> {
    const [[there], [here]] = await both((reader, end) => reader.digests(end, [range]))
    return found(range, there as RangeDigest, here as RangeDigest)
  }

  async function found(range: KeyRange, there: RangeDigest, here: RangeDigest): Promise<Found> {
    if (there.rows === here.rows && there.digest === here.digest) return equalRows(there.rows)
    const most = Math.max(there.rows, here.rows)
    if (most <= leafRows) return compareRows(await both((reader, end) => reader.rowDigests(end, range)))
    const ranges = await divided(range, most, there.rows >= here.rows)
    if (ranges.length === 1) return compareRows(await both((reader, end) => reader.rowDigests(end, range)))
    const [left, right] = await both((reader, end) => reader.digests(end, ranges))
    const all: Found[] = []
    for (const [i, part] of ranges.entries()) {
      all.push(await found(part, left[i] as RangeDigest, right[i] as RangeDigest))
    }
    return together(all)
  }

  /** Divides at the keys of the end with more rows, so that no part stays too large. */
  async function divided(range: KeyRange, rows: number, bySource: boolean): Promise<KeyRange[]> {
    const parts = Math.min(mostParts, Math.ceil(rows / leafRows))
    const step = Math.ceil(rows / parts)
    const reader = bySource ? source : target
    const bounds = await reader.bounds(bySource ? pair.source : pair.target, range, step, parts - 1)
    const ends: (readonly Value[] | null)[] = [...bounds, range.upTo]
    return ends.map((upTo, i) => ({ after: i === 0 ? range.after : (ends[i - 1] as readonly Value[]), upTo }))
  }

  async function compareRows([there, here]: [readonly RowDigest[], readonly RowDigest[]]): Promise<Found> {
    const others = new Map(here.map((row) => [row.identity, row]))
    const doubtful: (readonly Value[])[] = []
    let equal = 0
    for (const row of there) {
      const other = others.get(row.identity)
      others.delete(row.identity)
      if (other !== undefined && other.digest === row.digest) equal++
      else doubtful.push(row.key)
    }
    for (const row of others.values()) doubtful.push(row.key)
    const all: Found[] = [equalRows(equal)]
    for (let at = 0; at < doubtful.length; at += rowsAtOnce) {
      all.push(await compareKeys(doubtful.slice(at, at + rowsAtOnce)))
    }
    return together(all)
  }

  async function compareKeys(keys: readonly (readonly Value[])[]): Promise<Found> {
    const [there, here] = await both((reader, end) => reader.rowsByKey(end, keys))
    return comparedRows(pair, there, here)
  }

  return { compare }
}

/** Rows of both ends, each end's all that it has of the same keys. */
export function comparedRows(
  pair: TablePair,
  there: readonly ComparedRow[],
  here: readonly ComparedRow[],
): Found {
  const others = new Map(here.map((row) => [row.identity, row]))
  const differences: Difference[] = []
  let equal = 0
  for (const row of there) {
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

export const equalRows = (rows: number): Found => ({
  tally: { ...noRows, rowsCompared: rows, equal: rows },
  differences: [],
})

function ofDifferences(differences: readonly Difference[]): Found {
  const count = (kind: Difference['kind']): number => differences.filter((each) => each.kind === kind).length
  return {
    tally: {
      rowsCompared: differences.length,
      equal: 0,
      different: count('different'),
      onlySource: count('only-source'),
      onlyTarget: count('only-target'),
      unsettled: count('unsettled'),
    },
    differences,
  }
}

export function together(all: readonly Found[]): Found {
  const sum = (field: keyof ComparisonTally): number =>
    all.reduce((total, { tally }) => total + tally[field], 0)
  return {
    tally: {
      rowsCompared: sum('rowsCompared'),
      equal: sum('equal'),
      different: sum('different'),
      onlySource: sum('onlySource'),
      onlyTarget: sum('onlyTarget'),
      unsettled: sum('unsettled'),
    },
    differences: all.flatMap(({ differences }) => differences),
  }
}
