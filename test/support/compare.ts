/*
 * Are two databases equal, row by row and byte by byte?
 *
 * Each server makes a digest of every row and one of each of 512 groups of rows, by the bytes of the primary key; so most of the work
 * is one scan of each table per side, at the same time, and no key is ever ordered or compared under a collation. Only groups that differ are
 * read, and only rows that differ are shown.
 *
 * Assumes that nobody writes meanwhile (stop the writes, wait for the target). What a table holds is compared, not how it is defined; but every
 * column of one side must be on the other, computed and invisible ones too.
 */
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { type ComparedColumn, exactText, identifier, joined, shownText } from './compare-columns.ts'
import type { Reachable } from './servers.ts'

export type CompareOptions = {
  /** Names, or pairs of names where they differ. */
  readonly databases: readonly (string | { readonly source: string; readonly target: string })[]
  /** What to leave out, by names at the source: `table`, `schema.table` or `schema.table.column`. */
  readonly exclude?: readonly string[]
  /** The name at the target, where tables are renamed. */
  readonly targetTable?: (table: string) => string
  /** How many differences are described; counting goes on. Default 10. */
  readonly describe?: number
}

export type Difference = {
  /** `schema.table` at the source. */
  readonly table: string
  readonly kind:
    | 'missing table'
    | 'extra table'
    | 'missing column'
    | 'extra column'
    | 'missing row'
    | 'extra row'
    | 'value'
  /** The primary key's values as shown, by column; null where the difference is not in a row. */
  readonly key: Readonly<Record<string, string | null>> | null
  readonly column: string | null
  readonly source: string | null
  readonly target: string | null
}

export type Comparison = {
  readonly equal: boolean
  readonly tables: number
  /** Rows at the source that were compared. */
  readonly rows: number
  /** At most `describe` of them. */
  readonly differences: readonly Difference[]
}

type Side = 'source' | 'target'
type Table = {
  readonly name: string
  readonly columns: readonly ComparedColumn[]
  readonly key: readonly ComparedColumn[]
  readonly rows: number
}
type Pair = {
  readonly name: string
  readonly source: string
  readonly target: string
  readonly columns: readonly ComparedColumn[]
  readonly key: readonly ComparedColumn[]
  readonly estimate: number
}
type Sessions = Readonly<Record<Side, Connection>>
type Group = { readonly rows: number; readonly digest: string }

const groups = 512
/** Groups that are read at once in search of the rows that differ. */
const groupsAtOnce = 16

export async function compareDatabases(
  source: Reachable,
  target: Reachable,
  options: CompareOptions,
): Promise<Comparison> {
  const describe = options.describe ?? 10
  const differences: Difference[] = []
  let different = false
  const found = (difference: Difference): void => {
    different = true
    if (differences.length < describe) differences.push(difference)
  }
  const lanes: Sessions[] = []
  try {
    for (let i = 0; i < 2; i++) lanes.push({ source: await open(source), target: await open(target) })
    const pairs: Pair[] = []
    for (const names of options.databases) {
      const database = typeof names === 'string' ? { source: names, target: names } : names
      pairs.push(...(await pairTables(lanes[0] as Sessions, database, options, found)))
    }
    const work = pairs.toSorted((a, b) => b.estimate - a.estimate)
    let rows = 0
    const lane = async (sessions: Sessions): Promise<void> => {
      for (let pair = work.shift(); pair !== undefined; pair = work.shift()) {
        const compared = await compareTable(sessions, pair, () => describe - differences.length, found)
        rows += compared
      }
    }
    await Promise.all(lanes.map(lane))
    return { equal: !different, tables: pairs.length, rows, differences }
  } finally {
    for (const sessions of lanes) {
      sessions.source.destroy()
      sessions.target.destroy()
    }
  }
}

/** The same, for tests: throws with the differences in words. */
export async function assertSameDatabases(
  source: Reachable,
  target: Reachable,
  options: CompareOptions,
): Promise<Comparison> {
  const comparison = await compareDatabases(source, target, options)
  if (!comparison.equal) {
    throw new Error(
      `Source and target differ:\n${comparison.differences.map((difference) => `  ${inWords(difference)}`).join('\n')}`,
    )
  }
  return comparison
}

export function inWords({ table, kind, key, column, source, target }: Difference): string {
  const row =
    key === null
      ? ''
      : ` (${Object.entries(key)
          .map(([name, value]) => `${name} = ${value ?? 'NULL'}`)
          .join(', ')})`
  const values = kind === 'value' ? `: source ${source ?? 'NULL'}, target ${target ?? 'NULL'}` : ''
  return `${table}${row} ${kind}${column === null ? '' : ` ${column}`}${values}`
}

async function open({ host, port, user, password }: Reachable): Promise<Connection> {
  const connection = await createConnection({
    host,
    port,
    user,
    password,
    supportBigNumbers: true,
    bigNumberStrings: true,
  })
  connection.on('error', () => {})
  await connection.query('SET NAMES utf8mb4')
  // Whatever joins a table here joins all of it: no statement may be cut by a limit of the session.
  await connection.query(
    "SET SESSION time_zone = '+00:00', sql_mode = '', sql_select_limit = DEFAULT, max_execution_time = 0",
  )
  return connection
}

async function query(connection: Connection, sql: string, values: unknown[] = []): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(sql, values)
  return rows
}

async function tablesOf(connection: Connection, database: string): Promise<Map<string, Table>> {
  // Statistics that are kept from an earlier look would give row counts of the past; they only order the work.
  const columns = await query(
    connection,
    `SELECT t.TABLE_NAME AS t, t.TABLE_ROWS AS n, c.COLUMN_NAME AS c, LOWER(c.DATA_TYPE) AS d, k.ORDINAL_POSITION AS k
     FROM information_schema.TABLES AS t
     JOIN information_schema.COLUMNS AS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
     LEFT JOIN information_schema.KEY_COLUMN_USAGE AS k ON k.CONSTRAINT_NAME = 'PRIMARY' AND k.TABLE_SCHEMA = c.TABLE_SCHEMA
       AND k.TABLE_NAME = c.TABLE_NAME AND k.COLUMN_NAME = c.COLUMN_NAME
     WHERE t.TABLE_SCHEMA = ? AND t.TABLE_TYPE = 'BASE TABLE'
     ORDER BY t.TABLE_NAME, c.ORDINAL_POSITION`,
    [database],
  )
  const tables = new Map<
    string,
    { name: string; columns: ComparedColumn[]; key: [number, ComparedColumn][]; rows: number }
  >()
  for (const row of columns) {
    const name = String(row['t'])
    const table = tables.get(name) ?? { name, columns: [], key: [], rows: Number(row['n'] ?? 0) }
    const column = { name: String(row['c']), type: String(row['d']) }
    table.columns.push(column)
    if (row['k'] !== null) table.key.push([Number(row['k']), column])
    tables.set(name, table)
  }
  return new Map(
    [...tables].map(([name, table]) => [
      name,
      { ...table, key: table.key.toSorted(([a], [b]) => a - b).map(([, column]) => column) },
    ]),
  )
}

async function pairTables(
  sessions: Sessions,
  database: { readonly source: string; readonly target: string },
  options: CompareOptions,
  found: (difference: Difference) => void,
): Promise<Pair[]> {
  const exclude = new Set(options.exclude ?? [])
  const isExcluded = (table: string): boolean =>
    exclude.has(table) || exclude.has(`${database.source}.${table}`)
  const [there, here] = await Promise.all([
    tablesOf(sessions.source, database.source),
    tablesOf(sessions.target, database.target),
  ])
  const pairs: Pair[] = []
  const paired = new Set<string>()
  const about = (table: string, kind: Difference['kind'], column: string | null): void =>
    found({ table: `${database.source}.${table}`, kind, key: null, column, source: null, target: null })
  for (const table of there.values()) {
    const targetName = options.targetTable?.(table.name) ?? table.name
    paired.add(targetName)
    if (isExcluded(table.name)) continue
    const other = here.get(targetName)
    if (other === undefined) {
      about(table.name, 'missing table', null)
      continue
    }
    const counts = (column: ComparedColumn): boolean =>
      !exclude.has(`${database.source}.${table.name}.${column.name}`)
    const otherNames = new Set(other.columns.map((column) => column.name))
    const names = new Set(table.columns.map((column) => column.name))
    for (const column of table.columns.filter(counts))
      if (!otherNames.has(column.name)) about(table.name, 'missing column', column.name)
    for (const column of other.columns.filter(counts))
      if (!names.has(column.name)) about(table.name, 'extra column', column.name)
    const columns = table.columns.filter((column) => counts(column) && otherNames.has(column.name))
    if (table.key.length === 0)
      throw new Error(`${database.source}.${table.name} has no primary key: exclude it.`)
    pairs.push({
      name: `${database.source}.${table.name}`,
      source: `${identifier(database.source)}.${identifier(table.name)}`,
      target: `${identifier(database.target)}.${identifier(targetName)}`,
      columns,
      key: table.key,
      estimate: table.rows * columns.length,
    })
  }
  for (const name of here.keys()) if (!paired.has(name) && !isExcluded(name)) about(name, 'extra table', null)
  return pairs
}

const keyText = (pair: Pair): string => joined(pair.key.map(exactText))
const rowDigest = (pair: Pair): string => `SHA2(${joined(pair.columns.map(exactText))}, 256)`

/** @returns the rows at the source */
async function compareTable(
  sessions: Sessions,
  pair: Pair,
  room: () => number,
  found: (difference: Difference) => void,
): Promise<number> {
  const [source, target] = await Promise.all([
    groupDigests(sessions.source, pair, 'source'),
    groupDigests(sessions.target, pair, 'target'),
  ])
  const differing: number[] = []
  let rows = 0
  for (let group = 0; group < groups; group++) {
    const [a, b] = [source.get(group), target.get(group)]
    rows += a?.rows ?? 0
    if (a?.digest !== b?.digest || a?.rows !== b?.rows) differing.push(group)
  }
  // The first row read says that there is a difference; after `room` of them only the fact counts.
  for (let i = 0; i < differing.length && (i === 0 || room() > 0); i += groupsAtOnce) {
    await describeRows(sessions, pair, differing.slice(i, i + groupsAtOnce), Math.max(1, room()), found)
  }
  return rows
}

async function groupDigests(connection: Connection, pair: Pair, side: Side): Promise<Map<number, Group>> {
  const rows = await query(
    connection,
    `SELECT /*+ NO_MERGE(r) */ g, COUNT(*) AS n, COUNT(h) AS digests, HEX(BIT_XOR(UNHEX(h))) AS digest
     FROM (SELECT CRC32(${keyText(pair)}) MOD ${groups} AS g, ${rowDigest(pair)} AS h FROM ${pair[side]}) AS r GROUP BY g`,
  )
  const result = new Map<number, Group>()
  for (const row of rows) {
    if (Number(row['n']) !== Number(row['digests']))
      throw new Error(`${pair.name}: the ${side} could not make a digest of every row.`)
    result.set(Number(row['g']), { rows: Number(row['n']), digest: String(row['digest']) })
  }
  return result
}

async function describeRows(
  sessions: Sessions,
  pair: Pair,
  differing: readonly number[],
  room: number,
  found: (difference: Difference) => void,
): Promise<void> {
  const digests = async (side: Side): Promise<Map<string, string>> => {
    const rows = await query(
      sessions[side],
      `SELECT ${keyText(pair)} AS k, ${rowDigest(pair)} AS h FROM ${pair[side]} WHERE CRC32(${keyText(pair)}) MOD ${groups} IN (${differing.join(', ')})`,
    )
    return new Map(rows.map((row) => [String(row['k']), String(row['h'])]))
  }
  const [source, target] = await Promise.all([digests('source'), digests('target')])
  const keys = [...new Set([...source.keys(), ...target.keys()])]
    .filter((key) => source.get(key) !== target.get(key))
    .slice(0, room)
  if (keys.length === 0) {
    // The groups' digests differ and no row does: somebody writes meanwhile.
    throw new Error(`${pair.name} changed while it was compared.`)
  }
  const [sourceRows, targetRows] = await Promise.all([
    readRows(sessions.source, pair, 'source', keys),
    readRows(sessions.target, pair, 'target', keys),
  ])
  for (const key of keys) {
    const [a, b] = [sourceRows.get(key), targetRows.get(key)]
    const keyNames = pair.key.map((column) => column.name)
    const shownKey = Object.fromEntries(keyNames.map((name) => [name, (a ?? b)?.get(name)?.shown ?? null]))
    const about = { table: pair.name, key: shownKey }
    if (a === undefined || b === undefined) {
      found({
        ...about,
        kind: a === undefined ? 'extra row' : 'missing row',
        column: null,
        source: null,
        target: null,
      })
      continue
    }
    for (const { name } of pair.columns) {
      const [left, right] = [a.get(name), b.get(name)]
      if (left?.exact === right?.exact) continue
      found({
        ...about,
        kind: 'value',
        column: name,
        source: left?.shown ?? null,
        target: right?.shown ?? null,
      })
    }
  }
}

type Cell = { readonly exact: string | null; readonly shown: string | null }

async function readRows(
  connection: Connection,
  pair: Pair,
  side: Side,
  keys: readonly string[],
): Promise<Map<string, Map<string, Cell>>> {
  const values = pair.columns.flatMap((column, i) => [
    `${exactText(column)} AS e${i}`,
    `${shownText(column)} AS s${i}`,
  ])
  const rows = await query(
    connection,
    `SELECT ${keyText(pair)} AS k, ${values.join(', ')} FROM ${pair[side]} WHERE ${keyText(pair)} IN (${keys.map(() => '?').join(', ')})`,
    [...keys],
  )
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
  return new Map(
    rows.map((row) => [
      String(row['k']),
      new Map(
        pair.columns.map(({ name }, i) => [name, { exact: text(row[`e${i}`]), shown: text(row[`s${i}`]) }]),
      ),
    ]),
  )
}
