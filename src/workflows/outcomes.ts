/**
 * What the steps brought, as changes of a pipeline's state (states.ts): pure.
 *
 * Guarantees: a result that belongs to an older spec, or to a run under an older claim, changes nothing. A newer owner of the target is
 * answered with a newer claim once; a second one within `quarrelWindowMs` blocks, so that two installations do not take it from each other for ever.
 */
import { catalogue } from '../core/errors.ts'
import type { Blocked } from '../core/pipeline-control.ts'
import { shardAfter } from './shards.ts'
import { fresh, type PipelineMemory, runGeneration, type Step, type StepOutcome } from './states.ts'

/** Two newer owners within this time are a quarrel, not a handover. */
export const quarrelWindowMs = 60_000

export const claimed = (memory: PipelineMemory, generation: number): PipelineMemory => ({
  ...memory,
  generation,
})

export const checkEnded = (memory: PipelineMemory, step: Step, blocked: Blocked | null): PipelineMemory => {
  if (isOutdated(memory, step)) return memory
  return blocked === null ? { ...memory, checked: true } : { ...memory, blocked }
}

export const runEnded = (
  before: PipelineMemory,
  step: Step,
  outcome: StepOutcome,
  nowMs: number,
): PipelineMemory => {
  const memory = { ...before, unconfirmed: outcome.kind === 'interrupted' }
  if (isOutdated(memory, step)) return memory
  switch (outcome.kind) {
    case 'reached':
      return { ...memory, loaded: true, caughtUp: outcome.phase === 'caught-up' }
    case 'drained':
    case 'handover':
    case 'interrupted':
      return { ...memory, caughtUp: false }
    case 'blocked':
      return { ...memory, blocked: outcome.blocked }
    case 'fenced':
      return fenced(memory, nowMs)
  }
}

/** All shards begin to run: nothing is known yet of how they end. */
export const shardsStarted = (memory: PipelineMemory): PipelineMemory => ({ ...memory, unconfirmed: false })

/** @param generation under which the shard ran: what it says after another was claimed, or asked for, changes nothing */
export const shardEnded = (
  memory: PipelineMemory,
  { index, generation }: { readonly index: number; readonly generation: number },
  step: Step,
  outcome: StepOutcome,
  nowMs: number,
): PipelineMemory => {
  const shard = memory.shards?.[index]
  const unconfirmed = memory.unconfirmed || outcome.kind === 'interrupted'
  if (shard === undefined || memory.generation !== generation || isOutdated(memory, step))
    return { ...memory, unconfirmed }
  const after = shardAfter(shard, outcome)
  if (after === null) return fenced(memory, nowMs)
  return { ...memory, unconfirmed, shards: (memory.shards ?? []).with(index, after) }
}

/** Once: take the pipeline back with a newer generation. Again within the window: somebody else does the same, so a person decides. */
const fenced = (memory: PipelineMemory, nowMs: number): PipelineMemory => {
  const quarrel = memory.fencedAtMs !== null && nowMs - memory.fencedAtMs < quarrelWindowMs
  const next = { ...fresh(memory), checked: memory.checked, fencedAtMs: quarrel ? null : nowMs }
  if (!quarrel) return next
  return {
    ...next,
    blocked: {
      code: 'SYNC-4002',
      message: `${catalogue['SYNC-4002'].title}: pipeline ${memory.pipeline} lost its target twice within ${quarrelWindowMs / 1000} s`,
      remedy:
        'Find the other installation that runs a pipeline of this name into the same target and stop it there, then resume.',
      at: null,
      findings: [],
    },
  }
}

const isOutdated = (memory: PipelineMemory, step: Step): boolean =>
  'specGeneration' in step && step.specGeneration !== runGeneration(memory)
