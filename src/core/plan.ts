/**
 * The order in which a batch's net effect is written, so that no unique key can collide and lanes need not wait for each other.
 *
 * Deterministic: the same changes, lanes and destinations give the same plan, so that after a crash exactly the lanes that have not
 * confirmed can be run again (docs: DATA-PATH 4 and 5).
 */
import type { Column, ColumnType, TableId, UniqueKey } from './schema.ts'
import type { Row } from './value.ts'

/** A table at the target as one pipeline writes it. Rows and ordinals are by `columns`. */
export interface Destination {
  readonly id: TableId
  /** The written columns, as they are at the target. */
  readonly columns: readonly Column[]
  /** How the values in the rows are to be read: the source's column types, in the same order. */
  readonly valueTypes: readonly ColumnType[]
  /** The key by which rows are told apart. */
  readonly key: UniqueKey
  /** The target's other unique keys, as far as they lie within `columns`. */
  readonly uniqueKeys: readonly UniqueKey[]
}

/** A row change, mapped to its destination. insert: before null; delete: after null. */
export interface RoutedChange {
  readonly destination: Destination
  readonly before: Row | null
  readonly after: Row | null
}

/** Removals first (by key values, in the key's order of columns), then upserts (whole rows). */
export interface TableWork {
  readonly destination: Destination
  readonly removals: readonly Row[]
  readonly upserts: readonly Row[]
}

/** What one lane writes in one transaction: all removals of all tables, then all upserts. */
export interface LaneWork {
  readonly tables: readonly TableWork[]
}

export interface BatchPlan {
  readonly lanes: number
  /** 1, or 2 where removals must be done in every lane before the first upsert. */
  readonly phases: number
  /** work[phase - 1][lane - 1] */
  readonly work: readonly (readonly LaneWork[])[]
  readonly rows: number
}
