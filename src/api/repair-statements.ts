/**
 * What a repair would write, as SQL for people: from the images of a difference, as they were when it was compared. Pure.
 *
 * It is shown and never run: a repair reads each row again, and the pipeline's own sink writes it.
 */
import type { ColumnKind } from '../core/schema.ts'
import type { ComparedColumn, ComparedTable, KeptDifference } from '../store/verifications.ts'

export function repairStatementOf(
  { target, columns }: Pick<ComparedTable, 'target' | 'columns'>,
  { source, target: atTarget }: Pick<KeptDifference, 'source' | 'target'>,
): string {
  const name = target
    .split('.')
    .map((part) => quotedName(part))
    .join('.')
  if (source === null) {
    const image = atTarget ?? {}
    const keys = columns.filter(({ isKey }) => isKey)
    const where = keys.map((column) => `${quotedName(column.target)} = ${literal(column, image)}`)
    return `DELETE FROM ${name} WHERE ${where.join(' AND ')}`
  }
  const written = columns.filter((column) => column.source in source)
  const names = written.map((column) => quotedName(column.target)).join(', ')
  const values = written.map((column) => literal(column, source)).join(', ')
  if (atTarget === null) return `INSERT INTO ${name} (${names}) VALUES (${values})`
  return `REPLACE INTO ${name} (${names}) VALUES (${values})`
}

const plain: ReadonlySet<ColumnKind> = new Set([
  'int',
  'float',
  'double',
  'decimal',
  'year',
  'bit',
  'bytes',
  'geometry',
  'vector',
])

function literal({ source, kind }: ComparedColumn, image: Readonly<Record<string, string | null>>): string {
  const value = image[source] ?? null
  if (value === null) return 'NULL'
  return plain.has(kind) && /^-?[\w.+-]+$/.test(value) ? value : `'${value.replace(/[\\']/g, '\\$&')}'`
}

const quotedName = (name: string): string => `\`${name.replaceAll('`', '``')}\``
