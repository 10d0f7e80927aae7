/**
 * Reads what an ALTER TABLE asks for (core/alteration.ts). Pure.
 *
 * Names columns that are added, changed in type, renamed or dropped, and indexes; partitions and options are none of its business. Where the text
 * could be read in two ways it is read as a change: then the table is looked at, and at worst loaded again.
 */
import { type Alteration, type ColumnNames, type IndexNames } from '../core/alteration.ts'

const name = '(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\\w$\\u0080-\\uffff]+)'
const notAColumn = /^(index|key|unique|primary|fulltext|spatial|constraint|foreign|check|partition)\b/i

/** @param specifications what follows the table's name, comments out and whitespace folded */
export function alterationOf(specifications: string): Alteration {
  const added: string[] = []
  const changed: ColumnNames[] = []
  const renamed: ColumnNames[] = []
  const dropped: string[] = []
  const addedIndexes: IndexNames[] = []
  const droppedIndexes: string[] = []
  let convertsText = false
  for (const specification of splitAtCommas(specifications)) {
    const add = /^add (?:column )?(?:if not exists )?/i.exec(specification)
    if (add !== null) {
      const rest = specification.slice(add[0].length)
      const definitions = rest.startsWith('(') ? splitAtCommas(rest.slice(1, rest.lastIndexOf(')'))) : [rest]
      for (const definition of definitions) {
        if (notAColumn.test(definition)) {
          const index = indexOf(definition)
          if (index !== null) addedIndexes.push(index)
          continue
        }
        const column = firstNames(definition, 1)?.[0]
        if (column === undefined) continue
        added.push(column)
        if (/\bunique\b/i.test(withoutQuotes(definition)))
          addedIndexes.push({ name: null, columns: [column] })
      }
    }
    const modify = /^modify (?:column )?(?:if exists )?/i.exec(specification)
    if (modify !== null) {
      const column = firstNames(specification.slice(modify[0].length), 1)
      if (column !== null) changed.push({ from: column[0] as string, to: column[0] as string })
    }
    const change = /^change (?:column )?(?:if exists )?/i.exec(specification)
    if (change !== null) {
      const columns = firstNames(specification.slice(change[0].length), 2)
      if (columns !== null) changed.push({ from: columns[0] as string, to: columns[1] as string })
    }
    const rename = new RegExp(`^rename column (?:if exists )?(${name}) to (${name})`, 'i').exec(specification)
    if (rename !== null) {
      renamed.push({ from: unquoted(rename[1] as string), to: unquoted(rename[2] as string) })
    }
    const drop = /^drop (column )?(if exists )?/i.exec(specification)
    if (drop !== null) {
      const rest = specification.slice(drop[0].length)
      const index = /^(?:index|key) (?:if exists )?/i.exec(rest)
      const isColumn = drop[1] !== undefined || !notAColumn.test(rest)
      const found = firstNames(isColumn || index === null ? rest : rest.slice(index[0].length), 1)?.[0]
      if (found !== undefined && isColumn) dropped.push(found)
      else if (found !== undefined && index !== null) droppedIndexes.push(found)
    }
    if (/^convert to (character set|charset)\b/i.test(specification)) convertsText = true
  }
  return { added, changed, renamed, dropped, convertsText, addedIndexes, droppedIndexes }
}

/** @param definition from INDEX, KEY, UNIQUE, FULLTEXT, SPATIAL or CONSTRAINT on; null where it is something else (a primary or foreign key, a check) */
export function indexOf(definition: string): IndexNames | null {
  const head = new RegExp(
    `^(?:constraint (?:if not exists )?(?:(${name}) )?)?(?:(?:unique|fulltext|spatial)(?: (?:index|key))?|index|key)(?![\\w$])(?: if not exists)?`,
    'i',
  ).exec(definition)
  if (head === null) return null
  let rest = definition.slice(head[0].length).trim()
  const own = /^using\b/i.test(rest) ? null : new RegExp(`^(${name})`).exec(rest)
  if (own !== null) rest = rest.slice(own[0].length).trim()
  const open = rest.indexOf('(')
  if (open < 0) return null
  const columns = splitAtCommas(rest.slice(open + 1, closingOf(rest, open))).map((part) =>
    part.startsWith('(') ? null : (firstNames(part, 1)?.[0] ?? null),
  )
  const named = own?.[1] ?? head[1]
  return { name: named === undefined ? null : unquoted(named), columns }
}

function closingOf(text: string, open: number): number {
  let depth = 0
  let at = open
  for (const [piece] of text.slice(open).matchAll(pieces)) {
    if (piece === '(') depth++
    else if (piece === ')' && --depth === 0) return at
    at += piece.length
  }
  return text.length
}

/** Quoted strings and names taken as one, everything else letter by letter. */
const pieces = /"(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`|[^"'`]/gs

const withoutQuotes = (text: string): string =>
  [...text.matchAll(pieces)].map(([piece]) => (piece.length > 1 ? "''" : piece)).join('')

/** At commas that stand outside of quotes and parentheses. */
function splitAtCommas(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let part = ''
  for (const [piece] of text.matchAll(pieces)) {
    if (piece === '(') depth++
    else if (piece === ')') depth--
    if (piece === ',' && depth === 0) {
      parts.push(part.trim())
      part = ''
    } else part += piece
  }
  parts.push(part.trim())
  return parts
}

function firstNames(text: string, count: number): string[] | null {
  const found = new RegExp(`^${Array.from({ length: count }, () => `\\s*(${name})`).join('')}`).exec(text)
  return found === null ? null : found.slice(1, count + 1).map(unquoted)
}

const unquoted = (text: string): string =>
  text.startsWith('`')
    ? text.slice(1, -1).replaceAll('``', '`')
    : text.startsWith('"')
      ? text.slice(1, -1).replaceAll('""', '"')
      : text
