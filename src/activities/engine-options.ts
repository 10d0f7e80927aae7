/**
 * From the words of a pipeline file to what the engine is told.
 *
 * Pure. Assumes a checked document (config/document.ts): every quantity parses, every default is there.
 */
import { type Endpoint, siteOf } from '../config/endpoint.ts'
import type { PipelineSpec, TableRuleSpec } from '../config/pipeline.ts'
import { durationMs, sizeBytes } from '../config/quantity.ts'
import { defaultPolicies } from '../core/schema-policy.ts'
import type { EngineOptions, Shard, TableRule } from '../streamer/options.ts'

/**
 * @param name under which the engine's marks and progress stand in the target
 * @param shard whose tables the engine carries; absent: all
 */
export const toEngineOptions = (
  name: string,
  spec: PipelineSpec,
  source: Endpoint,
  shard?: Shard,
): EngineOptions => ({
  pipeline: name,
  origin: siteOf(source),
  rules: spec.tables.map((rule) => (shard === undefined ? ruleOf(rule) : { ...ruleOf(rule), shard })),
  order: spec.stream.order,
  lanes: spec.stream.lanes,
  batch: {
    maxRows: spec.stream.batch.maxRows,
    maxBytes: sizeBytes(spec.stream.batch.maxBytes),
    maxDelayMs: durationMs(spec.stream.batch.maxDelay),
  },
  smallBatchRows: spec.stream.batch.smallRows,
  load: {
    enabled: spec.load.mode === 'once',
    chunkRows: spec.load.chunkRows,
    chunksInFlight: spec.load.chunksInFlight,
  },
  ...(spec.onRefusedRow === 'quarantine' ? { quarantine: spec.quarantine } : {}),
  // A pipeline that was stored before there were policies.
  schemaChanges: spec.schemaChanges ?? defaultPolicies,
})

const ruleOf = (rule: TableRuleSpec): TableRule => ({
  match: rule.match,
  exclude: rule.exclude,
  toSchema: rule.to.schema,
  toTable: rule.to.table,
  includeColumns: rule.columns.include ?? null,
  excludeColumns: rule.columns.exclude ?? [],
  renameColumns: rule.columns.rename,
  where: rule.where ?? null,
})
