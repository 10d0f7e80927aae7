/**
 * The benchmark's own arithmetic: a wrong median or a bar read the wrong way round would make every figure worthless.
 */
import { describe, expect, it } from 'vitest'
import { figure, jsonText, tableText } from '../../bench/report.ts'
import { median, mediansOf, percentile, resultOf } from '../../bench/statistics.ts'

describe('median and percentile', () => {
  it('is the middle, or the mean of the two in the middle, whatever the order', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([7])).toBe(7)
    // Sorted as numbers, not as text.
    expect(median([10, 9, 100])).toBe(10)
    expect(() => median([])).toThrow('No values')
  })

  it('percentiles are values that were measured', () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i)
    expect(percentile(values, 0.5)).toBe(100)
    expect(percentile(values, 0.99)).toBe(198)
    expect(percentile(values, 1)).toBe(200)
    expect(percentile([3], 0.01)).toBe(3)
  })

  it('figures of rounds are reduced name by name, also where a round lacks one', () => {
    expect(mediansOf([{ a: 1, b: 5 }, { a: 3 }, { a: 2 }])).toEqual({ a: 2, b: 5 })
  })
})

describe('a result', () => {
  const rounds = [
    { syncline: 2, peer: 20 },
    { syncline: 4, peer: 36 },
    { syncline: 3, peer: 100 },
  ]

  it('divides the medians of times: the peer needs 12 times as long', () => {
    const result = resultOf({ name: 'x', unit: 's', rounds, bar: 12, rule: 'less is better' })
    expect(result).toMatchObject({ ratio: 12, holds: true, syncline: 3, peer: 36, want: 'at least' })
    expect(result.spread).toEqual({ syncline: { min: 2, max: 4 }, peer: { min: 20, max: 100 } })
    expect(resultOf({ name: 'x', unit: 's', rounds, bar: 12.1, rule: 'less is better' }).holds).toBe(false)
  })

  it('rates and limits are read the other way round', () => {
    const rates = resultOf({ name: 'x', unit: 'rows/s', rounds, bar: 0.1, rule: 'more is better' })
    expect(rates.ratio).toBeCloseTo(3 / 36)
    expect(rates.holds).toBe(false)
    const most = resultOf({ name: 'x', unit: 'ms', rounds, bar: 1.5, rule: 'at most' })
    expect(most).toMatchObject({ want: 'at most', holds: true })
    const absolute = resultOf({
      name: 'x',
      unit: 'MB',
      rounds: [{ syncline: 401 }],
      bar: 400,
      rule: 'at most',
    })
    expect(absolute).toMatchObject({ ratio: 401, peer: null, holds: false, spread: { peer: null } })
  })

  it('has no verdict without a bar, and refuses rounds of which only some have a peer', () => {
    expect(resultOf({ name: 'x', unit: 's', rounds, bar: null, rule: 'at most' }).holds).toBeNull()
    const torn = [{ syncline: 1, peer: 1 }, { syncline: 1 }]
    expect(() => resultOf({ name: 'x', unit: 's', rounds: torn, bar: 1, rule: 'at most' })).toThrow('no peer')
  })

  it('is JSON with what the machine was, and a line of the table', () => {
    const result = resultOf({ name: 'x', unit: 's', rounds, bar: 8, rule: 'less is better' })
    const around = {
      versions: { node: 'v24' },
      machine: { cores: 2, model: 'm', memoryGiB: 4, kernel: 'k', loadAtStart: 0 },
      quick: true,
      at: '2026-01-01T00:00:00.000Z',
    }
    const [entry, ...others] = JSON.parse(jsonText([result], around)) as unknown[]
    expect(others).toEqual([])
    expect(entry).toMatchObject({
      name: 'x',
      ratio: 12,
      bar: 8,
      holds: true,
      syncline: 3,
      peer: 36,
      unit: 's',
      rounds,
      versions: { node: 'v24' },
      machine: { cores: 2 },
      quick: true,
    })
    expect(tableText([result]).split('\n')[1]).toMatch(
      /^x\s+3\.00 \(2\.00 to 4\.00\)\s+36\.0 \(20\.0 to 100\)\s+s\s+12\.0\s+>= 8\.00\s+holds$/,
    )
  })

  it('shows three digits that count', () => {
    expect([0, 0.01234, 1.234, 12.34, 1234.5].map(figure)).toEqual(['0', '0.0123', '1.23', '12.3', '1235'])
  })
})
