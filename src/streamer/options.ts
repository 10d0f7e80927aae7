/**
 * What the engine is told to do, in plain values: the streamer knows neither files nor Temporal.
 */
import type { TableId } from '../core/schema.ts'
import type { SchemaChangePolicies } from '../core/schema-policy.ts'

export interface TableRule {
  /** `schema.table` with `*` for any run of characters in either part. */
  readonly match: string
  readonly exclude: readonly string[]
  /** Tables that take no part for the time being, by their names alone (quarantine.ts). */
  readonly parked?: readonly string[]
  /** Names at the target; `{schema}` and `{table}` stand for the source's. */
  readonly toSchema: string
  readonly toTable: string
  readonly includeColumns: readonly string[] | null
  readonly excludeColumns: readonly string[]
  readonly renameColumns: Readonly<Record<string, string>>
  /** A row filter in the language of core/filter.ts. */
  readonly where: string | null
  /** Of the tables that match, only those of this shard take part. Absent: all. The same in every rule. */
  readonly shard?: Shard
}

/** A part of a pipeline's tables, carried by an engine of its own: `index` from 0, of `of` in all. */
export interface Shard {
  readonly index: number
  readonly of: number
}

/** merged: rows in whatever order is fastest. global: every commit at the target is a state that the source had (whole-transactions.ts). */
export type Order = 'merged' | 'global'

export interface EngineOptions {
  readonly pipeline: string
  /** Site name of the source: the origin written into mark rows. */
  readonly origin: string
  /** The first rule that matches a table holds. */
  readonly rules: readonly TableRule[]
  readonly order: Order
  /** In order `merged`. */
  readonly lanes: number
  readonly batch: { readonly maxRows: number; readonly maxBytes: number; readonly maxDelayMs: number }
  /** At most this many rows go in one small (single transaction) batch. In order `global` all do. */
  readonly smallBatchRows: number
  readonly load: { readonly enabled: boolean; readonly chunkRows: number; readonly chunksInFlight: number }
  /** Absent: the defaults of core/schema-policy.ts. */
  readonly schemaChanges?: SchemaChangePolicies
  /** Absent: what a target refuses blocks the pipeline. */
  readonly quarantine?: QuarantineOptions
}

export interface QuarantineOptions {
  /** Tables that may be parked at a time; one more blocks the pipeline. */
  readonly maxTables: number
  /** Refused rows that are kept of each. */
  readonly maxDeadLetters: number
}

/** One table of a running pipeline. */
export interface TableMapping {
  readonly source: TableId
  readonly target: TableId
  readonly rule: TableRule
}
