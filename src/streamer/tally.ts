/**
 * Rows that went into one batch, by table; a batch's tally counts once the batch is confirmed (meter.ts).
 *
 * In the hot path: a row costs two additions, a look-up is made only where the table changes. Memory: one small object for each table of a batch.
 */
import { type TableId, tableName } from '../core/schema.ts'

export interface TableTally {
  /** At the source. */
  readonly table: string
  /** At the target. */
  readonly target: string
  inserted: number
  updated: number
  deleted: number
  bytes: number
}

export interface BatchTally {
  /** By the target's name: one source table goes there (mapping.ts). */
  readonly tables: ReadonlyMap<string, TableTally>
  of(source: TableId, target: TableId): TableTally
  outOfScope: number
  transactions: number
}

export function createTally(): BatchTally {
  const tables = new Map<string, TableTally>()
  return {
    tables,
    of(source, target) {
      const name = tableName(target)
      let tally = tables.get(name)
      if (tally === undefined) {
        tally = {
          table: tableName(source),
          target: name,
          inserted: 0,
          updated: 0,
          deleted: 0,
          bytes: 0,
        }
        tables.set(name, tally)
      }
      return tally
    },
    outOfScope: 0,
    transactions: 0,
  }
}
