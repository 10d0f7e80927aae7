/*
 * GTID sets against plain sets of numbers, and against zongji's GtidSet, which an independent author wrote from the server's sources.
 */
import { GtidSet as OracleSet } from '@vlasky/zongji'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GtidSet } from '../../src/connectors/mysql/gtid-set.ts'

const sources = [
  '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  '3e11fa47-71ca-11e1-9e33-c80aa9429562:tag_a',
  '3e11fa47-71ca-11e1-9e33-c80aa9429562:tag',
  '00000000-0000-0000-0000-000000000001',
  'ffffffff-ffff-ffff-ffff-ffffffffffff:_z9',
]
const source = fc.constantFrom(...sources)
const gno = fc.oneof(
  { weight: 6, arbitrary: fc.bigInt(1n, 40n) },
  { weight: 1, arbitrary: fc.bigInt(2n ** 53n - 4n, 2n ** 53n + 4n) },
  { weight: 1, arbitrary: fc.bigInt(2n ** 63n - 12n, 2n ** 63n - 2n) },
)
const one = fc.tuple(source, gno).map(([s, n]) => `${s}:${n}`)
const range = fc
  .tuple(source, gno, fc.bigInt(0n, 9n))
  .map(([s, n, more]) => `${s}:${n}-${n + more < 2n ** 63n - 1n ? n + more : n}`)
const entries = fc.array(fc.oneof(one, range), { maxLength: 30 })

const everyNumber = (list: readonly string[]): Set<string> => {
  const numbers = new Set<string>()
  for (const entry of list) {
    const at = entry.lastIndexOf(':')
    const [start, end] = entry.slice(at + 1).split('-') as [string, string?]
    for (let n = BigInt(start); n <= BigInt(end ?? start); n++) numbers.add(`${entry.slice(0, at)}:${n}`)
  }
  return numbers
}

describe('a GTID set', () => {
  it('has the text and the encoding of the oracle, however it was made', () => {
    fc.assert(
      fc.property(entries, fc.array(one, { maxLength: 40 }), (start, added) => {
        const own = GtidSet.parse(start.join(','))
        const oracle = OracleSet.parse(start.join(','))
        for (const gtid of added) {
          own.add(gtid)
          oracle.add(gtid)
        }
        expect(own.toString()).toBe(oracle.toString())
        const encoded = (oracle as unknown as { encode(): Buffer }).encode()
        expect(own.encode().toString('hex')).toBe(encoded.toString('hex'))
        expect(GtidSet.parse(own.toString()).equals(own)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('holds what was put in, and nothing else', () => {
    fc.assert(
      fc.property(entries, fc.array(one, { maxLength: 20 }), entries, (start, added, other) => {
        const own = GtidSet.parse(start.join(','))
        for (const gtid of added) own.add(gtid)
        const numbers = everyNumber([...start, ...added])
        const theirs = everyNumber(other)
        for (const gtid of [...numbers, ...theirs]) expect(own.has(gtid)).toBe(numbers.has(gtid))
        const otherSet = GtidSet.parse(other.join(','))
        expect(own.includes(otherSet)).toBe([...theirs].every((gtid) => numbers.has(gtid)))
        expect(own.isEmpty).toBe(numbers.size === 0)
        const union = own.union(otherSet)
        expect(union.equals(otherSet.union(own))).toBe(true)
        expect(union.toString()).toBe(GtidSet.parse([...numbers, ...theirs].join(',')).toString())
      }),
      { numRuns: 1000 },
    )
  })
})
