/**
 * How the tables of a pipeline may change once it has written to its target. Pure.
 *
 * Tables may join, and they may leave; one that left may come back, since a session that runs without it forgets its load, and it is loaded
 * anew (streamer/session.ts). What may not be: a table that goes on, or comes back, under another mapping (rows already written would
 * stay as the old one made them; and where no session ran in between, its load would count as done), and, in a pipeline that loads nothing, one that
 * comes back (what changed while it was away would be missing). Where patterns could meet in one table without it being certain, the change is refused.
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
 * @param loads whether tables that join are loaded
 * @returns every difference between the rules `before` and `after`
 */
export function ruleChanges(
  before: readonly TableRuleSpec[],
  after: readonly TableRuleSpec[],
  earlier: readonly (readonly TableRuleSpec[])[],
  loads: boolean,
): RuleChange[] {
  const changes: RuleChange[] = []
  const carried = [before, ...earlier].flat()
  const standing = after.filter(({ match }) => before.some((old) => old.match === match))
  let reached = -1
  after.forEach((rule, index) => {
    const was = before.findIndex(({ match }) => match === rule.match)
    if (was >= 0) {
      const behind = after.slice(index + 1)
      changes.push(...changesOfRule(before[was] as TableRuleSpec, rule, index, behind, carried, loads))
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
        ? comesBack(rule, standing, carried, loads)
        : `a new rule must stand after the existing ones, ${behind.match} stands behind it`
    changes.push({ index, field: 'rule', before: null, after: rule, refused })
  })
  before.forEach((rule, index) => {
    if (after.some(({ match }) => match === rule.match)) return
    const heir = after.find(
      (other) =>
        patternsMeet(other.match, rule.match) && !excludes(rule, other.match) && !excludes(other, rule.match),
    )
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
  carried: readonly TableRuleSpec[],
  loads: boolean,
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
    const heir = behind.find((other) =>
      added.some((pattern) => patternsMeet(other.match, pattern) && !excludes(other, pattern)),
    )
    const refused =
      readmitted !== undefined && mayNotReturn(readmitted, after, carried, loads)
        ? reasonNotToReturn(readmitted, loads)
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
  loads: boolean,
): string | null {
  const was = carried.find((old) => {
    if (!patternsMeet(old.match, rule.match) || excludes(old, rule.match)) return false
    if (loads && mappingOf(old) === mappingOf(rule)) return false
    // A rule that still stands comes before the one that joins and keeps its tables, but for those it has since let go.
    const now = standing.find(({ match }) => match === old.match)
    return (
      now === undefined ||
      now.exclude.some((pattern) => !old.exclude.includes(pattern) && patternsMeet(pattern, rule.match))
    )
  })
  return was === undefined ? null : reasonNotToReturn(was.match, loads)
}

/** Could tables of a pattern that a rule no longer leaves out have been carried otherwise, or have left with nothing to bring them up to date? */
const mayNotReturn = (
  pattern: string,
  rule: TableRuleSpec,
  carried: readonly TableRuleSpec[],
  loads: boolean,
): boolean =>
  carried.some(
    (old) =>
      patternsMeet(old.match, pattern) &&
      !excludes(old, pattern) &&
      (!loads || mappingOf(old) !== mappingOf(rule)),
  ) || !loads

const reasonNotToReturn = (pattern: string, loads: boolean): string =>
  loads
    ? `tables of ${pattern} were carried under another mapping before, and their rows would stay as it made them`
    : `tables of ${pattern} could come back without what changed while they were away, since nothing is loaded`

const mappingOf = ({ to, columns, where }: TableRuleSpec): string =>
  JSON.stringify([to, columns, where ?? null])

const excludes = (rule: TableRuleSpec, pattern: string): boolean =>
  rule.exclude.some((excluded) => patternCovers(excluded, pattern))
