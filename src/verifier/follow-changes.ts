/**
 * Follows a source's log and reads back every row that it touches, for as long as nobody ends it (docs/adr/0009; the rule is core/continuous.ts).
 *
 * Guarantees: what is recorded as a difference is none that was on its way; a checkpoint that is recorded has nothing before it that was not looked at, or
 * named as not looked at; difference, heal and checkpoint are recorded in one call. Nothing is locked and the stream is never waited for by anybody but this.
 * Assumes that the marks tell the truth of the target. Bounded memory: what the rule keeps, and one read of the log's socket.
 * Any error of an end comes out; the caller begins anew at the last checkpoint.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LogScope, Source, VerifiableSource, VerifiableTarget } from '../connectors/contract.ts'
import { createContinuous, type Key } from '../core/continuous.ts'
import { SyncError } from '../core/errors.ts'
import type { Position } from '../core/position.ts'
import { createTokenBucket } from '../core/token-bucket.ts'
import type { SchemaChange } from '../core/transaction.ts'
import type { Difference } from '../core/verification.ts'
import type { VerificationTrouble } from '../core/verification-control.ts'
import { createLogFollower } from './log-follower.ts'
import { createRowLooks, type Standings } from './row-looks.ts'
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
  const tables: WatchedTables = createWatchedTables(options.loads)
  const bucket = createTokenBucket(clock())
  bucket.setRate(settings.maxRowsPerSecond, clock())
  const open = new Map<string, OpenRow>()
  for (const row of options.open) open.set(nameOf(row), row)

  let counts = new Map<string, FollowCounts>()
  let found: FoundRow[] = []
  let healed: OpenRow[] = []
  let waiting: VerificationTrouble | null = null
  let [standingAtMs, recheckedAtMs, stepAtMs] = [-Infinity, clock(), -Infinity]

  const countsOf = (table: string): FollowCounts => {
    let entry = counts.get(table)
    if (entry === undefined) {
      entry = { changes: 0, rowsRead: 0, equal: 0 }
      counts.set(table, entry)
    }
    return entry
  }

  const log = createLogFollower({
    source,
    target: verifyTarget,
    core,
    tables,
    from,
    scope: options.scope,
    alteredBy: options.alteredBy,
    onChange: (table) => countsOf(table).changes++,
    onRead: give,
    clock,
    signal,
  })
  const looks = createRowLooks({
    source,
    verifySource,
    verifyTarget,
    core,
    tables,
    bucket,
    maxRowsPerSecond: settings.maxRowsPerSecond,
    onLooked(table, rowsRead, equalRows, equal) {
      const entry = countsOf(table)
      entry.rowsRead += rowsRead
      entry.equal += equalRows
      for (const key of equal) if (open.delete(nameOf({ table, key }))) healed.push({ table, key })
    },
    clock,
  })

  /** Takes what is proven by now to what is recorded next. */
  function give(): void {
    for (const { row, seenAtMs } of core.proven()) tell(row, seenAtMs)
  }
  function tell(difference: Difference, seenAtMs: number): void {
    const row = { table: difference.table, key: difference.key }
    if (open.size < mostOpenRows) open.set(nameOf(row), row)
    found.push({ difference, seenAt: new Date(Date.now() - (clock() - seenAtMs)) })
  }

  async function tick(): Promise<void> {
    const nowMs = clock()
    core.cut(() => log.here(), nowMs)
    if (tables.isDue(nowMs))
      for (const name of tables.planned(await options.plan(), clock())) core.forget(name)
    if (nowMs - recheckedAtMs >= settings.recheckMs) {
      recheckedAtMs = nowMs
      for (const { table, key } of open.values())
        if (tables.pairOf(table) !== null) core.again(table, key, nowMs)
    }
    if (core.size() === 0 && nowMs - standingAtMs < idleTickMs) return
    standingAtMs = nowMs
    const before = await looks.standings(tables.marks())
    for (const name of tables.stand(before, clock())) core.forget(name)
    const looked = await looks.lookAtDue(before)
    give()
    // The source finds a place in its log by reading the file from its start: only when nothing else makes room.
    if (looked === 0 && core.isFull()) await readAhead()
    waiting = looked > 0 ? null : waitsFor(before)
    if (!core.isFull()) log.goOn()
  }

  async function readAhead(): Promise<void> {
    const high = core.awaited()
    if (high === null) return
    const fateOf = await scout({
      source,
      from: log.position(),
      to: high,
      scope: options.scope,
      acknowledged: log.acknowledged(),
      keysOf: (name, shape) => tables.keysOf(name, shape),
      alteredBy: options.alteredBy,
      signal,
    })
    for (const { row, seenAtMs } of core.scouted(high, fateOf)) tell(row, seenAtMs)
  }

  function waitsFor(standings: Standings): VerificationTrouble | null {
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

  function step(): void {
    const states = tables.news()
    const nowMs = clock()
    if (found.length + healed.length + states.length === 0 && nowMs - stepAtMs < stepMs) return
    stepAtMs = nowMs
    const stuckBy = log.stuckBy()
    const oldest = core.oldestAtMs()
    record({
      checkpoint: core.checkpoint(() => log.position()),
      position: log.position(),
      counts,
      found,
      healed,
      tables: states,
      waiting: stuckBy === null ? waiting : troubleOf(stuckBy),
      pendingRows: core.size(),
      lagMs: log.lagMs(),
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
  tables.stand(await looks.standings(tables.marks()), clock())
  step()
  const both = [log.read(), look()]
  try {
    return await Promise.race(both)
  } finally {
    over.abort(new SyncError('SYNC-5150', 'one half of the run has ended'))
    await Promise.allSettled(both)
  }
}

const nameOf = ({ table, key }: OpenRow): string => `${table} ${JSON.stringify(key.map(String))}`

const troubleOf = ({ code, message, remedy }: SyncError): VerificationTrouble => ({ code, message, remedy })
