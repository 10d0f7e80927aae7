/**
 * Key values as text that can be stored and read back, value for value: cursors of a verification, keys of differing rows. Pure.
 * The text is JSON in ASCII; `readKeyText` of anything else throws SYNC-9001, because only what was written here is read.
 */
import { SyncError } from './errors.ts'
import type { Value } from './value.ts'

/** Strings are bytes and stay as they are; a bigint carries a mark that no string has. */
export const keyText = (key: readonly Value[]): string =>
  JSON.stringify(
    key.map((value) =>
      typeof value === 'string' ? `s${value}` : typeof value === 'bigint' ? `i${value}` : value,
    ),
  ).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

export function readKeyText(text: string): Value[] {
  const refuse = (): never => {
    throw new SyncError('SYNC-9001', `not the text of a key: ${text.slice(0, 100)}`)
  }
  let values: unknown
  try {
    values = JSON.parse(text)
  } catch {
    return refuse()
  }
  if (!Array.isArray(values)) return refuse()
  return values.map((value: unknown): Value => {
    if (value === null || typeof value === 'number') return value
    if (typeof value !== 'string') return refuse()
    if (value.startsWith('s')) return value.slice(1)
    return /^i-?\d+$/.test(value) ? BigInt(value.slice(1)) : refuse()
  })
}
