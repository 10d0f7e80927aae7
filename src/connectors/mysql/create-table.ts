/**
 * The definition of a source table as the target is to have it: the server's own SHOW CREATE TABLE with names mapped.
 *
 * Everything is kept (keys, checks, computed columns, partitions, comments, the next AUTO_INCREMENT value) except what cannot stand there: columns that
 * are not carried and what is made of them, and foreign keys whose other table does not come along. What is left out is said.
 * Pure. Assumes the layout of SHOW CREATE TABLE since 5.7: one definition per line, every name in backticks, line ends in
 * strings escaped.
 */
import type { TableId } from '../../core/schema.ts'
import type { Finding, MappedTable } from '../contract.ts'
import { finding } from './finding.ts'

export interface TableDefinition {
  /** `CREATE TABLE IF NOT EXISTS`, as text (not a byte string). */
  readonly sql: string
  readonly warnings: readonly Finding[]
}

/**
 * @param showCreate the second column of SHOW CREATE TABLE, as text
 * @param targetOf the target's name of a source table, or null when it does not take part
 */
export function targetDefinition(
  showCreate: string,
  mapping: MappedTable,
  targetOf: (source: TableId) => TableId | null,
): TableDefinition {
  const lines = showCreate.split('\n')
  const end = lines.findIndex((line, at) => at > 0 && line.startsWith(')'))
  const names = mapping.columns === null ? null : new Map(mapping.columns.map((c) => [c.source, c.target]))
  const warnings: Finding[] = []
  const leftOut = (what: string, why: string): void => {
    warnings.push(
      finding(
        'SYNC-3201',
        'warning',
        `${label(mapping.target)} is created without ${what}: ${why}`,
        'Add it at the target if it is needed.',
        {
          table: mapping.target,
        },
      ),
    )
  }
  const kept: string[] = []
  for (const line of lines.slice(1, end)) {
    const definition = line.trim().replace(/,$/, '')
    if (/^(CONSTRAINT `(?:[^`]|``)+` )?FOREIGN KEY/.test(definition)) {
      const foreign = foreignKey(definition, mapping, names, targetOf)
      if (typeof foreign === 'string') kept.push(foreign)
      else leftOut(`the foreign key ${foreign.name}`, foreign.why)
    } else if (definition.startsWith('`')) {
      const column = columnDefinition(definition, names)
      if (column.sql !== null) kept.push(column.sql)
      if (column.leftOut !== null) leftOut(column.leftOut, 'it is made of columns that are not carried')
    } else {
      const missing = names === null ? [] : columnsNotIn(bodyOf(definition), names)
      if (missing.length === 0) kept.push(names === null ? definition : renamedBody(definition, names))
      else leftOut(shortName(definition), `column ${missing.join(', ')} is not carried`)
    }
  }
  const options = lines.slice(end).join('\n')
  return {
    sql: `CREATE TABLE IF NOT EXISTS ${quote(mapping.target)} (\n  ${withoutStrayCounters(kept).join(',\n  ')}\n${names === null ? options : renamed(options, names)}`,
    warnings,
  }
}

const label = (id: TableId): string => `${id.schema}.${id.name}`
export const tick = (name: string): string => `\`${name.replaceAll('`', '``')}\``
export const quote = (id: TableId): string => `${tick(id.schema)}.${tick(id.name)}`

/** A piece of SQL as the server prints it: names in backticks, strings in quotes, the rest. */
export const pieces = /`(?:[^`]|``)*`|'(?:[^'\\]|\\.|'')*'|[^`']+/g

/** Replaces names in backticks; strings are left alone. */
function renamed(sql: string, names: ReadonlyMap<string, string>): string {
  return sql.replace(pieces, (piece) => {
    if (!piece.startsWith('`')) return piece
    const target = names.get(unquoted(piece))
    return target === undefined ? piece : tick(target)
  })
}

export const unquoted = (name: string): string => name.slice(1, -1).replaceAll('``', '`')

export const namesIn = (sql: string): string[] =>
  (sql.match(pieces) ?? []).filter((piece) => piece.startsWith('`')).map(unquoted)

export const columnsNotIn = (sql: string, names: ReadonlyMap<string, string>): string[] =>
  namesIn(sql).filter((name) => !names.has(name))

/** The part of a key or check that names columns: from its first parenthesis on. */
const bodyStart = (definition: string): number => {
  let at = 0
  for (const piece of definition.match(pieces) ?? []) {
    const open = /^[`']/.test(piece) ? -1 : piece.indexOf('(')
    if (open >= 0) return at + open
    at += piece.length
  }
  return definition.length
}
export const bodyOf = (definition: string): string => definition.slice(bodyStart(definition))
export const renamedBody = (definition: string, names: ReadonlyMap<string, string>): string =>
  definition.slice(0, bodyStart(definition)) + renamed(bodyOf(definition), names)

export const shortName = (definition: string): string => definition.slice(0, bodyStart(definition)).trim()

export function columnDefinition(
  definition: string,
  names: ReadonlyMap<string, string> | null,
): { sql: string | null; leftOut: string | null } {
  if (names === null) return { sql: definition, leftOut: null }
  const quotedName = (definition.match(pieces) ?? [])[0] as string
  const name = unquoted(quotedName)
  const target = names.get(name)
  if (target === undefined) return { sql: null, leftOut: null }
  const rest = definition.slice(quotedName.length)
  const missing = columnsNotIn(rest, names)
  if (missing.length === 0) return { sql: tick(target) + renamed(rest, names), leftOut: null }
  // A computed column whose inputs do not come along becomes an ordinary one: its values are carried.
  const plain = withoutExpression(rest)
  return plain === null
    ? { sql: null, leftOut: `column ${target}` }
    : { sql: tick(target) + plain, leftOut: null }
}

/** The column without `GENERATED ALWAYS AS (...) VIRTUAL|STORED`. */
function withoutExpression(rest: string): string | null {
  const start = rest.indexOf(' GENERATED ALWAYS AS (')
  if (start < 0) return null
  let depth = 0
  let at = start
  for (const piece of rest.slice(start).match(pieces) ?? []) {
    if (!/^[`']/.test(piece)) {
      for (let i = 0; i < piece.length; i++) {
        if (piece[i] === '(') depth++
        else if (piece[i] === ')' && --depth === 0) {
          const after = rest.slice(at + i + 1).replace(/^ (VIRTUAL|STORED)/, '')
          return rest.slice(0, start) + after
        }
      }
    }
    at += piece.length
  }
  return null
}

function foreignKey(
  definition: string,
  mapping: MappedTable,
  names: ReadonlyMap<string, string> | null,
  targetOf: (source: TableId) => TableId | null,
): string | { name: string; why: string } {
  const match =
    /^(CONSTRAINT (`(?:[^`]|``)+`) )?FOREIGN KEY (.*?) REFERENCES ((?:`(?:[^`]|``)+`\.)?`(?:[^`]|``)+`) (.*)$/.exec(
      definition,
    )
  const name = match?.[2] === undefined ? 'without a name' : unquoted(match[2])
  if (match === null) return { name, why: 'its definition is not understood' }
  const parent = namesIn(match[4] as string)
  const source: TableId =
    parent.length === 2
      ? { schema: parent[0] as string, name: parent[1] as string }
      : { schema: mapping.source.schema, name: parent[0] as string }
  const target = targetOf(source)
  if (target === null) return { name, why: `table ${label(source)} does not take part` }
  if (target.schema !== mapping.target.schema) {
    return { name, why: `table ${label(source)} goes to another schema` }
  }
  // The names of the other table's columns may have been mapped by its own rule, which is not known here.
  if (names !== null) return { name, why: 'columns are selected or renamed' }
  return `${match[1] ?? ''}FOREIGN KEY ${match[3] as string} REFERENCES ${quote(target)} ${match[5] as string}`
}

/** AUTO_INCREMENT without a key on its column is refused by the server. */
function withoutStrayCounters(definitions: readonly string[]): string[] {
  const keyed = new Set(
    definitions
      .filter((definition) => !definition.startsWith('`') && !definition.startsWith('CONSTRAINT'))
      .map((definition) => namesIn(bodyOf(definition))[0])
      .filter((name) => name !== undefined),
  )
  return definitions.map((definition) => {
    if (!definition.startsWith('`') || !/ AUTO_INCREMENT\b/.test(definition)) return definition
    return keyed.has(namesIn(definition)[0] as string)
      ? definition
      : definition.replace(pieces, (piece) =>
          /^[`']/.test(piece) ? piece : piece.replace(/ AUTO_INCREMENT\b/, ''),
        )
  })
}
