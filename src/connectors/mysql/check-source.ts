/**
 * What of a MySQL or MariaDB source would keep a pipeline from being right: its log, its privileges, its tables. Changes nothing.
 *
 * Every finding names the statement that mends it. Settings are read globally: sessions that are open keep their own, and what those log
 * is checked again event by event (SYNC-2205, SYNC-2208).
 */
import type { TableId } from '../../core/schema.ts'
import type { Finding, PipelineScope } from '../contract.ts'
import { readTablesByName, type TableDetail, textOf } from './catalogue.ts'
import { checkProcessPrivilege } from './check-process.ts'
import { checkRetention } from './check-retention.ts'
import type { MysqlEndpoint } from './config.ts'
import { type Connection, connect } from './connection.ts'
import {
  finding,
  findingOf,
  readAccount,
  readVariables,
  shownName,
  type Trial,
  tryPrivileges,
} from './finding.ts'
import { productOf } from './flavour.ts'
import { logEndSql, readLogEnd } from './log-end.ts'
import { type SourceSettings, sourceSettings } from './source-settings.ts'
import { qualifiedName, textLiteral } from './sql-text.ts'

/** @throws SyncError only for what passes by itself (a lost connection, a busy server) */
export async function checkMysqlSource(
  config: MysqlEndpoint,
  scope: PipelineScope,
): Promise<readonly Finding[]> {
  let connection: Connection
  try {
    connection = await connect(config, 'admin', { side: 'source' })
  } catch (error) {
    return [findingOf(error)]
  }
  try {
    const account = await readAccount(connection)
    const server = await checkServer(connection)
    const privileges = await checkPrivileges(connection, account, scope)
    const process = await checkProcessPrivilege(connection, account, 'source')
    const tables = await checkTables(connection, scope)
    const retention = await checkRetention(connection, scope)
    return [...server, ...retention, ...privileges, ...process, ...unmatched(scope), ...tables]
  } finally {
    await connection.close()
  }
}

const settingsOf = (connection: Connection): SourceSettings => sourceSettings[productOf(connection.version)]

async function checkServer(connection: Connection): Promise<Finding[]> {
  const { required, ...settings } = settingsOf(connection)
  const variables = await readVariables(connection, [
    'log_bin',
    'server_id',
    ...required.map(({ name }) => name),
  ])
  if (variables.get('log_bin') !== 'ON') {
    return [
      finding(
        'SYNC-2201',
        'error',
        'The source keeps no binary log (log_bin is OFF)',
        'Start the server with --log-bin, then resume.',
      ),
    ]
  }
  const findings = required.flatMap(({ name, value, why, remedy, warning }) => {
    const actual = variables.get(name)
    // What a server does not have, it does not do (binlog_row_value_options before 8.0, for instance).
    if (actual === undefined || actual.toUpperCase() === value) return []
    const message = `${name} is ${actual || "''"} at the source: ${why}`
    return [finding(warning ?? 'SYNC-2201', warning === undefined ? 'error' : 'warning', message, remedy)]
  })
  if (variables.get('server_id') === '0') {
    findings.push(
      finding(
        'SYNC-2201',
        'error',
        'server_id is 0 at the source: it refuses to send its log',
        `${settings.set('server_id', '1')} (a number that no other server of the topology has)`,
      ),
    )
  }
  return [...findings, ...(await checkReplica(connection)), ...(await checkPrepared(connection))]
}

/** XA transactions that are prepared now: what they changed stands in the log before the position at which a pipeline starts. */
async function checkPrepared(connection: Connection): Promise<Finding[]> {
  let names: readonly string[]
  try {
    const { columns, rows } = await connection.query('XA RECOVER')
    const data = columns.indexOf('data')
    names = rows.map((row) => textOf(row[data]).slice(0, 64))
  } catch {
    // MySQL shows them to who holds XA_RECOVER_ADMIN alone; without it there is nothing to say.
    return []
  }
  if (names.length === 0) return []
  const shown = names.slice(0, 5).join(', ') + (names.length > 5 ? ', ...' : '')
  return [
    finding(
      'SYNC-2222',
      'warning',
      `${names.length === 1 ? 'An XA transaction is' : `${names.length} XA transactions are`} prepared at the source and not committed (${shown})`,
      null,
    ),
  ]
}

/** A source that is a replica itself must log what it applies, in the order in which it becomes visible. */
async function checkReplica(connection: Connection): Promise<Finding[]> {
  // Both names of each: servers before 8.0.26, and MariaDB, know the older one.
  const variables = await readVariables(
    connection,
    ['log_%_updates', '%_preserve_commit_order', '%_parallel_workers'].flatMap((name) =>
      ['replica', 'slave'].map((word) => name.replace('%', word)),
    ),
  )
  const value = (name: string): string | undefined =>
    variables.get(name) ?? variables.get(name.replace('replica', 'slave'))
  let channels: number
  try {
    const { rows } = await connection.query(settingsOf(connection).replicaStatus(connection.version))
    channels = rows.length
  } catch {
    // Without REPLICATION CLIENT; checkPrivileges says so.
    return []
  }
  if (channels === 0) return []
  const findings: Finding[] = []
  if (value('log_replica_updates') === 'OFF') {
    findings.push(
      finding(
        'SYNC-2201',
        'error',
        'The source is a replica that does not log what it applies (log_replica_updates is OFF)',
        'Start the server with --log-replica-updates=ON (--log-slave-updates=ON for MariaDB and before MySQL 8.0.26).',
      ),
    )
  }
  if (
    Number(value('replica_parallel_workers') ?? 0) > 1 &&
    value('replica_preserve_commit_order') === 'OFF'
  ) {
    findings.push(
      finding(
        'SYNC-2201',
        'error',
        'The source is a replica that commits in another order than its own source',
        'STOP REPLICA SQL_THREAD; SET PERSIST replica_preserve_commit_order = ON; START REPLICA SQL_THREAD;',
      ),
    )
  }
  return findings
}

async function checkPrivileges(
  connection: Connection,
  account: string,
  scope: PipelineScope,
): Promise<Finding[]> {
  const global = (privilege: string, why: string): (() => Finding) => {
    const remedy = `GRANT ${privilege} ON *.* TO ${account};`
    return () =>
      finding('SYNC-2103', 'error', `${account} lacks ${privilege} at the source, needed ${why}`, remedy)
  }
  const findings: Finding[] = []
  try {
    await readLogEnd(connection)
    findings.push(...(await checkLogFilters(connection, scope)))
  } catch (error) {
    const found = findingOf(error)
    if (found.code === 'SYNC-2103') {
      findings.push(global('REPLICATION CLIENT', 'to see where the log ends')())
    } else if (found.code !== 'SYNC-2201') {
      findings.push(found)
    }
  }
  const logTrial = settingsOf(connection).logTrial(connection.version)
  const trials: Trial[] = [
    ...(logTrial === null ? [] : [{ sql: logTrial, denied: global('REPLICATION SLAVE', 'to read the log') }]),
    // Tables that the account may not see would be missing here and yet be in the log. A table that does not exist is denied all the same
    // unless the privilege is held on the whole schema (1142 instead of 1146).
    ...(scope.patternSchemas ?? []).map((schema) => ({
      sql: `SELECT 1 FROM ${qualifiedName({ schema, name: 'no_such_table_c4d1' })} LIMIT 0`,
      denied: () =>
        finding(
          'SYNC-2103',
          'error',
          `${account} may not read every table of schema ${schema}, of which a pattern takes the tables`,
          `GRANT SELECT ON \`${schema}\`.* TO ${account};`,
        ),
    })),
    ...scope.mappings.map(({ source }) => ({
      sql: `SELECT * FROM ${qualifiedName(source)} LIMIT 0`,
      denied: () =>
        finding(
          'SYNC-2103',
          'error',
          `${account} may not read every column of ${source.schema}.${source.name}`,
          `GRANT SELECT ON \`${source.schema}\`.* TO ${account};`,
          { table: source },
        ),
    })),
  ]
  return [...findings, ...(await tryPrivileges(connection, trials))]
}

/** A pattern that takes nothing would be in step with nothing, and look well. */
const unmatched = (scope: PipelineScope): Finding[] =>
  (scope.unmatched ?? []).map((pattern) =>
    finding(
      'SYNC-2209',
      'error',
      `Nothing at the source matches ${pattern}, or the account may not see it`,
      'Check spec.tables for a mistyped name, and that the account holds SELECT there, then resume.',
    ),
  )

/** --binlog-do-db and --binlog-ignore-db keep changes out of the log altogether. */
async function checkLogFilters(connection: Connection, scope: PipelineScope): Promise<Finding[]> {
  const status = await connection.query(logEndSql(connection)).catch(() => undefined)
  const names = (column: string): string[] => {
    const at = status?.columns.indexOf(column) ?? -1
    const text = at < 0 ? '' : String(status?.rows[0]?.[at] ?? '')
    return text === '' ? [] : Buffer.from(text, 'latin1').toString('utf8').split(',')
  }
  const onlyThese = names('Binlog_Do_DB')
  const notThese = names('Binlog_Ignore_DB')
  const schemas = [...new Set(scope.mappings.map(({ source }) => source.schema))]
  return schemas
    .filter((schema) => notThese.includes(schema) || (onlyThese.length > 0 && !onlyThese.includes(schema)))
    .map((schema) =>
      finding(
        'SYNC-2201',
        'error',
        `Changes in schema ${schema} are kept out of the source's log`,
        'Start the server without --binlog-do-db and --binlog-ignore-db.',
      ),
    )
}

async function checkTables(connection: Connection, scope: PipelineScope): Promise<Finding[]> {
  const details = await readTablesByName(
    connection,
    scope.mappings.map(({ source }) => source),
  )
  const findings: Finding[] = []
  for (const { source, columns } of scope.mappings) {
    const table = details.get(`${source.schema}.${source.name}`)
    if (table === undefined) {
      findings.push(
        finding(
          'SYNC-2209',
          'error',
          `Table ${source.schema}.${source.name} is not there, or the account may not see it`,
          null,
          { table: source },
        ),
      )
      continue
    }
    const carried = columns === null ? null : new Set(columns.map((column) => column.source.toLowerCase()))
    findings.push(...checkKey(table, source), ...checkColumns(table, source, carried))
    if (table.versioned) {
      findings.push(
        finding(
          'SYNC-2223',
          'error',
          `${source.schema}.${source.name} is system-versioned: its rows have a history, which cannot be carried`,
          `ALTER TABLE ${shownName(source)} DROP SYSTEM VERSIONING; or exclude the table.`,
          { table: source },
        ),
      )
    }
    if (table.engine !== 'InnoDB') {
      findings.push(
        finding(
          'SYNC-2211',
          'warning',
          `${source.schema}.${source.name} uses ${table.engine}: its rows can be seen before they are in the log, so a load under writes may miss some`,
          `ALTER TABLE ${shownName(source)} ENGINE=InnoDB;`,
          { table: source },
        ),
      )
    }
  }
  return [...findings, ...(await checkCascades(connection, scope))]
}

function checkKey(table: TableDetail, id: TableId): Finding[] {
  const { shape } = table
  const key = shape.primaryKey
  if (key === undefined) {
    const candidate = shape.uniqueKeys.find((unique) =>
      unique.ordinals.every((ordinal) => shape.columns[ordinal]?.nullable === false),
    )
    const names = candidate?.ordinals.map((ordinal) => `\`${shape.columns[ordinal]?.name ?? ''}\``).join(', ')
    return [
      finding(
        'SYNC-2202',
        'error',
        `Table ${id.schema}.${id.name} has no primary key`,
        names === undefined
          ? `ALTER TABLE ${shownName(id)} ADD COLUMN \`id\` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY; or exclude the table.`
          : `ALTER TABLE ${shownName(id)} ADD PRIMARY KEY (${names}); or exclude the table.`,
        { table: id },
      ),
    ]
  }
  return key.ordinals.flatMap((ordinal) => {
    const column = shape.columns[ordinal]
    if (column === undefined) return []
    const place = { table: id, column: column.name }
    const what = `Column ${column.name} in the primary key of ${id.schema}.${id.name}`
    if (column.generated) {
      return [finding('SYNC-2202', 'error', `${what} is computed, so no row can be found by it`, null, place)]
    }
    if (column.type.kind === 'float') {
      return [
        finding(
          'SYNC-2203',
          'error',
          `${what} is a FLOAT: no literal is equal to its values`,
          `ALTER TABLE ${shownName(id)} MODIFY \`${column.name}\` DOUBLE NOT NULL; or exclude the table.`,
          place,
        ),
      ]
    }
    return []
  })
}

function checkColumns(table: TableDetail, id: TableId, carried: ReadonlySet<string> | null): Finding[] {
  return table.shape.columns.flatMap((column, ordinal) => {
    if (table.columns[ordinal]?.unsupported !== true) return []
    if (carried !== null && !carried.has(column.name.toLowerCase())) return []
    return [
      finding(
        'SYNC-2203',
        'error',
        `Column ${column.name} of ${id.schema}.${id.name} has the type ${column.type.sql}, which is not known here`,
        null,
        { table: id, column: column.name },
      ),
    ]
  })
}

/**
 * Rows that a foreign key changes by itself. Where innodb_native_foreign_keys is OFF the SQL layer does that and logs the child rows (tried on
 * 9.7.4: Delete_rows of the child, flagged USE_SQL_FOREIGN_KEY); InnoDB's own cascades, of older servers or with ON, are in no log.
 */
async function checkCascades(connection: Connection, scope: PipelineScope): Promise<Finding[]> {
  const native = (await readVariables(connection, ['innodb_native_foreign_keys'])).get(
    'innodb_native_foreign_keys',
  )
  if (native === 'OFF') return []
  const schemas = [...new Set(scope.mappings.map(({ source }) => source.schema))]
  if (schemas.length === 0) return []
  const { rows } = await connection.query(
    `SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA IN (${schemas.map(textLiteral).join(', ')}) AND (DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))`,
  )
  const text = (value: unknown): string => Buffer.from(String(value), 'latin1').toString('utf8')
  const inScope = new Set(scope.mappings.map(({ source }) => `${source.schema}.${source.name}`.toLowerCase()))
  return rows
    .filter((row) => inScope.has(`${text(row[0])}.${text(row[1])}`.toLowerCase()))
    .map((row) => {
      const table = { schema: text(row[0]), name: text(row[1]) }
      return finding(
        'SYNC-2213',
        'warning',
        `Foreign key ${text(row[2])} changes rows of ${table.schema}.${table.name} by itself (ON DELETE ${text(row[3])}, ON UPDATE ${text(row[4])}); this server logs none of those changes, so they would be missing at the target`,
        native === 'ON'
          ? 'Start the server with --innodb-native-foreign-keys=OFF, or let the application change the child rows itself.'
          : 'Let the application change the child rows itself, or use a server that has innodb_native_foreign_keys=OFF.',
        { table },
      )
    })
}
