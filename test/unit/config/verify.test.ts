import { describe, expect, it } from 'vitest'
import { cronMistake } from '../../../src/config/cron.ts'
import { isVerifyField, verifySettings } from '../../../src/config/verify.ts'

describe('a schedule', () => {
  it.each([
    '0 3 * * *',
    '*/15 0-6,20-23 * * mon-fri',
    '5 4 1 jan,JUL 7',
    '0 0 1-7/2 * 0',
    '@daily',
    '@every 6h',
    '@every 10s',
  ])('can be %s', (text) => {
    expect(cronMistake(text)).toBeNull()
  })

  it.each([
    ['', /five fields/],
    ['0 3 * *', /five fields/],
    ['0 3 * * * *', /five fields/],
    ['60 3 * * *', /60 is no minute/],
    ['0 24 * * *', /24 is no hour/],
    ['0 0 0 * *', /0 is no day of month/],
    ['0 0 * foo *', /foo is no month/],
    ['0 0 * * 8', /8 is no day of week/],
    ['5-1 0 * * *', /5-1 is no minute/],
    ['*/0 0 * * *', /no minute/],
    ['1/2/3 0 * * *', /no minute/],
    ['@noon', /expected @hourly/],
    ['@every 5', /expected @hourly/],
    ['@every 1s', /between 10s/],
  ])('cannot be %j', (text, words) => {
    expect(cronMistake(text)).toMatch(words)
  })
})

it('what a file leaves out has defaults', () => {
  expect(verifySettings(undefined)).toEqual({
    mode: 'checksum',
    tables: [],
    sample: 1,
    maxDifferences: 1_000,
    columns: [],
    keepRuns: 20,
    repair: { approval: 'required', automatic: false, maxRowsPerSecond: 1_000 },
  })
})

it('fields of the verification are told from others', () => {
  expect(['spec.verify', 'spec.verify.schedule', 'spec.verify.tables[0]'].every(isVerifyField)).toBe(true)
  expect(['spec.verifyMore', 'spec.stream', 'spec'].some(isVerifyField)).toBe(false)
})
