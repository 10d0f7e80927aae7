/**
 * Reads chunks of tables while the log is being followed, by the rule of the data path (DATA-PATH 2).
 *
 * For each chunk: wait until everything that the stream's consumer has passed is visible; low = gtid_executed; SELECT; high = the log's end. A
 * commit is written to the log, then becomes visible, then enters gtid_executed: so all of `low` is visible to the SELECT, and all
 * that the SELECT saw is before `high`. The four go in one round trip. Assumes a source whose replica threads, if any, keep the commit order.
 * Holds a few connections and no locks; nothing survives a crash and nothing needs to.
 */
import { SyncError } from '../../core/errors.ts'
import type { LogCoordinate } from '../../core/position.ts'
import { type TableShape, tableName } from '../../core/schema.ts'
import type { SnapshotReader } from '../contract.ts'
import type { Connection } from './connection.ts'
import { createConnectionPool } from './connection-pool.ts'
import { GtidSet } from './gtid-set.ts'
import { type TableSelect, tableSelect } from './row-select.ts'
import { bytesLiteral, textLiteral } from './sql-text.ts'
import type { QueryResult } from './text-protocol.ts'

/** How long the source may take to make visible what its log has already shown. */
const defaultVisibilityWaitSeconds = 30

export interface MysqlSnapshotReader extends SnapshotReader {
  close(): Promise<void>
}

/** @param visibilityWaitSeconds after this a chunk gives up with SYNC-2104 */
export function createSnapshotReader(
  open: () => Promise<Connection>,
  visibilityWaitSeconds: number = defaultVisibilityWaitSeconds,
): MysqlSnapshotReader {
  const pool = createConnectionPool(open)
  const selects = new WeakMap<TableShape, TableSelect>()
  /** Bytes per row of the last chunk of each table: lets the server stop where we would, which costs no connection. */
  const rowBytes = new Map<string, number>()

  const selectOf = (table: TableShape): TableSelect => {
    let select = selects.get(table)
    if (select === undefined) {
      select = tableSelect(table)
      selects.set(table, select)
    }
    return select
  }

  return {
    chunkEnd: (table, after, rows, where) =>
      pool.use(async (connection) => {
        const select = selectOf(table)
        const sql = `SELECT ${select.keyColumns} FROM ${select.from}${select.between(after, null, where)} ORDER BY ${select.orderBy} LIMIT 1 OFFSET ${rows - 1}`
        const answer = await connection.query(sql, { decoders: [select.keyDecoders] })
        return answer.rows[0] ?? null
      }),

    async read({ table, after, upTo }, passed, where, maxBytes) {
      const select = selectOf(table)
      const name = tableName(table.id)
      const perRow = rowBytes.get(name)
      const limit = perRow === undefined ? null : Math.ceil(maxBytes / perRow) + 1
      const answers = await pool.use((connection) =>
        connection.queryAll(
          [
            `SELECT WAIT_FOR_EXECUTED_GTID_SET(${bytesLiteral(passed.token)}, ${visibilityWaitSeconds})`,
            'SELECT @@global.gtid_executed',
            `SELECT ${select.rowColumns} FROM ${select.from}${select.between(after, upTo, where)} ORDER BY ${select.orderBy}${limit === null ? '' : ` LIMIT ${limit}`}`,
            logEndSql(connection),
          ].join('; '),
          { decoders: [null, null, select.rowDecoders], maxBytes },
        ),
      )
      const [waited, executed, chunk, end] = answers as [QueryResult, QueryResult, QueryResult, QueryResult?]
      if (waited.rows[0]?.[0] !== '0') {
        throw new SyncError(
          'SYNC-2104',
          `The source did not make visible within ${visibilityWaitSeconds} s what its log has shown`,
        )
      }
      // Cut short, the statement that asks for the log's end did not run; asked for later it is later, which is as right.
      const high = end === undefined ? await pool.use(readLogEnd) : logEndOf(end)
      if (chunk.rows.length > 0) rowBytes.set(name, chunk.bytes / chunk.rows.length)
      const low = GtidSet.parse(executed.rows[0]?.[0] as string)
      return {
        rows: chunk.rows,
        isInLow: (id) => low.has(id),
        high,
        bytes: chunk.bytes,
        complete: chunk.complete && (limit === null || chunk.rows.length < limit),
      }
    },

    estimateRows: (id) =>
      pool.use(async (connection) => {
        // The cached statistics may be a day old, and are empty for a new table.
        const sql = `SET SESSION information_schema_stats_expiry = 0; SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${textLiteral(id.schema)} AND TABLE_NAME = ${textLiteral(id.name)}`
        const answers = await connection.queryAll(sql)
        return Number(answers[1]?.rows[0]?.[0] ?? 0)
      }),

    close: () => pool.close(),
  }
}

/** SHOW MASTER STATUS until 8.2, where it was renamed; removed in 8.4. */
export const logEndSql = (connection: Connection): string => {
  const [major, minor] = connection.version.split('.').map(Number) as [number, number]
  const renamed = !connection.version.includes('MariaDB') && (major > 8 || (major === 8 && minor >= 2))
  return renamed ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS'
}

/** Where the source's log ends now. @throws SYNC-2201 when it keeps none, SYNC-2103 without REPLICATION CLIENT */
export const readLogEnd = async (connection: Connection): Promise<LogCoordinate> =>
  logEndOf(await connection.query(logEndSql(connection)))

function logEndOf(answer: QueryResult): LogCoordinate {
  const [file, offset] = (answer.rows[0] ?? []) as [string?, string?]
  const sequence = /\.(\d+)$/.exec(file ?? '')?.[1]
  if (sequence === undefined || offset === undefined) {
    throw new SyncError('SYNC-2201', 'The source keeps no binary log', {
      remedy: 'Start the source with --log-bin, then resume.',
    })
  }
  return { file: Number(sequence), offset: Number(offset) }
}
