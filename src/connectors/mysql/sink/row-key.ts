/**
 * The key of a row, and how it is shown to people in messages: values of keys only, never those of other columns, cut to a bounded length. Pure.
 */
import type { Destination } from '../../../core/plan.ts'
import type { ColumnType } from '../../../core/schema.ts'
import { bytesOf, type Row, type Value } from '../../../core/value.ts'

/** The values of the destination's key in a whole row. */
export const keyOfRow = (destination: Destination, row: Row): readonly Value[] =>
  destination.key.ordinals.map((ordinal) => row[ordinal] as Value)

const longestShownBytes = 64

/** A key for people: `id=5, code='x'`; long values are cut, bytes stand in hexadecimal. */
export function describeKey(destination: Destination, key: readonly Value[]): string {
  return destination.key.ordinals
    .map((ordinal, i) => {
      const name = destination.columns[ordinal]?.name ?? `column ${ordinal}`
      return `${name}=${shown(key[i] as Value, destination.valueTypes[ordinal])}`
    })
    .join(', ')
}

function shown(value: Value, type: ColumnType | undefined): string {
  if (typeof value !== 'string') return String(value)
  const cut = value.length > longestShownBytes
  const bytes = bytesOf(value.slice(0, longestShownBytes))
  const isText =
    type?.kind !== 'bytes' && (type?.charset === undefined || /^(?:utf8|ascii)/.test(type.charset))
  const text = isText ? `'${new TextDecoder().decode(bytes)}'` : `0x${Buffer.from(bytes).toString('hex')}`
  return cut ? `${text}...` : text
}
