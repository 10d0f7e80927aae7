/**
 * Is a key written as the source itself writes it? Keys are told apart by their bytes (core/value.ts, `keyOf`), so one that a person or another
 * store has put in other words (1.5 for 1.50) would be found by a server and not be recognized in the log. Pure.
 */
import type { ColumnType, TableShape } from './schema.ts'
import type { Value } from './value.ts'

const days = '\\d{4}-\\d{2}-\\d{2}'
const fraction = (digits: number | undefined): string => (digits ? `\\.\\d{${digits}}` : '')

/** The form of a kind of text; null: any. */
function formOf({ kind, scale, fraction: digits }: ColumnType): RegExp | null {
  switch (kind) {
    case 'decimal':
      return new RegExp(`^(?!-0*(\\.0*)?$)-?(0|[1-9]\\d*)${scale ? `\\.\\d{${scale}}` : ''}$`)
    case 'date':
      return new RegExp(`^${days}$`)
    case 'time':
      return new RegExp(`^-?\\d{2,3}:\\d{2}:\\d{2}${fraction(digits)}$`)
    case 'datetime':
    case 'timestamp':
      return new RegExp(`^${days} \\d{2}:\\d{2}:\\d{2}${fraction(digits)}$`)
    default:
      return null
  }
}

function isInForm(value: Value, type: ColumnType): boolean {
  switch (type.kind) {
    case 'int':
    case 'year':
    case 'enum':
    case 'set':
    case 'bit':
      return typeof value === 'bigint' || Number.isSafeInteger(value)
    case 'float':
      return typeof value === 'number' && Math.fround(value) === value
    case 'double':
      return typeof value === 'number' && Number.isFinite(value)
    case 'bytes':
      return typeof value === 'string' && (type.fixed !== true || value.length === type.maxBytes)
    default:
      return typeof value === 'string' && (formOf(type)?.test(value) ?? true)
  }
}

/** What is wrong with a key, in words; null: nothing. */
export function keyFormError(table: TableShape, key: readonly Value[]): string | null {
  const ordinals = table.primaryKey?.ordinals ?? []
  if (key.length !== ordinals.length) return `it has ${key.length} values, the key ${ordinals.length} columns`
  for (const [part, ordinal] of ordinals.entries()) {
    const column = table.columns[ordinal]
    if (column === undefined || isInForm(key[part] as Value, column.type)) continue
    return `${column.name} is ${column.type.sql}, and the value is not as the source writes it`
  }
  return null
}
