/**
 * JSON text that gives back exactly what was put in: positions and key values as they are stored at the target and in the store.
 *
 * ASCII only, so that no character set of a session or a column can change it. Key values keep their JavaScript type (core/value-json.ts). Pure;
 * text that this module did not write throws SYNC-9001 and is never guessed at.
 */
import { SyncError } from './errors.ts'
import type { Position } from './position.ts'
import type { Value } from './value.ts'
import { jsonOfValue, valueOfJson } from './value-json.ts'

const beyondAscii = /[\u007f-\uffff]/g

const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    beyondAscii,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

export const positionText = (position: Position): string =>
  asciiJson({
    token: position.token,
    ordinal: position.ordinal,
    ...(position.transaction === undefined ? {} : { transaction: position.transaction }),
  })

export function positionOf(text: string): Position {
  const found = parsed(text) as Partial<Position> | null
  if (typeof found?.token !== 'string' || typeof found.ordinal !== 'number') throw unreadable(text)
  const { token, ordinal, transaction } = found
  if (transaction !== undefined && typeof transaction !== 'string') throw unreadable(text)
  return transaction === undefined ? { token, ordinal } : { token, ordinal, transaction }
}

/** A key, and by which order of its table it is the last one (core/key-order.ts). */
export interface StoredKey {
  readonly values: readonly Value[]
  readonly order?: string
}

export const keyText = ({ values, order }: StoredKey): string => {
  const key = values.map(jsonOfValue)
  return asciiJson(order === undefined ? key : { order, key })
}

export function storedKeyOf(text: string): StoredKey {
  const found = parsed(text)
  const { order, key } = (Array.isArray(found) ? { key: found } : (found ?? {})) as Record<string, unknown>
  if (!Array.isArray(key) || (order !== undefined && typeof order !== 'string')) throw unreadable(text)
  const values = key.map((part) => decoded(part, text))
  return order === undefined ? { values } : { values, order }
}

function decoded(part: unknown, text: string): Value {
  const value = valueOfJson(part)
  if (value === undefined) throw unreadable(text)
  return value
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw unreadable(text)
  }
}

const unreadable = (text: string): SyncError =>
  new SyncError('SYNC-9001', `the target's mark rows hold a text that cannot be read: ${text.slice(0, 200)}`)
