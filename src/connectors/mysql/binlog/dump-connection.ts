/*
 * The connection over which the source sends its log: connected and logged in elsewhere (connection.ts), then its socket is taken over.
 * Guarantees: no more than about `maxBufferedBytes` are read ahead of the consumer (plus what one packet needs), the socket is paused
 * meanwhile; silence for `missedHeartbeats` heartbeats ends in SYNC-2101, because a half-open connection gives no error of its own.
 * Assumes nobody else uses the connection. A crash leaves a connection that the server drops when its next heartbeat fails.
 */
import type { Socket } from 'node:net'
import { SyncError } from '../../../core/errors.ts'
import type { ReaderCounters } from '../../contract.ts'
import { alignedInterval } from '../aligned-interval.ts'
import { classify } from '../errors.ts'
import { PacketReader } from './packet-reader.ts'

/** What is needed of a connection; connection.ts gives it. */
export interface BinlogConnection {
  readonly version: string
  query(sql: string, options: { readonly maxMs: number }): Promise<unknown>
  /** Gives the socket away, paused or not, with nothing in flight. */
  detach(): Socket
  destroy(): void
}

/** How a product is asked for its log (dump-requests.ts). */
export interface DumpRequest {
  /** The statement by which a replica tells about itself. */
  readonly setUp: string
  /** The command, without its frame. */
  readonly command: Buffer
}

export interface DumpOptions {
  readonly heartbeatMs: number
  readonly maxBufferedBytes: number
  readonly counters?: ReaderCounters
}

export interface DumpConnection {
  readonly packets: PacketReader
  /** Waits for bytes beyond those that `packets` has. Throws when the connection has ended, after all its bytes were taken. */
  moreBytes(): Promise<void>
  /** Tells that packets were taken, so that a paused socket may go on. */
  consumed(): void
  lastSeenAtMs(): number
  close(): void
}

const missedHeartbeats = 5
const setUpTimeoutMs = 10_000
export async function openDump(
  connect: () => Promise<BinlogConnection>,
  requestOf: (version: string) => DumpRequest,
  options: DumpOptions,
): Promise<DumpConnection> {
  let connection: BinlogConnection | undefined
  try {
    connection = await connect()
    const request = requestOf(connection.version)
    await connection.query(request.setUp, { maxMs: setUpTimeoutMs })
    return takeOver(connection.detach(), framed(request.command), options)
  } catch (error) {
    connection?.destroy()
    throw classify(error, 'source')
  }
}

function framed(command: Buffer): Buffer {
  // A command this long would need a split packet; it has a million GTIDs.
  if (command.length >= 0xff_ffff)
    throw new SyncError('SYNC-9001', `A command of ${command.length} bytes is too long`)
  const frame = Buffer.alloc(4)
  frame.writeUIntLE(command.length, 0, 3)
  return Buffer.concat([frame, command])
}

function takeOver(socket: Socket, packet: Buffer, options: DumpOptions): DumpConnection {
  const packets = new PacketReader()
  const { maxBufferedBytes, heartbeatMs, counters } = options
  let lastSeenAtMs = performance.now()
  let ended: SyncError | undefined
  let paused = false
  let seenSinceTick = true
  let missed = 0
  let waiting: { resolve: () => void; reject: (error: SyncError) => void } | undefined

  const wake = (): void => {
    const waiter = waiting
    waiting = undefined
    waiter?.resolve()
  }
  const end = (error: SyncError): void => {
    if (ended !== undefined) return
    ended = error
    stopWatchdog()
    socket.destroy()
    const waiter = waiting
    waiting = undefined
    waiter?.reject(error)
  }
  const pauseOrResume = (): void => {
    if (!paused && packets.unreadBytes > maxBufferedBytes && waiting === undefined) {
      paused = true
      socket.pause()
    } else if (paused && (packets.unreadBytes <= maxBufferedBytes / 2 || waiting !== undefined)) {
      paused = false
      missed = 0
      lastSeenAtMs = performance.now()
      socket.resume()
    }
  }

  socket.on('data', (chunk: Buffer) => {
    lastSeenAtMs = performance.now()
    seenSinceTick = true
    if (counters !== undefined) counters.bytes += chunk.length
    packets.push(chunk)
    wake()
    pauseOrResume()
  })
  socket.on('error', (cause) =>
    end(new SyncError('SYNC-2101', `Connection to the source lost: ${cause.message}`, { cause })),
  )
  socket.on('close', () => end(new SyncError('SYNC-2101', 'The source closed the connection')))

  // Counts ticks without bytes rather than time, so that a process that was stopped for a while does not blame the source.
  const stopWatchdog = alignedInterval(heartbeatMs, () => {
    missed = seenSinceTick || paused ? 0 : missed + 1
    seenSinceTick = false
    if (missed >= missedHeartbeats) {
      const silentMs = Math.round(performance.now() - lastSeenAtMs)
      end(
        new SyncError(
          'SYNC-2101',
          `The source has been silent for ${silentMs} ms (a heartbeat is due every ${heartbeatMs} ms)`,
        ),
      )
    }
  })

  socket.resume()
  socket.write(packet)
  return {
    packets,
    moreBytes() {
      if (ended !== undefined) return Promise.reject(ended)
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        pauseOrResume()
      })
    },
    consumed: pauseOrResume,
    // While the socket is paused it is we who are slow, not the source.
    lastSeenAtMs: () => (paused ? performance.now() : lastSeenAtMs),
    close: () => end(new SyncError('SYNC-2101', 'The stream was closed')),
  }
}
