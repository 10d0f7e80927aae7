/*
 * DECIMAL in the server's binary form as the server's own text: '-0.50', '0.00', no zeros in front beyond one.
 * The form: groups of nine digits in four big-endian bytes, what is left of the digits in fewer; the highest bit is set for numbers not below
 * zero; negative numbers have every bit turned. Held against the server's text by test.
 */
import type { Bytes } from './bytes.ts'

const bytesOfDigits: readonly number[] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]

/** Bytes that a DECIMAL(precision, scale) takes. */
export function decimalBytes(precision: number, scale: number): number {
  const whole = precision - scale
  return (
    Math.floor(whole / 9) * 4 +
    (bytesOfDigits[whole % 9] as number) +
    Math.floor(scale / 9) * 4 +
    (bytesOfDigits[scale % 9] as number)
  )
}

/** Big-endian number of up to four bytes; `flip` turns the bits of negative numbers back. */
function group(b: Bytes, o: number, bytes: number, flip: number): number {
  let value = 0
  for (let i = 0; i < bytes; i++) value = value * 256 + ((b[o + i] as number) ^ flip)
  return value
}

const twoDigits: readonly string[] = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))

const padded = (value: number, digits: number): string =>
  digits === 2 ? (twoDigits[value] as string) : String(value).padStart(digits, '0')

/** Makes the reader of one column's values. */
export function decimalReader(precision: number, scale: number): (b: Bytes, o: number) => string {
  const whole = precision - scale
  const wholeGroups = Math.floor(whole / 9)
  const firstDigits = whole % 9
  const firstBytes = bytesOfDigits[firstDigits] as number
  const fractionGroups = Math.floor(scale / 9)
  const lastDigits = scale % 9
  const lastBytes = bytesOfDigits[lastDigits] as number
  // The sign bit stands in the first byte, whichever group that belongs to.
  const signBitOf = (bytes: number): number => 0x80 * 256 ** (bytes - 1)
  const firstSign = signBitOf(firstBytes)

  return (b, o) => {
    const negative = (b[o] as number) < 0x80
    const flip = negative ? 0xff : 0
    let at = o
    let text = ''
    let zero = true
    if (firstBytes > 0) {
      const value = group(b, at, firstBytes, flip) - firstSign
      at += firstBytes
      if (value !== 0) {
        text = String(value)
        zero = false
      }
    }
    for (let i = 0; i < wholeGroups; i++) {
      let value = group(b, at, 4, flip)
      if (at === o) value -= 0x8000_0000
      at += 4
      if (text !== '') text += padded(value, 9)
      else if (value !== 0) {
        text = String(value)
        zero = false
      }
    }
    if (text === '') text = '0'
    if (scale > 0) {
      text += '.'
      for (let i = 0; i < fractionGroups; i++) {
        let value = group(b, at, 4, flip)
        if (at === o) value -= 0x8000_0000
        at += 4
        if (value !== 0) zero = false
        text += padded(value, 9)
      }
      if (lastBytes > 0) {
        let value = group(b, at, lastBytes, flip)
        if (at === o) value -= signBitOf(lastBytes)
        if (value !== 0) zero = false
        text += padded(value, lastDigits)
      }
    }
    return negative && !zero ? `-${text}` : text
  }
}
