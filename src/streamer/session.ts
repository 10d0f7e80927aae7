/**
 * One life of an engine's connections: take over, finish what a predecessor left, then stream and load until something ends it.
 *
 * Guarantees: returns only when nothing of this session can write any more. Every error is a SyncError; the caller (engine.ts) decides by its
 * disposition. A definition change in scope ends the session with `restart` once the target was seen to fit it.
 * On a crash at any point the next session's `takeOver` finds the truth in the target.
 */
import type { LoadProgress, LogScope, Sink } from '../connectors/contract.ts'
import { SyncError } from '../core/errors.ts'
import { keyOrder } from '../core/key-order.ts'
import type { Position } from '../core/position.ts'
import { refusalOf } from '../core/quarantine.ts'
import { type TableId, type TableShape, tableName } from '../core/schema.ts'
import type { LogEvent } from '../core/transaction.ts'
import type { Held } from '../core/verification.ts'
import type { Alignments, Standstill } from './alignment.ts'
import { type Applier, createApplier } from './applier.ts'
import { asTextOf } from './as-text.ts'
import { type BatchSize, createBatchSize } from './batch-size.ts'
import { type Batcher, createBatcher, type SealedBatch } from './batcher.ts'
import { catchUp, explainedByLog } from './catch-up.ts'
import type { DefinitionContext } from './change-in-hand.ts'
import { type ChunkWriter, createChunkWriter } from './chunk-writer.ts'
import { passDefinitionChange } from './definition-change.ts'
import { type Definitions, readDefinitions, readFirstDefinitions } from './definitions.ts'
import type { Gates } from './gates.ts'
import { keyOrdinalsBy } from './key-ordinals.ts'
import { loadTables } from './loader.ts'
import { mapTables, ruleFor, schemaInScope } from './mapping.ts'
import type { EngineOptions } from './options.ts'
import { createOrderedPump } from './ordered-pump.ts'
import { createPump, type Pump } from './pump.ts'
import { createSessionQuarantine, type QuarantineContext, type SessionQuarantine } from './quarantine.ts'
import { reform } from './recovery.ts'
import { type Repairs, repairKeys } from './repair.ts'
import { type Router, UnknownTable } from './router.ts'
import { settleScope } from './scope-progress.ts'
import type { StatusBoard } from './status-board.ts'
import { runThrottle } from './throttle.ts'
import { createTurnstile, type Turnstile } from './turnstile.ts'
import { type Committed, createWholeApplier } from './whole-transactions.ts'

export interface SessionContext extends DefinitionContext, QuarantineContext {
  readonly epoch: bigint
  readonly board: StatusBoard
  readonly gates: Gates
  readonly alignments: Alignments
  readonly repairs: Repairs
  /** The whole pre-check, once in an engine's life: what a start had to leave open, because the log might have explained it. */
  readonly lookOnce: () => Promise<void>
  /** Source tables whose rows the log had when the source had them no more, by name; kept for an engine's life. */
  readonly goneTables: Map<string, TableId>
  /** Aborted when the engine is to drain. */
  readonly drain: AbortSignal
}

export type SessionEnd =
  | { readonly kind: 'drained'; readonly position: Position | null }
  | { readonly kind: 'restart' }

/** More at once only wait for each other at the target. */
const maxLoadWriters = 4

/** Bytes of a chunk in memory. */
const maxChunkBytes = 16 * 1024 * 1024

export async function runSession(context: SessionContext): Promise<SessionEnd> {
  const { target, options } = context
  // Global order writes on one connection, that of small batches; the lanes of a batch that was left unfinished are opened all the same.
  const lanes = options.order === 'global' ? 0 : options.lanes
  const sink = await target.sink(options.pipeline, {
    lanes,
    loadWriters: loadWriters(options),
    origin: options.origin,
    counters: context.board.meter.sink,
    refusedRows: options.quarantine?.maxDeadLetters ?? 0,
  })
  const quarantine = createSessionQuarantine(context, sink)
  try {
    return await runWithSink(context, sink, quarantine)
  } catch (error) {
    if (error instanceof UnknownTable) {
      context.goneTables.set(tableName(error.id), error.id)
      return { kind: 'restart' }
    }
    if (await quarantine.park(error)) return { kind: 'restart' }
    throw error
  } finally {
    await sink.close()
  }
}

async function runWithSink(
  wholeContext: SessionContext,
  sink: Sink,
  quarantine: SessionQuarantine,
): Promise<SessionEnd> {
  const resume = await sink.takeOver(wholeContext.epoch)
  quarantine.found(resume)
  // Until this session knows better: it may have tables to load that the one before had not.
  wholeContext.board.phase('starting')
  const context = { ...wholeContext, options: { ...wholeContext.options, rules: quarantine.rules() } }
  const { source, options, board } = context
  // The definitions after the position, and after all up to it is visible: the log shows a statement before the catalogue does (a source that
  // waits for a replica's word between the two may take seconds), and one that is not in the log to come must be in the catalogue.
  const position = resume.position ?? (await source.head())
  const from = resume.unfinished?.from ?? position
  await source.assertRetained(from)
  if (from !== position) await source.assertRetained(position)
  const definitions =
    resume.position === null
      ? await readFirstDefinitions(source, context.target, options, () => context.recheck(null))
      : await readDefinitions(source, context.target, options, resume.load, context.goneTables)
  const { router, shapes } = definitions
  if (resume.position === null) {
    await sink.begin(position)
    quarantine.confirmed(position)
  }
  const settled = await settleScope(context, sink, resume.load, shapes, resume.position === null)
  const load = settled.map((entry) => inPresentOrder(entry, shapes))
  // Of a batch that is unfinished, nothing is confirmed yet but its beginning.
  board.tookOver(from, resume.batch)

  const stream = source.follow(from, {
    acknowledged: context.acknowledged,
    scope: logScope(options.rules, router),
    counters: board.meter.reader,
  })
  board.follow(stream)
  const end = Promise.withResolvers<never>()
  end.promise.catch(() => {})
  const loadAbort = new AbortController()
  const closeStream = (): void => void stream.close()
  context.drain.addEventListener('abort', closeStream, { once: true })
  let pump: Pump | null = null
  let chunks: ChunkWriter | null = null
  try {
    if (context.drain.aborted) return { kind: 'drained', position }
    const applier = createApplier(
      sink,
      {
        ...options,
        scope: options.rules.map((rule) => JSON.stringify(rule)),
        sourceOf: (name) => router.sourceOf(name),
      },
      resume.batch,
      board.meter,
    )
    const events = stream[Symbol.asyncIterator]()
    let rest: readonly LogEvent[] = []
    if (resume.unfinished !== null) {
      const reformed = await reform(resume.unfinished, events, source.tracker(from), router)
      await applier.finish(resume.unfinished, reformed.merge, reformed.commitTimeUs)
      quarantine.confirmed(position)
      board.confirmed({ position, rows: reformed.merge.rows, batch: applier.batch() })
      rest = reformed.rest
    }

    const size = createBatchSize(options.batch)
    const batcher: Batcher = createBatcher(
      source.tracker(position),
      router,
      load,
      () => pump?.kick(),
      async (work, read) => {
        const at = batcher.position()
        await (chunks as ChunkWriter).write(work, (error) =>
          refusalOf(error, (name) => router.sourceOf(name), { destinations: [] }, { from: at, to: at }),
        )
        const rows = work.text?.taken.length ?? work.rows.length
        board.chunkWritten(rows)
        board.meter.copied(read.table, work.destination.id, rows, read.bytes)
      },
      options.order === 'global',
    )
    const batches = pumpFor(context, quarantine, batcher, applier, size, sink, end.reject)
    pump = batches
    board.pump(pump)
    const writer = createChunkWriter({
      sink,
      writers: loadWriters(options),
      sealedConfirmed: () => batches.sealedConfirmed(),
      onFailure: end.reject,
    })
    chunks = writer

    const ends = { source: source.pressure, target: context.target.pressure }
    runThrottle(context.gates, ends, loadAbort.signal).catch(end.reject)
    runLoad(context, batcher, pump, writer, sink, definitions, load, loadAbort.signal)
      .catch((error: unknown) => explainedByLog(context, error, batcher, loadAbort.signal))
      .catch(end.reject)
    const turnstile = createTurnstile(context.gates.stream, router, {
      beforeWaiting: () => pump?.kick(),
      onHeld: (commitTimeUs) => board.held(commitTimeUs),
      drain: context.drain,
      session: loadAbort.signal,
    })
    const standstill = context.alignments.enter({
      batcher,
      flush: () => batches.flush(),
      assertOwned: () => batches.between(() => sink.assertOwned()),
      tracker: (at) => source.tracker(at),
      incomplete: () => [...loadingTables(options, shapes, batcher), ...quarantine.parkedTables()],
      keyOrdinals: keyOrdinalsBy(shapes, router),
      heldBackBy: () => context.gates.stream.heldBackBy(),
    })
    context.repairs.enter((request) =>
      repairKeys(
        {
          snapshot: source.snapshot,
          batcher,
          writer,
          router,
          shapes,
          incomplete: () => [...loadingTables(options, shapes, batcher), ...quarantine.parkedTables()],
          signal: loadAbort.signal,
        },
        request,
      ),
    )
    const consume = consumeLog(
      { ...context, sink },
      quarantine,
      batcher,
      pump,
      turnstile,
      standstill,
      events,
      rest,
    )
    const released = Promise.withResolvers<SessionEnd>()
    quarantine.rejoin(pump, () => released.resolve({ kind: 'restart' })).catch(end.reject)
    return await Promise.race([consume, end.promise, released.promise])
  } finally {
    context.drain.removeEventListener('abort', closeStream)
    loadAbort.abort(new SyncError('SYNC-4001', 'The session ended'))
    pump?.stop()
    void chunks?.stop()
    await stream.close()
  }
}

function pumpFor(
  { options, board }: SessionContext,
  quarantine: SessionQuarantine,
  batcher: Batcher,
  applier: Applier,
  size: BatchSize,
  sink: Sink,
  onFailure: (error: unknown) => void,
): Pump {
  const timing = { maxDelayMs: options.batch.maxDelayMs, smallBatchRows: options.smallBatchRows }
  const onIdle = (ms: number): void => board.meter.held('lanesIdle', ms)
  if (options.order === 'global') {
    const whole = createWholeApplier(sink, applier.batch(), board.meter)
    const onCommitted = (committed: Committed): void => {
      quarantine.confirmed(committed.position)
      board.confirmed({ ...committed, batch: whole.batch() })
    }
    return createOrderedPump(batcher, whole, size, timing, onCommitted, onFailure, onIdle)
  }
  const onConfirmed = ({ to, merge }: SealedBatch): void => {
    quarantine.confirmed(to)
    board.confirmed({ position: to, rows: merge.rows, batch: applier.batch() })
  }
  return createPump(batcher, applier, size, timing, onConfirmed, onFailure, onIdle)
}

const logScope = (rules: SessionContext['options']['rules'], router: Router): LogScope => ({
  takesTable: (id) => ruleFor(rules, id) !== null,
  takesSchema: (schema) => schemaInScope(rules, schema),
  rowsOf(shape) {
    try {
      const route = router.route(shape)
      if (route === null) return 'none'
      return route.takesPacked ? 'packed' : 'values'
    } catch {
      // What cannot be routed is told when the consumer comes to it.
      return 'values'
    }
  },
})

const loadingTables = (
  { load }: EngineOptions,
  shapes: readonly TableShape[],
  batcher: Batcher,
): Held['incomplete'] =>
  shapes
    .map(({ id }) => tableName(id))
    .filter((table) => load.enabled && batcher.progress(table)?.done !== true)
    .map((table) => ({ table, why: 'loading' }))

/** One at least: repairs need it. It is connected when it has something to write. */
const loadWriters = ({ load }: EngineOptions): number =>
  load.enabled ? Math.min(load.chunksInFlight, maxLoadWriters) : 1

/** A key says how far a load got only in the order in which it was the last one; otherwise the table is loaded from its start. */
function inPresentOrder(progress: LoadProgress, shapes: readonly TableShape[]): LoadProgress {
  const { table, done, keyOrder: known } = progress
  const shape = done ? undefined : shapes.find(({ id }) => tableName(id) === table)
  if (shape === undefined || known === undefined || known === keyOrder(shape)) return progress
  return { table, after: null, rows: 0, done: false }
}

async function consumeLog(
  context: SessionContext & { readonly sink: Sink },
  quarantine: SessionQuarantine,
  batcher: Batcher,
  pump: Pump,
  turnstile: Turnstile,
  standstill: Standstill,
  events: AsyncIterator<readonly LogEvent[]>,
  rest: readonly LogEvent[],
): Promise<SessionEnd> {
  const { meter } = context.board
  const take = async (batch: readonly LogEvent[]): Promise<boolean> => {
    let startedAtMs = performance.now()
    const held = async (why: 'batchFull' | 'chunkWindow', wait: Promise<void>): Promise<void> => {
      meter.spent('merge', startedAtMs)
      await meter.hold(why, wait)
      startedAtMs = performance.now()
    }
    for (const event of batch) {
      const turn = turnstile.turn(event)
      if (turn !== null) await turn
      const before = pump.admit(event)
      if (before !== null) await held('batchFull', before)
      // After every other wait: what stands still must find nothing on its way.
      for (let wait = standstill.before(event); wait !== null; wait = standstill.before(event)) await wait
      if (event.kind === 'schema-change') {
        meter.spent('merge', startedAtMs)
        quarantine.assertNotRenamed(event)
        standstill.passing()
        const isOver = await passDefinitionChange(context, batcher, pump, event).catch((error: unknown) => {
          throw quarantine.named(error, event)
        })
        if (isOver) return true
        standstill.consumed(event)
        startedAtMs = performance.now()
      } else {
        batcher.consume(event)
        standstill.consumed(event)
        if (pump.isFull()) await held('batchFull', pump.room())
        for (let wait = batcher.windowRoom(); wait !== null; wait = batcher.windowRoom())
          await held('chunkWindow', wait)
      }
    }
    pump.kick()
    meter.spent('merge', startedAtMs)
    return false
  }
  try {
    if (await take(rest)) return { kind: 'restart' }
    for (;;) {
      const next = await events.next()
      if (next.done === true) break
      if (await take(next.value)) return { kind: 'restart' }
    }
  } catch (error) {
    // What was read before the error is good: a person who is asked to mend something finds the position right before it.
    await pump.finish().catch(() => {})
    throw error
  }
  if (!context.drain.aborted) throw new SyncError('SYNC-2101', 'The source ended the log stream')
  context.board.phase('draining')
  const chunksWritten = batcher.closeLoad()
  chunksWritten.catch(() => {})
  await pump.finish()
  await chunksWritten
  // Progress of the chunks that were the last.
  await pump.finish()
  return { kind: 'drained', position: context.board.status().position }
}

async function runLoad(
  context: SessionContext,
  batcher: Batcher,
  pump: Pump,
  writer: ChunkWriter,
  sink: Sink,
  definitions: Definitions,
  stored: readonly LoadProgress[],
  signal: AbortSignal,
): Promise<void> {
  const { source, options, board } = context
  const { router, shapes, targets } = definitions
  const progress = new Map(stored.map((entry) => [entry.table, entry]))
  const todo = options.load.enabled
    ? shapes
        .filter((shape) => stored.find((entry) => entry.table === tableName(shape.id))?.done !== true)
        .filter((shape) => takesPart(options, shape, targets))
    : []
  if (todo.length > 0) {
    const estimates = await source.snapshot.estimateRows(todo.map(({ id }) => id))
    const rowsBefore = stored.reduce((sum, entry) => sum + entry.rows, 0)
    const counters = board.loading({
      tables: shapes.length,
      tablesDone: shapes.length - todo.length,
      rows: rowsBefore,
      rowsEstimated: estimates.reduce(
        (sum, rows) => sum + rows,
        stored.filter((entry) => entry.done).reduce((sum, entry) => sum + entry.rows, 0),
      ),
    })
    await loadTables({
      snapshot: source.snapshot,
      batcher,
      tables: todo,
      progress,
      filterSql: (shape) => router.filterSql(shape),
      asText: (shape) => asTextOf(router, sink, shape),
      options: { ...options.load, maxChunkBytes },
      gate: context.gates.load,
      counters,
      onChunkRead: (startedAtMs) => void board.meter.spent('chunkRead', startedAtMs),
      signal,
    })
    await pump.flush()
  }
  await writer.closeWhenIdle()
  await catchUp(context, definitions, batcher, pump, signal)
}

/** A table that was made while the stream runs, and that the pipeline was told to leave out. */
const takesPart = (
  { rules, schemaChanges }: SessionContext['options'],
  { id }: TableShape,
  targets: Definitions['targets'],
): boolean =>
  schemaChanges?.createTable !== 'ignore' ||
  mapTables(rules, [id]).every(({ target }) => targets.has(tableName(target)))
