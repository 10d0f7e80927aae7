/**
 * What an activity that failed for good means for the pipeline: it stands still with a code and a remedy, and never fails the run.
 */
import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow'
import { catalogue, type ErrorCode } from '../core/errors.ts'
import type { Blocked } from '../core/pipeline-control.ts'

/** Any error of an activity; a failure whose type is not in the catalogue is a bug of ours (SYNC-9001). */
export const blockedBy = (error: unknown): Blocked => {
  const cause = error instanceof ActivityFailure && error.cause !== undefined ? error.cause : error
  const known = cause instanceof ApplicationFailure && isCode(cause.type) ? cause.type : undefined
  const code = known ?? 'SYNC-9001'
  return {
    code,
    message: cause instanceof Error ? cause.message : String(cause),
    remedy: (known === undefined ? undefined : remedyOf(cause)) ?? catalogue[code].remedy,
    at: null,
    findings: [],
  }
}

const isCode = (type: string | undefined | null): type is ErrorCode =>
  typeof type === 'string' && Object.hasOwn(catalogue, type)

const remedyOf = (cause: unknown): string | undefined => {
  const details: unknown = cause instanceof ApplicationFailure ? cause.details?.[0] : undefined
  if (typeof details !== 'object' || details === null || !('remedy' in details)) return undefined
  return typeof details.remedy === 'string' ? details.remedy : undefined
}
