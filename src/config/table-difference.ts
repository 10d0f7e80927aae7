/**
 * Which tables join and which leave between two lists of rules, in patterns as people wrote them. Pure. For words: what may change and what not
 * is decided by scope-change.ts.
 */
import type { TableRuleSpec } from './pipeline.ts'

export interface TableDifference {
  readonly joining: readonly string[]
  readonly leaving: readonly string[]
}

export function tableDifference(
  before: readonly TableRuleSpec[],
  after: readonly TableRuleSpec[],
): TableDifference {
  const { matches: had, excluded: hadNot } = patternsOf(before)
  const { matches: has, excluded: hasNot } = patternsOf(after)
  return {
    joining: [...without(has, had), ...without(hadNot, hasNot)],
    leaving: [...without(had, has), ...without(hasNot, hadNot)],
  }
}

const patternsOf = (rules: readonly TableRuleSpec[]) => ({
  matches: new Set(rules.map(({ match }) => match)),
  excluded: new Set(rules.flatMap(({ exclude }) => exclude)),
})

const without = (some: ReadonlySet<string>, others: ReadonlySet<string>): string[] =>
  [...some].filter((pattern) => !others.has(pattern))
