/**
 * What the API takes and answers, as schemas: the OpenAPI document, the server's types and the command line's types all come from here.
 */
import { z } from '@hono/zod-openapi'
import type { Endpoint } from '../config/endpoint.ts'
import type { Pipeline } from '../config/pipeline.ts'
import { pipelineVerifications } from './verification-wire.ts'

/** Documents are checked by config/document.ts, which names every mistake; here they only stand for themselves. */
const endpointDocument = z.custom<Endpoint>().openapi(componentOf('Endpoint'))
const pipelineDocument = z.custom<Pipeline>().openapi(componentOf('Pipeline'))

const time = z.string().openapi({ format: 'date-time', description: 'ISO 8601, UTC.' })
const generation = z.int().openapi({ description: 'Counts the changes of the resource; the ETag.' })

export const endpointResource = z
  .object({ document: endpointDocument, generation, createdAt: time, updatedAt: time })
  .openapi('EndpointResource')

export const pipelineResource = z
  .object({
    document: pipelineDocument,
    generation,
    wanted: z.enum(['run', 'stop', 'delete']).openapi({ description: 'What people asked for last.' }),
    createdAt: time,
    updatedAt: time,
  })
  .openapi('PipelineResource')

export const plan = z
  .object({
    change: z.enum(['create', 'change', 'unchanged']),
    fields: z
      .array(
        z.object({
          path: z
            .string()
            .openapi({ description: 'Field, as spec.stream.lanes; empty for the whole document.' }),
          before: z.unknown(),
          after: z.unknown(),
          effect: z.enum(['create', 'in-place', 'restart', 'refused']),
          reason: z.string().optional(),
        }),
      )
      .readonly(),
    restarts: z.array(z.string()).readonly().openapi({ description: 'Pipelines whose stream restarts.' }),
  })
  .openapi('Plan')

const applied = {
  change: z.enum(['created', 'changed', 'unchanged', 'dry-run']),
  plan,
}
export const appliedEndpoint = z
  .object({ ...applied, resource: endpointResource.nullable() })
  .openapi('AppliedEndpoint')
export const appliedPipeline = z
  .object({
    ...applied,
    resource: pipelineResource.nullable(),
    workflow: z
      .enum(['started', 'changed', 'unchanged', 'not-wanted', 'checking', 'held-back'])
      .nullable()
      .openapi({
        description:
          'What became of the workflow; not-wanted: the pipeline was stopped, resume starts it; checking: other tables are being checked beside the stream; held-back: the checks refuse them, see pendingChange of the status.',
      }),
  })
  .openapi('AppliedPipeline')

export const blocked = z
  .object({
    code: z.string(),
    message: z.string(),
    remedy: z.string(),
    at: z.string().nullable(),
    findings: z
      .array(
        z.object({
          code: z.string(),
          severity: z.enum(['error', 'warning']),
          message: z.string(),
          remedy: z.string(),
        }),
      )
      .readonly(),
  })
  .openapi('Blocked')

const rateLimits = z.object({
  maxRowsPerSecond: z.number().nullable(),
  maxBytesPerSecond: z.number().nullable(),
})

const partChange = z.strictObject({
  maxRowsPerSecond: z.int().min(1).nullable().optional(),
  maxBytesPerSecond: z
    .string()
    .nullable()
    .optional()
    .openapi({ description: 'A size with a unit, as 10MiB.' }),
  pauseWhen: z.null().optional().openapi({
    description: 'null: waits for nothing any more. Measures to wait for are set by the pipeline’s file.',
  }),
})
export const limitsChange = z
  .strictObject({ load: partChange.optional(), stream: partChange.optional() })
  .openapi('LimitsChange', {
    description: 'Fields that are left out stay as they are; null lifts a limit.',
  })

export const parkedTable = z
  .object({
    table: z.string().openapi({ description: 'The source table, as schema.table.' }),
    parking: z.string().openapi({ description: 'Another one each time that the table is parked.' }),
    state: z.enum(['parked', 'rejoining']),
    code: z.string(),
    message: z.string(),
    remedy: z.string(),
    parkedAt: time,
    deadLetters: z.int().openapi({ description: 'Refused rows kept in syncline.dead_letter at the target.' }),
  })
  .openapi('ParkedTable')

export const tableToRejoin = z
  .strictObject({ table: z.string().openapi({ description: 'The source table, as schema.table.' }) })
  .openapi('TableToRejoin')

export const tablesToAdd = z
  .strictObject({
    tables: z
      .array(z.union([z.string(), z.looseObject({ match: z.string() })]))
      .min(1)
      .max(10_000)
      .openapi({
        description: 'Patterns as schema.table, or whole rules as under spec.tables of a pipeline.',
      }),
  })
  .openapi('TablesToAdd')
export const removedTables = z
  .strictObject({
    tables: z
      .array(z.string().regex(/^[^.\s][^.]*\.[^.]+$/))
      .min(1)
      .max(10_000)
      .openapi({ description: 'Patterns as schema.table.' }),
  })
  .openapi('RemovedTables')

export const engineReport = z
  .object({
    phase: z.enum(['starting', 'loading', 'catching-up', 'streaming', 'retrying', 'draining']),
    epoch: z.string(),
    position: z.object({ token: z.string(), ordinal: z.number() }).nullable(),
    batch: z.number(),
    lagMs: z.number(),
    rowsApplied: z.number(),
    rowsPerSecond: z.number(),
    load: z.object({
      tables: z.number(),
      tablesDone: z.number(),
      rows: z.number(),
      rowsEstimated: z.number(),
      etaMs: z.number().nullable(),
    }),
    limits: z
      .object({ load: rateLimits, stream: rateLimits })
      .optional()
      .openapi({ description: 'What the engine goes by now.' }),
    throttled: z
      .object({ load: z.string().nullable(), stream: z.string().nullable() })
      .optional()
      .openapi({ description: 'What holds the load or the stream back now, in words.' }),
    retrying: z.object({ code: z.string(), message: z.string(), attempt: z.number() }).nullable(),
    hostPid: z.int().nullable().openapi({ description: 'Process of the engine on its worker.' }),
    restarts: z.int().openapi({ description: 'How often this attempt has started the engine again.' }),
  })
  .openapi('EngineReport')

const retentionWarning = z
  .object({
    code: z.string(),
    message: z.string(),
    remedy: z.string(),
    deadline: time,
  })
  .openapi('RetentionWarning')

export const retention = z
  .object({
    at: time,
    keptMs: z.number().nullable().openapi({
      description: 'How long the source keeps a log file after its end; null: it purges nothing by itself.',
    }),
    bytesBehind: z.number().openapi({ description: 'What there is still to read, at most.' }),
    isPurged: z.boolean().openapi({ description: 'Something that is not applied yet is gone.' }),
    standsUntil: time.nullable().openapi({
      description: 'Not before then the source purges what is needed, if the pipeline does not move.',
    }),
    purgeFrom: time.nullable().openapi({
      description: 'The same at its pace of the last minutes; null: not foreseen.',
    }),
    pace: z.number().nullable().openapi({
      description: 'Seconds of the source’s time applied in a second; below 1 it falls behind.',
    }),
    catchUpMs: z
      .number()
      .nullable()
      .openapi({ description: 'Time until it has caught up at this pace; null: it does not.' }),
    shard: z.int().nullable().openapi({
      description:
        'Of a pipeline with shards: the one whose log goes first, from 1 on. All of this is about it.',
    }),
    warning: retentionWarning.nullable(),
  })
  .openapi('Retention')

const count = z.number()
const rowsIn = { inserted: count, updated: count, deleted: count, copied: count }
const rowsOut = { upserted: count, removed: count, merged: count }
const ms = z.number()

const engineStatistics = z.object({
  since: time.openapi({ description: 'When the engine began to count; a new engine begins anew.' }),
  at: time,
  tables: z.int().openapi({ description: 'Tables that have had rows.' }),
  rows: z.object({ ...rowsIn, ...rowsOut, outOfScope: count }),
  batches: z.object({ small: count, large: count, checkpoints: count, transactions: count }),
  bytes: z.object({ log: count, chunks: count, written: count }),
  timesMs: z
    .object({
      sourceWait: ms,
      decode: ms,
      merge: ms,
      chunkRead: ms,
      plan: ms,
      build: ms,
      small: ms,
      header: ms,
      lanes: ms,
      commit: ms,
    })
    .openapi({ description: 'By stage; stages go on at the same time.' }),
  heldMs: z
    .object({ batchFull: ms, chunkWindow: ms, lanesIdle: ms, laneSkew: ms })
    .openapi({ description: 'In which one stage waited for another.' }),
})

export const statisticsAnswer = z
  .object({
    name: z.string(),
    statistics: engineStatistics.nullable().openapi({
      description:
        'null: no engine has told anything yet. Of a pipeline with shards: their sum, since the first of them began; of transactions, which all of them see, the greatest number.',
    }),
    shards: z
      .array(engineStatistics.extend({ shard: z.int().openapi({ description: 'From 1 on.' }) }))
      .nullable()
      .openapi({
        description: 'The figures of each shard that has told any; null where one engine carries all tables.',
      }),
    tables: z.array(z.object({ table: z.string(), target: z.string(), ...rowsIn, ...rowsOut, bytes: count })),
    nextPageToken: z.string().nullable(),
  })
  .openapi('PipelineStatistics')
export const shardStatus = z
  .object({
    shard: z.int().openapi({ description: 'From 1 on.' }),
    state: z.enum(['loading', 'catching-up', 'streaming', 'blocked']).nullable().openapi({
      description: 'null while no worker tells.',
    }),
    blocked: blocked.nullable(),
    engine: engineReport.nullable(),
    engineSeenAt: time.nullable(),
    worker: z.string().nullable(),
    attempt: z.int().nullable(),
  })
  .openapi('ShardStatus')

export const pipelineStatus = z
  .object({
    name: z.string(),
    state: z.enum([
      'created',
      'checking',
      'loading',
      'catching-up',
      'streaming',
      'draining',
      'paused',
      'blocked',
      'stopped',
      'deleting',
    ]),
    wanted: z.enum(['run', 'pause', 'stop', 'delete']),
    since: time.nullable(),
    generation,
    observedGeneration: z.int().nullable().openapi({ description: 'The generation that runs.' }),
    actor: z.string().nullable().openapi({ description: 'Who made the last change.' }),
    detail: z.string().openapi({ description: 'What the last change was, or what to do next.' }),
    blocked: blocked.nullable(),
    pendingChange: z.object({ generation: z.int(), refused: blocked.nullable() }).nullable().openapi({
      description:
        'A change of tables that is not in force: being checked beside the stream, or refused by the checks. What streams goes on without it.',
    }),
    retrying: z
      .object({ code: z.string(), message: z.string(), remedy: z.string(), attempt: z.int() })
      .nullable()
      .openapi({ description: 'What is being tried again, while a check or the start of the engine fails.' }),
    engine: engineReport.nullable().openapi({
      description:
        'What the engine said last; null while none runs. Of a pipeline with shards: their sum, with the greatest lag.',
    }),
    engineSeenAt: time.nullable(),
    worker: z.string().nullable(),
    attempt: z.int().nullable(),
    shards: z
      .array(shardStatus)
      .readonly()
      .nullable()
      .openapi({ description: 'How each shard stands, while they run; null where one engine carries all.' }),
    workflow: z.object({ id: z.string(), runId: z.string() }).nullable(),
    retention: retention.nullable().openapi({
      description: 'How long the source keeps the log that is still needed; null: not known.',
    }),
    verifications: pipelineVerifications,
    warnings: z.array(z.string()),
  })
  .openapi('PipelineStatus')

export const auditRecord = z
  .object({
    seq: z.int(),
    at: time,
    actor: z.string(),
    action: z.string(),
    kind: z.enum(['Endpoint', 'Pipeline']),
    name: z.string(),
    outcome: z.enum(['done', 'refused', 'failed']),
    code: z.string().optional(),
    requestId: z.string().optional(),
    detail: z.unknown(),
    key: z.string().optional(),
    hash: z.string(),
  })
  .openapi('AuditRecord')

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string(),
    remedy: z.string(),
    errors: z.array(
      z.object({
        code: z.string(),
        path: z.string(),
        pointer: z.string().optional(),
        message: z.string(),
        remedy: z.string().optional(),
      }),
    ),
  })
  .openapi('Problem')

export type EndpointResource = z.output<typeof endpointResource>
export type PipelineResource = z.output<typeof pipelineResource>
export type Plan = z.output<typeof plan>
export type AppliedEndpoint = z.output<typeof appliedEndpoint>
export type AppliedPipeline = z.output<typeof appliedPipeline>
export type EngineReport = z.output<typeof engineReport>
export type ShardStatusAnswer = z.output<typeof shardStatus>
export type ParkedTableAnswer = z.output<typeof parkedTable>
export type PipelineStatusAnswer = z.output<typeof pipelineStatus>
export type StatisticsAnswer = z.output<typeof statisticsAnswer>
export type RetentionAnswer = z.output<typeof retention>
export type LimitsChange = z.output<typeof limitsChange>
export type AuditRecordAnswer = z.output<typeof auditRecord>
export type Problem = z.output<typeof problem>

function componentOf(name: 'Endpoint' | 'Pipeline') {
  return { type: 'object' as const, allOf: [{ $ref: `#/components/schemas/${name}` }] }
}
