/**
 * What the fields of a pipeline may not say together (SYNC-1003), as far as the document alone can tell.
 *
 * Pure. What depends on the tables that exist (two patterns that meet in one target table) is found by the pre-checks before the start.
 */
import { asSyncError } from '../core/errors.ts'
import { parseFilter } from '../core/filter.ts'
import type { Endpoint } from './endpoint.ts'
import { type ConfigIssue, type FieldPath, issue } from './issue.ts'
import type { Pipeline, PipelineSpec, TableRuleSpec } from './pipeline.ts'
import { patternCovers, patternsMeet } from './table-pattern.ts'

export function combinationIssues(spec: PipelineSpec): ConfigIssue[] {
  const found: ConfigIssue[] = []
  if (spec.load.mode === 'none' && spec.onExistingRows === 'empty') {
    found.push(
      issue(
        'SYNC-1003',
        ['spec', 'onExistingRows'],
        'the target would be emptied and, with load.mode: none, never filled',
        'Set onExistingRows: keep, or load.mode: once.',
      ),
    )
  }
  if (spec.onRefusedRow === 'quarantine') found.push(...rejoinIssues(spec))
  if (spec.shards > 1 && spec.stream.order === 'global') {
    found.push(
      issue(
        'SYNC-1003',
        ['spec', 'shards'],
        'each shard goes on at its own pace, so the target would not be a past state of the source',
        'Set shards: 1, or stream.order: merged.',
      ),
    )
  }
  spec.tables.forEach((rule, index) => {
    found.push(...columnIssues(rule, ['spec', 'tables', index, 'columns']))
    found.push(...mergingIssues(rule, ['spec', 'tables', index, 'to']))
    found.push(...orderIssues(spec.tables, index))
    found.push(...filterIssues(rule, ['spec', 'tables', index, 'where']))
  })
  if (spec.source === spec.target) {
    spec.tables.forEach((rule, index) => {
      if (keepsNames(rule)) {
        found.push(
          issue(
            'SYNC-1003',
            ['spec', 'tables', index],
            'source and target are the same endpoint, and the tables keep their names: each would be copied into itself',
            'Choose another target, or other names under `to`.',
          ),
        )
      }
    })
  }
  return found
}

/**
 * Parking leaves a table out, which global order cannot. A parked table rejoins by being emptied and loaded: not where it is never loaded, nor where rows
 * that are not the source's are to stay.
 */
function rejoinIssues(spec: PipelineSpec): ConfigIssue[] {
  const found: ConfigIssue[] = []
  const path: FieldPath = ['spec', 'onRefusedRow']
  if (spec.load.mode === 'none') {
    const what = 'a parked table could never rejoin: with load.mode: none its rows are not loaded'
    found.push(issue('SYNC-1003', path, what, 'Set onRefusedRow: block, or load.mode: once.'))
  }
  if (spec.stream.order === 'global') {
    const what =
      'with stream.order: global the target shows states of the source, and without a table it is none'
    found.push(issue('SYNC-1003', path, what, 'Set onRefusedRow: block, or stream.order: merged.'))
  }
  if (spec.onExistingRows === 'keep') {
    const what = 'a parked table that rejoins is emptied, and with onExistingRows: keep rows are to stay'
    found.push(issue('SYNC-1003', path, what, 'Set onRefusedRow: block, or another onExistingRows.'))
  }
  return found
}

/** What a pipeline and its two endpoints say together: two endpoints may be one server under two names. */
export function endpointIssues(document: Pipeline, source: Endpoint, target: Endpoint): ConfigIssue[] {
  const sameServer = source.spec.host === target.spec.host && source.spec.port === target.spec.port
  if (source.metadata.name === target.metadata.name || !sameServer) return []
  return document.spec.tables.flatMap((rule, index) =>
    keepsNames(rule)
      ? [
          issue(
            'SYNC-1003',
            ['spec', 'tables', index],
            `${document.spec.source} and ${document.spec.target} are the same server, and the tables keep their names`,
            'Choose another target, or other names under `to`.',
          ),
        ]
      : [],
  )
}

const keepsNames = (rule: TableRuleSpec): boolean =>
  rendered(rule, rule.to.schema) === schemaOf(rule.match) &&
  rendered(rule, rule.to.table) === tableOf(rule.match)

const schemaOf = (pattern: string): string => pattern.slice(0, pattern.indexOf('.'))
const tableOf = (pattern: string): string => pattern.slice(pattern.indexOf('.') + 1)
const rendered = (rule: TableRuleSpec, name: string): string =>
  name.replaceAll('{schema}', schemaOf(rule.match)).replaceAll('{table}', tableOf(rule.match))

function columnIssues(rule: TableRuleSpec, path: FieldPath): ConfigIssue[] {
  const { include, exclude, rename } = rule.columns
  const found: ConfigIssue[] = []
  if (include !== undefined && exclude !== undefined) {
    found.push(
      issue(
        'SYNC-1003',
        [...path, 'exclude'],
        'include and exclude stand together',
        'Keep one of the two: what is not included is left out anyway.',
      ),
    )
  }
  const names = new Map<string, string>()
  for (const column of include ?? []) if (!(column in rename)) names.set(column, column)
  for (const [from, to] of Object.entries(rename)) {
    const left = exclude?.includes(from) === true || (include !== undefined && !include.includes(from))
    if (left) {
      found.push(
        issue(
          'SYNC-1003',
          [...path, 'rename', from],
          `column ${from} is renamed but not carried`,
          `Remove the rename, or carry ${from}.`,
        ),
      )
      continue
    }
    const other = names.get(to)
    if (other !== undefined) {
      found.push(
        issue(
          'SYNC-1003',
          [...path, 'rename', from],
          `columns ${other} and ${from} would both be called ${to}`,
          'Give each its own name.',
        ),
      )
    }
    names.set(to, from)
  }
  return found
}

function filterIssues(rule: TableRuleSpec, path: FieldPath): ConfigIssue[] {
  if (rule.where === undefined) return []
  try {
    parseFilter(rule.where)
    return []
  } catch (error) {
    const { code, message, remedy } = asSyncError(error)
    return [issue(code, path, message, remedy)]
  }
}

/** A pattern that may match many tables must not give them all one name. */
function mergingIssues(rule: TableRuleSpec, path: FieldPath): ConfigIssue[] {
  const target = `${rule.to.schema}.${rule.to.table}`
  return (['schema', 'table'] as const)
    .filter((part) => (part === 'schema' ? schemaOf(rule.match) : tableOf(rule.match)).includes('*'))
    .filter((part) => !target.includes(`{${part}}`))
    .map((part) =>
      issue(
        'SYNC-1003',
        [...path, part],
        `${rule.match} can match several ${part}s, and all of them would be written to ${target}`,
        `Use {${part}} in the name, or write one rule for each ${part}.`,
      ),
    )
}

/** Rules that can never hold, and rules of single tables that meet at the target. */
function orderIssues(rules: readonly TableRuleSpec[], index: number): ConfigIssue[] {
  const rule = rules[index] as TableRuleSpec
  const path: FieldPath = ['spec', 'tables', index]
  for (const [before, earlier] of rules.slice(0, index).entries()) {
    if (patternCovers(earlier.match, rule.match)) {
      // Where it leaves a table out, that is its decision, too.
      const leavesOut = earlier.exclude.some((pattern) => patternsMeet(pattern, rule.match))
      return [
        issue(
          'SYNC-1003',
          [...path, 'match'],
          leavesOut
            ? `rule ${before} (${earlier.match}) comes first and decides for ${rule.match}, also where it leaves tables out, so this rule never holds`
            : `${rule.match} is taken by rule ${before} (${earlier.match}) already, so this rule never holds`,
          earlier.match === rule.match
            ? 'Keep one of the two; put what it leaves out into a rule of its own before it.'
            : `Put this rule before ${earlier.match}${leavesOut ? ', which then need not leave out what this one takes' : ''}.`,
        ),
      ]
    }
    const single = !earlier.match.includes('*') && !rule.match.includes('*')
    const meet =
      rendered(earlier, `${earlier.to.schema}.${earlier.to.table}`) ===
      rendered(rule, `${rule.to.schema}.${rule.to.table}`)
    if (single && meet) {
      return [
        issue(
          'SYNC-1003',
          [...path, 'to'],
          `${earlier.match} and ${rule.match} would both be written to ${rendered(rule, `${rule.to.schema}.${rule.to.table}`)}`,
          'Give each its own table at the target.',
        ),
      ]
    }
  }
  return []
}
