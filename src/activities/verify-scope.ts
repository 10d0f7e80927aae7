/**
 * Which tables of a pipeline are compared with which, as both ends are now: the rules of the pipeline's file over the catalogues of source and target.
 */
import { patternCovers } from '../config/table-pattern.ts'
import type { ComparisonRule } from '../config/verification.ts'
import { verifySettings } from '../config/verify.ts'
import type { Source, Target } from '../connectors/contract.ts'
import type { ColumnRule } from '../core/comparison.ts'
import { planComparison, type TablePair } from '../core/comparison-plan.ts'
import { SyncError } from '../core/errors.ts'
import { keyFromTexts } from '../core/key-input.ts'
import { type TableId, type TableShape, tableName } from '../core/schema.ts'
import type { VerificationRequest } from '../core/verification-request.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import type { PlannedTable } from '../store/verifications.ts'
import { mapTables, matchesTable, ruleFor, schemaInScope } from '../streamer/mapping.ts'
import type { TableRule } from '../streamer/options.ts'
import { columnsOf, engineOptionsOf, shardsOf } from './pipeline-scope.ts'

export interface ScopedTable {
  /** `schema.table` at the source. */
  readonly name: string
  readonly source: TableShape
  readonly target: TableId
  readonly rule: TableRule
  /** 0 where one engine carries all tables. */
  readonly shard: number
}

/** All tables that the pipeline carries, in the source's order. */
export async function tablesInScope(stored: PipelineGeneration, source: Source): Promise<ScopedTable[]> {
  const { rules } = engineOptionsOf(stored)
  const rulesOfShards = shardsOf(stored)?.map((shard) => engineOptionsOf(stored, shard).rules) ?? [rules]
  const schemas = (await source.schemas()).filter((schema) => schemaInScope(rules, schema))
  const shapes = await source.tables(schemas)
  const shapeOf = new Map(shapes.map((shape) => [shape.id, shape]))
  return mapTables(rules, [...shapeOf.keys()]).map(({ source: id, target, rule }) => ({
    name: tableName(id),
    source: shapeOf.get(id) as TableShape,
    target,
    rule,
    shard: Math.max(
      0,
      rulesOfShards.findIndex((own) => ruleFor(own, id) !== null),
    ),
  }))
}

/** @throws SyncError SYNC-5101 where something stands in the way, SYNC-5103 where the target has no such table */
export async function pairOf(
  stored: PipelineGeneration,
  { name, source, target: id, rule }: ScopedTable,
  target: Target,
): Promise<TablePair> {
  const [shape] = [...(await target.tables([id])).values()]
  return planned(stored, { name, source, target: id, rule }, shape)
}

function planned(
  stored: PipelineGeneration,
  { name, source, target, rule }: Omit<ScopedTable, 'shard'>,
  shape: TableShape | undefined,
): TablePair {
  if (shape === undefined) throw new SyncError('SYNC-5103', `the target has no table ${tableName(target)}`)
  const { columns } = verifySettings(stored.pipeline.spec.verify)
  const { pair, findings } = planComparison({
    source,
    target: shape,
    columns: columnsOf(rule, source),
    where: rule.where,
    ruleOf: (column) => ruleOfColumn(columns, `${name}.${column}`),
  })
  if (pair !== null) return pair
  const [first, ...more] = findings.filter(({ severity }) => severity === 'error')
  throw new SyncError(
    'SYNC-5101',
    `${first?.message ?? name}${more.length > 0 ? ` (and ${more.length} more)` : ''}`,
    first === undefined ? {} : { remedy: first.remedy },
  )
}

function ruleOfColumn(rules: readonly ComparisonRule[], column: string): ColumnRule | undefined {
  const found = rules.find(({ match }) => patternCovers(match, column))
  if (found === undefined) return undefined
  const said = Object.entries(found).filter(([key, value]) => key !== 'match' && value !== undefined)
  return Object.fromEntries(said) as ColumnRule
}

/**
 * The tables, or ranges of them, that a request means; what cannot be compared is among them, with the reason.
 * @throws SyncError SYNC-5142 for a pattern that means nothing, SYNC-5102 for a range that fits no key
 */
export async function planTables(
  stored: PipelineGeneration,
  request: VerificationRequest,
  source: Source,
  target: Target,
): Promise<PlannedTable[]> {
  const { name: pipeline } = stored.pipeline.metadata
  const all = await tablesInScope(stored, source)
  const meant = chosen(all, request, pipeline)
  const shapes = await target.tables(meant.map(({ target: id }) => id))
  const estimates = await source.snapshot.estimateRows(meant.map(({ source: { id } }) => id))
  const tables: PlannedTable[] = []
  for (const [i, scoped] of meant.entries()) {
    const base = plannedOf(stored, scoped, shapes.get(tableName(scoped.target)), estimates[i] ?? 0)
    const ranges = request.ranges.filter(({ table }) => table === scoped.name)
    if (ranges.length === 0) tables.push(base)
    for (const { after, upTo } of ranges) {
      tables.push({
        ...base,
        after: after === null ? null : keyFromTexts(scoped.source, after),
        upTo: upTo === null ? null : keyFromTexts(scoped.source, upTo),
      })
    }
  }
  return tables
}

/** A table that is meant, with its pair where both ends can be compared as they are now. */
export interface MeantTable extends PlannedTable {
  readonly pair: TablePair | null
}

/**
 * The tables that patterns mean, and no ranges of them.
 * @param isFirst a pattern that means nothing is an error; later its table may have gone
 * @throws SyncError SYNC-5142
 */
export async function meantTables(
  stored: PipelineGeneration,
  patterns: readonly string[],
  source: Source,
  target: Target,
  isFirst: boolean,
): Promise<MeantTable[]> {
  const all = await tablesInScope(stored, source)
  const meant = isFirst
    ? chosen(all, { tables: patterns, ranges: [] }, stored.pipeline.metadata.name)
    : all.filter(
        (table) =>
          patterns.length === 0 || patterns.some((pattern) => matchesTable(pattern, table.source.id)),
      )
  const shapes = await target.tables(meant.map(({ target: id }) => id))
  return meant.map((scoped) => {
    const shape = shapes.get(tableName(scoped.target))
    const base = plannedOf(stored, scoped, shape, 0)
    return { ...base, pair: base.trouble === null ? planned(stored, scoped, shape) : null }
  })
}

function chosen(
  all: readonly ScopedTable[],
  { tables, ranges }: Pick<VerificationRequest, 'tables' | 'ranges'>,
  pipeline: string,
): ScopedTable[] {
  const patterns = tables.length === 0 ? ranges.map(({ table }) => table) : tables
  if (all.length === 0) throw new SyncError('SYNC-5142', `pipeline ${pipeline} carries no table now`)
  for (const pattern of [...patterns, ...ranges.map(({ table }) => table)]) {
    if (!all.some(({ source }) => matchesTable(pattern, source.id)))
      throw new SyncError('SYNC-5142', `pipeline ${pipeline} carries no table ${pattern}`)
  }
  if (patterns.length === 0) return [...all]
  return all.filter(({ source }) => patterns.some((pattern) => matchesTable(pattern, source.id)))
}

function plannedOf(
  stored: PipelineGeneration,
  scoped: ScopedTable,
  shape: TableShape | undefined,
  rowsEstimated: number,
): PlannedTable {
  const base = {
    name: scoped.name,
    target: tableName(scoped.target),
    shard: scoped.shard,
    after: null,
    upTo: null,
    rowsEstimated,
  }
  try {
    const pair = planned(stored, scoped, shape)
    const columns = pair.columnNames.map((name, index) => ({
      source: name,
      target: pair.target.columns[index]?.name ?? name,
      kind: pair.target.columns[index]?.type.kind ?? ('text' as const),
      isKey: pair.source.key.includes(index),
    }))
    return { ...base, columns, trouble: null }
  } catch (thrown) {
    if (!(thrown instanceof SyncError) || thrown.disposition !== 'reject') throw thrown
    const { code, message, remedy } = thrown
    return { ...base, columns: [], trouble: { code, message, remedy } }
  }
}
