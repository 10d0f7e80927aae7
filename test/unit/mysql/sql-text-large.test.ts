import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bytesLiteral } from '../../../src/connectors/mysql/sql-text.ts'

it('writes large values exactly as small ones', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', "'", '\\', '\0', '\xff', 'xyz'), { minLength: 1, maxLength: 40 }),
      (parts) => {
        const small = parts.join('')
        const times = Math.ceil(5_000 / small.length)
        const inner = bytesLiteral(small).slice('_binary'.length + 1, -1)
        expect(bytesLiteral(small.repeat(times))).toBe(`_binary'${inner.repeat(times)}'`)
      },
    ),
  )
})
