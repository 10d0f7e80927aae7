/**
 * From a source's table to its destination: names, columns, row filter. Compiled once for each shape of a table.
 *
 * A row filter belongs to the scope: an update that leaves it is a delete at the target, one that enters it an insert
 * (DATA-PATH 3). What cannot be routed without loss stops the pipeline: a selected column that the target lacks is an error, never left
 * out in silence. Shapes of one table that map to the same columns share one `Destination`, because merging is by destination.
 */
import { SyncError } from '../core/errors.ts'
import { compileFilter, parseFilter } from '../core/filter.ts'
import type { Destination } from '../core/plan.ts'
import { withDetails } from '../core/quarantine.ts'
import {
  type Column,
  type ColumnType,
  type TableId,
  type TableShape,
  tableName,
  type UniqueKey,
} from '../core/schema.ts'
import { defaultPolicies, type SchemaChangePolicies } from '../core/schema-policy.ts'
import type { Row, Value } from '../core/value.ts'
import { countsFor, mapColumn, mapTables, ruleFor } from './mapping.ts'
import type { TableMapping, TableRule } from './options.ts'

export interface Route {
  readonly destination: Destination
  /** By column of the destination: its ordinal in the source's shape. */
  readonly ordinals: readonly number[]
  /** The row as the destination takes it. */
  map(row: Row): Row
  /** Does the row belong to the scope? */
  matches(row: Row): boolean
  /** May rows be merged without a look at their values (core/packed-row.ts)? All belong to the scope, go as they are, and meet by their key alone. */
  readonly takesPacked: boolean
}

export interface Router {
  readonly mappings: readonly TableMapping[]
  /** The route of a shape; null when its table does not take part. @throws SYNC-3201, 3202, 3205 */
  route(shape: TableShape): Route | null
  /** Are changes of a table without a route in the figures of this engine? */
  counts(id: TableId): boolean
  /** The row filter of a source table as the source's SQL, or null. */
  filterSql(shape: TableShape): string | null
  /** The source table that has been routed to a target table. */
  sourceOf(target: string): TableId | null
}

/** The log has rows of a table that the source does not have any more: the target is to be asked for it first. */
export class UnknownTable extends Error {
  readonly id: TableId

  constructor(id: TableId) {
    super(`the target was not asked for the table of ${tableName(id)}`)
    this.id = id
  }
}

export interface RouterOptions {
  readonly policies?: SchemaChangePolicies | undefined
  /** Is a source table still to be loaded from its start? */
  readonly isLoadedAnew?: (table: string) => boolean
  /** Is it known whether the target has the table of a source table that is gone? */
  readonly isLookedUp?: (id: TableId) => boolean
  /** Was a source table never written to, and does the target do without it? */
  readonly isLeftOut?: (table: string) => boolean
}

/**
 * @param sources the source's tables as of now
 * @param targets the target's tables by name as of now
 */
export function createRouter(
  rules: readonly TableRule[],
  sources: readonly TableShape[],
  targets: ReadonlyMap<string, TableShape>,
  {
    policies = defaultPolicies,
    isLoadedAnew = () => false,
    isLookedUp = () => true,
    isLeftOut = () => false,
  }: RouterOptions = {},
): Router {
  const mappings = mapTables(
    rules,
    sources.map((shape) => shape.id),
  )
  const mappingOf = new Map(mappings.map((mapping) => [tableName(mapping.source), mapping]))
  const currentColumns = new Map(
    sources.map((shape) => [
      tableName(shape.id),
      new Map(shape.columns.map((column) => [column.name, column])),
    ]),
  )
  const currentKeys = new Map(sources.map((shape) => [tableName(shape.id), keyColumns(shape)]))
  const routes = new WeakMap<TableShape, { route: Route | null }>()
  const destinations = new Map<string, Destination[]>()

  const routedFrom = new Map<string, TableId>()

  /** What cannot be routed names its table, so that it can be parked. */
  function compileOrName(shape: TableShape): Route | null {
    try {
      return compile(shape)
    } catch (error) {
      throw error instanceof SyncError ? withDetails(error, { source: shape.id }) : error
    }
  }

  function compile(shape: TableShape): Route | null {
    const mapping = mappingOf.get(tableName(shape.id)) ?? lateMapping(shape.id)
    if (mapping === null) return null
    routedFrom.set(tableName(mapping.target), mapping.source)
    const target = targets.get(tableName(mapping.target))
    const isGone = !currentColumns.has(tableName(shape.id))
    if (target === undefined) {
      if (isGone && !isLookedUp(shape.id)) throw new UnknownTable(shape.id)
      // Nothing of it is at the target, and nothing is missed: it was made and dropped since, or is left out.
      if ((isGone && isLoadedAnew(tableName(shape.id))) || isLeftOut(tableName(shape.id))) return null
      const name = tableName(mapping.target)
      // Rows that stand before a rename or a drop in the log. A table that has its new name at the target already would lack them.
      const remedy = `Where it was renamed at the target before the pipeline asked for it, give it its old name again, then resume; the pipeline asks when its time has come. Where it was dropped, make it again, empty, with the columns that it had.`
      throw new SyncError('SYNC-3201', `Table ${name} does not exist at the target`, {
        ...(isGone ? { remedy } : {}),
        details: { table: name },
      })
    }
    const picked = pickColumns(shape, target, mapping)
    const destination = shareDestination(mapping.target, target, picked, keyNames(shape, mapping))
    const ordinals = picked.map((pick) => pick.sourceOrdinal)
    const whole = ordinals.length === shape.columns.length && ordinals.every((ordinal, i) => ordinal === i)
    const filter = mapping.rule.where === null ? null : compileFilter(parseFilter(mapping.rule.where), shape)
    const { key, uniqueKeys } = destination
    const ownKey = shape.primaryKey?.ordinals.join()
    return {
      destination,
      ordinals,
      takesPacked: whole && filter === null && uniqueKeys.length === 0 && key.ordinals.join() === ownKey,
      map: whole ? (row) => row : (row) => ordinals.map((ordinal) => row[ordinal] as Value),
      matches: filter === null ? () => true : (row) => filter.matches(row),
    }
  }

  /** A table that the log knows and the catalogue does not (dropped or renamed since): its rule still holds. */
  function lateMapping(id: TableId): TableMapping | null {
    const rule = ruleFor(rules, id)
    return rule === null ? null : (mapTables([rule], [id])[0] ?? null)
  }

  function keyNames(shape: TableShape, mapping: TableMapping): string[] {
    const names = shape.primaryKey === undefined ? currentKeys.get(tableName(shape.id)) : keyColumns(shape)
    if (names === undefined || names.length === 0)
      throw new SyncError('SYNC-2202', `Table ${tableName(shape.id)} has no primary key`)
    return names.map((name) => {
      const mapped = mapColumn(mapping.rule, name)
      if (mapped === null)
        throw new SyncError(
          'SYNC-3205',
          `Column ${name} of ${tableName(shape.id)} is part of the primary key and left out`,
          {
            remedy: 'Select every column of the primary key (spec.tables[].columns).',
          },
        )
      return mapped
    })
  }

  function pickColumns(shape: TableShape, target: TableShape, mapping: TableMapping): Pick[] {
    const targetColumns = new Map(target.columns.map((column) => [column.name.toLowerCase(), column]))
    const picked: Pick[] = []
    shape.columns.forEach((column, sourceOrdinal) => {
      const name = mapColumn(mapping.rule, column.name)
      if (name === null) return
      const targetColumn = targetColumns.get(name.toLowerCase())
      if (targetColumn === undefined) {
        // A column that only old log entries still know was dropped since, at both ends; or renamed, and is loaded again when the log says so.
        if (currentColumns.get(tableName(shape.id))?.has(column.name) !== true) return
        if (policies.addColumn === 'ignore' && !keyColumns(shape).includes(column.name)) return
        throw new SyncError(
          'SYNC-3202',
          `Column ${name} of ${tableName(mapping.target)} does not exist at the target`,
          {
            details: { table: tableName(mapping.target), column: name },
          },
        )
      }
      // A generated column is computed by the target itself.
      if (targetColumn.generated) return
      // Rounded on the way where the source has rounded since, and all rows come again with what it made of them.
      const known = currentColumns.get(tableName(shape.id))?.get(column.name)
      const isRounded =
        known !== undefined && !loses(known, targetColumn) && isLoadedAnew(tableName(shape.id))
      if (loses(column, targetColumn) && !isRounded) throw rounding(mapping.target, column, targetColumn)
      picked.push({ sourceOrdinal, column: targetColumn, valueType: column.type })
    })
    return picked
  }

  function shareDestination(
    id: TableId,
    target: TableShape,
    picked: readonly Pick[],
    keyColumnNames: readonly string[],
  ): Destination {
    const columns = picked.map((pick) => pick.column)
    const ordinalOf = new Map(columns.map((column, i) => [column.name.toLowerCase(), i]))
    const targetKey = [target.primaryKey, ...target.uniqueKeys].find(
      (key) => key !== undefined && sameNames(key, target, keyColumnNames),
    )
    if (targetKey === undefined)
      throw new SyncError(
        'SYNC-3205',
        `Table ${tableName(id)} has no primary or unique key on (${keyColumnNames.join(', ')}) at the target`,
        { details: { table: tableName(id) } },
      )
    const translate = (key: UniqueKey): UniqueKey | null => {
      const ordinals = key.ordinals.map((ordinal) =>
        ordinalOf.get((target.columns[ordinal] as Column).name.toLowerCase()),
      )
      return ordinals.every((ordinal) => ordinal !== undefined) ? { ...key, ordinals } : null
    }
    const key = translate(targetKey)
    if (key === null)
      throw new SyncError(
        'SYNC-3205',
        `A column of the key ${targetKey.name} of ${tableName(id)} is not written`,
      )
    // A unique key with a column that is not written stays in view: any change of a row may change it, as far as can be told here.
    const uniqueKeys = [target.primaryKey, ...target.uniqueKeys]
      .filter((other) => other !== undefined)
      .filter((other) => other !== targetKey)
      .map((other) => translate(other) ?? { ...other, ordinals: [], comparesBytes: false })
    const known = destinations.get(tableName(id)) ?? []
    const shared = known.find((other) => sameColumns(other, picked))
    if (shared !== undefined) return shared
    const isWhole = target.columns.every(
      ({ name, generated }) => generated || ordinalOf.has(name.toLowerCase()),
    )
    const valueTypes = picked.map((pick) => pick.valueType)
    const destination: Destination = { id, columns, valueTypes, key, uniqueKeys, isWhole }
    destinations.set(tableName(id), [...known, destination])
    return destination
  }

  return {
    mappings,
    route(shape) {
      let entry = routes.get(shape)
      if (entry === undefined) {
        entry = { route: compileOrName(shape) }
        routes.set(shape, entry)
      }
      return entry.route
    },
    counts: (id) => countsFor(rules, id),
    filterSql(shape) {
      const where = mappingOf.get(tableName(shape.id))?.rule.where ?? null
      return where === null ? null : compileFilter(parseFilter(where), shape).sql
    },
    sourceOf: (target) => routedFrom.get(target) ?? null,
  }
}

interface Pick {
  readonly sourceOrdinal: number
  readonly column: Column
  readonly valueType: ColumnType
}

/**
 * What a server changes without a word: digits that it rounds away. Looked at here because a row of the log has the type of its time, which is
 * another than that of the catalogue after a change of the definition.
 */
function loses({ type }: Column, target: Column): boolean {
  const isMore = (digits: number | undefined, kept: number | undefined): boolean =>
    (digits ?? 0) > (kept ?? 0)
  if (type.kind !== target.type.kind) return false
  return isMore(type.scale, target.type.scale) || isMore(type.fraction, target.type.fraction)
}

const rounding = (table: TableId, source: Column, target: Column): SyncError =>
  new SyncError(
    'SYNC-3203',
    `Column ${target.name} of ${tableName(table)} is ${target.type.sql}, which rounds the values of ${source.type.sql}`,
    { details: { table: tableName(table), column: target.name } },
  )

const keyColumns = (shape: TableShape): string[] =>
  (shape.primaryKey?.ordinals ?? []).map((ordinal) => (shape.columns[ordinal] as Column).name)

const sameNames = (key: UniqueKey, shape: TableShape, names: readonly string[]): boolean =>
  key.ordinals.length === names.length &&
  key.ordinals.every((ordinal) => {
    const column = shape.columns[ordinal]
    return column !== undefined && names.some((name) => name.toLowerCase() === column.name.toLowerCase())
  })

/** Equal for all that writing depends on; `sql` is for people and differs between a log and a catalogue. */
const sameColumns = (destination: Destination, picked: readonly Pick[]): boolean =>
  destination.columns.length === picked.length &&
  picked.every((pick, i) => {
    const type = destination.valueTypes[i] as ColumnType
    return (
      destination.columns[i] === pick.column &&
      type.kind === pick.valueType.kind &&
      type.charset === pick.valueType.charset &&
      (type.labels ?? []).join('\0') === (pick.valueType.labels ?? []).join('\0')
    )
  })
