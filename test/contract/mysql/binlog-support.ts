/* What the tests of the binlog reader share: a server's log followed from a position, and read up to one. */
import type { Connection } from 'mysql2/promise'
import type { ChangeStream } from '../../../src/connectors/contract.ts'
import type { FollowBinlogDeps } from '../../../src/connectors/mysql/binlog/stream.ts'
import { followBinlog } from '../../../src/connectors/mysql/binlog/stream.ts'
import type { MysqlEndpoint } from '../../../src/connectors/mysql/config.ts'
import { connect as connectSource } from '../../../src/connectors/mysql/connection.ts'
import { productOf } from '../../../src/connectors/mysql/flavour.ts'
import { createMariadbTracker } from '../../../src/connectors/mysql/mariadb-tracker.ts'
import { createPositionTracker } from '../../../src/connectors/mysql/position-tracker.ts'
import { SyncError } from '../../../src/core/errors.ts'
import type { Position } from '../../../src/core/position.ts'
import type { LogEvent, RowChange, SchemaChange, TransactionSlice } from '../../../src/core/transaction.ts'
import type { Reachable } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

let nextServerId = 20_000 + (process.pid % 10_000) * 100

export const follow = (
  server: Reachable,
  from: Position,
  more: Partial<FollowBinlogDeps> = {},
  endpoint: Partial<MysqlEndpoint> = {},
): ChangeStream =>
  followBinlog({
    connect: () => connectSource(endpointOf(server, endpoint), 'binlog'),
    serverId: nextServerId++,
    from,
    ...more,
  })

/** Everything that the server has executed until now. */
export async function headOf(connection: Connection): Promise<Position> {
  const [versions] = await connection.query('SELECT VERSION() AS version')
  const isMysql = productOf(String((versions as { version: string }[])[0]?.version)) === 'mysql'
  const [rows] = await connection.query(
    `SELECT @@global.${isMysql ? 'gtid_executed' : 'gtid_binlog_pos'} AS gtids`,
  )
  return { token: String((rows as { gtids: string }[])[0]?.gtids).replaceAll('\n', ''), ordinal: 0 }
}

/** Reads until everything in `to` has come, then closes. */
export async function readUntil(stream: ChangeStream, from: Position, to: Position): Promise<LogEvent[]> {
  // The tokens of the products cannot be taken for each other: only MySQL's have UUIDs.
  const tracker = to.token.includes(':') ? createPositionTracker(from) : createMariadbTracker(from)
  const events: LogEvent[] = []
  if (!tracker.covers(to)) {
    for await (const batch of stream) {
      for (const event of batch) {
        events.push(event)
        if (event.kind !== 'progress') tracker.advance(event)
      }
      if (tracker.covers(to)) break
    }
  }
  await stream.close()
  return events
}

/** What the server logs while `work` runs, as events. */
export async function logOf(
  server: Reachable,
  connection: Connection,
  work: () => Promise<unknown>,
  more: Partial<FollowBinlogDeps> = {},
): Promise<LogEvent[]> {
  const from = await headOf(connection)
  await work()
  return readUntil(follow(server, from, more), from, await headOf(connection))
}

export const slicesOf = (events: readonly LogEvent[], schema?: string): TransactionSlice[] =>
  events
    .filter((event): event is TransactionSlice => event.kind === 'slice')
    .filter((slice) => {
      return schema === undefined || slice.changes.some((change) => change.table.id.schema === schema)
    })

export const changesOf = (events: readonly LogEvent[], schema: string, table?: string): RowChange[] =>
  slicesOf(events).flatMap((slice) =>
    slice.changes.filter(
      ({ table: { id } }) => id.schema === schema && (table === undefined || id.name === table),
    ),
  )

export const schemaChangesOf = (events: readonly LogEvent[], schema: string): SchemaChange[] =>
  events.filter((event): event is SchemaChange => event.kind === 'schema-change' && event.schema === schema)

/** The error with which a stream ends, however many events come before it. */
export async function errorOf(stream: ChangeStream, deadlineMs = 30_000): Promise<SyncError> {
  const timer = setTimeout(() => void stream.close(), deadlineMs)
  try {
    for await (const _ of stream) {
      // What comes before the error is another test's concern.
    }
  } catch (error) {
    if (error instanceof SyncError) return error
    throw error
  } finally {
    clearTimeout(timer)
    await stream.close()
  }
  throw new Error('The stream ended without an error.')
}
