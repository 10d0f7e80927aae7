/**
 * What a pipeline's workflow knows and how it decides, as plain data and pure functions: no Temporal, no clock, no I/O.
 *
 * Guarantees: `nextStep` is a function of the state alone, so that a run that continues as new (or is replayed) goes on exactly where the
 * one before stood; every change that a person or the workflow makes is numbered (`seq`) and named (`actor`, `detail`) for the audit
 * log; a result that belongs to an older spec changes nothing. A change of tables waits (`pending`) while it is checked beside the stream, and
 * stands aside where the checks refuse it: what streams goes on streaming.
 * Assumes: JSON carries the state whole (it travels through continue-as-new).
 */
import { catalogue } from '../core/errors.ts'
import type {
  Blocked,
  PendingChange,
  PipelineInput,
  PipelineState,
  PipelineStatus,
  RejoinRequest,
} from '../core/pipeline-control.ts'
import {
  blockedShard,
  freshShards,
  isWholeBlocked,
  restartedShards,
  type ShardMemory,
  shardAfter,
  shardStatuses,
  shardsAnew,
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

/** Two newer owners within this time are a quarrel, not a handover. */
export const quarrelWindowMs = 60_000
/** The engine needs an acknowledgement only until it has passed that log entry. */
const keptAcknowledgements = 100
/** One per table; more than may be parked at a time. */
const keptRejoins = 1_000

export const automatic = 'syncline'

const withShards = (count: number | undefined): Pick<PipelineMemory, 'shards'> => {
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

const runGeneration = (memory: PipelineMemory): number => memory.runs ?? memory.specGeneration

export const sameStep = (a: Step, b: Step): boolean => JSON.stringify(a) === JSON.stringify(b)

// ------------------------------------------------------------------------------------------------ what people ask for

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

const pendingOf = (memory: PipelineMemory): PendingChange | null => memory.pending ?? null

const isHeldBack = (memory: PipelineMemory): boolean => (pendingOf(memory)?.refused ?? null) !== null

/** A change that was refused is checked again. */
const tryAgain = (memory: PipelineMemory): Pick<PipelineMemory, 'pending'> => {
  const pending = pendingOf(memory)
  return pending === null ? {} : { pending: { specGeneration: pending.specGeneration, refused: null } }
}

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

const isRunning = (memory: PipelineMemory): boolean => {
  const step = nextStep(memory)
  return step.do === 'run' || step.do === 'run-shards'
}

const inForce = (specGeneration: number): Pick<PipelineMemory, 'specGeneration' | 'runs' | 'pending'> => ({
  specGeneration,
  runs: null,
  pending: null,
})

// -------------------------------------------------------------------------------------------- what the steps brought

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

const fresh = (memory: PipelineMemory): PipelineMemory => ({
  ...memory,
  runs: null,
  generation: 0,
  checked: false,
  caughtUp: false,
  ...(memory.shards === undefined ? {} : { shards: freshShards(memory.shards) }),
})

const changed = (memory: PipelineMemory, actor: string, detail: string): PipelineMemory => ({
  ...memory,
  actor,
  detail,
  seq: memory.seq + 1,
})

const isOutdated = (memory: PipelineMemory, step: Step): boolean =>
  'specGeneration' in step && step.specGeneration !== runGeneration(memory)

const acknowledge = (acknowledged: readonly string[], at: string): readonly string[] =>
  [...acknowledged.filter((id) => id !== at), at].slice(-keptAcknowledgements)

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
