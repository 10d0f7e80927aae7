/**
 * One pipeline's engine as its worker keeps it: it outlives the host it runs in and the activity attempts that own it.
 *
 * Guarantees: at most one engine of a pipeline is meant to run in this worker; each start has an epoch greater than all before it here
 * (and smaller than that of any attempt scheduled later, core/epoch.ts), so what a dead or stuck predecessor left cannot write. Only the
 * newest owner can drain it or give it up. `ended` settles once. An engine that nobody owns drains by itself, see `release`.
 */
import { epochOf } from '../core/epoch.ts'
import type { EngineRef, RejoinRequest } from '../core/pipeline-control.ts'
import type { EngineOutcome, EngineStatus } from '../streamer/status.ts'
import type { Log } from '../telemetry/log.ts'
import type { EngineReport } from './host-messages.ts'
import type { HostProcess } from './host-process.ts'
import type { EngineStart } from './pipeline-runtime.ts'

export interface EngineRequest extends EngineRef {
  readonly specGeneration: number
  readonly generation: number
  readonly acknowledged: readonly string[]
  readonly rejoins?: readonly RejoinRequest[]
  /** When the attempt was scheduled, by Temporal's clock. */
  readonly scheduledTimeMs: number
}

/** Names an engine among those of a worker: a pipeline has one, or one for each of its shards. */
export const engineKey = ({ pipeline, shard }: EngineRef): string =>
  shard === undefined ? pipeline : `${pipeline}#${shard.index + 1}/${shard.of}`

/** Whose key it is. Names of pipelines have no `#`. */
export function engineOfKey(key: string): EngineRef {
  const [, pipeline, number, of] = /^(.*)#(\d+)\/(\d+)$/.exec(key) ?? []
  return pipeline === undefined
    ? { pipeline: key }
    : { pipeline, shard: { index: Number(number) - 1, of: Number(of) } }
}

export interface SupervisionTimes {
  /** An engine that gives no sign of life for longer is started anew. */
  readonly stuckMs: number
  /** A drain that takes longer is ended by closing the engine's connections. */
  readonly drainMs: number
  /** How long an engine runs on between two phases, or two attempts, without an owner; as `detachedMs` once Temporal is away meanwhile. */
  readonly handoverMs: number
  /** How long Temporal must have been reachable before a detached engine, which nobody has claimed, drains. */
  readonly detachedMs: number
}

export const defaultTimes: SupervisionTimes = {
  stuckMs: 30_000,
  drainMs: 20_000,
  handoverMs: 10_000,
  detachedMs: 30_000,
}

/** Restarts within this time count as one row of failures. */
const crashWindowMs = 60_000
const quickRestarts = 3
const maxRestartDelayMs = 5_000
/** An engine counts its epoch up with each session; between two reports (250 ms) it has a few at most (first back-off: 50 ms). */
const unreportedSessions = 16n

export class SupervisedEngine {
  readonly request: EngineRequest
  readonly ended: Promise<EngineOutcome>
  owner: symbol | null = null
  /** Restarts by this worker, whatever the reason. */
  restarts = 0
  /**
   * Set while the engine runs on without an owner: performance.now() since when Temporal is reachable (null: not seen so yet), and for how
   * long it must be so before the engine drains.
   */
  unowned: { reachableSinceMs: number | null; patienceMs: number } | null = null

  readonly #currentHost: () => HostProcess | null
  readonly #times: SupervisionTimes
  readonly #log: Log
  readonly #resolveEnded: (outcome: EngineOutcome) => void
  readonly #listeners = new Set<() => void>()
  /** Of the attempt that owns the engine, or owned it last. */
  #scheduledTimeMs: number
  /** The same, when the running instance was started. */
  #startedForMs = 0
  #lastEpoch = 0n
  #instance: { id: string; host: HostProcess } | null = null
  #status: EngineStatus | null = null
  #silentMs = 0
  #outcome: EngineOutcome | null = null
  #isDraining = false
  #starts = 0
  #recentRestartsMs: number[] = []
  #timers = new Set<NodeJS.Timeout>()

  constructor(
    request: EngineRequest,
    currentHost: () => HostProcess | null,
    times: SupervisionTimes,
    log: Log,
  ) {
    const { promise, resolve } = Promise.withResolvers<EngineOutcome>()
    this.request = request
    this.ended = promise
    this.#resolveEnded = resolve
    this.#currentHost = currentHost
    this.#times = times
    this.#log = log.child({ pipeline: engineKey(request) })
    this.#scheduledTimeMs = request.scheduledTimeMs
  }

  get outcome(): EngineOutcome | null {
    return this.#outcome
  }
  get isDraining(): boolean {
    return this.#isDraining
  }
  get hostPid(): number | null {
    return this.#instance?.host.pid ?? null
  }

  /** The last status; null until the first engine has spoken. After a death `retrying`, until its successor has spoken. */
  status(): EngineStatus | null {
    return this.#status
  }

  /** False when the engine gives no sign of life, so that its owner must not vouch for it either. */
  isAlive(): boolean {
    return this.#silentMs < this.#times.stuckMs
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // --------------------------------------------------------------------------------------------------------- owners

  /** A (new) attempt vouches for the engine from now on; whoever did before has no say any more. */
  adopt(owner: symbol, scheduledTimeMs: number): void {
    this.owner = owner
    this.unowned = null
    if (scheduledTimeMs > this.#scheduledTimeMs) this.#scheduledTimeMs = scheduledTimeMs
    this.#changed()
  }

  /**
   * The owner leaves the engine running. `handover`: its successor is expected at once; `detached`: Temporal is away or has given the
   * attempt up, and the data path outlives it. The supervisor ends engines that nobody claims, see engine-supervisor.ts.
   */
  release(owner: symbol, how: 'handover' | 'detached'): void {
    if (this.owner !== owner || this.#outcome !== null) return
    this.owner = null
    const { handoverMs, detachedMs } = this.#times
    this.unowned =
      how === 'handover'
        ? { reachableSinceMs: performance.now(), patienceMs: handoverMs }
        : { reachableSinceMs: null, patienceMs: detachedMs }
  }

  /** Drains an engine that nobody has claimed although Temporal could have given it an owner for long enough. */
  sawTemporal(isReachable: boolean): void {
    if (this.unowned === null) return
    if (!isReachable) {
      // Whoever was to take over could not be told.
      this.unowned = { reachableSinceMs: null, patienceMs: this.#times.detachedMs }
      return
    }
    this.unowned.reachableSinceMs ??= performance.now()
    if (performance.now() - this.unowned.reachableSinceMs < this.unowned.patienceMs) return
    this.drain('Temporal is there and has no work for it')
  }

  // ------------------------------------------------------------------------------------------------------- lifetime

  /** Starts the engine in the host at work; without one, `hostChanged` will. */
  start(): void {
    const host = this.#currentHost()
    if (this.#outcome !== null || this.#instance !== null || host === null) return
    const epoch = this.#nextEpoch()
    const id = `${engineKey(this.request)}#${++this.#starts}`
    this.#instance = { id, host }
    this.#silentMs = 0
    this.#startedForMs = this.#scheduledTimeMs
    this.#log.info({ epoch, restarts: this.restarts, hostPid: host.pid }, 'engine starting')
    host.send({ type: 'start', id, start: this.startWith(epoch) })
  }

  /** What a host is told of this engine. */
  startWith(epoch: string): EngineStart {
    const { pipeline, shard, specGeneration, acknowledged, rejoins = [] } = this.request
    const start = { pipeline, specGeneration, acknowledged, rejoins, epoch }
    return shard === undefined ? start : { ...start, shard }
  }

  /** Finish the batch in hand and end; forced after `drainMs`. */
  drain(why: string): void {
    if (this.#isDraining || this.#outcome !== null) return
    this.#isDraining = true
    this.unowned = null
    this.#log.info(`engine draining: ${why}`)
    if (this.#instance === null) {
      this.#end(this.#drained())
      return
    }
    const { id, host } = this.#instance
    host.send({ type: 'drain', id })
    this.#after(this.#times.drainMs, () => {
      this.#log.warn('the engine does not drain: its connections are closed')
      host.send({ type: 'kill', id })
      // An engine that does not even notice that is left to the fence; nobody waits for it any longer.
      this.#after(3_000, () => this.#end(this.#drained()))
    })
  }

  /** The host of this engine is gone, or another one has become ready. */
  hostChanged(lost: HostProcess | null): void {
    if (this.#outcome !== null) return
    if (lost !== null && this.#instance?.host === lost) {
      this.#instance = null
      if (this.#isDraining) {
        this.#end(this.#drained())
        return
      }
      this.#restart('its host died')
    } else if (this.#instance === null && this.#timers.size === 0) {
      this.start()
    }
  }

  report({ id, status, silentMs }: EngineReport): void {
    if (this.#instance?.id !== id) return
    this.#status = status
    this.#silentMs = silentMs
    const epoch = BigInt(status.epoch)
    if (epoch > this.#lastEpoch) this.#lastEpoch = epoch
    if (silentMs > this.#times.stuckMs && !this.#isDraining) {
      const { host } = this.#instance
      this.#instance = null
      host.send({ type: 'kill', id })
      this.#restart(`it gave no sign of life for ${Math.round(silentMs / 1000)} s`)
    }
    this.#changed()
  }

  hostSaidEnded(id: string, outcome: EngineOutcome): void {
    if (this.#instance?.id !== id) return
    // Fenced by an owner between two attempts (another worker had it meanwhile): the attempt that adopted it is newer still.
    if (outcome.kind === 'fenced' && !this.#isDraining && this.#scheduledTimeMs > this.#startedForMs) {
      this.#instance = null
      this.#restart('a former attempt was fenced')
      return
    }
    // A drain that had to be forced ends the engine with whatever error the closed connections gave it.
    const isForced = this.#isDraining && outcome.kind === 'fenced'
    this.#end(isForced ? this.#drained() : outcome)
  }

  #restart(why: string): void {
    this.restarts++
    const nowMs = performance.now()
    this.#recentRestartsMs = [...this.#recentRestartsMs.filter((at) => nowMs - at < crashWindowMs), nowMs]
    if (this.#status !== null) {
      const retrying = {
        code: 'SYNC-4001',
        message: `The engine is started again: ${why}`,
        attempt: this.restarts,
      } as const
      this.#status = { ...this.#status, phase: 'retrying', retrying }
    }
    const beyond = this.#recentRestartsMs.length - quickRestarts
    const delayMs = beyond <= 0 ? 0 : Math.min(maxRestartDelayMs, 250 * 2 ** beyond)
    this.#log.warn({ restarts: this.restarts, delayMs }, `engine is started again: ${why}`)
    if (delayMs === 0) this.start()
    else this.#after(delayMs, () => this.start())
    this.#changed()
  }

  /** An epoch with which this worker may take the target from every engine of the pipeline that was started before. */
  fencingEpoch(): string {
    return this.#nextEpoch()
  }

  /**
   * A step beyond what any engine of this worker has used for this attempt, and far below the schedule's time of any later attempt. The time
   * that has passed here must not count: an attempt that was frozen would wake up as the newest of all (seen in a test).
   */
  #nextEpoch(): string {
    const first = epochOf(this.request.generation, this.#scheduledTimeMs, this.restarts)
    const next = this.#lastEpoch + unreportedSessions
    this.#lastEpoch = first > next ? first : next
    return this.#lastEpoch.toString()
  }

  #drained(): EngineOutcome {
    return { kind: 'drained', position: this.#status?.position ?? null }
  }

  #end(outcome: EngineOutcome): void {
    if (this.#outcome !== null) return
    this.#outcome = outcome
    this.#instance = null
    this.owner = null
    this.unowned = null
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#log.info({ outcome: outcome.kind }, 'engine ended')
    this.#resolveEnded(outcome)
    this.#changed()
  }

  #after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      work()
    }, ms)
    this.#timers.add(timer)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}
