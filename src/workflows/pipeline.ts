/**
 * The workflow `pipeline`: one for each pipeline, as long as the pipeline lives.
 *
 * It claims a fence generation, checks, and runs the engine's activity phase by phase; states.ts decides what comes next. It goes on through
 * any crash of workers and of Temporal. Pausing, stopping and a changed spec cancel the running activity and wait until it has
 * drained (WAIT_CANCELLATION_COMPLETED: the SDK's own default gives the result up at once). Cancelling the workflow is a stop with a drain.
 * A change of tables is checked while the engine's activity goes on, and ends it only once the checks have passed. Limits end nothing: engines look
 * them up.
 * It continues as new only between steps, when every update has been answered, so that none is lost and no activity is left behind.
 * Frozen once released: the names of activities and updates, and the order of what is scheduled (test/replay holds recorded histories).
 */

import { defineSearchAttributeKey } from '@temporalio/common'
import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow'
import type { ControlActivities, ShardRef, StreamActivities } from '../activities/contract.ts'
import {
  type ActorArgs,
  type Blocked,
  type PipelineInput,
  type PipelineStatus,
  searchAttributeNames,
  shardActivityId,
  taskQueues,
} from '../core/pipeline-control.ts'
import { type AuditEntry, startAuditOutbox } from './audit-outbox.ts'
import {
  dueProposal,
  limited,
  paused,
  proposalChecked,
  rejoined,
  respecified,
  resumed,
  retabled,
  stopped,
} from './commands.ts'
import { blockedBy } from './failure.ts'
import {
  addTablesUpdate,
  pauseUpdate,
  rejoinUpdate,
  removeTablesUpdate,
  respecUpdate,
  resumeUpdate,
  setLimitsUpdate,
  statusQuery,
  stopUpdate,
  validateCommand,
} from './messages.ts'
import { checkEnded, claimed, runEnded, shardEnded, shardsStarted } from './outcomes.ts'
import { untilOf } from './shards.ts'
import {
  created,
  entered,
  interrupted,
  nextStep,
  type PipelineMemory,
  publicStatus,
  type Step,
  type StepOutcome,
  sameStep,
} from './states.ts'

/** What one run hands to the next. */
export interface CarriedState {
  readonly memory: PipelineMemory
  readonly unrecorded: readonly AuditEntry[]
}

type RunShards = Extract<Step, { do: 'run-shards' }>

/** How long an update waits for its effect before it answers with the state as it is. */
const answerWithin = '10s'
/** A change costs about ten events; the server suggests a new run at 4,096. */
const defaultChangesPerRun = 200
/** How long a new run is put off for entries of the audit log; after that they travel along. */
const outboxWait = '5s'

const phaseKey = defineSearchAttributeKey(searchAttributeNames.phase, 'KEYWORD')
const pipelineKey = defineSearchAttributeKey(searchAttributeNames.pipeline, 'KEYWORD')

export async function pipeline(input: PipelineInput, carried?: CarriedState): Promise<PipelineStatus> {
  // Everything runs where a cancel of the workflow does not reach: it is a request to stop, not an exception.
  return CancellationScope.nonCancellable(() => runPipelineWorkflow(input, carried))
}

async function runPipelineWorkflow(input: PipelineInput, carried?: CarriedState): Promise<PipelineStatus> {
  const { claimGeneration } = proxyActivities<ControlActivities>({
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    startToCloseTimeout: '30s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
  })
  const stream = { taskQueue: taskQueues(input.taskQueuePrefix).stream, startToCloseTimeout: '365d' } as const
  const { checkPipeline } = proxyActivities<StreamActivities>({
    ...stream,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    heartbeatTimeout: '5s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
  })
  const engineRun = {
    ...stream,
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    heartbeatTimeout: '5s',
    // Attempts count up over months and never go back: any coefficient above 1 would end at the maximum for good.
    retry: { initialInterval: '200ms', backoffCoefficient: 1, maximumInterval: '5s' },
  } as const
  const { runPipeline } = proxyActivities<StreamActivities>(engineRun)

  let memory = carried?.memory ?? created(input, Date.now())
  let changes = 0
  let leaving = false
  let running: { readonly step: Step; readonly scope: CancellationScope } | undefined
  /** The check beside the stream, while there is one. */
  let beside: { readonly specGeneration: number; readonly scope: CancellationScope } | undefined
  const outbox = startAuditOutbox(carried?.unrecorded ?? [])

  const announce = (before: PipelineMemory | undefined): void => {
    const { pipeline: name, state, detail, actor, seq } = memory
    if (before === undefined || before.seq !== seq) {
      changes++
      // The run id keeps a workflow that was reset from using the numbers of its former life.
      outbox.add({ pipeline: name, state, detail, actor, key: `${workflowInfo().runId}/${seq}` })
    }
    if (before === undefined || before.state !== state) {
      const phase = { key: phaseKey, value: state }
      upsertSearchAttributes(before === undefined ? [{ key: pipelineKey, value: name }, phase] : [phase])
    }
    setCurrentDetails(`**${state}** (${detail})`)
  }
  const change = (next: PipelineMemory): void => {
    const before = memory
    memory = next
    if (running !== undefined && !sameStep(running.step, nextStep(memory))) {
      running.scope.cancel()
      memory = interrupted(memory, Date.now())
    }
    if (beside !== undefined && beside.specGeneration !== dueProposal(memory)) beside.scope.cancel()
    announce(before)
  }

  // ------------------------------------------------------------------------------------------------- what people ask
  const answer = (next: PipelineMemory, isSettled: () => boolean): Promise<PipelineStatus> =>
    CancellationScope.nonCancellable(async () => {
      change(next)
      // A run that is about to continue as new waits for its handlers, so they must not wait for it.
      await condition(() => leaving || isSettled(), answerWithin)
      return publicStatus(memory)
    })
  const isAtRest = (): boolean => memory.state === 'paused' || memory.state === 'blocked'

  setHandler(statusQuery, () => publicStatus(memory))
  setHandler(
    pauseUpdate,
    ({ actor }: ActorArgs) => answer(paused(memory, actor), () => memory.wanted !== 'pause' || isAtRest()),
    { validator: (args) => validateCommand(memory, 'pause', args) },
  )
  setHandler(
    resumeUpdate,
    ({ actor }) => answer(resumed(memory, actor), () => memory.wanted !== 'run' || !isAtRest()),
    { validator: (args) => validateCommand(memory, 'resume', args) },
  )
  setHandler(stopUpdate, ({ actor }) => answer(stopped(memory, actor), () => memory.state === 'stopped'), {
    validator: (args) => validateCommand(memory, 'stop', args),
  })
  setHandler(
    respecUpdate,
    ({ actor, specGeneration, shards }) =>
      answer(respecified(memory, actor, specGeneration, shards), () => true),
    { validator: (args) => validateCommand(memory, 'respec', args) },
  )
  for (const [update, command, words] of [
    [addTablesUpdate, 'addTables', 'join'],
    [removeTablesUpdate, 'removeTables', 'leave'],
  ] as const) {
    setHandler(
      update,
      ({ actor, specGeneration, tables }) => {
        const detail = `${tables.join(', ')} ${words}, spec generation ${specGeneration}`
        return answer(
          retabled(memory, actor, specGeneration, detail),
          () => memory.pending?.specGeneration !== specGeneration || memory.pending.refused !== null,
        )
      },
      { validator: (args) => validateCommand(memory, command, args) },
    )
  }
  setHandler(
    rejoinUpdate,
    ({ actor, table, parking }) => answer(rejoined(memory, actor, { table, parking }), () => true),
    { validator: (args) => validateCommand(memory, 'rejoin', args) },
  )
  setHandler(
    setLimitsUpdate,
    ({ actor, specGeneration }) => {
      const answered = answer(limited(memory, actor, specGeneration), () => true)
      // It ends no step, and a run becomes a new one only between steps.
      if (isRunLong()) running?.scope.cancel()
      return answered
    },
    { validator: (args) => validateCommand(memory, 'setLimits', args) },
  )
  CancellationScope.current().cancelRequested.catch(() => {
    if (memory.wanted !== 'stop') change(stopped(memory, 'temporal', 'the workflow was cancelled'))
  })
  if (carried === undefined) announce(undefined)

  // -------------------------------------------------------------------------------------------------------- the steps
  /** Runs `work` until it ends or the state asks for another step; undefined: it ended without a result because of that. */
  const attempt = async <T>(step: Step, work: () => Promise<T>): Promise<T | undefined> => {
    const scope = new CancellationScope()
    running = { step, scope }
    try {
      return await scope.run(work)
    } catch (error) {
      if (scope.consideredCancelled || error instanceof CancelledFailure) return undefined
      throw error
    } finally {
      running = undefined
    }
  }
  const perform = async (step: Step): Promise<void> => {
    switch (step.do) {
      case 'claim': {
        const generation = await attempt(step, () => claimGeneration(memory.pipeline))
        if (generation !== undefined) memory = claimed(memory, generation)
        return
      }
      case 'check': {
        const { pipeline: name, generation } = memory
        const ref = { pipeline: name, specGeneration: step.specGeneration, generation }
        const found = await attempt(step, () => checkPipeline(ref))
        if (found !== undefined) memory = checkEnded(memory, step, found)
        return
      }
      case 'run': {
        const { pipeline: name, generation, acknowledged, rejoins } = memory
        const ref = { pipeline: name, specGeneration: step.specGeneration, generation }
        const result = await attempt(step, () =>
          runPipeline({
            ...ref,
            until: step.until,
            acknowledged,
            ...(rejoins === undefined ? {} : { rejoins }),
          }),
        )
        memory = runEnded(memory, step, result ?? { kind: 'interrupted' }, Date.now())
        // Ended by itself without reaching anything: not worth a tight loop of events.
        if (result?.kind !== 'handover' && sameStep(step, nextStep(memory))) await sleep('1s')
        return
      }
      case 'run-shards':
        memory = shardsStarted(memory)
        await attempt(step, () => runShards(step))
        return
      case 'rest':
        await condition(() => !sameStep(step, nextStep(memory)) || isRunLong())
        return
      case 'finish':
        return
    }
  }
  const checkProposals = async (): Promise<never> => {
    for (;;) {
      await condition(() => !leaving && dueProposal(memory) !== null)
      const specGeneration = dueProposal(memory) as number
      const { pipeline: name, generation } = memory
      const scope = new CancellationScope()
      beside = { specGeneration, scope }
      let found: Blocked | null | undefined
      try {
        found = await scope.run(() => checkPipeline({ pipeline: name, specGeneration, generation }))
      } catch (error) {
        found = scope.consideredCancelled || error instanceof CancelledFailure ? undefined : blockedBy(error)
      }
      beside = undefined
      if (found !== undefined) change(proposalChecked(memory, specGeneration, found))
    }
  }
  void checkProposals()
  const runShards = async (step: RunShards): Promise<void> => {
    const { generation, shards = [] } = memory
    const scope = CancellationScope.current()
    await Promise.all(
      shards.map((_, index) => runShard(step, scope, { index, of: shards.length }, generation)),
    )
  }
  /** One shard, phase by phase, until the scope is cancelled or it is blocked. */
  const runShard = async (
    step: RunShards,
    scope: CancellationScope,
    shard: ShardRef,
    generation: number,
  ): Promise<void> => {
    // By this name the API knows which of the pending activities is whose.
    const activities = proxyActivities<StreamActivities>({ ...engineRun, activityId: shardActivityId(shard) })
    for (;;) {
      const { pipeline: name, acknowledged, rejoins, shards = [] } = memory
      const mine = shards[shard.index]
      if (mine === undefined || mine.blocked !== null) return
      const ref = { pipeline: name, specGeneration: step.specGeneration, generation }
      let outcome: StepOutcome
      try {
        outcome = await activities.runPipeline({
          ...ref,
          until: untilOf(mine),
          acknowledged,
          ...(rejoins === undefined ? {} : { rejoins }),
          shard,
        })
      } catch (error) {
        const isCancelled = scope.consideredCancelled || error instanceof CancelledFailure
        outcome = isCancelled ? { kind: 'interrupted' } : { kind: 'blocked', blocked: blockedBy(error) }
      }
      const before = memory
      memory = shardEnded(memory, { index: shard.index, generation }, step, outcome, Date.now())
      if (scope.consideredCancelled) return
      if (!sameStep(step, nextStep(memory)) || isRunLong()) return scope.cancel()
      memory = entered(memory, step, Date.now())
      if (memory.seq !== before.seq) announce(before)
      // Ended by itself without reaching anything: not worth a tight loop of events.
      if (outcome.kind === 'drained' || outcome.kind === 'interrupted') await sleep('1s').catch(() => {})
      if (scope.consideredCancelled) return
    }
  }
  const isRunLong = (): boolean =>
    workflowInfo().continueAsNewSuggested || changes >= (input.changesPerRun ?? defaultChangesPerRun)

  for (;;) {
    if (isRunLong() && memory.wanted !== 'stop') {
      leaving = true
      await condition(() => outbox.isEmpty() && allHandlersFinished(), outboxWait)
      beside?.scope.cancel()
      await condition(() => allHandlersFinished() && beside === undefined)
      await continueAsNew<typeof pipeline>(input, { memory, unrecorded: outbox.unrecorded() })
    }
    const step = nextStep(memory)
    const before = memory
    memory = entered(memory, step, Date.now())
    if (memory !== before) announce(before)
    if (step.do === 'finish') break
    try {
      await perform(step)
    } catch (error) {
      log.error('a step failed for good', { step, error })
      memory = { ...memory, blocked: blockedBy(error) }
    }
  }
  await condition(() => outbox.isEmpty() && allHandlersFinished() && beside === undefined)
  return publicStatus(memory)
}
