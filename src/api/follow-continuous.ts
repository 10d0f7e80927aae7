/**
 * Makes the verification that follows a pipeline's log what the pipeline's file says (spec.verify.continuous): started, asked for something else, or ended.
 *
 * Safe to repeat: what a crash left undone is done by the next apply. One that a person started goes its own way, and is the only one of its pipeline.
 */
import { continuousRequestOf, verifySettings } from '../config/verify.ts'
import { openVerificationStates } from '../core/verification-control.ts'
import type { PipelineRecord } from '../store/pipelines.ts'
import type { VerificationRecord } from '../store/verifications.ts'
import type { ApiDeps } from './context.ts'

/** More are never open: one of each kind. */
const newestRuns = 1_000

export async function followContinuous(
  { store, workflows: { verifications } }: Pick<ApiDeps, 'store' | 'workflows'>,
  record: PipelineRecord,
  actor: string,
): Promise<void> {
  const { name } = record.document.metadata
  const settings = verifySettings(record.document.spec.verify)
  const running = store.verifications
    .list(name, { limit: newestRuns })
    .find(({ state, request }) => request.mode === 'continuous' && openVerificationStates.includes(state))
  if (settings.continuous === undefined) {
    if (running?.request.continuous?.isOfFile === true) await end(running)
    return
  }
  if (running !== undefined) {
    if (running.request.continuous?.isOfFile !== true) return
    store.verifications.ask(running, continuousRequestOf(settings, true))
    // Its workflow is there, or is made again.
    await verifications.start(running)
    return
  }
  const run = store.verifications.create({
    pipeline: name,
    origin: 'person',
    actor,
    generation: record.generation,
    request: continuousRequestOf(settings, true),
  })
  try {
    await verifications.start(run)
  } catch (error) {
    store.verifications.forget(run)
    throw error
  }

  async function end(run: VerificationRecord): Promise<void> {
    if (await verifications.cancel(run.workflow, actor)) return
    store.verifications.end(run, { state: 'cancelled', outcome: null, trouble: null })
  }
}
