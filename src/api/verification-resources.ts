/** From the store's words for verifications and repairs to the API's. */
import { z } from '@hono/zod-openapi'
import { resourceName } from '../config/metadata.ts'
import { SyncError } from '../core/errors.ts'
import type { Value } from '../core/value.ts'
import { verificationId } from '../core/verification-control.ts'
import { differencesIn } from '../core/verification-request.ts'
import type { ContinuousProgress } from '../store/continuous-runs.ts'
import type { RepairRun } from '../store/repair-runs.ts'
import type { Store } from '../store/store.ts'
import type {
  ComparedSegment,
  ComparedTable,
  KeptDifference,
  VerificationRecord,
} from '../store/verifications.ts'
import type {
  ComparedTableAnswer,
  DifferenceAnswer,
  RepairAnswer,
  VerificationAnswer,
} from './verification-wire.ts'

export const runParams = z.object({
  name: resourceName,
  number: z.coerce.number().int().min(1).openapi({ type: 'integer', description: 'Number of the run.' }),
})

export const pageQuery = z.object({
  pageSize: z.coerce.number().int().min(1).max(500).optional().openapi({ type: 'integer' }),
  pageToken: z
    .string()
    .regex(/^\d{1,12}$/)
    .optional()
    .openapi({ description: 'nextPageToken of the answer before.' }),
})

/** @throws SyncError SYNC-1101 */
export function existingRun(
  { pipelines, verifications }: Store,
  { name, number }: { readonly name: string; readonly number: number },
): VerificationRecord {
  if (pipelines.get(name) === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
  const record = verifications.get({ pipeline: name, number })
  if (record === null) {
    throw new SyncError('SYNC-1101', `there is no verification ${verificationId(name, number)}`, {
      remedy: `See those that there are with \`syncline verify list ${name}\`; old ones are forgotten (spec.verify.keepRuns).`,
    })
  }
  return record
}

export const repairAnswerOf = (record: RepairRun): RepairAnswer => {
  const { pipeline: _pipeline, number: _number, ...rest } = record
  return rest
}

export const comparedTableOf = (
  { name, target, after, upTo, state, trouble, rowsEstimated, tally, kept, durationMs }: ComparedTable,
  segments: readonly ComparedSegment[],
): ComparedTableAnswer => ({
  table: name,
  target,
  after: keyText(after),
  upTo: keyText(upTo),
  state,
  trouble,
  rowsEstimated,
  tally,
  kept,
  durationMs,
  positions: segments.map((segment) => ({
    after: keyText(segment.after),
    upTo: keyText(segment.upTo),
    position: segment.position,
    at: segment.at,
  })),
})

export const differenceResourceOf = (
  { id, table, kind, key, columns, source, target, seenAt, healedAt }: KeptDifference,
  compared: ComparedTable | null,
): DifferenceAnswer => {
  const names = (compared?.columns ?? []).filter(({ isKey }) => isKey).map((column) => column.source)
  const image = source ?? target ?? {}
  return {
    id,
    table,
    kind,
    key: Object.fromEntries(
      key.map((value, index) => {
        const name = names[index] ?? String(index + 1)
        return [name, image[name] ?? valueText(value)]
      }),
    ),
    columns,
    source,
    target,
    seenAt,
    healedAt,
  }
}

export const continuousAnswerOf = (
  { request: { continuous } }: Pick<VerificationRecord, 'request'>,
  progress: ContinuousProgress | null,
): VerificationAnswer['continuous'] =>
  continuous === undefined
    ? null
    : {
        settleMs: continuous.settleMs,
        isOfFile: continuous.isOfFile,
        changes: progress?.changes ?? 0,
        rowsRead: progress?.rowsRead ?? 0,
        healed: progress?.healed ?? 0,
        beyond: progress?.beyond ?? 0,
        pendingRows: progress?.pendingRows ?? 0,
        lagMs: progress?.lagMs ?? 0,
        oldestMs: progress?.oldestMs ?? 0,
        position: progress?.position ?? null,
        checkpoint: tokenOf(progress?.checkpoint ?? null),
        updatedAt: progress?.updatedAt ?? null,
      }

/** A checkpoint is stored with what a reader needs to go on in the middle of a transaction; people are shown the place. */
const tokenOf = (checkpoint: string | null): string | null =>
  checkpoint === null ? null : (JSON.parse(checkpoint) as { token: string }).token

/** What a run that goes on has found so far, where that is all that it will ever tell. */
export const differsNow = ({
  request,
  tally,
}: Pick<VerificationRecord, 'request' | 'tally'>): 'different' | null =>
  request.mode === 'continuous' && differencesIn(tally) > 0 ? 'different' : null

/** Key values for people: bytes beyond ASCII as they would stand in UTF-8. */
const keyText = (key: readonly Value[] | null): string | null =>
  key === null ? null : key.map(valueText).join(', ')

const valueText = (value: Value): string =>
  typeof value === 'string' ? Buffer.from(value, 'latin1').toString('utf8') : String(value)
