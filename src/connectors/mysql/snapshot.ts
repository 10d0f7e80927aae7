/**
 * Reads chunks of tables while the log is being followed, by the rule of the data path (DATA-PATH 2).
 *
 * For each chunk: wait until everything that the stream's consumer has passed is visible; low = gtid_executed; SELECT; high = the log's end. A
 * commit is written to the log, then becomes visible, then enters gtid_executed: so all of `low` is visible to the SELECT, and all
 * that the SELECT saw is before `high`. The four go in one round trip. MariaDB gives one exact place for both (source-log-mariadb.ts). Assumes a source whose replica threads, if any, keep the commit order.
 * Holds a few connections and no locks; nothing survives a crash and nothing needs to.
 */
import { SyncError } from '../../core/errors.ts'
import type { LogCoordinate, Position } from '../../core/position.ts'
import { type Column, type TableShape, tableName } from '../../core/schema.ts'
import { byteStringOf, keyOf, type Value } from '../../core/value.ts'
import type { ChunkRows, SnapshotReader } from '../contract.ts'
import type { Connection } from './connection.ts'
import { createConnectionPool } from './connection-pool.ts'
import { type Product, productOf } from './flavour.ts'
import { GtidSet } from './gtid-set.ts'
import { createLineCollector, isPlain, type LineCollector, loadLines } from './load-lines.ts'
import { logEndOf, logEndSql, readLogEnd } from './log-end.ts'
import { selected, selectedText, type TableSelect, tableSelect } from './row-select.ts'
import { openMariadbSnapshot } from './source-log-mariadb.ts'
import { bytesLiteral, textLiteral } from './sql-text.ts'
import type { QueryResult, RowDecoding } from './text-protocol.ts'

/** How long the source may take to make visible what its log has already shown. */
const defaultVisibilityWaitSeconds = 30

/** Named in one question for their sizes. */
const tablesAtOnce = 500

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

    async read({ table, after, upTo }, passed, where, maxBytes, asText = null) {
      const select = selectOf(table)
      const lines = asText?.format === loadLines ? linesOf(table, asText.columns) : null
      const rowColumns = lines?.rowColumns ?? select.rowColumns
      const name = tableName(table.id)
      const perRow = rowBytes.get(name)
      const limit = perRow === undefined ? null : Math.ceil(maxBytes / perRow) + 1
      const sql = `SELECT ${rowColumns} FROM ${select.from}${select.between(after, upTo, where)} ORDER BY ${select.orderBy}${limit === null ? '' : ` LIMIT ${limit}`}`
      const { chunk, ...place } = await pool.use((connection) =>
        readers[productOf(connection.version)](connection, {
          sql,
          decoders: lines?.collector ?? select.rowDecoders,
          maxBytes,
          passed,
          waitSeconds: visibilityWaitSeconds,
          readEnd: () => pool.use(readLogEnd),
        }),
      )
      const count = chunk.affectedRows
      if (count > 0) rowBytes.set(name, chunk.bytes / count)
      const key = table.primaryKey?.ordinals ?? []
      const lastRow = chunk.rows.at(-1)
      return {
        ...place,
        keys: lines?.collector.keys ?? chunk.rows.map((row) => keyOf(row, key)),
        lastKey:
          lines !== null
            ? lines.collector.lastKey()
            : lastRow === undefined
              ? null
              : key.map((ordinal) => lastRow[ordinal] as Value),
        rows: chunk.rows,
        text: lines === null ? null : { bytes: lines.collector.bytes(), ends: lines.collector.ends },
        bytes: chunk.bytes,
        complete: chunk.complete && (limit === null || count < limit),
      }
    },

    async readKeys(table, keys, passed, where, maxBytes) {
      const select = selectOf(table)
      const { chunk, ...place } = await pool.use((connection) =>
        readers[productOf(connection.version)](connection, {
          sql: `SELECT ${select.rowColumns} FROM ${select.from}${select.among(keys, where)} ORDER BY ${select.orderBy}`,
          decoders: select.rowDecoders,
          maxBytes,
          passed,
          waitSeconds: visibilityWaitSeconds,
          readEnd: () => pool.use(readLogEnd),
        }),
      )
      const key = table.primaryKey?.ordinals ?? []
      const { rows, bytes, complete } = chunk
      return {
        ...place,
        keys: rows.map((row) => keyOf(row, key)),
        lastKey: null,
        rows,
        text: null,
        bytes,
        complete,
      }
    },

    estimateRows: (tables) =>
      pool.use(async (connection) => {
        // MySQL's cached statistics may be a day old, and are empty for a new table.
        const fresh =
          productOf(connection.version) === 'mysql' ? 'information_schema_stats_expiry = 0' : 'autocommit = 1'
        await connection.query(`SET SESSION ${fresh}`)
        const found = new Map<string, number>()
        for (let at = 0; at < tables.length; at += tablesAtOnce) {
          const names = tables
            .slice(at, at + tablesAtOnce)
            .map(({ schema, name }) => `(${textLiteral(schema)}, ${textLiteral(name)})`)
          const { rows } = await connection.query(
            `SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES WHERE (TABLE_SCHEMA, TABLE_NAME) IN (${names.join(', ')})`,
          )
          for (const [schema, name, count] of rows)
            found.set(`${String(schema)}.${String(name)}`, Number(count ?? 0))
        }
        return tables.map(
          ({ schema, name }) => found.get(`${byteStringOf(schema)}.${byteStringOf(name)}`) ?? 0,
        )
      }),

    close: () => pool.close(),
  }
}

/** The select list of rows that are passed on, and who keeps them. */
function linesOf(
  table: TableShape,
  ordinals: readonly number[],
): { readonly rowColumns: string; readonly collector: LineCollector } {
  const columns = ordinals.map((ordinal) => table.columns[ordinal] as Column)
  const key = table.primaryKey?.ordinals ?? []
  return {
    rowColumns: columns.map(selectedText).join(', '),
    collector: createLineCollector(
      columns.map((column, i) => {
        const place = key.indexOf(ordinals[i] as number)
        return {
          plain: isPlain(column.type),
          key: place < 0 ? null : { place, decoder: selected(column).decoder },
        }
      }),
    ),
  }
}

interface ChunkRead {
  readonly sql: string
  readonly decoders: RowDecoding
  readonly maxBytes: number
  readonly passed: Position
  readonly waitSeconds: number
  /** Where the log ends, asked on another connection. */
  readonly readEnd: () => Promise<LogCoordinate>
}

type ChunkAnswer = Pick<ChunkRows, 'isInLow' | 'high'> & { readonly chunk: QueryResult }

const readers: Readonly<Record<Product, (connection: Connection, read: ChunkRead) => Promise<ChunkAnswer>>> =
  {
    async mysql(connection, { sql, decoders, maxBytes, passed, waitSeconds, readEnd }) {
      const answers = await connection.queryAll(
        [
          `SELECT WAIT_FOR_EXECUTED_GTID_SET(${bytesLiteral(passed.token)}, ${waitSeconds})`,
          'SELECT @@global.gtid_executed',
          sql,
          logEndSql(connection),
        ].join('; '),
        { decoders: [null, null, decoders], maxBytes },
      )
      const [waited, executed, chunk, end] = answers as [QueryResult, QueryResult, QueryResult, QueryResult?]
      if (waited.rows[0]?.[0] !== '0') {
        throw new SyncError(
          'SYNC-2104',
          `The source did not make visible within ${waitSeconds} s what its log has shown`,
        )
      }
      const low = GtidSet.parse(executed.rows[0]?.[0] as string)
      // Cut short, the statement that asks for the log's end did not run; asked for later it is later, which is as right.
      const high = end === undefined ? await readEnd() : logEndOf(end)
      return { chunk, isInLow: (id) => low.has(id), high }
    },
    /** One snapshot: what it shows is exactly what the log holds up to one place, which is low and high at once. */
    async mariadb(connection, { sql, decoders, maxBytes, waitSeconds }) {
      const high = await openMariadbSnapshot(connection, waitSeconds)
      const [chunk] = await connection.queryAll(`${sql}; COMMIT`, { decoders: [decoders], maxBytes })
      // Saying "not in low" of all that was seen while the chunk was read is safe: the log brings those rows, and they are few.
      return { chunk: chunk as QueryResult, isInLow: () => false, high }
    },
  }
