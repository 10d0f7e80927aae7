/**
 * The shapes of tables as the server's information_schema tells them now.
 *
 * A fixed number of queries, whatever the number of tables (one per view for all schemas asked for). Reads what the account may see: a table
 * without any privilege on it is absent. MariaDB finds the tables of a schema in its directory, where one whose definition is being changed is missing
 * for a moment, in each query by itself; asked for by its name, it is waited for (10.11.18: missing in 2 to 7 of 100 looks while a table was altered
 * without a pause, never by its name). So what is incomplete, and what the caller knows of, is read by name there. Assumes a session whose results are bytes or UTF-8 (connection.ts). Several queries are not one moment:
 * a definition that changes in between shows at the next look or in the log.
 */
import type { Column, TableId, TableShape, UniqueKey } from '../../core/schema.ts'
import type { Value } from '../../core/value.ts'
import { type CatalogueDialect, type ColumnDefault, catalogueDialects } from './catalogue-dialect.ts'
import { columnTypeOf, comparesByBytes, labelsOf } from './column-type.ts'
import type { Connection } from './connection.ts'
import { productOf } from './flavour.ts'
import { textLiteral } from './sql-text.ts'

/** What a table has beyond its shape; columns by the ordinals of the shape. */
export interface TableDetail {
  readonly shape: TableShape
  readonly engine: string
  /** Rows have a history, and a row may be there several times (MariaDB). */
  readonly versioned: boolean
  readonly collation: string
  readonly columns: readonly ColumnDetail[]
}

export interface ColumnDetail {
  readonly dataType: string
  /** False: an INSERT that leaves the column out fails in strict mode. */
  readonly hasDefault: boolean
  readonly autoIncrement: boolean
  readonly invisible: boolean
  /** No ColumnKind for it: the shape says `bytes`, and the column must not be synced. */
  readonly unsupported: boolean
  /** VIRTUAL and STORED generated columns: the expression. */
  readonly expression: string
  /** CHAR, VARCHAR: characters; TEXT types: bytes. */
  readonly maxChars: number
  /** A text that is where this server keeps JSON documents (MariaDB). */
  readonly takesJson: boolean
  /** GEOMETRY: the only spatial reference system that it takes; null: any. */
  readonly srid: number | null
}

/** UTF-8 bytes of the server (a name) as text. */
export const textOf = (bytes: Value | undefined): string =>
  typeof bytes === 'string' ? Buffer.from(bytes, 'latin1').toString('utf8') : ''

const reservedSchemas = ['mysql', 'sys', 'performance_schema', 'information_schema']

/** Every schema that is not the server's own. */
export async function readSchemas(connection: Connection): Promise<string[]> {
  const own = reservedSchemas.map(textLiteral).join(', ')
  const { rows } = await connection.query(
    `SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN (${own}) ORDER BY 1`,
  )
  return rows.map((row) => textOf(row[0]))
}

/** 0: names are as written. 1: stored in lower case. 2: stored as written, compared in lower case. */
export async function readNameCase(connection: Connection): Promise<0 | 1 | 2> {
  const { rows } = await connection.query('SELECT @@global.lower_case_table_names')
  return Number(rows[0]?.[0]) as 0 | 1 | 2
}

/**
 * All base tables of the schemas, in the order of their names.
 * @param known tables that are there as far as the caller knows: they are missing only if they certainly are
 */
export async function readTables(
  connection: Connection,
  schemas: readonly string[],
  known: readonly TableId[] = [],
): Promise<readonly TableDetail[]> {
  if (schemas.length === 0) return []
  const found = await readWhere(connection, `TABLE_SCHEMA IN (${schemas.map(textLiteral).join(', ')})`)
  if (catalogueDialects[productOf(connection.version)].listsWhole) return lookedAtAgain(connection, found)
  const whole = new Map(
    found.tables
      .filter(({ shape }) => !found.incomplete.has(nameOf(shape.id)))
      .map((table) => [nameOf(table.shape.id), table]),
  )
  const others = new Map([...known, ...found.incomplete.values()].map((id) => [nameOf(id), id]))
  for (const [name, id] of others) {
    if (whole.has(name) || !schemas.includes(id.schema)) continue
    const where = `TABLE_SCHEMA = ${textLiteral(id.schema)} AND TABLE_NAME = ${textLiteral(id.name)}`
    for (const table of (await readWhere(connection, where)).tables) whole.set(nameOf(table.shape.id), table)
  }
  return [...whole.values()].sort((a, b) => (nameOf(a.shape.id) < nameOf(b.shape.id) ? -1 : 1))
}

const mostLooks = 4

/**
 * A table that was made or dropped between two queries is torn: looked at again, and if it is still torn then, it comes and goes, and the log tells
 * what becomes of it (seen: a tool's copy of a table, without its primary key).
 */
async function lookedAtAgain(connection: Connection, found: Look): Promise<readonly TableDetail[]> {
  let { tables, torn } = found
  if (torn.size === 0) return tables
  for (let look = 1; look <= mostLooks && torn.size > 0; look++) {
    const before = torn
    tables = tables.filter(({ shape }) => !before.has(nameOf(shape.id)))
    if (look === mostLooks) break
    const names = [...torn.values()].map(
      ({ schema, name }) => `(${textLiteral(schema)}, ${textLiteral(name)})`,
    )
    const again = await readWhere(connection, `(TABLE_SCHEMA, TABLE_NAME) IN (${names.join(', ')})`)
    tables = [...tables, ...again.tables]
    torn = again.torn
  }
  return tables.toSorted((a, b) => (nameOf(a.shape.id) < nameOf(b.shape.id) ? -1 : 1))
}

const nameOf = ({ schema, name }: TableId): string => `${schema}\0${name}`
const baseTables = new Set(['BASE TABLE', 'SYSTEM VERSIONED'])

interface Look {
  readonly tables: readonly TableDetail[]
  /** Tables of which one query told and another did not, by name; a table without any key is among them. */
  readonly incomplete: ReadonlyMap<string, TableId>
  /** Those of them that cannot be so: without columns, or without the key that a column is said to belong to. */
  readonly torn: ReadonlyMap<string, TableId>
}

async function readWhere(connection: Connection, where: string): Promise<Look> {
  const dialect = catalogueDialects[productOf(connection.version)]
  const [tables, columns, keys, collations] = await connection.queryAll(
    [
      `SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_COLLATION, TABLE_TYPE FROM information_schema.TABLES WHERE ${where} ORDER BY 1, 2`,
      `SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, IS_NULLABLE, DATA_TYPE, COLUMN_TYPE, CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, GENERATION_EXPRESSION, COLUMN_DEFAULT IS NOT NULL, CHARACTER_MAXIMUM_LENGTH, ${dialect.srid}, COLUMN_DEFAULT, COLUMN_KEY FROM information_schema.COLUMNS WHERE ${where} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`,
      `SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, ${dialect.keyExpression} FROM information_schema.STATISTICS WHERE ${where} AND NON_UNIQUE = 0 ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`,
      dialect.paddingCollations,
    ].join('; '),
  )
  const padding = new Set((collations?.rows ?? []).map((row) => textOf(row[0])))
  const columnsOf = groupByTable(columns?.rows ?? [])
  const keysOf = groupByTable(keys?.rows ?? [])
  const labels = await readLabels(connection, columns?.rows ?? [])
  const all = new Map((tables?.rows ?? []).map((row) => [placeOf(row), row]))
  const incomplete = new Map<string, TableId>()
  const torn = new Map<string, TableId>()
  for (const row of [...all.values(), ...[...columnsOf.values()].map((rows) => rows[0] as ServerRow)]) {
    const place = placeOf(row)
    const known = all.get(place)
    if (known !== undefined && !baseTables.has(textOf(known[4]))) continue
    const id = { schema: textOf(row[0]), name: textOf(row[1]) }
    const ofTable = columnsOf.get(place)
    if (known === undefined || ofTable === undefined || !keysOf.has(place)) incomplete.set(nameOf(id), id)
    const isKeyed = ofTable?.some((column) => ['PRI', 'UNI'].includes(textOf(column[18]))) === true
    if (known !== undefined && (ofTable === undefined || (isKeyed && !keysOf.has(place))))
      torn.set(nameOf(id), id)
  }
  const base = [...all.values()].filter((row) => baseTables.has(textOf(row[4])))
  const made = base.map((row) => {
    const id = { schema: textOf(row[0]), name: textOf(row[1]) }
    const place = placeOf(row)
    const ofTable = (columnsOf.get(place) ?? []).map((column) => columnOf(column, labels, dialect))
    const shapeColumns = ofTable.map(({ column }) => column)
    const details = ofTable.map(({ detail }) => detail)
    const uniqueKeys = uniqueKeysOf(keysOf.get(place) ?? [], shapeColumns, details, padding)
    const primaryKey = uniqueKeys.find((key) => key.name === 'PRIMARY')
    return {
      shape: {
        id,
        columns: shapeColumns,
        ...(primaryKey === undefined ? {} : { primaryKey }),
        uniqueKeys: uniqueKeys.filter((key) => key !== primaryKey),
      },
      engine: textOf(row[2]),
      versioned: textOf(row[4]) === 'SYSTEM VERSIONED',
      collation: textOf(row[3]),
      columns: details,
    }
  })
  return { tables: made, incomplete, torn }
}

/**
 * The tables of these names, by the name that was asked for (`schema.table`); a missing one is absent. Where the server does not
 * tell names apart by case, neither does this.
 */
export async function readTablesByName(
  connection: Connection,
  ids: readonly TableId[],
): Promise<ReadonlyMap<string, TableDetail>> {
  const ignoresCase = (await readNameCase(connection)) !== 0
  const norm = (name: string): string => (ignoresCase ? name.toLowerCase() : name)
  const schemas = [...new Set(ids.map((id) => norm(id.schema)))]
  const asked = ids.map((id) => ({ schema: norm(id.schema), name: norm(id.name) }))
  const all = await readTables(connection, schemas, asked)
  const byName = new Map(
    all.map((table) => [`${norm(table.shape.id.schema)}\0${norm(table.shape.id.name)}`, table]),
  )
  const found = new Map<string, TableDetail>()
  for (const id of ids) {
    const table = byName.get(`${norm(id.schema)}\0${norm(id.name)}`)
    if (table !== undefined) found.set(`${id.schema}.${id.name}`, table)
  }
  return found
}

type ServerRow = readonly Value[]

const placeOf = (row: ServerRow): string => `${row[0] as string}\0${row[1] as string}`

function groupByTable(rows: readonly ServerRow[]): Map<string, ServerRow[]> {
  const groups = new Map<string, ServerRow[]>()
  for (const row of rows) {
    const place = placeOf(row)
    const group = groups.get(place)
    if (group === undefined) groups.set(place, [row])
    else group.push(row)
  }
  return groups
}

const nullable = (value: Value | undefined): string | null => (typeof value === 'string' ? value : null)

function columnOf(
  row: ServerRow,
  labels: ReadonlyMap<string, string>,
  dialect: CatalogueDialect,
): { column: Column; detail: ColumnDetail } {
  const dataType = textOf(row[4]).toLowerCase()
  const columnType = textOf(row[5])
  const columnDefault = dialect.defaultOf(nullable(row[17]))
  const charset = nullable(row[10])
  const extra = textOf(row[12]).toUpperCase()
  const hasLabels = dataType === 'enum' || dataType === 'set'
  const type = columnTypeOf(
    {
      dataType,
      columnType,
      octetLength: nullable(row[6]),
      numericPrecision: nullable(row[7]),
      numericScale: nullable(row[8]),
      datetimePrecision: nullable(row[9]),
      charset,
      collation: nullable(row[11]),
    },
    hasLabels
      ? labelsOf(row[5] as string).map((label) => labels.get(labelPlace(charset, label)) ?? label)
      : [],
  )
  const expression = textOf(row[13])
  const isNullable = textOf(row[3]) === 'YES'
  return {
    column: {
      name: textOf(row[2]),
      type: type ?? { kind: 'bytes', sql: columnType },
      nullable: isNullable,
      generated: /(VIRTUAL|STORED) GENERATED/.test(extra),
      ...initialOf(extra, columnDefault, isNullable),
    },
    detail: {
      dataType,
      hasDefault:
        isNullable ||
        columnDefault !== null ||
        extra.includes('AUTO_INCREMENT') ||
        extra.includes('DEFAULT_GENERATED'),
      autoIncrement: extra.includes('AUTO_INCREMENT'),
      invisible: extra.includes('INVISIBLE'),
      unsupported: type === null,
      expression,
      takesJson: dialect.jsonIsText && dataType === 'longtext' && charset === 'utf8mb4',
      maxChars: Number(row[15] ?? 0),
      srid: typeof row[16] === 'string' ? Number(row[16]) : null,
    },
  }
}

function initialOf(
  extra: string,
  columnDefault: ColumnDefault | null,
  isNullable: boolean,
): { initial?: string } {
  // DEFAULT_GENERATED: an expression, CURRENT_TIMESTAMP included; both GENERATED kinds are computed.
  if (/GENERATED|AUTO_INCREMENT/.test(extra)) return {}
  if (columnDefault?.literal === null) return {}
  if (columnDefault !== null) return { initial: `default ${textOf(columnDefault.literal)}` }
  return { initial: isNullable ? 'null' : 'the default of the type' }
}

const labelPlace = (charset: string | null, label: string): string => `${charset ?? ''}\0${label}`
const onlyAscii = /^[ -~]*$/

/** Where labels do not have the same bytes in their column's character set as in UTF-8, the server is asked for them. */
async function readLabels(
  connection: Connection,
  columns: readonly ServerRow[],
): Promise<ReadonlyMap<string, string>> {
  const wanted = new Map<string, { charset: string; label: string }>()
  for (const row of columns) {
    const dataType = row[4]
    if (dataType !== 'enum' && dataType !== 'set') continue
    const charset = nullable(row[10])
    if (charset === null || /^(utf8mb[34]|utf8|binary)$/.test(charset)) continue
    const wide = /^(ucs2|utf16|utf16le|utf32)$/.test(charset)
    for (const label of labelsOf(row[5] as string)) {
      if (wide || !onlyAscii.test(label)) wanted.set(labelPlace(charset, label), { charset, label })
    }
  }
  const made = new Map<string, string>()
  const places = [...wanted]
  for (let at = 0; at < places.length; at += 500) {
    const part = places.slice(at, at + 500)
    const list = part.map(
      ([, { charset, label }]) =>
        `CAST(CONVERT(_utf8mb4'${label.replace(/['\\]/g, '\\$&')}' USING ${charset}) AS BINARY)`,
    )
    const { rows } = await connection.query(`SELECT ${list.join(', ')}`)
    part.forEach(([place], index) => made.set(place, (rows[0]?.[index] ?? '') as string))
  }
  return made
}

function uniqueKeysOf(
  rows: readonly ServerRow[],
  columns: readonly Column[],
  details: readonly ColumnDetail[],
  padding: ReadonlySet<string>,
): UniqueKey[] {
  const ordinalByName = new Map(columns.map((column, ordinal) => [column.name.toLowerCase(), ordinal]))
  const parts = new Map<string, { ordinals: number[]; comparesBytes: boolean }>()
  for (const row of rows) {
    const name = textOf(row[2])
    const key = parts.get(name) ?? { ordinals: [], comparesBytes: true }
    parts.set(name, key)
    const ordinal = row[3] === null ? undefined : ordinalByName.get(textOf(row[3]).toLowerCase())
    const column = ordinal === undefined ? undefined : columns[ordinal]
    if (ordinal === undefined || column === undefined) {
      // A part that is an expression: what decides is the columns that it is made of.
      addUnique(key.ordinals, columnsIn(textOf(row[5]), ordinalByName, details))
      key.comparesBytes = false
    } else if (column.generated && name !== 'PRIMARY') {
      addUnique(key.ordinals, columnsIn(details[ordinal]?.expression ?? '', ordinalByName, details))
      key.comparesBytes = false
    } else {
      addUnique(key.ordinals, [ordinal])
      const pads = padding.has(column.type.collation ?? '')
      if (row[4] !== null || !comparesByBytes(column.type, details[ordinal]?.dataType ?? '', pads)) {
        key.comparesBytes = false
      }
    }
  }
  return [...parts].map(([name, key]) => ({ name, ...key }))
}

function addUnique(ordinals: number[], more: readonly number[]): void {
  for (const ordinal of more) if (!ordinals.includes(ordinal)) ordinals.push(ordinal)
}

/** The stored columns that an expression of the server's own writing reads: it quotes every name with backticks. */
function columnsIn(
  expression: string,
  ordinalByName: ReadonlyMap<string, number>,
  details: readonly ColumnDetail[],
): number[] {
  const found: number[] = []
  for (const match of expression.matchAll(/`((?:[^`]|``)+)`/g)) {
    const ordinal = ordinalByName.get((match[1] as string).replaceAll('``', '`').toLowerCase())
    if (ordinal === undefined) continue
    // Generated columns may only read columns before them, so this ends.
    const inner = details[ordinal]?.expression ?? ''
    addUnique(found, inner === '' ? [ordinal] : columnsIn(inner, ordinalByName, details))
  }
  return found
}
