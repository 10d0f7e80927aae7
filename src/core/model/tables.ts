/**
 * The small tables on which the model of the data path runs, and what only a server knows of them: which keys are equal, in which order they
 * stand, and which rows collide. Few keys and few values, so that changes meet all the time.
 *
 * - ints: integer key, a nullable unique value that compares by bytes.
 * - texts: a key and a nullable unique value under a collation in which 'a' = 'A'.
 * - hidden: a unique key over an expression of `g`, of which the pipeline knows nothing but that it is there.
 * - filtered: a row filter, and no version, so that rows return to what they were.
 *
 * The others carry a version `v` that only grows, by which the target sees a row go back.
 */
import type { Destination } from '../plan.ts'
import type { Column, ColumnType, TableShape, UniqueKey } from '../schema.ts'
import type { Row, Value } from '../value.ts'

export interface ModelTable {
  readonly shape: TableShape
  /** The key as the server compares it; also its order. */
  readonly keyText: (key: Value) => string
  /** The values of the unique keys as the server compares them; null meets nobody. */
  readonly uniqueTexts: (row: Row) => readonly (string | null)[]
  readonly inScope: (row: Row) => boolean
  /** Where the version stands in a row. */
  readonly version: number | null
  /** Keys and values that the source's transactions choose from. */
  readonly keys: readonly Value[]
  readonly values: readonly Value[]
}

const intType: ColumnType = { kind: 'int', bytes: 4, sql: 'int' }
const textType: ColumnType = {
  kind: 'text',
  charset: 'utf8mb4',
  collation: 'utf8mb4_0900_ai_ci',
  sql: 'varchar(9)',
}

const column = (name: string, type: ColumnType): Column => ({ name, type, nullable: true, generated: false })

function shape(name: string, columns: readonly Column[], uniqueKeys: readonly UniqueKey[]): TableShape {
  const comparesBytes = columns[0]?.type.kind === 'int'
  return {
    id: { schema: 'model', name },
    columns,
    primaryKey: { name: 'PRIMARY', ordinals: [0], comparesBytes },
    uniqueKeys,
  }
}

const folded = (value: Value): string | null => (value === null ? null : String(value).toLowerCase())
const everything = (): boolean => true
const ids: readonly Value[] = [1, 2, 3, 4, 5]

export const tables: readonly ModelTable[] = [
  {
    shape: shape(
      'ints',
      [column('id', intType), column('u', intType), column('v', intType)],
      [{ name: 'u', ordinals: [1], comparesBytes: true }],
    ),
    keyText: String,
    uniqueTexts: (row) => [folded(row[1] as Value)],
    inScope: everything,
    version: 2,
    keys: ids,
    values: [null, 10, 20, 30, 40],
  },
  {
    shape: shape(
      'texts',
      [column('k', textType), column('w', textType), column('v', intType)],
      [{ name: 'w', ordinals: [1], comparesBytes: false }],
    ),
    keyText: (key) => String(key).toLowerCase(),
    uniqueTexts: (row) => [folded(row[1] as Value)],
    inScope: everything,
    version: 2,
    keys: ['a', 'A', 'b', 'B', 'c'],
    values: [null, 'x', 'X', 'y', 'Y'],
  },
  {
    shape: shape(
      'hidden',
      [column('id', intType), column('g', intType), column('v', intType)],
      [{ name: 'half', ordinals: [], comparesBytes: false }],
    ),
    keyText: String,
    uniqueTexts: (row) => [String(Number(row[1]) >> 1)],
    inScope: everything,
    version: 2,
    keys: ids,
    values: [0, 1, 2, 3, 4, 5, 6, 7],
  },
  {
    shape: shape('filtered', [column('id', intType), column('x', intType)], []),
    keyText: String,
    uniqueTexts: () => [],
    inScope: (row) => Number(row[1]) < 3,
    version: null,
    keys: ids,
    values: [0, 1, 2, 3, 4],
  },
]

export const tableNamed = (name: string): ModelTable => {
  const table = tables.find((t) => t.shape.id.name === name)
  if (table === undefined) throw new Error(`the model has no table ${name}`)
  return table
}

/** Rows of every table by `keyText`. */
export type State = ReadonlyMap<string, ReadonlyMap<string, Row>>
export type MutableState = Map<string, Map<string, Row>>

export const emptyState = (): MutableState => new Map(tables.map((table) => [table.shape.id.name, new Map()]))

export const copyState = (state: State): MutableState =>
  new Map(Array.from(state, ([name, rows]) => [name, new Map(rows)]))

/** The destination of a table as an engine makes it. A cautious one trusts no key to compare by bytes, and so plans otherwise. */
export function destinationOf(
  table: ModelTable,
  cautious: boolean,
  keep: (key: UniqueKey) => boolean,
): Destination {
  const { id, columns, primaryKey, uniqueKeys } = table.shape
  const seen = (key: UniqueKey): UniqueKey => (cautious ? { ...key, comparesBytes: false } : key)
  return {
    id,
    columns,
    valueTypes: columns.map((c) => c.type),
    key: seen(primaryKey as UniqueKey),
    uniqueKeys: uniqueKeys.filter(keep).map(seen),
  }
}
