/**
 * Findings of the pre-checks, and a way to ask for privileges without using them.
 *
 * Privileges are tried, not read: what SHOW GRANTS means with roles, wildcards and partial revokes only the server knows. A trial is a
 * statement that needs the privilege and changes nothing (EXPLAIN of a write, a read of no rows).
 */
import { catalogue, type ErrorCode, SyncError } from '../../core/errors.ts'
import { type TableId, tableName } from '../../core/schema.ts'
import type { Finding } from '../contract.ts'
import type { Connection } from './connection.ts'

export interface Place {
  readonly table?: TableId
  readonly column?: string
}

export function finding(
  code: ErrorCode,
  severity: Finding['severity'],
  message: string,
  remedy: string | null,
  place: Place = {},
): Finding {
  return {
    code,
    severity,
    message,
    remedy: remedy ?? catalogue[code].remedy,
    ...(place.table === undefined ? {} : { table: tableName(place.table) }),
    ...(place.column === undefined ? {} : { column: place.column }),
  }
}

/** A table in a statement that a person runs. */
export const shownName = (id: TableId): string => `\`${id.schema}\`.\`${id.name}\``

/** An error of the connection as a finding where a person must act; what passes by itself is thrown on. */
export function findingOf(error: unknown): Finding {
  if (!(error instanceof SyncError) || error.disposition === 'retry' || error.disposition === 'bug')
    throw error
  return { code: error.code, severity: 'error', message: error.message, remedy: error.remedy }
}

export interface Trial {
  readonly sql: string
  /** What to say when the server refuses for want of a privilege. */
  readonly denied: () => Finding
}

const trialsPerRoundTrip = 200

/** Runs the trials; a missing table or schema is not an answer about privileges and is passed over. */
export async function tryPrivileges(connection: Connection, trials: readonly Trial[]): Promise<Finding[]> {
  const findings: Finding[] = []
  let at = 0
  while (at < trials.length) {
    const part = trials.slice(at, at + trialsPerRoundTrip)
    try {
      await connection.queryAll(part.map((trial) => trial.sql).join('; '))
      at += part.length
    } catch (error) {
      if (!(error instanceof SyncError) || typeof error.details['statement'] !== 'number') throw error
      const failed = part[error.details['statement']]
      at += error.details['statement'] + 1
      if (failed === undefined) throw error
      if (error.code === 'SYNC-2103' || error.code === 'SYNC-3103') findings.push(failed.denied())
      else if (!isAboutExistence(error)) findings.push(findingOf(error))
    }
  }
  return findings
}

const isAboutExistence = (error: SyncError): boolean =>
  error.details['errno'] === 1049 || error.details['errno'] === 1146 || error.details['errno'] === 1109

/** The account as it was created, quoted for a GRANT: `'sync'@'%'`. */
export async function readAccount(connection: Connection): Promise<string> {
  const { rows } = await connection.query('SELECT CURRENT_USER()')
  const text = Buffer.from(String(rows[0]?.[0]), 'latin1').toString('utf8')
  const at = text.lastIndexOf('@')
  return `'${text.slice(0, at)}'@'${text.slice(at + 1)}'`
}

/** Global variables by name; absent ones are not there. */
export async function readVariables(
  connection: Connection,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const list = names.map((name) => `'${name}'`).join(', ')
  const { rows } = await connection.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`)
  return new Map(rows.map((row) => [String(row[0]), String(row[1] ?? '')]))
}
