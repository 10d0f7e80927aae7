/**
 * Opens the snapshots of a verification (contract.ts, `VerifiableSource` and `VerifiableTarget`).
 *
 * At the source the order of steps is the proof (DATA-PATH 2): all that was passed is visible; `low` is what has been executed; the snapshots are
 * opened; `high` is the end of the log. A commit is in the log before it is visible, and visible before it counts as executed: so all of
 * `low` shows in every snapshot, and nothing shows that is behind `high`. Of MariaDB a snapshot tells its own place in the log: each is opened until it
 * has passed `low`, and the furthest is `high`. Connections are opened before, so that what lies between is two round trips. Nothing is locked, nothing survives a crash.
 */
import { SyncError } from '../../../core/errors.ts'
import { compareCoordinates, type Position } from '../../../core/position.ts'
import type {
  ComparedRow,
  RowsNow,
  Snapshots,
  SourceSnapshots,
  VerifiableSource,
  VerifiableTarget,
} from '../../contract.ts'
import type { Connection } from '../connection.ts'
import type { ConnectionPool } from '../connection-pool.ts'
import type { Side } from '../errors.ts'
import { type Product, productOf } from '../flavour.ts'
import { readLogEnd } from '../log-end.ts'
import { readStanding } from '../sink/standing.ts'
import { mariadbLog, openMariadbSnapshot } from '../source-log-mariadb.ts'
import { mysqlLog } from '../source-log-mysql.ts'
import { bytesLiteral } from '../sql-text.ts'
import { createReader } from './reader.ts'

const visibilityWaitSeconds = 30

/** Under READ COMMITTED, which the session has, the server would ignore the snapshot. */
const openSnapshot =
  'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY'

/** @param open a connection of role `read` */
export function createVerifiableSource(
  open: () => Promise<Connection>,
  pool: ConnectionPool,
): VerifiableSource {
  return {
    async openSnapshots(count, passed) {
      const connections = await openAll(open, count)
      try {
        const first = connections[0] as Connection
        const place = await placed[productOf(first.version)](connections, passed)
        return { ...snapshotsOf(connections, 'source'), ...place }
      } catch (error) {
        for (const connection of connections) connection.destroy()
        throw error
      }
    },
    rowsNow: (end, keys): Promise<RowsNow> =>
      pool.use(async (connection) => {
        const rows = await createReader(connection, 'source', false).rowsByKey(end, keys)
        return { rows, high: await readLogEnd(connection) }
      }),
  }
}

/**
 * @param open a connection of role `read` to the target
 * @param pool of such connections
 */
export function createVerifiableTarget(
  open: () => Promise<Connection>,
  pool: ConnectionPool,
): VerifiableTarget {
  return {
    async openSnapshots(count) {
      const connections = await openAll(open, count)
      try {
        await Promise.all(connections.map((connection) => connection.queryAll(openSnapshot)))
        return snapshotsOf(connections, 'target')
      } catch (error) {
        for (const connection of connections) connection.destroy()
        throw error
      }
    },
    rowsNow: (end, keys): Promise<readonly ComparedRow[]> =>
      pool.use((connection) => createReader(connection, 'target', false).rowsByKey(end, keys)),
    standing: (pipeline) => pool.use((connection) => readStanding(connection, pipeline)),
  }
}

async function openAll(open: () => Promise<Connection>, count: number): Promise<Connection[]> {
  const opened = await Promise.allSettled(Array.from({ length: count }, open))
  const connections = opened.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const failed = opened.find((outcome) => outcome.status === 'rejected')
  if (failed === undefined) return connections
  for (const connection of connections) connection.destroy()
  throw failed.reason
}

const snapshotsOf = (connections: readonly Connection[], side: Side): Snapshots => ({
  readers: connections.map((connection) => createReader(connection, side, true)),
  async close() {
    // A statement that still runs belongs to a comparison that was given up.
    for (const connection of connections) connection.destroy()
  },
})

type Place = Pick<SourceSnapshots, 'low' | 'high'>

/** Opens the snapshots and tells between which places of the log they are. */
const placed: Readonly<
  Record<Product, (connections: readonly Connection[], passed: Position) => Promise<Place>>
> = {
  async mysql(connections, passed) {
    const first = connections[0] as Connection
    const { rows } = await first.query(
      `SELECT WAIT_FOR_EXECUTED_GTID_SET(${bytesLiteral(passed.token)}, ${visibilityWaitSeconds})`,
    )
    if (rows[0]?.[0] !== '0') {
      throw new SyncError(
        'SYNC-2104',
        `The source did not make visible within ${visibilityWaitSeconds} s what its log has shown`,
      )
    }
    const low = await mysqlLog.head(first)
    await Promise.all(connections.map((connection) => connection.queryAll(openSnapshot)))
    return { low, high: await readLogEnd(first) }
  },
  async mariadb(connections) {
    // Read first: every snapshot shows what the log held when it was asked for.
    const low = await mariadbLog.head(connections[0] as Connection)
    const places = await Promise.all(
      connections.map((connection) => openMariadbSnapshot(connection, visibilityWaitSeconds)),
    )
    return { low, high: places.reduce((a, b) => (compareCoordinates(a, b) >= 0 ? a : b)) }
  },
}
