/**
 * MySQL's log as a source knows it: positions are sets of GTIDs, and the server does the sums with them.
 */
import { SyncError } from '../../core/errors.ts'
import { createPositionTracker } from './position-tracker.ts'
import type { SourceLog } from './source-log.ts'
import { bytesLiteral } from './sql-text.ts'

/**
 * How long a source may take until its executed set holds what its log has shown: a restarted one, or one that waits for a replica's word
 * before it commits (semi-synchronous, AFTER_SYNC; rpl_semi_sync_source_timeout is 10 s by default).
 */
export const catchUpSeconds = 15

export const mysqlLog: SourceLog = {
  serverIdentity: '@@global.server_uuid',
  tracker: createPositionTracker,
  async head(connection) {
    const { rows } = await connection.query('SELECT @@global.gtid_executed')
    return { token: String(rows[0]?.[0]).replaceAll('\n', ''), ordinal: 0 }
  },
  async assertRetained(connection, from) {
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
      throw new SyncError('SYNC-2204', `The source has purged ${String(purged)}, which is not applied yet`, {
        details: { purged },
      })
    }
  },
}
