/**
 * What an apply would change, field by field, and what each change costs. Pure.
 *
 *   create    the resource is not there yet
 *   in-place  nothing that runs notices
 *   restart   the stream drains and goes on with the new value, from where it stood
 *   refused   not possible on this pipeline any more (SYNC-1104); the reason says why
 *
 * Before rows were first written, everything may change.
 */
import type { Endpoint } from '../config/endpoint.ts'
import { type FieldPath, pathText } from '../config/issue.ts'
import { isLimitField } from '../config/limits.ts'
import type { Pipeline } from '../config/pipeline.ts'
import { ruleChanges } from '../config/scope-change.ts'
import { isVerifyField } from '../config/verify.ts'
import { SyncError } from '../core/errors.ts'

export type Effect = 'create' | 'in-place' | 'restart' | 'refused'

export interface PlannedField {
  /** `spec.stream.lanes`; empty for the whole document. */
  readonly path: string
  readonly before: unknown
  readonly after: unknown
  readonly effect: Effect
  readonly reason?: string
}

export interface Plan {
  readonly change: 'create' | 'change' | 'unchanged'
  readonly fields: readonly PlannedField[]
  /** Pipelines whose stream would restart. */
  readonly restarts: readonly string[]
}

/** @param written generations since rows were first written, oldest first; empty: none were */
export function planPipeline(before: Pipeline | null, after: Pipeline, written: readonly Pipeline[]): Plan {
  if (before === null) return creation(after)
  // Documents that were stored before there were shards do not have the field.
  const { tables: tablesBefore, ...specBefore } = { ...before.spec, shards: before.spec.shards ?? 1 }
  const { tables: tablesAfter, ...specAfter } = after.spec
  const fields = [
    ...differences(before.metadata.labels, after.metadata.labels, ['metadata', 'labels']).map((field) => ({
      ...field,
      effect: 'in-place' as const,
    })),
    ...differences(specBefore, specAfter, ['spec']).map((field) => {
      if (isLimitField(field.path) || isVerifyField(field.path))
        return { ...field, effect: 'in-place' as const }
      const reason = written.length > 0 ? fixed[field.path] : undefined
      return reason === undefined
        ? { ...field, effect: 'restart' as const }
        : { ...field, effect: 'refused' as const, reason }
    }),
    ...ruleChanges(
      tablesBefore,
      tablesAfter,
      written.map(({ spec }) => spec.tables),
      after.spec.load.mode === 'once',
    ).map(({ index, field, before: was, after: is, refused }): PlannedField => {
      const path = pathText(['spec', 'tables', index, ...(field === 'rule' ? [] : [field])])
      return refused === null || written.length === 0
        ? { path, before: was, after: is, effect: 'restart' }
        : { path, before: was, after: is, effect: 'refused', reason: refused }
    }),
  ]
  const restarts = fields.some(({ effect }) => effect === 'restart') ? [after.metadata.name] : []
  return { change: fields.length === 0 ? 'unchanged' : 'change', fields, restarts }
}

const shardsPath = 'spec.shards'

/** What a pipeline that has written stands on. */
const fixed: Readonly<Record<string, string>> = {
  'spec.source': 'its position belongs to this source',
  'spec.target': 'its position and its progress are stored in this target',
  'spec.load.mode': 'its load has begun',
  [shardsPath]: 'each shard has a position and a progress of its own',
}

/** @param users pipelines that use the endpoint, and whether rows were written by them */
export function planEndpoint(
  before: Endpoint | null,
  after: Endpoint,
  users: readonly { readonly name: string; readonly written: boolean }[],
): Plan {
  if (before === null) return creation(after)
  const bound = users.find(({ written }) => written)
  const fields = [
    ...differences(before.metadata.labels, after.metadata.labels, ['metadata', 'labels']).map((field) => ({
      ...field,
      effect: 'in-place' as const,
    })),
    ...differences(before.spec, after.spec, ['spec']).map((field): PlannedField => {
      if (bound !== undefined && (field.path === 'spec.site' || field.path === 'spec.kind')) {
        return { ...field, effect: 'refused', reason: `pipeline ${bound.name} has written under it` }
      }
      return { ...field, effect: users.length === 0 ? 'in-place' : 'restart' }
    }),
  ]
  const restarts = fields.some(({ effect }) => effect === 'restart') ? users.map(({ name }) => name) : []
  return { change: fields.length === 0 ? 'unchanged' : 'change', fields, restarts }
}

/** @throws SyncError SYNC-1104, or SYNC-1115 of shards, when the plan holds a refused field */
export function assertAccepted(plan: Plan, what: string): void {
  const refused = plan.fields.filter(({ effect }) => effect === 'refused')
  if (refused.length === 0) return
  throw new SyncError(
    refused.some(({ path }) => path === shardsPath) ? 'SYNC-1115' : 'SYNC-1104',
    `${what} cannot change so: ${refused.map(({ path, reason }) => `${path}: ${reason}`).join('; ')}`,
    {
      remedy:
        'Keep these fields as they are, or delete the pipeline and create it anew: it loads its tables again.',
      details: { fields: refused.map(({ path, reason }) => ({ path, message: reason })) },
    },
  )
}

const creation = (document: Endpoint | Pipeline): Plan => ({
  change: 'create',
  fields: [{ path: '', before: null, after: document, effect: 'create' }],
  restarts: [],
})

interface Difference {
  readonly path: string
  readonly before: unknown
  readonly after: unknown
}

function differences(before: unknown, after: unknown, path: FieldPath): Difference[] {
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...keys].flatMap((key) => differences(before[key], after[key], [...path, key]))
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  return [{ path: pathText(path), before: before ?? null, after: after ?? null }]
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
