import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bytesLiteral,
  identifier,
  literal,
  needsNonStrict,
  qualifiedName,
  textLiteral,
} from '../../../src/connectors/mysql/sql-text.ts'
import { SyncError } from '../../../src/core/errors.ts'
import type { ColumnKind, ColumnType } from '../../../src/core/schema.ts'

const type = (kind: ColumnKind, charset?: string): ColumnType => ({
  kind,
  sql: kind,
  ...(charset === undefined ? {} : { charset }),
})

const byteString = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
  maxLength: 60,
})

/** What a server's lexer that reads byte by byte makes of a quoted string: \x is x, and '' is '. */
function unquote(sql: string): string {
  const at = sql.indexOf("'")
  let out = ''
  for (let i = at + 1; i < sql.length; i++) {
    if (sql[i] === '\\') out += sql[++i]
    else if (sql[i] === "'") {
      expect(i).toBe(sql.length - 1)
      return out
    } else out += sql[i]
  }
  throw new Error('the string does not end')
}

describe('names', () => {
  it('are bytes of UTF-8 in backticks', () => {
    expect(identifier('a')).toBe('`a`')
    expect(identifier('a`b')).toBe('`a``b`')
    expect(identifier('\u00e9')).toBe('`\xc3\xa9`')
    expect(identifier('名`')).toBe('`\xe5\x90\x8d```')
    expect(qualifiedName({ schema: 's', name: 't' })).toBe('`s`.`t`')
  })
})

describe('literals', () => {
  it('of bytes and text give every byte again, short and long', () => {
    fc.assert(
      fc.property(byteString, fc.constantFrom('utf8mb4', 'gbk', 'latin1'), (bytes, charset) => {
        expect(unquote(literal(bytes, type('text', charset)))).toBe(bytes)
        expect(unquote(literal(bytes, type('bytes')))).toBe(bytes)
        expect(unquote(bytesLiteral(bytes))).toBe(bytes)
        const long = bytes.repeat(Math.ceil(70_000 / Math.max(1, bytes.length)))
        expect(unquote(literal(long, type('bytes'))) === long).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  it('carry the character set that the bytes are in', () => {
    expect(literal('a', type('text', 'gbk'))).toBe("_gbk'a'")
    expect(literal('{}', type('json'))).toBe("_utf8mb4'{}'")
    expect(literal('\0', type('geometry'))).toBe("_binary'\0'")
    expect(literal('\0', type('vector'))).toBe("_binary'\0'")
    expect(textLiteral('\u00e9')).toBe("_utf8mb4'\xc3\xa9'")
  })

  it('of doubles read back as the same double', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = literal(value, type('double'))
        expect(text).toMatch(/e/)
        expect(Object.is(Number(text), value)).toBe(true)
      }),
    )
    expect(literal(-0, type('float'))).toBe('-0e0')
  })

  it('of the rest are what they are', () => {
    expect(literal(null, type('int'))).toBe('NULL')
    expect(literal(-5, type('int'))).toBe('-5')
    expect(literal(18446744073709551615n, type('bit'))).toBe('18446744073709551615')
    expect(literal(2, type('enum'))).toBe('2')
    expect(literal('-12.50', type('decimal'))).toBe('-12.50')
    expect(literal('0000-00-00', type('date'))).toBe("'0000-00-00'")
  })

  it('refuse what does not fit its column type', () => {
    for (const [value, kind] of [
      ["1'; DROP TABLE x; --", 'decimal'],
      ['1e5', 'decimal'],
      ['5', 'int'],
      [Number.NaN, 'double'],
      [Number.POSITIVE_INFINITY, 'float'],
    ] as const) {
      expect(() => literal(value, type(kind))).toThrow(SyncError)
    }
    expect(() => literal('a', type('text'))).toThrow('character set')
    expect(() => literal('a', type('text', "x' OR"))).toThrow('character set')
  })

  it('only the error value of an ENUM needs the other sql_mode', () => {
    expect(needsNonStrict(0, type('enum'))).toBe(true)
    expect(needsNonStrict(1, type('enum'))).toBe(false)
    expect(needsNonStrict(0, type('int'))).toBe(false)
  })
})
