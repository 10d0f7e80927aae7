/**
 * The half of a continuous verification that reads the log: tells the rule (core/continuous.ts) which rows are touched, table by table, in the log's order.
 *
 * Guarantees: `reached` and the end of a piece never run ahead of the touches before them. Where the rule has no room, it stops reading and drops nothing. What the log
 * cannot tell is waited for until the target has passed it, for a person has to deal with it there as well. After a crash it begins again at the checkpoint.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LogScope, Source, VerifiableTarget } from '../connectors/contract.ts'
import type { Continuous } from '../core/continuous.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import type { Position } from '../core/position.ts'
import { tableName } from '../core/schema.ts'
import type { LogEvent, SchemaChange, TransactionSlice } from '../core/transaction.ts'
import type { WatchedTables } from './watched-tables.ts'

export interface LogFollowerDeps {
  readonly source: Source
  readonly target: Pick<VerifiableTarget, 'standing'>
  readonly core: Pick<Continuous<unknown>, 'touch' | 'alter' | 'reached' | 'cut' | 'isFull'>
  readonly tables: WatchedTables
  readonly from: Position
  readonly scope: LogScope
  /** The tables (`schema.table`) that a statement of the log may have altered; null: any. */
  readonly alteredBy: (event: SchemaChange) => readonly string[] | null
  /** A change of a table that is looked at. */
  readonly onChange: (table: string) => void
  /** All events of one read of the socket are told. */
  readonly onRead: () => void
  readonly clock: () => number
  readonly signal: AbortSignal
}

export interface LogFollower {
  /** @throws the signal's reason, or the error of an end */
  read(): Promise<never>
  position(): Position
  /** Behind the last change that was kept: a target that has this has all of them. */
  here(): Position
  /** Transactions that a person has dealt with. */
  acknowledged(): readonly string[]
  /** What a person has to deal with before it reads on; null: nothing. */
  stuckBy(): SyncError | null
  /** Age of the last transaction when it was read, by the source's clock; 0: all of the log is read. */
  lagMs(): number
  /** The rule may have room again. */
  goOn(): void
}

/** With room for more, and without a transaction for as long, all of the log is read. */
const idleAfterMs = 1_500
const stuckPollMs = 2_000

export function createLogFollower(deps: LogFollowerDeps): LogFollower {
  const { source, core, tables, clock, signal } = deps
  const tracker = source.tracker(deps.from)
  const acknowledged = new Set<string>()
  /** Null: where the reader stands. */
  let behindTouch: Position | null = null
  let lastCommitUs = 0
  /** Of the last transaction, when it was read. */
  let readLagMs = 0
  let tookAtMs = clock()
  let room = Promise.withResolvers<void>()
  let stuckBy: SyncError | null = null

  const here = (): Position => behindTouch ?? tracker.position()

  function takeSlice(slice: TransactionSlice): boolean {
    let isTouched = false
    const nowMs = clock()
    for (const { table: shape, before, after } of slice.changes) {
      const name = tableName(shape.id)
      const keysOf = tables.keysOf(name, shape)
      if (keysOf === null) continue
      isTouched = true
      deps.onChange(name)
      for (const row of [before, after]) if (row !== null) core.touch(name, keysOf(row), nowMs)
    }
    return isTouched
  }

  function takeStatement(event: SchemaChange): boolean {
    const altered = deps.alteredBy(event) ?? tables.names()
    if (altered.length === 0) return false
    tables.planAnew(altered)
    for (const name of altered) core.alter(name, clock())
    return true
  }

  function take(event: LogEvent): void {
    const isTouched =
      event.kind === 'slice'
        ? takeSlice(event)
        : event.kind === 'schema-change'
          ? takeStatement(event)
          : false
    // Asked for only where the two part: the text of a position is not for nothing.
    if (isTouched) behindTouch = null
    else if (event.kind !== 'progress') behindTouch ??= tracker.position()
    if (event.kind !== 'progress') tracker.advance(event)
    if (event.kind === 'slice' || event.kind === 'schema-change') {
      lastCommitUs = event.commitTimeUs
      readLagMs = Math.max(0, Math.round(Date.now() - lastCommitUs / 1000))
    }
    // A heartbeat is no news.
    if (event.kind !== 'progress') tookAtMs = clock()
    core.reached(event.coordinate)
    if (isTouched) core.cut(here, clock())
  }

  /** What the log cannot tell (SYNC-2205), a person tells the engine to pass over. Where the target has passed it, so does this. */
  async function dealtWithByHand(error: SyncError): Promise<void> {
    const { at } = error.details
    if (error.disposition !== 'block' || typeof at !== 'string' || acknowledged.has(at)) throw error
    for (;;) {
      const standings = await Promise.all(tables.marks().map((mark) => deps.target.standing(mark)))
      if (standings.every((found) => found !== null && source.tracker(found.position).has(at))) break
      stuckBy = error
      await sleep(stuckPollMs, undefined, { signal })
    }
    stuckBy = null
    acknowledged.add(at)
    for (const name of tables.names()) core.alter(name, clock())
  }

  return {
    async read() {
      for (;;) {
        const stream = source.follow(tracker.position(), {
          acknowledged: [...acknowledged],
          scope: deps.scope,
        })
        const close = (): void => void stream.close()
        signal.addEventListener('abort', close, { once: true })
        try {
          for await (const events of stream) {
            for (const event of events) {
              take(event)
              while (core.isFull()) await orAborted(room.promise, signal)
            }
            deps.onRead()
          }
          signal.throwIfAborted()
          throw new SyncError('SYNC-2101', 'The source ended the stream of its log')
        } catch (thrown) {
          signal.throwIfAborted()
          await dealtWithByHand(asSyncError(thrown))
        } finally {
          signal.removeEventListener('abort', close)
          await stream.close()
        }
      }
    },
    position: () => tracker.position(),
    here,
    acknowledged: () => [...acknowledged],
    stuckBy: () => stuckBy,
    lagMs() {
      if (lastCommitUs === 0) return 0
      // A reader that may not read on falls behind by the clock; an idle source sends nothing that is new.
      if (core.isFull()) return Math.max(0, Math.round(Date.now() - lastCommitUs / 1000))
      return clock() - tookAtMs > idleAfterMs ? 0 : readLagMs
    },
    goOn() {
      room.resolve()
      room = Promise.withResolvers()
    },
  }
}

const orAborted = (promise: Promise<void>, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    void promise.then(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
  })
