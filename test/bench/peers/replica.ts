/*
 * MySQL's own replica as a peer: 4 workers (a flag of the server), GTID auto position, order of commits kept (its default).
 */
import type { Connection } from 'mysql2/promise'
import { executedGtids, oneValue } from '../servers.ts'

const timeoutSeconds = 1800

export const startReplica = async (replica: Connection): Promise<void> => {
  await replica.query('START REPLICA')
}

export const stopReplica = async (replica: Connection): Promise<void> => {
  await replica.query('STOP REPLICA')
}

/** Resolves when everything that the source has committed by now is committed at the replica. @throws when its applier stopped */
export async function replicaCaughtUp(source: Connection, replica: Connection): Promise<void> {
  const goal = await executedGtids(source)
  const late = await oneValue(replica, 'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)', [goal, timeoutSeconds])
  if (late === '0') return
  const error = await oneValue(
    replica,
    `SELECT CONCAT_WS(' / ', (SELECT MAX(LAST_ERROR_MESSAGE) FROM performance_schema.replication_connection_status),
     (SELECT MAX(LAST_ERROR_MESSAGE) FROM performance_schema.replication_applier_status_by_worker))`,
  )
  throw new Error(`The replica did not catch up in ${timeoutSeconds} s: ${error}`)
}
