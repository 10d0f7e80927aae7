/**
 * What engines said last of their work: figures by engine and by table, and how long the source keeps its log. For people; nothing decides by it.
 *
 * What is here may be lost and is bounded: one row for each engine of a pipeline (its shards have one each), and one for each table, which is
 * in one shard alone. It outlives its engine, so that a paused pipeline still shows what it did and until when it may stay paused. Figures of
 * an engine replace those of the one before it, never the other way round; those of another division into shards go.
 */
import type { EngineRef, ShardRef } from '../core/pipeline-control.ts'
import type { RetentionReport } from '../core/retention.ts'
import type { PipelineStatistics, StatisticsReport, TableStatistics } from '../core/statistics.ts'
import type { Database } from './database.ts'

export interface EngineReport extends StatisticsReport, EngineRef {}

export interface StoredReport {
  /** Null: the engine carried all tables. */
  readonly shard: ShardRef | null
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
  /** One for each engine that has reported, in the order of the shards. */
  list(pipeline: string): StoredReport[]
  /**
   * Tables by rows in, most first, or by name.
   * @param skip rows before the page; tables that overtake others between two pages may be seen twice or not at all when ordered by rows
   */
  tables(pipeline: string, order: TableOrder, skip: number, most: number): TablePage
}

const rowsIn = `(value ->> 'inserted') + (value ->> 'updated') + (value ->> 'deleted') + (value ->> 'copied')`

export function createReportStore(database: Database): ReportStore {
  /** Has this engine been followed by another one, or by another division of the pipeline? Both have greater epochs (core/epoch.ts). */
  function isOutdated(pipeline: string, index: number, of: number, epoch: string): boolean {
    const known = database.all('SELECT shard, shards, epoch FROM engine_reports WHERE pipeline = ?', pipeline)
    return known
      .filter(({ shard, shards }) => shard === index || shards !== of)
      .some((before) => BigInt(String(before['epoch'])) > BigInt(epoch))
  }

  function putOne({ pipeline, shard, epoch, totals, tables, retention }: EngineReport): void {
    const { index, of } = shard ?? { index: 0, of: 1 }
    if (database.get('SELECT 1 FROM pipelines WHERE name = ?', pipeline) === undefined) return
    if (isOutdated(pipeline, index, of, epoch)) return
    database.run('DELETE FROM engine_reports WHERE pipeline = ? AND shards <> ?', pipeline, of)
    const before = database.get(
      'SELECT since, retention FROM engine_reports WHERE pipeline = ? AND shard = ?',
      pipeline,
      index,
    )
    if (before !== undefined && before['since'] !== totals.since)
      database.run('DELETE FROM engine_table_reports WHERE pipeline = ? AND shard = ?', pipeline, index)
    // Until the new engine has asked the source, what its predecessor was told still holds.
    const kept = retention === null ? (before?.['retention'] ?? null) : JSON.stringify(retention)
    database.run(
      `INSERT INTO engine_reports (pipeline, shard, shards, epoch, since, totals, retention) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (pipeline, shard) DO UPDATE SET epoch = excluded.epoch, since = excluded.since,
         totals = excluded.totals, retention = excluded.retention`,
      pipeline,
      index,
      of,
      epoch,
      totals.since,
      JSON.stringify(totals),
      kept,
    )
    if (tables.length === 0) return
    database.run(
      `INSERT INTO engine_table_reports (pipeline, shard, name, rows, figures)
       SELECT ?, ?, value ->> 'table', ${rowsIn}, value FROM json_each(?) WHERE true
       ON CONFLICT (pipeline, name) DO UPDATE SET shard = excluded.shard, rows = excluded.rows, figures = excluded.figures`,
      pipeline,
      index,
      JSON.stringify(tables),
    )
  }

  return {
    put(reports) {
      if (reports.length > 0) database.write(() => reports.forEach(putOne))
    },
    list: (pipeline) =>
      database
        .all(
          'SELECT shard, shards, totals, retention FROM engine_reports WHERE pipeline = ? ORDER BY shard',
          pipeline,
        )
        .map(({ shard, shards, totals, retention }) => ({
          shard: shards === 1 ? null : { index: Number(shard), of: Number(shards) },
          totals: JSON.parse(String(totals)) as PipelineStatistics,
          retention: retention === null ? null : (JSON.parse(String(retention)) as RetentionReport),
        })),
    tables(pipeline, order, skip, most) {
      const by = order === 'rows' ? 'rows DESC, name' : 'name'
      const rows = database.all(
        `SELECT figures FROM engine_table_reports WHERE pipeline = ? ORDER BY ${by} LIMIT ? OFFSET ?`,
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
