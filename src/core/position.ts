/**
 * Where a reader stands in a source's log.
 *
 * A `Position` survives everything: it is stored in the target and read again years later. `token` belongs to the connector (MySQL: a
 * GTID set); only the connector reads it. `ordinal` counts the row changes already taken of a transaction that follows `token`, so
 * that a transaction larger than a batch can be cut; `transaction` names it, because after a failover another one may follow. A `LogCoordinate` is cheap, totally ordered and only good while one
 * server's log lives: it is used inside one run, to see when the reader has passed a chunk's `high`.
 */
export interface Position {
  readonly token: string
  readonly ordinal: number
  /** Id of the transaction in which `ordinal` counts. Absent: `ordinal` is 0, or the position was stored before this was kept. */
  readonly transaction?: string
}

export interface LogCoordinate {
  /** Sequence number of the log file. */
  readonly file: number
  /** Byte offset of the end of what was read. */
  readonly offset: number
}

export const compareCoordinates = (a: LogCoordinate, b: LogCoordinate): number =>
  a.file === b.file ? a.offset - b.offset : a.file - b.file

export const samePosition = (a: Position, b: Position): boolean =>
  a.ordinal === b.ordinal && a.token === b.token
