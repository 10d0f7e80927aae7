/**
 * Where a source's log ends: the statement has had three names.
 */
import { SyncError } from '../../core/errors.ts'
import type { LogCoordinate } from '../../core/position.ts'
import type { Value } from '../../core/value.ts'
import type { Connection } from './connection.ts'
import { isAtLeast, productOf } from './flavour.ts'

/** SHOW MASTER STATUS until MySQL 8.2, where it was renamed; removed in 8.4. MariaDB keeps the old name. */
export const logEndSql = ({ version }: Pick<Connection, 'version'>): string =>
  productOf(version) === 'mysql' && isAtLeast(version, '8.2.0')
    ? 'SHOW BINARY LOG STATUS'
    : 'SHOW MASTER STATUS'

/** Where the source's log ends now. @throws SYNC-2201 when it keeps none, SYNC-2103 without REPLICATION CLIENT */
export const readLogEnd = async (connection: Connection): Promise<LogCoordinate> =>
  logEndOf(await connection.query(logEndSql(connection)))

/** From an answer whose first row begins with file and offset. */
export function logEndOf(answer: { readonly rows: readonly (readonly Value[])[] }): LogCoordinate {
  const [file, offset] = answer.rows[0] ?? []
  const sequence = /\.(\d+)$/.exec(String(file ?? ''))?.[1]
  if (sequence === undefined || offset === undefined || offset === null) {
    throw new SyncError('SYNC-2201', 'The source keeps no binary log', {
      remedy: 'Start the source with --log-bin, then resume.',
    })
  }
  return { file: Number(sequence), offset: Number(offset) }
}
