import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { commandPacket } from '../../../src/connectors/mysql/session.ts'
import {
  type AnswerReader,
  type CellDecoder,
  createAnswerReader,
  ProtocolError,
  type QueryResult,
  ServerError,
} from '../../../src/connectors/mysql/text-protocol.ts'

const frame = (payload: Buffer, sequence: number): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUIntLE(payload.length, 0, 3)
  head[3] = sequence & 0xff
  return Buffer.concat([head, payload])
}

const lengthEncoded = (length: number): Buffer => {
  if (length < 0xfb) return Buffer.from([length])
  const out = Buffer.alloc(length < 65_536 ? 3 : 4)
  out[0] = length < 65_536 ? 0xfc : 0xfd
  out.writeUIntLE(length, 1, out.length - 1)
  return out
}

const cell = (value: string | null): Buffer =>
  value === null
    ? Buffer.from([0xfb])
    : Buffer.concat([lengthEncoded(value.length), Buffer.from(value, 'latin1')])

const eof = (status = 2): Buffer => Buffer.from([0xfe, 0, 0, status, 0])

function answer(columns: number, rows: readonly (string | null)[][], status = 2): Buffer[] {
  const column = Buffer.concat(
    ['def', '', '', '', 'name', ''].map((part) => cell(part)).concat(Buffer.alloc(13)),
  )
  return [
    lengthEncoded(columns),
    ...Array.from({ length: columns }, () => column),
    eof(),
    ...rows.map((row) => Buffer.concat(row.map(cell))),
    eof(status),
  ]
}

const bytesOf = (payloads: readonly Buffer[], first = 1): Buffer =>
  Buffer.concat(payloads.map((payload, i) => frame(payload, first + i)))

const feed = (reader: AnswerReader, bytes: Buffer, cuts: readonly number[]): QueryResult[] | null => {
  let result: QueryResult[] | null = null
  let at = 0
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    const end = Math.min(Math.max(cut, at), bytes.length)
    if (end > at) result = reader.take(bytes.subarray(at, end))
    at = end
  }
  return result
}

const anyCell = fc.option(
  fc.oneof(
    fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
      maxLength: 300,
    }),
    fc.constant('x'.repeat(70_000)),
  ),
  { nil: null },
)

describe('an answer', () => {
  it('is the same however it is cut on its way', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }).chain((columns) =>
          fc.record({
            columns: fc.constant(columns),
            rows: fc.array(fc.array(anyCell, { minLength: columns, maxLength: columns }), { maxLength: 6 }),
          }),
        ),
        fc.array(fc.nat(3000), { maxLength: 12 }),
        ({ columns, rows }, cuts) => {
          const results = feed(createAnswerReader(), bytesOf(answer(columns, rows)), cuts)
          expect(results?.[0]?.rows).toEqual(rows)
          expect(results?.[0]?.columns).toEqual(Array.from({ length: columns }, () => 'name'))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('of several statements comes whole', () => {
    const ok = Buffer.from([0, 3, 0, 2 | 8, 0, 1, 0, ...Buffer.from('info')])
    const payloads = [...answer(1, [['a']], 2 | 8), ok, ...answer(1, [['b']])]
    const results = createAnswerReader().take(bytesOf(payloads))
    expect(results?.map(({ rows, affectedRows }) => [rows, affectedRows])).toEqual([
      [[['a']], 1],
      [[], 3],
      [[['b']], 1],
    ])
    expect(results?.[1]).toMatchObject({ warnings: 1, info: 'info', complete: true })
  })

  it('with a row beyond 16 MiB is put together', () => {
    const value = 'z'.repeat(0xffffff + 10)
    const row = Buffer.concat([Buffer.from([0xfe]), Buffer.alloc(8), Buffer.from(value, 'latin1')])
    row.writeBigUInt64LE(BigInt(value.length), 1)
    const [head, column, end] = answer(1, []) as [Buffer, Buffer, Buffer]
    const parts = [row.subarray(0, 0xffffff), row.subarray(0xffffff)]
    const bytes = bytesOf([head, column, end, ...parts, eof()])
    const cuts = Array.from({ length: 300 }, (_, i) => i * 65_536)
    const results = feed(createAnswerReader(), bytes, cuts)
    expect(results?.[0]?.rows[0]?.[0] === value).toBe(true)
  })

  it('that is an error throws it, with the statement that it belongs to', () => {
    const error = Buffer.concat([Buffer.from([0xff, 0x26, 0x04]), Buffer.from('#23000Duplicate entry')])
    const reader = createAnswerReader()
    let thrown: unknown
    try {
      reader.take(bytesOf([...answer(1, [['a']], 2 | 8), error]))
    } catch (caught) {
      thrown = caught
    }
    expect(thrown).toBeInstanceOf(ServerError)
    expect(thrown).toMatchObject({ errno: 1062, sqlState: '23000', message: 'Duplicate entry', statement: 1 })
  })

  it('is given up after maxBytes', () => {
    const rows = Array.from({ length: 50 }, (_, i) => [`${i}`.padStart(100, ' ')])
    const reader = createAnswerReader(null, 1, 1000)
    const results = reader.take(bytesOf(answer(1, rows)))
    expect(reader.isCut).toBe(true)
    expect(results?.[0]?.complete).toBe(false)
    expect(results?.[0]?.rows).toEqual(rows.slice(0, results?.[0]?.rows.length))
    expect(results?.[0]?.rows.length).toBe(7)
  })

  it('ends where the next one begins, also if it is a refusal', () => {
    const refusal = bytesOf([Buffer.from([0xff, 0x48, 0x04, ...Buffer.from('#42S02no')])])
    for (const whole of [bytesOf(answer(1, [['a']])), refusal]) {
      const reader = createAnswerReader()
      const take = (): unknown => reader.take(Buffer.concat([whole, Buffer.from([7, 8])]))
      if (whole === refusal) expect(take).toThrow(ServerError)
      else expect(take()).toHaveLength(1)
      expect([...reader.rest]).toEqual([7, 8])
    }
  })

  it('asking for a local file gets the one that was offered to its statement, once, and no other', () => {
    const ok = Buffer.from([0, 0, 0, 10, 0, 0, 0])
    const last = Buffer.from([0, 0, 0, 2, 0, 0, 0])
    const asks = (name: string): Buffer => Buffer.concat([Buffer.from([0xfb]), Buffer.from(name)])
    const sent: number[] = []
    const offer = {
      statement: 1,
      name: 'rows',
      send: (sequence: number) => {
        sent.push(sequence)
        return sequence + 3
      },
    }
    const reader = createAnswerReader(null, 1, undefined, offer)
    expect(reader.take(bytesOf([ok, asks('rows')]))).toBeNull()
    expect(sent).toEqual([3])
    expect(reader.take(bytesOf([last], 6))).toHaveLength(2)
    const other = createAnswerReader(null, 1, undefined, offer)
    expect(() => other.take(bytesOf([ok, asks('/etc/passwd')]))).toThrow(ProtocolError)
    const early = createAnswerReader(null, 1, undefined, offer)
    expect(() => early.take(bytesOf([asks('rows')]))).toThrow(ProtocolError)
    const twice = createAnswerReader(null, 1, undefined, {
      ...offer,
      statement: 0,
      send: (sequence) => sequence,
    })
    expect(() => twice.take(bytesOf([asks('rows'), asks('rows')]))).toThrow(ProtocolError)
    expect(sent).toEqual([3])
  })

  it('of rows for a taker keeps none of them, counts them, and is cut where what it keeps is too much', () => {
    const rows = [
      ['1', 'a'],
      ['2', null],
      ['3', 'c'],
    ]
    const taken: string[] = []
    const taker = {
      columnCount: 2,
      take: (bytes: Buffer, start: number, end: number) => {
        taken.push(bytes.toString('latin1', start, end))
        return 100
      },
    }
    const [whole] = createAnswerReader([taker]).take(bytesOf(answer(2, rows))) as QueryResult[]
    expect(whole).toMatchObject({ rows: [], affectedRows: 3, bytes: 300, complete: true })
    expect(taken).toEqual(rows.map((row) => Buffer.concat(row.map(cell)).toString('latin1')))
    const cut = createAnswerReader([taker], 1, 200)
    const [part] = cut.take(bytesOf(answer(2, rows))) as QueryResult[]
    expect(part).toMatchObject({ affectedRows: 2, complete: false })
    expect(() => createAnswerReader([{ ...taker, columnCount: 3 }]).take(bytesOf(answer(2, rows)))).toThrow(
      ProtocolError,
    )
  })

  it('out of order, too long or asking for a local file is refused', () => {
    const good = bytesOf(answer(1, [['a']]))
    expect(() => createAnswerReader(null, 2).take(good)).toThrow(ProtocolError)
    expect(() => createAnswerReader().take(bytesOf([Buffer.from([0xfb, 0x2f])]))).toThrow(ProtocolError)
    expect(() => createAnswerReader([['bytes', 'bytes']]).take(good)).toThrow(ProtocolError)
    const [head, column, end] = answer(1, []) as [Buffer, Buffer, Buffer]
    expect(() => createAnswerReader().take(bytesOf([head, column, end, Buffer.from([5, 65])]))).toThrow(
      ProtocolError,
    )
  })
})

describe('values', () => {
  const decode = (decoder: CellDecoder, text: string): unknown =>
    createAnswerReader([[decoder]]).take(bytesOf(answer(1, [[text]])))?.[0]?.rows[0]?.[0]

  it('64-bit integers, exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
        expect(decode('bigint', `${value}`)).toBe(value)
      }),
    )
    expect(decode('bigint', '00000000000000000042')).toBe(42n)
  })

  it('numbers as JavaScript reads their text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })), (value) => {
        expect(decode('number', Object.is(value, -0) ? '-0' : `${value}`)).toBe(value)
      }),
    )
  })

  it('bits, most significant byte first', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const hex = value.toString(16).padStart(16, '0')
        expect(decode('bits', Buffer.from(hex, 'hex').toString('latin1'))).toBe(value)
      }),
    )
    expect(decode('bits', '\x01')).toBe(1n)
  })
})

describe('a command', () => {
  it.each([0, 1, 100, 0xfffffd, 0xfffffe, 0xffffff, 0x1000000, 0x1fffffd, 0x1fffffe])(
    'of %i bytes is framed so that its parts give it again',
    (length) => {
      const packet = commandPacket(3, 'q'.repeat(length))
      const parts: Buffer[] = []
      let at = 0
      let last = 0xffffff
      for (let sequence = 0; at < packet.length; sequence++) {
        expect(last).toBe(0xffffff)
        last = packet.readUIntLE(at, 3)
        expect(packet[at + 3]).toBe(sequence)
        parts.push(packet.subarray(at + 4, at + 4 + last))
        at += 4 + last
      }
      expect(last).toBeLessThan(0xffffff)
      const payload = Buffer.concat(parts)
      expect(payload[0]).toBe(3)
      expect(payload.length).toBe(length + 1)
    },
  )
})
