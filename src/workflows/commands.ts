/**
 * What people ask of a pipeline, as changes of its state (states.ts): pure, each numbered and named for the audit log.
 *
 * Guarantees: what does not fit the state is refused with the reason before anything changes. A change of tables waits (`pending`) while it is
 * checked beside the stream, and stands aside where the checks refuse it: what streams goes on streaming.
 */
import type { Blocked, PendingChange, RejoinRequest } from '../core/pipeline-control.ts'
import { blockedShard, restartedShards, shardsAnew } from './shards.ts'
import {
  automatic,
  changed,
  fresh,
  isRunning,
  nextStep,
  type PipelineMemory,
  runGeneration,
  withShards,
} from './states.ts'

/** The engine needs an acknowledgement only until it has passed that log entry. */
const keptAcknowledgements = 100
/** One per table; more than may be parked at a time. */
const keptRejoins = 1_000

export type Command =
  | 'pause'
  | 'resume'
  | 'stop'
  | 'respec'
  | 'addTables'
  | 'removeTables'
  | 'setLimits'
  | 'rejoin'

/** Why the command does not fit the state, or null when it does. */
export const refusal = (
  memory: PipelineMemory,
  command: Command,
  specGeneration: number | undefined,
): string | null => {
  const { pipeline, state, wanted } = memory
  if (wanted === 'stop') return `pipeline ${pipeline} is ${state === 'stopped' ? 'stopped' : 'stopping'}`
  switch (command) {
    case 'pause':
      // Where one shard is blocked, the others write.
      if (state === 'blocked' && nextStep(memory).do === 'rest')
        return `pipeline ${pipeline} is blocked and writes nothing`
      if (wanted === 'pause')
        return `pipeline ${pipeline} is ${state === 'paused' ? 'paused already' : 'pausing'}`
      return null
    case 'resume':
      return memory.blocked !== null || state === 'blocked' || wanted === 'pause' || isHeldBack(memory)
        ? null
        : `pipeline ${pipeline} is ${state}`
    case 'respec':
    case 'addTables':
    case 'removeTables':
    case 'setLimits':
      return specGeneration !== undefined && specGeneration > memory.specGeneration
        ? null
        : `pipeline ${pipeline} has spec generation ${memory.specGeneration} already, and was given ${specGeneration}`
    case 'stop':
    case 'rejoin':
      return null
  }
}

export const paused = (memory: PipelineMemory, actor: string): PipelineMemory =>
  changed({ ...memory, wanted: 'pause' }, actor, 'pause requested')

export const stopped = (memory: PipelineMemory, actor: string, detail = 'stop requested'): PipelineMemory =>
  changed({ ...memory, wanted: 'stop' }, actor, detail)

/** The engine starts anew, under a generation of its own, so that none that was started without the request is taken for it. */
export const rejoined = (
  memory: PipelineMemory,
  actor: string,
  { table, parking }: RejoinRequest,
): PipelineMemory => {
  const others = (memory.rejoins ?? []).filter((request) => request.table !== table)
  const rejoins = [...others, { table, parking }].slice(-keptRejoins)
  // Which of the shards has parked it only its engine knows; all of them are told.
  const shards = memory.shards === undefined ? {} : { shards: restartedShards(memory.shards) }
  return changed(
    { ...fresh(memory), ...shards, checked: memory.checked, rejoins },
    actor,
    `rejoin of ${table} requested`,
  )
}

/** Goes on, through the pre-checks again; what blocked it counts as dealt with. What runs already only tries its held-back change again. */
export const resumed = (memory: PipelineMemory, actor: string): PipelineMemory => {
  const blocked = memory.blocked ?? blockedShard(memory.shards ?? [])
  if (blocked === null && memory.wanted === 'run') {
    return changed({ ...memory, ...tryAgain(memory) }, actor, 'the held-back change is checked again')
  }
  const at = blocked?.at ?? null
  return changed(
    {
      ...fresh(memory),
      ...tryAgain(memory),
      wanted: 'run',
      blocked: null,
      acknowledged: at === null ? memory.acknowledged : acknowledge(memory.acknowledged, at),
    },
    actor,
    at === null ? 'resume requested' : `resume requested, ${at} acknowledged`,
  )
}

/** A changed spec is checked and loaded anew (the target remembers what is loaded); it may be the remedy of what blocked. */
export const respecified = (
  memory: PipelineMemory,
  actor: string,
  specGeneration: number,
  shardCount?: number,
  detail = `spec generation ${specGeneration} applied`,
): PipelineMemory => {
  const { shards: _, ...rest } = fresh(memory)
  const next = {
    ...rest,
    ...withShards(shardCount),
    ...inForce(specGeneration),
    loaded: false,
    blocked: null,
  }
  return changed(next, actor, detail)
}

/** Other tables: checked beside the stream where there is one, so that it stops for no longer than a restart, or not at all. */
export const retabled = (
  memory: PipelineMemory,
  actor: string,
  specGeneration: number,
  detail: string,
): PipelineMemory =>
  isRunning(memory)
    ? changed({ ...memory, pending: { specGeneration, refused: null } }, actor, detail)
    : respecified(memory, actor, specGeneration, memory.shards?.length, detail)

/** Other limits, and otherwise what runs: a change that waits is thereby given up. */
export const limited = (memory: PipelineMemory, actor: string, specGeneration: number): PipelineMemory =>
  changed(
    { ...memory, ...inForce(specGeneration), runs: runGeneration(memory) },
    actor,
    `limits of spec generation ${specGeneration} set`,
  )

/** The change that is to be checked beside the stream now; null: none. */
export const dueProposal = (memory: PipelineMemory): number | null => {
  const pending = pendingOf(memory)
  return pending !== null && pending.refused === null && isRunning(memory) ? pending.specGeneration : null
}

export const proposalChecked = (
  memory: PipelineMemory,
  specGeneration: number,
  found: Blocked | null,
): PipelineMemory => {
  if (memory.pending?.specGeneration !== specGeneration || memory.wanted === 'stop') return memory
  if (found !== null) {
    const pending = { specGeneration, refused: found }
    return changed(
      { ...memory, pending },
      automatic,
      `spec generation ${specGeneration} is held back: ${found.code}`,
    )
  }
  const detail = `spec generation ${specGeneration} checked and taken`
  if (!isRunning(memory)) return respecified(memory, automatic, specGeneration, memory.shards?.length, detail)
  // The checks hold for it, and so does the claim: the target's marks stay whose they are.
  const anew = memory.shards === undefined ? {} : { shards: shardsAnew(memory.shards) }
  return changed(
    { ...memory, ...anew, ...inForce(specGeneration), loaded: false, caughtUp: false },
    automatic,
    detail,
  )
}

const pendingOf = (memory: PipelineMemory): PendingChange | null => memory.pending ?? null

const isHeldBack = (memory: PipelineMemory): boolean => (pendingOf(memory)?.refused ?? null) !== null

/** A change that was refused is checked again. */
const tryAgain = (memory: PipelineMemory): Pick<PipelineMemory, 'pending'> => {
  const pending = pendingOf(memory)
  return pending === null ? {} : { pending: { specGeneration: pending.specGeneration, refused: null } }
}

const inForce = (specGeneration: number): Pick<PipelineMemory, 'specGeneration' | 'runs' | 'pending'> => ({
  specGeneration,
  runs: null,
  pending: null,
})

const acknowledge = (acknowledged: readonly string[], at: string): readonly string[] =>
  [...acknowledged.filter((id) => id !== at), at].slice(-keptAcknowledgements)
