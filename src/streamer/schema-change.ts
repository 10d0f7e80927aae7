/**
 * What a definition statement of the log means for a pipeline. Pure.
 *
 * Not a parser of SQL: it tells statements that cannot concern rows (accounts, routines, views) from those that change tables, and finds
 * the tables' names. What it cannot read is `unknown` and stops the pipeline: never skipped (ARCHITECTURE, invariant 9).
 */
import type { TableId } from '../core/schema.ts'

export type SchemaChangeEffect =
  /** Does not touch tables, or not their rows or columns. */
  | { readonly kind: 'none' }
  /** Definitions of these tables changed; their rows stay what the log says. */
  | { readonly kind: 'definition'; readonly tables: readonly TableId[] }
  /** Rows of these tables are gone without row events. */
  | { readonly kind: 'rows'; readonly tables: readonly TableId[] }
  /** A whole schema is gone. */
  | { readonly kind: 'schema-dropped'; readonly schema: string }
  | { readonly kind: 'unknown' }

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
    /^(grant|revoke|flush|analyze|install|uninstall|set|reset|purge|import)\b/i.test(sql) ||
    /^(create|alter|drop|rename)( or replace)?( definer ?= ?\S+( ?@ ?\S+)?)?( sql security \w+)?( algorithm ?= ?\w+)?( definer ?= ?\S+( ?@ ?\S+)?)?( sql security \w+)?( aggregate)? (user|role|procedure|function|trigger|event|view|server|tablespace|undo tablespace|logfile|instance|resource group|spatial reference system|library)\b/i.test(
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
  if (rest !== null) return rows(names(rest, schema))
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
    if (/\b(drop|truncate|exchange|discard) (partition|tablespace)\b/i.test(found.rest))
      return { kind: 'rows', tables: found.tables }
    const target = found.rest.match(
      new RegExp(`\\brename (?:to |as |= ?)?(?!column\\b|index\\b|key\\b)${qualified}`, 'i'),
    )
    if (target === null) return { kind: 'definition', tables: found.tables }
    const to = names(target[0].replace(/^rename (to |as |= ?)?/i, ''), schema)
    return { kind: 'definition', tables: [...found.tables, ...(to?.tables ?? [])] }
  }
  return { kind: 'unknown' }
}

type Names = ReturnType<typeof names>

const rows = (found: Names): SchemaChangeEffect =>
  found === null ? { kind: 'unknown' } : { kind: 'rows', tables: found.tables }

const definition = (found: Names): SchemaChangeEffect =>
  found === null ? { kind: 'unknown' } : { kind: 'definition', tables: found.tables }

function renamed(list: string, schema: string): SchemaChangeEffect {
  const tables: TableId[] = []
  let rest = list
  for (;;) {
    const match = rest.match(new RegExp(`^\\s*(${qualified}) to (${qualified})\\s*(,)?`, 'i'))
    if (match === null) return { kind: 'unknown' }
    for (const part of [match[1], match[8]]) tables.push(...(names(part as string, schema)?.tables ?? []))
    rest = rest.slice(match[0].length)
    if (match[15] === undefined) return { kind: 'definition', tables }
  }
}
