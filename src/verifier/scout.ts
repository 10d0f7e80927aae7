/**
 * Reads a part of the log ahead of somebody who may not read on, only to tell which rows it touches (docs/adr/0009, "Bounds").
 *
 * Keeps the bytes of keys of that part: at most `maxKeys`; a part with more is told of as if it touched everything, which proves nothing and loses nothing.
 */
import type { LogScope, Source } from '../connectors/contract.ts'
import type { Fate, Key } from '../core/continuous.ts'
import { compareCoordinates, type LogCoordinate, type Position } from '../core/position.ts'
import { type TableShape, tableName } from '../core/schema.ts'
import type { SchemaChange } from '../core/transaction.ts'
import { keyOf, type Row } from '../core/value.ts'

export interface Scouting {
  readonly source: Pick<Source, 'follow'>
  readonly from: Position
  readonly to: LogCoordinate
  readonly scope: LogScope
  readonly acknowledged: readonly string[]
  readonly keysOf: (table: string, shape: TableShape) => ((row: Row) => Key) | null
  readonly alteredBy: (event: SchemaChange) => readonly string[] | null
  readonly signal: AbortSignal
}

const maxKeys = 2_000_000

/** @throws the error of the source */
export async function scout(options: Scouting): Promise<(table: string, key: Key) => Fate> {
  const { source, from, to, scope, acknowledged, keysOf, alteredBy, signal } = options
  const touched = new Map<string, Set<string>>()
  const altered = new Set<string>()
  let isAllAltered = false
  let keys = 0
  const stream = source.follow(from, { scope, acknowledged })
  const close = (): void => void stream.close()
  signal.addEventListener('abort', close, { once: true })
  try {
    reading: for await (const events of stream) {
      for (const event of events) {
        if (event.kind === 'schema-change') {
          const names = alteredBy(event)
          if (names === null) isAllAltered = true
          for (const name of names ?? []) altered.add(name)
        }
        for (const { table: shape, before, after } of event.kind === 'slice' ? event.changes : []) {
          const name = tableName(shape.id)
          const keyFrom = keysOf(name, shape)
          if (keyFrom === null) continue
          const known = touched.get(name) ?? new Set()
          touched.set(name, known)
          for (const row of [before, after]) if (row !== null) known.add(textOf(keyFrom(row)))
          keys++
        }
        if (compareCoordinates(event.coordinate, to) >= 0 || keys > maxKeys) break reading
      }
    }
    signal.throwIfAborted()
  } finally {
    signal.removeEventListener('abort', close)
    await stream.close()
  }
  if (keys > maxKeys) return () => 'altered'
  return (table, key) => {
    if (touched.get(table)?.has(textOf(key)) === true) return 'touched'
    return isAllAltered || altered.has(table) ? 'altered' : 'untouched'
  }
}

const textOf = (key: Key): string =>
  keyOf(
    key,
    key.map((_, part) => part),
  )
