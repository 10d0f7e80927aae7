/**
 * How the values of one column become SQL text: chosen once per column from what the source's type says and what the target's column is.
 *
 * Nearly always `literal` of the source's type, and the server converts. ENUM and SET travel as numbers (core/value.ts), which name labels
 * by their place: where the target's labels stand in other places, or the column is no ENUM there, the label itself is written.
 * Pure. A number without a label throws SYNC-3302: it is never written as another one.
 */
import { SyncError } from '../../../core/errors.ts'
import type { ColumnType } from '../../../core/schema.ts'
import type { Value } from '../../../core/value.ts'
import { literal } from '../sql-text.ts'

export type ValueWriter = (value: Value) => string

export function columnWriter(source: ColumnType, target: ColumnType): ValueWriter {
  switch (source.kind) {
    case 'int':
    case 'year':
    case 'bit':
      return (value) => (value === null ? 'NULL' : `${value as number | bigint}`)
    case 'enum':
      return placesAgree(source, target) ? plainNumber : enumLabelWriter(source)
    case 'set':
      return placesAgree(source, target) ? plainNumber : setLabelsWriter(source)
    case 'json':
      // Where the server has no JSON of its own (MariaDB), the text is the value.
      return target.kind === 'text' ? (value) => literal(value, jsonText) : (value) => literal(value, source)
    default:
      return (value) => literal(value, source)
  }
}

const jsonText: ColumnType = { kind: 'text', charset: 'utf8mb4', sql: 'json' }

const plainNumber: ValueWriter = (value) => (value === null ? 'NULL' : `${value as number | bigint}`)

/** Does each label of the source stand in the same place at the target? More labels after them do no harm. */
export function placesAgree(source: ColumnType, target: ColumnType): boolean {
  if (source.kind !== target.kind) return false
  const { labels } = source
  const there = target.labels
  // Where one side does not tell its labels, places are all there is; the pre-checks compare definitions.
  if (labels === undefined || there === undefined) return true
  // Bytes mean the same in two character sets only where they are ASCII.
  return labels.every(
    (label, i) => label === there[i] && (source.charset === target.charset || isAsciiText(label)),
  )
}

const isAsciiText = (label: string): boolean => /^[ -~]*$/.test(label)

function enumLabelWriter(source: ColumnType): ValueWriter {
  const text = labelText(source)
  return (value) => {
    if (value === null) return 'NULL'
    if (value === 0) return text('')
    const label = source.labels?.[Number(value) - 1]
    if (label === undefined) throw noLabel(source, value)
    return text(label)
  }
}

/** A comma's bytes where they are not those of ASCII. */
const wideCommas: Readonly<Record<string, string>> = {
  ucs2: '\0,',
  utf16: '\0,',
  utf16le: ',\0',
  utf32: '\0\0\0,',
}

function setLabelsWriter(source: ColumnType): ValueWriter {
  const text = labelText(source)
  const comma = wideCommas[source.charset ?? ''] ?? ','
  return (value) => {
    if (value === null) return 'NULL'
    const bits = BigInt(value)
    const labels = source.labels ?? []
    if (bits >> BigInt(labels.length) !== 0n) throw noLabel(source, value)
    return text(labels.filter((_, i) => ((bits >> BigInt(i)) & 1n) === 1n).join(comma))
  }
}

function labelText(source: ColumnType): (label: string) => string {
  const type: ColumnType = { kind: 'text', charset: source.charset ?? 'utf8mb4', sql: source.sql }
  return (label) => literal(label, type)
}

const noLabel = (source: ColumnType, value: Value): SyncError =>
  new SyncError('SYNC-3302', `${source.sql} has no label for the value ${String(value)}`)
