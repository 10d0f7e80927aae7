/**
 * The words of verification and repair: what is asked, what is found, and what verifier and engine say to each other to stand at one position
 * of the source (docs/adr/0008). Pure shapes; the rules that compare values are in comparison.ts.
 */
import type { LogCoordinate, Position } from './position.ts'
import type { Value } from './value.ts'

/**
 * count: numbers of rows by range; checksum: digests inside the servers, rows only where they differ; row: every row is read and compared value
 * by value.
 */
export type VerifyMode = 'count' | 'checksum' | 'row'

/** continuous: every row that the log touches is read back, until somebody ends it (docs/adr/0009). */
export type RunMode = VerifyMode | 'continuous'

/** What is wrong with a row. `unsettled`: it changed too often to be told. */
export type DifferenceKind = 'different' | 'only-source' | 'only-target' | 'unsettled'

/** Primary key values as the source has them: `after` exclusive, `upTo` inclusive, null for the table's end on that side. */
export interface KeyRange {
  readonly after: readonly Value[] | null
  readonly upTo: readonly Value[] | null
}

/** One differing row, both images as text to be shown, by the source's column names; null: no such row there. */
export interface Difference {
  /** `schema.table` at the source. */
  readonly table: string
  readonly kind: DifferenceKind
  /** The key by which it is found again and repaired. */
  readonly key: readonly Value[]
  readonly source: Readonly<Record<string, string | null>> | null
  readonly target: Readonly<Record<string, string | null>> | null
  /** Names of the columns that differ; empty where a whole row is missing. */
  readonly columns: readonly string[]
}

/** Rows of a table, as far as it was compared. */
export interface ComparisonTally {
  /** Rows at the source within what was compared, and those only at the target. */
  readonly rowsCompared: number
  readonly equal: number
  readonly different: number
  readonly onlySource: number
  readonly onlyTarget: number
  readonly unsettled: number
}

/** What an engine says when it stands still. */
export interface Held {
  /** Everything up to here is at the target, and nothing after it. */
  readonly position: Position
  /** Source tables (`schema.table`) that cannot be compared now: their load is not done, or they are parked. */
  readonly incomplete: readonly { readonly table: string; readonly why: 'loading' | 'parked' }[]
}

/** What an engine says when it has run to the end that it was told. */
export interface Reached {
  readonly position: Position
  /** Keys touched by transactions that the source's snapshot may or may not show. */
  readonly inDoubt: readonly { readonly table: string; readonly key: readonly Value[] }[]
  /** More keys than are told were in doubt: the alignment is to be made anew. */
  readonly isDoubtCut: boolean
}

export interface RunTo {
  readonly low: Position
  readonly high: LogCoordinate
}

/** Why the target did not take a row. */
export interface Refusal {
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** What became of a key that was to be repaired. */
export interface RepairedRow {
  readonly table: string
  readonly key: readonly Value[]
  /** written: as the source has it; removed: the source does not have it; overtaken: the log brought the row meanwhile; refused: nothing was written. */
  readonly outcome: 'written' | 'removed' | 'overtaken' | 'refused'
  /** Why it was refused. */
  readonly refusal?: Refusal
}
