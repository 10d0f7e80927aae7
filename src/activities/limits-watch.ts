/**
 * Tells running engines of changed limits: looks into the store again and again, since that is where they are kept for good.
 *
 * Guarantees: an engine gets the limits of the pipeline's newest document before it starts, and others within `lookIntervalMs` of their being
 * stored, without Temporal and without a restart. A crash loses nothing: the next engine looks again. A store that is away leaves everything
 * as it was. One cheap question per interval for all engines of a host (`dataVersion`); documents are read only where one has changed.
 */
import { limitsOf } from '../config/limits.ts'
import type { PipelineLimits } from '../core/limits.ts'
import type { Store } from '../store/store.ts'
import type { Log } from '../telemetry/log.ts'

const lookIntervalMs = 500

export interface LimitsWatch {
  /**
   * Calls `set` at once and on every change, until the returned function is called.
   * @param incarnation of the pipeline whose limits these are; a namesake created later is another
   */
  follow(pipeline: string, incarnation: number, set: (limits: PipelineLimits) => void): () => void
}

interface Follower {
  readonly pipeline: string
  readonly incarnation: number
  readonly set: (limits: PipelineLimits) => void
  generation: number
}

export interface WatchedStore {
  readonly pipelines: Pick<Store['pipelines'], 'get' | 'generationOf' | 'generations'>
  readonly dataVersion: Store['dataVersion']
}

export function createLimitsWatch(store: WatchedStore, log: Pick<Log, 'warn'>): LimitsWatch {
  const followers = new Set<Follower>()
  let timer: NodeJS.Timeout | undefined
  let seenVersion = -1
  let isAway = false

  function tell(follower: Follower, generation: number | null): void {
    if (generation === null || generation === follower.generation) return
    const record = store.pipelines.get(follower.pipeline)
    if (record === null || record.incarnation !== follower.incarnation) return
    follower.generation = record.generation
    follower.set(limitsOf(record.document.spec))
  }

  function look(): void {
    try {
      const version = store.dataVersion()
      if (version === seenVersion) return
      // The version also moves with what the engines report, which a hundred pipelines do all the time.
      const generations = store.pipelines.generations()
      for (const follower of followers) tell(follower, generations.get(follower.pipeline) ?? null)
      seenVersion = version
      isAway = false
    } catch (error) {
      if (!isAway) log.warn({ error }, 'limits cannot be looked up; those that were known stay')
      isAway = true
    }
  }

  return {
    follow(pipeline, incarnation, set) {
      const follower: Follower = { pipeline, incarnation, set, generation: -1 }
      tell(follower, store.pipelines.generationOf(pipeline))
      followers.add(follower)
      timer ??= setInterval(look, lookIntervalMs).unref()
      return () => {
        followers.delete(follower)
        if (followers.size > 0) return
        clearInterval(timer)
        timer = undefined
      }
    },
  }
}
