/**
 * The pieces of requests and answers that all routes share.
 *
 * Bodies of documents are checked by config/document.ts and not by the router, so that a mistake sent to the API is told as one in a file:
 * with its path, and what was probably meant.
 */
import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { configError, issue } from '../config/issue.ts'
import { resourceName } from '../config/metadata.ts'
import { SyncError } from '../core/errors.ts'
import type { ProblemStatus } from './problem.ts'
import { problem } from './wire.ts'

// Made before the router's extension of zod may be loaded, so it is used as it is.
export const nameParam = z.object({ name: resourceName })

export const putQuery = z.object({
  dryRun: z
    .enum(['true', 'false'])
    .optional()
    .openapi({ description: 'true: change nothing, answer what would change.' }),
})

/** The body as the OpenAPI document shows it; `bodyOf` reads it. */
export const documentBody = (
  kind:
    | 'Endpoint'
    | 'Pipeline'
    | 'LimitsChange'
    | 'TablesToAdd'
    | 'RemovedTables'
    | 'TableToRejoin'
    | 'VerificationAsked'
    | 'RepairAsked',
) => ({
  required: true,
  content: { 'application/json': { schema: { $ref: `#/components/schemas/${kind}` } } },
})

export async function bodyOf(c: Context): Promise<unknown> {
  try {
    return JSON.parse(await c.req.text())
  } catch (cause) {
    throw new SyncError('SYNC-1102', `the body is not JSON: ${(cause as Error).message}`, { cause })
  }
}

/** The body by a schema, whatever its content type. @throws SyncError SYNC-1102 with every field that is wrong */
export async function parsedBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await bodyOf(c))
  if (parsed.success) return parsed.data
  throw requestError(parsed.error.issues)
}

export function requestError(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): SyncError {
  const fields = issues.map(({ path, message }) => ({ path: path.map(String).join('.'), message }))
  const words = fields.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  return new SyncError('SYNC-1102', words.join('; '), { details: { fields } })
}

/** A document is applied under its own name. */
export function withNameOfPath(input: unknown, name: string): unknown {
  const own = (input as { metadata?: { name?: unknown } } | null)?.metadata?.name
  if (typeof own === 'string' && own !== name) {
    throw configError([
      issue(
        'SYNC-1003',
        ['metadata', 'name'],
        `the document is called ${own}, the URL says ${name}`,
        'Make both the same.',
      ),
    ])
  }
  return input
}

/** The generation in If-Match, 0 for If-None-Match: *, undefined without either. */
export function expectedGeneration(c: Context): number | undefined {
  if (c.req.header('if-none-match')?.trim() === '*') return 0
  const given = c.req.header('if-match')?.trim()
  if (given === undefined || given === '*') return undefined
  const generation = /^(?:W\/)?"(\d+)"$/.exec(given)?.[1]
  if (generation === undefined)
    throw new SyncError('SYNC-1102', `If-Match: ${given} is not an ETag of this API`)
  return Number(generation)
}

const problemContent = { 'application/problem+json': { schema: problem } }

const meanings: Partial<Record<ProblemStatus, string>> = {
  404: 'There is no such resource',
  409: 'Does not fit the state of the resource',
  412: 'Changed meanwhile',
  422: 'The document is wrong',
  503: 'Temporal cannot be reached',
  504: 'No worker answers',
}

export const problems = (...statuses: ProblemStatus[]) =>
  Object.fromEntries(
    ([400, ...statuses, 500] as const).map((status) => [
      status,
      { description: meanings[status] ?? 'See code and remedy', content: problemContent },
    ]),
  ) as Record<never, never>

export const listOf = <T extends z.ZodType>(item: T) => ({
  description: 'All of them',
  content: { 'application/json': { schema: z.object({ items: z.array(item) }) } },
})
