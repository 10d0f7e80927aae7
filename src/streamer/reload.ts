/**
 * Which tables must be loaded again after a definition statement, because it changed values of rows that were there without logging a row
 * (DATA-PATH 1: every row at the target equals the source's). Pure.
 *
 * The server gave new values; the target, altered by a person or made otherwise from the start, has perhaps others. Where the two definitions
 * make it certain that both are equal nothing is done; otherwise the load brings every row again, beside the stream. What a load cannot
 * mend is a key: rows under their old keys would stay. That waits for a person.
 */
import type { Alteration } from '../core/alteration.ts'
import type { Column, TableShape } from '../core/schema.ts'
import { mapColumn } from './mapping.ts'
import type { TableRule } from './options.ts'

export interface AlteredTable {
  readonly source: TableShape
  readonly target: TableShape
  readonly rule: TableRule
}

export interface Consequence {
  readonly reload: boolean
  /**
   * Columns of the target that were added at the source, and are equal if they were added at the target too. A column that was left there when
   * the source dropped it still has its old values.
   */
  readonly presumedNew: readonly string[]
  /** A column of the key that is not defined alike at both ends. */
  readonly changedKey: { readonly source: Column; readonly target: Column } | null
}

export function consequenceOf(alteration: Alteration, { source, target, rule }: AlteredTable): Consequence {
  const find = (shape: TableShape, name: string): Column | undefined =>
    shape.columns.find((column) => column.name.toLowerCase() === name.toLowerCase())
  const key = new Set((source.primaryKey?.ordinals ?? []).map((ordinal) => source.columns[ordinal]))
  const presumedNew: string[] = []
  let reload = false
  let changedKey: Consequence['changedKey'] = null

  /** The carried column with its column at the target, where that is written and not computed. */
  const pairOf = (name: string): { source: Column; target: Column } | null => {
    const from = find(source, name)
    if (from === undefined) return null
    const mapped = mapColumn(rule, from.name)
    const to = mapped === null ? undefined : find(target, mapped)
    return to === undefined || to.generated ? null : { source: from, target: to }
  }
  const isStillThere = (name: string): boolean => {
    const mapped = mapColumn(rule, name)
    return mapped !== null && find(target, mapped) !== undefined
  }
  const compareTypes = (name: string): void => {
    const pair = pairOf(name)
    if (pair === null || isDefinedAlike(pair.source, pair.target)) return
    reload = true
    if (key.has(pair.source)) changedKey = pair
  }

  for (const name of alteration.added) {
    const pair = pairOf(name)
    if (pair === null) continue
    const { initial } = pair.source
    const isEqual =
      !pair.source.generated &&
      initial !== undefined &&
      initial === pair.target.initial &&
      isDefinedAlike(pair.source, pair.target)
    if (isEqual) presumedNew.push(pair.target.name)
    else reload = true
  }
  for (const { from, to } of alteration.changed) {
    compareTypes(to)
    if (from !== to && isStillThere(from)) reload = true
  }
  // A column that still bears the old name says that the new one was added there, not renamed; or that names were exchanged.
  for (const { from } of alteration.renamed) if (isStillThere(from)) reload = true
  if (alteration.convertsText) {
    for (const column of source.columns) if (column.type.kind === 'text') compareTypes(column.name)
  }
  return { reload, presumedNew, changedKey }
}

/** The same statement gives the same values under the same definition. */
const isDefinedAlike = (a: Column, b: Column): boolean =>
  a.type.sql === b.type.sql &&
  a.type.charset === b.type.charset &&
  a.type.collation === b.type.collation &&
  a.nullable === b.nullable
