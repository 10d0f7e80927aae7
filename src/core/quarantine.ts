/**
 * Tables that are set aside because the target refuses their rows, so that all others can go on (docs: guides/quarantine.md). Pure.
 *
 * A table is either carried whole or not at all: from the moment that it is parked none of its changes is applied, and what brings it back is
 * never a single row but the load, into an emptied table. So nothing of it has to be kept but that it is parked; the dead letters are for
 * the person who looks for the cause.
 */
import { type ErrorCode, SyncError } from './errors.ts'
import { imageBefore, type NetChanges } from './merge.ts'
import type { Destination } from './plan.ts'
import type { Position } from './position.ts'
import { type Column, type ColumnType, type TableId, tableName } from './schema.ts'
import { bytesOf, keyOf, type Row, type Value } from './value.ts'

/** As it is stored in the target. */
export interface ParkedTable {
  /** The *source* table. */
  readonly table: TableId
  /** Drawn anew each time that it is parked: a request to rejoin is meant for one parking and never for a later one. */
  readonly parking: string
  /** Up to here its changes were applied; no later one was. */
  readonly since: Position
  readonly code: string
  readonly message: string
  readonly remedy: string
  /** Milliseconds since 1970, by the target's clock. */
  readonly parkedAtMs: number
  readonly deadLetters: number
}

/** A row as the target refused it. */
export interface RefusedRow {
  readonly destination: Destination
  readonly row: Row
  /** For people. */
  readonly key: string
  readonly code: ErrorCode
  readonly message: string
}

/** A refused row with its images before and after the batch, as texts (see `imageText`). */
export interface DeadLetter {
  readonly key: string
  readonly before: string | null
  readonly after: string | null
  readonly code: string
  readonly message: string
  /** The batch that would have brought it is (from, to]. */
  readonly from: Position
  readonly to: Position
}

/**
 * Errors that tell of one table's rows or definition alone. Not among them: whatever may hit any table (a full disk, a privilege, a lost
 * connection), and whatever is not understood.
 */
const parkable: ReadonlySet<string> = new Set([
  'SYNC-2202',
  'SYNC-2203',
  'SYNC-2303',
  'SYNC-3201',
  'SYNC-3202',
  'SYNC-3203',
  'SYNC-3205',
  'SYNC-3209',
  'SYNC-3301',
  'SYNC-3302',
  'SYNC-3303',
])

/** Does the error tell of a single table that could be parked? Of a change of a definition: its cause does. */
export function tellsOfOneTable(error: SyncError): boolean {
  if (error.code !== 'SYNC-2301') return parkable.has(error.code)
  return error.cause === undefined || (error.cause instanceof SyncError && parkable.has(error.cause.code))
}

/** The source table that an error names under `details.source`; null: none. */
export function sourceNamedBy(error: SyncError): TableId | null {
  const source = error.details['source'] as Partial<TableId> | undefined
  if (typeof source?.schema !== 'string' || typeof source.name !== 'string') return null
  return { schema: source.schema, name: source.name }
}

/** The same error with more details. */
export const withDetails = (error: SyncError, details: Readonly<Record<string, unknown>>): SyncError =>
  new SyncError(error.code, error.message, {
    remedy: error.remedy,
    details: { ...error.details, ...details },
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  })

/** What a target refused, with the source's name of the table and the refused rows as dead letters (`details.source` and `letters`). */
export function refusalOf(
  error: SyncError,
  sourceOf: (target: string) => TableId | null,
  net: NetChanges,
  batch: { readonly from: Position; readonly to: Position },
): SyncError {
  const { table } = error.details
  const source = typeof table === 'string' ? sourceOf(table) : null
  return source === null ? error : withDetails(error, { source, letters: deadLettersOf(error, net, batch) })
}

/** The rows that an error carries under `details.refused`, each with the images that the batch has of it. */
function deadLettersOf(
  error: SyncError,
  net: NetChanges,
  batch: { readonly from: Position; readonly to: Position },
): DeadLetter[] {
  const refused = (error.details['refused'] ?? []) as readonly RefusedRow[]
  return refused.map(({ destination, row, key, code, message }) => {
    const id = tableName(destination.id)
    const known = net.destinations.find((table) => tableName(table.destination.id) === id)
    const { columns, valueTypes } = destination
    const before = known === undefined ? null : imageBefore(known, keyOf(row, destination.key.ordinals))
    return {
      key,
      before: before === null ? null : imageText(columns, valueTypes, before),
      after: imageText(columns, valueTypes, row),
      code,
      message,
      from: batch.from,
      to: batch.to,
    }
  })
}

/** Values beyond this are cut: a letter must fit the statement that a row may not have fitted. */
const longestValueBytes = 4_096

/**
 * A row for people, as JSON by the names of the columns at the target: integers of 64 bits, decimals and times with every digit as strings, bytes
 * as `{"hex": "..."}`, long values as `{"cut": ..., "bytes": n}`. ASCII only.
 */
export function imageText(columns: readonly Column[], types: readonly ColumnType[], row: Row): string {
  const image = Object.fromEntries(
    columns.map(({ name }, i) => [name, shown(row[i] ?? null, types[i] as ColumnType)]),
  )
  return JSON.stringify(image).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

const textKinds: ReadonlySet<string> = new Set([
  'text',
  'decimal',
  'json',
  'date',
  'time',
  'datetime',
  'timestamp',
])

function shown(value: Value, type: ColumnType): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'string') return value
  const part = value.slice(0, longestValueBytes)
  const bytes = bytesOf(part)
  const isUtf8 = type.kind !== 'text' || /^(?:utf8|ascii)/.test(type.charset ?? '')
  const text = textKinds.has(type.kind) && isUtf8 ? decoded(bytes, part.length < value.length) : null
  const whole = text ?? { hex: Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') }
  return part.length < value.length ? { cut: whole, bytes: value.length } : whole
}

/** null: not UTF-8. A text that is cut may end inside a character. */
function decoded(bytes: Uint8Array, isCut: boolean): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut })
  } catch {
    return null
  }
}
