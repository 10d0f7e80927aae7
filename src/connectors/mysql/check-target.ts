/**
 * What of a MySQL target would keep a pipeline from being right: its privileges, its tables, their columns and rules. Changes nothing.
 *
 * Every finding names the statement that mends it. A server that is read-only is reported alone: nothing else can be tried there.
 */
import { catalogue, SyncError } from '../../core/errors.ts'
import { type TableId, tableName } from '../../core/schema.ts'
import type { Finding, PipelineScope } from '../contract.ts'
import { readNameCase, readTablesByName, type TableDetail, textOf } from './catalogue.ts'
import { catalogueDialects } from './catalogue-dialect.ts'
import { checkLoad } from './check-load.ts'
import { checkProcessPrivilege } from './check-process.ts'
import { checkTargetTable } from './check-target-table.ts'
import type { MysqlEndpoint } from './config.ts'
import { type Connection, connect } from './connection.ts'
import { finding, findingOf, readAccount, readVariables, shownName } from './finding.ts'
import { productOf } from './flavour.ts'
import {
  isRenameAhead,
  marksOf,
  readChangingTables,
  readJoinedTables,
  tablesWithRows,
} from './joined-tables.ts'
import { lostMessage, lostRemedy, nothingPlanned, otherDivision, planCreation } from './prepare-target.ts'
import { sourceLogOf } from './source-log.ts'
import { sourceSettings } from './source-settings.ts'
import { textLiteral } from './sql-text.ts'
import { checkTargetPrivileges } from './target-privileges.ts'

/** @throws SyncError only for what passes by itself (a lost connection, a busy server) */
export async function checkMysqlTarget(
  config: MysqlEndpoint,
  scope: PipelineScope,
): Promise<readonly Finding[]> {
  let connection: Connection
  try {
    connection = await connect(config, 'admin', { side: 'target' })
  } catch (error) {
    return [findingOf(error)]
  }
  try {
    const readOnly = await checkReadOnly(connection)
    if (readOnly !== null) return [readOnly]
    return await checkAll(connection, scope)
  } finally {
    await connection.close()
  }
}

async function checkAll(connection: Connection, scope: PipelineScope): Promise<Finding[]> {
  const account = await readAccount(connection)
  const targets = await readTablesByName(
    connection,
    scope.mappings.map(({ target }) => target),
  )
  let planned = nothingPlanned
  const findings: Finding[] = []
  try {
    planned = await planCreation(connection, scope)
    findings.push(...planned.warnings)
    for (const id of planned.lost) {
      findings.push(finding('SYNC-3201', 'error', lostMessage(id), lostRemedy, { table: id }))
    }
  } catch (error) {
    findings.push(findingOf(error))
  }
  findings.push(...(await checkDivision(connection, scope)))
  findings.push(...(await checkNames(connection, scope)))
  findings.push(...(await checkTargetPrivileges(connection, account, scope, targets, planned.tables)))
  const source = await readSource(scope)
  if (source !== null) {
    if (source.uuid !== '' && source.uuid === (await readUuid(connection)))
      findings.push(...ontoItself(scope))
    findings.push(...(await checkPacket(connection, source.maxPacketBytes)))
  }
  for (const mapping of scope.mappings) {
    const target = targets.get(tableName(mapping.target))
    if (target === undefined) {
      if (scope.onMissingTable === 'refuse') findings.push(missingTable(mapping.target))
      continue
    }
    findings.push(...checkTargetTable(mapping, source?.tables.get(tableName(mapping.source)), target))
  }
  findings.push(...(await checkTriggers(connection, account, scope)))
  findings.push(...(await checkConstraints(connection, scope, source?.checks ?? new Set())))
  findings.push(...(await checkRows(connection, scope, targets)))
  findings.push(...(await checkLoad(connection, scope)))
  findings.push(...(await checkProcessPrivilege(connection, account, 'target')))
  return findings
}

/** The API refuses this change; here stands what was really written, whatever the store knows. */
async function checkDivision(connection: Connection, scope: PipelineScope): Promise<Finding[]> {
  const other = await otherDivision(connection, scope).catch((error: unknown) => {
    if (error instanceof SyncError && error.code === 'SYNC-3103') return null
    throw error
  })
  if (other === null) return []
  const { title, remedy } = catalogue['SYNC-4005']
  return [finding('SYNC-4005', 'error', `${title}: its marks are named ${other} there`, remedy)]
}

async function checkReadOnly(connection: Connection): Promise<Finding | null> {
  try {
    await connection.queryAll('START TRANSACTION READ WRITE; ROLLBACK')
    return null
  } catch (error) {
    if (!(error instanceof SyncError) || error.code !== 'SYNC-3106') throw error
    return finding(
      'SYNC-3106',
      'error',
      'The target is read-only',
      'Check that this is the right server; SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF;',
    )
  }
}

/** What the source's side of a comparison needs; null where the source is no MySQL server or cannot be reached (its own check says so). */
interface SourceSide {
  readonly uuid: string
  readonly maxPacketBytes: number
  readonly tables: ReadonlyMap<string, TableDetail>
  /** Conditions of CHECK constraints, by table. */
  readonly checks: ReadonlySet<string>
}

async function readSource(scope: PipelineScope): Promise<SourceSide | null> {
  if (scope.source.kind !== 'mysql') return null
  let connection: Connection
  try {
    connection = await connect(scope.source as unknown as MysqlEndpoint, 'admin', { side: 'source' })
  } catch (error) {
    if (error instanceof SyncError && error.disposition === 'block') return null
    throw error
  }
  try {
    const ids = scope.mappings.map((mapping) => mapping.source)
    const variables = await readVariables(connection, ['max_allowed_packet'])
    const checks = await readChecks(
      connection,
      ids.map((id) => id.schema),
    )
    return {
      uuid: await readUuid(connection),
      maxPacketBytes: Number(variables.get('max_allowed_packet') ?? 0),
      tables: await readTablesByName(connection, ids),
      checks: new Set(checks.map((check) => `${tableName(check.table)}\0${check.clause}`)),
    }
  } finally {
    await connection.close()
  }
}

/** What no two servers have in common. */
const readUuid = async (connection: Connection): Promise<string> =>
  textOf((await connection.query(`SELECT ${sourceLogOf(connection.version).serverIdentity}`)).rows[0]?.[0])

const ontoItself = (scope: PipelineScope): Finding[] =>
  scope.mappings
    .filter(({ source, target }) => tableName(source).toLowerCase() === tableName(target).toLowerCase())
    .map(({ target }) =>
      finding(
        'SYNC-3208',
        'error',
        `Source and target are the same server, and ${tableName(target)} would be written onto itself`,
        null,
        { table: target },
      ),
    )

async function checkPacket(connection: Connection, sourceBytes: number): Promise<Finding[]> {
  const bytes = Number(
    (await readVariables(connection, ['max_allowed_packet'])).get('max_allowed_packet') ?? 0,
  )
  if (bytes >= sourceBytes) return []
  return [
    finding(
      'SYNC-3303',
      'warning',
      `max_allowed_packet is ${bytes} at the target and ${sourceBytes} at the source: large rows could be refused`,
      sourceSettings[productOf(connection.version)].set('max_allowed_packet', `${sourceBytes}`),
    ),
  ]
}

/** Two targets that this server does not tell apart. */
async function checkNames(connection: Connection, scope: PipelineScope): Promise<Finding[]> {
  if ((await readNameCase(connection)) === 0) return []
  const seen = new Map<string, TableId>()
  return scope.mappings.flatMap(({ target }) => {
    const folded = tableName(target).toLowerCase()
    const other = seen.get(folded)
    seen.set(folded, target)
    if (other === undefined) return []
    return [
      finding(
        'SYNC-3201',
        'error',
        `${tableName(other)} and ${tableName(target)} are one table at the target (lower_case_table_names is set)`,
        'Map one of them to another name.',
        { table: target },
      ),
    ]
  })
}

const missingTable = (id: TableId): Finding =>
  finding(
    'SYNC-3201',
    'error',
    `Table ${tableName(id)} does not exist at the target, or the account may not see it`,
    null,
    {
      table: id,
    },
  )

const schemasOf = (scope: PipelineScope): string =>
  [...new Set(scope.mappings.map(({ target }) => target.schema))].map(textLiteral).join(', ')

const text = (value: unknown): string => Buffer.from(String(value), 'latin1').toString('utf8')

const inScope = (scope: PipelineScope): ((schema: string, name: string) => boolean) => {
  const names = new Set(scope.mappings.map(({ target }) => tableName(target).toLowerCase()))
  return (schema, name) => names.has(`${schema}.${name}`.toLowerCase())
}

/** A trigger is only shown to who holds TRIGGER on its table: where nobody shows one, that must be known to mean that there is none. */
async function checkTriggers(
  connection: Connection,
  account: string,
  scope: PipelineScope,
): Promise<Finding[]> {
  if (scope.mappings.length === 0) return []
  const { rows } = await connection.query(
    `SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_MANIPULATION FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA IN (${schemasOf(scope)})`,
  )
  const concerns = inScope(scope)
  const found = rows
    .map((row) => row.map(text) as [string, string, string, string, string])
    .filter(([schema, name]) => concerns(schema, name))
    .map(([schema, name, triggerSchema, trigger, event]) =>
      finding(
        'SYNC-3206',
        'error',
        `${schema}.${name} has the trigger ${trigger} (${event}) at the target`,
        `DROP TRIGGER \`${triggerSchema}\`.\`${trigger}\`;`,
        { table: { schema, name } },
      ),
    )
  const grants = (await connection.query('SHOW GRANTS')).rows.map((row) => text(row[0]))
  const sees = (schema: string): boolean =>
    grants.some((grant) => {
      const [, privileges, on] = /^GRANT (.+?) ON (\S+) TO /.exec(grant) ?? []
      return (
        /\b(ALL PRIVILEGES|TRIGGER)\b/.test(privileges ?? '') &&
        (on === '*.*' ||
          (on ?? '').startsWith(`\`${schema.replaceAll('_', '\\_')}\`.`) ||
          (on ?? '').startsWith(`\`${schema}\`.`))
      )
    })
  const blind = [...new Set(scope.mappings.map(({ target }) => target.schema))].filter(
    (schema) => !sees(schema),
  )
  return [
    ...found,
    ...blind.map((schema) =>
      finding(
        'SYNC-3206',
        'warning',
        `${account} lacks TRIGGER on schema ${schema}, so triggers there cannot be seen; one would run again for each row`,
        `GRANT TRIGGER ON \`${schema}\`.* TO ${account};`,
      ),
    ),
  ]
}

interface CheckConstraint {
  readonly table: TableId
  readonly name: string
  readonly clause: string
}

async function readChecks(
  connection: Connection,
  schemas: readonly string[],
): Promise<readonly CheckConstraint[]> {
  if (schemas.length === 0) return []
  const list = [...new Set(schemas)].map(textLiteral).join(', ')
  const { rows } = await connection.query(
    catalogueDialects[productOf(connection.version)].checkConstraints(list),
  )
  return rows.map((row) => ({
    table: { schema: text(row[0]), name: text(row[1]) },
    name: text(row[2]),
    clause: text(row[3]),
  }))
}

/** Conditions that the source does not put on its rows. Foreign keys need none: the sessions that write have their checks off, cascades included. */
async function checkConstraints(
  connection: Connection,
  scope: PipelineScope,
  sourceChecks: ReadonlySet<string>,
): Promise<Finding[]> {
  const sourceOf = new Map(
    scope.mappings.map(({ source, target }) => [tableName(target).toLowerCase(), source]),
  )
  const checks = await readChecks(
    connection,
    scope.mappings.map(({ target }) => target.schema),
  )
  return checks.flatMap(({ table, name, clause }) => {
    const source = sourceOf.get(tableName(table).toLowerCase())
    if (source === undefined || sourceChecks.has(`${tableName(source)}\0${clause}`)) return []
    return [
      finding(
        'SYNC-3209',
        'warning',
        `${tableName(table)} has the check ${name} ${clause} that the source does not have: a row that fails it would stop the pipeline`,
        catalogueDialects[productOf(connection.version)].withoutCheck(shownName(table), name),
        { table },
      ),
    ]
  })
}

/** Rows that are there before a table joins. Once it has, they are the pipeline's own. */
async function checkRows(
  connection: Connection,
  scope: PipelineScope,
  targets: ReadonlyMap<string, TableDetail>,
): Promise<Finding[]> {
  if (!scope.loads || scope.onExistingRows !== 'refuse') return []
  // Without the privilege (reported already) for its own tables nothing is known of an earlier start, and for others nothing of their rows.
  const unlessDenied =
    <T>(otherwise: T) =>
    (error: unknown): T => {
      if (error instanceof SyncError && error.code === 'SYNC-3103') return otherwise
      throw error
    }
  const joined = await readJoinedTables(connection, marksOf(scope)).catch(unlessDenied(null))
  if (await isRenameAhead(connection, scope).catch(unlessDenied(false))) return []
  const changing = await readChangingTables(connection, marksOf(scope)).catch(unlessDenied(new Set<string>()))
  const isNew = (source: string): boolean => joined?.has(source) !== true && !changing.has(source)
  const ids = scope.mappings
    .filter(({ source, target }) => targets.has(tableName(target)) && isNew(tableName(source)))
    .map(({ target }) => target)
  const full = await tablesWithRows(connection, ids).catch(unlessDenied([]))
  return full.map((id) =>
    finding(
      'SYNC-3204',
      'error',
      `${tableName(id)} has rows at the target before the load`,
      `TRUNCATE TABLE ${shownName(id)}; or set spec.onExistingRows: empty or keep.`,
      { table: id },
    ),
  )
}
