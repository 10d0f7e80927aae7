/**
 * Checks one document against the schema and the rules between fields, and says every mistake by its path.
 *
 * The same check serves files and the API. Guarantees: what it returns follows the schema, has all defaults filled in, and parses to itself;
 * no message repeats the value of a secret field.
 */
import { z } from 'zod'
import type { ErrorCode } from '../core/errors.ts'
import { combinationIssues } from './combinations.ts'
import { type Endpoint, endpoint, mysqlEndpointSpec } from './endpoint.ts'
import { type ConfigIssue, configError, type FieldPath, hasIssues, issue } from './issue.ts'
import { nearest } from './nearest.ts'
import { type Pipeline, pipeline } from './pipeline.ts'
import { literalSecret } from './secret.ts'

export type Document = Endpoint | Pipeline

const kinds = { Endpoint: endpoint, Pipeline: pipeline } as const
export const documentSchema = z.discriminatedUnion('kind', [endpoint, pipeline])

export type Checked<T> =
  | { readonly document: T; readonly issues: readonly [] }
  | { readonly document: null; readonly issues: readonly [ConfigIssue, ...ConfigIssue[]] }

/** Checks any document. `document` is set exactly when `issues` is empty. */
export function checkDocument(input: unknown): Checked<Document> {
  if (input === null || typeof input !== 'object' || Array.isArray(input)) {
    return refuse([issue('SYNC-1002', [], 'expected a document with apiVersion, kind, metadata and spec')])
  }
  const kind = (input as Record<string, unknown>)['kind']
  if (kind !== 'Endpoint' && kind !== 'Pipeline') {
    const meant = typeof kind === 'string' ? nearest(kind, Object.keys(kinds)) : null
    return refuse([
      issue(
        'SYNC-1002',
        kind === undefined ? [] : ['kind'],
        kind === undefined ? '`kind` is missing' : `${JSON.stringify(kind)} is not a kind`,
        meant === null ? 'Write kind: Endpoint or kind: Pipeline.' : `Did you mean ${meant}?`,
      ),
    ])
  }
  return kind === 'Endpoint' ? checkEndpoint(input) : checkPipeline(input)
}

export const checkEndpoint = (input: unknown): Checked<Endpoint> =>
  check<Endpoint>(endpoint, input, tlsIssues)

export const checkPipeline = (input: unknown): Checked<Pipeline> =>
  check<Pipeline>(pipeline, input, (document) => combinationIssues(document.spec))

/** The document, or a SyncError that carries every issue. */
export function acceptDocument<T extends object>(checked: Checked<T>): T {
  if (hasIssues(checked.issues)) throw configError(checked.issues)
  return checked.document as T
}

function check<T>(schema: z.ZodType<T>, input: unknown, between: (document: T) => ConfigIssue[]): Checked<T> {
  // The raw issue names the schema that raised it; the finished one no longer does. The allowed keys are noted on the way.
  const allowed = new Map<string, readonly string[]>()
  const parsed = schema.safeParse(input, {
    error: (raw) => {
      if (raw.code === 'unrecognized_keys' && raw.inst instanceof z.ZodObject) {
        allowed.set(JSON.stringify(raw.path ?? []), Object.keys(raw.inst.shape))
      }
      return undefined
    },
  })
  const issues: readonly ConfigIssue[] = parsed.success
    ? between(parsed.data)
    : parsed.error.issues.flatMap((raw) => translate(raw, input, allowed))
  if (hasIssues(issues)) return refuse(issues)
  return { document: parsed.data as T, issues: [] }
}

const refuse = (issues: readonly [ConfigIssue, ...ConfigIssue[]]): Checked<never> => ({
  document: null,
  issues,
})

function tlsIssues(document: Endpoint): ConfigIssue[] {
  const { tls } = document.spec
  const path: FieldPath = ['spec', 'tls']
  const found: ConfigIssue[] = []
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    const missing = tls.cert === undefined ? 'cert' : 'key'
    found.push(
      issue(
        'SYNC-1003',
        path,
        'a client certificate needs both cert and key',
        `Add ${missing}, or remove the other.`,
      ),
    )
  }
  const given = (['ca', 'cert', 'key'] as const).filter((name) => tls[name] !== undefined)
  if (tls.mode === 'disabled' && given.length > 0) {
    found.push(
      issue(
        'SYNC-1003',
        [...path, 'mode'],
        `tls is disabled, yet ${given.join(', ')} is given`,
        'Choose another mode, or remove the certificates.',
      ),
    )
  }
  return found
}

function translate(
  raw: z.core.$ZodIssue,
  input: unknown,
  allowed: ReadonlyMap<string, readonly string[]>,
): ConfigIssue[] {
  const path = raw.path.map((part) => (typeof part === 'number' ? part : String(part)))
  if (raw.code === 'unrecognized_keys') {
    const known = allowed.get(JSON.stringify(raw.path)) ?? []
    return raw.keys.map((key) => {
      const meant = nearest(key, known)
      const remedy = meant === null ? `Allowed here: ${known.join(', ')}.` : `Did you mean \`${meant}\`?`
      return issue('SYNC-1002', [...path, key], `\`${key}\` is not a field here`, remedy)
    })
  }
  if (valueAt(input, path) === undefined) {
    const key = path.at(-1)
    return [issue('SYNC-1002', path, `\`${key}\` is missing`, `Add \`${key}\`.`)]
  }
  if (raw.message === literalSecret) return [issue('SYNC-1004', path, literalSecret)]
  const code: ErrorCode = 'SYNC-1002'
  if (raw.code === 'invalid_union' || raw.code === 'invalid_value') {
    const values = raw.code === 'invalid_value' ? raw.values.map(String) : endpointKinds(path)
    const given = valueAt(input, path)
    const meant = typeof given === 'string' ? nearest(given, values) : null
    return [
      issue(
        code,
        path,
        `${JSON.stringify(given)} is not one of ${values.join(', ')}`,
        meant === null ? undefined : `Did you mean \`${meant}\`?`,
      ),
    ]
  }
  return [issue(code, path, raw.message.replace(/^Invalid input: /, ''))]
}

// The only union inside a document is the kind of an endpoint; its members are the only values it names.
const endpointKinds = (path: FieldPath): string[] =>
  path.at(-1) === 'kind' ? [...mysqlEndpointSpec.shape.kind.values] : []

function valueAt(input: unknown, path: FieldPath): unknown {
  let value = input
  for (const part of path) {
    if (value === null || typeof value !== 'object') return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}
