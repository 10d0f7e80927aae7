/**
 * From a stored generation of a pipeline to what engines and pre-checks are told: options, resolved endpoints, mapped tables.
 *
 * Secrets are resolved here, in the process that connects, each time it connects: a rotated one is used from the next connection on.
 */
import { createHash } from 'node:crypto'
import { connectionOf } from '../config/endpoint.ts'
import type { EndpointConfig, MappedTable, PipelineScope, Source } from '../connectors/contract.ts'
import type { TableId, TableShape } from '../core/schema.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import {
  mappedColumns,
  mapTables,
  matchesSchema,
  matchesTable,
  ruleFor,
  schemaInScope,
  takesMany,
  withoutTables,
} from '../streamer/mapping.ts'
import type { EngineOptions, Shard, TableRule } from '../streamer/options.ts'
import { mayTakePart } from '../streamer/scope-progress.ts'
import { toEngineOptions } from './engine-options.ts'

/** Width of the mark rows' key column at the targets. */
const maxMarkName = 64

/**
 * The name under which a pipeline's marks and progress stand in its target. A pipeline that was deleted and created again begins
 * afresh: what its namesake left there is not its own.
 */
export const markName = (name: string, incarnation: number, shard?: Shard): string => {
  const suffix = `${incarnation === 1 ? '' : `@${incarnation}`}${shard === undefined ? '' : `#${shard.index + 1}/${shard.of}`}`
  if (name.length + suffix.length <= maxMarkName) return `${name}${suffix}`
  return `${createHash('sha256').update(name).digest('hex').slice(0, 48)}${suffix}`
}

/** Null: one engine carries all tables. Documents that were stored before there were shards do not have the field. */
export const shardsOf = ({ pipeline }: PipelineGeneration): readonly Shard[] | null => {
  const of = pipeline.spec.shards ?? 1
  return of === 1 ? null : Array.from({ length: of }, (_, index) => ({ index, of }))
}

const marksOf = (stored: PipelineGeneration): NonNullable<PipelineScope['marks']> => {
  const { name } = stored.pipeline.metadata
  const nameOf = (shard?: Shard): string => markName(name, stored.incarnation, shard)
  const numbered = nameOf({ index: 0, of: 1 })
  return {
    own: shardsOf(stored)?.map(nameOf) ?? [nameOf()],
    // Every division that there could be: the whole, and any shard.
    family: [nameOf(), `${numbered.slice(0, numbered.lastIndexOf('#'))}#%`],
  }
}

export const engineOptionsOf = (stored: PipelineGeneration, shard?: Shard): EngineOptions =>
  toEngineOptions(
    markName(stored.pipeline.metadata.name, stored.incarnation, shard),
    stored.pipeline.spec,
    stored.source,
    shard,
  )

/** With secrets. Never log it. @throws SyncError SYNC-1005 */
export const sourceConfigOf = async (stored: PipelineGeneration): Promise<EndpointConfig> => ({
  ...(await connectionOf(stored.source)),
})
/** With secrets. Never log it. @throws SyncError SYNC-1005 */
export const targetConfigOf = async (stored: PipelineGeneration): Promise<EndpointConfig> => ({
  ...(await connectionOf(stored.target)),
})

/**
 * What the pre-checks look at: the source's tables as they are now, mapped by the rules; `parked` ones are nobody's concern.
 * @param shard only its tables; absent: those of the whole pipeline
 */
export const scopeOf = async (
  stored: PipelineGeneration,
  openSource: (config: EndpointConfig) => Promise<Source>,
  parked: readonly TableId[] = [],
  shard?: Shard,
): Promise<PipelineScope> => {
  const [source, target] = await Promise.all([sourceConfigOf(stored), targetConfigOf(stored)])
  const { pipeline, rules: ownRules, load } = engineOptionsOf(stored, shard)
  const rules = withoutTables(ownRules, parked)
  const allRules = engineOptionsOf(stored).rules
  const { onMissingTable, onExistingRows } = stored.pipeline.spec
  const reader = await openSource(source)
  try {
    const schemas = (await reader.schemas()).filter((schema) => schemaInScope(rules, schema))
    const visible = await reader.tables(schemas)
    const byId = new Map(visible.map((shape) => [shape.id, shape]))
    const all = mapTables(allRules, [...byId.keys()]).map(
      (mapping): MappedTable => ({
        source: mapping.source,
        target: mapping.target,
        columns: columnsOf(mapping.rule, byId.get(mapping.source)),
      }),
    )
    const isHere = ({ source: id }: MappedTable): boolean => ruleFor(rules, id) !== null
    const many = rules.filter((rule) => takesMany(rule.match))
    return {
      pipeline,
      source,
      target,
      marks: marksOf(stored),
      mappings: all.filter(isHere),
      elsewhere: all.filter((mapping) => !isHere(mapping)),
      patternSchemas: schemas.filter((schema) => many.some((rule) => matchesSchema(rule.match, schema))),
      unmatched: rules
        .filter((rule) => !visible.some((shape) => matchesTable(rule.match, shape.id)))
        // An empty schema is fine: its tables may come later.
        .filter(
          (rule) => !many.includes(rule) || !schemas.some((schema) => matchesSchema(rule.match, schema)),
        )
        .map((rule) => rule.match),
      loads: load.enabled,
      takesPart: (table) => mayTakePart(allRules, table),
      onMissingTable,
      onExistingRows,
    }
  } finally {
    await reader.close()
  }
}

/** The carried columns with their names at the target; null: every column under its own name. */
export const columnsOf = (rule: TableRule, shape: TableShape | undefined): MappedTable['columns'] =>
  shape === undefined
    ? null
    : mappedColumns(
        rule,
        shape.columns.map(({ name }) => name),
      )
