/**
 * Do two texts hold the same JSON document? Pure.
 *
 * The order of members and the way a number or a character is written say nothing; every digit of a number counts (1.10 is 1.1, and 30 digits are not
 * 17). Of members with one name the last holds, as in MySQL. A text that is not JSON is equal to nothing but itself.
 */
import { bytesOf } from './value.ts'

/** Deeper than any document that MySQL takes (100). */
const deepest = 512

/** @param a UTF-8, as a byte string */
export function jsonEqual(a: string, b: string): boolean {
  if (a === b) return true
  const left = canonicalJson(a)
  return left !== null && left === canonicalJson(b)
}

/** One text for one meaning; null: not JSON, or too deep. */
export function canonicalJson(bytes: string): string | null {
  const reader = createReader(new TextDecoder().decode(bytesOf(bytes)))
  try {
    return reader.document()
  } catch (error) {
    if (error instanceof NotJson) return null
    throw error
  }
}

class NotJson extends Error {}

const space = /[ \t\n\r]*/y
const stringToken = /"(?:[^"\\]|\\.)*"/sy
const numberToken = /(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?/y
const word = /true|false|null/y

function createReader(text: string) {
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match !== null) at += match[0].length
    return match
  }
  const skip = (character: string): boolean => {
    take(space)
    if (text[at] !== character) return false
    at++
    return true
  }
  const expect = (character: string): void => {
    if (!skip(character)) throw new NotJson()
  }
  const string = (): string => {
    take(space)
    const match = take(stringToken)
    if (match === null) throw new NotJson()
    try {
      return JSON.stringify(JSON.parse(match[0]))
    } catch {
      throw new NotJson()
    }
  }
  const value = (depth: number): string => {
    if (depth > deepest) throw new NotJson()
    if (skip('{')) return object(depth)
    if (skip('[')) return array(depth)
    if (text[at] === '"') return string()
    const fixed = take(word)
    if (fixed !== null) return fixed[0]
    const number = take(numberToken)
    if (number === null) throw new NotJson()
    return canonicalNumber(number)
  }
  const object = (depth: number): string => {
    const members = new Map<string, string>()
    if (!skip('}')) {
      do {
        const name = string()
        expect(':')
        members.set(name, value(depth + 1))
      } while (skip(','))
      expect('}')
    }
    const sorted = [...members].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    return `{${sorted.map(([name, member]) => `${name}:${member}`).join(',')}}`
  }
  const array = (depth: number): string => {
    const items: string[] = []
    if (!skip(']')) {
      do items.push(value(depth + 1))
      while (skip(','))
      expect(']')
    }
    return `[${items.join(',')}]`
  }
  return {
    document(): string {
      const document = value(0)
      take(space)
      if (at !== text.length) throw new NotJson()
      return document
    },
  }
}

/** Digits without zeros at either end, and where the point is. */
function canonicalNumber([, sign = '', whole = '', fraction = '', exponent = '0']: RegExpExecArray): string {
  const digits = (whole + fraction).replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  if (kept === '') return '0'
  // An exponent of any length is only text here: no number of JavaScript takes part.
  const place = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - kept.length)
  return `${sign}${kept}e${place}`
}
