/**
 * Which tables of a source take part, and what they are called at the target. Pure.
 *
 * The first rule that matches a table holds. Syncline's own schema and the server's schemas never take part. Where a pipeline has shards, a
 * table takes part in exactly one of them, by its name at the target alone: the same for ever, for tables that are yet to come as well, and
 * two tables that go into one are together.
 */
import type { MappedTable } from '../connectors/contract.ts'
import { SyncError } from '../core/errors.ts'
import { textHash } from '../core/hash.ts'
import { type TableId, tableName } from '../core/schema.ts'
import type { TableMapping, TableRule } from './options.ts'

const reservedSchemas = new Set(['syncline', 'mysql', 'sys', 'performance_schema', 'information_schema'])

/** `*` stands for any run of characters; everything else for itself. */
function patternToRegExp(pattern: string): RegExp {
  const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${escaped.join('.*')}$`, 's')
}

const split = (pattern: string): [string, string] => {
  const dot = pattern.indexOf('.')
  return dot < 0 ? ['*', pattern] : [pattern.slice(0, dot), pattern.slice(dot + 1)]
}

/** @param pattern `schema.table` with `*` */
export const matchesTable = (pattern: string, id: TableId): boolean => {
  const [schema, table] = split(pattern)
  return patternToRegExp(schema).test(id.schema) && patternToRegExp(table).test(id.name)
}

/** The rule that holds for a table, or null when it does not take part (in this shard). */
export function ruleFor(rules: readonly TableRule[], id: TableId): TableRule | null {
  const rule = ruleInAnyShard(rules, id)
  if (rule === null || rule.parked?.includes(tableName(id)) === true) return null
  return rule.shard === undefined || shardOf(rule, id, rule.shard.of) === rule.shard.index ? rule : null
}

/** Do the tables belong to different shards of the pipeline, parked ones too? Tables that take no part do not count. */
export function spanShards(rules: readonly TableRule[], ids: readonly TableId[]): boolean {
  const shards = ids.flatMap((id) => {
    const rule = ruleInAnyShard(rules, id)
    return rule?.shard === undefined ? [] : [shardOf(rule, id, rule.shard.of)]
  })
  return new Set(shards).size > 1
}

/** Changes of a table that are not carried are in the figures of one shard: of its own where it has one (it is parked), else of any. */
export function countsFor(rules: readonly TableRule[], id: TableId): boolean {
  const shard = rules[0]?.shard
  if (shard === undefined) return true
  const rule = ruleInAnyShard(rules, id)
  const owner = rule === null ? textHash(tableName(id)) % shard.of : shardOf(rule, id, shard.of)
  return owner === shard.index
}

/** Of a table that is parked, too. */
function ruleInAnyShard(rules: readonly TableRule[], id: TableId): TableRule | null {
  if (reservedSchemas.has(id.schema)) return null
  const rule = rules.find(({ match }) => matchesTable(match, id))
  return rule === undefined || rule.exclude.some((pattern) => matchesTable(pattern, id)) ? null : rule
}

/** The same rules, but these tables take no part. */
export const withoutTables = (
  rules: readonly TableRule[],
  tables: readonly TableId[],
): readonly TableRule[] =>
  tables.length === 0 ? rules : rules.map((rule) => ({ ...rule, parked: tables.map(tableName) }))
/** Names that differ in case alone may be one table at a target that ignores case. */
const shardOf = (rule: TableRule, id: TableId, of: number): number =>
  textHash(tableName(targetOf(rule, id)).toLowerCase()) % of

/** Does the pattern take every table of its schemas that matches, and not just one by name? */
export const takesMany = (pattern: string): boolean => split(pattern)[1].includes('*')

/** Could the pattern take a table of this schema? */
export const matchesSchema = (pattern: string, schema: string): boolean =>
  !reservedSchemas.has(schema) && patternToRegExp(split(pattern)[0]).test(schema)

/** Could any table of this schema take part? */
export const schemaInScope = (rules: readonly TableRule[], schema: string): boolean =>
  rules.some((rule) => matchesSchema(rule.match, schema))

const fill = (template: string, id: TableId): string =>
  template.replaceAll('{schema}', id.schema).replaceAll('{table}', id.name)

const targetOf = (rule: TableRule, source: TableId): TableId => ({
  schema: fill(rule.toSchema, source),
  name: fill(rule.toTable, source),
})

/** @throws SYNC-1003 when two sources would go into one target table */
export function mapTables(rules: readonly TableRule[], sources: readonly TableId[]): TableMapping[] {
  const mappings: TableMapping[] = []
  const takenBy = new Map<string, TableId>()
  for (const source of sources) {
    const rule = ruleFor(rules, source)
    if (rule === null) continue
    const target = targetOf(rule, source)
    const other = takenBy.get(tableName(target))
    if (other !== undefined)
      throw new SyncError(
        'SYNC-1003',
        `${tableName(other)} and ${tableName(source)} would both be written to ${tableName(target)}`,
        { remedy: 'Give each source table its own name at the target (spec.tables[].to).' },
      )
    takenBy.set(tableName(target), source)
    mappings.push({ source, target, rule })
  }
  return mappings
}

/** The target's name of a table that any engine of the pipeline carries, or would but for its being parked; null: none does. */
export function targetInAnyShard(rules: readonly TableRule[], id: TableId): TableId | null {
  const rule = ruleInAnyShard(rules, id)
  return rule === null ? null : targetOf(rule, id)
}

/** The target's name of a source column, or null when the rule leaves it out. */
export function mapColumn(rule: TableRule, column: string): string | null {
  if (rule.includeColumns !== null && !rule.includeColumns.includes(column)) return null
  if (rule.excludeColumns.includes(column)) return null
  return rule.renameColumns[column] ?? column
}

/** A mapped table with its carried columns, as pre-checks and definitions are told. */
export function mappedColumns(rule: TableRule, columns: readonly string[]): MappedTable['columns'] {
  const isWhole =
    rule.includeColumns === null &&
    rule.excludeColumns.length === 0 &&
    Object.keys(rule.renameColumns).length === 0
  if (isWhole) return null
  return columns.flatMap((name) => {
    const target = mapColumn(rule, name)
    return target === null ? [] : [{ source: name, target }]
  })
}
