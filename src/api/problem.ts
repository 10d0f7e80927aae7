/**
 * Errors as the API tells them: `application/problem+json` (RFC 9457) with the code and the remedy of the catalogue.
 *
 * An error that is none of ours is SYNC-9001: its message is told, its stack only goes to the log.
 */
import type { Context } from 'hono'
import type { ConfigIssue } from '../config/issue.ts'
import { pathPointer, pathText } from '../config/issue.ts'
import { catalogue, type ErrorCode, type SyncError } from '../core/errors.ts'
import type { Problem } from './wire.ts'

export type ProblemStatus = 400 | 403 | 404 | 409 | 412 | 413 | 422 | 500 | 503 | 504

const statuses: Partial<Record<ErrorCode, ProblemStatus>> = {
  'SYNC-1101': 404,
  'SYNC-1102': 400,
  'SYNC-1103': 412,
  'SYNC-1104': 409,
  'SYNC-1105': 409,
  'SYNC-1106': 503,
  'SYNC-1108': 504,
  'SYNC-1109': 403,
  'SYNC-1115': 409,
}

export function statusOf(code: ErrorCode): ProblemStatus {
  const { disposition, scope } = catalogue[code]
  if (scope === 'config') return 422
  return statuses[code] ?? (disposition === 'retry' ? 503 : disposition === 'bug' ? 500 : 409)
}

export function problemOf(error: SyncError, instance: string): Problem {
  const issues = (error.details['issues'] ?? []) as readonly ConfigIssue[]
  const fields = (error.details['fields'] ?? []) as readonly { path: string; message: string }[]
  return {
    type: `urn:syncline:error:${error.code}`,
    title: catalogue[error.code].title,
    status: statusOf(error.code),
    detail: error.message,
    instance,
    code: error.code,
    remedy: error.remedy,
    errors: [
      ...issues.map(({ code, path, message, remedy }) => ({
        code,
        path: pathText(path),
        pointer: pathPointer(path),
        message,
        remedy,
      })),
      ...fields.map(({ path, message }) => ({ code: error.code, path, message })),
    ],
  }
}

export function problemAnswer(c: Context, error: SyncError): Response {
  const problem = problemOf(error, c.req.path)
  return c.body(JSON.stringify(problem), problem.status as ProblemStatus, {
    'content-type': 'application/problem+json',
  })
}
