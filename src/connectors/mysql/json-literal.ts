/**
 * JSON as a SQL expression whose result has the same text, digit by digit.
 *
 * The server reads a number with a fraction as a DOUBLE, but a document may hold DECIMALs (`JSON_OBJECT('price', price)`): read back from
 * its own text, 1.50 becomes 1.5, and 30 digits become 17. So numbers whose text a DOUBLE would not give back are put in as DECIMALs
 * with JSON_REPLACE; everything else stays in the text. A DECIMAL such as 1.5, which a DOUBLE gives back as well, becomes a DOUBLE: the text
 * is the same, and the text is all that a SELECT tells. Dates and blobs inside a document become the strings that their text shows.
 * Pure. Assumes the server's own text (no needless spaces, valid JSON).
 */
import { doubleText } from './binlog/json-text.ts'

interface Found {
  readonly path: string
  readonly digits: string
}

/** A fraction that ends in 0, or so many digits that a DOUBLE cannot hold them. Seldom true, and quick. */
const mayHoldDecimal = /\d\.\d*0(?![\d])|\d[\d.]{15}/

/** The longest path expression; a deeper or longer one is left as text. */
const maxReplacements = 1_000

/** @param quoted makes a SQL literal of a byte string */
export function jsonLiteral(text: string, quoted: (bytes: string) => string): string {
  const document = `_utf8mb4${quoted(text)}`
  if (!mayHoldDecimal.test(text)) return document
  const found = decimalsIn(text)
  if (found.length === 0) return document
  if (found.length === 1 && found[0]?.path === '$')
    return `CAST(${decimal((found[0] as Found).digits)} AS JSON)`
  let expression = `CAST(${document} AS JSON)`
  for (let at = 0; at < found.length; at += maxReplacements) {
    const pairs = found
      .slice(at, at + maxReplacements)
      .map(({ path, digits }) => `, _utf8mb4${quoted(path)}, ${decimal(digits)}`)
    expression = `JSON_REPLACE(${expression}${pairs.join('')})`
  }
  return expression
}

/** Text of a number that was a DECIMAL at the source: at most 65 digits, 30 of them after the point. */
function decimal(digits: string): string {
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.')
  const precision = Math.max(whole.replace(/^0+/, '').length + fraction.length, 1)
  return `CAST('${digits}' AS DECIMAL(${precision},${fraction.length}))`
}

const isDecimal = (token: string): boolean =>
  !/[eE]/.test(token) &&
  (token.includes('.') || token.length > 19) &&
  doubleText(Number(token)) !== token &&
  !fitsInteger(token)

function fitsInteger(token: string): boolean {
  if (token.includes('.')) return false
  const value = BigInt(token)
  return value >= -(1n << 63n) && value < 1n << 64n
}

/** Walks the text once, keeping the path; keys are taken over in their own escaped form, which a path reads in the same way. */
function decimalsIn(text: string): Found[] {
  const found: Found[] = []
  const path: (string | number)[] = []
  const isObject: boolean[] = []
  let expectsKey = false
  let i = 0
  while (i < text.length) {
    const char = text[i] as string
    if (char === '"') {
      const end = stringEnd(text, i)
      if (expectsKey) {
        path[path.length - 1] = text.slice(i, end)
        expectsKey = false
      }
      i = end
    } else if (char === '{' || char === '[') {
      isObject.push(char === '{')
      path.push(char === '{' ? '' : 0)
      expectsKey = char === '{'
      i++
    } else if (char === '}' || char === ']') {
      isObject.pop()
      path.pop()
      expectsKey = false
      i++
    } else if (char === ',') {
      if (isObject.at(-1) === true) expectsKey = true
      else path[path.length - 1] = (path.at(-1) as number) + 1
      i++
    } else if (char === '-' || (char >= '0' && char <= '9')) {
      const end = numberEnd(text, i)
      const token = text.slice(i, end)
      if (isDecimal(token)) found.push({ path: pathText(path), digits: token })
      i = end
    } else i++
  }
  return found
}

const pathText = (path: readonly (string | number)[]): string =>
  `$${path.map((leg) => (typeof leg === 'number' ? `[${leg}]` : `.${leg}`)).join('')}`

function stringEnd(text: string, start: number): number {
  let i = start + 1
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i + 1
}

function numberEnd(text: string, start: number): number {
  let i = start
  while (i < text.length && /[-+.\deE]/.test(text[i] as string)) i++
  return i
}
