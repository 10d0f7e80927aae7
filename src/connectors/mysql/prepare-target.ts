/**
 * Makes a MySQL target ready: creates what is missing and empties what is full, as the pipeline's policies say.
 *
 * Guarantees: may be run again at any time; rows are never touched once the pipeline has written here (its mark rows stand), because then they are its
 * own. Definitions commit by themselves: after a crash in the middle the next run does the rest.
 */

import { SyncError } from '../../core/errors.ts'
import { type TableId, tableName } from '../../core/schema.ts'
import { byteStringOf } from '../../core/value.ts'
import type { Finding, MappedTable, PipelineScope } from '../contract.ts'
import { readTablesByName, textOf } from './catalogue.ts'
import type { MysqlEndpoint } from './config.ts'
import { type Connection, connect } from './connection.ts'
import { targetDefinition } from './create-table.ts'
import { productName, productOf } from './flavour.ts'
import {
  emptyUnlessJoined,
  isAbsent,
  isRenameAhead,
  marksOf,
  namesOf,
  readChangingTables,
  readJoinedTables,
  readLoadedTables,
  tablesWithRows,
} from './joined-tables.ts'
import { markTable } from './sink/mark-table.ts'
import { qualifiedName, textLiteral } from './sql-text.ts'

/** @throws SyncError 21xx, 31xx; SYNC-3201 where a table is missing and cannot be created */
export async function prepareMysqlTarget(config: MysqlEndpoint, scope: PipelineScope): Promise<void> {
  const connection = await connect(config, 'admin', {
    side: 'target',
    setUp: ['SESSION foreign_key_checks = 0'],
  })
  try {
    const planned = await planCreation(connection, scope)
    const [lost] = planned.lost
    if (lost !== undefined) throw new SyncError('SYNC-3201', lostMessage(lost), { remedy: lostRemedy })
    for (const statement of planned.statements) await connection.query(byteStringOf(statement))
    if (scope.loads && scope.onExistingRows === 'empty') await emptyTables(connection, scope, planned.tables)
  } finally {
    await connection.close()
  }
}

/** Tables that have not joined yet; those that were made a moment ago have no rows. */
async function emptyTables(
  connection: Connection,
  scope: PipelineScope,
  created: readonly TableId[],
): Promise<void> {
  if (await isRenameAhead(connection, scope)) return
  const joined = await readJoinedTables(connection, marksOf(scope))
  const changing = await readChangingTables(connection, marksOf(scope))
  const isNew = new Set(created.map((id) => tableName(id)))
  const others = scope.mappings.filter(
    ({ source, target }) =>
      joined?.has(tableName(source)) !== true &&
      !changing.has(tableName(source)) &&
      !isNew.has(tableName(target)),
  )
  const targets = new Map(others.map((mapping) => [tableName(mapping.target), mapping]))
  const full = await tablesWithRows(
    connection,
    others.map(({ target }) => target),
  )
  // Checks of foreign keys are off, so order does not matter.
  for (const id of full)
    await emptyUnlessJoined(connection, marksOf(scope), targets.get(tableName(id)) as MappedTable)
}

/**
 * A name under which the pipeline has written here, divided otherwise than now; null: there is none. Its tables were shared out in
 * another way then, and each share stands at a position of its own.
 */
export async function otherDivision(connection: Connection, scope: PipelineScope): Promise<string | null> {
  if (scope.marks === undefined) return null
  const family = scope.marks.family.map((name) => `pipeline LIKE ${textLiteral(name)}`).join(' OR ')
  try {
    const { rows } = await connection.query(
      `SELECT pipeline FROM ${markTable} WHERE (${family}) AND pipeline NOT IN (${namesOf(marksOf(scope))}) AND to_position IS NOT NULL LIMIT 1`,
    )
    return rows[0] === undefined ? null : textOf(rows[0][0])
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
}

export const lostMessage = (id: TableId): string =>
  `Table ${tableName(id)} is gone from the target, and the pipeline had loaded it: created anew it would lack the rows`
export const lostRemedy =
  'Delete the pipeline and load again; or, if the source dropped the table too and made a new one, create it empty at the target, then resume.'

export interface PlannedCreation {
  /** As text; in the order in which they are to be run. */
  readonly statements: readonly string[]
  readonly tables: readonly TableId[]
  /** Missing tables that must not be created: the pipeline believes that its rows are there. */
  readonly lost: readonly TableId[]
  readonly warnings: readonly Finding[]
}

export const nothingPlanned: PlannedCreation = { statements: [], tables: [], lost: [], warnings: [] }

/** What `onMissingTable: create` would create now. Changes nothing. */
export async function planCreation(target: Connection, scope: PipelineScope): Promise<PlannedCreation> {
  if (scope.onMissingTable !== 'create') return nothingPlanned
  const there = await readTablesByName(
    target,
    scope.mappings.map((mapping) => mapping.target),
  )
  const gone = scope.mappings.filter((mapping) => !there.has(tableName(mapping.target)))
  if (gone.length === 0) return nothingPlanned
  const changing = await readChangingTables(target, marksOf(scope))
  const absent = gone.filter(({ source }) => !changing.has(tableName(source)))
  if (absent.length === 0) return nothingPlanned
  const loaded = await readLoadedTables(target, scope)
  const lost = absent.filter(({ source }) => loaded.has(tableName(source))).map((mapping) => mapping.target)
  const missing = absent.filter(({ source }) => !loaded.has(tableName(source)))
  if (missing.length === 0) return { ...nothingPlanned, lost }
  if (scope.source.kind !== 'mysql') {
    throw new SyncError(
      'SYNC-3201',
      `Table ${tableName((missing[0] as MappedTable).target)} is missing, and a source of kind ${scope.source.kind} has no definition to create it from`,
    )
  }
  const source = await connect(scope.source as unknown as MysqlEndpoint, 'admin', {
    side: 'source',
    setUp: ['SESSION sql_quote_show_create = 1'],
  })
  try {
    const [from, to] = [productOf(source.version), productOf(target.version)]
    if (from !== to) {
      const { target: id } = missing[0] as MappedTable
      throw new SyncError(
        'SYNC-3210',
        `Table ${tableName(id)} is missing, and a definition of ${productName(from)} cannot be run at ${productName(to)}`,
        { details: { table: tableName(id) } },
      )
    }
    return { ...(await planFrom(source, scope, missing)), lost }
  } finally {
    await source.close()
  }
}

async function planFrom(
  source: Connection,
  scope: PipelineScope,
  missing: readonly MappedTable[],
): Promise<PlannedCreation> {
  const everywhere = [...(scope.elsewhere ?? []), ...scope.mappings]
  const bySource = new Map(everywhere.map((mapping) => [tableName(mapping.source), mapping.target]))
  const targetOf = (id: TableId): TableId | null => bySource.get(tableName(id)) ?? null
  const statements: string[] = []
  const warnings: Finding[] = []
  const schemas = new Set<string>()
  for (const mapping of missing) {
    const { target } = mapping
    if (!schemas.has(target.schema)) {
      schemas.add(target.schema)
      statements.push(await schemaDefinition(source, mapping))
    }
    const { rows } = await source.query(`SHOW CREATE TABLE ${qualifiedName(mapping.source)}`)
    const definition = targetDefinition(textOf(rows[0]?.[1]), mapping, targetOf)
    statements.push(definition.sql)
    warnings.push(...definition.warnings)
  }
  return { statements, tables: missing.map(({ target }) => target), lost: [], warnings }
}

/** The target's schema with the defaults of the source's. */
async function schemaDefinition(source: Connection, { source: from, target }: MappedTable): Promise<string> {
  const { rows } = await source.query(
    `SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${textLiteral(from.schema)}`,
  )
  const [charset, collation] = (rows[0] ?? []).map(textOf)
  const defaults =
    charset === undefined || collation === undefined
      ? ''
      : ` DEFAULT CHARACTER SET ${charset} COLLATE ${collation}`
  return `CREATE DATABASE IF NOT EXISTS \`${target.schema.replaceAll('`', '``')}\`${defaults}`
}
