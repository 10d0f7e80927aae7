/**
 * A MySQL server as a source: catalogue, positions, the log and chunks.
 *
 * Positions are GTID sets. Opening connects once; the log and the chunks use connections of their own. Every error is a SyncError.
 */
import { randomInt } from 'node:crypto'
import { SyncError } from '../../core/errors.ts'
import type { Source } from '../contract.ts'
import { followBinlog } from './binlog/stream.ts'
import { readNameCase, readSchemas, readTables } from './catalogue.ts'
import type { MysqlEndpoint } from './config.ts'
import { connect } from './connection.ts'
import { createPositionTracker } from './position-tracker.ts'
import { createSnapshotReader } from './snapshot.ts'
import { bytesLiteral } from './sql-text.ts'

export interface MysqlSourceOptions {
  /** The id under which the log's reader presents itself; no other server or reader may have it. Default: a random one. */
  readonly serverId?: number
}

/** Two readers meet in one id of these once in two thousand million times, and then the server drops the older (SYNC-2105, retried). */
const randomServerId = (): number => randomInt(2 ** 31, 2 ** 32 - 1)

/** How long a restarted source may take until its executed set holds what its log had already shown. */
const catchUpSeconds = 5

/** @throws SyncError 21xx when the source cannot be reached or refuses the login */
export async function openMysqlSource(
  config: MysqlEndpoint,
  options: MysqlSourceOptions = {},
): Promise<Source> {
  const connection = await connect(config, 'read')
  const snapshot = createSnapshotReader(() => connect(config, 'read'))
  let nameCase: 0 | 1 | 2
  try {
    nameCase = await readNameCase(connection)
  } catch (error) {
    await connection.close()
    throw error
  }
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
    follow: (from, { acknowledged }) =>
      followBinlog({
        connect: () => connect(config, 'binlog'),
        serverId: options.serverId ?? randomServerId(),
        from,
        acknowledged,
      }),
    tracker: createPositionTracker,
    snapshot,
    async close() {
      await snapshot.close()
      await connection.close()
    },
  }
}
