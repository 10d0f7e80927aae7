/**
 * A MySQL or MariaDB server as a source: catalogue, positions, the log and chunks.
 *
 * Positions are GTIDs, as the product has them (source-log.ts). Opening connects once, so that a wrong password shows; what is asked seldom
 * shares a pool, the log and the chunks have connections of their own. Every error is a SyncError.
 */
import { randomInt } from 'node:crypto'
import { SyncError } from '../../core/errors.ts'
import type { ChangeStream, Source } from '../contract.ts'
import { followBinlog } from './binlog/stream.ts'
import { readNameCase, readSchemas, readTables } from './catalogue.ts'
import type { MysqlEndpoint } from './config.ts'
import { type Connection, connect, type Role } from './connection.ts'
import { createConnectionPool } from './connection-pool.ts'
import { readLogEnd } from './log-end.ts'
import { createRetentionReader } from './log-retention.ts'
import { createPressureGauge } from './pressure.ts'
import { createSnapshotReader } from './snapshot.ts'
import { sourceLogOf } from './source-log.ts'
import { readTableDefinition } from './table-definition.ts'
import { createVerifiableSource } from './verify/verifiable.ts'

export interface MysqlSourceOptions {
  /** The id under which the log's reader presents itself; no other server or reader may have it. Default: a random one. */
  readonly serverId?: number
}

/** Two readers meet in one id of these once in two thousand million times, and then the server drops the older (SYNC-2105, retried). */
const randomServerId = (): number => randomInt(2 ** 31, 2 ** 32 - 1)

const serverOf = async (connection: Connection): Promise<string> =>
  String((await connection.query(`SELECT ${sourceLogOf(connection.version).serverIdentity}`)).rows[0]?.[0])

/**
 * Nothing is lost with a connection that only reads, and none of them holds locks: a dead one may as well be noticed by the next question.
 * Below the wait_timeout of the role (connection.ts).
 */
const idlePingMs = 30_000
/** Longer than the time between two questions about the log's retention. */
const idleCloseMs = 90_000

/** @throws SyncError 21xx when the source cannot be reached or refuses the login */
export async function openMysqlSource(
  config: MysqlEndpoint,
  options: MysqlSourceOptions = {},
): Promise<Source> {
  const connection = await connect(config, 'read', { pingMs: idlePingMs })
  const log = sourceLogOf(connection.version)
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
    const next = await connect(config, role, { pingMs: idlePingMs })
    try {
      if ((await serverOf(next)) === server) return next
      throw new SyncError('SYNC-2101', `Another server answers at ${config.host}:${config.port} than before`)
    } catch (error) {
      next.destroy()
      throw error
    }
  }
  const pool = createConnectionPool(() => connectAgain('read'), { first: connection, idleMs: idleCloseMs })
  const snapshot = createSnapshotReader(() => connectAgain('read'))
  const retention = createRetentionReader(() => connectAgain('binlog'))
  const pressure = createPressureGauge(config, 'source')
  const streams = new Set<ChangeStream>()
  return {
    schemas: () => pool.use(readSchemas),
    async tables(schemas, known) {
      return (await pool.use((free) => readTables(free, schemas, known))).map((detail) => detail.shape)
    },
    // 2 keeps names as they were first written, on file systems that ignore case; no server of consequence runs on those.
    nameOf: (id) => (nameCase === 1 ? { schema: id.schema.toLowerCase(), name: id.name.toLowerCase() } : id),
    head: () => pool.use((free) => log.head(free)),
    assertRetained: (from) => pool.use((free) => log.assertRetained(free, from)),
    retention: (position) => pool.use((free) => retention.read(free, position)),
    follow(from, { acknowledged, scope, counters }) {
      const stream = followBinlog({
        connect: () => connectAgain('binlog'),
        serverId: options.serverId ?? randomServerId(),
        from,
        acknowledged,
        ...(counters === undefined ? {} : { counters }),
        ...(scope === undefined ? {} : { scope }),
      })
      streams.add(stream)
      return stream
    },
    tracker: (from) => log.tracker(from),
    snapshot,
    verify: createVerifiableSource(() => connectAgain('read'), pool),
    pressure,
    definitions: {
      read: (table) => pool.use((free) => readTableDefinition(free, table)),
      logEnd: () => pool.use(readLogEnd),
    },
    async close() {
      await Promise.all([...streams].map((stream) => stream.close()))
      await snapshot.close()
      await pressure.close()
      await pool.close()
    },
  }
}
