/**
 * Key values that a person wrote, as values of the key's columns. Pure.
 *
 * Exact or refused (SYNC-5102, with the column and what is expected there): a bound that means something else than was meant would compare other rows
 * without anybody seeing it.
 */
import { encodeText } from './charset.ts'
import { labelTexts } from './comparison.ts'
import { SyncError } from './errors.ts'
import { type Column, type ColumnType, type TableShape, tableName } from './schema.ts'
import { byteStringOf, type Value } from './value.ts'

/**
 * @param texts one for each column of the primary key, or for its first ones, in the key's order
 * @throws SYNC-5102
 */
export function keyFromTexts(table: TableShape, texts: readonly string[]): Value[] {
  const key = (table.primaryKey?.ordinals ?? []).map((ordinal) => table.columns[ordinal] as Column)
  const name = tableName(table.id)
  if (key.length === 0) throw new SyncError('SYNC-5102', `${name} has no primary key`)
  if (texts.length === 0 || texts.length > key.length) {
    throw new SyncError(
      'SYNC-5102',
      `${name}: ${texts.length} values were given, and its key has ${key.length} column${key.length === 1 ? '' : 's'} (${key.map((column) => column.name).join(', ')})`,
    )
  }
  return texts.map((text, part) => {
    const column = key[part] as Column
    const read = valueOf(column.type, text)
    if ('value' in read) return read.value
    throw new SyncError(
      'SYNC-5102',
      `${name}.${column.name} is ${column.type.sql}, and '${text}' is not ${read.expected}`,
    )
  })
}

type Read = { readonly value: Value } | { readonly expected: string }

const datePattern = /^\d{4}-\d{2}-\d{2}$/
const timePattern = /^-?\d{2,3}:[0-5]\d:[0-5]\d(?:\.(\d{1,6}))?$/
const momentPattern = /^(\d{4}-\d{2}-\d{2})[ T]([0-2]\d:[0-5]\d:[0-5]\d)(?:\.(\d{1,6}))?$/

function valueOf(type: ColumnType, text: string): Read {
  switch (type.kind) {
    case 'int':
    case 'year':
      return integer(type, text)
    case 'bit':
      return /^\d+$/.test(text) && BigInt(text) < 1n << BigInt(type.maxBytes ?? 64)
        ? { value: BigInt(text) }
        : { expected: `a number from 0 of at most ${type.maxBytes ?? 64} bits` }
    case 'decimal':
      return decimal(type, text)
    case 'double':
    case 'float':
      return text.trim() !== '' && Number.isFinite(Number(text))
        ? { value: Number(text) }
        : { expected: 'a number' }
    case 'date':
      return datePattern.test(text) ? { value: text } : { expected: 'a date such as 2024-12-31' }
    case 'time':
      return timePattern.test(text) ? { value: text } : { expected: 'a time such as 13:05:00' }
    case 'datetime':
    case 'timestamp': {
      if (datePattern.test(text)) return { value: `${text} 00:00:00` }
      const match = momentPattern.exec(text)
      if (match === null) {
        return {
          expected: `a moment such as 2024-12-31 13:05:00${type.kind === 'timestamp' ? ', in UTC' : ''}`,
        }
      }
      return { value: `${match[1]} ${match[2]}${match[3] === undefined ? '' : `.${match[3]}`}` }
    }
    case 'text': {
      const bytes = encodeText(text, type.charset ?? 'utf8mb4')
      return bytes === null ? { expected: `a text that ${type.charset} certainly has` } : { value: bytes }
    }
    case 'bytes': {
      const hex = /^0x((?:[0-9a-f]{2})*)$/i.exec(text)?.[1]
      if (hex === undefined) return { expected: 'bytes such as 0x00ff' }
      return {
        value: padded(
          type,
          String.fromCharCode(...(hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16))),
        ),
      }
    }
    case 'enum': {
      const place = labelTexts(type).indexOf(text)
      return place < 0 ? { expected: `one of ${labelTexts(type).join(', ')}` } : { value: place + 1 }
    }
    default:
      return { expected: `something that can be written as a bound: keys of ${type.kind} have none` }
  }
}

const padded = (type: ColumnType, bytes: string): string =>
  type.fixed === true ? bytes.padEnd(type.maxBytes ?? 0, '\0') : bytes

function integer(type: ColumnType, text: string): Read {
  const bits = BigInt(8 * (type.bytes ?? 2))
  const unsigned = type.unsigned === true || type.kind === 'year'
  const [least, most] = unsigned ? [0n, (1n << bits) - 1n] : [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n]
  const expected = { expected: `a whole number from ${least} to ${most}` }
  if (!/^[+-]?\d{1,20}$/.test(text)) return expected
  const value = BigInt(text.replace('+', ''))
  if (value < least || value > most) return expected
  return { value: type.bytes === 8 ? value : Number(value) }
}

function decimal(type: ColumnType, text: string): Read {
  const match = /^[+-]?(\d+)(?:\.(\d+))?$/.exec(text)
  const whole = (type.precision ?? 65) - (type.scale ?? 0)
  if (match === null || (match[1] as string).replace(/^0+/, '').length > whole) {
    return { expected: `a number with at most ${whole} digits before the point` }
  }
  return { value: byteStringOf(text.replace('+', '')) }
}
