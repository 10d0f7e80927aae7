/**
 * What an engine counts of its work: rows, batches, bytes, and where the time goes. For people and for metrics; nothing decides by it.
 *
 * Only what the target has confirmed counts, so that rows in, rows merged away and rows out of a table add up. A batch that a crash left
 * unfinished and that the successor finishes is in neither's figures. Figures begin anew with each engine: `since` says when.
 */
import type { RetentionReport } from './retention.ts'

export interface PipelineStatistics {
  /** When counting began; ISO 8601. */
  readonly since: string
  /** When this was read off; ISO 8601. */
  readonly at: string
  /** Tables that have had rows. */
  readonly tables: number
  readonly rows: RowsIn &
    RowsOut & {
      /**
       * Changes in the log that concern none of the pipeline's tables, or that a row filter left out. Of a pipeline with shards each is in the
       * figures of one engine.
       */
      readonly outOfScope: number
    }
  readonly batches: {
    /** Written in one transaction. */
    readonly small: number
    /** Written by all lanes. */
    readonly large: number
    /** Positions stored without rows. */
    readonly checkpoints: number
    /** Transactions of the source that ended in them. */
    readonly transactions: number
  }
  readonly bytes: {
    /** Received from the source's log, out of scope included. */
    readonly log: number
    /** Rows of chunks, as held in memory. */
    readonly chunks: number
    /** Statements sent to the target. */
    readonly written: number
  }
  readonly timesMs: StageTimes
  readonly heldMs: HeldTimes
}

/** Milliseconds by stage. Reading and writing go on at the same time, and lanes side by side: they do not add up to what the clock says. */
export interface StageTimes {
  /** The log's reader had nothing to read. */
  readonly sourceWait: number
  /** Events to rows. */
  readonly decode: number
  /** Routing, filters, merging. */
  readonly merge: number
  /** Chunks, from the question to the last row; chunks that are read at once each count. */
  readonly chunkRead: number
  /** The order of a batch. */
  readonly plan: number
  /** SQL text; summed over lanes. */
  readonly build: number
  /** Small batches, from the first byte sent to the commit. */
  readonly small: number
  /** Headers of large batches. */
  readonly header: number
  /** Large batches, from the header to the last lane's commit. */
  readonly lanes: number
  /** The target had a transaction's last packet, which ends in COMMIT; summed over lanes. In a small batch that packet carries the rows too. */
  readonly commit: number
}

/** Milliseconds in which one stage waited for another. */
export interface HeldTimes {
  /** The reader, because the open batch was full: the target is the slower side. */
  readonly batchFull: number
  /** The reader, for a chunk that was still being read. */
  readonly chunkWindow: number
  /** The lanes, for rows: the source is the slower side, or idle. */
  readonly lanesIdle: number
  /** Lanes of a large batch that were done, for the slowest one; summed over lanes. */
  readonly laneSkew: number
}

export interface RowsIn {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** Rows of chunks. */
  readonly copied: number
}

export interface RowsOut {
  readonly upserted: number
  readonly removed: number
  /** Rows in that needed no row out, because a later change of the same row took their place. */
  readonly merged: number
}

export interface TableStatistics extends RowsIn, RowsOut {
  /** `schema.table` at the source. */
  readonly table: string
  /** `schema.table` at the target. */
  readonly target: string
  /** Bytes in, as held in memory; a transaction's bytes are shared out evenly over its changes. */
  readonly bytes: number
}

/**
 * The figures of a pipeline's engines as those of one: what each of them did is summed. Transactions are not, since every engine sees all of
 * them: theirs is the greatest number.
 * @returns null when there are none
 */
export function sumOf(engines: readonly PipelineStatistics[]): PipelineStatistics | null {
  const [first] = engines
  if (first === undefined || engines.length === 1) return first ?? null
  const times = (field: 'since' | 'at'): string[] => engines.map((engine) => engine[field]).toSorted()
  const summed = <Part extends 'rows' | 'batches' | 'bytes' | 'timesMs' | 'heldMs'>(
    part: Part,
  ): PipelineStatistics[Part] => {
    const figures = engines.map((engine) => engine[part] as Readonly<Record<string, number>>)
    return Object.fromEntries(
      Object.keys(first[part]).map((name) => [
        name,
        figures.reduce((sum, figure) => sum + (figure[name] ?? 0), 0),
      ]),
    ) as unknown as PipelineStatistics[Part]
  }
  return {
    since: times('since')[0] as string,
    at: times('at').at(-1) as string,
    tables: engines.reduce((sum, { tables }) => sum + tables, 0),
    rows: summed('rows'),
    batches: {
      ...summed('batches'),
      transactions: Math.max(...engines.map(({ batches }) => batches.transactions)),
    },
    bytes: summed('bytes'),
    timesMs: summed('timesMs'),
    heldMs: summed('heldMs'),
  }
}

/** What an engine tells at a time. Bounded whatever the number of tables: those that changed take turns. */
export interface StatisticsReport {
  /** Of the session that runs; a report of a smaller epoch is outdated. */
  readonly epoch: string
  readonly totals: PipelineStatistics
  /** Tables whose figures have changed since they were told last. */
  readonly tables: readonly TableStatistics[]
  /** Null: not known yet, or the source does not tell. */
  readonly retention: RetentionReport | null
}
