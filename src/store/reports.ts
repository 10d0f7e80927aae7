/**
 * What engines said last of their work: figures by pipeline and by table, and how long the source keeps its log. For people; nothing decides by it.
 *
 * What is here may be lost and is bounded: one row per pipeline and one per table of it. It outlives its engine, so that a paused pipeline
 * still shows what it did and until when it may stay paused. Figures of an engine replace those of the one before it, never the other way round.
 */
import type { RetentionReport } from '../core/retention.ts'
import type { PipelineStatistics, StatisticsReport, TableStatistics } from '../core/statistics.ts'
import type { Database } from './database.ts'

export interface EngineReport extends StatisticsReport {
  readonly pipeline: string
}

export interface StoredReport {
  readonly totals: PipelineStatistics
  readonly retention: RetentionReport | null
}

export interface TablePage {
  readonly items: readonly TableStatistics[]
  /** Whether there are more behind the last one. */
  readonly hasMore: boolean
}

export type TableOrder = 'rows' | 'name'

export interface ReportStore {
  /** Takes reports in one transaction; those of deleted pipelines and of outdated engines are passed over. */
  put(reports: readonly EngineReport[]): void
  get(pipeline: string): StoredReport | null
  /**
   * Tables by rows in, most first, or by name.
   * @param skip rows before the page; tables that overtake others between two pages may be seen twice or not at all when ordered by rows
   */
  tables(pipeline: string, order: TableOrder, skip: number, most: number): TablePage
}

const rowsIn = `(value ->> 'inserted') + (value ->> 'updated') + (value ->> 'deleted') + (value ->> 'copied')`

export function createReportStore(database: Database): ReportStore {
  function putOne({ pipeline, epoch, totals, tables, retention }: EngineReport): void {
    if (database.get('SELECT 1 FROM pipelines WHERE name = ?', pipeline) === undefined) return
    const before = database.get('SELECT epoch, since, retention FROM reports WHERE pipeline = ?', pipeline)
    if (before !== undefined && BigInt(String(before['epoch'])) > BigInt(epoch)) return
    if (before !== undefined && before['since'] !== totals.since)
      database.run('DELETE FROM table_reports WHERE pipeline = ?', pipeline)
    // Until the new engine has asked the source, what its predecessor was told still holds.
    const kept = retention === null ? (before?.['retention'] ?? null) : JSON.stringify(retention)
    database.run(
      `INSERT INTO reports (pipeline, epoch, since, totals, retention) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (pipeline) DO UPDATE SET epoch = excluded.epoch, since = excluded.since,
         totals = excluded.totals, retention = excluded.retention`,
      pipeline,
      epoch,
      totals.since,
      JSON.stringify(totals),
      kept,
    )
    if (tables.length === 0) return
    database.run(
      `INSERT INTO table_reports (pipeline, name, rows, figures)
       SELECT ?, value ->> 'table', ${rowsIn}, value FROM json_each(?) WHERE true
       ON CONFLICT (pipeline, name) DO UPDATE SET rows = excluded.rows, figures = excluded.figures`,
      pipeline,
      JSON.stringify(tables),
    )
  }

  return {
    put(reports) {
      if (reports.length > 0) database.write(() => reports.forEach(putOne))
    },
    get(pipeline) {
      const row = database.get('SELECT totals, retention FROM reports WHERE pipeline = ?', pipeline)
      if (row === undefined) return null
      const { totals, retention } = row
      return {
        totals: JSON.parse(String(totals)) as PipelineStatistics,
        retention: retention === null ? null : (JSON.parse(String(retention)) as RetentionReport),
      }
    },
    tables(pipeline, order, skip, most) {
      const by = order === 'rows' ? 'rows DESC, name' : 'name'
      const rows = database.all(
        `SELECT figures FROM table_reports WHERE pipeline = ? ORDER BY ${by} LIMIT ? OFFSET ?`,
        pipeline,
        most + 1,
        skip,
      )
      return {
        items: rows.slice(0, most).map((row) => JSON.parse(String(row['figures'])) as TableStatistics),
        hasMore: rows.length > most,
      }
    },
  }
}
