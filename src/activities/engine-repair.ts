/**
 * Has rows of a pipeline's target repaired by its own engine, wherever that runs (streamer/repair.ts). Speaks to it through the store.
 *
 * Guarantees: what is told is the engine's word; to ask again does no harm. Every wait has an end: an engine that has died, or does not answer, is told
 * of as SYNC-5124, none at all as SYNC-5122; both pass, and the caller asks again.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { SyncError } from '../core/errors.ts'
import type { ShardRef } from '../core/pipeline-control.ts'
import type { Value } from '../core/value.ts'
import type { RepairedRow } from '../core/verification.ts'
import type { Store } from '../store/store.ts'
import { shardText } from './engine-alignment.ts'

export interface RepairThroughEngine {
  readonly store: Pick<Store, 'repairs'>
  readonly pipeline: string
  readonly incarnation: number
  /** Absent: one engine carries all tables. */
  readonly shard?: ShardRef | undefined
  /** `schema.table` at the source. */
  readonly table: string
  /** Primary keys as the source writes them, 1,000 at most (streamer/repair.ts). */
  readonly keys: readonly (readonly Value[])[]
  readonly signal: AbortSignal
}

const lookIntervalMs = 50
/** An engine looks for what is asked of it every half second. */
const takenWithinMs = 15_000
const answeredWithinMs = 120_000

/**
 * @returns what became of each key, in the order of the first mention
 * @throws SYNC-5102, 5123 refused; SYNC-5122, 5124 to be asked again; or what the target refuses, and then nothing of that part was written
 */
export async function repairThroughEngine(options: RepairThroughEngine): Promise<readonly RepairedRow[]> {
  const { pipeline, incarnation, table, keys, signal } = options
  const { repairs } = options.store
  const id = randomUUID()
  repairs.ask(id, { pipeline, incarnation, shard: shardText(options.shard) }, table, keys)
  const startedAtMs = performance.now()
  try {
    for (;;) {
      signal.throwIfAborted()
      const record = repairs.get(id)
      if (record === null) throw new SyncError('SYNC-5124', 'The request was forgotten')
      if (record.repaired !== null) return record.repaired
      if (record.error !== null) {
        const { code, message, remedy } = record.error
        throw new SyncError(code, message, { remedy })
      }
      const waitedMs = performance.now() - startedAtMs
      if (record.state === 'asked' && waitedMs > takenWithinMs)
        throw new SyncError(
          'SYNC-5122',
          `No engine of pipeline ${pipeline} took the request within ${takenWithinMs} ms`,
        )
      if (waitedMs > answeredWithinMs)
        throw new SyncError(
          'SYNC-5124',
          `The engine of ${pipeline} did not answer within ${answeredWithinMs} ms`,
        )
      await delay(lookIntervalMs)
    }
  } finally {
    try {
      repairs.forget(id)
    } catch {
      // It goes with what was left behind.
    }
  }
}
