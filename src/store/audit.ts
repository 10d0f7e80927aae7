/**
 * Who did what, when, and what came of it: refused requests too. Only grows.
 *
 * Each entry's hash covers the entry and the hash before it, so that an entry changed, removed or slipped in later is found by `verify`.
 * An entry with a `key` is written once, however often it is sent (workflow activities are retried).
 */
import { createHash } from 'node:crypto'
import type { Database, SqlRow } from './database.ts'

export interface AuditEntry {
  readonly actor: string
  /** `apply`, `delete`, `pause`, ...; `state` for what the workflow decided, with `detail` { state, detail }. */
  readonly action: string
  readonly kind: 'Endpoint' | 'Pipeline'
  readonly name: string
  readonly outcome: 'done' | 'refused' | 'failed'
  /** Code of the catalogue, where the outcome is not `done`. */
  readonly code?: string
  readonly requestId?: string
  /** What changed, or why not. Never holds a secret. */
  readonly detail: unknown
  readonly key?: string
}

export interface AuditRecord extends AuditEntry {
  readonly seq: number
  /** ISO 8601, UTC. */
  readonly at: string
  readonly hash: string
}

export interface AuditQuery {
  readonly kind?: AuditEntry['kind']
  readonly name?: string
  /** Only entries before this number. */
  readonly before?: number
  readonly limit?: number
}

export interface AuditLog {
  /** False when an entry with this key is there already. */
  append(entry: AuditEntry): boolean
  /** Newest first. */
  list(query?: AuditQuery): AuditRecord[]
  /** Number of the first entry that does not follow from the one before, or null when the chain is whole. */
  verify(): number | null
}

export function createAuditLog(database: Database, now: () => Date): AuditLog {
  return {
    append: (entry) =>
      database.write(() => {
        const key = entry.key ?? null
        if (key !== null && database.get('SELECT 1 FROM audit WHERE key = ?', key) !== undefined) return false
        const last = database.get('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1')
        const fields = {
          seq: Number(last?.['seq'] ?? 0) + 1,
          at: now().toISOString(),
          actor: entry.actor,
          action: entry.action,
          kind: entry.kind,
          name: entry.name,
          outcome: entry.outcome,
          code: entry.code ?? null,
          request_id: entry.requestId ?? null,
          detail: JSON.stringify(entry.detail ?? null),
          key,
        }
        database.run(
          `INSERT INTO audit (${Object.keys(fields).join(', ')}, hash) VALUES (${'?, '.repeat(11)}?)`,
          ...Object.values(fields),
          chained(String(last?.['hash'] ?? ''), fields),
        )
        return true
      }),
    list(query = {}) {
      const rows = database.all(
        `SELECT * FROM audit WHERE (? IS NULL OR kind = ?) AND (? IS NULL OR name = ?) AND seq < ?
         ORDER BY seq DESC LIMIT ?`,
        query.kind ?? null,
        query.kind ?? null,
        query.name ?? null,
        query.name ?? null,
        query.before ?? Number.MAX_SAFE_INTEGER,
        query.limit ?? 100,
      )
      return rows.map(recordOf)
    },
    verify() {
      let before = ''
      let expected = 1
      for (;;) {
        const rows = database.all('SELECT * FROM audit WHERE seq >= ? ORDER BY seq LIMIT 1000', expected)
        if (rows.length === 0) return null
        for (const { hash, ...fields } of rows) {
          if (fields['seq'] !== expected || hash !== chained(before, fields)) return expected
          before = String(hash)
          expected++
        }
      }
    },
  }
}

const chained = (before: string, fields: SqlRow): string =>
  createHash('sha256')
    .update(JSON.stringify([before, ...Object.values(fields)]))
    .digest('hex')

const recordOf = (row: SqlRow): AuditRecord => ({
  seq: Number(row['seq']),
  at: String(row['at']),
  actor: String(row['actor']),
  action: String(row['action']),
  kind: row['kind'] as AuditEntry['kind'],
  name: String(row['name']),
  outcome: row['outcome'] as AuditEntry['outcome'],
  ...(row['code'] === null ? {} : { code: String(row['code']) }),
  ...(row['request_id'] === null ? {} : { requestId: String(row['request_id']) }),
  detail: JSON.parse(String(row['detail'])),
  ...(row['key'] === null ? {} : { key: String(row['key']) }),
  hash: String(row['hash']),
})
