/**
 * A MySQL server as a source: catalogue, positions, the log and chunks.
 *
 * Positions are GTID sets. Opening connects once; the log and the chunks use connections of their own. Every error is a SyncError.
 */
import { randomInt } from 'node:crypto'
import { SyncError } from '../../core/errors.ts'
import type { ChangeStream, Source } from '../contract.ts'
import { followBinlog } from './binlog/stream.ts'
import { readNameCase, readSchemas, readTables } from './catalogue.ts'
import type { MysqlEndpoint } from './config.ts'
import { type Connection, connect, type Role } from './connection.ts'
import { createRetentionReader } from './log-retention.ts'
import { createPositionTracker } from './position-tracker.ts'
import { createSnapshotReader } from './snapshot.ts'
import { bytesLiteral } from './sql-text.ts'

export interface MysqlSourceOptions {
  /** The id under which the log's reader presents itself; no other server or reader may have it. Default: a random one. */
  readonly serverId?: number
}

/** Two readers meet in one id of these once in two thousand million times, and then the server drops the older (SYNC-2105, retried). */
const randomServerId = (): number => randomInt(2 ** 31, 2 ** 32 - 1)

/**
 * How long a source may take until its executed set holds what its log has shown: a restarted one, or one that waits for a replica's word
 * before it commits (semi-synchronous, AFTER_SYNC; rpl_semi_sync_source_timeout is 10 s by default).
 */
const catchUpSeconds = 15

const serverOf = async (connection: Connection): Promise<string> =>
  String((await connection.query('SELECT @@global.server_uuid')).rows[0]?.[0])

/** @throws SyncError 21xx when the source cannot be reached or refuses the login */
export async function openMysqlSource(
  config: MysqlEndpoint,
  options: MysqlSourceOptions = {},
): Promise<Source> {
  const connection = await connect(config, 'read')
  let nameCase: 0 | 1 | 2
  let server: string
  try {
    nameCase = await readNameCase(connection)
    server = await serverOf(connection)
  } catch (error) {
    await connection.close()
    throw error
  }
  /** Behind one address another server may answer by now. Places in its log mean nothing in that of the first. */
  const connectAgain = async (role: Role): Promise<Connection> => {
    const next = await connect(config, role)
    try {
      if ((await serverOf(next)) === server) return next
      throw new SyncError('SYNC-2101', `Another server answers at ${config.host}:${config.port} than before`)
    } catch (error) {
      next.destroy()
      throw error
    }
  }
  const snapshot = createSnapshotReader(() => connectAgain('read'))
  const retention = createRetentionReader(() => connectAgain('binlog'))
  const streams = new Set<ChangeStream>()
  return {
    schemas: () => readSchemas(connection),
    async tables(schemas) {
      return (await readTables(connection, schemas)).map((detail) => detail.shape)
    },
    // 2 keeps names as they were first written, on file systems that ignore case; no server of consequence runs on those.
    nameOf: (id) => (nameCase === 1 ? { schema: id.schema.toLowerCase(), name: id.name.toLowerCase() } : id),
    async head() {
      const { rows } = await connection.query('SELECT @@global.gtid_executed')
      return { token: String(rows[0]?.[0]).replaceAll('\n', ''), ordinal: 0 }
    },
    async assertRetained(from) {
      const set = bytesLiteral(from.token)
      const answers = await connection.queryAll(
        `SELECT WAIT_FOR_EXECUTED_GTID_SET(${set}, ${catchUpSeconds}); SELECT GTID_SUBSET(@@global.gtid_purged, ${set}), GTID_SUBTRACT(@@global.gtid_purged, ${set}), GTID_SUBTRACT(${set}, @@global.gtid_executed)`,
      )
      const waited = answers[0]?.rows[0]?.[0]
      const [isSubset, purged, unknown] = (answers[1]?.rows[0] ?? []) as [string?, string?, string?]
      if (waited !== '0') {
        throw new SyncError(
          'SYNC-2210',
          `The source has never executed ${String(unknown)}, which the pipeline has already applied`,
          { details: { unknown } },
        )
      }
      if (isSubset !== '1') {
        throw new SyncError(
          'SYNC-2204',
          `The source has purged ${String(purged)}, which is not applied yet`,
          {
            details: { purged },
          },
        )
      }
    },
    retention: (position) => retention.read(connection, position),
    follow(from, { acknowledged, counters }) {
      const stream = followBinlog({
        connect: () => connectAgain('binlog'),
        serverId: options.serverId ?? randomServerId(),
        from,
        acknowledged,
        ...(counters === undefined ? {} : { counters }),
      })
      streams.add(stream)
      return stream
    },
    tracker: createPositionTracker,
    snapshot,
    async close() {
      await Promise.all([...streams].map((stream) => stream.close()))
      await snapshot.close()
      await connection.close()
    },
  }
}
