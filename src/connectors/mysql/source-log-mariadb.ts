/**
 * MariaDB's log as a source knows it: positions are the last GTID of each domain.
 *
 * A commit is written to the log before it becomes visible, and `gtid_binlog_pos` moves with the former. What tells of the latter is a consistent
 * snapshot: its `binlog_snapshot_*` status is the place in the log up to which, and no further, everything is visible in it (the server moves both under one
 * lock). So "all up to here is visible" is: the log's end is taken, and snapshots after that until one has reached it.
 * Source: MariaDB's sql/log.cc (last_commit_pos_offset); tried on 10.11.18 under writes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { SyncError } from '../../core/errors.ts'
import { compareCoordinates, type LogCoordinate } from '../../core/position.ts'
import type { Connection } from './connection.ts'
import { logEndOf } from './log-end.ts'
import { MariadbPosition, parseMariadbToken } from './mariadb-position.ts'
import { createMariadbTracker } from './mariadb-tracker.ts'
import type { SourceLog } from './source-log.ts'
import { catchUpSeconds } from './source-log-mysql.ts'
import { plainLiteral } from './sql-text.ts'
import type { QueryResult } from './text-protocol.ts'

/** Under READ COMMITTED, which the session has, the server would ignore the snapshot. Ends a snapshot that is open. */
const openSnapshot =
  "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT; SHOW STATUS LIKE 'binlog_snapshot_%'"
const statusIndex = 2

/** A group of commits takes about one write to the disk. */
const retryMs = 2

/**
 * Opens a snapshot that shows everything that the log holds at the time of the call. The transaction is left open.
 * @returns the place in the log up to which the snapshot shows everything, and no further
 * @throws SYNC-2104 when commits in the log do not become visible within `waitSeconds`
 */
export async function openMariadbSnapshot(
  connection: Connection,
  waitSeconds: number,
): Promise<LogCoordinate> {
  const answers = await connection.queryAll(`SHOW MASTER STATUS; ${openSnapshot}`)
  const end = logEndOf(answers[0] as QueryResult)
  const deadline = performance.now() + waitSeconds * 1000
  for (let status = answers[1 + statusIndex]; ; ) {
    const snapshot = snapshotPlace(status)
    if (compareCoordinates(snapshot, end) >= 0) return snapshot
    if (performance.now() > deadline) {
      throw new SyncError(
        'SYNC-2104',
        `The source did not make visible within ${waitSeconds} s what its log has shown`,
      )
    }
    await sleep(retryMs)
    status = (await connection.queryAll(`COMMIT; ${openSnapshot}`))[1 + statusIndex]
  }
}

function snapshotPlace(status: QueryResult | undefined): LogCoordinate {
  const values = new Map((status?.rows ?? []).map(([name, value]) => [String(name).toLowerCase(), value]))
  return logEndOf({
    rows: [[values.get('binlog_snapshot_file') ?? null, values.get('binlog_snapshot_position') ?? null]],
  })
}

async function waitVisible(connection: Connection, waitSeconds: number): Promise<void> {
  await openMariadbSnapshot(connection, waitSeconds)
  await connection.query('COMMIT')
}

export const mariadbLog: SourceLog = {
  serverIdentity: "CONCAT(@@global.server_uid, '/', @@global.server_id)",
  tracker: createMariadbTracker,
  async head(connection) {
    const token = await readLogPosition(connection)
    await waitVisible(connection, catchUpSeconds)
    return { token, ordinal: 0 }
  },
  async assertRetained(connection, from) {
    const { passed, again } = parseMariadbToken(from.token)
    const deadline = performance.now() + catchUpSeconds * 1000
    for (;;) {
      const executed = MariadbPosition.parse(await readLogPosition(connection))
      if (executed.includes(passed)) break
      if (performance.now() > deadline) {
        const unknown = passed.without(executed)
        throw new SyncError(
          'SYNC-2210',
          `The source has never executed ${unknown}, which the pipeline has already applied`,
          { details: { unknown } },
        )
      }
      await sleep(100)
    }
    const purged = await readPurged(connection)
    if (!again.includes(purged)) {
      const missing = purged.without(again)
      throw new SyncError('SYNC-2204', `The source has purged ${missing}, which is not applied yet`, {
        details: { purged: missing },
      })
    }
    await waitVisible(connection, catchUpSeconds)
  },
}

/** The last GTID of each domain in the log. */
async function readLogPosition(connection: Connection): Promise<string> {
  const { rows } = await connection.query('SELECT @@global.gtid_binlog_pos')
  return String(rows[0]?.[0] ?? '').replaceAll('\n', '')
}

/** What stood before the oldest file that is left: every file begins with a list of it. */
async function readPurged(connection: Connection): Promise<MariadbPosition> {
  const files = await connection.query('SHOW BINARY LOGS')
  const oldest = String(files.rows[0]?.[0] ?? '')
  // The list is the second event, or the third of an encrypted file.
  const { columns, rows } = await connection.query(`SHOW BINLOG EVENTS IN ${plainLiteral(oldest)} LIMIT 3`)
  const type = columns.indexOf('Event_type')
  const info = columns.indexOf('Info')
  const list = rows.find((row) => row[type] === 'Gtid_list')?.[info]
  if (typeof list !== 'string') {
    throw new SyncError('SYNC-2201', `The log file ${oldest} has no list of the GTIDs before it`, {
      remedy: 'Run FLUSH BINARY LOGS at the source, purge the files before, and load again.',
    })
  }
  return MariadbPosition.parse((list.match(/\d+-\d+-\d+/g) ?? []).join(','))
}
