/**
 * Adds tables to the rules of a pipeline, and takes them out, by patterns: what `syncline tables` and its API do to the document. Pure.
 *
 * Guarantees: a table that is named and matched takes part afterwards, or does not; every other table stays under the mapping it has. Rules that
 * stand are neither changed in what they say of names, columns and rows, nor put in another order (scope-change.ts).
 */
import { SyncError } from '../core/errors.ts'
import type { TableRuleSpec } from './pipeline.ts'
import { patternCovers, patternsMeet } from './table-pattern.ts'

/** A rule as the request gives it: defaults are filled in when the document is checked. */
export interface AddedTables {
  readonly match: string
  readonly [field: string]: unknown
}

/** @throws SyncError SYNC-1110 where a table is there already, or cannot take part by a rule of its own */
export function withTables(rules: readonly TableRuleSpec[], added: readonly AddedTables[]): unknown[] {
  return added.reduce<TableRuleSpec[]>((all, rule) => withRule(all, rule), [...rules])
}

function withRule(rules: readonly TableRuleSpec[], added: AddedTables): TableRuleSpec[] {
  const { match, ...more } = added
  const index = rules.findIndex((rule) => patternCovers(rule.match, match))
  const first = rules[index]
  // The first rule that matches a table decides, so one that stands in front must let it in.
  if (first === undefined) return [...rules, added as unknown as TableRuleSpec]
  const covering = first.exclude.filter((pattern) => patternCovers(pattern, match))
  if (covering.length === 0) {
    throw new SyncError('SYNC-1110', `${match} is carried already, by the rule ${first.match}`)
  }
  const wider = covering.find((pattern) => pattern !== match)
  if (wider !== undefined) {
    throw new SyncError('SYNC-1110', `${match} is left out by ${wider} of the rule ${first.match}`, {
      remedy: `Change the rule in the pipeline's file and apply it, or add ${wider}.`,
    })
  }
  if (Object.keys(more).length > 0) {
    throw new SyncError(
      'SYNC-1110',
      `${match} belongs to the rule ${first.match}, which left it out and says how it is carried`,
      { remedy: 'Add it without other names, columns or a filter.' },
    )
  }
  return rules.map((rule, at) =>
    at === index ? { ...rule, exclude: rule.exclude.filter((pattern) => pattern !== match) } : rule,
  )
}

/** @throws SyncError SYNC-1111 where a pattern takes out nothing, SYNC-1112 where nothing would be left */
export function withoutTables(rules: readonly TableRuleSpec[], patterns: readonly string[]): TableRuleSpec[] {
  const left = patterns.reduce<readonly TableRuleSpec[]>(withoutPattern, rules)
  if (left.length === 0) {
    throw new SyncError('SYNC-1112', `without ${patterns.join(', ')} no table is left`)
  }
  return [...left]
}

function withoutPattern(rules: readonly TableRuleSpec[], pattern: string): readonly TableRuleSpec[] {
  const isTouched = ({ match, exclude }: TableRuleSpec): boolean =>
    patternsMeet(match, pattern) &&
    !exclude.some((out) => patternCovers(out, pattern) || patternCovers(out, match))
  if (!rules.some(isTouched)) {
    throw new SyncError('SYNC-1111', `${pattern} is not in the pipeline`)
  }
  return rules
    .filter(({ match }) => !patternCovers(pattern, match))
    .map((rule) =>
      isTouched(rule)
        ? { ...rule, exclude: [...rule.exclude.filter((out) => !patternCovers(pattern, out)), pattern] }
        : rule,
    )
}
