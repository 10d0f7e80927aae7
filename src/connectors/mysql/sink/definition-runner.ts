/**
 * Changes definitions at the target, fenced (DATA-PATH 5.3). DDL commits by itself, so the mark row cannot stand in its transaction.
 *
 * Instead the statement runs on a connection of its own whose number is stored first, in a transaction that begins with the mark row. Whoever
 * takes over afterwards ends that connection and waits until the server has let go of it (`endDefinitionRun`), before anything is read: from then on
 * nothing of the predecessor can reach the target, be it running, under way, or in a process that was frozen. What it had done by then stands in
 * the catalogue, and the caller looks there before it does anything again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { SyncError } from '../../../core/errors.ts'
import { byteStringOf } from '../../../core/value.ts'
import type { DefinitionAction, SinkDefinitions } from '../../contract.ts'
import { textOf } from '../catalogue.ts'
import type { Connection } from '../connection.ts'
import { classify } from '../errors.ts'
import { productOf } from '../flavour.ts'
import { textLiteral } from '../sql-text.ts'
import { statementsOf } from '../table-definition.ts'
import { changeTable } from './mark-table.ts'

/** A statement that waits for a table holds back everybody who comes after it: briefly, and again later. */
const lockWaitSeconds = 5
const settings = `SET NAMES utf8mb4; SET SESSION lock_wait_timeout = ${lockWaitSeconds}, foreign_key_checks = 0`

export interface RunnerDeps {
  readonly pipeline: string
  readonly origin: string
  readonly connect: () => Promise<Connection>
  /** Runs statements in a transaction of slot 0 that begins with its mark row. */
  readonly fenced: (statements: readonly string[]) => Promise<void>
  readonly read: (sql: string) => Promise<readonly (readonly unknown[])[]>
}

export function createDefinitionRunner(deps: RunnerDeps): SinkDefinitions {
  const mine = `pipeline = ${textLiteral(deps.pipeline)}`
  const comment = ` /*syncline ${JSON.stringify({ pipeline: deps.pipeline, chain: [deps.origin] }).replaceAll('*/', '* /')}*/`

  async function runOn(connection: Connection, statement: string): Promise<void> {
    try {
      await connection.query(byteStringOf(statement + comment))
    } catch (error) {
      throw refusal(classify(error, 'target'), statement)
    }
  }

  async function recall(at: string): Promise<string | null> {
    const rows = await deps.read(
      `SELECT seen FROM ${changeTable} WHERE ${mine} AND change_id = ${textLiteral(at)}`,
    )
    return rows[0] === undefined ? null : textOf(rows[0][0] as string)
  }

  return {
    async note(at, seen, tables = []) {
      const known = await recall(at)
      if (known !== null) return known
      const id = textLiteral(at)
      await deps.fenced([
        ...(at.includes(' ')
          ? []
          : [`DELETE FROM ${changeTable} WHERE ${mine} AND INSTR(change_id, ' ') = 0`]),
        `INSERT INTO ${changeTable} (pipeline, change_id, seen, table_names) VALUES (${textLiteral(deps.pipeline)}, ${id}, ${textLiteral(seen)}, ${textLiteral(JSON.stringify(tables))})`,
      ])
      return seen
    },

    recall,

    async forget(notes) {
      if (notes.length === 0) return
      await deps.fenced([
        `DELETE FROM ${changeTable} WHERE ${mine} AND change_id IN (${notes.map(textLiteral).join(', ')})`,
      ])
    },

    async run(at, actions: readonly DefinitionAction[]) {
      if (actions.length === 0) return
      const connection = await deps.connect()
      try {
        const product = productOf(connection.version)
        const statements = actions.flatMap((action) => statementsOf(action, product))
        await connection.queryAll(settings)
        const change = `${mine} AND change_id = ${textLiteral(at)}`
        await deps.fenced([
          `UPDATE ${changeTable} SET statements = ${textLiteral(statements.join(';\n'))}, connection_id = ${connection.threadId}, updated_at = CURRENT_TIMESTAMP(6) WHERE ${change}`,
        ])
        for (const statement of statements) await runOn(connection, statement)
        await deps.fenced([`UPDATE ${changeTable} SET connection_id = NULL WHERE ${change}`])
      } finally {
        connection.destroy()
      }
    },
  }
}

function refusal(error: SyncError, statement: string): SyncError {
  const passes = error.disposition === 'retry' || error.code === 'SYNC-3103' || error.code === 'SYNC-3105'
  if (passes || error.code === 'SYNC-3106') return error
  const words = statement.length > 400 ? `${statement.slice(0, 400)}...` : statement
  return new SyncError('SYNC-2303', `${error.message}; the statement was: ${words}`, {
    details: error.details,
    cause: error,
  })
}

const goneWithinMs = 15_000

/**
 * Ends what a predecessor may still be running. Called by a takeover that holds the pipeline's mark rows.
 * @throws SYNC-3104 when the server does not let go of it: undoing a large change takes its time
 */
export async function endDefinitionRun(connection: Connection, pipeline: string): Promise<void> {
  const { rows } = await connection.query(
    `SELECT connection_id, TIMESTAMPDIFF(SECOND, updated_at, CURRENT_TIMESTAMP) FROM ${changeTable} WHERE pipeline = ${textLiteral(pipeline)} AND connection_id IS NOT NULL`,
  )
  const id = Number(rows[0]?.[0] ?? 0)
  if (id === 0) return
  const deadline = performance.now() + goneWithinMs
  for (;;) {
    const [uptime, list] = await connection.queryAll("SHOW GLOBAL STATUS LIKE 'Uptime'; SHOW PROCESSLIST")
    // Numbers of connections begin again when the server does.
    if (Number(rows[0]?.[1]) >= Number(uptime?.rows[0]?.[1] ?? 0)) break
    const users = new Map((list?.rows ?? []).map((row) => [Number(row[0]), row[1]]))
    const user = users.get(id)
    if (user === undefined || user !== users.get(connection.threadId)) break
    await connection.query(`KILL ${id}`).catch(() => undefined)
    if (performance.now() > deadline) {
      throw new SyncError(
        'SYNC-3104',
        `the target still undoes a definition change of an earlier owner (connection ${id})`,
      )
    }
    await sleep(50)
  }
  await connection.query(
    `UPDATE ${changeTable} SET connection_id = NULL WHERE pipeline = ${textLiteral(pipeline)}`,
  )
}
