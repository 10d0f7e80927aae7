/**
 * The words in which a pipeline's workflow is started, asked and told what to do: names, arguments and answers, without Temporal.
 *
 * The API and the command line speak to the workflow by these names; the workflow (src/workflows) answers by them. Workflow types,
 * update and query names and the shapes are frozen once released: histories and clients hold them. Extend by optional fields alone.
 */

export const pipelineWorkflowType = 'pipeline'

/** One workflow per pipeline: the id makes a second one impossible while the first is open. */
export const pipelineWorkflowId = (pipeline: string): string => `pipeline/${pipeline}`

/** Task queues by role. The prefix keeps installations (and tests) apart that share a namespace. */
export const taskQueues = (
  prefix = '',
): {
  readonly control: string
  readonly stream: string
  readonly verify: string
  /** Of the verify workers too, with room of its own: what never ends must not keep the rest from its turn. */
  readonly watch: string
} => ({
  control: `${prefix}syncline-control`,
  stream: `${prefix}syncline-stream`,
  verify: `${prefix}syncline-verify`,
  watch: `${prefix}syncline-watch`,
})

export const updateNames = {
  pause: 'pause',
  resume: 'resume',
  stop: 'stop',
  respec: 'respec',
  addTables: 'addTables',
  removeTables: 'removeTables',
  setLimits: 'setLimits',
  rejoin: 'rejoin',
} as const
export const statusQueryName = 'status'

/** Search attributes that the workflow keeps current; both are keywords. */
export const searchAttributeNames = { phase: 'SyncPhase', pipeline: 'SyncPipeline' } as const

/** A finding of the pre-checks, as it is shown. */
export interface BlockedFinding {
  readonly code: string
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly remedy: string
}

/** Why a pipeline stands still: a code of the catalogue, what is wrong, and what to do. */
export interface Blocked {
  readonly code: string
  readonly message: string
  readonly remedy: string
  /** The log entry that a person is asked to deal with by hand; acknowledged by `resume`. */
  readonly at: string | null
  readonly findings: readonly BlockedFinding[]
}

/**
 * created -> checking -> loading -> catching-up -> streaming; from each of them draining -> paused or stopped, and blocked -> checking.
 */
export type PipelineState =
  | 'created'
  | 'checking'
  | 'loading'
  | 'catching-up'
  | 'streaming'
  | 'draining'
  | 'paused'
  | 'blocked'
  | 'stopped'

/** One of a pipeline's engines: `index` from 0, of `of` in all. */
export interface ShardRef {
  readonly index: number
  readonly of: number
}

/** Names one engine of an installation. */
export interface EngineRef {
  readonly pipeline: string
  /** Absent: the engine carries all of the pipeline's tables. */
  readonly shard?: ShardRef
}

/** The activity that runs a shard's engine, as Temporal names it. */
export const shardActivityId = ({ index, of }: ShardRef): string => `shard-${index + 1}-of-${of}`
export const shardOfActivityId = (id: string): ShardRef | null => {
  const [, number, of] = /^shard-(\d+)-of-(\d+)$/.exec(id) ?? []
  return number === undefined || of === undefined ? null : { index: Number(number) - 1, of: Number(of) }
}

/** What the workflow is started with. */
export interface PipelineInput {
  readonly pipeline: string
  /** Generation of the stored spec to run. */
  readonly specGeneration: number
  /** Who applied it; goes into the audit log. */
  readonly actor: string
  /** Engines that share the pipeline's tables (spec.shards of that generation). Absent: one. */
  readonly shards?: number
  /** As given to the workers. */
  readonly taskQueuePrefix?: string
  /** State changes after which the run continues as new. For tests; the default keeps a run's history small. */
  readonly changesPerRun?: number
}

export interface ActorArgs {
  /** Who asks, as authenticated by the API. */
  readonly actor: string
}

export interface RespecArgs extends ActorArgs {
  /** Greater than the one that runs. */
  readonly specGeneration: number
  /** As in PipelineInput, of the new generation. */
  readonly shards?: number
}

/** How one shard stands: as if it were a pipeline of its own. */
export interface ShardStatus {
  readonly state: 'loading' | 'catching-up' | 'streaming' | 'blocked'
  /** Set exactly while `state` is blocked. */
  readonly blocked: Blocked | null
}

/** addTables, removeTables: a spec that differs in its tables, and in what is done with them at the start. */
export interface TablesArgs extends RespecArgs {
  /** What joins or leaves, for the history and the audit log: patterns, cut short by the caller (`tablesTold`). */
  readonly tables: readonly string[]
}

/** Most entries of `TablesArgs.tables`. */
export const tablesTold = 20

/** setLimits: a spec that differs in its limits alone, which a running engine looks up by itself. */
export interface LimitsArgs extends RespecArgs {
  /** The generation that it was compared with: another one may differ in more. */
  readonly basedOn: number
}

/** A change of tables that is not in force yet; the stream goes on without it. */
export interface PendingChange {
  readonly specGeneration: number
  /** Why it cannot come into force; null while that is being checked. */
  readonly refused: Blocked | null
}

/** A person's word that a parked table may rejoin. */
export interface RejoinRequest {
  /** `schema.table` at the source. */
  readonly table: string
  /** Which parking of it (core/quarantine.ts). */
  readonly parking: string
}

export interface RejoinArgs extends ActorArgs, RejoinRequest {}

/** The answer of the query `status` and of every update. */
export interface PipelineStatus {
  readonly pipeline: string
  readonly state: PipelineState
  /** When `state` was entered; milliseconds since 1970. */
  readonly sinceMs: number
  /** What is asked for: while it differs from `state` the workflow is on its way there. */
  readonly wanted: 'run' | 'pause' | 'stop'
  readonly specGeneration: number
  /** Absent and null: none. */
  readonly pending?: PendingChange | null
  /** The fence generation in use; 0 while none is claimed. */
  readonly generation: number
  /** Set exactly while `state` is blocked. */
  readonly blocked: Blocked | null
  /**
   * Of a pipeline with several engines, by index; absent otherwise. `state` is the earliest of theirs, and blocked as soon as one is: the others
   * stream on.
   */
  readonly shards?: readonly ShardStatus[]
  /** Ids of log entries that people have dealt with by hand, oldest first. */
  readonly acknowledged: readonly string[]
  /** Who made the last change, and what it was. */
  readonly actor: string
  readonly detail: string
}
