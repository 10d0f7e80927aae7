/**
 * One life of an engine's connections: take over, finish what a predecessor left, then stream and load until something ends it.
 *
 * Guarantees: returns only when nothing of this session can write any more. Every error is a SyncError; the caller (engine.ts) decides by its
 * disposition. A definition change in scope ends the session with `restart` once the target was seen to fit it.
 * On a crash at any point the next session's `takeOver` finds the truth in the target.
 */
import type { LoadProgress, Sink, Source, Target } from '../connectors/contract.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import type { Position } from '../core/position.ts'
import { type TableShape, tableName } from '../core/schema.ts'
import type { LogEvent, SchemaChange } from '../core/transaction.ts'
import { createApplier } from './applier.ts'
import { type Batcher, createBatcher } from './batcher.ts'
import { loadTables } from './loader.ts'
import { mapTables, ruleFor, schemaInScope } from './mapping.ts'
import type { EngineOptions } from './options.ts'
import { createPump, type Pump } from './pump.ts'
import { reform } from './recovery.ts'
import { createRouter, type Router } from './router.ts'
import { effectOf } from './schema-change.ts'
import type { StatusBoard } from './status-board.ts'

export interface SessionContext {
  readonly source: Source
  readonly target: Target
  readonly options: EngineOptions
  readonly epoch: bigint
  readonly acknowledged: readonly string[]
  /** Definition changes that the target was seen to fit in this engine's life. */
  readonly fitted: Set<string>
  readonly board: StatusBoard
  /** Aborted when the engine is to drain. */
  readonly drain: AbortSignal
  /** Looks whether the target fits the source's definitions as they are now, and creates what may be created. @throws SyncError */
  readonly recheck: () => Promise<void>
}

export type SessionEnd =
  | { readonly kind: 'drained'; readonly position: Position | null }
  | { readonly kind: 'restart' }

/** A goal reached within this time means that the stream keeps up. */
const caughtUpWithinMs = 3_000

/** Bytes of a chunk in memory. */
const maxChunkBytes = 16 * 1024 * 1024

export async function runSession(context: SessionContext): Promise<SessionEnd> {
  const { target, options } = context
  const sink = await target.sink(options.pipeline, { lanes: options.lanes, origin: options.origin })
  try {
    return await runWithSink(context, sink)
  } finally {
    await sink.close()
  }
}

async function runWithSink(context: SessionContext, sink: Sink): Promise<SessionEnd> {
  const { source, options, board } = context
  const resume = await sink.takeOver(context.epoch)
  const { router, shapes } = await openRouter(context)
  const position = resume.position ?? (await source.head())
  if (resume.position === null) await sink.begin(position)
  const from = resume.unfinished?.from ?? position
  await source.assertRetained(from)
  board.tookOver(position, resume.batch)

  const stream = source.follow(from, { acknowledged: context.acknowledged })
  board.follow(stream)
  const end = Promise.withResolvers<never>()
  end.promise.catch(() => {})
  const loadAbort = new AbortController()
  const closeStream = (): void => void stream.close()
  context.drain.addEventListener('abort', closeStream, { once: true })
  let pump: Pump | null = null
  try {
    if (context.drain.aborted) return { kind: 'drained', position }
    const applier = createApplier(
      sink,
      { ...options, scope: options.rules.map((rule) => JSON.stringify(rule)) },
      resume.batch,
    )
    const events = stream[Symbol.asyncIterator]()
    let rest: readonly LogEvent[] = []
    if (resume.unfinished !== null) {
      const reformed = await reform(resume.unfinished, events, source.tracker(from), router)
      await applier.finish(resume.unfinished, reformed.merge, reformed.commitTimeUs)
      board.confirmed({ position, rows: reformed.merge.rows, batch: applier.batch() })
      rest = reformed.rest
    }

    const batcher: Batcher = createBatcher(source.tracker(position), router, resume.load, () => pump?.kick())
    pump = createPump(
      batcher,
      applier,
      { ...options.batch, smallBatchRows: options.smallBatchRows },
      (batch) => board.confirmed({ position: batch.to, rows: batch.merge.rows, batch: applier.batch() }),
      end.reject,
    )
    board.pump(pump)

    const load = runLoad(context, batcher, pump, router, shapes, resume.load, loadAbort.signal)
    load.catch(end.reject)
    const consume = consumeLog(context, batcher, pump, events, rest)
    return await Promise.race([consume, end.promise])
  } finally {
    context.drain.removeEventListener('abort', closeStream)
    loadAbort.abort(new SyncError('SYNC-4001', 'The session ended'))
    pump?.stop()
    await stream.close()
  }
}

async function openRouter(
  context: SessionContext,
): Promise<{ router: Router; shapes: readonly TableShape[] }> {
  const { source, target, options } = context
  const schemas = (await source.schemas()).filter((schema) => schemaInScope(options.rules, schema))
  const shapes = (await source.tables(schemas)).filter((shape) => ruleFor(options.rules, shape.id) !== null)
  const mappings = mapTables(
    options.rules,
    shapes.map((shape) => shape.id),
  )
  const router = createRouter(
    options.rules,
    shapes,
    await target.tables(mappings.map((mapping) => mapping.target)),
  )
  // Every table is routed now: what does not fit is known before the first row, not at it.
  for (const shape of shapes) router.route(shape)
  return { router, shapes }
}

async function consumeLog(
  context: SessionContext,
  batcher: Batcher,
  pump: Pump,
  events: AsyncIterator<readonly LogEvent[]>,
  rest: readonly LogEvent[],
): Promise<SessionEnd> {
  const take = async (batch: readonly LogEvent[]): Promise<boolean> => {
    for (const event of batch) {
      if (event.kind === 'schema-change') {
        if (await changeSchema(context, batcher, pump, event)) return true
      } else {
        batcher.consume(event)
        if (pump.isFull()) await pump.room()
        for (let wait = batcher.windowRoom(); wait !== null; wait = batcher.windowRoom()) await wait
      }
    }
    pump.kick()
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
    await pump.flush().catch(() => {})
    throw error
  }
  if (!context.drain.aborted) throw new SyncError('SYNC-2101', 'The source ended the log stream')
  context.board.phase('draining')
  await pump.flush()
  return { kind: 'drained', position: batcher.position() }
}

/** @returns true when the session must start again with the new definitions */
async function changeSchema(
  context: SessionContext,
  batcher: Batcher,
  pump: Pump,
  event: SchemaChange,
): Promise<boolean> {
  const { rules } = context.options
  const effect = effectOf(event.statement, event.schema)
  const words = event.statement.length > 200 ? `${event.statement.slice(0, 200)}...` : event.statement
  const concerned =
    effect.kind === 'unknown' ||
    (effect.kind === 'schema-dropped' && schemaInScope(rules, effect.schema)) ||
    ((effect.kind === 'rows' || effect.kind === 'definition') &&
      effect.tables.some((id) => ruleFor(rules, id) !== null))
  // CREATE TABLE ... SELECT is one transaction with its rows: its position moves with the last row, so a new session meets it again.
  if (!concerned || context.fitted.has(event.id)) {
    batcher.pass(event)
    return false
  }
  await pump.flush()
  const isAcknowledged = context.acknowledged.includes(event.id)
  if (!isAcknowledged && effect.kind === 'unknown')
    throw new SyncError(
      'SYNC-2301',
      `A statement that is not understood may concern tables in scope: ${words}`,
      {
        remedy: 'Do at the target what the statement needs, then resume to go on after it.',
        details: { at: event.id },
      },
    )
  if (!isAcknowledged && effect.kind !== 'definition')
    throw new SyncError('SYNC-2302', `The source ran: ${words}`, { details: { at: event.id } })
  try {
    await context.recheck()
    await openRouter(context)
  } catch (error) {
    const cause = asSyncError(error)
    if (cause.disposition !== 'block') throw cause
    throw new SyncError(
      'SYNC-2301',
      `The source ran: ${words}. The target does not fit it: ${cause.message}`,
      {
        remedy: `Make the same change at the target, then resume. ${cause.remedy}`,
        cause,
      },
    )
  }
  context.fitted.add(event.id)
  batcher.pass(event)
  await pump.flush()
  return true
}

async function runLoad(
  context: SessionContext,
  batcher: Batcher,
  pump: Pump,
  router: Router,
  shapes: readonly TableShape[],
  stored: readonly LoadProgress[],
  signal: AbortSignal,
): Promise<void> {
  const { source, options, board } = context
  const progress = new Map(stored.map((entry) => [entry.table, entry]))
  const todo = options.load.enabled
    ? shapes.filter((shape) => stored.find((entry) => entry.table === tableName(shape.id))?.done !== true)
    : []
  if (todo.length > 0) {
    const estimates = await Promise.all(todo.map((shape) => source.snapshot.estimateRows(shape.id)))
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
      options: { ...options.load, maxChunkBytes },
      counters,
      signal,
    })
    await pump.flush()
  }
  await catchUp(context, batcher, pump, signal)
}

/** Moves to phase `streaming` once the log's head of a moment ago was reached within a short time. */
async function catchUp(
  context: SessionContext,
  batcher: Batcher,
  pump: Pump,
  signal: AbortSignal,
): Promise<void> {
  context.board.phase('catching-up')
  for (;;) {
    const goal = await context.source.head()
    const startedAtMs = performance.now()
    while (!batcher.covers(goal)) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (signal.aborted) return
    }
    await pump.flush()
    if (signal.aborted) return
    if (performance.now() - startedAtMs < caughtUpWithinMs) break
  }
  context.board.phase('streaming')
}
