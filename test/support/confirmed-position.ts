/**
 * What a pipeline has confirmed at a target, read from its mark rows as a takeover reads them: the header of a large batch stands before its
 * lanes have written, so a position counts only when every lane has said that it is done (DATA-PATH 5).
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { createMariadbTracker } from '../../src/connectors/mysql/mariadb-tracker.ts'

export interface ConfirmedPosition {
  readonly token: string
  /** Above 0: in the middle of a transaction. */
  readonly ordinal: number
}

/** null: nothing has been written yet, or a batch is under way. */
export async function confirmedPosition(
  target: Connection,
  pipeline: string,
): Promise<ConfirmedPosition | null> {
  const [[mark]] = await target.query<RowDataPacket[]>(
    `SELECT JSON_UNQUOTE(JSON_EXTRACT(to_position, '$.token')) AS token, JSON_EXTRACT(to_position, '$.ordinal') AS ordinal FROM syncline.apply_mark AS header
     WHERE pipeline = ? AND slot = 0 AND NOT EXISTS (
       SELECT 1 FROM syncline.apply_mark AS lane
       WHERE lane.pipeline = header.pipeline AND lane.slot BETWEEN 1 AND header.lanes
         AND (lane.batch <> header.batch OR lane.part <> header.phases)
     )`,
    [pipeline],
  )
  if (mark === undefined || mark['token'] === null) return null
  return { token: String(mark['token']), ordinal: Number(mark['ordinal']) }
}

/** Is everything in `goal` (as executedSet gives it) confirmed at the target? */
export async function isConfirmed(
  source: Connection,
  target: Connection,
  pipeline: string,
  goal: string,
): Promise<boolean> {
  const position = await confirmedPosition(target, pipeline)
  if (position === null || position.ordinal > 0) return false
  if (await isMariadb(source)) return createMariadbTracker(position).covers({ token: goal, ordinal: 0 })
  const [[answer]] = await source.query<RowDataPacket[]>('SELECT GTID_SUBSET(?, ?) AS done', [
    goal,
    position.token,
  ])
  return Number(answer?.['done']) === 1
}

/** Everything that the source has committed by now. */
export async function executedSet(source: Connection): Promise<string> {
  const variable = (await isMariadb(source)) ? 'gtid_binlog_pos' : 'gtid_executed'
  const [[row]] = await source.query<RowDataPacket[]>(`SELECT @@global.${variable} AS executed`)
  return String(row?.['executed']).replaceAll('\n', '')
}

async function isMariadb(connection: Connection): Promise<boolean> {
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version')
  return String(row?.['version']).includes('MariaDB')
}
