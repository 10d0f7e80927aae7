/**
 * What an ALTER TABLE does to the values of rows that are there already: the server changes them without logging a row. Pure.
 *
 * Names columns that are added, changed in type or renamed; keys, partitions and options do not touch values. Where the text could be read in
 * two ways it is read as a change: then the table is looked at, and at worst loaded again.
 */
export interface Alteration {
  readonly added: readonly string[]
  /** MODIFY and CHANGE; `from` and `to` are equal where the name stays. */
  readonly changed: readonly ColumnNames[]
  readonly renamed: readonly ColumnNames[]
  /** CONVERT TO CHARACTER SET: every column of text. */
  readonly convertsText: boolean
}

export interface ColumnNames {
  readonly from: string
  readonly to: string
}

export const noAlteration: Alteration = { added: [], changed: [], renamed: [], convertsText: false }

const name = '(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\\w$\\u0080-\\uffff]+)'
const notAColumn = /^(index|key|unique|primary|fulltext|spatial|constraint|foreign|check|partition)\b/i

/** @param specifications what follows the table's name, comments out and whitespace folded */
export function alterationOf(specifications: string): Alteration {
  const added: string[] = []
  const changed: ColumnNames[] = []
  const renamed: ColumnNames[] = []
  let convertsText = false
  for (const specification of splitAtCommas(specifications)) {
    const add = /^add (?:column )?(?:if not exists )?/i.exec(specification)
    if (add !== null) {
      const rest = specification.slice(add[0].length)
      const definitions = rest.startsWith('(') ? splitAtCommas(rest.slice(1, rest.lastIndexOf(')'))) : [rest]
      for (const definition of definitions) {
        const column = notAColumn.test(definition) ? null : firstNames(definition, 1)
        if (column !== null) added.push(column[0] as string)
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
    const rename = new RegExp(`^rename column (${name}) to (${name})`, 'i').exec(specification)
    if (rename !== null) {
      renamed.push({ from: unquoted(rename[1] as string), to: unquoted(rename[2] as string) })
    }
    if (/^convert to (character set|charset)\b/i.test(specification)) convertsText = true
  }
  return { added, changed, renamed, convertsText }
}

/** At commas that stand outside of quotes and parentheses. */
function splitAtCommas(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let part = ''
  for (const [piece] of text.matchAll(/"(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`|[^"'`]/gs)) {
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
