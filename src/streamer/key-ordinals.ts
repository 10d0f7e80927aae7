/**
 * Where the primary key of a table stands in a row of the log: by the names that the catalogue has, because a log may not name keys, and may order
 * columns otherwise. Found once for each shape. Pure.
 */
import { type TableShape, tableName } from '../core/schema.ts'
import type { Router } from './router.ts'

/** @returns null for tables that take no part, or whose key is not in the row */
export function keyOrdinalsBy(
  catalogue: readonly TableShape[],
  router: Pick<Router, 'route'>,
): (shape: TableShape) => readonly number[] | null {
  const known = new WeakMap<TableShape, { readonly ordinals: readonly number[] | null }>()
  const keys = new Map(
    catalogue.map((shape) => [
      tableName(shape.id),
      (shape.primaryKey?.ordinals ?? []).map((ordinal) => shape.columns[ordinal]?.name),
    ]),
  )
  const find = (shape: TableShape): readonly number[] | null => {
    const names = keys.get(tableName(shape.id))
    if (names === undefined || names.length === 0 || router.route(shape) === null) return null
    const ordinals = names.map((name) => shape.columns.findIndex((column) => column.name === name))
    return ordinals.includes(-1) ? null : ordinals
  }
  return (shape) => {
    let entry = known.get(shape)
    if (entry === undefined) {
      entry = { ordinals: find(shape) }
      known.set(shape, entry)
    }
    return entry.ordinals
  }
}
