/**
 * All engines of a streamer worker: the registry by pipeline and shard, the hosts they run in, and the care for those that Temporal lost sight of.
 *
 * A next phase's activity, or a new attempt that lands on this worker, adopts the running engine instead of starting another. An attempt that
 * Temporal gave up (it is away, or a partition) leaves its engine streaming: the data path outlives the control plane. Such an engine ends when
 * a newer epoch fences it, or drains once Temporal has been reachable for `detachedMs` and nobody has claimed it. The same holds between two
 * phases, where the next owner is only a moment away unless Temporal goes in that moment.
 * On a crash of this process its hosts end with it.
 */
import type { Blocked, EngineRef } from '../core/pipeline-control.ts'
import type { StatisticsReport } from '../core/statistics.ts'
import type { EngineOutcome, EngineStatus } from '../streamer/status.ts'
import type { Log } from '../telemetry/log.ts'
import type { FromHost, ReportedError, ToHost } from './host-messages.ts'
import { createHostPool, type HostPoolOptions } from './host-pool.ts'
import type { HostProcess } from './host-process.ts'
import type { SpecRef } from './pipeline-runtime.ts'
import {
  defaultTimes,
  type EngineRequest,
  engineKey,
  engineOfKey,
  SupervisedEngine,
  type SupervisionTimes,
} from './supervised-engine.ts'

export interface EngineSupervisorOptions extends HostPoolOptions {
  readonly times?: Partial<SupervisionTimes>
  /** Asked about once a second while engines without an owner exist; must answer within a second or two. */
  readonly isTemporalReachable: () => Promise<boolean>
  /** Told what engines count. */
  readonly onStatistics?: (engine: EngineRef, report: StatisticsReport) => void
}

/** What one attempt of the activity holds. */
export interface EngineLease {
  /** Null until the engine has spoken. */
  status(): EngineStatus | null
  restarts(): number
  hostPid(): number | null
  isAlive(): boolean
  /** `superseded`: a newer attempt in this process owns the engine now. */
  outcome(): EngineOutcome | { readonly kind: 'superseded' } | null
  /** Calls on every change of the above, until the returned function is called. */
  onChange(listener: () => void): () => void
  drain(why: string): void
  release(how: 'handover' | 'detached'): void
  /**
   * After the end: no engine of the pipeline that was started before can write any more, wherever it is. One that had a phase before may
   * still run on another worker for a while, waiting to be taken over. Never throws: where the target cannot be reached it is given up.
   */
  fence(): Promise<void>
}

export type CheckResult =
  | { readonly kind: 'checked'; readonly found: Blocked | null }
  | { readonly kind: 'failed'; readonly error: ReportedError }

export interface EngineSupervisor {
  /** Starts the pipeline's engine, or adopts the one that runs. Waits while one of another spec or generation drains. */
  acquire(request: EngineRequest): Promise<EngineLease>
  /** Runs the pre-checks in a host. */
  check(ref: SpecRef): Promise<CheckResult>
  /** How many engines this worker has. */
  engines(): number
  /** Calls twice a second until the returned function is called: one clock for the attempts of all engines. */
  onTick(listener: () => void): () => void
  /** Drains every engine, then ends the hosts. */
  close(): Promise<void>
}

const probeIntervalMs = 1_000
export const tickMs = 500
/** A check that finds no host for so long says why it does not get on, by failing and being tried again. */
const hostWaitMs = 30_000
/** A takeover waits for writes in flight, and is made by one that a person waits for. */
const fenceMs = 10_000

export const createEngineSupervisor = (options: EngineSupervisorOptions, log: Log): EngineSupervisor => {
  const times = { ...defaultTimes, ...options.times }
  const engines = new Map<string, SupervisedEngine>()
  const checks = new Map<string, { start(host: HostProcess): void; end(result: CheckResult): void }>()
  const checkHosts = new Map<string, HostProcess>()
  let checkNumber = 0

  const keyOf = (id: string): string => id.slice(0, id.lastIndexOf('#'))
  const engineOf = (id: string): SupervisedEngine | undefined => engines.get(keyOf(id))

  const onMessage = (_host: HostProcess, message: FromHost): void => {
    switch (message.type) {
      case 'ready':
        return
      case 'report':
        for (const report of message.engines) engineOf(report.id)?.report(report)
        return
      case 'statistics':
        options.onStatistics?.(engineOfKey(keyOf(message.id)), message.report)
        return
      case 'ended':
        engineOf(message.id)?.hostSaidEnded(message.id, message.outcome)
        return
      case 'checked':
        checks.get(message.id)?.end({ kind: 'checked', found: message.found })
        return
      case 'check-failed':
        checks.get(message.id)?.end({ kind: 'failed', error: message.error })
    }
  }
  const pool = createHostPool(
    options,
    {
      onMessage,
      onActive(host) {
        for (const engine of engines.values()) engine.hostChanged(null)
        for (const [id, check] of checks) if (!checkHosts.has(id)) check.start(host)
      },
      onLost(host, how) {
        for (const engine of engines.values()) engine.hostChanged(host)
        const error = { code: 'SYNC-4001', message: `The engine host ${how}`, remedy: '', isPassing: true }
        for (const [id, check] of checks) {
          if (checkHosts.get(id) === host) check.end({ kind: 'failed', error })
        }
      },
    },
    log,
  )

  const tickListeners = new Set<() => void>()
  const clock = setInterval(() => {
    for (const listener of tickListeners) listener()
  }, tickMs)

  let isProbing = false
  const prober = setInterval(() => {
    const unowned = [...engines.values()].filter((engine) => engine.unowned !== null)
    if (unowned.length === 0 || isProbing) return
    isProbing = true
    void options
      .isTemporalReachable()
      .catch(() => false)
      .then((isReachable) => {
        isProbing = false
        for (const engine of unowned) engine.sawTemporal(isReachable)
      })
  }, probeIntervalMs)

  /** Has a host do something, and waits for its answer. */
  const ask = (messageOf: (id: string) => ToHost): Promise<CheckResult> =>
    new Promise((resolve) => {
      const id = `check-${++checkNumber}`
      const noHost = setTimeout(() => {
        if (checkHosts.has(id)) return
        const message = 'No engine host could be started; see the log of the worker'
        const error = { code: 'SYNC-4001', message, remedy: '', isPassing: true }
        checks.get(id)?.end({ kind: 'failed', error })
      }, hostWaitMs)
      checks.set(id, {
        start(host) {
          checkHosts.set(id, host)
          host.send(messageOf(id))
        },
        end(result) {
          clearTimeout(noHost)
          checks.delete(id)
          checkHosts.delete(id)
          resolve(result)
        },
      })
      const host = pool.active()
      if (host !== null) checks.get(id)?.start(host)
    })

  const leaseOf = (engine: SupervisedEngine, scheduledTimeMs: number): EngineLease => {
    const owner = Symbol(engine.request.pipeline)
    engine.adopt(owner, scheduledTimeMs)
    return {
      status: () => engine.status(),
      restarts: () => engine.restarts,
      hostPid: () => engine.hostPid,
      isAlive: () => engine.isAlive(),
      outcome: () => engine.outcome ?? (engine.owner === owner ? null : { kind: 'superseded' }),
      onChange: (listener) => engine.onChange(listener),
      drain: (why) => {
        if (engine.owner === owner) engine.drain(why)
      },
      release: (how) => engine.release(owner, how),
      async fence() {
        const start = engine.startWith(engine.fencingEpoch())
        const result = await Promise.race([
          ask((id) => ({ type: 'fence', id, start })),
          new Promise<null>((resolve) => {
            setTimeout(() => resolve(null), fenceMs).unref()
          }),
        ])
        if (result?.kind === 'checked') return
        const error = result?.error ?? `no answer within ${fenceMs} ms`
        log.warn(
          { pipeline: engineKey(engine.request), error },
          'engines of this pipeline that may run elsewhere are not fenced',
        )
      },
    }
  }

  return {
    async acquire(request) {
      const key = engineKey(request)
      for (;;) {
        const existing = engines.get(key)
        if (existing === undefined || existing.outcome !== null) break
        const isSame =
          existing.request.generation === request.generation &&
          existing.request.specGeneration === request.specGeneration
        if (isSame && !existing.isDraining) {
          log.info({ pipeline: key }, 'running engine adopted')
          return leaseOf(existing, request.scheduledTimeMs)
        }
        // An older claim than the one that runs here: whoever asks is the one that was overtaken.
        if (existing.request.generation > request.generation) return fencedLease
        existing.drain('a newer claim')
        await existing.ended
      }
      const engine = new SupervisedEngine(request, () => pool.active(), times, log)
      engines.set(key, engine)
      void engine.ended.then(() => {
        if (engines.get(key) === engine) engines.delete(key)
      })
      const lease = leaseOf(engine, request.scheduledTimeMs)
      engine.start()
      return lease
    },
    check: (ref) => ask((id) => ({ type: 'check', id, ref })),
    engines: () => engines.size,
    onTick(listener) {
      tickListeners.add(listener)
      return () => tickListeners.delete(listener)
    },
    async close() {
      clearInterval(prober)
      const open = [...engines.values()]
      for (const engine of open) engine.drain('the worker ends')
      await Promise.all(open.map((engine) => engine.ended))
      await pool.close()
      clearInterval(clock)
    },
  }
}

const fencedLease: EngineLease = {
  status: () => null,
  restarts: () => 0,
  hostPid: () => null,
  isAlive: () => true,
  outcome: () => ({ kind: 'fenced' }),
  onChange: () => () => {},
  drain: () => {},
  release: () => {},
  fence: async () => {},
}
