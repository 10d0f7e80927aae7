/**
 * What a definition statement of the log means for a pipeline. Pure.
 *
 * Not a parser of SQL: it tells statements that cannot concern rows (accounts, routines, views) from those that change tables, and finds
 * the tables' names. What it cannot read is `unknown` and stops the pipeline: never skipped (ARCHITECTURE, invariant 9).
 */
import { type Alteration, noAlteration } from '../core/alteration.ts'
import type { TableId } from '../core/schema.ts'
import { withoutSettings } from '../core/statement-settings.ts'
import { alterationOf, indexOf } from './alter-table.ts'

export type SchemaChangeEffect =
  /** Does not touch tables, or not their rows or columns. */
  | { readonly kind: 'none' }
  /** Definitions of these tables changed; their rows are the same, but for what the alteration does to their values. */
  | { readonly kind: 'definition'; readonly tables: readonly TableId[]; readonly alteration: Alteration }
  | { readonly kind: 'created'; readonly tables: readonly TableId[] }
  /** Rows of these tables went or came without row events. */
  | { readonly kind: 'rows'; readonly tables: readonly TableId[]; readonly action: RowAction }
  | { readonly kind: 'dropped'; readonly tables: readonly TableId[] }
  /** Tables bear other names now, one after the other. ALTER TABLE can do more to its one table in the same statement. */
  | {
      readonly kind: 'renamed'
      readonly renames: readonly TableRename[]
      readonly alteration: Alteration
    }
  /** A whole schema is gone. */
  | { readonly kind: 'schema-dropped'; readonly schema: string }
  | { readonly kind: 'unknown' }

/** `partitions`: those of some partitions went. `other`: rows came, or went in a way of their own. */
export type RowAction = 'truncate' | 'partitions' | 'other'

export interface TableRename {
  readonly from: TableId
  readonly to: TableId
}

/** The tables that an effect names; null: it may concern any. */
export function tablesOf(effect: SchemaChangeEffect): readonly TableId[] | null {
  switch (effect.kind) {
    case 'none':
      return []
    case 'unknown':
    case 'schema-dropped':
      return null
    case 'renamed':
      return effect.renames.flatMap(({ from, to }) => [from, to])
    default:
      return effect.tables
  }
}

const name = '(?:`((?:[^`]|``)+)`|"((?:[^"]|"")+)"|([\\w$\\u0080-\\uffff]+))'
const qualified = `${name}(?:\\s*\\.\\s*${name})?`

/** Comments out, whitespace folded; text within quotes stays. Versioned comments count as SQL, as they do for the server. */
function normalise(statement: string): string {
  return statement
    .replace(
      /("(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`)|\/\*!\d*|\*\/|\/\*[^!][\s\S]*?\*\/|(?:--\s|#)[^\n]*/g,
      (all, quoted: string | undefined) => (quoted === undefined ? ' ' : all),
    )
    .replace(/\s+/g, ' ')
    .trim()
}

const unquote = (match: RegExpMatchArray, at: number): string | undefined =>
  match[at]?.replaceAll('``', '`') ?? match[at + 1]?.replaceAll('""', '"') ?? match[at + 2]

/** Reads `a.b, c` from the start of `text`; null when there is no name. */
function names(text: string, schema: string): { tables: TableId[]; rest: string } | null {
  const tables: TableId[] = []
  let rest = text
  for (;;) {
    const match = rest.match(new RegExp(`^\\s*${qualified}`))
    if (match === null) return null
    const first = unquote(match, 1) as string
    const second = unquote(match, 4)
    tables.push(second === undefined ? { schema, name: first } : { schema: first, name: second })
    rest = rest.slice(match[0].length)
    const comma = rest.match(/^\s*,/)
    if (comma === null) return { tables, rest }
    rest = rest.slice(comma[0].length)
  }
}

/** @param schema the session's default schema */
export function effectOf(statement: string, schema: string): SchemaChangeEffect {
  const sql = withoutSettings(normalise(statement))
  const after = (pattern: RegExp): string | null => {
    const match = sql.match(pattern)
    return match === null ? null : sql.slice(match[0].length)
  }
  if (
    /^(grant|revoke|flush|analyze|install|uninstall|set(?! statement\b)|reset|purge)\b/i.test(sql) ||
    /^(create|alter|drop|rename)( or replace)?( definer ?= ?\S+( ?@ ?\S+)?)?( sql security \w+)?( algorithm ?= ?\w+)?( definer ?= ?\S+( ?@ ?\S+)?)?( sql security \w+)?( aggregate)? (user|role|procedure|function|trigger|event|view|server|tablespace|undo tablespace|logfile|sequence|package|package body|instance|resource group|spatial reference system|library)\b/i.test(
      sql,
    ) ||
    /^(optimize|repair|check)\b/i.test(sql)
  )
    return { kind: 'none' }

  let rest = after(/^(create|alter) (database|schema)\b/i)
  if (rest !== null) return { kind: 'none' }
  rest = after(/^drop (database|schema) (if exists )?/i)
  if (rest !== null) {
    const found = names(rest, schema)
    return found === null
      ? { kind: 'unknown' }
      : { kind: 'schema-dropped', schema: (found.tables[0] as TableId).name }
  }
  // Temporary tables are never logged under row format with rows; their definitions concern no other session.
  if (/^(create|drop) temporary table\b/i.test(sql)) return { kind: 'none' }
  rest = after(/^truncate (table )?/i)
  if (rest !== null) return rows(names(rest, schema), 'truncate')
  rest = after(/^drop tables? (if exists )?/i)
  if (rest !== null) {
    const found = names(rest, schema)
    return found === null ? { kind: 'unknown' } : { kind: 'dropped', tables: found.tables }
  }
  rest = after(/^create table (if not exists )?/i)
  if (rest !== null) {
    const found = names(rest, schema)
    return found === null ? { kind: 'unknown' } : { kind: 'created', tables: found.tables }
  }
  rest = after(/^create (unique |fulltext |spatial )?index (if not exists )?/i)
  if (rest !== null) return indexed(rest, 'added', schema)
  rest = after(/^drop index (if exists )?/i)
  if (rest !== null) return indexed(rest, 'dropped', schema)
  rest = after(/^rename tables? /i)
  if (rest !== null) return renamed(rest, schema)
  rest = after(/^alter (online )?(ignore )?table (if exists )?/i)
  if (rest !== null) {
    const named = names(rest, schema)
    if (named === null) return { kind: 'unknown' }
    const found = { ...named, rest: named.rest.replace(waiting, '') }
    if (rowsMove.test(found.rest)) {
      const other = found.rest.match(new RegExp(`\\b(?:with|to|convert) table (${qualified})`, 'i'))
      const others = other === null ? null : names(other[1] as string, schema)
      return rows({ ...found, tables: [...found.tables, ...(others?.tables ?? [])] }, actionOf(found.rest))
    }
    const target = found.rest.match(
      new RegExp(`\\brename (?:to |as |= ?)?(?!column\\b|index\\b|key\\b)${qualified}`, 'i'),
    )
    if (target === null)
      return { kind: 'definition', tables: found.tables, alteration: alterationOf(found.rest.trim()) }
    const to = names(target[0].replace(/^rename (to |as |= ?)?/i, ''), schema)?.tables[0]
    const from = found.tables[0]
    return from === undefined || to === undefined
      ? { kind: 'unknown' }
      : { kind: 'renamed', renames: [{ from, to }], alteration: alterationOf(found.rest.trim()) }
  }
  return { kind: 'unknown' }
}

/** MariaDB: how long to wait for the table. */
const waiting = /^ (?:wait \d+|nowait)\b/i
/** MariaDB makes a partition of a table, and a table of a partition, by CONVERT. */
const rowsMove =
  /\b(?:(?:drop|truncate|exchange|discard|import) (?:partition|tablespace)|convert (?:partition|table))\b/i

type Names = ReturnType<typeof names>

const rows = (found: Names, action: RowAction): SchemaChangeEffect =>
  found === null ? { kind: 'unknown' } : { kind: 'rows', tables: found.tables, action }

/** Of a statement that changes nothing but partitions: the server allows nothing else beside it. */
function actionOf(specification: string): RowAction {
  const found = /^\s*(?:drop|truncate) partition (?:if exists )?/i.exec(specification)
  if (found === null) return 'other'
  return new RegExp(`^${name}(?: ?, ?${name})*$`).test(specification.slice(found[0].length).trim())
    ? 'partitions'
    : 'other'
}

/** @param rest `name [USING type] ON table (parts) ...` */
function indexed(rest: string, does: 'added' | 'dropped', schema: string): SchemaChangeEffect {
  const head = rest.match(new RegExp(`^${name}(?: .*?)?? on `, 'i'))
  const found = head === null ? null : names(rest.slice(head[0].length), schema)
  if (head === null || found === null) return { kind: 'unknown' }
  const own = unquote(head, 1) as string
  const { tables } = found
  if (does === 'dropped')
    return { kind: 'definition', tables, alteration: { ...noAlteration, droppedIndexes: [own] } }
  const columns = indexOf(`index ${found.rest}`)?.columns ?? []
  return {
    kind: 'definition',
    tables,
    alteration: { ...noAlteration, addedIndexes: [{ name: own, columns }] },
  }
}

function renamed(list: string, schema: string): SchemaChangeEffect {
  const renames: TableRename[] = []
  let rest = list
  for (;;) {
    const match = rest.match(new RegExp(`^\\s*(${qualified}) to (${qualified})\\s*(,)?`, 'i'))
    if (match === null) return { kind: 'unknown' }
    const from = names(match[1] as string, schema)?.tables[0]
    const to = names(match[8] as string, schema)?.tables[0]
    if (from === undefined || to === undefined) return { kind: 'unknown' }
    renames.push({ from, to })
    rest = rest.slice(match[0].length)
    if (match[15] === undefined) return { kind: 'renamed', renames, alteration: noAlteration }
  }
}
