/**
 * Loads tables chunk by chunk into the running stream (DATA-PATH 2): several chunks are read and written at once, each is written when the log
 * has reached its `high`. Progress is stored at the target after the rows, so that a crash costs the chunks in flight and few more.
 *
 * Limits: a chunk waits for its turn before its window opens, so that a slow load holds nobody else up; it is paid for by what it is expected to
 * be, and settled by what it was.
 *
 * Memory: at most `chunksInFlight` chunks of at most `maxChunkBytes` each.
 */
import type { AsText, Chunk, ChunkRows, LoadProgress, SnapshotReader } from '../connectors/contract.ts'
import type { RateLimits } from '../core/limits.ts'
import { type TableShape, tableName } from '../core/schema.ts'
import type { Value } from '../core/value.ts'
import type { Batcher, ChunkTicket } from './batcher.ts'
import type { Gate } from './gate.ts'

export interface LoadOptions {
  readonly chunkRows: number
  readonly chunksInFlight: number
  readonly maxChunkBytes: number
}

export interface LoadCounters {
  tablesDone: number
  rows: number
}

interface ChunkSize {
  readonly rows: number
  readonly bytes: number
}

/** The first chunk of a table tells how large its rows are; so it is small. */
const firstChunkRows = 1_000

/** Resolves when the last chunk of every table is written; rejects when a read fails or `signal` aborts. */
export async function loadTables(deps: {
  readonly snapshot: SnapshotReader
  readonly batcher: Batcher
  readonly tables: readonly TableShape[]
  readonly progress: ReadonlyMap<string, LoadProgress>
  readonly filterSql: (shape: TableShape) => string | null
  /** How the table's rows are to be read, if not as rows. */
  readonly asText: (shape: TableShape) => AsText | null
  readonly options: LoadOptions
  readonly counters: LoadCounters
  /** Told when a chunk was read, with the time at which that began (performance.now clock). */
  readonly onChunkRead: (startedAtMs: number) => void
  readonly gate: Gate
  readonly signal: AbortSignal
}): Promise<void> {
  const { snapshot, batcher, options, counters, gate, signal } = deps
  const free = createSlots(options.chunksInFlight)
  const running = new Set<Promise<void>>()
  let failure: unknown
  const failed = new AbortController()
  const over = AbortSignal.any([signal, failed.signal])

  // A chunk behind one that has failed is never counted, so whoever waits for that would wait for good.
  const unlessOver = <T>(promise: Promise<T>): Promise<T> => orAborted(promise, over)

  async function readChunk(
    ticket: ChunkTicket,
    chunk: Chunk,
    expected: ChunkSize,
    onRead: (read: ChunkRows) => void,
  ): Promise<void> {
    let current = ticket
    let after = chunk.after
    let paid = expected
    for (;;) {
      const passed = await unlessOver(current.open())
      const startedAtMs = performance.now()
      const read = await snapshot.read(
        { table: chunk.table, after, upTo: chunk.upTo },
        passed,
        deps.filterSql(chunk.table),
        options.maxChunkBytes,
        deps.asText(chunk.table),
      )
      deps.onChunkRead(startedAtMs)
      signal.throwIfAborted()
      gate.settle(read.keys.length - paid.rows, read.bytes - paid.bytes)
      paid = { rows: 0, bytes: 0 }
      onRead(read)
      const lastKey: readonly Value[] | null = (read.complete ? chunk.upTo : null) ?? read.lastKey ?? after
      // The rest of a chunk that was cut short counts next, so it takes its place before this one can be counted.
      const rest = read.complete ? null : current.next()
      counters.rows += read.keys.length
      current.deliver(read, { after: lastKey, done: read.complete && chunk.upTo === null })
      await unlessOver(current.written)
      if (rest === null) return
      current = rest
      after = lastKey
      await gate.pass(0, 0, over)
    }
  }

  async function loadTable(shape: TableShape): Promise<void> {
    const known = deps.progress.get(tableName(shape.id))
    let after = known?.after ?? null
    const ownChunks: Promise<void>[] = []
    let chunkRows = Math.min(firstChunkRows, options.chunkRows)
    let bytesPerRow = 0
    const learn = ({ keys, bytes }: ChunkRows): void => {
      if (keys.length > 0) bytesPerRow = bytes / keys.length
    }
    for (;;) {
      await unlessOver(free.take())
      if (failure !== undefined) throw failure
      const rows = rowsWithin(gate.limits(), chunkRows, bytesPerRow)
      const expected = { rows, bytes: rows * bytesPerRow }
      await gate.pass(expected.rows, expected.bytes, over)
      const upTo = await snapshot.chunkEnd(shape, after, rows, deps.filterSql(shape))
      signal.throwIfAborted()
      const ticket = batcher.placeChunk(shape)
      const task = readChunk(ticket, { table: shape, after, upTo }, expected, learn)
        .catch((error: unknown) => {
          failure ??= error
          failed.abort(error)
          throw error
        })
        .finally(() => {
          ticket.cancel()
          free.give()
          running.delete(task)
        })
      task.catch(() => {})
      running.add(task)
      ownChunks.push(task)
      if (upTo === null) break
      after = upTo
      chunkRows = options.chunkRows
    }
    running.add(
      Promise.all(ownChunks).then(
        () => {
          counters.tablesDone++
        },
        () => {},
      ),
    )
  }

  for (const shape of deps.tables) await loadTable(shape)
  await Promise.all(running)
  if (failure !== undefined) throw failure
}

/** What is read at once under a limit: a quarter of a second's worth, so that the load goes evenly and a changed limit soon holds. */
const chunksPerSecond = 4

function rowsWithin(limits: RateLimits, chunkRows: number, bytesPerRow: number): number {
  const byRows = limits.maxRowsPerSecond ?? Number.POSITIVE_INFINITY
  const byBytes =
    limits.maxBytesPerSecond === null || bytesPerRow === 0
      ? Number.POSITIVE_INFINITY
      : limits.maxBytesPerSecond / bytesPerRow
  return Math.max(1, Math.min(chunkRows, Math.ceil(Math.min(byRows, byBytes) / chunksPerSecond)))
}

/** Not a race with one promise for all: it would keep every one of its rivals in memory for as long as the load takes. */
const orAborted = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })

function createSlots(count: number): { take(): Promise<void>; give(): void } {
  let free = count
  const waiting: (() => void)[] = []
  return {
    take() {
      if (free > 0) {
        free--
        return Promise.resolve()
      }
      return new Promise((resolve) => {
        waiting.push(resolve)
      })
    },
    give() {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    },
  }
}
