/**
 * What a chaos test starts with and how it ends: an installation, workers, a shop with writers and a pipeline, over servers of the test's own
 * where it stops, kills or cuts off one; at the end writers stopped, the stream settled, both sides compared row by row, and no row seen
 * going back.
 *
 * Small chunks, few at once, and a low bound for small batches: the load lasts long enough to be hit, and what is hit is often a batch of
 * several lanes. After a failed test the logs of all processes are on stderr.
 */
import { type MysqlOptions, type MysqlServer, startMysql } from '../../dev/mysql.ts'
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
  /** Where the engine reaches the two servers, if not directly. */
  readonly via?: { readonly source?: Reachable; readonly target?: Reachable }
  /** Stream workers; 1 unless told otherwise. */
  readonly streamWorkers?: number
  /** Operations of the writers per second. */
  readonly ratePerSecond?: number
  readonly spec?: Record<string, unknown>
}

export interface ChaosRig {
  readonly stack: Stack
  readonly shop: ShopPipeline
  readonly workers: readonly Proc[]
  /** The worker's own process is `proc`; this is the engine's, as the status tells it. */
  enginePid(): Promise<number>
  /** Rows that the target holds of the load so far, and whether the load goes on. */
  isLoading(): Promise<boolean>
  /** Streams, writers stopped, settled, equal, and nothing went back. @returns the rows compared */
  finish(timeoutMs?: number): Promise<number>
  close(failed: boolean): Promise<void>
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
  const close = async (failed: boolean): Promise<void> => {
    if (failed) console.error(await stack.logs())
    await shop?.close()
    await stack.stop()
  }
  try {
    await stack.startWorker('control')
    const workers: Proc[] = []
    for (let i = 0; i < (options.streamWorkers ?? 1); i++) workers.push(await stack.startWorker('stream'))
    const made = await createShopPipeline(stack, source, target, name, {
      size: options.size,
      spec: { ...slowLoad, ...options.spec },
      ...(options.via === undefined ? {} : { via: options.via }),
    })
    shop = made
    await made.startWriting(options.ratePerSecond ?? 60)
    await made.apply()
    await made.watchVersions()
    return {
      stack,
      shop: made,
      workers,
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
