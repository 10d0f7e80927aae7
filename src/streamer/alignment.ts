/**
 * Lets an engine stand still at one position of the source for as long as somebody opens snapshots of both ends (docs/adr/0008).
 *
 * Guarantees: from `held` until `runTo`, and from `reached` until `release`, nothing is taken from the log: the tables that are loaded stand at the
 * position told. It is always between two transactions. `reached` covers all of `low`, and what it covers beyond `low` is named, key by key.
 * `release` resolves only if no other engine had taken the target over until then (the fence is asked), so snapshots that were opened between
 * `reached` and `release` show that position; where it rejects they are worth nothing.
 * An engine that hears nothing goes on by itself; a drain, the end of a session, or a limit of time ends an alignment with its reason in `lost`.
 * Limits of rates, and gates that are closed, hold on the way to `high` too: nothing passes them for a verification. To stand still needs no turn.
 * All of it is memory: after a crash nobody stands still.
 */
import type { PositionTracker } from '../connectors/contract.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import { compareCoordinates, type LogCoordinate, type Position } from '../core/position.ts'
import { type TableShape, tableName } from '../core/schema.ts'
import type { LogEvent, TransactionSlice } from '../core/transaction.ts'
import { keyOf, type Value } from '../core/value.ts'
import type { Held, Reached, RunTo } from '../core/verification.ts'
import type { Batcher } from './batcher.ts'

export interface AlignmentLimits {
  /** How long the engine stands without a word from whoever aligned it. */
  readonly holdMs: number
  /** How long it may take to come to a stand, and to get to `high`. */
  readonly reachMs: number
}

export const defaultAlignmentLimits: AlignmentLimits = { holdMs: 10_000, reachMs: 60_000 }

/** More would take longer to look at again than a new alignment takes. */
export const maxKeysInDoubt = 10_000

export interface Alignment {
  /** The engine stands. @throws SYNC-5120 */
  readonly held: Promise<Held>
  /** Once, when held: the engine takes the log to `high` and stands again. @throws SYNC-5120 */
  runTo(range: RunTo): Promise<Reached>
  /** The engine goes on. After `reached`: resolves if it stood until this call, as the only one who could write. @throws SYNC-5120 */
  release(): Promise<void>
  /** Resolves when the alignment is lost, with the reason; stays open when it is released before. */
  readonly lost: Promise<SyncError>
}

/** What a session lends. */
export interface AlignedSession {
  readonly batcher: Pick<Batcher, 'isInside' | 'position' | 'coordinate' | 'covers'>
  /** Resolves when all that was consumed is confirmed. */
  flush(): Promise<void>
  /** A word with the target under the session's fence, between two batches. Rejects when somebody newer is there. */
  assertOwned(): Promise<void>
  tracker(from: Position): PositionTracker
  incomplete(): Held['incomplete']
  /** Ordinals of the key in the log's shape of a table; null: it takes no part. */
  keyOrdinals(shape: TableShape): readonly number[] | null
  /** What holds the stream back now, in words. */
  heldBackBy(): string | null
}

/** The consumer's side. */
export interface Standstill {
  /** Asked before an event is consumed, until it gives null: the event has to wait. */
  before(event: LogEvent): Promise<void> | null
  /** Told when an event was consumed. */
  consumed(event: LogEvent): void
  /** A change of a definition is being passed, with waits of its own: nobody stands still in the middle of that. */
  passing(): void
}

export interface Alignments {
  /** @throws SYNC-5121 while another is under way, SYNC-5120 when the engine ends */
  align(limits?: Partial<AlignmentLimits>): Alignment
  enter(session: AlignedSession): Standstill
  /** The session is over. Whoever waits for a stand goes on waiting, for the next session. */
  leave(reason: string): void
  /** The engine ends. */
  end(reason: string): void
  isStanding(): boolean
}

type Stage = 'wanted' | 'stopping' | 'held' | 'running' | 'arriving' | 'reached' | 'releasing' | 'over'

const standing: readonly Stage[] = ['stopping', 'held', 'arriving', 'reached', 'releasing']

interface Current {
  stage: Stage
  readonly limits: AlignmentLimits
  readonly held: PromiseWithResolvers<Held>
  readonly reached: PromiseWithResolvers<Reached>
  readonly lost: PromiseWithResolvers<SyncError>
  /** Resolved when the consumer may go on. */
  turn: PromiseWithResolvers<void>
  run: { readonly high: LogCoordinate; readonly low: PositionTracker; readonly lowAt: Position } | null
  readonly doubt: Map<string, Reached['inDoubt'][number]>
  isDoubtCut: boolean
  timer: NodeJS.Timeout | undefined
  error: SyncError | null
}

export function createAlignments(): Alignments {
  let current: Current | null = null
  let session: AlignedSession | null = null
  let isPassing = false
  let ended: string | null = null

  function over(alignment: Current): void {
    alignment.stage = 'over'
    clearTimeout(alignment.timer)
    alignment.turn.resolve()
    if (current === alignment) current = null
  }

  function lose(alignment: Current, reason: string): SyncError {
    const error = new SyncError('SYNC-5120', `The engine no longer stands aligned: ${reason}`)
    if (alignment.stage === 'over') return alignment.error ?? error
    alignment.error = error
    over(alignment)
    alignment.held.reject(error)
    alignment.reached.reject(error)
    alignment.lost.resolve(error)
    return error
  }

  function within(alignment: Current, ms: number, reason: () => string): void {
    clearTimeout(alignment.timer)
    alignment.timer = setTimeout(() => void lose(alignment, reason()), ms).unref()
  }

  const withoutWord = (alignment: Current): void => {
    const { holdMs } = alignment.limits
    within(alignment, holdMs, () => `it heard nothing for ${holdMs} ms and went on`)
  }

  /** Stands, and says so once all that was consumed is at the target. */
  function stand(
    alignment: Current,
    at: AlignedSession,
    stage: 'stopping' | 'arriving',
    say: () => void,
  ): void {
    alignment.stage = stage
    // Whoever waits since the stand before asks again, and waits for this one.
    alignment.turn.resolve()
    alignment.turn = Promise.withResolvers()
    at.flush().then(
      () => {
        if (alignment.stage === stage) say()
      },
      // Whatever failed ends the session, which loses the alignment.
      () => {},
    )
  }

  function standIfWanted(): void {
    const alignment = current
    const at = session
    if (alignment?.stage !== 'wanted' || at === null || isPassing || at.batcher.isInside()) return
    stand(alignment, at, 'stopping', () => {
      alignment.stage = 'held'
      withoutWord(alignment)
      alignment.held.resolve({ position: at.batcher.position(), incomplete: at.incomplete() })
    })
  }

  function arrive(alignment: Current, at: AlignedSession): void {
    stand(alignment, at, 'arriving', () => {
      const { lowAt } = alignment.run as NonNullable<Current['run']>
      const position = at.batcher.position()
      if (!at.batcher.covers(lowAt)) {
        lose(alignment, 'the end that was told lies before its beginning; it may be that of another server')
        return
      }
      alignment.stage = 'reached'
      withoutWord(alignment)
      alignment.reached.resolve({
        position,
        inDoubt: [...alignment.doubt.values()],
        isDoubtCut: alignment.isDoubtCut,
      })
    })
  }

  function noteDoubt(alignment: Current, at: AlignedSession, slice: TransactionSlice): void {
    if (alignment.isDoubtCut || alignment.run?.low.has(slice.id) !== false) return
    for (const { table, before, after } of slice.changes) {
      const ordinals = at.keyOrdinals(table)
      if (ordinals === null) continue
      const name = tableName(table.id)
      for (const row of [before, after]) {
        if (row === null) continue
        const key = ordinals.map((ordinal) => row[ordinal] as Value)
        alignment.doubt.set(`${name}\0${keyOf(row, ordinals)}`, { table: name, key })
      }
      if (alignment.doubt.size > maxKeysInDoubt) {
        alignment.isDoubtCut = true
        alignment.doubt.clear()
        return
      }
    }
  }

  function run(alignment: Current, { low, high }: RunTo): Promise<Reached> {
    const at = session
    if (alignment.error !== null) return Promise.reject(alignment.error)
    if (alignment.stage !== 'held' || at === null)
      return Promise.reject(
        new SyncError('SYNC-9001', `an alignment was told to run while ${alignment.stage}`),
      )
    const lowest = at.tracker(low)
    if (!lowest.covers(at.batcher.position()))
      return Promise.reject(
        lose(alignment, 'the source that was looked at had not shown all that it has logged'),
      )
    alignment.run = { high, low: lowest, lowAt: low }
    const { reachMs } = alignment.limits
    within(alignment, reachMs, () => {
      const why = at.heldBackBy()
      return `it did not get to the end told within ${reachMs} ms${why === null ? '' : `; it is held back by ${why}`}`
    })
    alignment.stage = 'running'
    if (compareCoordinates(at.batcher.coordinate(), high) >= 0) arrive(alignment, at)
    else alignment.turn.resolve()
    return alignment.reached.promise
  }

  async function release(alignment: Current): Promise<void> {
    if (alignment.error !== null) throw alignment.error
    if (alignment.stage === 'over') return
    const at = session
    if (alignment.stage !== 'reached' || at === null) return over(alignment)
    alignment.stage = 'releasing'
    const { reachMs } = alignment.limits
    within(alignment, reachMs, () => `the target did not answer within ${reachMs} ms`)
    try {
      await at.assertOwned()
    } catch (error) {
      throw lose(alignment, asSyncError(error).message)
    }
    // Lost meanwhile.
    if (alignment.error !== null) throw alignment.error
    over(alignment)
  }

  return {
    align(given = {}) {
      if (ended !== null) throw new SyncError('SYNC-5120', `The engine ends: ${ended}`)
      if (current !== null) throw new SyncError('SYNC-5121', 'The engine is being aligned by somebody else')
      const alignment: Current = {
        stage: 'wanted',
        limits: { ...defaultAlignmentLimits, ...given },
        held: Promise.withResolvers(),
        reached: Promise.withResolvers(),
        lost: Promise.withResolvers(),
        turn: Promise.withResolvers(),
        run: null,
        doubt: new Map(),
        isDoubtCut: false,
        timer: undefined,
        error: null,
      }
      // Whoever does not look at one of them looks at another.
      alignment.held.promise.catch(() => {})
      alignment.reached.promise.catch(() => {})
      current = alignment
      const { reachMs } = alignment.limits
      within(alignment, reachMs, () => `it did not come to a stand within ${reachMs} ms`)
      standIfWanted()
      return {
        held: alignment.held.promise,
        runTo: (range) => run(alignment, range),
        release: () => release(alignment),
        lost: alignment.lost.promise,
      }
    },

    enter(next) {
      session = next
      isPassing = false
      standIfWanted()
      return {
        before(event) {
          if (current === null || session !== next || next.batcher.isInside()) return null
          standIfWanted()
          const { stage, run: goal } = current
          if (stage === 'running' && goal !== null && compareCoordinates(event.coordinate, goal.high) > 0)
            arrive(current, next)
          return standing.includes(current.stage) ? current.turn.promise : null
        },
        consumed(event) {
          isPassing = false
          if (current === null || session !== next) return
          if (current.stage === 'running' && event.kind === 'slice') noteDoubt(current, next, event)
          if (next.batcher.isInside()) return
          standIfWanted()
          const { stage, run: goal } = current
          if (
            stage === 'running' &&
            goal !== null &&
            compareCoordinates(next.batcher.coordinate(), goal.high) >= 0
          )
            arrive(current, next)
        },
        passing() {
          isPassing = true
        },
      }
    },

    leave(reason) {
      session = null
      if (current !== null && current.stage !== 'wanted') lose(current, reason)
    },
    end(reason) {
      ended = reason
      if (current !== null) lose(current, reason)
    },
    isStanding: () => current !== null && standing.includes(current.stage),
  }
}
