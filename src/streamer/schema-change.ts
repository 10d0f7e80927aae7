/**
 * What a definition statement of the log means for a pipeline. Pure.
 *
 * Not a parser of SQL: it tells statements that cannot concern rows (accounts, routines, views) from those that change tables, and finds
 * the tables' names. What it cannot read is `unknown` and stops the pipeline: never skipped (ARCHITECTURE, invariant 9).
 */
import type { TableId } from '../core/schema.ts'
import { type Alteration, alterationOf, noAlteration } from './alter-table.ts'

export type SchemaChangeEffect =
  /** Does not touch tables, or not their rows or columns. */
  | { readonly kind: 'none' }
  /** Definitions of these tables changed; their rows are the same, but for what the alteration does to their values. */
  | { readonly kind: 'definition'; readonly tables: readonly TableId[]; readonly alteration: Alteration }
  /** Rows of these tables went or came without row events. */
  | { readonly kind: 'rows'; readonly tables: readonly TableId[] }
  | { readonly kind: 'dropped'; readonly tables: readonly TableId[] }
  /** Tables bear other names now, one after the other. */
  | { readonly kind: 'renamed'; readonly renames: readonly TableRename[] }
  /** A whole schema is gone. */
  | { readonly kind: 'schema-dropped'; readonly schema: string }
  | { readonly kind: 'unknown' }

export interface TableRename {
  readonly from: TableId
  readonly to: TableId
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
  const sql = normalise(statement)
  const after = (pattern: RegExp): string | null => {
    const match = sql.match(pattern)
    return match === null ? null : sql.slice(match[0].length)
  }
  if (
    /^(grant|revoke|flush|analyze|install|uninstall|set|reset|purge)\b/i.test(sql) ||
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
  if (rest !== null) return rows(names(rest, schema))
  rest = after(/^drop tables? (if exists )?/i)
  if (rest !== null) {
    const found = names(rest, schema)
    return found === null ? { kind: 'unknown' } : { kind: 'dropped', tables: found.tables }
  }
  rest = after(/^create table (if not exists )?/i)
  if (rest !== null) return definition(names(rest, schema))
  rest = after(/^(create (unique |fulltext |spatial )?index|drop index)\b.*? on /i)
  if (rest !== null) return definition(names(rest, schema))
  rest = after(/^rename tables? /i)
  if (rest !== null) return renamed(rest, schema)
  rest = after(/^alter (online )?(ignore )?table /i)
  if (rest !== null) {
    const found = names(rest, schema)
    if (found === null) return { kind: 'unknown' }
    if (/\b(drop|truncate|exchange|discard|import) (partition|tablespace)\b/i.test(found.rest)) {
      const other = found.rest.match(new RegExp(`\\bwith table (${qualified})`, 'i'))
      const others = other === null ? null : names(other[1] as string, schema)
      return { kind: 'rows', tables: [...found.tables, ...(others?.tables ?? [])] }
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
      : { kind: 'renamed', renames: [{ from, to }] }
  }
  return { kind: 'unknown' }
}

type Names = ReturnType<typeof names>

const rows = (found: Names): SchemaChangeEffect =>
  found === null ? { kind: 'unknown' } : { kind: 'rows', tables: found.tables }

const definition = (found: Names): SchemaChangeEffect =>
  found === null
    ? { kind: 'unknown' }
    : { kind: 'definition', tables: found.tables, alteration: noAlteration }

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
    if (match[15] === undefined) return { kind: 'renamed', renames }
  }
}
