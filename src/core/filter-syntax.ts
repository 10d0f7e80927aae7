/**
 * The text of a row filter, read into a tree. Knows no table: names and types are checked by filter.ts.
 *
 *   filter     := conjunct { OR conjunct }
 *   conjunct   := factor { AND factor }
 *   factor     := NOT factor | '(' filter ')' | predicate
 *   predicate  := column ( '=' | '!=' | '<>' | '<' | '<=' | '>' | '>=' ) literal
 *               | column [ NOT ] IN '(' literal { ',' literal } ')'
 *               | column [ NOT ] BETWEEN literal AND literal
 *               | column IS [ NOT ] NULL
 *   literal    := [ '+' | '-' ] digits [ '.' digits ] | 'text' | x'hex' | TRUE | FALSE
 *   column     := name | `name`
 *
 * Precedence is SQL's: NOT before AND before OR. Inside 'text' a quote is written twice; a backslash is a backslash. Keywords in any case.
 * Whatever does not fit throws SYNC-1006 with the column (from 1) of the first thing that is wrong, and says what was expected there.
 */
import { SyncError } from './errors.ts'

export type FilterLiteral = { readonly at: number } & (
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bytes'; readonly hex: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
)

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>='

/** `at` is the column of the text, from 1, at which the predicate's column name stands. */
export type FilterAst =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly FilterAst[] }
  | { readonly kind: 'not'; readonly term: FilterAst }
  | {
      readonly kind: 'compare'
      readonly column: string
      readonly at: number
      readonly comparison: Comparison
      readonly literal: FilterLiteral
    }
  | {
      readonly kind: 'in'
      readonly column: string
      readonly at: number
      readonly literals: readonly FilterLiteral[]
    }
  | { readonly kind: 'is-null'; readonly column: string; readonly at: number }

type TokenKind = 'name' | 'quoted-name' | 'number' | 'text' | 'bytes' | 'operator' | 'end'

interface Token {
  readonly kind: TokenKind
  /** Names as written, keywords in upper case are told by `word`; texts and quoted names without their quotes. */
  readonly text: string
  readonly at: number
}

const MAX_LENGTH = 20_000
const MAX_DEPTH = 100

export function filterError(at: number, message: string, remedy?: string): SyncError {
  return new SyncError('SYNC-1006', `row filter, column ${at}: ${message}`, {
    ...(remedy === undefined ? {} : { remedy }),
    details: { column: at },
  })
}

export function parseFilter(text: string): FilterAst {
  if (text.length > MAX_LENGTH) throw filterError(MAX_LENGTH, `longer than ${MAX_LENGTH} characters`)
  const tokens = tokensOf(text)
  let next = 0
  let depth = 0

  const peek = (): Token => tokens[next] as Token
  const word = (token: Token): string => (token.kind === 'name' ? token.text.toUpperCase() : '')
  const isOperator = (token: Token, text: string): boolean => token.kind === 'operator' && token.text === text
  const takeWord = (wanted: string): boolean => {
    if (word(peek()) !== wanted) return false
    next++
    return true
  }
  const expected = (what: string, remedy?: string): SyncError =>
    filterError(peek().at, `expected ${what}, found ${shown(peek())}`, remedy)

  function disjunction(): FilterAst {
    const terms = [conjunction()]
    while (takeWord('OR')) terms.push(conjunction())
    return terms.length === 1 ? (terms[0] as FilterAst) : { kind: 'or', terms }
  }

  function conjunction(): FilterAst {
    const terms = [factor()]
    while (takeWord('AND')) terms.push(factor())
    return terms.length === 1 ? (terms[0] as FilterAst) : { kind: 'and', terms }
  }

  function factor(): FilterAst {
    if (++depth > MAX_DEPTH) throw filterError(peek().at, `nested deeper than ${MAX_DEPTH}`)
    try {
      if (takeWord('NOT')) return { kind: 'not', term: factor() }
      if (isOperator(peek(), '(')) {
        next++
        const inner = disjunction()
        if (!isOperator(peek(), ')')) throw expected("')'")
        next++
        return inner
      }
      return predicate()
    } finally {
      depth--
    }
  }

  function predicate(): FilterAst {
    const { text: column, at } = columnName()
    const token = peek()
    if (takeWord('IS')) {
      const negated = takeWord('NOT')
      if (!takeWord('NULL')) throw expected('NULL', 'After IS only NULL or NOT NULL can stand.')
      return negate(negated, { kind: 'is-null', column, at })
    }
    const negated = takeWord('NOT')
    if (takeWord('IN')) return negate(negated, { kind: 'in', column, at, literals: list() })
    if (takeWord('BETWEEN')) {
      const low = literal()
      if (!takeWord('AND')) throw expected('AND')
      const from: FilterAst = { kind: 'compare', column, at, comparison: '>=', literal: low }
      const to: FilterAst = { kind: 'compare', column, at, comparison: '<=', literal: literal() }
      return negate(negated, { kind: 'and', terms: [from, to] })
    }
    if (negated) throw expected('IN or BETWEEN')
    const comparison = token.kind === 'operator' ? comparisons.get(token.text) : undefined
    if (comparison === undefined) {
      const remedy = `A column alone is no condition: write \`${column}\` = TRUE, or compare it with a literal.`
      throw expected('a comparison, IN, BETWEEN or IS NULL', remedy)
    }
    next++
    return { kind: 'compare', column, at, comparison, literal: literal() }
  }

  function columnName(): Token {
    const token = peek()
    if (token.kind === 'quoted-name' || (token.kind === 'name' && !keywords.has(word(token)))) {
      next++
      return token
    }
    if (token.kind === 'number' || token.kind === 'text') {
      throw expected('a column', 'Write the column first: id > 5, not 5 < id.')
    }
    throw expected('a column', 'A column whose name is a keyword stands in backticks.')
  }

  function list(): readonly FilterLiteral[] {
    if (!isOperator(peek(), '(')) throw expected("'('")
    next++
    const literals = [literal()]
    while (isOperator(peek(), ',')) {
      next++
      literals.push(literal())
    }
    if (!isOperator(peek(), ')')) throw expected("',' or ')'")
    next++
    return literals
  }

  function literal(): FilterLiteral {
    const token = peek()
    const { at } = token
    if (isOperator(token, '-') || isOperator(token, '+')) {
      next++
      if (peek().kind !== 'number') throw expected('a number')
      const text = (tokens[next++] as Token).text
      return { kind: 'number', text: token.text === '-' ? `-${text}` : text, at }
    }
    next++
    if (token.kind === 'number') return { kind: 'number', text: token.text, at }
    if (token.kind === 'text') return { kind: 'text', text: token.text, at }
    if (token.kind === 'bytes') return { kind: 'bytes', hex: token.text, at }
    if (word(token) === 'TRUE') return { kind: 'boolean', value: true, at }
    if (word(token) === 'FALSE') return { kind: 'boolean', value: false, at }
    next--
    if (word(token) === 'NULL') {
      throw expected(
        'a literal',
        'Nothing is equal to NULL, and nothing differs from it: use IS NULL or IS NOT NULL.',
      )
    }
    if (token.kind === 'name' || token.kind === 'quoted-name') {
      throw expected(
        'a literal',
        "Columns compare with literals alone; text stands in single quotes: 'text'.",
      )
    }
    throw expected('a literal')
  }

  const ast = disjunction()
  if (peek().kind !== 'end') throw expected('AND, OR or the end')
  return ast
}

const negate = (negated: boolean, term: FilterAst): FilterAst => (negated ? { kind: 'not', term } : term)

const keywords = new Set(['AND', 'OR', 'NOT', 'IN', 'IS', 'NULL', 'BETWEEN', 'TRUE', 'FALSE'])

const comparisons = new Map<string, Comparison>([
  ['=', '='],
  ['!=', '!='],
  ['<>', '!='],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
])

function shown(token: Token): string {
  if (token.kind === 'end') return 'the end'
  if (token.kind === 'text') return `'${token.text}'`
  if (token.kind === 'bytes') return `x'${token.text}'`
  return token.kind === 'quoted-name' ? `\`${token.text}\`` : token.text
}

// One alternative per kind of token, tried in this order at each place.
const tokenPattern =
  /(?<bytes>[xX]'[0-9a-fA-F]*')|(?<name>[\p{L}_$][\p{L}\p{N}_$]*)|(?<number>\d+(?:\.\d+)?|\.\d+)|(?<text>'(?:[^']|'')*')|(?<quotedName>`(?:[^`]|``)+`)|(?<operator><=|>=|<>|!=|[=<>(),+-])/uy

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  while (true) {
    while (/\s/.test(text.charAt(at))) at++
    if (at >= text.length) break
    tokenPattern.lastIndex = at
    const groups = tokenPattern.exec(text)?.groups
    if (groups === undefined) throw unreadable(text, at)
    const found = tokenOf(groups, at + 1)
    tokens.push(found)
    at = tokenPattern.lastIndex
    if (found.kind === 'number' && /[\p{L}_$.\d]/u.test(text.charAt(at))) {
      throw filterError(
        found.at,
        'a number goes on in letters or points',
        'Write digits with at most one point, and no exponent.',
      )
    }
  }
  tokens.push({ kind: 'end', text: '', at: text.length + 1 })
  return tokens
}

function tokenOf(groups: Readonly<Record<string, string | undefined>>, at: number): Token {
  const { bytes, name, number, text, quotedName, operator } = groups
  if (bytes !== undefined) {
    const hex = bytes.slice(2, -1).toLowerCase()
    if (hex.length % 2 === 1) throw filterError(at, 'an odd number of hexadecimal digits')
    return { kind: 'bytes', text: hex, at }
  }
  if (name !== undefined) return { kind: 'name', text: name, at }
  if (number !== undefined) return { kind: 'number', text: number, at }
  if (text !== undefined) return { kind: 'text', text: text.slice(1, -1).replaceAll("''", "'"), at }
  if (quotedName !== undefined) {
    return { kind: 'quoted-name', text: quotedName.slice(1, -1).replaceAll('``', '`'), at }
  }
  return { kind: 'operator', text: operator as string, at }
}

function unreadable(text: string, at: number): SyncError {
  const found = String.fromCodePoint(text.codePointAt(at) as number)
  if (found === "'")
    return filterError(
      at + 1,
      'a text without its closing quote',
      "Inside a text a quote is written twice: 'it''s'.",
    )
  if (found === '`') return filterError(at + 1, 'a name without its closing backtick')
  if (found === '"')
    return filterError(at + 1, 'double quotes', 'Text stands in single quotes, names in backticks.')
  return filterError(at + 1, `${found} has no meaning here`)
}
