/**
 * The batch that is open: takes the log's events in order, strikes what they touch from the chunks in flight, and hands a chunk's rows out
 * to be written when the log has reached its `high` (DATA-PATH 2 and 3).
 *
 * Guarantees: a sealed batch holds exactly the log's changes in (from, to]. Chunk rows are written beside the batches: they are handed out
 * only where the open batch holds no change, so that every change before them is in a sealed batch, behind which they are written; and a
 * batch that touches one of them says in `after` what it has to wait for. Progress is told when the rows are written, in key order.
 * All of it is memory; after a crash the same (from, to] is formed again from the log.
 * Assumes: one consumer; every call runs to its end before the next (no await inside).
 */
import type { ChunkRows, ChunkWork, LoadProgress, PositionTracker } from '../connectors/contract.ts'
import { type ArrivedRows, type ChunkWindow, createChunkWindow } from '../core/chunk-window.ts'
import { keyOrder } from '../core/key-order.ts'
import { createMerge, type Merge } from '../core/merge.ts'
import { createPagePool } from '../core/packed-pages.ts'
import type { LogCoordinate, Position } from '../core/position.ts'
import { type TableId, type TableShape, tableName } from '../core/schema.ts'
import type {
  PreparedTransaction,
  Progress,
  RowChange,
  SchemaChange,
  TransactionSlice,
} from '../core/transaction.ts'
import type { Row, Value } from '../core/value.ts'
import type { Route, Router } from './router.ts'
import { type BatchTally, createTally, type TableTally } from './tally.ts'

export interface SealedBatch {
  readonly from: Position
  readonly to: Position
  readonly merge: Merge
  readonly load: readonly LoadProgress[]
  /** Chunk rows under way that this batch touches: they must be written before it is. */
  readonly after: readonly Promise<void>[]
  /** Commit time of the last transaction in the batch; 0 when it has none. */
  readonly commitTimeUs: number
  /** What went into it, by table. */
  readonly tally: BatchTally
}

/**
 * Writes a chunk's rows behind all batches that were sealed before this call. Rejects when the session is at its end: the rows may then be
 * written or not.
 */
export type WriteChunk = (
  work: ChunkWork,
  read: { readonly table: TableId; readonly bytes: number },
) => Promise<void>

/** A chunk on its way into the stream. */
export interface ChunkTicket {
  /** Asks for the window; resolves when it is open, between two transactions: with what the read, which must come now, has to see. */
  open(): Promise<Position>
  deliver(rows: ChunkRows, reached: { readonly after: readonly Value[] | null; readonly done: boolean }): void
  /**
   * A ticket that comes right after this one, for the rest of a chunk that was cut short. It keeps the place; its window opens when it is
   * read. (One that was open all the time until this one is written could fill up meanwhile, and the log would stand still for good.)
   */
  next(): ChunkTicket
  /** Resolves when the rows are written, and those of all chunks of the table before it. */
  readonly written: Promise<void>
  /** Gives the chunk up, unless its rows are being written. */
  cancel(): void
}

/** Named keys on their way into the stream (repair.ts). They are no part of a load's progress. */
export interface KeysTicket extends Pick<ChunkTicket, 'open' | 'written'> {
  deliver(rows: ArrivedRows): void
  /** Gives them up, unless they are being written. */
  cancel(): void
}

export interface Batcher {
  consume(event: TransactionSlice | Progress | PreparedTransaction): void
  /** Takes a definition change into the position. The batch must have been sealed before. */
  pass(event: SchemaChange): void
  /** Where a table's load stands, chunks in this batch included; null: nothing is loaded. */
  progress(table: string): LoadProgress | null
  /** Of all tables. */
  loads(): readonly LoadProgress[]
  /** Hands out no chunk any more, and resolves when those that were handed out are written: the session must end. */
  closeLoad(): Promise<void>
  /** After `closeLoad`: the session ends, and what it read of the definitions may be of the past already. */
  isClosing(): boolean
  /** Stores other load progress with this batch, after `closeLoad`: the loader knows nothing of it. */
  setProgress(progress: LoadProgress): void
  placeChunk(shape: TableShape): ChunkTicket
  /** @param write gets the ordinals of the keys that the log has not touched; a rejection says that the session is at its end */
  placeKeys(shape: TableShape, write: (taken: readonly number[]) => Promise<void>): KeysTicket
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
  /** End of what was consumed last. */
  coordinate(): LogCoordinate
  covers(position: Position): boolean
}

interface Ticket {
  readonly shape: TableShape
  /** Null until the consumer stands between two transactions. */
  window: ChunkWindow | null
  /** What came, how it is written, and where the table's load stands then. */
  delivered: {
    readonly write: (taken: readonly number[]) => Promise<void>
    readonly progress: {
      readonly after: readonly Value[] | null
      readonly rows: number
      readonly done: boolean
    } | null
  } | null
  /** Set when the rows were handed out: resolves when they are written. */
  writing: Promise<void> | null
  isWritten: boolean
  readonly opened: PromiseWithResolvers<Position>
  readonly written: PromiseWithResolvers<void>
}

interface Routed {
  readonly route: Route | null
  /** Of a table without a route: whether its changes are counted here. */
  readonly isCounted: boolean
  /** Figures of the table in the batch `of`. */
  tally: TableTally | null
  of: BatchTally | null
}

export function createBatcher(
  tracker: PositionTracker,
  router: Router,
  /** Load progress found at the target. */
  loaded: readonly LoadProgress[],
  /** Called when there is something to seal for: rows that wait for the open batch to go, or progress to store. */
  onReady: () => void,
  writeChunk: WriteChunk,
  /** Global order: what was sealed within a transaction is confirmed with its end only, which must not wait for a chunk that waits for it. */
  isWhole = false,
): Batcher {
  const windows = new Map<string, Ticket[]>()
  const progressOf = new Map(loaded.map((progress) => [progress.table, progress]))
  const waitingToOpen: Ticket[] = []
  let arrival = Promise.withResolvers<void>()
  let insideTransaction = tracker.position().ordinal > 0
  let coordinate: LogCoordinate = { file: 0, offset: 0 }
  let from = tracker.position()
  const pool = createPagePool()
  let merge = createMerge(pool)
  let tally = createTally()
  let load = new Map<string, LoadProgress>()
  let after = new Set<Promise<void>>()
  let commitTimeUs = 0
  let oldestCommitTimeUs = 0
  let openedAtMs = 0
  let moved = false
  /** Global order: something was sealed whose commit is still to come. */
  let hasParts = false
  let isClosing = false
  let lastShape: TableShape | null = null
  let last: Routed = { route: null, isCounted: true, tally: null, of: null }
  const routed = new WeakMap<TableShape, Routed>()

  function touch(): void {
    if (!moved) openedAtMs = performance.now()
    moved = true
  }

  /** One look-up by the shape, for the route and for this batch's figures. */
  function routedOf(shape: TableShape): Routed {
    let entry = routed.get(shape)
    if (entry === undefined) {
      entry = { route: router.route(shape), isCounted: router.counts(shape.id), tally: null, of: null }
      routed.set(shape, entry)
    }
    if (entry.of !== tally && entry.route !== null) {
      entry.tally = tally.of(shape.id, entry.route.destination.id)
      entry.of = tally
    }
    return entry
  }

  function takeChange(change: RowChange, bytes: number): void {
    if (change.table !== lastShape) {
      last = routedOf(change.table)
      lastShape = change.table
    }
    const { route, tally: counts } = last
    if (route === null || counts === null) {
      if (last.isCounted) tally.outOfScope++
      return
    }
    if (change.packed !== undefined && route.takesPacked) {
      const { packed } = change
      counts.bytes += bytes
      if (packed.before === null) counts.inserted++
      else if (packed.after === null) counts.deleted++
      else counts.updated++
      merge.addPacked(route.destination, packed.before, packed.after)
      return
    }
    let { before, after } = change
    if (before !== null && !route.matches(before)) before = null
    if (after !== null && !route.matches(after)) after = null
    if (before === null && after === null) {
      tally.outOfScope++
      return
    }
    counts.bytes += bytes
    if (before === null) counts.inserted++
    else if (after === null) counts.deleted++
    else counts.updated++
    merge.add({
      destination: route.destination,
      before: before === null ? null : route.map(before),
      after: after === null ? null : route.map(after),
    })
  }

  function strike(slice: TransactionSlice): void {
    for (const change of slice.changes) {
      const tickets = windows.get(tableName(change.table.id))
      if (tickets === undefined) continue
      for (const ticket of tickets) {
        if (ticket.window?.touch(change, slice.id) === true && ticket.writing !== null)
          after.add(ticket.writing)
      }
    }
  }

  /** Windows open only between two transactions: the first half of one would have passed unseen (chunk-window.ts). */
  function openWaiting(): void {
    if (insideTransaction) return
    for (const ticket of waitingToOpen.splice(0)) {
      const passed = tracker.position()
      ticket.window = createChunkWindow(ticket.shape, passed)
      ticket.opened.resolve(passed)
    }
  }

  /**
   * Hands out what the log has reached. Only where the open batch is without changes: what is handed out is written behind the batches sealed
   * before it, and so must be every change that this moment knows of. Not while a part waits for its commit: the open batch goes into the same
   * commit, and would wait for the chunk where it touches it, and the chunk for the commit.
   */
  function handOut(): void {
    if (isClosing || merge.changes > 0 || (isWhole && (insideTransaction || hasParts))) return
    for (const tickets of windows.values()) {
      for (const ticket of tickets) {
        const { window, delivered } = ticket
        if (window === null || delivered === null || ticket.writing !== null) continue
        if (window.reached(coordinate)) startWriting(ticket, delivered, window)
      }
    }
  }

  function startWriting(
    ticket: Ticket,
    { write, progress }: NonNullable<Ticket['delivered']>,
    window: ChunkWindow,
  ): void {
    ticket.writing = write(window.take())
    ticket.writing.then(
      () => {
        ticket.isWritten = true
        if (progress === null) remove(ticket)
        else advance(ticket.shape)
      },
      // Whoever writes tells of failures; the progress stays where it is.
      () => {},
    )
  }

  /** Named keys count for nobody. */
  function remove(ticket: Ticket): void {
    const name = tableName(ticket.shape.id)
    const left = (windows.get(name) ?? []).filter((other) => other !== ticket)
    if (left.length > 0) windows.set(name, left)
    else windows.delete(name)
    ticket.written.resolve()
    onReady()
  }

  /** Chunks of one table are counted in key order, so that the table's progress is one key. */
  function advance(shape: TableShape): void {
    const name = tableName(shape.id)
    const tickets = windows.get(name) ?? []
    for (let ticket = tickets[0]; ticket?.isWritten === true; ticket = tickets[0]) {
      const reached = ticket.delivered?.progress
      if (reached !== null && reached !== undefined) {
        setProgress({
          table: name,
          after: reached.after,
          keyOrder: keyOrder(shape),
          rows: (progressOf.get(name)?.rows ?? 0) + reached.rows,
          done: reached.done,
        })
      }
      tickets.shift()
      ticket.written.resolve()
    }
    if (tickets.length === 0) windows.delete(name)
    onReady()
  }

  function setProgress(progress: LoadProgress): void {
    progressOf.set(progress.table, progress)
    load.set(progress.table, progress)
    touch()
  }

  function workOf(shape: TableShape, chunk: ChunkRows, taken: readonly number[]): ChunkWork | null {
    const route = router.route(shape)
    if (route === null || taken.length === 0) return null
    const { destination } = route
    if (chunk.text !== null) return { destination, rows: [], text: { ...chunk.text, taken } }
    return { destination, rows: taken.map((ordinal) => route.map(chunk.rows[ordinal] as Row)), text: null }
  }

  function place(shape: TableShape, behind: Ticket | null): Ticket {
    const name = tableName(shape.id)
    const tickets = windows.get(name) ?? []
    windows.set(name, tickets)
    const ticket: Ticket = {
      shape,
      window: null,
      delivered: null,
      writing: null,
      isWritten: false,
      opened: Promise.withResolvers(),
      written: Promise.withResolvers(),
    }
    const at = behind === null ? -1 : tickets.indexOf(behind)
    if (at >= 0) tickets.splice(at + 1, 0, ticket)
    else tickets.push(ticket)
    return ticket
  }

  function open(ticket: Ticket): Promise<Position> {
    waitingToOpen.push(ticket)
    openWaiting()
    return ticket.opened.promise
  }

  function deliver(ticket: Ticket, rows: ArrivedRows, delivered: NonNullable<Ticket['delivered']>): void {
    ticket.window?.arrive(rows)
    ticket.delivered = delivered
    arrival.resolve()
    arrival = Promise.withResolvers<void>()
    handOut()
    onReady()
  }

  function chunkTicket(shape: TableShape, behind: Ticket | null): ChunkTicket {
    const ticket = place(shape, behind)
    return {
      open: () => open(ticket),
      deliver(chunk, { after: reached, done }) {
        const read = { table: shape.id, bytes: chunk.bytes }
        deliver(ticket, chunk, {
          write(taken) {
            const work = workOf(shape, chunk, taken)
            return work === null ? Promise.resolve() : writeChunk(work, read)
          },
          progress: { after: reached, rows: chunk.keys.length, done },
        })
      },
      next: () => chunkTicket(shape, ticket),
      written: ticket.written.promise,
      cancel() {
        // It keeps its place: a chunk behind it that is written must not be counted as if this one were, whatever ends the session now.
        if (ticket.writing === null) ticket.window = null
      },
    }
  }

  function keysTicket(shape: TableShape, write: (taken: readonly number[]) => Promise<void>): KeysTicket {
    const ticket = place(shape, null)
    return {
      open: () => open(ticket),
      deliver: (rows) => deliver(ticket, rows, { write, progress: null }),
      written: ticket.written.promise,
      cancel() {
        if (ticket.writing === null) remove(ticket)
      },
    }
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
        handOut()
      }
    },
    pass(event) {
      tracker.advance(event)
      coordinate = event.coordinate
      touch()
    },
    progress: (table) => progressOf.get(table) ?? null,
    loads: () => [...progressOf.values()],
    async closeLoad() {
      isClosing = true
      await Promise.all(
        [...windows.values()].flat().flatMap(({ writing }) => (writing === null ? [] : [writing])),
      )
    },
    isClosing: () => isClosing,
    setProgress,
    placeChunk: (shape) => chunkTicket(shape, null),
    placeKeys: keysTicket,
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
    coordinate: () => coordinate,
    covers: (position) => tracker.covers(position),
    seal() {
      const to = tracker.position()
      const batch = { from, to, merge, load: [...load.values()], after: [...after], commitTimeUs, tally }
      from = to
      hasParts = insideTransaction
      merge = createMerge(pool)
      tally = createTally()
      lastShape = null
      load = new Map()
      after = new Set()
      commitTimeUs = 0
      oldestCommitTimeUs = 0
      moved = false
      if (windows.size > 0) handOut()
      return batch
    },
  }
}
