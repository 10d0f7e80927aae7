/**
 * What engines told of the tables that are parked at their targets: for people, also while no engine runs. The target is the truth
 * (core/quarantine.ts), and every session of an engine tells it anew. Rows are never here.
 */
import type { AuditLog } from './audit.ts'
import type { Database, SqlRow } from './database.ts'

export interface ParkedRecord {
  /** `schema.table` at the source. */
  readonly table: string
  readonly parking: string
  /** rejoining: a person has asked for it, and its rows at the target are being removed. */
  readonly state: 'parked' | 'rejoining'
  readonly code: string
  readonly message: string
  readonly remedy: string
  /** ISO 8601, UTC. */
  readonly parkedAt: string
  /** Refused rows kept at the target. */
  readonly deadLetters: number
}

export interface ParkedTableStore {
  /** In the order in which they were parked. */
  list(pipeline: string): ParkedRecord[]
  /** Takes the whole list, and records what came and went in the audit log, each parking once. */
  replace(pipeline: string, incarnation: number, tables: readonly ParkedRecord[]): void
}

export function createParkedTableStore(database: Database, audit: AuditLog): ParkedTableStore {
  const list = (pipeline: string): ParkedRecord[] =>
    database
      .all('SELECT * FROM parked_tables WHERE pipeline = ? ORDER BY parked_at, table_name', pipeline)
      .map(recordOf)

  return {
    list,
    replace: (pipeline, incarnation, tables) =>
      database.write(() => {
        const record = (
          what: 'parked' | 'rejoined',
          { table, parking, code, message }: ParkedRecord,
        ): void => {
          audit.append({
            actor: 'syncline',
            action: 'quarantine',
            kind: 'Pipeline',
            name: pipeline,
            outcome: 'done',
            detail: what === 'parked' ? { what, table, code, message } : { what, table },
            key: `quarantine/${pipeline}/${incarnation}/${parking}/${what}`,
          })
        }
        const before = list(pipeline)
        for (const entry of before) {
          if (!tables.some(({ table }) => table === entry.table)) record('rejoined', entry)
        }
        for (const entry of tables) record('parked', entry)
        if (JSON.stringify(before) === JSON.stringify(tables)) return
        database.run('DELETE FROM parked_tables WHERE pipeline = ?', pipeline)
        for (const { table, parking, state, code, message, remedy, parkedAt, deadLetters } of tables) {
          database.run(
            `INSERT INTO parked_tables (pipeline, table_name, parking, state, code, message, remedy, parked_at, dead_letters)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
            pipeline,
            table,
            parking,
            state,
            code,
            message,
            remedy,
            parkedAt,
            deadLetters,
          )
        }
      }),
  }
}

const recordOf = (row: SqlRow): ParkedRecord => ({
  table: String(row['table_name']),
  parking: String(row['parking']),
  state: row['state'] as ParkedRecord['state'],
  code: String(row['code']),
  message: String(row['message']),
  remedy: String(row['remedy']),
  parkedAt: String(row['parked_at']),
  deadLetters: Number(row['dead_letters']),
})
