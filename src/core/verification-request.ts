/**
 * What a verification is asked for, and what its counts come to. Pure.
 */
import type { ComparisonTally, RunMode } from './verification.ts'
import type { VerificationOutcome } from './verification-control.ts'

/** What is asked for; `null` and empty lists: everything. */
export interface VerificationRequest {
  readonly mode: RunMode
  /** Patterns as `schema.table` over the source's tables. */
  readonly tables: readonly string[]
  /** Parts of tables, as people write key values. A table with ranges is compared in these alone. */
  readonly ranges: readonly RequestedRange[]
  /** Part of the ranges of keys that is compared, above 0 up to 1. */
  readonly sample: number
  /** Differing rows kept of a table, with both images; those beyond it are counted. */
  readonly maxDifferences: number
  /** Of mode continuous. */
  readonly continuous?: ContinuousRequest
}

export interface ContinuousRequest {
  /** A row is read back when its last change is so old. */
  readonly settleMs: number
  /** The reader of the log stops when so many rows wait to be read back. */
  readonly maxPendingRows: number
  readonly maxRowsPerSecond: number
  /** Rows that differ are looked at again so often. */
  readonly recheckMs: number
  /** The pipeline's file asks for it: it ends when the file does not any more. */
  readonly isOfFile: boolean
}

export interface RequestedRange {
  /** `schema.table` at the source. */
  readonly table: string
  /** Values of the primary key's columns, in its order; null: from the table's beginning. Itself not in the range. */
  readonly after: readonly string[] | null
  /** Itself in the range; null: to the table's end. */
  readonly upTo: readonly string[] | null
}

export const noTally: ComparisonTally = {
  rowsCompared: 0,
  equal: 0,
  different: 0,
  onlySource: 0,
  onlyTarget: 0,
  unsettled: 0,
}

export const addTallies = (a: ComparisonTally, b: ComparisonTally): ComparisonTally => ({
  rowsCompared: a.rowsCompared + b.rowsCompared,
  equal: a.equal + b.equal,
  different: a.different + b.different,
  onlySource: a.onlySource + b.onlySource,
  onlyTarget: a.onlyTarget + b.onlyTarget,
  unsettled: a.unsettled + b.unsettled,
})

export const differencesIn = ({ different, onlySource, onlyTarget }: ComparisonTally): number =>
  different + onlySource + onlyTarget

/** @param isWhole every table that was asked for was compared, and every row of it could be told */
export const outcomeOf = (tally: ComparisonTally, isWhole: boolean): VerificationOutcome =>
  differencesIn(tally) > 0 ? 'different' : isWhole && tally.unsettled === 0 ? 'equal' : 'incomplete'
