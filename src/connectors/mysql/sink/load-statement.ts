/**
 * The statement that reads lines (load-lines.ts) into a destination, which destinations it can fill, and what its answer means. Pure.
 *
 * LOAD DATA LOCAL never fails for a row: what does not fit is made to fit, a row whose unique value is taken is left out, and the server counts it. So
 * whoever sends lines commits only after `isWhole`.
 */
import type { Destination } from '../../../core/plan.ts'
import type { ColumnType } from '../../../core/schema.ts'
import { loadSyntax, travelsAsText } from '../load-lines.ts'
import { identifier, qualifiedName } from '../sql-text.ts'
import type { QueryResult } from '../text-protocol.ts'
import { placesAgree } from './column-writer.ts'

/** The name that the server must ask for. */
export const lineFileName = 'syncline'

export function loadStatement(destination: Destination): string {
  const names = destination.columns.map(({ name }) => identifier(name)).join(',')
  return `LOAD DATA LOCAL INFILE '${lineFileName}' INTO TABLE ${qualifiedName(destination.id)} ${loadSyntax} (${names})`
}

/** Can every column of the destination travel as text? A key of labels cannot: the log knows them by number. */
export function takesLines(destination: Destination): boolean {
  const keys = new Set(destination.key.ordinals)
  return destination.columns.every(({ type }, i) => {
    const source = destination.valueTypes[i] as ColumnType
    const isLabel = source.kind === 'enum' || source.kind === 'set'
    return travelsAsText(source, type, isLabel && placesAgree(source, type)) && !(isLabel && keys.has(i))
  })
}

/** Did every line become a row, as it is? "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0" */
export function isWhole(result: QueryResult | undefined, rows: number): boolean {
  const counts = /Records: (\d+) {2}Deleted: (\d+) {2}Skipped: (\d+) {2}Warnings: (\d+)/.exec(
    result?.info ?? '',
  )
  if (counts === null || result?.warnings !== 0 || result.affectedRows !== rows) return false
  const [records, deleted, skipped, warnings] = counts.slice(1).map(Number)
  return records === rows && deleted === 0 && skipped === 0 && warnings === 0
}
