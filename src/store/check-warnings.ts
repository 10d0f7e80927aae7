/**
 * What the pre-checks of a pipeline warned of when they last let it start. For people: nothing stands still for a warning, so it would not be
 * seen otherwise. Replaced whole by the next start; gone with the pipeline.
 */
import type { Database } from './database.ts'

export interface CheckWarning {
  readonly code: string
  readonly message: string
  readonly remedy: string
}

export interface CheckWarningStore {
  list(pipeline: string): CheckWarning[]
  /** A pipeline that was deleted meanwhile is passed over. */
  put(pipeline: string, warnings: readonly CheckWarning[]): void
}

export function createCheckWarningStore(database: Database): CheckWarningStore {
  return {
    list(pipeline) {
      const row = database.get('SELECT warnings FROM check_warnings WHERE pipeline = ?', pipeline)
      return row === undefined ? [] : (JSON.parse(String(row['warnings'])) as CheckWarning[])
    },
    put: (pipeline, warnings) =>
      database.write(() =>
        database.run(
          `INSERT INTO check_warnings (pipeline, warnings) SELECT name, ? FROM pipelines WHERE name = ?
           ON CONFLICT (pipeline) DO UPDATE SET warnings = excluded.warnings`,
          JSON.stringify(warnings.map(({ code, message, remedy }) => ({ code, message, remedy }))),
          pipeline,
        ),
      ),
  }
}
