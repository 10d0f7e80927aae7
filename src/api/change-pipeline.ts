/**
 * Changes the stored document of a pipeline and makes its workflow follow: the one way for all of `apply`, `tables` and `limits`, so that the
 * same change has the same effect whichever way it was asked for.
 *
 * The store comes first: if Temporal goes away between the two, the pipeline shows what is missing, and the next apply or resume does it. What
 * is not possible any more, or has changed meanwhile, is refused and changes nothing; the audit log has it either way.
 */
import { endpointIssues } from '../config/combinations.ts'
import { configError, hasIssues } from '../config/issue.ts'
import type { Pipeline } from '../config/pipeline.ts'
import { isVerifyField } from '../config/verify.ts'
import { SyncError } from '../core/errors.ts'
import type { Change } from '../store/generations.ts'
import type { PipelineRecord } from '../store/pipelines.ts'
import type { ApiDeps, Requester } from './context.ts'
import { followContinuous } from './follow-continuous.ts'
import { assertAccepted, type Plan, planPipeline } from './plan.ts'
import { type Reconciled, reconcile } from './reconcile.ts'
import { recorded } from './recorded.ts'

export interface PipelineChange {
  readonly record: PipelineRecord
  readonly change: Change
  readonly plan: Plan
  readonly workflow: Reconciled
}

export interface ChangeRequest {
  /** For the audit log. */
  readonly action: 'apply' | 'add-tables' | 'remove-tables' | 'set-limits'
  readonly name: string
  /** Generation the caller has seen (0: none); undefined: whatever is there. */
  readonly expected: () => number | undefined
  /** Reads the request; gives what makes the new document, checked, from the one that is stored. @throws SyncError */
  readonly read: () => Promise<(before: Pipeline | null) => Pipeline>
}

/** @throws SyncError SYNC-1103, SYNC-1104, SYNC-1106, and what `read` and its function throw */
export async function changePipeline(
  deps: ApiDeps,
  requester: Requester,
  { action, name, expected, read }: ChangeRequest,
): Promise<PipelineChange> {
  const { store, workflows } = deps
  return recorded(store, requester, { action, kind: 'Pipeline', name }, async (done) => {
    // What is wrong with the request is told before what is wrong elsewhere.
    const make = await read()
    make(store.pipelines.get(name)?.document ?? null)
    const seen = expected()
    // Asked first, so that nothing is stored that cannot be started.
    await workflows.ping()
    const result = store.write(() => {
      const before = store.pipelines.get(name)
      if (before?.wanted === 'delete') {
        throw new SyncError('SYNC-1104', `pipeline ${name} is being deleted`, {
          remedy: `Finish it with \`syncline delete pipeline ${name}\`, then apply again.`,
        })
      }
      const document = make(before?.document ?? null)
      const plan = planFor(deps, document)
      assertAccepted(plan, `pipeline ${name}`)
      const change = store.pipelines.apply(document, requester.actor, seen)
      if (change.change !== 'unchanged') done({ generation: change.record.generation, fields: plan.fields })
      return { ...change, plan }
    })
    const workflow = await reconcile(deps, name, requester.actor)
    const { record, plan } = result
    const schedule = record.document.spec.verify?.schedule
    // One that is stated is set again each time: what a crash left undone is mended by the next apply.
    if (schedule !== undefined || plan.fields.some(({ path }) => isVerifyField(path)))
      await workflows.verifications.schedule(name, schedule ?? null)
    await followContinuous(deps, record, requester.actor)
    return { ...result, workflow }
  })
}

/** What storing the document would change. */
export function planFor({ store }: ApiDeps, document: Pipeline): Plan {
  const { name } = document.metadata
  return planPipeline(
    store.pipelines.get(name)?.document ?? null,
    document,
    store.pipelines.writtenGenerations(name).map(({ pipeline }) => pipeline),
  )
}

/** @throws SyncError where the document and its endpoints contradict each other */
export function assertFits({ store }: ApiDeps, document: Pipeline): Pipeline {
  const source = store.endpoints.get(document.spec.source)
  const target = store.endpoints.get(document.spec.target)
  const issues =
    source === null || target === null ? [] : endpointIssues(document, source.document, target.document)
  if (hasIssues(issues)) throw configError(issues)
  return document
}
