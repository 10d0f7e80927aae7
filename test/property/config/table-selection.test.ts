/** Tables added and taken out by name, against a model that knows the tables: those that are named change, all others stay as they are. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { acceptDocument, checkPipeline } from '../../../src/config/document.ts'
import type { TableRuleSpec } from '../../../src/config/pipeline.ts'
import { ruleChanges } from '../../../src/config/scope-change.ts'
import { patternCovers } from '../../../src/config/table-pattern.ts'
import { withoutTables, withTables } from '../../../src/config/table-selection.ts'
import { SyncError } from '../../../src/core/errors.ts'
import { pipeline } from '../../unit/store/documents.ts'

const names = ['a', 'b', 'aa'].flatMap((schema) => ['a', 'b', 'ab'].map((table) => `${schema}.${table}`))
const table = fc.constantFrom(...names)
const pattern = fc.oneof(table, fc.constantFrom('a.*', 'a*.a', '*.b', 'b.*', '*.*'))
const step = fc.record({ adds: fc.boolean(), pattern })

const checked = (tables: unknown): readonly TableRuleSpec[] => {
  const document = pipeline('p')
  return acceptDocument(checkPipeline({ ...document, spec: { ...document.spec, tables } })).spec.tables
}

/** As the streamer decides: the first rule that matches, also when it leaves the table out. */
const carriedBy = (rules: readonly TableRuleSpec[], name: string): boolean => {
  const first = rules.find(({ match }) => patternCovers(match, name))
  return first !== undefined && !first.exclude.some((out) => patternCovers(out, name))
}

it('what is named changes, and nothing else; no series of it is refused as a change of mappings', () => {
  let added = 0
  let removed = 0
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const generations = [checked([{ match: 'a.a' }])]
      for (const { adds, pattern: named } of steps) {
        const before = generations.at(-1) as readonly TableRuleSpec[]
        let after: readonly TableRuleSpec[]
        try {
          after = checked(adds ? withTables(before, [{ match: named }]) : withoutTables(before, [named]))
        } catch (error) {
          expect(error).toBeInstanceOf(SyncError)
          expect((error as SyncError).code).toMatch(/^SYNC-(1110|1111|1112)$/)
          continue
        }
        const changes = ruleChanges(before, after, generations.slice(0, -1), true)
        expect(changes.length).toBeGreaterThan(0)
        expect(changes.flatMap(({ refused }) => refused ?? [])).toEqual([])
        for (const name of names) {
          const was = carriedBy(before, name)
          const is = carriedBy(after, name)
          if (!patternCovers(named, name)) expect(is, name).toBe(was)
          else if (!adds) expect(is, name).toBe(false)
          else expect(is || !was, `${name} stays`).toBe(true)
          if (adds && named === name) expect(is, name).toBe(true)
        }
        if (adds) added++
        else removed++
        generations.push(after)
      }
    }),
    { numRuns: 2_000 },
  )
  expect(Math.min(added, removed)).toBeGreaterThan(500)
})

it('says why a table cannot be added or taken out', () => {
  const code = (work: () => unknown): string => {
    try {
      work()
      return 'none'
    } catch (error) {
      return `${(error as SyncError).code} ${(error as SyncError).message}`
    }
  }
  const rules = checked([{ match: 'shop.*', exclude: ['shop.tmp_*', 'shop.old'] }])
  expect(code(() => withTables(rules, [{ match: 'shop.orders' }]))).toContain('SYNC-1110')
  expect(code(() => withTables(rules, [{ match: 'shop.tmp_1' }]))).toContain('left out by shop.tmp_*')
  expect(code(() => withTables(rules, [{ match: 'shop.old', where: 'id > 5' }]))).toContain('SYNC-1110')
  expect(code(() => withTables(rules, [{ match: 'shop.old' }]))).toBe('none')
  expect(code(() => withoutTables(rules, ['shop.old']))).toBe('SYNC-1111 shop.old is not in the pipeline')
  expect(code(() => withoutTables(rules, ['crm.*']))).toContain('SYNC-1111')
  expect(code(() => withoutTables(rules, ['*.*']))).toContain('SYNC-1112')
})
