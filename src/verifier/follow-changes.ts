/**
 * Follows a source's log and reads back every row that it touches, for as long as nobody ends it (docs/adr/0009; the rule is core/continuous.ts).
 *
 * Guarantees: what is recorded as a difference is none that was on its way; a checkpoint that is recorded has nothing before it that was not looked at, or
 * named as not looked at; difference, heal and checkpoint are recorded in one call. Nothing is locked and the stream is never waited for by anybody but this.
 * Assumes that the marks tell the truth of the target. Bounded memory: what the rule keeps, and one read of the log's socket.
 * Any error of an end comes out; the caller begins anew at the last checkpoint.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  ComparedRow,
  LogScope,
  PositionTracker,
  Source,
  Standing,
  VerifiableSource,
  VerifiableTarget,
} from '../connectors/contract.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import { createContinuous, type Key, type Look, type Unequal } from '../core/continuous.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import type { LogCoordinate, Position } from '../core/position.ts'
import { tableName } from '../core/schema.ts'
import { createTokenBucket } from '../core/token-bucket.ts'
import type { LogEvent, SchemaChange, TransactionSlice } from '../core/transaction.ts'
import type { Difference } from '../core/verification.ts'
import type { VerificationTrouble } from '../core/verification-control.ts'
import { differenceOf, differingColumns } from './row-compare.ts'
import { scout } from './scout.ts'
import { createWatchedTables, type WatchedTable, type WatchedTables } from './watched-tables.ts'

export interface FollowSettings {
  readonly settleMs: number
  readonly maxPendingRows: number
  readonly maxRowsPerSecond: number
  /** Rows that differed are looked at again so often, whether they change or not. */
  readonly recheckMs: number
}

export interface FollowChanges {
  readonly source: Source
  readonly verifySource: VerifiableSource
  readonly verifyTarget: VerifiableTarget
  readonly settings: FollowSettings
  readonly from: Position
  /** Rows that were found to differ before. */
  readonly open: readonly OpenRow[]
  /** The tables that are meant, as both ends are now. */
  readonly plan: () => Promise<readonly WatchedTable[]>
  /** False: rows that were there before the start are not copied, so no table has to be loaded first. */
  readonly loads: boolean
  readonly scope: LogScope
  /** The tables (`schema.table`) that a statement of the log may have altered; null: any. */
  readonly alteredBy: (event: SchemaChange) => readonly string[] | null
  /** May throw; then nothing of the step counts. */
  readonly record: (step: FollowStep) => void
  readonly signal: AbortSignal
}

export interface OpenRow {
  readonly table: string
  readonly key: Key
}

export interface FoundRow {
  readonly difference: Difference
  /** When it was read unequal first. */
  readonly seenAt: Date
}

/** What is new since the step before. */
export interface FollowStep {
  readonly checkpoint: Position
  /** Where the reader of the log stands. */
  readonly position: Position
  readonly counts: ReadonlyMap<string, FollowCounts>
  readonly found: readonly FoundRow[]
  readonly healed: readonly OpenRow[]
  /** Tables whose state is another, and those that were planned anew. */
  readonly tables: readonly WatchedState[]
  /** What it waits for; null: nothing. */
  readonly waiting: VerificationTrouble | null
  readonly pendingRows: number
  /** Age of the last transaction that was read, by the source's clock; 0: all of the log is read. */
  readonly lagMs: number
  /** Age of the oldest change that was not read back yet. */
  readonly oldestMs: number
}

export interface FollowCounts {
  changes: number
  rowsRead: number
  equal: number
}

export interface WatchedState {
  readonly table: WatchedTable
  readonly trouble: VerificationTrouble | null
}

const tickMs = 200
const idleTickMs = 2_000
const stepMs = 1_000
/** With room for more, and without a transaction for as long, all of the log is read. */
const idleAfterMs = 1_500
const keysAtOnce = 400
const looksPerTick = 20
/** Beyond `settleMs`, before anybody is told that the target is behind. */
const patienceMs = 15_000
const mostOpenRows = 50_000

/** @throws the signal's reason when it is ended, or the error of an end */
export async function followChanges(options: FollowChanges): Promise<never> {
  const { source, verifySource, verifyTarget, settings, from, record } = options
  const over = new AbortController()
  const signal = AbortSignal.any([options.signal, over.signal])
  const clock = (): number => performance.now()
  const core = createContinuous<Difference>(
    { settleMs: settings.settleMs, maxPendingKeys: settings.maxPendingRows },
    from,
    clock(),
  )
  const tracker = source.tracker(from)
  const tables: WatchedTables = createWatchedTables(options.loads)
  const bucket = createTokenBucket(clock())
  bucket.setRate(settings.maxRowsPerSecond, clock())
  const open = new Map<string, OpenRow>()
  for (const row of options.open) open.set(nameOf(row), row)

  const acknowledged = new Set<string>()
  let counts = new Map<string, FollowCounts>()
  let found: FoundRow[] = []
  let healed: OpenRow[] = []
  let waiting: VerificationTrouble | null = null
  let coordinate: LogCoordinate = { file: 0, offset: 0 }
  /** Behind the last change that was kept: a target that has this has all of them. Null: where the reader stands. */
  let behindTouch: Position | null = null
  let lastCommitUs = 0
  /** Of the last transaction, when it was read. */
  let readLagMs = 0
  let tookAtMs = clock()
  let room = Promise.withResolvers<void>()
  let [standingAtMs, recheckedAtMs, stepAtMs] = [-Infinity, clock(), -Infinity]

  const countsOf = (table: string): FollowCounts => {
    let entry = counts.get(table)
    if (entry === undefined) {
      entry = { changes: 0, rowsRead: 0, equal: 0 }
      counts.set(table, entry)
    }
    return entry
  }
  const here = (): Position => behindTouch ?? tracker.position()

  // ------------------------------------------------------------------------------------------------------------ reading

  function takeSlice(slice: TransactionSlice): boolean {
    let isTouched = false
    const nowMs = clock()
    for (const { table: shape, before, after } of slice.changes) {
      const name = tableName(shape.id)
      const keysOf = tables.keysOf(name, shape)
      if (keysOf === null) continue
      isTouched = true
      countsOf(name).changes++
      for (const row of [before, after]) if (row !== null) core.touch(name, keysOf(row), nowMs)
    }
    return isTouched
  }

  function takeStatement(event: SchemaChange): boolean {
    const altered = options.alteredBy(event) ?? tables.names()
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
    coordinate = event.coordinate
    core.reached(coordinate)
    if (isTouched) core.cut(here, clock())
  }

  async function read(): Promise<never> {
    for (;;) {
      const stream = source.follow(tracker.position(), {
        acknowledged: [...acknowledged],
        scope: options.scope,
      })
      const close = (): void => void stream.close()
      signal.addEventListener('abort', close, { once: true })
      try {
        for await (const events of stream) {
          for (const event of events) {
            take(event)
            while (core.isFull()) await orAborted(room.promise, signal)
          }
          give()
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
  }

  /** What the log cannot tell (SYNC-2205), a person tells the engine to pass over. Where the target has passed it, so does this. */
  async function dealtWithByHand(error: SyncError): Promise<void> {
    const { at } = error.details
    if (error.disposition !== 'block' || typeof at !== 'string' || acknowledged.has(at)) throw error
    for (;;) {
      const standings = await Promise.all(tables.marks().map((mark) => verifyTarget.standing(mark)))
      if (standings.every((found) => found !== null && source.tracker(found.position).has(at))) break
      waiting = troubleOf(error)
      await sleep(idleTickMs, undefined, { signal })
    }
    acknowledged.add(at)
    for (const name of tables.names()) core.alter(name, clock())
  }

  // ------------------------------------------------------------------------------------------------------------ looking

  const standingsOf = async (marks: readonly string[]): Promise<ReadonlyMap<string, Standing | null>> =>
    new Map(await Promise.all(marks.map(async (mark) => [mark, await verifyTarget.standing(mark)] as const)))

  async function tick(): Promise<void> {
    const nowMs = clock()
    core.cut(here, nowMs)
    if (tables.isDue(nowMs))
      for (const name of tables.planned(await options.plan(), clock())) core.forget(name)
    if (nowMs - recheckedAtMs >= settings.recheckMs) {
      recheckedAtMs = nowMs
      for (const { table, key } of open.values())
        if (tables.pairOf(table) !== null) core.again(table, key, nowMs)
    }
    if (core.size() === 0 && nowMs - standingAtMs < idleTickMs) return
    standingAtMs = nowMs
    const before = await standingsOf(tables.marks())
    for (const name of tables.stand(before, clock())) core.forget(name)
    const looked = await lookAtDue(before)
    // The source finds a place in its log by reading the file from its start: only when nothing else makes room.
    if (looked === 0 && core.isFull()) await readAhead()
    waiting = looked > 0 ? null : waitsFor(before)
    if (!core.isFull()) {
      room.resolve()
      room = Promise.withResolvers()
    }
  }

  async function lookAtDue(before: ReadonlyMap<string, Standing | null>): Promise<number> {
    if (core.pieces().length === 0) return 0
    const head = source.tracker(await source.head())
    const covered = new Map<string, number>()
    for (const [mark, standing] of before)
      covered.set(mark, standing === null ? -1 : coveredUpTo([source.tracker(standing.position), head]))
    const looks: { readonly look: Look; readonly seen: Seen }[] = []
    while (looks.length < looksPerTick && bucket.waitMs(clock()) === 0) {
      const most = Math.max(1, Math.min(keysAtOnce, settings.maxRowsPerSecond))
      const look = core.due(
        (name) => (tables.pairOf(name) === null ? -1 : (covered.get(tables.markOf(name)) ?? -1)),
        most,
        clock(),
      )
      if (look === null) break
      bucket.take(look.keys.length, clock())
      try {
        looks.push({ look, seen: await lookAt(look, tables.pairOf(look.table) as TablePair) })
      } catch (thrown) {
        core.release(look)
        const error = asSyncError(thrown)
        if (error.disposition !== 'reject') throw error
        // Altered at one of the ends: what stands in the log, or at the target, tells more.
        tables.planAnew([look.table])
      }
    }
    if (looks.length === 0) return 0
    const after = await standingsOf([...new Set(looks.map(({ look }) => tables.markOf(look.table)))])
    for (const { look, seen } of looks) {
      const mark = tables.markOf(look.table)
      const session = after.get(mark)?.session
      if (session === undefined || session !== before.get(mark)?.session) core.release(look)
      else judge(look, seen)
    }
    give()
    return looks.length
  }

  interface Seen {
    readonly unequal: readonly Unequal<Difference>[]
    readonly high: LogCoordinate
  }

  /** The target first: what the source shows later can only be newer. */
  async function lookAt({ keys }: Look, pair: TablePair): Promise<Seen> {
    const target = byIdentity(await verifyTarget.rowsNow(pair.target, keys))
    const { rows, high } = await verifySource.rowsNow(pair.source, keys)
    const there = byIdentity(rows)
    const unequal: Unequal<Difference>[] = []
    for (const identity of new Set([...there.keys(), ...target.keys()])) {
      const [s, t] = [there.get(identity), target.get(identity)]
      if (s !== undefined && t !== undefined && differingColumns(pair, s, t).length === 0) continue
      const read = [s, t].filter((row) => row !== undefined)
      unequal.push({ keys: read.map(({ key }) => key), row: differenceOf(pair, s, t) })
    }
    return { unequal, high }
  }

  function judge(look: Look, { unequal, high }: Seen): void {
    const equal = core.found(look, unequal, high, clock())
    if (equal === null) return
    const { table } = look
    const entry = countsOf(table)
    entry.rowsRead += look.keys.length
    entry.equal += Math.max(equal.length, look.keys.length - unequal.length)
    for (const key of equal) if (open.delete(nameOf({ table, key }))) healed.push({ table, key })
  }

  /** Takes what is proven by now to what is recorded next. */
  function give(): void {
    for (const { row, seenAtMs } of core.proven()) tell(row, seenAtMs)
  }
  function tell(difference: Difference, seenAtMs: number): void {
    const row = { table: difference.table, key: difference.key }
    if (open.size < mostOpenRows) open.set(nameOf(row), row)
    found.push({ difference, seenAt: new Date(Date.now() - (clock() - seenAtMs)) })
  }

  async function readAhead(): Promise<void> {
    const high = core.awaited()
    if (high === null) return
    const fateOf = await scout({
      source,
      from: tracker.position(),
      to: high,
      scope: options.scope,
      acknowledged: [...acknowledged],
      keysOf: (name, shape) => tables.keysOf(name, shape),
      alteredBy: options.alteredBy,
      signal,
    })
    for (const { row, seenAtMs } of core.scouted(high, fateOf)) tell(row, seenAtMs)
  }

  function coveredUpTo(all: readonly PositionTracker[]): number {
    const pieces = core.pieces()
    let [low, high] = [0, pieces.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const end = pieces[middle]?.end as Position
      if (all.every((one) => one.covers(end))) low = middle + 1
      else high = middle
    }
    return pieces[low - 1]?.ordinal ?? -1
  }

  function waitsFor(standings: ReadonlyMap<string, Standing | null>): VerificationTrouble | null {
    const oldest = core.oldestAtMs()
    const ageMs = oldest === null ? 0 : clock() - oldest
    const isUnwritten = [...standings.values()].some((standing) => standing === null)
    if (!isUnwritten && ageMs < settings.settleMs + patienceMs) return null
    return troubleOf(
      new SyncError(
        'SYNC-5130',
        isUnwritten
          ? 'the pipeline has written nothing at its target yet'
          : `the target does not have what was logged ${Math.round(ageMs / 1000)} s ago`,
      ),
    )
  }

  // ---------------------------------------------------------------------------------------------------------- recording

  /** How old what is read is when it is read. An idle source sends nothing that is new; a reader that may not read on falls behind by the clock. */
  function lagMs(): number {
    if (lastCommitUs === 0) return 0
    if (core.isFull()) return Math.max(0, Math.round(Date.now() - lastCommitUs / 1000))
    return clock() - tookAtMs > idleAfterMs ? 0 : readLagMs
  }

  function step(): void {
    const states = tables.news()
    const nowMs = clock()
    if (found.length + healed.length + states.length === 0 && nowMs - stepAtMs < stepMs) return
    stepAtMs = nowMs
    const oldest = core.oldestAtMs()
    record({
      checkpoint: core.checkpoint(() => tracker.position()),
      position: tracker.position(),
      counts,
      found,
      healed,
      tables: states,
      waiting,
      pendingRows: core.size(),
      lagMs: lagMs(),
      oldestMs: oldest === null ? 0 : Math.round(nowMs - oldest),
    })
    counts = new Map()
    found = []
    healed = []
  }

  async function look(): Promise<never> {
    for (;;) {
      await sleep(tickMs, undefined, { signal })
      await tick()
      step()
    }
  }

  await source.assertRetained(from)
  tables.planned(await options.plan(), clock())
  tables.stand(await standingsOf(tables.marks()), clock())
  step()
  const both = [read(), look()]
  try {
    return await Promise.race(both)
  } finally {
    over.abort(new SyncError('SYNC-5150', 'one half of the run has ended'))
    await Promise.allSettled(both)
  }
}

const nameOf = ({ table, key }: OpenRow): string => `${table} ${JSON.stringify(key.map(String))}`

const byIdentity = (rows: readonly ComparedRow[]): Map<string, ComparedRow> =>
  new Map(rows.map((row) => [row.identity, row]))

const troubleOf = ({ code, message, remedy }: SyncError): VerificationTrouble => ({ code, message, remedy })

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
