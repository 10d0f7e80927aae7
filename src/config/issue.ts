/**
 * Something wrong with a document: which rule, which field, where in the file, and what to do.
 *
 * A document is checked to its end, so that a person mends all mistakes at once; the error carries every issue and the code of the first.
 */
import { catalogue, type ErrorCode, SyncError } from '../core/errors.ts'

export type FieldPath = readonly (string | number)[]

export interface ConfigIssue {
  readonly code: ErrorCode
  readonly path: FieldPath
  /** What is wrong; never holds the value of a secret field. */
  readonly message: string
  readonly remedy: string
  readonly file?: string
  /** From 1. */
  readonly line?: number
  readonly column?: number
}

export const issue = (code: ErrorCode, path: FieldPath, message: string, remedy?: string): ConfigIssue => ({
  code,
  path,
  message,
  remedy: remedy ?? catalogue[code].remedy,
})

/** `spec.tables[0].match` */
export const pathText = (path: FieldPath): string =>
  path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  )

/** JSON pointer (RFC 6901). */
export const pathPointer = (path: FieldPath): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** `shop.yaml:12:5 SYNC-1002 spec.tables[0].match: expected ...` */
export function issueText(found: ConfigIssue): string {
  const where = found.file === undefined ? '' : `${found.file}:${found.line ?? 1}:${found.column ?? 1} `
  const field = pathText(found.path)
  return `${where}${found.code} ${field === '' ? '' : `${field}: `}${found.message}`
}

export function configError(issues: readonly [ConfigIssue, ...ConfigIssue[]]): SyncError {
  return new SyncError(issues[0].code, issues.map(issueText).join('\n'), {
    remedy: issues[0].remedy,
    details: { issues },
  })
}

export const hasIssues = (
  issues: readonly ConfigIssue[],
): issues is readonly [ConfigIssue, ...ConfigIssue[]] => issues.length > 0
