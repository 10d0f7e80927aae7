/*
 * TABLE_MAP events: what the log says of a table at one moment.
 * Guarantees: the same bytes give the same `TableShape` object for as long as the cache lives, so consumers may key on identity; a table that
 * cannot be carried (row metadata not FULL, a type refused) does no harm until one of its rows is read.
 * Assumes the server's format since 8.0.1 (optional metadata as type, length, value; unknown types are skipped, as the server's own
 * readers do).
 */
import { SyncError } from '../../../core/errors.ts'
import type { Column, ColumnType, TableShape, UniqueKey } from '../../../core/schema.ts'
import type { Product } from '../flavour.ts'
import { type Bytes, FieldReader, malformedEvent, u48, viewOf } from './bytes.ts'
import { createRowPacking, type RowPacking } from './row-packing.ts'
import { compileRowReader, type RowReader } from './row-reader.ts'
import {
  type ColumnMetadata,
  columnType,
  comparesBytes,
  isCharacter,
  isNumeric,
  metadataBytes,
  type WireColumn,
  wireColumn,
  wireType,
} from './wire-column.ts'

/** A table as its rows are read. */
export interface MappedTable {
  readonly shape: TableShape
  readonly columns: readonly WireColumn[]
  /** Why its rows cannot be read. */
  readonly refusal: SyncError | null
  /** A sequence of MariaDB: its one row is no data of anybody's, and not in the catalogue. */
  readonly isSequence: boolean
  /** Reads a row image; compiled when first called. Throws `refusal` where there is one. */
  readRow: RowReader
  /** How its rows are packed; made when first asked for. Null: it has no primary key. */
  packing(): RowPacking | null
  /** Passes over a row image. */
  skipRow: RowReader
  /** What its consumer wants of its rows; null: not asked yet. */
  wanted: WantedRows | null
}

export type WantedRows = 'values' | 'packed' | 'none'

const optional = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setLabels: 5,
  enumLabels: 6,
  geometryType: 7,
  simplePrimaryKey: 8,
  prefixPrimaryKey: 9,
  labelledDefaultCharset: 10,
  labelledColumnCharset: 11,
  vectorDimensions: 13,
} as const

const maxCachedTables = 20_000

export interface TableMaps {
  /** Takes a TABLE_MAP event; `start` is the start of its body, `end` its end without checksum. */
  put(b: Bytes, view: DataView, start: number, end: number): void
  /** The table that the id stands for now. */
  get(id: number): MappedTable | undefined
  /** Tells that no map is in use any more: every transaction maps its tables anew. */
  betweenTransactions(): void
}

interface Cached {
  readonly bytes: Buffer
  readonly view: DataView
  readonly table: MappedTable
}

/** Are `view[start, end)` the cached bytes? By words, which for the usual hundred bytes is faster than a call of Buffer.compare. */
function isSame(cached: Cached, view: DataView, start: number, end: number): boolean {
  const length = end - start
  if (cached.bytes.length !== length) return false
  const other = cached.view
  let i = 0
  for (; i + 4 <= length; i += 4) if (view.getInt32(start + i) !== other.getInt32(i)) return false
  for (; i < length; i++) if (view.getUint8(start + i) !== other.getUint8(i)) return false
  return true
}

/**
 * The maps of one stream. By id, with the bytes compared, because nearly every map repeats the one before; and by the bytes without the id, because a
 * table gets a new id when the server has closed and opened it.
 * @param product which server wrote the log that is read now
 */
export function createTableMaps(product: () => Product = () => 'mysql'): TableMaps {
  const byId = new Map<number, Cached>()
  const byBytes = new Map<string, MappedTable>()
  return {
    put(b, view, start, end) {
      const id = u48(b, start)
      const cached = byId.get(id)
      if (cached !== undefined && isSame(cached, view, start, end)) return
      const key = b.toString('latin1', start + 6, end)
      let table = byBytes.get(key)
      if (table === undefined) {
        table = parseTableMap(b, start, end, product())
        byBytes.set(key, table)
      }
      const bytes = Buffer.from(b.subarray(start, end))
      byId.set(id, { bytes, view: viewOf(bytes), table })
    },
    get: (id) => byId.get(id)?.table,
    betweenTransactions() {
      if (byId.size > maxCachedTables) byId.clear()
      if (byBytes.size > maxCachedTables) byBytes.clear()
    },
  }
}

export function parseTableMap(b: Bytes, start: number, end: number, product: Product = 'mysql'): MappedTable {
  const fields = new FieldReader(b, start + 8, end)
  const schema = fields.utf8(fields.u8())
  fields.take(1)
  const name = fields.utf8(fields.u8())
  fields.take(1)
  const count = fields.lenenc()
  const types = fields.take(count)
  const metadata = fields.sub(fields.lenenc())
  const id = { schema, name }

  const columns: WireColumn[] = []
  for (let i = 0; i < count; i++) {
    const wire = b[types + i] as number
    const bytes = metadataBytes(wire)
    if (bytes === undefined) {
      const refusal = new SyncError(
        'SYNC-2203',
        `${schema}.${name}: column ${i + 1} has a type with the number ${wire}, which is not known`,
        { details: { table: `${schema}.${name}` } },
      )
      return {
        shape: { id, columns: [], uniqueKeys: [] },
        columns: [],
        refusal,
        isSequence: false,
        readRow: () => {
          throw refusal
        },
        packing: () => null,
        skipRow: () => {
          throw refusal
        },
        wanted: 'values',
      }
    }
    columns.push(wireColumn(wire, b, metadata.take(bytes)))
  }
  const nullBits = fields.take((count + 7) >> 3)
  const optionals = readOptionals(fields, columns, product)

  let refusal: SyncError | null = null
  const shapeColumns = columns.map((column, i): Column => {
    const columnName = optionals.names?.[i] ?? `@${i + 1}`
    const type = columnType(column, optionals.columns[i] as ColumnMetadata)
    if ('refusal' in type) {
      refusal ??= new SyncError('SYNC-2203', `${schema}.${name}: column ${columnName} is ${type.refusal}`, {
        details: { table: `${schema}.${name}`, column: columnName },
      })
    }
    return {
      name: columnName,
      type: 'refusal' in type ? ({ kind: 'bytes', sql: 'unknown' } satisfies ColumnType) : type,
      nullable: ((b[nullBits + (i >> 3)] as number) & (1 << (i & 7))) !== 0,
      generated: false,
    }
  })
  if (optionals.names === undefined) {
    refusal = new SyncError(
      'SYNC-2208',
      `${schema}.${name}: the log does not name the table's columns (binlog_row_metadata is not FULL)`,
      { details: { table: `${schema}.${name}` } },
    )
  }
  const primaryKey = primaryKeyOf(optionals, shapeColumns)
  const shape: TableShape = {
    id,
    columns: shapeColumns,
    ...(primaryKey === undefined ? {} : { primaryKey }),
    uniqueKeys: [],
  }
  let packing: RowPacking | null = null
  const table: MappedTable = {
    shape,
    columns,
    refusal,
    isSequence: primaryKey === undefined && isSequence(optionals.names),
    readRow(cursor) {
      if (refusal !== null) throw refusal
      const types = shapeColumns.map((column) => column.type)
      table.readRow = compileRowReader(columns, types)
      return table.readRow(cursor)
    },
    packing() {
      packing ??= createRowPacking(table)
      return packing
    },
    skipRow(cursor) {
      if (refusal !== null) throw refusal
      table.skipRow = compileRowReader(columns, [], [])
      return table.skipRow(cursor)
    },
    wanted: null,
  }
  return table
}

/** What every sequence consists of, and nothing else does (MariaDB 10.3+). */
const sequenceColumns =
  'next_not_cached_value,minimum_value,maximum_value,start_value,increment,cache_size,cycle_option,cycle_count'
const isSequence = (names: readonly string[] | undefined): boolean => names?.join(',') === sequenceColumns

interface Optionals {
  readonly columns: readonly ColumnMetadata[]
  readonly names: readonly string[] | undefined
  readonly key: readonly { readonly ordinal: number; readonly prefix: number }[] | undefined
}

/** Spreads the optional metadata, which goes by kinds of columns, over the columns. */
function readOptionals(fields: FieldReader, columns: readonly WireColumn[], product: Product): Optionals {
  const ordinalsOf = (matches: (wire: number) => boolean): number[] =>
    columns.flatMap(({ wire }, i) => (matches(wire) ? [i] : []))
  const numeric = ordinalsOf(isNumeric)
  const character = ordinalsOf((wire) => isCharacter(wire, product))
  const isEnum = (wire: number): boolean => wire === wireType.enum
  const isSet = (wire: number): boolean => wire === wireType.set
  const labelledColumns = ordinalsOf((wire) => isEnum(wire) || isSet(wire))

  const metadata = columns.map(() => ({
    unsigned: false,
    collation: undefined as number | undefined,
    labels: undefined as readonly string[] | undefined,
    geometry: undefined as number | undefined,
    dimensions: undefined as number | undefined,
  }))
  const at = (ordinals: readonly number[], i: number) => {
    const found = metadata[ordinals[i] ?? -1]
    if (found === undefined) throw malformedEvent('table metadata of a column that is not there')
    return found
  }
  const defaultCharset = (field: FieldReader, ordinals: readonly number[]): void => {
    const common = field.lenenc()
    for (const ordinal of ordinals) at([ordinal], 0).collation = common
    while (field.left > 0) at(ordinals, field.lenenc()).collation = field.lenenc()
  }
  let names: string[] | undefined
  let key: { ordinal: number; prefix: number }[] | undefined

  while (fields.left > 0) {
    const kind = fields.u8()
    const field = fields.sub(fields.lenenc())
    switch (kind) {
      case optional.signedness: {
        const bits = field.at
        numeric.forEach((_, i) => {
          at(numeric, i).unsigned = ((field.bytes[bits + (i >> 3)] as number) & (0x80 >> (i & 7))) !== 0
        })
        break
      }
      case optional.defaultCharset:
        defaultCharset(field, character)
        break
      case optional.columnCharset:
        for (let i = 0; field.left > 0; i++) at(character, i).collation = field.lenenc()
        break
      case optional.labelledDefaultCharset:
        defaultCharset(field, labelledColumns)
        break
      case optional.labelledColumnCharset:
        for (let i = 0; field.left > 0; i++) at(labelledColumns, i).collation = field.lenenc()
        break
      case optional.columnName:
        names = []
        while (field.left > 0) names.push(field.utf8(field.lenenc()))
        break
      case optional.setLabels:
      case optional.enumLabels: {
        const ordinals = ordinalsOf(kind === optional.setLabels ? isSet : isEnum)
        for (let i = 0; field.left > 0; i++) {
          const labels: string[] = []
          for (let left = field.lenenc(); left > 0; left--) labels.push(field.latin1(field.lenenc()))
          at(ordinals, i).labels = labels
        }
        break
      }
      case optional.geometryType: {
        const ordinals = ordinalsOf((wire) => wire === wireType.geometry)
        for (let i = 0; field.left > 0; i++) at(ordinals, i).geometry = field.lenenc()
        break
      }
      case optional.vectorDimensions: {
        const ordinals = ordinalsOf((wire) => wire === wireType.vector)
        for (let i = 0; field.left > 0; i++) at(ordinals, i).dimensions = field.lenenc()
        break
      }
      case optional.simplePrimaryKey:
        key = []
        while (field.left > 0) key.push({ ordinal: field.lenenc(), prefix: 0 })
        break
      case optional.prefixPrimaryKey:
        key = []
        while (field.left > 0) key.push({ ordinal: field.lenenc(), prefix: field.lenenc() })
        break
      default:
        break
    }
  }
  if (names !== undefined && names.length !== columns.length)
    throw malformedEvent('a table map that does not name every column')
  return { columns: metadata, names, key }
}

function primaryKeyOf({ key }: Optionals, columns: readonly Column[]): UniqueKey | undefined {
  if (key === undefined) return undefined
  const bytes = key.every(({ ordinal, prefix }) => {
    const column = columns[ordinal]
    if (column === undefined) throw malformedEvent('a primary key of a column that is not there')
    return prefix === 0 && comparesBytes(column.type)
  })
  return { name: 'PRIMARY', ordinals: key.map(({ ordinal }) => ordinal), comparesBytes: bytes }
}
