/**
 * One write transaction at the target: mark row first, statements, commit, in as few round trips as its size allows.
 *
 * A small one is a single packet: the server stops at the first statement that fails, so COMMIT is reached only if the mark row was found
 * (mark-table.ts). A larger one is several packets that do not wait for each other's answers: each ends by setting a variable that the next
 * one asks for first, so that after a failure (a deadlock has rolled everything back by then) nothing of what was sent ahead is run.
 * Rows that were not there before may go as lines of LOAD DATA LOCAL, which never fails for a row: nothing is sent behind them until the server has counted
 * every one as inserted. Otherwise the transaction is rolled back and written again by statements alone, which overwrite, or say what is wrong.
 * After an error nothing but ROLLBACK is sent, and where that fails the connection is cut: no transaction stays open.
 * Deadlocks and lock waits are tried again from the start: exact, because the mark row rolled back with the rest. A lost connection throws
 * SYNC-3101: whether the commit took place, only the mark row can tell, after a takeover.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { SyncError } from '../../../core/errors.ts'
import type { Destination } from '../../../core/plan.ts'
import { tableName } from '../../../core/schema.ts'
import type { Row } from '../../../core/value.ts'
import type { SinkCounters } from '../../contract.ts'
import type { Connection } from '../connection.ts'
import { classify } from '../errors.ts'
import { textLiteral } from '../sql-text.ts'
import { isWhole, lineFileName } from './load-statement.ts'
import { markTable, type Ownership } from './mark-table.ts'
import { explainRefusal } from './offending-row.ts'
import type { WriteStatement } from './statements.ts'

/** A packet is sent when it has grown to this. */
const packetBytes = 1024 * 1024
/** Packets sent and not answered: 4 MiB for each lane and round trip keep a long link busy. */
const maxPacketsAhead = 4

const maxAttempts = 12
/** Lock waits take seconds each: whoever holds that lock is told of sooner than by twelve of them. */
const maxBusyMs = 20_000

export interface WriteTransaction {
  readonly ownership: Ownership
  readonly slot: number
  /** See beginWithMark. */
  readonly head: string
  /** Gives the same statements every time, with or without lines of LOAD DATA among them. */
  readonly statements: (withLines: boolean) => Iterable<WriteStatement>
  /** Told when the server would not take a destination's lines as they are; the rows are written by statements then. Absent: without lines. */
  readonly linesRefused?: (destination: Destination) => void
  readonly single: (destination: Destination, row: Row) => readonly string[]
  /** Statements after the rows. */
  readonly tail: readonly string[]
  readonly maxPacketBytes: number
  readonly counters: SinkCounters
  /** Awaited before COMMIT; rejects when the transaction must not be committed. Default: nothing to wait for. */
  readonly mayCommit?: Promise<void>
  /** See SinkOptions. */
  readonly refusedRows: number
}

/**
 * Resolves when the commit is confirmed.
 * @throws SyncError: 3101 lost (committed or not), 4002 fenced, 3104 busy for long, 9001 when the mark row says that this was written before,
 * 3301, 3302 and others by what the server refuses
 */
export async function runTransaction(connection: Connection, transaction: WriteTransaction): Promise<void> {
  const startedAtMs = performance.now()
  // It may reject while nothing waits for it yet.
  transaction.mayCommit?.catch(() => {})
  let withLines = transaction.linesRefused !== undefined
  for (let attempt = 1; ; attempt++) {
    const failed = await attemptOnce(connection, transaction, withLines)
    if (failed === null) return
    const { failure } = failed
    await rollBack(connection, failure)
    const file = fileOf(failed.packet)
    if (file !== undefined && failure.code !== 'SYNC-3104' && !isAtMark(failed)) {
      // Statements say what is wrong, if anything is.
      transaction.linesRefused?.(file.destination)
      withLines = false
      continue
    }
    if (mayTryAgain(failure, attempt, startedAtMs)) {
      await sleep(attempt * (2 + Math.random() * 8))
      continue
    }
    await assertOwned(connection, transaction.ownership, transaction.slot, isAtMark(failed))
    throw await explainRefusal(
      connection,
      { ...transaction, statements: () => transaction.statements(false) },
      failure,
    )
  }
}

/** Deadlocks and lock waits, for a while. */
export const mayTryAgain = (failure: SyncError, attempt: number, startedAtMs: number): boolean =>
  failure.code === 'SYNC-3104' && attempt < maxAttempts && performance.now() - startedAtMs < maxBusyMs

/** Index of the statement in `head` that fails when the mark row was not found, and its error. */
const markCheck = { statement: 2, errno: 1690 } as const

export const statementsOfHead = markCheck.statement + 1

const attemptOnce = (
  connection: Connection,
  { head, statements, tail, maxPacketBytes, counters, mayCommit }: WriteTransaction,
  withLines: boolean,
): Promise<FailedPacket | null> =>
  mayCommit === undefined
    ? sendPackets(
        connection,
        packetsOf(head, statements(withLines), [...tail, 'COMMIT'], maxPacketBytes),
        counters,
      )
    : sendPackets(connection, packetsOf(head, statements(withLines), tail, maxPacketBytes), counters, {
        after: mayCommit,
        sql: 'COMMIT',
      })

/** Did it fail because the mark row was not found? */
export function isAtMark({ failure, packet }: FailedPacket): boolean {
  const { statement, errno } = failure.details
  return packet?.isFirst === true && statement === markCheck.statement && errno === markCheck.errno
}

export interface Packet {
  readonly sql: string
  readonly isFirst: boolean
  /** It carries the tail, and so what ends the transaction. */
  readonly isLast: boolean
  /** Those that write rows, behind the head if there is one. */
  readonly statements: readonly WriteStatement[]
}

/** The statements in as few packets as their sizes allow, each made when it is asked for. */
export function* packetsOf(
  head: string,
  statements: Iterable<WriteStatement>,
  tail: readonly string[],
  maxPacketBytes: number,
): Generator<Packet> {
  const largest = Math.min(packetBytes, maxPacketBytes >>> 1)
  let sql = head
  let held: WriteStatement[] = []
  let isFirst = true
  function* add(next: string): Generator<Packet> {
    if (sql !== '' && sql.length + next.length > largest) {
      yield { sql, isFirst, isLast: false, statements: held }
      isFirst = false
      sql = next
      held = []
    } else sql += sql === '' ? next : `; ${next}`
  }
  for (const statement of statements) {
    if (statement.file === undefined) {
      yield* add(statement.sql)
      held.push(statement)
      continue
    }
    // Lines are the last of their packet: whether the server took all of them is told by the answer, and nothing may be run before it is read.
    yield {
      sql: sql === '' ? statement.sql : `${sql}; ${statement.sql}`,
      isFirst,
      isLast: false,
      statements: [...held, statement],
    }
    isFirst = false
    sql = ''
    held = []
  }
  if (tail.length > 0) yield* add(tail.join('; '))
  if (sql !== '') yield { sql, isFirst, isLast: tail.length > 0, statements: held }
}

/** The lines that a packet brings, its last statement. */
function fileOf(packet: Packet | null): (WriteStatement & { readonly file: Buffer }) | undefined {
  const last = packet?.statements.at(-1)
  return last?.file === undefined ? undefined : { ...last, file: last.file }
}

export interface FailedPacket {
  readonly failure: SyncError
  /** Null: it failed on our side, before it was sent. */
  readonly packet: Packet | null
}

/**
 * Sends packets ahead of the answers; the server runs none of those behind one that failed.
 * @param last sent behind the packets once its promise has resolved; not at all if that rejects
 * @returns null when all were answered well, otherwise the first failure, with nothing unanswered
 */
export async function sendPackets(
  connection: Connection,
  packets: Iterable<Packet>,
  counters: SinkCounters,
  last?: { readonly after: Promise<void>; readonly sql: string },
): Promise<FailedPacket | null> {
  const token = randomUUID()
  const unanswered: Promise<void>[] = []
  let failed: FailedPacket | null = null
  let sent = 0
  let lastPacketAtMs: number | null = null

  const send = async (packet: Packet, goesOn: boolean): Promise<void> => {
    if (unanswered.length >= maxPacketsAhead) await unanswered.shift()
    if (failed !== null) return
    const number = sent++
    const file = fileOf(packet)
    // Whatever failed, the variable was not set: the condition fails, and nothing behind it in its packet is run.
    const condition =
      number === 0 ? '' : `SET @syncline_mark = ~0 + IF(@syncline_packet = '${token}.${number}', 0, 1); `
    const signal = goesOn ? `; SET @syncline_packet = '${token}.${sent}'` : ''
    if (file !== undefined) {
      await sendLines(packet, file, condition + packet.sql + signal, number)
      return
    }
    const answer = connection.queryAll(condition + packet.sql + signal, { ahead: number > 0 })
    counters.bytes += packet.sql.length
    unanswered.push(
      answer.then(
        () => {},
        (error: unknown) => {
          failed ??= { failure: classify(error, 'target'), packet }
        },
      ),
    )
    if (packet.isLast) lastPacketAtMs = performance.now()
  }

  /** Nothing is sent behind lines until the server has taken them: what was sent would be taken for lines too. */
  const sendLines = async (
    packet: Packet,
    { file, rows, destination }: WriteStatement & { readonly file: Buffer },
    sql: string,
    number: number,
  ): Promise<void> => {
    const statement = packet.statements.length - 1 + (number === 0 ? statementsOfHead : 1)
    try {
      const results = await connection.queryAll(sql, {
        ahead: number > 0,
        file: { statement, name: lineFileName, pieces: [file] },
      })
      counters.bytes += file.length
      if (isWhole(results[statement], rows.length)) return
      const failure = new SyncError(
        'SYNC-3302',
        `the target did not take each of ${rows.length} lines for ${tableName(destination.id)} as it is`,
      )
      failed ??= { failure, packet }
    } catch (error) {
      failed ??= { failure: classify(error, 'target'), packet }
    }
  }

  try {
    // One behind, so that the last packet is known when it is sent.
    let held: Packet | null = null
    let sinceMs = performance.now()
    for (const packet of packets) {
      counters.buildMs += performance.now() - sinceMs
      if (held !== null) await send(held, true)
      if (failed !== null) break
      held = packet
      sinceMs = performance.now()
    }
    if (held !== null && failed === null) await send(held, last !== undefined)
    if (last !== undefined && failed === null) {
      await last.after
      await send({ sql: last.sql, isFirst: false, isLast: true, statements: [] }, false)
    }
  } catch (error) {
    await Promise.all(unanswered)
    return failed ?? { failure: classify(error, 'target'), packet: null }
  }
  await Promise.all(unanswered)
  if (lastPacketAtMs !== null) counters.commitMs += performance.now() - lastPacketAtMs
  return failed
}

/** Leaves no transaction open, or no connection. @throws SYNC-3101 */
export async function rollBack(connection: Connection, failure: SyncError): Promise<void> {
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
export async function assertOwned(
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
