/*
 * Watches that no row at a target ever goes back to an older version, whoever writes there and however.
 *
 * `installVersionLog` puts triggers on every table that has a column `version`; they note each version that a row takes. `assertNoRowWentBack`
 * reads the notes afterwards. What counts is what others could see: of several changes of one row inside one transaction only the last
 * (a removal and the same row's return in one transaction is no step back). A step back is a version that is smaller than one seen
 * before for that key, or a row that comes back after its removal without a greater version.
 *
 * Assumes that versions at the source only grow, over deletes too (dev/shop/writer.ts). The engine's pre-check refuses tables with triggers, so
 * install them when the pipeline runs. The notes live in the writing transaction: a rollback or a crash takes them along.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'

export type VersionLog = { readonly schema: string; readonly tables: readonly string[] }

export type StepBack = {
  readonly table: string
  /** Key values in hexadecimal, by the order of the key's columns. */
  readonly key: string
  readonly operation: 'insert' | 'update' | 'delete'
  readonly version: string
  /** The greatest version that was there before. */
  readonly before: string
  readonly at: string
  readonly connectionId: string
}

const identifier = (name: string): string => `\`${name.replaceAll('`', '``')}\``
const literal = (text: string): string => `_utf8mb4 X'${Buffer.from(text, 'utf8').toString('hex')}'`

/**
 * Installs the triggers on all tables of `databases` that have a primary key and a column `version`. The connection's user needs the
 * privileges of an administrator; who writes to the tables needs none more than before.
 * @param schema where the notes go: created anew, what it held is lost
 */
export async function installVersionLog(
  connection: Connection,
  databases: readonly string[],
  schema: string,
): Promise<VersionLog> {
  await connection.query(`DROP DATABASE IF EXISTS ${identifier(schema)}`)
  await connection.query(`CREATE DATABASE ${identifier(schema)}`)
  await connection.query(`CREATE TABLE ${identifier(schema)}.note (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    table_name VARCHAR(140) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    row_key VARCHAR(3000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    operation ENUM('insert', 'update', 'delete') NOT NULL,
    version DECIMAL(20) NOT NULL,
    transaction_id VARCHAR(60) CHARACTER SET ascii NOT NULL,
    connection_id BIGINT UNSIGNED NOT NULL,
    at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
  )`)
  const keys = await versionedKeys(connection, databases)
  for (const [table, key] of keys) await installTriggers(connection, schema, table, key)
  return { schema, tables: [...keys.keys()] }
}

/** Removes the triggers; the notes stay. */
export async function removeVersionTriggers(connection: Connection, log: VersionLog): Promise<void> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT TRIGGER_SCHEMA AS s, TRIGGER_NAME AS n FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE 'syncline\\_version\\_%' AND ACTION_STATEMENT LIKE ?`,
    [`%${identifier(log.schema)}.note%`],
  )
  for (const row of rows)
    await connection.query(`DROP TRIGGER ${identifier(row['s'])}.${identifier(row['n'])}`)
}

/** Every step back in the notes, oldest first, at most `limit`. Reads the notes once; about a second for 300,000 of them. */
export async function findStepsBack(
  connection: Connection,
  log: Pick<VersionLog, 'schema'>,
  limit = 10,
): Promise<readonly StepBack[]> {
  // Notes of one key have ids in the order in which the row's lock was held, which is the order of the commits.
  const [rows] = await connection.query<RowDataPacket[]>(
    `WITH seen AS (
       SELECT * FROM (
         SELECT *, LEAD(transaction_id) OVER (PARTITION BY table_name, row_key ORDER BY id) AS next_transaction
         FROM ${identifier(log.schema)}.note
       ) AS every_note
       WHERE next_transaction IS NULL OR next_transaction <> transaction_id
     ), compared AS (
       SELECT *,
         MAX(version) OVER (PARTITION BY table_name, row_key ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS greatest,
         LAG(operation) OVER (PARTITION BY table_name, row_key ORDER BY id) AS last_operation
       FROM seen
     )
     SELECT table_name, row_key, operation, version, greatest, CAST(at AS CHAR) AS at, connection_id
     FROM compared
     WHERE version < greatest OR (last_operation = 'delete' AND operation <> 'delete' AND version <= greatest)
     ORDER BY id LIMIT ${limit}`,
  )
  return rows.map((row) => ({
    table: String(row['table_name']),
    key: String(row['row_key']),
    operation: row['operation'] as StepBack['operation'],
    version: String(row['version']),
    before: String(row['greatest']),
    at: String(row['at']),
    connectionId: String(row['connection_id']),
  }))
}

/** Throws with the first steps back that it finds. @returns how many notes were looked at */
export async function assertNoRowWentBack(
  connection: Connection,
  log: Pick<VersionLog, 'schema'>,
): Promise<{ readonly notes: number; readonly rows: number }> {
  const [[counts]] = await connection.query<RowDataPacket[]>(
    `SELECT COUNT(*) AS notes, COUNT(DISTINCT table_name, row_key) AS rows_seen FROM ${identifier(log.schema)}.note`,
  )
  const steps = await findStepsBack(connection, log)
  if (steps.length > 0) {
    const lines = steps.map(
      (step) =>
        `  ${step.table} key ${step.key}: ${step.operation} with version ${step.version} after ${step.before}, at ${step.at} by connection ${step.connectionId}`,
    )
    throw new Error(`Rows went back to an older version:\n${lines.join('\n')}`)
  }
  return { notes: Number(counts?.['notes']), rows: Number(counts?.['rows_seen']) }
}

/** Columns of the primary key by `schema.table`, for tables that also have a column `version`. */
async function versionedKeys(
  connection: Connection,
  databases: readonly string[],
): Promise<Map<string, { schema: string; name: string; columns: string[] }>> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT k.TABLE_SCHEMA AS s, k.TABLE_NAME AS t, k.COLUMN_NAME AS c
     FROM information_schema.KEY_COLUMN_USAGE AS k
     JOIN information_schema.COLUMNS AS v
       ON v.TABLE_SCHEMA = k.TABLE_SCHEMA AND v.TABLE_NAME = k.TABLE_NAME AND v.COLUMN_NAME = 'version'
     WHERE k.CONSTRAINT_NAME = 'PRIMARY' AND k.TABLE_SCHEMA IN (?)
     ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.ORDINAL_POSITION`,
    [databases],
  )
  const keys = new Map<string, { schema: string; name: string; columns: string[] }>()
  for (const row of rows) {
    const table = `${row['s']}.${row['t']}`
    const key = keys.get(table) ?? { schema: String(row['s']), name: String(row['t']), columns: [] }
    key.columns.push(String(row['c']))
    keys.set(table, key)
  }
  return keys
}

/** The server's own name of the transaction that runs: a thread has one event per transaction, and never the same number again. */
const transactionId =
  "(SELECT CONCAT(THREAD_ID, '/', EVENT_ID) FROM performance_schema.events_transactions_current WHERE THREAD_ID = PS_CURRENT_THREAD_ID())"

async function installTriggers(
  connection: Connection,
  schema: string,
  table: string,
  key: { readonly schema: string; readonly name: string; readonly columns: readonly string[] },
): Promise<void> {
  // The bytes of the key: what the collation takes for equal may still be two rows one after the other.
  const keyText = (row: 'OLD' | 'NEW'): string =>
    `CONCAT_WS(',', ${key.columns.map((column) => `HEX(${row}.${identifier(column)})`).join(', ')})`
  const note = (row: 'OLD' | 'NEW', operation: StepBack['operation']): string =>
    `INSERT INTO ${identifier(schema)}.note (table_name, row_key, operation, version, transaction_id, connection_id)
     VALUES (${literal(table)}, ${keyText(row)}, '${operation}', ${row}.version, COALESCE(${transactionId}, UUID()), CONNECTION_ID());`
  const bodies: Readonly<Record<StepBack['operation'], string>> = {
    insert: note('NEW', 'insert'),
    update: `IF ${keyText('OLD')} <> ${keyText('NEW')} THEN ${note('OLD', 'delete')} END IF; ${note('NEW', 'update')}`,
    delete: note('OLD', 'delete'),
  }
  for (const [operation, body] of Object.entries(bodies)) {
    const name = `syncline_version_${operation}_${Buffer.from(key.name).toString('hex').slice(0, 30)}`
    await connection.query(
      `CREATE TRIGGER ${identifier(key.schema)}.${identifier(name)} AFTER ${operation.toUpperCase()}
       ON ${identifier(key.schema)}.${identifier(key.name)} FOR EACH ROW BEGIN ${body} END`,
    )
  }
}
