/**
 * One write transaction that comes in parts, each of them bounded, so that a source transaction of any size is one commit here with memory for
 * one part (DATA-PATH 8).
 *
 * Begins with the mark row like every transaction, which fences it: the row stays locked, so nobody takes over before it has ended. The rows of
 * earlier parts are gone from memory, so nothing is tried again here: after an error the transaction is rolled back, and the
 * caller reads all of it again. Nothing but ROLLBACK is sent behind an error: it may have ended the transaction, and what came after would
 * commit by itself. A crash leaves an open transaction, which the server rolls back: when the connection breaks, or by wait_timeout when
 * its owner froze.
 */
import { SyncError } from '../../../core/errors.ts'
import { tableName } from '../../../core/schema.ts'
import type { SinkCounters } from '../../contract.ts'
import type { Connection } from '../connection.ts'
import type { Ownership } from './mark-table.ts'
import type { WriteStatement } from './statements.ts'
import {
  assertOwned,
  type FailedPacket,
  isAtMark,
  packetsOf,
  rollBack,
  sendPackets,
} from './write-transaction.ts'

/** Doing all of it again costs more than waiting; the usual time is for transactions that are repeated from memory. */
const lockWaitSeconds = 60

export interface PartsConnection {
  readonly connection: Connection
  readonly ownership: Ownership
  readonly slot: number
  readonly maxPacketBytes: number
  readonly counters: SinkCounters
}

export interface OpenTransaction {
  /** @throws as runTransaction does, except that 3104 is thrown at once; the transaction is gone then */
  write(statements: Iterable<WriteStatement>): Promise<void>
  /** @param tail statements behind all rows */
  commit(tail: readonly string[]): Promise<void>
}

/**
 * @param head see beginWithMark
 * @throws as `write` does
 */
export async function openTransaction(deps: PartsConnection, head: string): Promise<OpenTransaction> {
  const { connection, maxPacketBytes } = deps
  const send = async (
    begin: string,
    statements: Iterable<WriteStatement>,
    tail: readonly string[],
  ): Promise<void> => {
    const failed = await sendPackets(
      connection,
      packetsOf(begin, statements, tail, maxPacketBytes),
      deps.counters,
    )
    if (failed === null) return
    await rollBack(connection, failed.failure)
    await assertOwned(connection, deps.ownership, deps.slot, isAtMark(failed))
    throw named(failed)
  }
  await connection.query(
    'SET @syncline_wait = @@SESSION.innodb_lock_wait_timeout, @syncline_wait_table = @@SESSION.lock_wait_timeout, ' +
      `SESSION innodb_lock_wait_timeout = ${lockWaitSeconds}, SESSION lock_wait_timeout = ${lockWaitSeconds}`,
  )
  await send(head, [], [])
  return {
    write: (statements) => send('', statements, []),
    async commit(tail) {
      await send('', [], [...tail, 'COMMIT'])
      await connection.query(
        'SET SESSION innodb_lock_wait_timeout = @syncline_wait, SESSION lock_wait_timeout = @syncline_wait_table',
      )
    },
  }
}

/** With the table whose statement was refused. Which row it was cannot be searched for: the parts before are gone. */
function named({ failure, packet }: FailedPacket): SyncError {
  const index = failure.details['statement']
  // Every packet of a part but its first begins with the condition that the one before it was run.
  const statement =
    typeof index === 'number' ? packet?.statements[packet.isFirst ? index : index - 1] : undefined
  if (statement === undefined) return failure
  const table = tableName(statement.destination.id)
  return new SyncError(failure.code, `${failure.message} (table ${table})`, {
    remedy: failure.remedy,
    details: { ...failure.details, table },
    cause: failure.cause,
  })
}
