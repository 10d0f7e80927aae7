/**
 * One authenticated connection, statement by statement, on the bare socket.
 *
 * Guarantees: statements run one after the other, whether or not they were sent ahead of an answer; a statement either gives its results or rejects with a SyncError; after a lost
 * connection everything rejects with SYNC-2101 or SYNC-3101 and nothing hangs. A half-open link is noticed within about ten seconds,
 * and a slow statement is not taken for one: when nothing has come for `silentMs`, the server is asked through a second connection
 * whether this one is still at work there (why: TCP cannot tell; a proxy or a firewall in between keeps acknowledging).
 * While idle it pings, so that a dead link shows before the next batch and the server's wait_timeout can be short: a frozen process
 * then loses its connections, and their locks, by itself.
 */
import type { Socket } from 'node:net'
import type { SyncError } from '../../core/errors.ts'
import { alignedInterval } from './aligned-interval.ts'
import { classify, type Side } from './errors.ts'
import { createAnswerReader, type QueryResult, type RowDecoding } from './text-protocol.ts'

export interface QueryOptions {
  /** How the columns of each result set are decoded, by statement; default: every value a byte string. */
  readonly decoders?: readonly (RowDecoding | null)[]
  /** What the statement of this index, a LOAD DATA LOCAL, reads under this name: pieces that are sent as they stand. Role `load` only. */
  readonly file?: { readonly statement: number; readonly name: string; readonly pieces: readonly Buffer[] }
  /** Gives up (and gives the connection up) after this time, however alive the server is. Default: never. */
  readonly maxMs?: number
  /** Rows beyond this are given up, and the connection with them: the results come with `complete: false`. */
  readonly maxBytes?: number
  /**
   * Sent at once, behind statements whose answers have not come: saves a round trip for each. The server runs it after them and even if they
   * fail: the caller puts a condition before whatever must not run then (write-transaction.ts).
   */
  readonly ahead?: boolean
}

export interface Connection {
  /** The server's id of this connection, for KILL. */
  readonly threadId: number
  /** The server's version as it tells it ('9.7.4', '10.11.6-MariaDB'). */
  readonly version: string
  /** True as soon as the connection cannot be used any more. */
  readonly isLost: boolean
  /** Runs one statement. `sql` is a byte string (sql-text.ts). */
  query(sql: string, options?: QueryOptions): Promise<QueryResult>
  /** Runs several statements, separated by `;`, in one round trip. Stops at the first error; its index is `details.statement`. */
  queryAll(sql: string, options?: QueryOptions): Promise<readonly QueryResult[]>
  /** Gives the socket away, with nothing in flight on it; this object is of no use afterwards. */
  detach(): Socket
  /** Ends the connection in an orderly way. Never throws. */
  close(): Promise<void>
  /** Cuts the connection at once. Statements in flight reject. */
  destroy(): void
}

/** What another connection sees of this one. `gone`: the server does not know it. `unknown`: could not be found out, but the server answers. */
export type Liveness = 'working' | 'idle' | 'gone' | 'unreachable' | 'unknown'

export interface SessionDeps {
  readonly socket: Socket
  readonly threadId: number
  readonly version: string
  readonly side: Side
  /** Asks the server about this connection; answers within a few seconds and never throws. */
  readonly probe: () => Promise<Liveness>
  readonly silentMs?: number
  readonly pingMs?: number
  /** Called once, when the connection is of no use any more. */
  readonly onLost?: () => void
}

interface Flight {
  readonly job: Job
  readonly reader: ReturnType<typeof createAnswerReader>
  startedAtMs: number
}

interface Job {
  readonly packet: Buffer
  readonly options: QueryOptions
  readonly resolve: (results: QueryResult[]) => void
  readonly reject: (error: SyncError) => void
}

const nothing = Buffer.alloc(0)
const comQuit = 0x01
const comQuery = 0x03
const comPing = 0x0e
const longestFrame = 0xffffff
/** Large statements are handed to the socket in pieces, so that its progress can be seen. */
const writePieceBytes = 1 << 20
/** Far below what any server accepts as a packet. */
const filePacketBytes = 256 * 1024
const checkEveryMs = 500
const secondLookMs = 2000

export function createSession(deps: SessionDeps): Connection {
  const { socket, threadId, side } = deps
  const silentMs = deps.silentMs ?? 5000
  const pingMs = deps.pingMs ?? 4000
  const waiting: Job[] = []
  /** Sent and not answered, in the order in which the server answers. */
  const inFlight: Flight[] = []
  let lost: SyncError | undefined
  let detached = false
  let lastMovedAtMs = performance.now()
  let probing = false
  let idleSeenAtMs: number | undefined

  const lose = (error: unknown): void => {
    if (lost !== undefined) return
    lost = classify(error, side)
    stopClock()
    socket.destroy()
    deps.onLost?.()
    const jobs = [...inFlight.splice(0).map(({ job }) => job), ...waiting.splice(0)]
    for (const job of jobs) job.reject(lost)
  }

  const write = (piece: Buffer): void => {
    socket.write(piece, () => {
      lastMovedAtMs = performance.now()
    })
  }

  /** Packets of the file's bytes, and an empty one at their end. @returns the number of the packet after them */
  const sendFile = (pieces: readonly Buffer[], firstSequence: number): number => {
    let sequence = firstSequence
    const header = (length: number): Buffer => {
      const bytes = Buffer.alloc(4)
      bytes.writeUIntLE(length, 0, 3)
      bytes[3] = sequence++ & 0xff
      return bytes
    }
    for (const piece of pieces) {
      for (let at = 0; at < piece.length; at += filePacketBytes) {
        const part = piece.subarray(at, at + filePacketBytes)
        socket.cork()
        write(header(part.length))
        write(part)
        socket.uncork()
      }
    }
    write(header(0))
    return sequence
  }

  const start = (job: Job): void => {
    const { file } = job.options
    const reader = createAnswerReader(
      job.options.decoders ?? null,
      framesOf(job.packet.length),
      job.options.maxBytes,
      file === undefined ? null : { ...file, send: (sequence) => sendFile(file.pieces, sequence) },
    )
    inFlight.push({ job, reader, startedAtMs: performance.now() })
    lastMovedAtMs = performance.now()
    idleSeenAtMs = undefined
    for (let at = 0; at < job.packet.length; at += writePieceBytes) {
      write(job.packet.subarray(at, at + writePieceBytes))
    }
  }

  const finish = (settle: () => void): void => {
    inFlight.shift()
    lastMovedAtMs = performance.now()
    const [next] = inFlight
    if (next !== undefined) next.startedAtMs = lastMovedAtMs
    settle()
    if (lost === undefined && inFlight.length === 0) {
      const waiter = waiting.shift()
      if (waiter !== undefined) start(waiter)
    }
  }

  const onData = (chunk: Buffer): void => {
    lastMovedAtMs = performance.now()
    idleSeenAtMs = undefined
    let bytes = chunk
    while (bytes.length > 0 && lost === undefined) bytes = answer(bytes)
  }

  /** Gives bytes to the statement that the server answers; returns what belongs to the next one. */
  const answer = (bytes: Buffer): Buffer => {
    const [flight] = inFlight
    if (flight === undefined) {
      // The server speaks unasked only to say that it ends this connection (an ERR packet).
      lose(networkError('PROTOCOL_UNEXPECTED_PACKET', bytes.toString('utf8', 13, 200)))
      return nothing
    }
    const { job, reader } = flight
    let results: QueryResult[] | null
    try {
      results = reader.take(bytes)
    } catch (error) {
      const classified = classify(error, side)
      if (
        classified.details['errno'] === undefined ||
        classified.code === 'SYNC-2101' ||
        classified.code === 'SYNC-3101'
      ) {
        lose(classified)
        return nothing
      }
      finish(() => job.reject(classified))
      return reader.rest
    }
    if (results === null) return nothing
    if (reader.isCut) {
      job.resolve(results)
      inFlight.shift()
      lose(networkError('PROTOCOL_CONNECTION_LOST', 'the rest of an answer was given up'))
      return nothing
    }
    const whole = results
    finish(() => job.resolve(whole))
    return reader.rest
  }
  const onEnd = (): void => lose(networkError('PROTOCOL_CONNECTION_LOST', 'the server closed the connection'))

  const look = async (): Promise<void> => {
    probing = true
    const seen = await deps.probe()
    probing = false
    const nowMs = performance.now()
    if (lost !== undefined || inFlight.length === 0 || nowMs - lastMovedAtMs < silentMs) return
    if (seen === 'gone' || seen === 'unreachable') {
      const how =
        seen === 'gone' ? 'the server does not know this connection any more' : 'the server does not answer'
      lose(networkError('ETIMEDOUT', `${how} (nothing came for ${Math.round(nowMs - lastMovedAtMs)} ms)`))
    } else if (seen === 'idle') {
      // Its answer, or our statement, is under way or lost for ever; a second look tells.
      if (idleSeenAtMs !== undefined) {
        lose(
          networkError('ETIMEDOUT', 'the connection is idle at the server while an answer is awaited here'),
        )
      } else {
        idleSeenAtMs = nowMs
      }
    } else {
      idleSeenAtMs = undefined
      lastMovedAtMs = nowMs
    }
  }

  // Idle connections do not keep a process alive; one with a statement in flight is kept by its socket.
  const stopClock = alignedInterval(checkEveryMs, () => {
    const nowMs = performance.now()
    const [flight] = inFlight
    if (flight === undefined) {
      if (nowMs - lastMovedAtMs >= pingMs) {
        // Its failure is kept in `lost` and rejects whatever is asked next.
        run(commandPacket(comPing, ''), {}).catch(() => undefined)
      }
      return
    }
    const { maxMs } = flight.job.options
    if (maxMs !== undefined && nowMs - flight.startedAtMs > maxMs) {
      lose(networkError('ETIMEDOUT', `no answer within ${maxMs} ms`))
      return
    }
    const dueMs = idleSeenAtMs === undefined ? lastMovedAtMs + silentMs : idleSeenAtMs + secondLookMs
    if (!probing && nowMs >= dueMs) void look()
  })

  const run = (packet: Buffer, options: QueryOptions): Promise<QueryResult[]> =>
    new Promise((resolve, reject) => {
      if (lost !== undefined) {
        reject(lost)
        return
      }
      const job: Job = { packet, options, resolve, reject }
      // Behind a statement that is to read a file, the server would take whatever comes for the file.
      const mayGoAhead =
        options.ahead === true && inFlight.every((flight) => flight.job.options.file === undefined)
      if (waiting.length === 0 && (inFlight.length === 0 || mayGoAhead)) start(job)
      else waiting.push(job)
    })

  socket.on('data', onData)
  socket.on('error', lose)
  socket.on('end', onEnd)
  socket.on('close', onEnd)
  socket.resume()

  return {
    threadId,
    version: deps.version,
    get isLost() {
      return lost !== undefined
    },
    async query(sql, options = {}) {
      const results = await run(commandPacket(comQuery, sql), options)
      return results[results.length - 1] as QueryResult
    },
    queryAll: (sql, options = {}) => run(commandPacket(comQuery, sql), options),
    detach() {
      if (lost !== undefined) throw lost
      if (inFlight.length > 0) throw new Error('a statement is in flight on the connection to be given away')
      detached = true
      stopClock()
      socket.off('data', onData)
      socket.off('error', lose)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
      socket.pause()
      lost = classify(networkError('PROTOCOL_CONNECTION_LOST', 'the connection was given away'), side)
      deps.onLost?.()
      return socket
    },
    async close() {
      if (detached) return
      if (lost === undefined && inFlight.length === 0) {
        stopClock()
        lost = classify(networkError('PROTOCOL_CONNECTION_LOST', 'the connection was closed here'), side)
        deps.onLost?.()
        socket.off('close', onEnd)
        const closed = new Promise<void>((resolve) => {
          socket.once('close', () => resolve())
          setTimeout(resolve, 1000).unref()
        })
        socket.end(commandPacket(comQuit, ''))
        await closed
      }
      lose(networkError('PROTOCOL_CONNECTION_LOST', 'the connection was closed here'))
      socket.destroy()
    },
    destroy() {
      if (!detached) lose(networkError('PROTOCOL_CONNECTION_LOST', 'the connection was cut here'))
    },
  }
}

/** An error that classify() reads as a lost connection. */
const networkError = (code: string, message: string): Error => Object.assign(new Error(message), { code })

/** Packets in a framed command; one of exactly 16 MiB - 1 is followed by an empty one. */
const framesOf = (packetBytes: number): number => Math.ceil(packetBytes / (longestFrame + 4))

/** A command with its payload of bytes, framed; payloads of 16 MiB and more take several frames. */
export function commandPacket(command: number, text: string): Buffer {
  const length = text.length + 1
  const frames = Math.floor(length / longestFrame) + 1
  const packet = Buffer.allocUnsafe(length + frames * 4)
  if (frames === 1) {
    packet.writeUIntLE(length, 0, 3)
    packet[3] = 0
    packet[4] = command
    packet.write(text, 5, 'latin1')
    return packet
  }
  const payload = Buffer.allocUnsafe(length)
  payload[0] = command
  payload.write(text, 1, 'latin1')
  for (let frame = 0; frame < frames; frame++) {
    const from = frame * longestFrame
    const to = Math.min(from + longestFrame, length)
    const at = frame * (longestFrame + 4)
    packet.writeUIntLE(to - from, at, 3)
    packet[at + 3] = frame & 0xff
    payload.copy(packet, at + 4, from, to)
  }
  return packet
}
