/* GTID sets: the server's text, numbers up to the last one, tags, and the form of the dump command. */
import { describe, expect, it } from 'vitest'
import { GtidSet } from '../../../src/connectors/mysql/gtid-set.ts'
import { createPositionTracker } from '../../../src/connectors/mysql/position-tracker.ts'

const a = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
const b = '2c256447-3f0d-431b-9a25-bddf1f1f6ef6'

describe('text', () => {
  it.each([
    ['', ''],
    [`${a}:1-5`, `${a}:1-5`],
    [`${a}:7`, `${a}:7`],
    [` ${a.toUpperCase()} : 1-3 : 4-6,\n${b}:1`, `${b}:1,${a}:1-6`],
    [`${a}:5-9:1-6:11`, `${a}:1-9:11`],
    [`${a}:1-5:b_tag:1:A_TAG:3-4:7:1-2`, `${a}:1-5:a_tag:1-4:7:b_tag:1`],
    [`${a}:_x:2,${a}:1`, `${a}:1:_x:2`],
    [`${a}:9007199254740990-9007199254740993`, `${a}:9007199254740990-9007199254740993`],
    [`${a}:9223372036854775806`, `${a}:9223372036854775806`],
  ])('%s', (text, canonical) => {
    expect(GtidSet.parse(text).toString()).toBe(canonical)
  })

  it.each([
    'x:1',
    a,
    `${a}:`,
    `${a}:0`,
    `${a}:5-3`,
    `${a}:1-2-3`,
    `${a}:9223372036854775807`,
    `${a}:tag`,
    `${a}:tag:other:1`,
    `${a}:1:9tag:1`,
    `${a}:-1`,
  ])('refuses %s', (text) => {
    expect(() => GtidSet.parse(text)).toThrow(/Malformed/)
  })
})

describe('adding', () => {
  it('numbers in order stay one interval, across 2^53', () => {
    const set = new GtidSet()
    for (let n = 9007199254740988n; n <= 9007199254740996n; n++) set.add(`${a}:${n}`)
    expect(set.toString()).toBe(`${a}:9007199254740988-9007199254740996`)
  })

  it('fills gaps from both sides', () => {
    const set = GtidSet.parse(`${a}:1-3:7-9:12`)
    for (const n of [5, 4, 6, 10, 11]) set.add(`${a}:${n}`)
    expect(set.toString()).toBe(`${a}:1-12`)
  })

  it('keeps sources and tags apart', () => {
    const set = new GtidSet()
    for (const id of [`${a}:1`, `${a}:tag:1`, `${a}:2`, `${a}:tag:2`, `${b}:1`, `${a}:3`]) set.add(id)
    expect(set.toString()).toBe(`${b}:1,${a}:1-3:tag:1-2`)
  })

  it('takes several at once', () => {
    const set = GtidSet.parse(`${a}:1-4`)
    set.add(`${a}:6,${a}:9`)
    expect(set.toString()).toBe(`${a}:1-4:6:9`)
    expect(set.has(`${a}:6,${a}:9`)).toBe(true)
    expect(set.has(`${a}:6,${a}:10`)).toBe(false)
  })

  it.each(['', a, `${a}:x`, `${a}:0`, `${a}:1e3`, 'nothing:1'])('refuses %s', (gtid) => {
    const set = GtidSet.parse(`${a}:1`)
    set.add(`${a}:2`)
    expect(() => set.add(gtid)).toThrow(/Malformed/)
  })
})

it('encodes sets without tags as every server reads them', () => {
  expect(GtidSet.parse(`${a}:1-5`).encode().toString('hex')).toBe(
    `0100000000000000${a.replaceAll('-', '')}010000000000000001000000000000000600000000000000`,
  )
  expect(new GtidSet().encode().toString('hex')).toBe('0000000000000000')
})

it('encodes sets with tags in format 1', () => {
  expect(GtidSet.parse(`${a}:1:ab:2`).encode().toString('hex')).toBe(
    [
      '0102000000000001',
      `${a.replaceAll('-', '')}00010000000000000001000000000000000200000000000000`,
      `${a.replaceAll('-', '')}046162010000000000000002000000000000000300000000000000`,
    ].join(''),
  )
})

describe('the position tracker', () => {
  const slice = (id: string, firstOrdinal: number, count: number, last: boolean) => ({
    kind: 'slice' as const,
    id,
    firstOrdinal,
    changes: Array.from({ length: count }, () => ({
      table: { id: { schema: 's', name: 't' }, columns: [], uniqueKeys: [] },
      before: null,
      after: [],
    })),
    last,
    coordinate: { file: 1, offset: 4 },
    commitTimeUs: 0,
    bytes: 0,
  })

  it('counts row changes until the last slice, then holds the GTID', () => {
    const tracker = createPositionTracker({ token: `${a}:1-4`, ordinal: 0 })
    tracker.advance(slice(`${a}:5`, 0, 3, false))
    expect(tracker.position()).toEqual({ token: `${a}:1-4`, ordinal: 3, transaction: `${a}:5` })
    tracker.advance(slice(`${a}:5`, 3, 2, false))
    expect(tracker.position()).toEqual({ token: `${a}:1-4`, ordinal: 5, transaction: `${a}:5` })
    tracker.advance(slice(`${a}:5`, 5, 0, true))
    expect(tracker.position()).toEqual({ token: `${a}:1-5`, ordinal: 0 })
  })

  it('goes on from an ordinal', () => {
    const tracker = createPositionTracker({ token: `${a}:1-4`, ordinal: 7 })
    expect(tracker.position()).toEqual({ token: `${a}:1-4`, ordinal: 7 })
    tracker.advance(slice(`${a}:5`, 7, 1, true))
    expect(tracker.position()).toEqual({ token: `${a}:1-5`, ordinal: 0 })
  })

  it('takes schema changes, but not those that are part of a transaction', () => {
    const tracker = createPositionTracker({ token: '', ordinal: 0 })
    tracker.advance({ kind: 'schema-change', id: `${a}:1` })
    tracker.advance({ kind: 'schema-change', id: `${a}:2/ddl` })
    expect(tracker.position()).toEqual({ token: `${a}:1`, ordinal: 0 })
  })

  it('counts prepared XA transactions as passed, but does not hold them', () => {
    const tracker = createPositionTracker({ token: `${a}:1-4`, ordinal: 0 })
    tracker.advance({ kind: 'prepared', id: `${a}:5`, coordinate: { file: 1, offset: 4 } })
    tracker.advance(slice(`${a}:6`, 0, 1, true))
    expect(tracker.covers({ token: `${a}:1-6`, ordinal: 0 })).toBe(true)
    expect(tracker.position()).toEqual({ token: `${a}:1-4:6`, ordinal: 0 })
    tracker.advance(slice(`${a}:5,${a}:7`, 0, 1, true))
    expect(tracker.position()).toEqual({ token: `${a}:1-7`, ordinal: 0 })
  })

  it('has passed a part of a transaction only when that transaction came', () => {
    const tracker = createPositionTracker({ token: `${a}:1-4`, ordinal: 0 })
    const part = { token: `${a}:1-4`, ordinal: 3, transaction: `${a}:5` }
    tracker.advance(slice(`${a}:6`, 0, 9, true))
    expect(tracker.covers(part)).toBe(false)
    tracker.advance(slice(`${a}:5`, 0, 3, false))
    expect(tracker.covers(part)).toBe(true)
    expect(tracker.covers({ ...part, ordinal: 4 })).toBe(false)
    tracker.advance(slice(`${a}:5`, 3, 0, true))
    expect(tracker.covers({ ...part, ordinal: 4 })).toBe(true)
  })

  it.each([
    [{ token: `${a}:1-5`, ordinal: 0 }, true],
    [{ token: `${a}:1-5`, ordinal: 3 }, true],
    [{ token: `${a}:1-5`, ordinal: 4 }, false],
    [{ token: `${a}:1-4`, ordinal: 9 }, true],
    [{ token: `${a}:1-6`, ordinal: 0 }, false],
    [{ token: `${b}:1`, ordinal: 0 }, false],
    [{ token: '', ordinal: 0 }, true],
  ])('has passed %j: %s', (position, expected) => {
    const tracker = createPositionTracker({ token: `${a}:1-5`, ordinal: 3 })
    expect(tracker.covers(position)).toBe(expected)
  })
})
