/**
 * Row filters: one condition with two faces that mean the same, a function for the log's rows and SQL for the reader of chunks.
 *
 * Guarantees: for a row of the given shape, `matches(row)` is true exactly if the server finds `sql` true for that row, NULLs by SQL's
 * three-valued logic. Whatever cannot be made to mean the same on both sides is refused with SYNC-1006 before anything runs.
 * Assumes: values as core/value.ts describes them; the server's session has time_zone '+00:00'.
 *
 * What is compared, by the column's kind:
 * - int, bit, year, decimal: exactly, as numbers. TRUE and FALSE are 1 and 0.
 * - float, double: by order only. Equality with a decimal literal is a trap, so it is refused.
 * - text: by exact bytes, 'a' is not 'A' and 'a' is not 'a '; collations are never guessed here. Order is the order of bytes.
 * - bytes: by exact bytes, from x'hex' or 'text' (in UTF-8); for BINARY(n) the literal is padded with zero bytes as the server pads values.
 * - date, datetime, timestamp (in UTC), time: from '2024-12-31', '2024-12-31 23:59:59.5', '-12:00:00'. Dates compare as text, because the
 *   server refuses literals such as '0000-00-00' that its tables may hold.
 * - enum, set: equality with labels only, by their number, because the server would compare labels under a collation.
 * - json, geometry, vector: IS NULL and IS NOT NULL alone.
 */
import { encodeText } from './charset.ts'
import { type Comparison, type FilterAst, type FilterLiteral, filterError } from './filter-syntax.ts'
import { type Column, type TableShape, tableName } from './schema.ts'
import { byteStringOf, type Row, type Value } from './value.ts'

export { type FilterAst, parseFilter } from './filter-syntax.ts'

export interface CompiledFilter {
  /** Is the condition true for the row? Unknown (NULL) is not true. */
  matches(row: Row): boolean
  /** The condition as a byte string, for a WHERE clause; stands in parentheses. */
  readonly sql: string
}

/** @throws SyncError SYNC-1006 naming the place in the filter's text */
export function compileFilter(ast: FilterAst, shape: TableShape): CompiledFilter {
  const { test, sql } = compile(ast, shape)
  return { matches: (row) => test(row) === true, sql }
}

/** True, false, or null for SQL's UNKNOWN. */
type Test = (row: Row) => boolean | null

interface Compiled {
  readonly test: Test
  readonly sql: string
}

/** A value that is not NULL. */
type Present = number | bigint | string

/** A literal made ready for one column: less than 0 if the value is smaller than the literal. */
interface Operand {
  readonly order: (value: Present) => number
  readonly sql: string
}

interface Operator {
  /** The column's value as the server compares it. */
  readonly sql: string
  readonly operand: (literal: FilterLiteral) => Operand
  /** What may not be asked, with the reason; undefined: everything may. */
  readonly orderRefused?: string
  readonly equalityRefused?: string
}

function compile(ast: FilterAst, shape: TableShape): Compiled {
  switch (ast.kind) {
    case 'and':
    case 'or': {
      const terms = ast.terms.map((term) => compile(term, shape))
      const tests = terms.map((term) => term.test)
      const sql = `(${terms.map((term) => term.sql).join(ast.kind === 'and' ? ' AND ' : ' OR ')})`
      return { test: junction(tests, ast.kind === 'or'), sql }
    }
    case 'not': {
      const { test, sql } = compile(ast.term, shape)
      return {
        test: (row) => {
          const result = test(row)
          return result === null ? null : !result
        },
        sql: `(NOT ${sql})`,
      }
    }
    case 'is-null': {
      const [column, ordinal] = columnOf(shape, ast)
      return { test: (row) => row[ordinal] === null, sql: `(${nullSql(column)} IS NULL)` }
    }
    case 'compare': {
      const [column, ordinal] = columnOf(shape, ast)
      const operator = operatorOf(column, ast.at)
      const equality = ast.comparison === '=' || ast.comparison === '!='
      const refused = equality ? operator.equalityRefused : operator.orderRefused
      if (refused !== undefined) throw filterError(ast.at, `${shown(column)}: ${refused}`)
      const { order, sql } = operator.operand(ast.literal)
      return {
        test: comparisonTest(ast.comparison, ordinal, order),
        sql: `(${operator.sql} ${ast.comparison} ${sql})`,
      }
    }
    case 'in': {
      const [column, ordinal] = columnOf(shape, ast)
      const operator = operatorOf(column, ast.at)
      if (operator.equalityRefused !== undefined) {
        throw filterError(ast.at, `${shown(column)}: ${operator.equalityRefused}`)
      }
      const operands = ast.literals.map((literal) => operator.operand(literal))
      // Not IN (...): the server finds one common type for the list, and then -1 IN (0.5, 18446744073709551615) is true (9.7).
      const equalities = operands.map((operand) => `${operator.sql} = ${operand.sql}`).join(' OR ')
      return {
        test: (row) => {
          const value = row[ordinal] as Value
          return value === null ? null : operands.some((operand) => operand.order(value) === 0)
        },
        sql: `(${equalities})`,
      }
    }
  }
}

/** AND (until false) or OR (until true): `decisive` ends it, UNKNOWN stays if nothing decides. */
function junction(tests: readonly Test[], decisive: boolean): Test {
  return (row) => {
    let result: boolean | null = !decisive
    for (const test of tests) {
      const term = test(row)
      if (term === decisive) return decisive
      if (term === null) result = null
    }
    return result
  }
}

function comparisonTest(comparison: Comparison, ordinal: number, order: Operand['order']): Test {
  const on = (holds: (sign: number) => boolean): Test => {
    return (row) => {
      const value = row[ordinal] as Value
      return value === null ? null : holds(order(value))
    }
  }
  switch (comparison) {
    case '=':
      return on((sign) => sign === 0)
    case '!=':
      return on((sign) => sign !== 0)
    case '<':
      return on((sign) => sign < 0)
    case '<=':
      return on((sign) => sign <= 0)
    case '>':
      return on((sign) => sign > 0)
    case '>=':
      return on((sign) => sign >= 0)
  }
}

// ------------------------------------------------------------------------------------------------------------ columns

function columnOf(shape: TableShape, { column: name, at }: { column: string; at: number }): [Column, number] {
  let ordinal = shape.columns.findIndex((column) => column.name === name)
  // Names of columns are told apart by the server without case (manual 11.2.3).
  if (ordinal < 0) ordinal = shape.columns.findIndex((c) => c.name.toLowerCase() === name.toLowerCase())
  const column = shape.columns[ordinal]
  if (column === undefined) {
    const names = shape.columns.map((c) => c.name).join(', ')
    throw filterError(at, `${tableName(shape.id)} has no column ${name}`, `Its columns are: ${names}.`)
  }
  if (column.generated) {
    throw filterError(
      at,
      `${shown(column)}: a generated column`,
      'Filter by the columns from which it is computed.',
    )
  }
  return [column, ordinal]
}

const shown = (column: Column): string => `${column.name} (${column.type.sql})`

const quoted = (column: Column): string => `\`${byteStringOf(column.name.replaceAll('`', '``'))}\``

const hexLiteral = (bytes: string): string => {
  let hex = ''
  for (let i = 0; i < bytes.length; i++) hex += bytes.charCodeAt(i).toString(16).padStart(2, '0')
  return `x'${hex}'`
}

/** A zero date in a NOT NULL column "IS NULL" for the server unless it is hidden in an expression (manual 14.4.2, IS NULL). */
function nullSql(column: Column): string {
  const { kind } = column.type
  return kind === 'date' || kind === 'datetime' || kind === 'timestamp' ? bytesSql(column) : quoted(column)
}

const bytesSql = (column: Column): string => `CAST(${quoted(column)} AS BINARY)`
const unsignedSql = (column: Column): string => `CAST(${quoted(column)} AS UNSIGNED)`

function operatorOf(column: Column, at: number): Operator {
  const { kind } = column.type
  switch (kind) {
    case 'int':
      return { sql: quoted(column), operand: (literal) => integerOperand(literal, column) }
    case 'bit':
    case 'year':
      // The server reads a bare 70 beside a YEAR as 1970; as a number it stays 70.
      return { sql: unsignedSql(column), operand: (literal) => integerOperand(literal, column) }
    case 'decimal':
      return { sql: quoted(column), operand: (literal) => decimalOperand(literal, column) }
    case 'float':
    case 'double':
      return {
        sql: quoted(column),
        operand: (literal) => floatOperand(literal, column),
        equalityRefused: 'a floating point number is hardly ever equal to a decimal literal; use < and >',
      }
    case 'text':
    case 'bytes':
      return { sql: bytesSql(column), operand: (literal) => bytesOperand(literal, column) }
    case 'date':
    case 'datetime':
    case 'timestamp':
      return { sql: bytesSql(column), operand: (literal) => dateOperand(literal, column) }
    case 'time':
      return { sql: quoted(column), operand: (literal) => timeOperand(literal, column) }
    case 'enum':
    case 'set':
      return {
        sql: unsignedSql(column),
        operand: (literal) => labelOperand(literal, column),
        orderRefused: 'labels have no order that both sides share; use =, != or IN',
      }
    case 'json':
    case 'geometry':
    case 'vector':
      throw filterError(at, `${shown(column)}: only IS NULL and IS NOT NULL can be asked`)
  }
}

// ----------------------------------------------------------------------------------------------------------- literals

const wrongLiteral = (literal: FilterLiteral, column: Column, wanted: string): Error =>
  filterError(literal.at, `${shown(column)} compares with ${wanted}`)

const sign = <T extends Present>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0)

interface Decimal {
  /** The number times 10 to the power of `scale`. */
  readonly unscaled: bigint
  readonly scale: number
  /** In one canonical way: no leading or trailing zeros. */
  readonly text: string
}

/** DECIMAL holds 65 digits, 30 of them after the point; beyond that the server goes over to DOUBLE (manual 14.24). */
function decimalOf(literal: FilterLiteral, column: Column): Decimal {
  if (literal.kind === 'boolean')
    return { unscaled: literal.value ? 1n : 0n, scale: 0, text: literal.value ? '1' : '0' }
  if (literal.kind !== 'number') throw wrongLiteral(literal, column, 'a number, without quotes')
  const negative = literal.text.startsWith('-')
  const [whole = '', fraction = ''] = literal.text.replace('-', '').split('.')
  const digits = whole.replace(/^0+/, '')
  const decimals = fraction.replace(/0+$/, '')
  if (digits.length + decimals.length > 65 || decimals.length > 30) {
    throw wrongLiteral(literal, column, 'numbers of at most 65 digits, 30 of them after the point')
  }
  const unscaled = BigInt(`${digits}${decimals}`) * (negative ? -1n : 1n)
  const text = `${digits === '' ? '0' : digits}${decimals === '' ? '' : `.${decimals}`}`
  return { unscaled, scale: decimals.length, text: unscaled < 0n ? `-${text}` : text }
}

function integerOperand(literal: FilterLiteral, column: Column): Operand {
  const { unscaled, scale, text } = decimalOf(literal, column)
  if (scale > 0) {
    const power = 10n ** BigInt(scale)
    return { order: (value) => sign(BigInt(value) * power, unscaled), sql: text }
  }
  const small = Number(unscaled)
  if (Number.isSafeInteger(small)) {
    // JavaScript compares a bigint with a number exactly.
    return { order: (value) => sign<Present>(value, small), sql: text }
  }
  return { order: (value) => sign<Present>(value, unscaled), sql: text }
}

function decimalOperand(literal: FilterLiteral, column: Column): Operand {
  const { unscaled, scale, text } = decimalOf(literal, column)
  const power = 10n ** BigInt(scale)
  return {
    order: (value) => {
      const digits = value as string
      const point = digits.indexOf('.')
      if (point < 0) return sign(BigInt(digits) * power, unscaled)
      const whole = BigInt(digits.slice(0, point) + digits.slice(point + 1))
      const decimals = digits.length - point - 1
      if (decimals === scale) return sign(whole, unscaled)
      if (decimals < scale) return sign(whole * 10n ** BigInt(scale - decimals), unscaled)
      return sign(whole, unscaled * 10n ** BigInt(decimals - scale))
    },
    sql: text,
  }
}

function floatOperand(literal: FilterLiteral, column: Column): Operand {
  const number = Number(decimalOf(literal, column).text)
  // With an exponent the server reads a DOUBLE, and not a DECIMAL; the digits are those that give the same double back.
  return { order: (value) => sign(value as number, number), sql: number.toExponential() }
}

function bytesOperand(literal: FilterLiteral, column: Column): Operand {
  const { kind, charset, fixed, maxBytes } = column.type
  let bytes: string | null = null
  if (literal.kind === 'bytes') bytes = bytesOfHex(literal.hex)
  else if (literal.kind !== 'text') throw wrongLiteral(literal, column, "a text in single quotes, or x'hex'")
  else if (kind === 'bytes') bytes = encodeText(literal.text, 'binary')
  else if (charset !== undefined) bytes = encodeText(literal.text, charset)
  if (bytes === null) {
    const message = `'${literal.kind === 'text' ? literal.text : ''}' has no certain bytes in the character set ${charset ?? '(unknown)'}`
    throw filterError(literal.at, `${shown(column)}: ${message}`, "Write the bytes themselves: x'hex'.")
  }
  if (kind === 'bytes' && fixed === true && maxBytes !== undefined) bytes = bytes.padEnd(maxBytes, '\0')
  const wanted = bytes
  return { order: (value) => sign<Present>(value, wanted), sql: hexLiteral(wanted) }
}

function bytesOfHex(hex: string): string {
  let bytes = ''
  for (let i = 0; i < hex.length; i += 2)
    bytes += String.fromCharCode(Number.parseInt(hex.slice(i, i + 2), 16))
  return bytes
}

const datePattern = /^\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])$/
const dateTimePattern =
  /^(\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01]))(?:[ T]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d{1,6}))?)?$/
const timePattern = /^(-?)(\d{1,3}):([0-5]\d):([0-5]\d)(?:\.(\d{1,6}))?$/

/** Values of one column have one width and run from the year down, so that they order as text. */
function dateOperand(literal: FilterLiteral, column: Column): Operand {
  const { kind, fraction = 0 } = column.type
  const given = literal.kind === 'text' ? literal.text : ''
  let text = given
  if (kind === 'date') {
    if (!datePattern.test(given)) throw wrongLiteral(literal, column, "a date: 'YYYY-MM-DD'")
  } else {
    const parts = dateTimePattern.exec(given)
    if (parts === null) throw wrongLiteral(literal, column, "a time: 'YYYY-MM-DD hh:mm:ss'")
    const [, date, time = '00:00:00', decimals = ''] = parts
    const significant = decimals.replace(/0+$/, '')
    if (significant.length > fraction) {
      throw wrongLiteral(literal, column, `at most ${fraction} digits after the point`)
    }
    text = `${date} ${time}${fraction === 0 ? '' : `.${significant.padEnd(fraction, '0')}`}`
  }
  return { order: (value) => sign<Present>(value, text), sql: hexLiteral(text) }
}

function timeOperand(literal: FilterLiteral, column: Column): Operand {
  const given = literal.kind === 'text' ? literal.text : ''
  const wanted = microsecondsOf(given)
  if (wanted === null || Math.abs(wanted) > 3_020_399_000_000) {
    throw wrongLiteral(literal, column, "a time between '-838:59:59' and '838:59:59'")
  }
  return {
    order: (value) => sign(microsecondsOf(value as string) ?? Number.NaN, wanted),
    sql: `TIME'${given}'`,
  }
}

function microsecondsOf(time: string): number | null {
  const parts = timePattern.exec(time)
  if (parts === null) return null
  const [, minus, hours, minutes, seconds, decimals = ''] = parts
  const whole = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  const size = whole * 1_000_000 + Number(decimals.padEnd(6, '0'))
  return minus === '-' && size !== 0 ? -size : size
}

function labelOperand(literal: FilterLiteral, column: Column): Operand {
  const { kind, labels, charset } = column.type
  if (literal.kind !== 'text') throw wrongLiteral(literal, column, 'labels in single quotes')
  if (labels === undefined || charset === undefined) {
    throw filterError(literal.at, `${shown(column)}: its labels are not known`)
  }
  const numberOf = (label: string): number => {
    const bytes = encodeText(label, charset)
    const index = bytes === null ? -1 : labels.indexOf(bytes)
    if (index < 0) {
      throw filterError(
        literal.at,
        `${shown(column)} has no label '${label}'`,
        'Labels are compared exactly, with their case.',
      )
    }
    return index
  }
  if (kind === 'enum') {
    const index = numberOf(literal.text) + 1
    return { order: (value) => sign<Present>(value, index), sql: String(index) }
  }
  let mask = 0n
  if (literal.text !== '') for (const label of literal.text.split(',')) mask |= 1n << BigInt(numberOf(label))
  return { order: (value) => sign<Present>(value, mask), sql: String(mask) }
}
