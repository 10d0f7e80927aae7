/**
 * Which tables of a pipeline have joined it at its target: their rows there are the pipeline's own. Every other one must be empty, be emptied, or
 * be taken as it is, by the policy `onExistingRows`, whenever it joins.
 *
 * A table joins with its row in the table of load progress, written under the fence before the first row (streamer/scope-progress.ts). Emptying
 * looks at that row and empties in one round trip at the server: a process that was frozen in between cannot empty what has joined meanwhile.
 */
import { SyncError } from '../../core/errors.ts'
import { type TableId, tableName } from '../../core/schema.ts'
import type { MappedTable, PipelineScope } from '../contract.ts'
import { textOf } from './catalogue.ts'
import type { Connection } from './connection.ts'
import { changeTable, loadTable } from './sink/mark-table.ts'
import { qualifiedName, textLiteral } from './sql-text.ts'

const tablesPerRoundTrip = 200

/** The names under which the pipeline's engines write: one for each shard. */
export const marksOf = ({ pipeline, marks }: PipelineScope): readonly string[] => marks?.own ?? [pipeline]

/** For `IN (...)`. */
export const namesOf = (marks: readonly string[]): string => marks.map((name) => textLiteral(name)).join(', ')

/** Source tables by `schema.table`; null: no pipeline has ever written here. */
export async function readJoinedTables(
  connection: Connection,
  marks: readonly string[],
): Promise<ReadonlySet<string> | null> {
  try {
    const { rows } = await connection.query(
      `SELECT table_name FROM ${loadTable} WHERE pipeline IN (${namesOf(marks)})`,
    )
    return new Set(rows.map((row) => textOf(row[0])))
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
}

/**
 * Has a table that was loaded gone from the source, and still takes part? Then the log has a rename or a drop of it to come, and a table that is new
 * in the catalogue may be that very one with the pipeline's own rows: whether it is, the stream finds out when it passes the statement.
 */
export async function isRenameAhead(connection: Connection, scope: PipelineScope): Promise<boolean> {
  const { mappings, elsewhere = [], takesPart } = scope
  if (takesPart === undefined) return false
  const present = new Set([...mappings, ...elsewhere].map(({ source }) => tableName(source)))
  const loaded = await readLoadedTables(connection, scope)
  return [...loaded].some((table) => takesPart(table) && !present.has(table))
}

/** The source tables whose load has begun here, by `schema.table`. */
export const readLoadedTables = (
  connection: Connection,
  scope: PipelineScope,
): Promise<ReadonlySet<string>> => readProgress(connection, scope, 'done <> 0 OR after_key IS NOT NULL')

/** Those whose load is done. */
export const readDoneTables = (connection: Connection, scope: PipelineScope): Promise<ReadonlySet<string>> =>
  readProgress(connection, scope, 'done <> 0')

async function readProgress(
  connection: Connection,
  scope: PipelineScope,
  condition: string,
): Promise<ReadonlySet<string>> {
  try {
    const { rows } = await connection.query(
      `SELECT table_name FROM ${loadTable} WHERE pipeline IN (${namesOf(marksOf(scope))}) AND (${condition})`,
    )
    return new Set(rows.map((row) => textOf(row[0])))
  } catch (error) {
    if (isAbsent(error)) return new Set()
    throw error
  }
}

/**
 * Source tables, by `schema.table`, of definition changes that an engine stands before, or died in. A table may have its new name already, with all
 * its rows, and nothing else that says so: whoever looks at tables before an engine starts leaves them to it.
 */
export async function readChangingTables(
  connection: Connection,
  marks: readonly string[],
): Promise<ReadonlySet<string>> {
  try {
    const { rows } = await connection.query(
      `SELECT table_names FROM ${changeTable} WHERE pipeline IN (${namesOf(marks)}) AND table_names IS NOT NULL`,
    )
    return new Set(rows.flatMap((row) => JSON.parse(textOf(row[0])) as string[]))
  } catch (error) {
    if (isAbsent(error)) return new Set()
    throw error
  }
}

/** Neither the schema nor its tables are there. */
export function isAbsent(error: unknown): boolean {
  const errno = error instanceof SyncError ? error.details['errno'] : undefined
  return errno === 1049 || errno === 1146
}

/** Those of the tables, which exist, that have a row. */
export async function tablesWithRows(
  connection: Connection,
  ids: readonly TableId[],
): Promise<readonly TableId[]> {
  const found: TableId[] = []
  for (let at = 0; at < ids.length; at += tablesPerRoundTrip) {
    const part = ids.slice(at, at + tablesPerRoundTrip)
    const questions = part.map((id) => `SELECT EXISTS (SELECT 1 FROM ${qualifiedName(id)})`)
    const answers = await connection.queryAll(questions.join('; '))
    answers.forEach((answer, index) => {
      const id = part[index]
      if (id !== undefined && answer.rows[0]?.[0] === '1') found.push(id)
    })
  }
  return found
}

/** Empties a target table unless its source table has joined. Assumes foreign key checks are off. */
export async function emptyUnlessJoined(
  connection: Connection,
  marks: readonly string[],
  { source, target }: MappedTable,
): Promise<void> {
  // TRUNCATE, not DELETE: no undo log, and AUTO_INCREMENT starts anew.
  const truncate = `TRUNCATE TABLE ${qualifiedName(target)}`
  const joined = `SELECT 1 FROM ${loadTable} WHERE pipeline IN (${namesOf(marks)}) AND table_name = ${textLiteral(tableName(source))}`
  const bytes = Buffer.from(truncate, 'latin1').toString('hex')
  try {
    await connection.queryAll(
      `SET @syncline_empty = IF(EXISTS (${joined}), 'DO 0', CONVERT(0x${bytes} USING utf8mb4)); PREPARE syncline_empty FROM @syncline_empty; EXECUTE syncline_empty; DEALLOCATE PREPARE syncline_empty`,
    )
  } catch (error) {
    if (!isAbsent(error)) throw error
    await connection.query(truncate)
  }
}
