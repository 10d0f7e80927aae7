/**
 * Reads files of one or more YAML documents, and says of every mistake in which file, line and column it stands.
 *
 * Guarantees: all documents of all files are checked before any is used; the error carries every issue. References to secrets are not
 * resolved here. YAML 1.2 core schema: `no` is a word, not false.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Document as YamlDocument,
} from 'yaml'
import { SyncError } from '../core/errors.ts'
import { checkDocument, type Document } from './document.ts'
import { type ConfigIssue, configError, type FieldPath, hasIssues, issue } from './issue.ts'

export interface LoadedDocument {
  readonly document: Document
  readonly file: string
  /** Where the document begins, from 1. */
  readonly line: number
}

/** Parses the text of one file. Never throws on bad input: what is wrong is in `issues`. */
export function parseDocuments(
  text: string,
  file: string,
): { documents: LoadedDocument[]; issues: ConfigIssue[] } {
  const lines = new LineCounter()
  const documents: LoadedDocument[] = []
  const issues: ConfigIssue[] = []
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: '1.2' })
  for (const yaml of Array.isArray(parsed) ? parsed : []) {
    if (yaml.errors.length > 0) {
      for (const error of yaml.errors) {
        const { line, col } = lines.linePos(error.pos[0])
        issues.push({ ...notYaml(error.message, text.split('\n')[line - 1] ?? ''), file, line, column: col })
      }
      continue
    }
    let value: unknown
    try {
      value = yaml.toJS({ maxAliasCount: 100 })
    } catch (error) {
      issues.push({ ...notYaml((error as Error).message, ''), file, ...placeOf(yaml, [], lines) })
      continue
    }
    if (value === null || value === undefined) continue
    const checked = checkDocument(value)
    if (checked.document === null) {
      issues.push(...checked.issues.map((found) => ({ ...found, file, ...placeOf(yaml, found.path, lines) })))
    } else {
      documents.push({ document: checked.document, file, line: placeOf(yaml, [], lines).line })
    }
  }
  issues.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
  return { documents, issues }
}

/**
 * Loads files and folders (every *.yaml and *.yml inside, not deeper); `-` is standard input.
 * @throws SyncError with `details.issues` when anything is wrong with any of them, SYNC-1001 when a file cannot be read
 */
export async function loadFiles(
  paths: readonly string[],
  stdin?: () => Promise<string>,
): Promise<LoadedDocument[]> {
  const documents: LoadedDocument[] = []
  const issues: ConfigIssue[] = []
  for (const path of paths) {
    for (const file of await filesAt(path)) {
      const text = file === '-' && stdin !== undefined ? await stdin() : await readText(file)
      const parsed = parseDocuments(text, file)
      documents.push(...parsed.documents)
      issues.push(...parsed.issues)
    }
  }
  issues.push(...duplicates(documents))
  if (hasIssues(issues)) throw configError(issues)
  if (documents.length === 0) {
    throw new SyncError('SYNC-1002', `${paths.join(', ')}: no document`, {
      remedy: 'Name a file that holds an Endpoint or a Pipeline.',
    })
  }
  return documents
}

async function filesAt(path: string): Promise<string[]> {
  if (path === '-') return [path]
  const found = await stat(path).catch((error: unknown) => unreadable(path, error))
  if (!found.isDirectory()) return [path]
  const names = await readdir(path)
  return names
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(path, name))
}

const readText = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((error: unknown) => unreadable(file, error))

function unreadable(path: string, cause: unknown): never {
  const why =
    (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (cause as Error).message
  throw new SyncError('SYNC-1001', `${path}: ${why}`, { cause, remedy: 'Check the path after -f.' })
}

function notYaml(message: string, line: string): ConfigIssue {
  // In YAML, { and } mean a mapping inside [..] and {..}: a bare reference there breaks the file (YAML 1.2.2, 7.3.3).
  const remedy = /[{[,].*[^'"]\$\{/.test(line) ? 'Put quotes around the reference: "${env:NAME}".' : undefined
  return issue('SYNC-1001', [], message.split('\n')[0] ?? message, remedy)
}

function duplicates(documents: readonly LoadedDocument[]): ConfigIssue[] {
  const seen = new Map<string, LoadedDocument>()
  const found: ConfigIssue[] = []
  for (const loaded of documents) {
    const { kind, metadata } = loaded.document
    const first = seen.get(`${kind}/${metadata.name}`)
    if (first !== undefined) {
      found.push({
        ...issue(
          'SYNC-1003',
          ['metadata', 'name'],
          `${kind} ${metadata.name} is defined at ${first.file}:${first.line} already`,
          'Keep one of the two.',
        ),
        file: loaded.file,
        line: loaded.line,
        column: 1,
      })
    }
    seen.set(`${kind}/${metadata.name}`, loaded)
  }
  return found
}

/** Where a field stands: the key of the last part of the path that exists in the file. */
function placeOf(
  yaml: YamlDocument.Parsed | YamlDocument,
  path: FieldPath,
  lines: LineCounter,
): { line: number; column: number } {
  let node: Node | null = yaml.contents as Node | null
  let offset = node?.range?.[0] ?? yaml.range?.[0] ?? 0
  for (const part of path) {
    const child: Node | null = childOf(node, part)
    if (child === null) break
    offset = keyOffset(node, part) ?? child.range?.[0] ?? offset
    node = child
  }
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function childOf(node: Node | null, part: string | number): Node | null {
  if (node === null || !('get' in node)) return null
  const child: unknown = (node as { get(key: unknown, keep: true): unknown }).get(part, true)
  return isNode(child) ? child : null
}

function keyOffset(node: Node | null, part: string | number): number | undefined {
  if (!isMap(node)) return undefined
  for (const pair of node.items) {
    if (isPair(pair) && isScalar(pair.key) && pair.key.value === part) return pair.key.range?.[0]
  }
  return undefined
}
