/**
 * Makes the workflow of a pipeline follow what the store says: started if it is wanted and not there, told of a newer spec if it runs.
 *
 * Safe to repeat at any time and from several servers at once: the workflow id keeps a second workflow from starting, and a spec that is
 * not newer changes nothing. What a crash left undone is done by the next apply or resume.
 */
import { SyncError } from '../core/errors.ts'
import type { PipelineStatus } from '../core/pipeline-control.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import type { ApiDeps } from './context.ts'

const lastLinesWithinMs = 5_000

export type Reconciled = 'started' | 'changed' | 'unchanged' | 'not-wanted'

export async function reconcile(
  { store, workflows }: ApiDeps,
  pipeline: string,
  actor: string,
): Promise<Reconciled> {
  const record = store.pipelines.get(pipeline)
  if (record === null) throw new SyncError('SYNC-1101', `there is no pipeline ${pipeline}`)
  if (record.wanted !== 'run') return 'not-wanted'
  const { generation } = record
  const found = await workflows.describe(pipeline)
  if (found === null || !found.isRunning) {
    await workflows.start({ pipeline, specGeneration: generation, actor })
    return 'started'
  }
  const running = await workflows.status(pipeline)
  if (running === null)
    throw new SyncError('SYNC-1108', `the workflow of pipeline ${pipeline} does not answer`)
  if (running.wanted === 'stop') {
    // It has stopped and writes its last lines, or it drains.
    if (running.state === 'stopped' && (await workflows.ended(pipeline, lastLinesWithinMs))) {
      await workflows.start({ pipeline, specGeneration: generation, actor })
      return 'started'
    }
    throw new SyncError('SYNC-1104', `pipeline ${pipeline} is stopping`, {
      remedy: 'Repeat the request once it has stopped.',
    })
  }
  if (running.specGeneration >= generation) return 'unchanged'
  const now = store.pipelines.getGeneration(pipeline, generation)
  if (runsAlike(store.pipelines.getGeneration(pipeline, running.specGeneration), now)) return 'unchanged'
  try {
    const told = await workflows.command(pipeline, 'respec', { actor, specGeneration: generation })
    if (told !== null) return 'changed'
    await workflows.start({ pipeline, specGeneration: generation, actor })
    return 'started'
  } catch (error) {
    // Another server may have told it meanwhile.
    const seen: PipelineStatus | null = await workflows.status(pipeline)
    if (seen !== null && seen.wanted !== 'stop' && seen.specGeneration >= generation) return 'unchanged'
    throw error
  }
}

/** Labels and times make no difference to what runs. */
const runsAlike = (a: PipelineGeneration, b: PipelineGeneration): boolean =>
  JSON.stringify([a.pipeline.spec, a.source.spec, a.target.spec]) ===
  JSON.stringify([b.pipeline.spec, b.source.spec, b.target.spec])
