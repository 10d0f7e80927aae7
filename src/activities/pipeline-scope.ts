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
  mapColumn,
  mapTables,
  matchesSchema,
  matchesTable,
  ruleFor,
  schemaInScope,
  takesMany,
  withoutTables,
} from '../streamer/mapping.ts'
import type { EngineOptions, TableRule } from '../streamer/options.ts'
import { toEngineOptions } from './engine-options.ts'

/** Width of the mark rows' key column at the targets. */
const maxMarkName = 64

/**
 * The name under which a pipeline's marks and progress stand in its target. A pipeline that was deleted and created again begins
 * afresh: what its namesake left there is not its own.
 */
export const markName = (name: string, incarnation: number): string => {
  if (incarnation === 1) return name
  const suffix = `@${incarnation}`
  if (name.length + suffix.length <= maxMarkName) return `${name}${suffix}`
  return `${createHash('sha256').update(name).digest('hex').slice(0, 48)}${suffix}`
}

export const engineOptionsOf = (stored: PipelineGeneration): EngineOptions =>
  toEngineOptions(
    markName(stored.pipeline.metadata.name, stored.incarnation),
    stored.pipeline.spec,
    stored.source,
  )

/** With secrets. Never log it. @throws SyncError SYNC-1005 */
export const sourceConfigOf = async (stored: PipelineGeneration): Promise<EndpointConfig> => ({
  ...(await connectionOf(stored.source)),
})
/** With secrets. Never log it. @throws SyncError SYNC-1005 */
export const targetConfigOf = async (stored: PipelineGeneration): Promise<EndpointConfig> => ({
  ...(await connectionOf(stored.target)),
})

/** What the pre-checks look at: the source's tables as they are now, mapped by the rules; `parked` ones are nobody's concern. */
export const scopeOf = async (
  stored: PipelineGeneration,
  openSource: (config: EndpointConfig) => Promise<Source>,
  parked: readonly TableId[] = [],
): Promise<PipelineScope> => {
  const [source, target] = await Promise.all([sourceConfigOf(stored), targetConfigOf(stored)])
  const { pipeline, rules: allRules, load } = engineOptionsOf(stored)
  const rules = withoutTables(allRules, parked)
  const { onMissingTable, onExistingRows } = stored.pipeline.spec
  const reader = await openSource(source)
  try {
    const schemas = (await reader.schemas()).filter((schema) => schemaInScope(rules, schema))
    const visible = await reader.tables(schemas)
    const shapes = visible.filter((shape) => ruleFor(rules, shape.id) !== null)
    const byId = new Map(shapes.map((shape) => [shape.id, shape]))
    const mappings = mapTables(rules, [...byId.keys()]).map(
      (mapping): MappedTable => ({
        source: mapping.source,
        target: mapping.target,
        columns: columnsOf(mapping.rule, byId.get(mapping.source)),
      }),
    )
    const many = rules.filter((rule) => takesMany(rule.match))
    return {
      pipeline,
      source,
      target,
      mappings,
      patternSchemas: schemas.filter((schema) => many.some((rule) => matchesSchema(rule.match, schema))),
      unmatched: rules
        .filter((rule) => !visible.some((shape) => matchesTable(rule.match, shape.id)))
        // An empty schema is fine: its tables may come later.
        .filter(
          (rule) => !many.includes(rule) || !schemas.some((schema) => matchesSchema(rule.match, schema)),
        )
        .map((rule) => rule.match),
      loads: load.enabled,
      onMissingTable,
      onExistingRows,
    }
  } finally {
    await reader.close()
  }
}

const columnsOf = (rule: TableRule, shape: TableShape | undefined): MappedTable['columns'] => {
  const isWhole =
    rule.includeColumns === null &&
    rule.excludeColumns.length === 0 &&
    Object.keys(rule.renameColumns).length === 0
  if (isWhole || shape === undefined) return null
  return shape.columns.flatMap(({ name }) => {
    const target = mapColumn(rule, name)
    return target === null ? [] : [{ source: name, target }]
  })
}
