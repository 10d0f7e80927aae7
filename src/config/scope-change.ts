/**
 * How the tables of a pipeline may change once it has written to its target. Pure.
 *
 * Tables may join, and they may leave. What may not be: a table that goes on under another mapping (rows already written would stay as the
 * old one made them), and a table that left and comes back (what changed while it was away is in neither the stream nor the load,
 * since its load counts as done). Where patterns could meet in one table without it being certain, the change is refused.
 */
import type { TableRuleSpec } from './pipeline.ts'
import { patternCovers, patternsMeet } from './table-pattern.ts'

export interface RuleChange {
  /** Index in the new rules; of a rule that is gone, its index in the old. */
  readonly index: number
  readonly field: 'rule' | 'exclude' | 'to' | 'columns' | 'where'
  readonly before: unknown
  readonly after: unknown
  /** Why not, or null when it may be. */
  readonly refused: string | null
}

/**
 * @param earlier rules of every generation that ran before `before`
 * @returns every difference between the rules `before` and `after`
 */
export function ruleChanges(
  before: readonly TableRuleSpec[],
  after: readonly TableRuleSpec[],
  earlier: readonly (readonly TableRuleSpec[])[],
): RuleChange[] {
  const changes: RuleChange[] = []
  const standing = after.filter(({ match }) => before.some((old) => old.match === match))
  let reached = -1
  after.forEach((rule, index) => {
    const was = before.findIndex(({ match }) => match === rule.match)
    if (was >= 0) {
      changes.push(...changesOfRule(before[was] as TableRuleSpec, rule, index, after.slice(index + 1)))
      if (was < reached)
        changes.push({
          index,
          field: 'rule',
          before: was,
          after: index,
          refused: 'rules may not change their order: the first that matches a table holds',
        })
      reached = Math.max(reached, was)
      return
    }
    const behind = after.slice(index + 1).find(({ match }) => before.some((old) => old.match === match))
    const refused =
      behind === undefined
        ? comesBack(rule, standing, [before, ...earlier].flat())
        : `a new rule must stand after the existing ones, ${behind.match} stands behind it`
    changes.push({ index, field: 'rule', before: null, after: rule, refused })
  })
  before.forEach((rule, index) => {
    if (after.some(({ match }) => match === rule.match)) return
    const heir = after.find((other) => patternsMeet(other.match, rule.match) && !excludes(rule, other.match))
    const refused = heir === undefined ? null : `its tables could go on under the rule ${heir.match}`
    changes.push({ index, field: 'rule', before: rule, after: null, refused })
  })
  return changes
}

function changesOfRule(
  before: TableRuleSpec,
  after: TableRuleSpec,
  index: number,
  behind: readonly TableRuleSpec[],
): RuleChange[] {
  const changes: RuleChange[] = []
  for (const field of ['to', 'columns', 'where'] as const) {
    if (JSON.stringify(before[field]) !== JSON.stringify(after[field])) {
      const refused = 'rows already written would stay as the old rule made them'
      changes.push({ index, field, before: before[field] ?? null, after: after[field] ?? null, refused })
    }
  }
  if (JSON.stringify(before.exclude) !== JSON.stringify(after.exclude)) {
    const readmitted = before.exclude.find(
      (pattern) => !after.exclude.some((other) => patternCovers(other, pattern)),
    )
    const added = after.exclude.filter((pattern) => !before.exclude.includes(pattern))
    const heir = behind.find(({ match }) => added.some((pattern) => patternsMeet(match, pattern)))
    const refused =
      readmitted !== undefined
        ? `tables of ${readmitted} could come back without what changed while they were away`
        : heir !== undefined
          ? `its tables could go on under the rule ${heir.match}`
          : null
    changes.push({ index, field: 'exclude', before: before.exclude, after: after.exclude, refused })
  }
  return changes
}

/** Could a rule that joins bring back a table that was carried before? */
function comesBack(
  rule: TableRuleSpec,
  standing: readonly TableRuleSpec[],
  carried: readonly TableRuleSpec[],
): string | null {
  const was = carried.find((old) => {
    if (!patternsMeet(old.match, rule.match) || excludes(old, rule.match)) return false
    // A rule that still stands comes before the one that joins and keeps its tables, but for those it has since let go.
    const now = standing.find(({ match }) => match === old.match)
    return (
      now === undefined ||
      now.exclude.some((pattern) => !old.exclude.includes(pattern) && patternsMeet(pattern, rule.match))
    )
  })
  return was === undefined
    ? null
    : `tables of ${was.match} were carried before and could come back without what changed while they were away`
}

const excludes = (rule: TableRuleSpec, pattern: string): boolean =>
  rule.exclude.some((excluded) => patternCovers(excluded, pattern))
