/*
 * Positions and key values come back from their stored text exactly, type by type.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyText, positionOf, positionText, storedKeyOf } from '../../../src/core/exact-json.ts'
import type { Value } from '../../../src/core/value.ts'

const byteString = fc.uint8Array().map((bytes) => String.fromCharCode(...bytes))
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.constant(-0),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  byteString,
)

test('key values of every kind survive', () => {
  fc.assert(
    fc.property(fc.array(value), fc.option(fc.string(), { nil: undefined }), (key, order) => {
      const text = keyText(order === undefined ? { values: key } : { values: key, order })
      expect(text).toMatch(/^[ -~]*$/)
      const { values: back, order: backOrder } = storedKeyOf(text)
      expect(backOrder).toBe(order)
      expect(back.length).toBe(key.length)
      back.forEach((part, i) => expect(Object.is(part, key[i])).toBe(true))
    }),
  )
})

test('positions survive', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (token, ordinal) => {
      const text = positionText({ token, ordinal })
      expect(text).toMatch(/^[ -~]*$/)
      expect(positionOf(text)).toEqual({ token, ordinal })
    }),
  )
})

test.each(['', 'x', '{}', '[{"k":1}]', '[true]', '{"token":1,"ordinal":0}'])(
  '%s is not guessed at',
  (text) => {
    if (text.startsWith('[')) expect(() => storedKeyOf(text)).toThrow('cannot be read')
    else {
      expect(() => positionOf(text)).toThrow('cannot be read')
      expect(() => storedKeyOf(text)).toThrow('cannot be read')
    }
  },
)
