/**
 * Keeps one engine host at work and one warm spare that has loaded everything already, so that a dead host's engines run again in well
 * under a second.
 *
 * Guarantees: `onLost` is called once for a host that had been at work, after a successor was named if a spare was ready. A host that says
 * nothing for `silenceMs` (stopped, or stuck in a loop) is killed. If hosts die young again and again, new ones are started ever more slowly.
 */
import { heapFlags } from '../config/heap-flags.ts'
import type { Log } from '../telemetry/log.ts'
import type { FromHost, HostArguments } from './host-messages.ts'
import { type HostProcess, startHost } from './host-process.ts'

export interface HostPoolOptions {
  readonly host: HostArguments
  /** Flags of the host's node process; default: `heapFlags(null)`. */
  readonly execArgv?: readonly string[]
  /** A host that is silent for longer is killed. Default 5,000. */
  readonly silenceMs?: number
  /** Default 30,000: a process that is only just starting on a busy machine. */
  readonly startTimeoutMs?: number
}

export interface HostPool {
  /** The host at work; null while none is ready. */
  active(): HostProcess | null
  close(): Promise<void>
}

export interface HostPoolListener {
  onMessage(host: HostProcess, message: FromHost): void
  /** `active()` is a new, ready host now. */
  onActive(host: HostProcess): void
  /** A host that was at work is gone, with everything that ran in it. */
  onLost(host: HostProcess, how: string): void
}

const checkIntervalMs = 500
const diedYoungMs = 10_000
const firstDelayMs = 200
const maxDelayMs = 10_000

export const createHostPool = (options: HostPoolOptions, listener: HostPoolListener, log: Log): HostPool => {
  const silenceMs = options.silenceMs ?? 5_000
  const startTimeoutMs = options.startTimeoutMs ?? 30_000
  const hosts = new Set<HostProcess>()
  const startedAtMs = new Map<HostProcess, number>()
  let active: HostProcess | null = null
  let isClosed = false
  let youngDeaths = 0
  let waiting: NodeJS.Timeout | undefined

  const promote = (): void => {
    if (active !== null || isClosed) return
    for (const host of hosts) {
      if (!host.isReady()) continue
      active = host
      log.info({ hostPid: host.pid }, 'engine host at work')
      listener.onActive(host)
      return
    }
  }
  const fill = (): void => {
    if (isClosed || waiting !== undefined) return
    // The first two deaths cost nothing; after that the delay doubles, until one has lived for a while.
    const delayMs = youngDeaths <= 2 ? 0 : Math.min(maxDelayMs, firstDelayMs * 2 ** (youngDeaths - 3))
    waiting = setTimeout(() => {
      waiting = undefined
      if (isClosed || hosts.size >= 2) return
      const host = startHost(options.host, options.execArgv ?? heapFlags(null), {
        onMessage: (from, message) => listener.onMessage(from, message),
        onReady: () => {
          promote()
          fill()
        },
        onExit,
      })
      hosts.add(host)
      startedAtMs.set(host, performance.now())
    }, delayMs)
  }
  const onExit = (host: HostProcess, how: string): void => {
    hosts.delete(host)
    const livedMs = performance.now() - (startedAtMs.get(host) ?? 0)
    startedAtMs.delete(host)
    if (isClosed) return
    youngDeaths = livedMs < diedYoungMs ? youngDeaths + 1 : 0
    const wasActive = active === host
    log.warn({ hostPid: host.pid, wasActive, livedMs: Math.round(livedMs) }, `engine host ${how}`)
    if (wasActive) {
      active = null
      promote()
      listener.onLost(host, how)
    }
    fill()
  }

  let lastCheckMs = performance.now()
  const monitor = setInterval(() => {
    const nowMs = performance.now()
    const slept = nowMs - lastCheckMs > 4 * checkIntervalMs
    lastCheckMs = nowMs
    for (const host of hosts) {
      if (slept) host.forgiveSilence()
      const limitMs = host.isReady() ? silenceMs : startTimeoutMs
      const silentMs = Math.round(nowMs - host.lastHeardMs())
      if (silentMs <= limitMs) continue
      log.error({ hostPid: host.pid, silentMs }, 'the engine host does not answer and is killed')
      host.kill()
    }
  }, checkIntervalMs)

  fill()
  return {
    active: () => active,
    async close() {
      isClosed = true
      active = null
      clearInterval(monitor)
      clearTimeout(waiting)
      const ending = [...hosts]
      for (const host of ending) host.kill()
      await Promise.all(ending.map((host) => host.exited))
    },
  }
}
