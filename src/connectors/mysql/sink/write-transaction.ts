/**
 * One write transaction at the target: mark row first, statements, commit, in as few round trips as its size allows.
 *
 * A small one is a single packet: the server stops at the first statement that fails, so COMMIT is reached only if the mark row was found
 * (mark-table.ts). After an error nothing but ROLLBACK is sent, and where that fails the connection is cut: no transaction stays open.
 * Deadlocks and lock waits are tried again from the start: exact, because the mark row rolled back with the rest. A lost connection throws
 * SYNC-3101: whether the commit took place, only the mark row can tell, after a takeover.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { SyncError } from '../../../core/errors.ts'
import type { Destination } from '../../../core/plan.ts'
import type { Row } from '../../../core/value.ts'
import type { Connection } from '../connection.ts'
import { classify } from '../errors.ts'
import { textLiteral } from '../sql-text.ts'
import { markTable, type Ownership } from './mark-table.ts'
import { explainRefusal } from './offending-row.ts'
import type { WriteStatement } from './statements.ts'

/** A packet is sent when it has grown to this; a round trip per 4 MiB keeps a long link busy enough beside the other lanes. */
const packetBytes = 4 * 1024 * 1024

const maxAttempts = 12
/** Lock waits take seconds each: whoever holds that lock is told of sooner than by twelve of them. */
const maxBusyMs = 20_000

export interface WriteTransaction {
  readonly ownership: Ownership
  readonly slot: number
  /** See beginWithMark. */
  readonly head: string
  /** Gives the same statements every time. */
  readonly statements: () => Iterable<WriteStatement>
  readonly single: (destination: Destination, row: Row) => readonly string[]
  /** Statements after the rows. */
  readonly tail: readonly string[]
  readonly maxPacketBytes: number
}

/**
 * Resolves when the commit is confirmed.
 * @throws SyncError: 3101 lost (committed or not), 4002 fenced, 3104 busy for long, 9001 when the mark row says that this was written before,
 * 3301, 3302 and others by what the server refuses
 */
export async function runTransaction(connection: Connection, transaction: WriteTransaction): Promise<void> {
  const startedAtMs = performance.now()
  for (let attempt = 1; ; attempt++) {
    const failed = await attemptOnce(connection, transaction)
    if (failed === null) return
    const { failure, atMark } = failed
    await rollBack(connection, failure)
    const busyMs = performance.now() - startedAtMs
    if (failure.code === 'SYNC-3104' && attempt < maxAttempts && busyMs < maxBusyMs) {
      await sleep(attempt * (2 + Math.random() * 8))
      continue
    }
    await assertOwned(connection, transaction.ownership, transaction.slot, atMark)
    throw await explainRefusal(connection, transaction, failure)
  }
}

interface FailedAttempt {
  readonly failure: SyncError
  /** Did it fail because the mark row was not found? */
  readonly atMark: boolean
}

/** Index of the statement in `head` that fails when the mark row was not found, and its error. */
const markCheck = { statement: 2, errno: 1690 } as const

async function attemptOnce(
  connection: Connection,
  { head, statements, tail, maxPacketBytes }: WriteTransaction,
): Promise<FailedAttempt | null> {
  const largest = Math.min(packetBytes, maxPacketBytes >>> 1)
  let packet = head
  let packetsSent = 0
  const send = async (next: string): Promise<void> => {
    const whole = packet
    packet = next
    await connection.queryAll(whole)
    packetsSent++
  }
  try {
    for (const { sql } of statements()) {
      if (packet.length + sql.length > largest) await send(sql)
      else packet += `; ${sql}`
    }
    for (const sql of tail) packet += `; ${sql}`
    if (packet.length > largest) await send('COMMIT')
    else packet += '; COMMIT'
    await connection.queryAll(packet)
    return null
  } catch (error) {
    const failure = classify(error, 'target')
    const { statement, errno } = failure.details
    const atMark = packetsSent === 0 && statement === markCheck.statement && errno === markCheck.errno
    return { failure, atMark }
  }
}

/** Leaves no transaction open, or no connection. @throws SYNC-3101 */
async function rollBack(connection: Connection, failure: SyncError): Promise<void> {
  if (failure.code === 'SYNC-3101' || connection.isLost) {
    connection.destroy()
    throw failure.code === 'SYNC-3101'
      ? failure
      : new SyncError('SYNC-3101', failure.message, { cause: failure })
  }
  try {
    await connection.query('ROLLBACK')
  } catch (error) {
    connection.destroy()
    throw new SyncError('SYNC-3101', `could not roll back: ${classify(error, 'target').message}`, {
      cause: failure,
    })
  }
}

/** Whoever is not the owner any more is told so, whatever else went wrong. */
async function assertOwned(
  connection: Connection,
  { pipeline, epoch, owner }: Ownership,
  slot: number,
  atMark: boolean,
): Promise<void> {
  const { rows } = await connection.query(
    `SELECT CAST(epoch AS CHAR), owner, CAST(batch AS CHAR), CAST(part AS CHAR) FROM ${markTable} ` +
      `WHERE pipeline = ${textLiteral(pipeline)} AND slot = ${slot}`,
  )
  const row = rows[0]
  if (row === undefined) {
    throw new SyncError('SYNC-9001', `the mark row of pipeline ${pipeline}, slot ${slot}, was removed`)
  }
  if (row[0] !== `${epoch}` || row[1] !== owner) {
    throw new SyncError(
      'SYNC-4002',
      `pipeline ${pipeline}: epoch ${String(row[0])} has taken over from ${epoch}`,
    )
  }
  if (atMark) {
    throw new SyncError(
      'SYNC-9001',
      `pipeline ${pipeline}, slot ${slot}: batch ${String(row[2])}, part ${String(row[3])} is written already, nothing may be written twice`,
    )
  }
}
