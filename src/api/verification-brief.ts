/** The newest verifications of a pipeline in a few words, for its status. */
import { z } from '@hono/zod-openapi'
import { verificationId } from '../core/verification-control.ts'
import { differencesIn } from '../core/verification-request.ts'
import type { PipelineRecord } from '../store/pipelines.ts'
import type { Store } from '../store/store.ts'
import type { VerificationRecord } from '../store/verifications.ts'

const time = z.string().openapi({ format: 'date-time', description: 'ISO 8601, UTC.' })

const brief = z
  .object({
    id: z.string().openapi({ description: 'The pipeline’s name and the number of the run, as shop-12.' }),
    number: z.int(),
    origin: z.enum(['person', 'schedule']),
    actor: z.string(),
    mode: z.string(),
    state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
    outcome: z.enum(['equal', 'different', 'incomplete']).nullable(),
    rowsCompared: z.int(),
    differences: z.int().openapi({ description: 'Rows that differ, so far.' }),
    repair: z.string().nullable().openapi({ description: 'State of the newest repair of what it found.' }),
    requestedAt: time,
    endedAt: time.nullable(),
  })
  .openapi('VerificationBrief')

export const pipelineVerifications = z
  .object({
    newest: brief.nullable().openapi({ description: 'null: it was never verified.' }),
    schedule: z.string().nullable().openapi({ description: 'spec.verify.schedule' }),
    scheduled: brief.nullable().openapi({ description: 'The newest one of the schedule.' }),
  })
  .openapi('PipelineVerifications')

export type VerificationBrief = z.output<typeof brief>
export type PipelineVerifications = z.output<typeof pipelineVerifications>

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
    outcome,
    rowsCompared: tally.rowsCompared,
    differences: differencesIn(tally),
    repair: repair?.state ?? null,
    requestedAt,
    endedAt,
  }
}
