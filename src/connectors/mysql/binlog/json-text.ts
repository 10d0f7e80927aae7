/*
 * A JSON column's binary form as the server's own text of it, in UTF-8 bytes.
 * Guarantees: what `SELECT CAST(column AS CHAR)` gives, byte for byte: order of keys, spacing, escapes, 1.0, 1e20, decimals, dates and times with six
 * digits, other types as base64:typeN:... Source: the server's description of its binary JSON (sql-common/json_binary.h); held
 * against the server by test.
 * Assumes what the server wrote: a length that points outside the value throws SYNC-2206.
 */
import { type Bytes, malformedEvent, u16, u32 } from './bytes.ts'
import { decimalBytes, decimalReader } from './decimal-text.ts'
import { packedTemporalText } from './temporal-text.ts'

const small = { object: 0, array: 2 } as const
const large = { object: 1, array: 3 } as const
const scalar = {
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const

const fieldType = { timestamp: 7, date: 10, time: 11, datetime: 12, newDecimal: 246 } as const

/** Text of the value in `length` bytes at `o`. No bytes at all stand for null, as the server has it. */
export function jsonText(b: Bytes, o: number, length: number): string {
  return length === 0 ? 'null' : valueText(b, b[o] as number, o + 1, o + length)
}

function valueText(b: Bytes, type: number, o: number, end: number): string {
  switch (type) {
    case small.object:
    case large.object:
      return objectText(b, type === large.object, o, end)
    case small.array:
    case large.array:
      return arrayText(b, type === large.array, o, end)
    case scalar.literal:
      return literalText(b[o] as number)
    case scalar.int16:
      return String((u16(b, o) << 16) >> 16)
    case scalar.uint16:
      return String(u16(b, o))
    case scalar.int32:
      return String(u32(b, o) | 0)
    case scalar.uint32:
      return String(u32(b, o))
    case scalar.int64:
      return String(b.readBigInt64LE(o))
    case scalar.uint64:
      return String(b.readBigUInt64LE(o))
    case scalar.double:
      return doubleText(b.readDoubleLE(o))
    case scalar.string: {
      const { length, at } = variableLength(b, o)
      if (at + length > end) throw malformedEvent('a JSON string ends outside its value')
      return quoted(b.toString('latin1', at, at + length))
    }
    case scalar.opaque:
      return opaqueText(b, o, end)
    default:
      throw malformedEvent(`a JSON value of type ${type}`)
  }
}

function literalText(byte: number): string {
  if (byte === 0) return 'null'
  if (byte === 1) return 'true'
  if (byte === 2) return 'false'
  throw malformedEvent(`a JSON literal ${byte}`)
}

/** Text of the element whose entry (type, then the value itself or its offset) stands at `entry`. */
function entryText(b: Bytes, isLarge: boolean, start: number, entry: number, end: number): string {
  const type = b[entry] as number
  const isInline =
    type === scalar.literal ||
    type === scalar.int16 ||
    type === scalar.uint16 ||
    (isLarge && (type === scalar.int32 || type === scalar.uint32))
  if (isInline) return valueText(b, type, entry + 1, end)
  const at = start + (isLarge ? u32(b, entry + 1) : u16(b, entry + 1))
  if (at >= end) throw malformedEvent('a JSON element stands outside its value')
  return valueText(b, type, at, end)
}

function arrayText(b: Bytes, isLarge: boolean, o: number, end: number): string {
  const word = isLarge ? 4 : 2
  const count = isLarge ? u32(b, o) : u16(b, o)
  const entries = o + 2 * word
  if (entries + count * (1 + word) > end) throw malformedEvent('a JSON array ends outside its value')
  let text = '['
  for (let i = 0; i < count; i++) {
    if (i > 0) text += ', '
    text += entryText(b, isLarge, o, entries + i * (1 + word), end)
  }
  return `${text}]`
}

function objectText(b: Bytes, isLarge: boolean, o: number, end: number): string {
  const word = isLarge ? 4 : 2
  const count = isLarge ? u32(b, o) : u16(b, o)
  const keys = o + 2 * word
  const entries = keys + count * (word + 2)
  if (entries + count * (1 + word) > end) throw malformedEvent('a JSON object ends outside its value')
  let text = '{'
  for (let i = 0; i < count; i++) {
    const key = keys + i * (word + 2)
    const at = o + (isLarge ? u32(b, key) : u16(b, key))
    const length = u16(b, key + word)
    if (at + length > end) throw malformedEvent('a JSON key ends outside its value')
    if (i > 0) text += ', '
    text += `${quoted(b.toString('latin1', at, at + length))}: `
    text += entryText(b, isLarge, o, entries + i * (1 + word), end)
  }
  return `${text}}`
}

/** Length in groups of seven bits, lowest first; the highest bit says that another byte follows. */
function variableLength(b: Bytes, o: number): { length: number; at: number } {
  let length = 0
  for (let i = 0; i < 5; i++) {
    const byte = b[o + i] as number
    length += (byte & 127) * 128 ** i
    if (byte < 128) return { length, at: o + i + 1 }
  }
  throw malformedEvent('a JSON length of more than five bytes')
}

// oxlint-disable-next-line no-control-regex -- control characters are what must be escaped
const special = /["\\\u0000-\u001f]/
// oxlint-disable-next-line no-control-regex -- as above
const everySpecial = /["\\\u0000-\u001f]/g
const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
}

const quoted = (text: string): string =>
  special.test(text)
    ? `"${text.replace(everySpecial, (c) => shortEscapes[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`
    : `"${text}"`

/**
 * The shortest digits that give the number back, as the server sets them: with an exponent where the point would stand more than 14 places left
 * of the first digit, or beyond the 15th place with no digit after it (my_gcvt in strings/dtoa.cc); with `.0` where they would read as an
 * integer.
 */
export function doubleText(value: number): string {
  const [digitsWithPoint, exponentText] = Math.abs(value).toExponential().split('e') as [string, string]
  const digits = digitsWithPoint.replace('.', '')
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const exponent = Number(exponentText)
  const point = exponent + 1
  if (value === 0) return `${sign}0.0`
  if (point < -14 || (point > 15 && digits.length <= point)) {
    const mantissa = digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`
    return `${sign}${mantissa}e${exponent}`
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (digits.length <= point) return `${sign}${digits}${'0'.repeat(point - digits.length)}.0`
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

function opaqueText(b: Bytes, o: number, end: number): string {
  const type = b[o] as number
  const { length, at } = variableLength(b, o + 1)
  if (at + length > end) throw malformedEvent('a JSON value ends outside its document')
  switch (type) {
    case fieldType.newDecimal: {
      const precision = b[at] as number
      const scale = b[at + 1] as number
      if (decimalBytes(precision, scale) + 2 > length)
        throw malformedEvent('a JSON decimal ends outside its value')
      return decimalReader(precision, scale)(b, at + 2)
    }
    case fieldType.date:
      return `"${packedTemporalText(b, at, 'date')}"`
    case fieldType.datetime:
    case fieldType.timestamp:
      return `"${packedTemporalText(b, at, 'datetime')}"`
    case fieldType.time:
      return `"${packedTemporalText(b, at, 'time')}"`
    default:
      // The server breaks base64 into lines of 76 characters, and then escapes the line breaks.
      return `"base64:type${type}:${b.toString('base64', at, at + length).replace(/.{76}(?=.)/g, '$&\\n')}"`
  }
}
