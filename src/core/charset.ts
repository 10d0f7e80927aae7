/**
 * Text into the bytes of a server's character set, for literals that are compared with a column's own bytes.
 *
 * Exact or refused: null wherever the bytes are not certain. ASCII text is certain in every set that keeps ASCII; the sets of Unicode and
 * latin1 (which for MySQL is Windows-1252) are made here in full.
 */
import { byteStringOf } from './value.ts'

/** Sets in which ASCII text has its ASCII bytes and no other text has bytes below 0x80 at the start of a character. */
const keepAscii = new Set([
  'armscii8',
  'big5',
  'cp1250',
  'cp1251',
  'cp1256',
  'cp1257',
  'cp850',
  'cp852',
  'cp866',
  'cp932',
  'eucjpms',
  'euckr',
  'gb18030',
  'gb2312',
  'gbk',
  'geostd8',
  'greek',
  'hebrew',
  'keybcs2',
  'koi8r',
  'koi8u',
  'latin2',
  'latin5',
  'latin7',
  'macce',
  'macroman',
  'tis620',
  'ujis',
])

/** Windows-1252 from 0x80 on; places without a character stand for the control character of the same number, as in MySQL. */
const windows1252 =
  '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f' +
  '\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178'

/** The byte string of `text` in the character set that the server calls `charset`, or null. */
export function encodeText(text: string, charset: string): string | null {
  // A lone surrogate is no text; TextEncoder would replace it in silence.
  if (!text.isWellFormed()) return null
  switch (charset) {
    case 'utf8mb4':
    case 'binary':
      return byteStringOf(text)
    case 'utf8mb3':
    case 'utf8':
      return isBasic(text) ? byteStringOf(text) : null
    case 'latin1':
      return latin1Bytes(text)
    case 'ucs2':
      return isBasic(text) ? unitBytes(text, 2) : null
    case 'utf16':
      return unitBytes(text, 2)
    case 'utf16le':
      return unitBytes(text, 2, true)
    case 'utf32':
      return Array.from(text, (c) => bigEndian(c.codePointAt(0) as number, 4)).join('')
    default:
      return isAscii(text) && (charset === 'ascii' || keepAscii.has(charset)) ? text : null
  }
}

const isAscii = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

/** Without characters outside the basic plane. */
const isBasic = (text: string): boolean => !/[\ud800-\udfff]/.test(text)

function latin1Bytes(text: string): string | null {
  let out = ''
  for (const character of text) {
    const code = character.codePointAt(0) as number
    const special = windows1252.indexOf(character)
    if (special >= 0) out += String.fromCharCode(0x80 + special)
    else if (code < 0x80 || (code >= 0xa0 && code <= 0xff)) out += character
    else return null
  }
  return out
}

function unitBytes(text: string, bytes: number, littleEndian = false): string {
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const unit = bigEndian(text.charCodeAt(i), bytes)
    out += littleEndian ? unit.charAt(1) + unit.charAt(0) : unit
  }
  return out
}

function bigEndian(number: number, bytes: number): string {
  let out = ''
  for (let i = bytes - 1; i >= 0; i--) out += String.fromCharCode((number >>> (8 * i)) & 0xff)
  return out
}
