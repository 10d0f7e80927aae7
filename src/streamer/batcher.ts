/**
 * The batch that is open: takes the log's events in order, strikes what they touch from the chunks in flight, and lets a chunk join when
 * the log has reached its `high` (DATA-PATH 2 and 3).
 *
 * Guarantees: a sealed batch holds exactly the log's changes in (from, to] plus chunk rows that equal the source at `to`. All of it is
 * memory; after a crash the same (from, to] is formed again from the log, without the chunk rows.
 * Assumes: one consumer; every call runs to its end before the next (no await inside).
 */
import type { ChunkRows, LoadProgress, PositionTracker } from '../connectors/contract.ts'
import { type ChunkWindow, createChunkWindow } from '../core/chunk-window.ts'
import { keyOrder } from '../core/key-order.ts'
import { createMerge, type Merge } from '../core/merge.ts'
import type { LogCoordinate, Position } from '../core/position.ts'
import { type TableShape, tableName } from '../core/schema.ts'
import type {
  PreparedTransaction,
  Progress,
  RowChange,
  SchemaChange,
  TransactionSlice,
} from '../core/transaction.ts'
import type { Row, Value } from '../core/value.ts'
import type { Router } from './router.ts'
import { type BatchTally, createTally, type TableTally } from './tally.ts'

export interface SealedBatch {
  readonly from: Position
  readonly to: Position
  readonly merge: Merge
  readonly load: readonly LoadProgress[]
  /** Commit time of the last transaction in the batch; 0 when it has none. */
  readonly commitTimeUs: number
  /** What went into it, by table. */
  readonly tally: BatchTally
}

/** A chunk on its way into the stream. */
export interface ChunkTicket {
  /** Asks for the window; resolves when it is open, between two transactions: with what the read, which must come now, has to see. */
  open(): Promise<Position>
  deliver(rows: ChunkRows, reached: { readonly after: readonly Value[] | null; readonly done: boolean }): void
  /**
   * A ticket that joins right after this one, for the rest of a chunk that was cut short. It keeps the place; its window opens when it is
   * read. (One that was open all the time until this one has joined could fill up meanwhile, and the log would stand still for good.)
   */
  next(): ChunkTicket
  /** Resolves when the rows are in a batch. */
  readonly joined: Promise<void>
  /** Gives the chunk up. */
  cancel(): void
}

export interface Batcher {
  consume(event: TransactionSlice | Progress | PreparedTransaction): void
  /** Takes a definition change into the position. The batch must have been sealed before. */
  pass(event: SchemaChange): void
  /** Where a table's load stands, chunks in this batch included; null: nothing is loaded. */
  progress(table: string): LoadProgress | null
  /** Stores other load progress with this batch; no chunk joins any more, because the loader knows nothing of it: the session must end. */
  setProgress(progress: LoadProgress): void
  placeChunk(shape: TableShape): ChunkTicket
  /** Resolves when no chunk in flight has to be waited for; at once nearly always (chunk-window.ts, `full`). */
  windowRoom(): Promise<void> | null
  rows(): number
  bytes(): number
  /** Is the last transaction consumed in part only? */
  isInside(): boolean
  /** Nothing to store, not even a position. */
  isEmpty(): boolean
  /** Rows or load progress to write. */
  hasWork(): boolean
  /** When the open batch got its first event (performance.now clock). */
  openedAtMs(): number
  oldestCommitTimeUs(): number
  seal(): SealedBatch
  position(): Position
  covers(position: Position): boolean
}

interface Ticket extends ChunkTicket {
  readonly shape: TableShape
  /** Null until the consumer stands between two transactions. */
  window: ChunkWindow | null
  /** Where the table's load stands once the rows have joined. */
  delivered: {
    readonly rows: number
    readonly bytes: number
    readonly after: readonly Value[] | null
    readonly done: boolean
  } | null
  readonly resolveOpened: (passed: Position) => void
  readonly settle: () => void
}

export function createBatcher(
  tracker: PositionTracker,
  router: Router,
  /** Load progress found at the target. */
  loaded: readonly LoadProgress[],
  /** Called when a chunk's rows arrive on an idle log, so that the batch can go on its way. */
  onReady: () => void,
  /** Chunks join a batch that is smaller; others wait for the next one, and with them the loader: a load faster than the target stays in bounds. */
  bounds: { readonly maxRows: number; readonly maxBytes: number },
): Batcher {
  const windows = new Map<string, Ticket[]>()
  const progressOf = new Map(loaded.map((progress) => [progress.table, progress]))
  const waitingToOpen: Ticket[] = []
  let arrival = Promise.withResolvers<void>()
  let insideTransaction = tracker.position().ordinal > 0
  let coordinate: LogCoordinate = { file: 0, offset: 0 }
  let from = tracker.position()
  let merge = createMerge()
  let tally = createTally()
  let load = new Map<string, LoadProgress>()
  let commitTimeUs = 0
  let oldestCommitTimeUs = 0
  let openedAtMs = 0
  let moved = false
  let isClosing = false
  let lastShape: TableShape | null = null
  let lastRoute: ReturnType<Router['route']> = null
  let lastTally: TableTally | null = null

  function touch(): void {
    if (!moved) openedAtMs = performance.now()
    moved = true
  }

  function takeChange(change: RowChange, bytes: number): void {
    if (change.table !== lastShape) {
      lastRoute = router.route(change.table)
      lastShape = change.table
      lastTally = lastRoute === null ? null : tally.of(change.table.id, lastRoute.destination.id)
    }
    if (lastRoute === null || lastTally === null) {
      tally.outOfScope++
      return
    }
    let { before, after } = change
    if (before !== null && !lastRoute.matches(before)) before = null
    if (after !== null && !lastRoute.matches(after)) after = null
    if (before === null && after === null) {
      tally.outOfScope++
      return
    }
    lastTally.bytes += bytes
    if (before === null) lastTally.inserted++
    else if (after === null) lastTally.deleted++
    else lastTally.updated++
    merge.add({
      destination: lastRoute.destination,
      before: before === null ? null : lastRoute.map(before),
      after: after === null ? null : lastRoute.map(after),
    })
  }

  function strike(slice: TransactionSlice): void {
    for (const change of slice.changes) {
      const tickets = windows.get(tableName(change.table.id))
      if (tickets !== undefined) for (const ticket of tickets) ticket.window?.touch(change, slice.id)
    }
  }

  /** Windows open only between two transactions: the first half of one would have passed unseen (chunk-window.ts). */
  function openWaiting(): void {
    if (insideTransaction) return
    for (const ticket of waitingToOpen.splice(0)) {
      const passed = tracker.position()
      ticket.window = createChunkWindow(ticket.shape, passed)
      ticket.resolveOpened(passed)
    }
  }

  /** Chunks of one table join in key order, so that the table's progress is one key. */
  function joinReady(): void {
    if (isClosing) return
    for (const [name, tickets] of windows) {
      while (tickets.length > 0) {
        if (merge.rows >= bounds.maxRows || merge.bytes >= bounds.maxBytes) return
        const ticket = tickets[0] as Ticket
        if (ticket.window === null || ticket.delivered === null || !ticket.window.reached(coordinate)) break
        const { rows, bytes, after, done } = ticket.delivered
        joinChunk(ticket.shape, ticket.window.take(), bytes)
        setProgress({
          table: name,
          after,
          keyOrder: keyOrder(ticket.shape),
          rows: (progressOf.get(name)?.rows ?? 0) + rows,
          done,
        })
        tickets.shift()
        ticket.settle()
      }
      if (tickets.length === 0) windows.delete(name)
    }
  }

  function setProgress(progress: LoadProgress): void {
    progressOf.set(progress.table, progress)
    load.set(progress.table, progress)
    touch()
  }

  function joinChunk(shape: TableShape, rows: readonly Row[], bytes: number): void {
    const route = router.route(shape)
    if (route === null || rows.length === 0) return
    const table = tally.of(shape.id, route.destination.id)
    table.copied += rows.length
    table.bytes += bytes
    tally.chunkBytes += bytes
    merge.addChunkRows(
      route.destination,
      rows.map((row) => route.map(row)),
    )
  }

  function place(shape: TableShape, behind: Ticket | null): Ticket {
    const name = tableName(shape.id)
    const tickets = windows.get(name) ?? []
    windows.set(name, tickets)
    const joined = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<Position>()
    const ticket: Ticket = {
      shape,
      window: null,
      delivered: null,
      joined: joined.promise,
      settle: joined.resolve,
      resolveOpened: opened.resolve,
      open() {
        waitingToOpen.push(ticket)
        openWaiting()
        return opened.promise
      },
      deliver(rows, { after, done }) {
        ticket.window?.arrive(rows)
        ticket.delivered = { rows: rows.rows.length, bytes: rows.bytes, after, done }
        arrival.resolve()
        arrival = Promise.withResolvers<void>()
        joinReady()
        onReady()
      },
      next: () => place(shape, ticket),
      cancel() {
        const at = tickets.indexOf(ticket)
        if (at >= 0) tickets.splice(at, 1)
        joined.resolve()
      },
    }
    const at = behind === null ? -1 : tickets.indexOf(behind)
    if (at >= 0) tickets.splice(at + 1, 0, ticket)
    else tickets.push(ticket)
    return ticket
  }

  return {
    consume(event) {
      if (event.kind === 'slice') {
        if (windows.size > 0) strike(event)
        const { changes } = event
        const bytesEach = changes.length === 0 ? 0 : event.bytes / changes.length
        for (const change of changes) takeChange(change, bytesEach)
        tracker.advance(event)
        insideTransaction = !event.last
        if (event.last) tally.transactions++
        touch()
        commitTimeUs = event.commitTimeUs
        if (oldestCommitTimeUs === 0) oldestCommitTimeUs = event.commitTimeUs
      } else if (event.kind === 'prepared') {
        tracker.advance(event)
        touch()
      }
      coordinate = event.coordinate
      if (windows.size > 0) {
        openWaiting()
        joinReady()
      }
    },
    pass(event) {
      tracker.advance(event)
      coordinate = event.coordinate
      touch()
    },
    progress: (table) => progressOf.get(table) ?? null,
    setProgress(progress) {
      isClosing = true
      setProgress(progress)
    },
    placeChunk: (shape) => place(shape, null),
    windowRoom() {
      for (const tickets of windows.values())
        for (const ticket of tickets) if (ticket.window?.full === true) return arrival.promise
      return null
    },
    rows: () => merge.rows,
    bytes: () => merge.bytes,
    isInside: () => insideTransaction,
    isEmpty: () => !moved,
    hasWork: () => merge.rows > 0 || load.size > 0,
    openedAtMs: () => openedAtMs,
    oldestCommitTimeUs: () => oldestCommitTimeUs,
    position: () => tracker.position(),
    covers: (position) => tracker.covers(position),
    seal() {
      const to = tracker.position()
      const batch = { from, to, merge, load: [...load.values()], commitTimeUs, tally }
      from = to
      merge = createMerge()
      tally = createTally()
      lastShape = null
      load = new Map()
      commitTimeUs = 0
      oldestCommitTimeUs = 0
      moved = false
      // Chunks for which the sealed batch had no room.
      if (windows.size > 0) joinReady()
      return batch
    },
  }
}
