/**
 * The engine of one pipeline: source log and chunks in, target batches out (docs: DATA-PATH). Knows no Temporal.
 *
 * Runs one session after another until it is drained, fenced or blocked. A lost connection, a busy server, a restarted source are
 * retried here without end and without anybody's help; each session takes over with an epoch of its own, because a lost connection may have
 * left a statement at the target that has not run yet.
 */
import type { Source, Target } from '../connectors/contract.ts'
import { asSyncError, type SyncError } from '../core/errors.ts'
import type { PipelineLimits } from '../core/limits.ts'
import type { RejoinRequest } from '../core/pipeline-control.ts'
import type { TableId } from '../core/schema.ts'
import type { StatisticsReport } from '../core/statistics.ts'
import type { RepairedRow } from '../core/verification.ts'
import { type Alignment, type AlignmentLimits, createAlignments } from './alignment.ts'
import { createGates } from './gates.ts'
import type { EngineOptions } from './options.ts'
import type { QuarantineContext } from './quarantine.ts'
import { createRepairs, type RepairRequest } from './repair.ts'
import { createRetentionGuard } from './retention-guard.ts'
import { runSession, type SessionEnd } from './session.ts'
import type { EngineOutcome, EngineStatus } from './status.ts'
import { createStatusBoard } from './status-board.ts'

export interface EngineDeps {
  /** Opens are repeated after a lost connection; each gives a fresh session. */
  readonly openSource: () => Promise<Source>
  readonly openTarget: () => Promise<Target>
  /**
   * Does the target fit the source's definitions as they are now? Throws a SyncError of disposition `block` if not.
   * @param about names of target tables; null: all of them, and what may be created is created
   * @param isAhead the stream may not have come to statements that explain what does not fit
   * @param onlyMisfits nothing but definitions that do not fit: a start has looked at all else
   */
  readonly recheck: (
    about: readonly string[] | null,
    isAhead?: boolean,
    onlyMisfits?: boolean,
  ) => Promise<void>
  /** See QuarantineContext. */
  readonly onParked?: QuarantineContext['onParked']
  /** Delay before the second attempt in a row; the ones after it double. */
  readonly firstBackoffMs?: number
  /** How often the source is asked how long it keeps its log; default: once a minute. */
  readonly retentionPollMs?: number
}

export interface Engine {
  /** Runs until drained, fenced or blocked; never throws. Lost connections are retried inside, without end. */
  run(): Promise<EngineOutcome>
  /** Finish the batch in hand, store the position, end with `drained`. */
  drain(): void
  status(): EngineStatus
  /**
   * What it has counted, if anything has changed since the last call; null otherwise.
   * @param mostTables tables told at once; the others take their turn with the next calls
   */
  takeStatistics(mostTables: number): StatisticsReport | null
  /** Other limits from now on, for what waits already too. */
  setLimits(limits: PipelineLimits): void
  /** Comes to a stand at one position of the source; one at a time (alignment.ts). @throws SYNC-5120, SYNC-5121 */
  align(limits?: Partial<AlignmentLimits>): Alignment
  /**
   * Makes rows at the target what they are at the source, or removes them (repair.ts).
   * @throws SYNC-5102, 5123 refused; SYNC-5124 cut off; what the target refuses, and then nothing was written of the call's last part
   */
  repair(request: RepairRequest): Promise<readonly RepairedRow[]>
  /** When the engine last gave a sign of life, by the clock of performance.now(). Waiting for a retry counts as life. */
  aliveAtMs(): number
}

const defaultFirstBackoffMs = 100
const maxBackoffMs = 5_000

/**
 * @param epoch greater than every epoch used before for this pipeline; sessions count up from it (at most one in 100 ms on average,
 *   so that an attempt that is scheduled later has a greater epoch still; core/epoch.ts)
 * @param acknowledged ids of schema changes or statements that a person has dealt with by hand
 * @param rejoins parked tables that a person wants back
 */
export function createEngine(
  deps: EngineDeps,
  options: EngineOptions,
  epoch: bigint,
  acknowledged: readonly string[],
  rejoins: readonly RejoinRequest[] = [],
): Engine {
  const gates = createGates()
  const board = createStatusBoard(gates)
  const drain = new AbortController()
  const alignments = createAlignments()
  const repairs = createRepairs()
  const fitted = new Set<string>()
  const presumedRenamed = new Set<string>()
  const goneTables = new Map<string, TableId>()
  let hasLooked = false
  const lookOnce = async (): Promise<void> => {
    // An engine that takes over from a dead one is not the moment to find other faults.
    if (!hasLooked) await deps.recheck(null, false, true)
    hasLooked = true
  }
  let sessions = 0n
  let lastPosition: EngineStatus['position'] = null
  let toldRetentionAt: string | null = null
  const guard = createRetentionGuard({
    openSource: deps.openSource,
    status: () => board.status(),
    batches: () => board.batches(),
    ...(deps.retentionPollMs === undefined ? {} : { pollMs: deps.retentionPollMs }),
  })

  async function session(): Promise<SessionEnd> {
    const sessionEpoch = epoch + sessions++
    board.epoch(sessionEpoch)
    const [source, target] = await openBoth(deps)
    guard.use(source)
    let reason = 'its session began anew'
    try {
      return await runSession({
        source,
        target,
        options,
        epoch: sessionEpoch,
        acknowledged,
        rejoins,
        onParked: deps.onParked ?? (() => {}),
        fitted,
        presumedRenamed,
        goneTables,
        board,
        gates,
        alignments,
        repairs,
        drain: drain.signal,
        recheck: deps.recheck,
        lookOnce,
      })
    } catch (error) {
      reason = asSyncError(error).message
      throw error
    } finally {
      alignments.leave(reason)
      repairs.leave()
      guard.use(null)
      await Promise.all([source.close(), target.close()])
    }
  }

  /** @returns the outcome that ends the engine, or null to try again */
  function judge(error: SyncError): EngineOutcome | null {
    switch (error.disposition) {
      case 'retry':
        return null
      case 'fenced':
        return { kind: 'fenced' }
      case 'block':
      case 'reject':
      case 'bug':
        return {
          kind: 'blocked',
          code: error.code,
          message: error.message,
          remedy: error.remedy,
          at: typeof error.details['at'] === 'string' ? error.details['at'] : null,
          findings: Array.isArray(error.details['findings']) ? error.details['findings'] : [],
        }
    }
  }

  async function runSessions(): Promise<EngineOutcome> {
    let attempt = 0
    for (;;) {
      const batchesBefore = board.batches()
      try {
        const end = await session()
        if (end.kind === 'drained') return end
        attempt = 0
      } catch (thrown) {
        const error = asSyncError(thrown)
        const outcome = judge(error)
        lastPosition = board.status().position
        if (outcome !== null) return outcome
        if (drain.signal.aborted) return { kind: 'drained', position: lastPosition }
        attempt = board.batches() > batchesBefore ? 1 : attempt + 1
        board.retrying(error, attempt)
        await pause(backoffMs(attempt, deps.firstBackoffMs ?? defaultFirstBackoffMs), drain.signal)
        if (drain.signal.aborted) return { kind: 'drained', position: lastPosition }
      }
    }
  }

  return {
    async run() {
      guard.start()
      try {
        return await runSessions()
      } finally {
        alignments.end('the engine has ended')
        guard.stop()
      }
    },
    drain() {
      alignments.end('the pipeline is being paused or handed over')
      drain.abort()
    },
    status: () => board.status(),
    takeStatistics(mostTables) {
      const { meter } = board
      const retention = guard.report()
      const isNews = meter.hasNews()
      if (!isNews && (retention?.at ?? null) === toldRetentionAt) return null
      toldRetentionAt = retention?.at ?? null
      const { epoch: sessionEpoch } = board.status()
      return {
        epoch: sessionEpoch,
        totals: meter.totals(),
        tables: meter.takeChanged(mostTables),
        retention,
      }
    },
    setLimits: (limits) => gates.set(limits),
    align: (limits) => alignments.align(limits),
    repair: (request) => repairs.repair(request),
    // Who stands still on purpose reads nothing from the source.
    aliveAtMs: () =>
      board.status().phase === 'retrying' || alignments.isStanding() ? performance.now() : board.aliveAtMs(),
  }
}

async function openBoth(deps: EngineDeps): Promise<[Source, Target]> {
  const [source, target] = await Promise.allSettled([deps.openSource(), deps.openTarget()])
  if (source.status === 'fulfilled' && target.status === 'fulfilled') return [source.value, target.value]
  if (source.status === 'fulfilled') await source.value.close()
  if (target.status === 'fulfilled') await target.value.close()
  throw source.status === 'rejected' ? source.reason : (target as PromiseRejectedResult).reason
}

/** Full jitter between half and the whole of a doubling delay. */
const backoffMs = (attempt: number, firstBackoffMs: number): number => {
  const full = Math.min(maxBackoffMs, firstBackoffMs * 2 ** (attempt - 1))
  return full / 2 + (Math.random() * full) / 2
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
