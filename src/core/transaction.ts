/**
 * What a source's log says, transaction by transaction.
 *
 * A `TransactionSlice` is a whole transaction or a run of its row changes in order; slices of one transaction follow each other with nothing
 * in between, and the last one has `last: true`. `ordinal` counts row changes from the transaction's start, before any filter, so
 * that the same cut can be made again after a crash.
 */
import type { PackedRow } from './packed-row.ts'
import type { LogCoordinate } from './position.ts'
import type { TableShape } from './schema.ts'
import type { Row } from './value.ts'

/** insert: `before` is null. delete: `after` is null. update: both stand. Rows are full images by the shape's columns. */
export interface RowChange {
  readonly table: TableShape
  readonly before: Row | null
  readonly after: Row | null
  /** The same images as they were sent; then `before` and `after` read them anew at each access. Absent: they are not kept like that. */
  readonly packed?: { readonly before: PackedRow | null; readonly after: PackedRow | null } | undefined
}

/** A change whose images are read when they are asked for. */
export class PackedChange implements RowChange {
  readonly table: TableShape
  readonly packed: { readonly before: PackedRow | null; readonly after: PackedRow | null }

  constructor(table: TableShape, before: PackedRow | null, after: PackedRow | null) {
    this.table = table
    this.packed = { before, after }
  }

  get before(): Row | null {
    return this.packed.before?.read() ?? null
  }

  get after(): Row | null {
    return this.packed.after?.read() ?? null
  }
}

export interface TransactionSlice {
  readonly kind: 'slice'
  /** The transaction's own name in the log (MySQL: its GTID). */
  readonly id: string
  /** Ordinal of the first change in `changes`. */
  readonly firstOrdinal: number
  readonly changes: readonly RowChange[]
  /** True for the slice with which the transaction commits. */
  readonly last: boolean
  /**
   * End of what was read so far; for the last slice the end of the transaction. Any other slice stands before that end, also where the
   * whole transaction is one event: a chunk whose `high` is that end may show changes that are still to come.
   */
  readonly coordinate: LogCoordinate
  /** Commit time at the source in microseconds since 1970 (exact in a double until 2255). */
  readonly commitTimeUs: number
  /** Approximate memory of `changes`. */
  readonly bytes: number
}

/** The reader has reached `coordinate`, and nothing there concerns anyone (heartbeat, rotation, an empty transaction's frame). */
export interface Progress {
  readonly kind: 'progress'
  readonly coordinate: LogCoordinate
}

/**
 * An XA transaction is prepared: its changes come with its commit, in a transaction whose id names both. Its own id is behind the reader now, and
 * nothing is applied of it.
 */
export interface PreparedTransaction {
  readonly kind: 'prepared'
  readonly id: string
  readonly coordinate: LogCoordinate
}

/** A statement that changes a definition; a transaction of its own. */
export interface SchemaChange {
  readonly kind: 'schema-change'
  readonly id: string
  readonly coordinate: LogCoordinate
  readonly commitTimeUs: number
  /** The session's default schema when it ran. */
  readonly schema: string
  readonly statement: string
}

export type LogEvent = TransactionSlice | Progress | PreparedTransaction | SchemaChange
