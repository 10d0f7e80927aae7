/**
 * Makes the workflow of a pipeline follow what the store says: started if it is wanted and not there, told of a newer spec if it runs.
 *
 * Safe to repeat at any time and from several servers at once: the workflow id keeps a second workflow from starting, and a spec that is
 * not newer changes nothing. What a crash left undone is done by the next apply or resume.
 */
import type { Pipeline } from '../config/pipeline.ts'
import { SyncError } from '../core/errors.ts'
import type { PipelineStatus } from '../core/pipeline-control.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import type { ApiDeps } from './context.ts'
import { followUpOf } from './follow-up.ts'

const lastLinesWithinMs = 5_000

/**
 * checking: other tables, whose check takes longer than the answer waits. held-back: the checks have found something; what streams goes on
 * streaming without the change.
 */
export type Reconciled = 'started' | 'changed' | 'unchanged' | 'not-wanted' | 'checking' | 'held-back'

export async function reconcile(
  { store, workflows }: ApiDeps,
  pipeline: string,
  actor: string,
): Promise<Reconciled> {
  const record = store.pipelines.get(pipeline)
  if (record === null) throw new SyncError('SYNC-1101', `there is no pipeline ${pipeline}`)
  if (record.wanted !== 'run') return 'not-wanted'
  const { generation } = record
  const start = (): Promise<void> =>
    workflows.start({ pipeline, specGeneration: generation, actor, ...shardsOf(record.document) })
  const found = await workflows.describe(pipeline)
  if (found === null || !found.isRunning) {
    await start()
    return 'started'
  }
  const running = await workflows.status(pipeline)
  if (running === null)
    throw new SyncError('SYNC-1108', `the workflow of pipeline ${pipeline} does not answer`)
  if (running.wanted === 'stop') {
    // It has stopped and writes its last lines, or it drains.
    if (running.state === 'stopped' && (await workflows.ended(pipeline, lastLinesWithinMs))) {
      await start()
      return 'started'
    }
    throw new SyncError('SYNC-1104', `pipeline ${pipeline} is stopping`, {
      remedy: 'Repeat the request once it has stopped.',
    })
  }
  try {
    return await follow({ store, workflows }, running, { pipeline, generation, actor })
  } catch (error) {
    // Another server may have told it meanwhile, or what it was told by this one was made for another generation than it has now.
    const seen = await workflows.status(pipeline)
    if (seen === null || seen.wanted === 'stop') throw error
    if (toldOf(seen) >= generation) return outcomeOf(seen, generation) ?? 'unchanged'
    if (!(error instanceof SyncError) || error.code !== 'SYNC-1103') throw error
    return follow({ store, workflows }, seen, { pipeline, generation, actor })
  }
}

async function follow(
  { store, workflows }: Pick<ApiDeps, 'store' | 'workflows'>,
  running: PipelineStatus,
  { pipeline, generation, actor }: { pipeline: string; generation: number; actor: string },
): Promise<Reconciled> {
  if (toldOf(running) >= generation) return outcomeOf(running, generation) ?? 'unchanged'
  const inForce = running.specGeneration
  const [before, now] = [inForce, generation].map((number) => store.pipelines.getGeneration(pipeline, number))
  let next = followUpOf(before as PipelineGeneration, now as PipelineGeneration)
  // What is stored is what runs again, and a change that was to come must not come any more.
  if (next === null && (running.pending ?? null) !== null) next = { command: 'setLimits' }
  if (next === null) return 'unchanged'
  const { command, ...more } = next
  const shards = shardsOf((now as PipelineGeneration).pipeline)
  const basis = command === 'setLimits' ? { basedOn: inForce } : {}
  const told = await workflows.command(pipeline, command, {
    actor,
    specGeneration: generation,
    ...more,
    ...basis,
    ...shards,
  })
  if (told !== null) return outcomeOf(told, generation) ?? 'changed'
  await workflows.start({ pipeline, specGeneration: generation, actor, ...shards })
  return 'started'
}

/** Documents that were stored before there were shards do not have the field. */
const shardsOf = ({ spec }: Pipeline): { readonly shards?: number } =>
  (spec.shards ?? 1) === 1 ? {} : { shards: spec.shards }

/** The newest generation that the workflow knows of. */
const toldOf = ({ specGeneration, pending }: PipelineStatus): number =>
  Math.max(specGeneration, pending?.specGeneration ?? 0)

const outcomeOf = ({ pending }: PipelineStatus, generation: number): Reconciled | null =>
  pending?.specGeneration !== generation ? null : pending.refused === null ? 'checking' : 'held-back'
