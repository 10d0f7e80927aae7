/**
 * What engines told of the tables that are parked at their targets: for people, also while no engine runs. The target is the truth
 * (core/quarantine.ts), and every session of an engine tells anew of what is its own: a table is always in one shard. Rows are never here.
 */
import type { EngineRef } from '../core/pipeline-control.ts'
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
  /** Takes an engine's whole list, and records what came and went in the audit log, each parking once. */
  replace(engine: EngineRef, incarnation: number, tables: readonly ParkedRecord[]): void
}

export function createParkedTableStore(database: Database, audit: AuditLog): ParkedTableStore {
  const inOrder = 'ORDER BY parked_at, table_name'
  return {
    list: (pipeline) =>
      database.all(`SELECT * FROM parked_tables WHERE pipeline = ? ${inOrder}`, pipeline).map(recordOf),
    replace: ({ pipeline, shard }, incarnation, tables) =>
      database.write(() => {
        const { index, of } = shard ?? { index: 0, of: 1 }
        // Under another division nothing was ever written, so nothing is parked.
        database.run('DELETE FROM parked_tables WHERE pipeline = ? AND shards <> ?', pipeline, of)

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
        const before = database
          .all(`SELECT * FROM parked_tables WHERE pipeline = ? AND shard = ? ${inOrder}`, pipeline, index)
          .map(recordOf)
        for (const entry of before) {
          if (!tables.some(({ table }) => table === entry.table)) record('rejoined', entry)
        }
        for (const entry of tables) record('parked', entry)
        if (JSON.stringify(before) === JSON.stringify(tables)) return
        database.run('DELETE FROM parked_tables WHERE pipeline = ? AND shard = ?', pipeline, index)
        for (const { table, parking, state, code, message, remedy, parkedAt, deadLetters } of tables) {
          database.run(
            `INSERT INTO parked_tables (pipeline, shard, shards, table_name, parking, state, code, message, remedy, parked_at, dead_letters)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
            pipeline,
            index,
            of,
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
