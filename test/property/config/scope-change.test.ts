/**
 * Against a model that knows the tables: whatever series of changes is not refused, no table goes on or comes back under another mapping, and
 * in a pipeline that loads nothing none that left comes back. What is added and taken out by name is never refused, as far as mappings go.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { combinationIssues } from '../../../src/config/combinations.ts'
import type { TableRuleSpec } from '../../../src/config/pipeline.ts'
import { ruleChanges } from '../../../src/config/scope-change.ts'
import { patternCovers, patternsMeet } from '../../../src/config/table-pattern.ts'
import { pipeline } from '../../unit/store/documents.ts'

const letters = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 2 })
const names = ['a', 'b', 'aa', 'ab', 'ba', 'bb'].flatMap((schema) =>
  ['a', 'b', 'aa', 'ab', 'ba', 'bb'].map((table) => `${schema}.${table}`),
)
const part = fc.oneof(letters, fc.constantFrom('*', 'a*', '*b', 'b*a'))
const pattern = fc.tuple(part, part).map(([schema, table]) => `${schema}.${table}`)
const rule: fc.Arbitrary<TableRuleSpec> = fc.record({
  match: pattern,
  exclude: fc.array(pattern, { maxLength: 2 }),
  to: fc.constantFrom('x', 'y').map((prefix) => ({ schema: `${prefix}_{schema}`, table: '{table}' })),
  columns: fc.constant({ rename: {} }),
})
const rules = fc
  .array(rule, { minLength: 1, maxLength: 4 })
  .filter((tables) => combinationIssues({ ...pipeline('p').spec, tables }).length === 0)
// Small steps from one generation to the next, so that many are not refused.
const step = fc.record({
  drop: fc.option(fc.nat({ max: 3 }), { freq: 3 }),
  add: fc.option(rule, { freq: 2 }),
  exclude: fc.option(pattern, { freq: 3 }),
  unexclude: fc.boolean(),
  all: fc.option(rules, { freq: 6 }),
})

const holding = (tables: readonly TableRuleSpec[], name: string): string | null => {
  const first = tables.find(
    ({ match, exclude }) => patternCovers(match, name) && !exclude.some((out) => patternCovers(out, name)),
  )
  return first === undefined ? null : first.to.schema
}

it.each([true, false])(
  'lets no table change its mapping, and come back only where it is loaded (%s)',
  (loads) => {
    let accepted = 0
    let returned = 0
    fc.assert(
      fc.property(rules, fc.array(step, { maxLength: 5 }), (first, steps) => {
        const generations = [first]
        for (const { drop, add, exclude, unexclude, all } of steps) {
          const current = generations.at(-1) as TableRuleSpec[]
          let next = all ?? current.filter((_, index) => index !== drop)
          if (add !== null) next = [...next, add]
          if (exclude !== null)
            next = next.map((r, i) => (i === 0 ? { ...r, exclude: [...r.exclude, exclude] } : r))
          if (unexclude) next = next.map((r, i) => (i === 0 ? { ...r, exclude: r.exclude.slice(1) } : r))
          if (next.length === 0 || combinationIssues({ ...pipeline('p').spec, tables: next }).length > 0)
            continue
          const changes = ruleChanges(current, next, generations.slice(0, -1), loads)
          expect(changes.length > 0).toBe(JSON.stringify(current) !== JSON.stringify(next))
          if (changes.some(({ refused }) => refused !== null)) continue
          if (changes.length > 0) accepted++
          generations.push(next)
        }
        for (const name of names) {
          const course = generations.map((tables) => holding(tables, name))
          const carried = course.filter((mapping) => mapping !== null)
          expect(new Set(carried).size).toBeLessThanOrEqual(1)
          const joined = course.findIndex((mapping) => mapping !== null)
          const left = course.findIndex((mapping, index) => joined >= 0 && index > joined && mapping === null)
          if (left < 0 || course.slice(left).every((mapping) => mapping === null)) continue
          returned++
          expect(loads).toBe(true)
        }
      }),
      { numRuns: 3_000 },
    )
    expect(accepted).toBeGreaterThan(100)
    if (loads) expect(returned).toBeGreaterThan(10)
  },
)

it('patternsMeet finds every common name', () => {
  fc.assert(
    fc.property(pattern, pattern, (a, b) => {
      if (names.some((name) => patternCovers(a, name) && patternCovers(b, name)))
        expect(patternsMeet(a, b)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
  expect(patternsMeet('a*.x', 'b*.x')).toBe(false)
  expect(patternsMeet('*.a', '*.b')).toBe(false)
  expect(patternsMeet('shop.o*', '*.orders')).toBe(true)
  expect(patternsMeet('a.b', 'a.b*')).toBe(true)
  expect(patternsMeet('*', '')).toBe(true)
})
