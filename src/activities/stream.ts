/**
 * The activities that run and check a pipeline: thin supervisors of an engine that runs in another process (engine-supervisor.ts).
 *
 * An attempt heartbeats only while its engine gives signs of life, or is known to wait on purpose, so that a hung engine is not kept alive.
 * How an attempt ends decides what becomes of the engine:
 *   cancel requested         it drains, and the result says so
 *   the worker ends          it drains, and the result asks for another worker: a failure would be retried by a timer of Temporal's, which
 *                            fires up to a second late (measured: 0.1 to 1.0 s; a result 0.1 s)
 *   pause, reset by hand     it drains, and a benign failure waits for Temporal (a thrown cancellation could lose the last heartbeat)
 *   given up by Temporal     it streams on, detached: Temporal is away, or a newer attempt will fence it
 *   a phase was reached      it streams on, for the next phase's activity to adopt
 */
import { ApplicationFailure, Context } from '@temporalio/activity'
import { catalogue } from '../core/errors.ts'
import type { Blocked, BlockedFinding } from '../core/pipeline-control.ts'
import type { EngineOutcome, EngineStatus } from '../streamer/status.ts'
import type { RunResult, StreamActivities } from './contract.ts'
import { type CheckResult, type EngineLease, type EngineSupervisor, tickMs } from './engine-supervisor.ts'
import type { RunHeartbeat } from './heartbeat.ts'

export interface StreamActivitiesOptions {
  readonly supervisor: EngineSupervisor
  /** False: Temporal's side of this worker broke and is built anew; that is no reason to drain. Default: true. */
  readonly isEnding?: () => boolean
  /** An engine that has been retrying for longer is offered to another worker. Default 60,000. */
  readonly retryingMs?: number
}

const maxCheckAfterCancelMs = 20_000
/** Temporal's answer to a heartbeat brings a cancel, so this is also how long people wait for one. The timeout is 5 s. */
const leastHeartbeatMs = tickMs
const mostHeartbeatMs = 2_000

type Ending = EngineOutcome | { readonly kind: 'superseded' }
type Decision =
  | { readonly kind: 'ended'; readonly outcome: Ending }
  | { readonly kind: 'reached'; readonly phase: 'loaded' | 'caught-up' }
  | { readonly kind: 'retrying'; readonly error: NonNullable<EngineStatus['retrying']> }
  | { readonly kind: 'aborted' }

export const createStreamActivities = (options: StreamActivitiesOptions): StreamActivities => {
  const { supervisor, isEnding = () => true, retryingMs = 60_000 } = options

  return {
    async checkPipeline(ref) {
      const context = Context.current()
      const timer = setInterval(() => context.heartbeat(), leastHeartbeatMs)
      try {
        const result = await endOfCheck(supervisor.check(ref), context)
        if (result.kind === 'checked') return result.found
        const { code, message, remedy, isPassing } = result.error
        if (!isPassing) return { code, message, remedy, at: null, findings: [] }
        throw ApplicationFailure.create({ type: code, message, details: [{ remedy }], nonRetryable: false })
      } finally {
        clearInterval(timer)
      }
    },

    async runPipeline(input) {
      const context = Context.current()
      let lease: EngineLease | undefined
      let lastDetails: unknown = context.info.heartbeatDetails
      let lastBeatMs = -Infinity
      const beat = (): void => {
        lastBeatMs = performance.now()
        if (lease !== undefined && !lease.isAlive()) return
        const status = lease?.status() ?? null
        if (lease !== undefined && status !== null) {
          const details: RunHeartbeat = {
            ...status,
            hostPid: lease.hostPid(),
            restarts: lease.restarts(),
            ...(input.shard === undefined ? {} : { shard: input.shard }),
          }
          lastDetails = details
        }
        context.heartbeat(lastDetails)
      }
      const stopBeating = supervisor.onTick(() => {
        // Every heartbeat is a write at the server, so many pipelines share a budget of 50 in a second.
        const dueMs = Math.min(mostHeartbeatMs, Math.max(leastHeartbeatMs, 20 * supervisor.engines()))
        if (performance.now() - lastBeatMs >= dueMs - 50) beat()
      })
      try {
        lease = await supervisor.acquire({
          pipeline: input.pipeline,
          ...(input.shard === undefined ? {} : { shard: input.shard }),
          specGeneration: input.specGeneration,
          generation: input.generation,
          acknowledged: input.acknowledged,
          rejoins: input.rejoins ?? [],
          scheduledTimeMs: context.info.currentAttemptScheduledTimestampMs,
        })
        beat()
        const decision = await decide(supervisor, lease, input.until, context.cancellationSignal, retryingMs)
        switch (decision.kind) {
          case 'ended':
            return resultOf(decision.outcome)
          case 'reached':
            lease.release('handover')
            return decision
          case 'retrying': {
            lease.release('handover')
            const { code: type, message } = decision.error
            throw ApplicationFailure.create({ type, message, nonRetryable: false, nextRetryDelay: '1s' })
          }
          case 'aborted':
            return await endAborted(context, lease, beat, isEnding())
        }
      } finally {
        stopBeating()
      }
    },
  } satisfies StreamActivities
}

/**
 * Nothing of a check (it may create and empty tables) should still be at work when the workflow says that the pipeline is paused, so a
 * cancel waits for it, but not for one that hangs.
 */
const endOfCheck = async (check: Promise<CheckResult>, context: Context): Promise<CheckResult> => {
  const patience = Promise.withResolvers<never>()
  const { cancellationSignal: signal } = context
  let timer: NodeJS.Timeout | undefined
  const losePatience = (): void => {
    timer = setTimeout(() => patience.reject(signal.reason), maxCheckAfterCancelMs)
  }
  if (signal.aborted) losePatience()
  else signal.addEventListener('abort', losePatience)
  try {
    return await Promise.race([check, patience.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', losePatience)
  }
}

/** Waits for whatever comes first. */
const decide = async (
  supervisor: EngineSupervisor,
  lease: EngineLease,
  until: 'loaded' | 'caught-up' | 'stopped',
  signal: AbortSignal,
  retryingMs: number,
): Promise<Decision> => {
  const { promise, resolve } = Promise.withResolvers<Decision>()
  let retryingSinceMs: number | null = null
  const look = (): void => {
    const outcome = lease.outcome()
    if (outcome !== null) return resolve({ kind: 'ended', outcome })
    if (signal.aborted) return resolve({ kind: 'aborted' })
    const status = lease.status()
    if (status === null) return
    const isCaughtUp = status.phase === 'streaming'
    if (until === 'loaded' && (isCaughtUp || status.phase === 'catching-up')) {
      return resolve({ kind: 'reached', phase: 'loaded' })
    }
    if (until === 'caught-up' && isCaughtUp) return resolve({ kind: 'reached', phase: 'caught-up' })
    if (status.phase !== 'retrying' || status.retrying === null) {
      retryingSinceMs = null
      return
    }
    retryingSinceMs ??= performance.now()
    if (performance.now() - retryingSinceMs >= retryingMs) {
      resolve({ kind: 'retrying', error: status.retrying })
    }
  }
  const forget = lease.onChange(look)
  const stopLooking = supervisor.onTick(look)
  signal.addEventListener('abort', look)
  look()
  try {
    return await promise
  } finally {
    forget()
    stopLooking()
    signal.removeEventListener('abort', look)
  }
}

const endAborted = async (
  context: Context,
  lease: EngineLease,
  beat: () => void,
  isEnding: boolean,
): Promise<RunResult> => {
  const details = context.cancellationDetails
  if (details?.cancelRequested === true) {
    lease.drain('cancel requested')
    const end = await endOf(lease)
    // Paused and stopped mean that nothing is written, by nobody: not by an engine that had an earlier phase on another worker either.
    if (end.kind !== 'superseded') await lease.fence()
    return resultOf(end)
  }
  const isShutDown = details?.workerShutdown === true && isEnding
  if (isShutDown || details?.paused === true || details?.reset === true) {
    lease.drain(isShutDown ? 'the worker shuts down' : 'the activity is paused or reset')
    const end = await endOf(lease)
    if (end.kind !== 'drained') return resultOf(end)
    if (isShutDown) return { kind: 'handover' }
    beat()
    throw handover('the engine drained on this worker')
  }
  lease.release('detached')
  throw context.cancellationSignal.reason
}

const endOf = async (lease: EngineLease): Promise<Ending> => {
  const { promise, resolve } = Promise.withResolvers<Ending>()
  const look = (): void => {
    const outcome = lease.outcome()
    if (outcome !== null) resolve(outcome)
  }
  const forget = lease.onChange(look)
  look()
  try {
    return await promise
  } finally {
    forget()
  }
}

const handover = (message: string): ApplicationFailure =>
  ApplicationFailure.create({ type: 'Handover', message, category: 'BENIGN', nextRetryDelay: '1ms' })

const resultOf = (end: Ending): RunResult => {
  switch (end.kind) {
    case 'drained':
    case 'fenced':
      return { kind: end.kind }
    case 'blocked':
      return { kind: 'blocked', blocked: blockedOf(end) }
    case 'superseded':
      // Temporal does not wait for this attempt any more, so nobody reads this.
      throw handover('a newer attempt on this worker owns the engine')
  }
}

const blockedOf = (end: Extract<EngineOutcome, { kind: 'blocked' }>): Blocked => ({
  code: end.code,
  message: end.message,
  remedy: end.remedy === '' ? catalogue[end.code].remedy : end.remedy,
  at: end.at,
  findings: (end.findings ?? []).filter(isFinding).map(({ code, severity, message, remedy }) => ({
    code,
    severity,
    message,
    remedy,
  })),
})

const isFinding = (value: unknown): value is BlockedFinding =>
  typeof value === 'object' &&
  value !== null &&
  'severity' in value &&
  'message' in value &&
  'code' in value &&
  'remedy' in value
