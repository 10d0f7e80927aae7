/**
 * What a pipeline's workflow knows and what comes next, as plain data and pure functions: no Temporal, no clock, no I/O. What people ask for is in
 * commands.ts, what the steps brought in outcomes.ts.
 *
 * Guarantees: `nextStep` is a function of the state alone, so that a run that continues as new (or is replayed) goes on exactly where the
 * one before stood; every change that a person or the workflow makes is numbered (`seq`) and named (`actor`, `detail`) for the audit log.
 * Assumes: JSON carries the state whole (it travels through continue-as-new).
 */
import type {
  Blocked,
  PipelineInput,
  PipelineState,
  PipelineStatus,
  RejoinRequest,
} from '../core/pipeline-control.ts'
import {
  blockedShard,
  freshShards,
  isWholeBlocked,
  type ShardMemory,
  shardStatuses,
  shardsOf,
  stateOfShards,
} from './shards.ts'

export interface PipelineMemory extends Omit<PipelineStatus, 'shards'> {
  /** The generation that the engine was started with, where `specGeneration` differs from it in limits alone. Absent and null: the same. */
  readonly runs?: number | null
  /** The pre-checks of `specGeneration` passed, in this stretch of running. */
  readonly checked: boolean
  /** The load of `specGeneration` is done; survives pauses. */
  readonly loaded: boolean
  readonly caughtUp: boolean
  /** Of a pipeline with several engines; then `loaded` and `caughtUp` above are not used, and `blocked` is what stops all of them. */
  readonly shards?: readonly ShardMemory[]
  /** The last run ended without a worker's word that its engine drained: nobody had it, or its worker was lost. */
  readonly unconfirmed: boolean
  /** When the engine last ended because of a newer owner. */
  readonly fencedAtMs: number | null
  /** Parked tables that people want back; an engine heeds those that are still parked. Absent: none ever were. */
  readonly rejoins?: readonly RejoinRequest[]
  /** Number of the last change. */
  readonly seq: number
}

export type Step =
  | { readonly do: 'claim' }
  | { readonly do: 'check'; readonly specGeneration: number }
  | {
      readonly do: 'run'
      readonly specGeneration: number
      readonly until: 'loaded' | 'caught-up' | 'stopped'
    }
  /** Every shard through its own phases, side by side. */
  | { readonly do: 'run-shards'; readonly specGeneration: number }
  | { readonly do: 'rest'; readonly as: 'paused' | 'blocked' }
  | { readonly do: 'finish' }

/** What the engine's activity answered; contract.ts RunResult, or `interrupted` when it ended without a word. */
export type StepOutcome =
  | { readonly kind: 'reached'; readonly phase: 'loaded' | 'caught-up' }
  | { readonly kind: 'drained' }
  | { readonly kind: 'handover' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'blocked'; readonly blocked: Blocked }

export const automatic = 'syncline'

export const withShards = (count: number | undefined): Pick<PipelineMemory, 'shards'> => {
  const shards = shardsOf(count)
  return shards === null ? {} : { shards }
}

export const created = (input: PipelineInput, nowMs: number): PipelineMemory => ({
  pipeline: input.pipeline,
  state: 'created',
  sinceMs: nowMs,
  wanted: 'run',
  specGeneration: input.specGeneration,
  generation: 0,
  blocked: null,
  acknowledged: [],
  actor: input.actor,
  detail: 'created',
  checked: false,
  loaded: false,
  caughtUp: false,
  ...withShards(input.shards),
  unconfirmed: false,
  fencedAtMs: null,
  seq: 1,
})

export const publicStatus = (memory: PipelineMemory): PipelineStatus => {
  const {
    checked: _1,
    loaded: _2,
    caughtUp: _3,
    unconfirmed: _4,
    fencedAtMs: _5,
    rejoins: _rejoins,
    seq: _6,
    runs: _7,
    shards,
    ...status
  } = memory
  if (shards === undefined) return status
  const blocked = status.blocked ?? (status.state === 'blocked' ? blockedShard(shards) : null)
  return { ...status, blocked, shards: shardStatuses(shards) }
}

export const nextStep = (memory: PipelineMemory): Step => {
  if (memory.wanted === 'stop') return { do: 'finish' }
  if (memory.blocked !== null) return { do: 'rest', as: 'blocked' }
  if (memory.wanted === 'pause') return { do: 'rest', as: 'paused' }
  const specGeneration = runGeneration(memory)
  if (memory.generation === 0) return { do: 'claim' }
  if (!memory.checked) return { do: 'check', specGeneration }
  if (memory.shards !== undefined) {
    return isWholeBlocked(memory.shards)
      ? { do: 'rest', as: 'blocked' }
      : { do: 'run-shards', specGeneration }
  }
  if (!memory.loaded) return { do: 'run', specGeneration, until: 'loaded' }
  return { do: 'run', specGeneration, until: memory.caughtUp ? 'stopped' : 'caught-up' }
}

/** The generation that the engine runs with. */
export const runGeneration = (memory: PipelineMemory): number => memory.runs ?? memory.specGeneration

/** Is an engine running, or about to? */
export const isRunning = (memory: PipelineMemory): boolean => {
  const step = nextStep(memory)
  return step.do === 'run' || step.do === 'run-shards'
}

export const sameStep = (a: Step, b: Step): boolean => JSON.stringify(a) === JSON.stringify(b)

/** To be claimed, and checked, anew: nothing that ran before goes on. What is loaded stays loaded. */
export const fresh = (memory: PipelineMemory): PipelineMemory => ({
  ...memory,
  runs: null,
  generation: 0,
  checked: false,
  caughtUp: false,
  ...(memory.shards === undefined ? {} : { shards: freshShards(memory.shards) }),
})

/** The next change, numbered and named. */
export const changed = (memory: PipelineMemory, actor: string, detail: string): PipelineMemory => ({
  ...memory,
  actor,
  detail,
  seq: memory.seq + 1,
})

/** The state that is shown while `step` is done. */
export const entered = (memory: PipelineMemory, step: Step, nowMs: number): PipelineMemory => {
  const state = stateOf(step, memory)
  if (state === memory.state) return memory
  // Where a person's wish is fulfilled, the person stays named.
  const isWished = state === 'stopped' || state === 'paused'
  return changed(
    { ...memory, state, sinceMs: nowMs },
    isWished ? memory.actor : automatic,
    entryDetail(memory, step, state),
  )
}

/** A running step was asked to end, since another one is due; part of the change that asked for it, so not numbered. */
export const interrupted = (memory: PipelineMemory, nowMs: number): PipelineMemory =>
  memory.state === 'draining' ? memory : { ...memory, state: 'draining', sinceMs: nowMs }

const stateOf = (step: Step, memory: PipelineMemory): PipelineState => {
  switch (step.do) {
    case 'claim':
    case 'check':
      return 'checking'
    case 'run':
      return step.until === 'loaded' ? 'loading' : step.until === 'caught-up' ? 'catching-up' : 'streaming'
    case 'run-shards':
      return stateOfShards(memory.shards ?? [])
    case 'rest':
      return step.as
    case 'finish':
      return 'stopped'
  }
}

const entryDetail = (memory: PipelineMemory, step: Step, state: PipelineState): string => {
  switch (step.do) {
    case 'claim':
    case 'check':
      return `checking spec generation ${memory.specGeneration}`
    case 'run':
    case 'run-shards':
      if (state === 'blocked') return blockedDetail(memory)
      return state === 'loading' ? 'checks passed' : state === 'catching-up' ? 'load done' : 'caught up'
    case 'rest':
      if (step.as === 'blocked') return blockedDetail(memory)
      return memory.unconfirmed ? 'paused; no worker confirmed the drain' : 'paused'
    case 'finish':
      return memory.unconfirmed ? 'stopped; no worker confirmed the drain' : 'stopped'
  }
}

const blockedDetail = (memory: PipelineMemory): string => {
  const blocked = memory.blocked ?? blockedShard(memory.shards ?? [])
  return blocked === null ? 'blocked' : `${blocked.code}: ${blocked.message}`
}
