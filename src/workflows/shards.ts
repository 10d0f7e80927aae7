/**
 * What a pipeline's workflow knows of its shards, as pure functions: each has its own way from the load to the stream, and the pipeline shows
 * the earliest of them.
 *
 * A shard that is blocked stands still by itself; the others stream on, because what they carry is none of its business, and a person who
 * mends it finds less to catch up with. Resume, pause, stop and a changed spec apply to all of them at once.
 */
import type { Blocked, PipelineState, ShardStatus } from '../core/pipeline-control.ts'

export interface ShardMemory {
  /** The load of the spec's generation is done; survives pauses. */
  readonly loaded: boolean
  readonly caughtUp: boolean
  readonly blocked: Blocked | null
}

const start: ShardMemory = { loaded: false, caughtUp: false, blocked: null }

/** Null: one engine carries everything, and nothing here applies. */
export const shardsOf = (count: number | undefined): readonly ShardMemory[] | null =>
  count === undefined || count <= 1 ? null : Array.from({ length: count }, () => start)

/** After a pause, a block or a newer owner: what is loaded stays loaded. */
export const freshShards = (shards: readonly ShardMemory[]): readonly ShardMemory[] =>
  shards.map(({ loaded }) => ({ ...start, loaded }))

/** Started anew, with what each waits for: a shard that is blocked stays so. */
export const restartedShards = (shards: readonly ShardMemory[]): readonly ShardMemory[] =>
  shards.map((shard) => ({ ...shard, caughtUp: false }))

/** Other tables: each shard has to look again for what it must load. One that is blocked stays so. */
export const shardsAnew = (shards: readonly ShardMemory[]): readonly ShardMemory[] =>
  shards.map(({ blocked }) => ({ ...start, blocked }))

export const isWholeBlocked = (shards: readonly ShardMemory[]): boolean =>
  shards.every(({ blocked }) => blocked !== null)

/** What the first shard that stands still waits for, with its number for people. */
export function blockedShard(shards: readonly ShardMemory[]): Blocked | null {
  const index = shards.findIndex(({ blocked }) => blocked !== null)
  const blocked = shards[index]?.blocked
  if (blocked === undefined || blocked === null) return null
  return { ...blocked, message: `Shard ${index + 1} of ${shards.length}: ${blocked.message}` }
}

export const untilOf = ({ loaded, caughtUp }: ShardMemory): 'loaded' | 'caught-up' | 'stopped' =>
  loaded ? (caughtUp ? 'stopped' : 'caught-up') : 'loaded'

export function stateOfShards(
  shards: readonly ShardMemory[],
): Extract<PipelineState, 'blocked' | 'loading' | 'catching-up' | 'streaming'> {
  if (shards.some(({ blocked }) => blocked !== null)) return 'blocked'
  if (shards.some(({ loaded }) => !loaded)) return 'loading'
  return shards.every(({ caughtUp }) => caughtUp) ? 'streaming' : 'catching-up'
}

export const shardStatuses = (shards: readonly ShardMemory[]): readonly ShardStatus[] =>
  shards.map((shard) => ({ state: stateOfShards([shard]), blocked: shard.blocked }))

/** How one shard stands after a run of its engine; null where that ends the run of all (somebody newer has the target). */
export function shardAfter(
  shard: ShardMemory,
  outcome:
    | { readonly kind: 'reached'; readonly phase: 'loaded' | 'caught-up' }
    | { readonly kind: 'drained' | 'handover' | 'interrupted' | 'fenced' }
    | { readonly kind: 'blocked'; readonly blocked: Blocked },
): ShardMemory | null {
  switch (outcome.kind) {
    case 'reached':
      return { ...shard, loaded: true, caughtUp: outcome.phase === 'caught-up' }
    case 'drained':
    case 'handover':
    case 'interrupted':
      return { ...shard, caughtUp: false }
    case 'blocked':
      return { ...shard, caughtUp: false, blocked: outcome.blocked }
    case 'fenced':
      return null
  }
}
