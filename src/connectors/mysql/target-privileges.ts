/**
 * Which privileges of the target's account are missing for a pipeline, found out by trying (finding.ts). Changes nothing.
 */
import { type TableId, tableName } from '../../core/schema.ts'
import type { Finding, PipelineScope } from '../contract.ts'
import type { TableDetail } from './catalogue.ts'
import type { Connection } from './connection.ts'
import { finding, type Trial, tryPrivileges } from './finding.ts'
import { identifier, qualifiedName } from './sql-text.ts'

/** Where Syncline keeps its own tables at a MySQL site. */
const ownSchema = 'syncline'
/** A name that no table has. CREATE ... LIKE asks for the privileges first and then fails for want of this table. */
const absent = 'no_such_table_c4d1'

export function checkTargetPrivileges(
  connection: Connection,
  account: string,
  scope: PipelineScope,
  targets: ReadonlyMap<string, TableDetail>,
  toCreate: readonly TableId[],
): Promise<Finding[]> {
  const denied =
    (privilege: string, on: string, place: { table?: TableId } = {}) =>
    (): Finding =>
      finding(
        'SYNC-3103',
        'error',
        `${account} lacks ${privilege} on ${on} at the target`,
        `GRANT ${privilege} ON ${on} TO ${account};`,
        place,
      )
  const own = `\`${ownSchema}\`.*`
  const mark = `${identifier(ownSchema)}.\`apply_mark\``
  const trials: Trial[] = [
    { sql: createTrial(ownSchema), denied: denied('CREATE, SELECT', own) },
    { sql: `SELECT 1 FROM ${mark} LIMIT 0`, denied: denied('SELECT', own) },
    {
      // All columns without a default: MariaDB looks at those before it explains.
      sql: `EXPLAIN INSERT INTO ${mark} (pipeline, slot, epoch) SELECT pipeline, slot, epoch FROM ${mark} LIMIT 0`,
      denied: denied('INSERT', own),
    },
    { sql: `EXPLAIN UPDATE ${mark} SET pipeline = pipeline WHERE FALSE`, denied: denied('UPDATE', own) },
    { sql: `EXPLAIN DELETE FROM ${mark} WHERE FALSE`, denied: denied('DELETE', own) },
  ]
  for (const { target } of scope.mappings) {
    const detail = targets.get(tableName(target))
    if (detail === undefined) continue
    const name = qualifiedName(target)
    const columns = detail.shape.columns
      .filter((column) => !column.generated)
      .map((column) => identifier(column.name))
    const all = columns.join(', ')
    const on = `\`${target.schema}\`.*`
    const place = { table: target }
    trials.push(
      { sql: `SELECT ${all} FROM ${name} LIMIT 0`, denied: denied('SELECT', on, place) },
      {
        sql: `EXPLAIN INSERT INTO ${name} (${all}) SELECT ${all} FROM ${name} LIMIT 0`,
        denied: denied('INSERT', on, place),
      },
      {
        sql: `EXPLAIN UPDATE ${name} SET ${columns.map((column) => `${column} = ${column}`).join(', ')} WHERE FALSE`,
        denied: denied('UPDATE', on, place),
      },
      { sql: `EXPLAIN DELETE FROM ${name} WHERE FALSE`, denied: denied('DELETE', on, place) },
    )
  }
  for (const schema of new Set(toCreate.map((id) => id.schema))) {
    trials.push({
      sql: createTrial(schema),
      denied: denied('CREATE, SELECT, INSERT, UPDATE, DELETE', `\`${schema}\`.*`),
    })
  }
  return tryPrivileges(connection, trials)
}

const createTrial = (schema: string): string =>
  `CREATE TABLE ${identifier(schema)}.\`${absent}_new\` LIKE ${identifier(schema)}.\`${absent}\``
