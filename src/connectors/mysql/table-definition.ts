/**
 * Definitions in the server's own words: read at the source, held against a target's, and run there as statements. The texts of statements are
 * pure; reading is one look at the catalogue as of now.
 */
import { SyncError } from '../../core/errors.ts'
import { type TableId, tableName } from '../../core/schema.ts'
import type { NeededChange } from '../../core/schema-policy.ts'
import type { DefinitionAction, DefinitionRequest, TableDefinition } from '../contract.ts'
import { neededClauses } from './alter-statement.ts'
import { readTablesByName, type TableDetail, textOf } from './catalogue.ts'
import type { Connection } from './connection.ts'
import { quote, targetDefinition, tick } from './create-table.ts'
import { type Product, productName, productOf } from './flavour.ts'
import { qualifiedName, textLiteral } from './sql-text.ts'

export interface MysqlTableDefinition extends TableDefinition {
  readonly kind: 'mysql'
  readonly product: Product
  /** SHOW CREATE TABLE, as text. */
  readonly create: string
  readonly detail: TableDetail
  /** ` DEFAULT CHARACTER SET x COLLATE y` of its schema. */
  readonly schemaDefaults: string
}

/** @returns null where there is no such table, or it went while it was read */
export async function readTableDefinition(
  connection: Connection,
  id: TableId,
): Promise<MysqlTableDefinition | null> {
  const detail = (await readTablesByName(connection, [id])).get(tableName(id))
  if (detail === undefined) return null
  try {
    const [, create, schema] = await connection.queryAll(
      `SET SESSION sql_quote_show_create = 1; SHOW CREATE TABLE ${qualifiedName(id)}; ` +
        `SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${textLiteral(detail.shape.id.schema)}`,
    )
    const [charset, collation] = (schema?.rows[0] ?? []).map(textOf)
    const schemaDefaults =
      charset === undefined || collation === undefined
        ? ''
        : ` DEFAULT CHARACTER SET ${charset} COLLATE ${collation}`
    const product = productOf(connection.version)
    return { kind: 'mysql', product, create: textOf(create?.rows[0]?.[1]), detail, schemaDefaults }
  } catch (error) {
    const errno = error instanceof SyncError ? error.details['errno'] : undefined
    if (errno === 1146 || errno === 1049) return null
    throw error
  }
}

/** @throws SYNC-9001 for a definition of another kind of store */
export function mysqlDefinition(definition: TableDefinition): MysqlTableDefinition {
  if (definition.kind !== 'mysql')
    throw new SyncError('SYNC-9001', `a definition of kind ${definition.kind} for a MySQL target`)
  return definition as MysqlTableDefinition
}

/** What the target's table lacks; nothing where there is no table. */
export async function readNeededChanges(
  connection: Connection,
  { definition, mapping, targetName, alteration, indexes }: DefinitionRequest,
): Promise<readonly NeededChange[]> {
  const source = mysqlDefinition(definition)
  const target = await readTableDefinition(connection, mapping.target)
  if (target === null) return []
  return neededClauses({
    source: source.detail,
    sourceCreate: source.create,
    target: target.detail,
    targetCreate: target.create,
    mapping,
    targetName,
    alteration,
    indexes,
  })
}

/**
 * As text, not as byte strings.
 * @throws SYNC-3210 for a table of the other product: its whole definition is not taken over, as before a start
 */
export function statementsOf(action: DefinitionAction, product: Product): readonly string[] {
  switch (action.do) {
    case 'create': {
      const source = mysqlDefinition(action.definition)
      if (source.product !== product) {
        throw new SyncError(
          'SYNC-3210',
          `Table ${tableName(action.mapping.target)} is missing, and a definition of ${productName(source.product)} cannot be run at ${productName(product)}`,
          { details: { table: tableName(action.mapping.target) } },
        )
      }
      const { sql } = targetDefinition(source.create, action.mapping, action.targetOf)
      return [
        `CREATE DATABASE IF NOT EXISTS ${tick(action.mapping.target.schema)}${source.schemaDefaults}`,
        sql,
      ]
    }
    case 'alter':
      return [`ALTER TABLE ${quote(action.table)} ${action.clauses.join(', ')}`]
    case 'rename':
      return [
        `RENAME TABLE ${action.renames.map(({ from, to }) => `${quote(from)} TO ${quote(to)}`).join(', ')}`,
      ]
    case 'truncate':
      return [`TRUNCATE TABLE ${quote(action.table)}`]
    case 'drop':
      return [`DROP TABLE IF EXISTS ${quote(action.table)}`]
  }
}
