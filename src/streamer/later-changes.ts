/**
 * Is a table's definition in the catalogue the one that it had right after a statement of the log, or a later one?
 *
 * The catalogue knows only now, and the stream may be hours behind. So the log is read ahead, from the statement to where it ended when the
 * catalogue had been read: a definition is in the log before it is visible. A pipeline that keeps up reads next to nothing; one that is far
 * behind does not get an answer within the time and takes the safe way. Changes nothing; a lost link gives "not known".
 */
import type { Source } from '../connectors/contract.ts'
import type { Position } from '../core/position.ts'
import { type TableId, tableName } from '../core/schema.ts'
import type { SchemaChange } from '../core/transaction.ts'
import { effectOf, tablesOf } from './schema-change.ts'

const maxReadMs = 10_000

/**
 * Call it after the catalogue was read.
 * @param after the position right behind the statement
 * @returns true only where nothing that could concern one of the tables stands between the statement and the log's end
 */
export async function isDefinitionOfThen(
  source: Source,
  event: SchemaChange,
  after: Position,
  tables: readonly TableId[],
): Promise<boolean> {
  if (source.definitions === undefined) return false
  const end = await source.definitions.logEnd()
  const reaches = ({ file, offset }: { file: number; offset: number }): boolean =>
    file > end.file || (file === end.file && offset >= end.offset)
  if (reaches(event.coordinate)) return true
  const names = new Set(tables.map((id) => tableName(source.nameOf(id))))
  const schemas = new Set(tables.map((id) => source.nameOf(id).schema))
  const stream = source.follow(after, {
    acknowledged: [],
    scope: { takesTable: (id) => names.has(tableName(id)), takesSchema: (schema) => schemas.has(schema) },
  })
  const timer = setTimeout(() => void stream.close(), maxReadMs)
  try {
    for await (const events of stream) {
      for (const next of events) {
        if (next.kind === 'schema-change') {
          const effect = effectOf(next.statement, next.schema)
          const named = tablesOf(effect)
          const isElsewhere = effect.kind === 'schema-dropped' && !schemas.has(effect.schema)
          const isConcerned = named === null || named.some((id) => names.has(tableName(source.nameOf(id))))
          if (isConcerned && !isElsewhere) return false
        }
        if (reaches(next.coordinate)) return true
      }
    }
    return false
  } catch {
    // What cannot be read here stops the stream itself, when it gets there.
    return false
  } finally {
    clearTimeout(timer)
    await stream.close()
  }
}
