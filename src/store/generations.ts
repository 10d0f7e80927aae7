/**
 * Every version of every document, for ever: what ran at any time can be told, and numbers never mean two things, not even after a
 * deletion.
 */
import { SyncError } from '../core/errors.ts'
import type { Database } from './database.ts'

export type Change = 'created' | 'changed' | 'unchanged'

export interface GenerationRow {
  readonly kind: 'Endpoint' | 'Pipeline'
  readonly name: string
  readonly generation: number
  readonly incarnation: number
  readonly document: string
  readonly source?: string
  readonly target?: string
  readonly actor: string
  readonly at: string
}

export function nextGeneration(database: Database, kind: GenerationRow['kind'], name: string): number {
  const row = database.get(
    'SELECT max(generation) AS last FROM generations WHERE kind = ? AND name = ?',
    kind,
    name,
  )
  return Number(row?.['last'] ?? 0) + 1
}

export function recordGeneration(database: Database, row: GenerationRow): void {
  database.run(
    'INSERT INTO generations (kind, name, generation, incarnation, document, source, target, actor, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    row.kind,
    row.name,
    row.generation,
    row.incarnation,
    row.document,
    row.source ?? null,
    row.target ?? null,
    row.actor,
    row.at,
  )
}

/** @throws SyncError SYNC-1103 when the caller has seen another generation */
export function assertGeneration(
  what: string,
  name: string,
  actual: number,
  expected: number | undefined,
): void {
  if (expected === undefined || expected === actual) return
  const state = actual === 0 ? 'does not exist' : `is at generation ${actual}`
  throw new SyncError('SYNC-1103', `${what} ${name} ${state}, not at generation ${expected}`)
}
