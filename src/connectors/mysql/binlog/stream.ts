/**
 * Follows the binlog of a MySQL or MariaDB source as transactions, from a position on.
 *
 * Guarantees: every transaction after the position, whole and in the order of commits, or an error: nothing is skipped. Read on demand:
 * what the consumer has not asked for stays in the socket, up to `maxBufferedBytes` ahead. Slices are at most about `sliceMaxBytes` and
 * `sliceMaxRows`.
 * Assumes a source with GTIDs and row images and row metadata FULL; a log that is otherwise ends in SYNC-2201, 2205 or 2208.
 * The stream ends with its first error; the caller opens a new one from its own position. Nothing is stored here.
 */
import { SyncError } from '../../../core/errors.ts'
import type { Position } from '../../../core/position.ts'
import type { LogEvent } from '../../../core/transaction.ts'
import type { ChangeStream, LogScope, ReaderCounters } from '../../contract.ts'
import { u16 } from './bytes.ts'
import { type BinlogConnection, type DumpConnection, openDump } from './dump-connection.ts'
import { dumpRequest, newReplicaUuid } from './dump-requests.ts'
import { sourceError } from './server-errors.ts'
import { TransactionAssembler } from './transaction-assembler.ts'

export type { BinlogConnection } from './dump-connection.ts'

export interface FollowBinlogDeps {
  /** Opens a connection for this stream alone (connection.ts, role 'binlog'). */
  connect(): Promise<BinlogConnection>
  /** Unique among all replicas and readers of the source. */
  readonly serverId: number
  readonly from: Position
  /** GTIDs of transactions whose statements a person has dealt with: passed over (SYNC-2205, and SYNC-2206 of XA). */
  readonly acknowledged?: readonly string[]
  /** Default: everything takes part. */
  readonly scope?: LogScope
  /** How often an idle source sends a sign of life. Default 1,000. */
  readonly heartbeatMs?: number
  /** Bytes read from the socket ahead of the consumer. Default 16 MiB. */
  readonly maxBufferedBytes?: number
  /** Default 1 MiB. */
  readonly sliceMaxBytes?: number
  /** Default 10,000. */
  readonly sliceMaxRows?: number
  /** Row changes of XA transactions that are prepared and not committed, in bytes of the log. Default 128 MiB. */
  readonly maxPreparedBytes?: number
  /** The reader's own UUID, by which the source tells readers apart. Default: a new one. */
  readonly replicaUuid?: string
  /** Added to while reading: a clock is read once per turn, not per event. */
  readonly counters?: ReaderCounters
}

const mebibyte = 1024 * 1024
const everything: LogScope = { takesTable: () => true, takesSchema: () => true }

export function followBinlog(deps: FollowBinlogDeps): ChangeStream {
  const assembler = new TransactionAssembler({
    sliceMaxBytes: deps.sliceMaxBytes ?? mebibyte,
    sliceMaxRows: deps.sliceMaxRows ?? 10_000,
    maxPreparedBytes: deps.maxPreparedBytes ?? 128 * mebibyte,
    from: deps.from,
    acknowledged: new Set(deps.acknowledged ?? []),
    scope: deps.scope ?? everything,
  })
  const counters = deps.counters ?? { bytes: 0, decodeMs: 0, waitMs: 0 }
  const openedAtMs = performance.now()
  let opening: Promise<DumpConnection> | undefined
  let dump: DumpConnection | undefined
  let failure: unknown
  let closed = false

  const open = async (): Promise<DumpConnection> => {
    const heartbeatMs = deps.heartbeatMs ?? 1000
    const reader = { serverId: deps.serverId, uuid: deps.replicaUuid ?? newReplicaUuid(), heartbeatMs }
    opening ??= openDump(
      () => deps.connect(),
      (version) => dumpRequest(version, deps.from, reader),
      {
        heartbeatMs,
        maxBufferedBytes: deps.maxBufferedBytes ?? 16 * mebibyte,
        counters,
      },
    )
    dump = await opening
    if (closed) dump.close()
    return dump
  }

  /** Reads what is there until the turn's output is full, or everything is read. 'waiting': await the assembler's `fill`. */
  const readPackets = ({ packets }: DumpConnection): 'full' | 'starved' | 'waiting' => {
    for (;;) {
      const state = assembler.proceed()
      if (state !== 'idle') return state
      if (!packets.next()) return 'starved'
      takePacket(assembler, packets.bytes, packets.start, packets.end)
    }
  }

  const nextBatch = async (): Promise<readonly LogEvent[] | undefined> => {
    const connection = dump ?? (await open())
    for (;;) {
      if (closed) return undefined
      let state: 'full' | 'starved' | 'waiting'
      const startedAtMs = performance.now()
      try {
        state = readPackets(connection)
      } catch (error) {
        // What was read before the event that failed is good, and is delivered first.
        failure = error
        connection.close()
        const events = assembler.output()
        if (events.length > 0) return events
        throw error
      }
      connection.consumed()
      const events = assembler.output()
      const readAtMs = performance.now()
      counters.decodeMs += readAtMs - startedAtMs
      if (events.length > 0) return events
      if (state === 'waiting') {
        await assembler.fill()
        counters.decodeMs += performance.now() - readAtMs
      } else {
        await connection.moreBytes()
        counters.waitMs += performance.now() - readAtMs
      }
    }
  }

  const iterator: AsyncIterator<readonly LogEvent[]> = {
    async next() {
      if (closed) return { done: true, value: undefined }
      if (failure !== undefined) throw failure
      try {
        const value = await nextBatch()
        return value === undefined ? { done: true, value } : { done: false, value }
      } catch (error) {
        if (closed) return { done: true, value: undefined }
        failure = error
        dump?.close()
        throw error
      }
    },
    async return() {
      await close()
      return { done: true, value: undefined }
    },
  }

  async function close(): Promise<void> {
    closed = true
    const connection = await opening?.catch(() => undefined)
    connection?.close()
  }

  return {
    [Symbol.asyncIterator]: () => iterator,
    lastSeenAtMs: () => dump?.lastSeenAtMs() ?? openedAtMs,
    close,
  }
}

/** A packet is an event behind a zero byte, an error, or the end. */
function takePacket(assembler: TransactionAssembler, b: Buffer, start: number, end: number): void {
  const status = b[start]
  if (status === 0) {
    assembler.take(b, start + 1, end)
  } else if (status === 0xff) {
    // errno, then '#' and the five characters of the SQL state, then the message.
    throw sourceError(
      u16(b, start + 1),
      b.toString('latin1', start + 4, start + 9),
      b.toString('utf8', start + 9, end),
    )
  } else {
    throw new SyncError('SYNC-2101', 'The source ended its log stream')
  }
}
