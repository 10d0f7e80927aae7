/** The newest verifications of a pipeline in a few words, for its status. */
import { verificationId } from '../core/verification-control.ts'
import { differencesIn } from '../core/verification-request.ts'
import type { PipelineRecord } from '../store/pipelines.ts'
import type { Store } from '../store/store.ts'
import type { VerificationRecord } from '../store/verifications.ts'
import { differsNow } from './verification-resources.ts'
import type { PipelineVerifications, VerificationBrief } from './verification-wire.ts'

type BriefStore = Pick<Store, 'verifications' | 'repairRuns'>

export function verificationsOfPipeline(
  store: BriefStore,
  name: string,
  { document }: Pick<PipelineRecord, 'document'>,
): PipelineVerifications {
  const newest = (origin?: 'schedule'): VerificationBrief | null => {
    const [run] = store.verifications.list(name, { limit: 1, ...(origin === undefined ? {} : { origin }) })
    return run === undefined ? null : briefOf(store, run)
  }
  return {
    newest: newest(),
    schedule: document.spec.verify?.schedule ?? null,
    scheduled: newest('schedule'),
  }
}

function briefOf({ repairRuns }: BriefStore, run: VerificationRecord): VerificationBrief {
  const { pipeline, number, origin, actor, request, state, outcome, tally, requestedAt, endedAt } = run
  const [repair] = repairRuns.list(run)
  return {
    id: verificationId(pipeline, number),
    number,
    origin,
    actor,
    mode: request.mode,
    state,
    outcome: outcome ?? differsNow(run),
    rowsCompared: tally.rowsCompared,
    differences: differencesIn(tally),
    repair: repair?.state ?? null,
    requestedAt,
    endedAt,
  }
}
