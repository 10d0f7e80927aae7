/**
 * What a source knows of its own log, by product: who it is, where it stands, and whether everything after a position is still there.
 */
import type { Position } from '../../core/position.ts'
import type { PositionTracker } from '../contract.ts'
import type { Connection } from './connection.ts'
import { productOf } from './flavour.ts'
import { mariadbLog } from './source-log-mariadb.ts'
import { mysqlLog } from './source-log-mysql.ts'

export interface SourceLog {
  /** SQL for what no two servers have in common. */
  readonly serverIdentity: string
  tracker(from: Position): PositionTracker
  /** Everything committed at or before it is visible to a read that starts now. */
  head(connection: Connection): Promise<Position>
  /** Also waits until all up to `from` is visible. @throws SYNC-2204 purged, SYNC-2210 never executed */
  assertRetained(connection: Connection, from: Position): Promise<void>
}

export const sourceLogOf = (version: string): SourceLog =>
  productOf(version) === 'mysql' ? mysqlLog : mariadbLog
