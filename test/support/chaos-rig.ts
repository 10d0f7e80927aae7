/**
 * What a chaos test starts with and how it ends: an installation, workers, a shop with writers and a pipeline, over servers of the test's own
 * where it stops, kills or cuts off one; at the end writers stopped, the stream settled, both sides compared row by row, and no row seen
 * going back.
 *
 * Small chunks, few at once, and a low bound for small batches: the load lasts long enough to be hit, and what is hit is often a batch of
 * several lanes. After a failed test the logs of all processes are on stderr.
 */
import { readFile } from 'node:fs/promises'
import { type MysqlOptions, type MysqlServer, startMysql } from '../../dev/mysql.ts'
import { type Proxy, startProxy } from './proxy.ts'
import { type Reachable, sharedSource, sharedTarget, sharedTemporal, type TemporalFacts } from './servers.ts'
import { createShopPipeline, type ShopPipeline } from './shop-pipeline.ts'
import { type Proc, type Stack, startStack, waitFor } from './stack.ts'

export interface ChaosOptions {
  /** Name of the pipeline, and of its databases. */
  readonly name: string
  /** 1 is half a million rows; 0.02 about 12,000. */
  readonly size: number
  /** Servers of the test's own; the shared ones otherwise. */
  readonly source?: MysqlServer
  readonly target?: MysqlServer
  readonly temporal?: Pick<TemporalFacts, 'address' | 'namespace'>
  /** The side that the engine reaches through a proxy, and the proxy's delay each way: a long link makes the load last. */
  readonly proxied?: { readonly side: 'source' | 'target'; readonly delayMs: number }
  /** Runs between the fill of the shop and the start of everything else. */
  readonly prepare?: (shop: ShopPipeline) => Promise<void>
  /** False: the versions at the target are not watched (the test does it later). */
  readonly watched?: boolean
  /** Stream workers; 1 unless told otherwise. */
  readonly streamWorkers?: number
  /** Operations of the writers per second. */
  readonly ratePerSecond?: number
  readonly spec?: Record<string, unknown>
}

export interface ChaosRig {
  readonly stack: Stack
  readonly shop: ShopPipeline
  /** The stream workers that were started, ended ones too. */
  readonly workers: readonly Proc[]
  /** Starts another stream worker and waits until it stands by. */
  addWorker(): Promise<Proc>
  /** The worker that runs the pipeline, its engine's process and epoch, once all three are steady in that phase. */
  atWork(phase: 'loading' | 'streaming'): Promise<AtWork>
  readonly control: Proc
  /** To the side that is `proxied`. */
  readonly link: Proxy | null
  /** The worker's own process is `proc`; this is the engine's, as the status tells it. */
  enginePid(): Promise<number>
  /** Rows that the target holds of the load so far, and whether the load goes on. */
  isLoading(): Promise<boolean>
  /** Streams, writers stopped, settled, equal, and nothing went back. @returns the rows compared */
  finish(timeoutMs?: number): Promise<number>
  close(failed: boolean): Promise<void>
}

export interface AtWork {
  readonly worker: Proc
  readonly engine: number
  readonly epoch: bigint
}

/** A server that the test may stop, kill and fill; what was committed survives a kill. */
export const startOwnMysql = (name: string, options: MysqlOptions = {}): Promise<MysqlServer> =>
  startMysql({ name, durable: false, ...options })

export const slowLoad = {
  load: { chunkRows: 100, chunksInFlight: 1 },
  stream: { batch: { smallRows: 20 } },
} as const

/** Starts everything, applies the pipeline and watches the versions; returns while it loads. */
export async function startChaos(options: ChaosOptions): Promise<ChaosRig> {
  const { name } = options
  const source = options.source ?? (await sharedSource())
  const target = options.target ?? (await sharedTarget())
  const stack = await startStack(options.temporal ?? (await sharedTemporal()))
  let shop: ShopPipeline | undefined
  let link: Proxy | null = null
  const close = async (failed: boolean): Promise<void> => {
    if (failed) console.error(await stack.logs())
    await shop?.close()
    await stack.stop()
    await link?.close()
  }
  try {
    const control = await stack.startWorker('control')
    const workers: Proc[] = []
    for (let i = 0; i < (options.streamWorkers ?? 1); i++) workers.push(await stack.startWorker('stream'))
    const { proxied } = options
    if (proxied !== undefined)
      link = await proxyTo(proxied.side === 'source' ? source : target, proxied.delayMs)
    const made = await createShopPipeline(stack, source, target, name, {
      size: options.size,
      spec: { ...slowLoad, ...options.spec },
      ...(proxied === undefined || link === null
        ? {}
        : { via: { [proxied.side]: through(proxied.side === 'source' ? source : target, link) } }),
    })
    shop = made
    await options.prepare?.(made)
    await made.startWriting(options.ratePerSecond ?? 60)
    await made.apply()
    if (options.watched !== false) await made.watchVersions()
    return {
      stack,
      shop: made,
      workers,
      control,
      link,
      async addWorker() {
        const worker = await stack.startWorker('stream')
        workers.push(worker)
        await waitFor('the new worker to stand by', 60_000, async () =>
          (await readFile(worker.logFile, 'utf8')).includes('engine host at work'),
        )
        return worker
      },
      async atWork(phase) {
        await made.waitForState(phase)
        let found: AtWork | undefined
        await waitFor(`a worker with an engine that is ${phase}`, 60_000, async () => {
          const status = await stack.status(name)
          const { epoch } = await made.mark()
          const worker = workers.find(({ pid }) => status.worker?.startsWith(`stream-${pid}-`))
          const engine = status.engine?.hostPid ?? 0
          // The newest owner at the target is the one that speaks: nobody is about to hand over.
          if (worker === undefined || !isAlive(engine) || status.engine?.epoch !== `${epoch}`) return false
          found = { worker, engine, epoch }
          return status.engine.phase === phase
        })
        return found as unknown as AtWork
      },
      async enginePid() {
        let pid = 0
        await waitFor('an engine', 60_000, async () => {
          pid = Number((await stack.status(name)).engine?.hostPid ?? 0)
          return pid > 0 && isAlive(pid)
        })
        return pid
      },
      isLoading: async () => (await stack.status(name)).state === 'loading',
      async finish(timeoutMs = 120_000) {
        await made.waitForState('streaming', timeoutMs)
        await made.stopWriting()
        await made.settle(timeoutMs)
        return made.expectEqual()
      },
      close,
    }
  } catch (error) {
    await close(true)
    throw error
  }
}

export const proxyTo = (server: Pick<Reachable, 'host' | 'port'>, delayMs = 0): Promise<Proxy> =>
  startProxy({ targetHost: server.host, targetPort: server.port, upMs: delayMs, downMs: delayMs })

const through = (server: Reachable, { host, port }: Proxy): Reachable => ({ ...server, host, port })

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** For what a test tells at its end: "1.2 s". */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
