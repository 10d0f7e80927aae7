/**
 * `kind: Pipeline`: what is kept in step, from where to where.
 *
 * This file says what each field may be; what fields may not say together is in combinations.ts. Defaults are filled in when a document
 * is read, so a stored pipeline keeps its meaning when a later version has other defaults.
 */
import { z } from 'zod'
import { defaultPolicies, type SchemaChangeKind, type SchemaChangePolicy } from '../core/schema-policy.ts'
import { apiVersion, metadata, resourceName } from './metadata.ts'
import { duration, size } from './quantity.ts'
import { verifySpec } from './verify.ts'

const tablePattern = z.string().regex(/^[^.\s][^.]*\.[^.]+$/, {
  error: 'expected schema.table, where * stands for any run of characters',
})
const identifier = z.string().min(1).max(64)

const columns = z
  .strictObject({
    include: z
      .array(identifier)
      .min(1)
      .optional()
      .meta({ description: 'Only these columns (the primary key must be among them).' }),
    exclude: z.array(identifier).min(1).optional().meta({ description: 'All but these columns.' }),
    rename: z
      .record(identifier, identifier)
      .default({})
      .meta({ description: 'Names at the target, by name at the source.' }),
  })
  .meta({ description: 'Which columns are carried, and under which names.' })

const tableRule = z
  .strictObject({
    match: tablePattern.meta({
      description:
        'Source tables as schema.table; * stands for any run of characters. The first rule that matches a table decides, also where it leaves the table out.',
    }),
    exclude: z.array(tablePattern).default([]).meta({
      description: 'Tables that this rule leaves out; no later rule takes them.',
    }),
    to: z
      .strictObject({
        schema: identifier
          .default('{schema}')
          .meta({ description: 'Schema at the target; {schema} stands for the source’s.' }),
        table: identifier
          .default('{table}')
          .meta({ description: 'Table at the target; {table} stands for the source’s.' }),
      })
      .prefault({})
      .meta({ description: 'Names at the target; default: the same names.' }),
    columns: columns.prefault({}),
    where: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'Row filter: comparisons of columns with literals, IN, IS NULL, AND, OR, NOT.' }),
  })
  .meta({ description: 'One rule: which tables, and how they appear at the target.' })

const pauseWhen = z
  .strictObject({
    sourceThreadsRunning: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .meta({ description: 'Wait while more threads run at the source (Threads_running).' }),
    targetThreadsRunning: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .meta({ description: 'Wait while more threads run at the target (Threads_running).' }),
    targetReplicaLag: duration('1s', '24h').optional().meta({
      description:
        'Wait while a replica of the target is further behind, or cannot be asked: those that SHOW REPLICAS names, at the address that they report, with the endpoint’s account.',
    }),
    targetQuery: z
      .strictObject({
        sql: z.string().min(1).max(10_000).meta({
          description:
            'One query that gives one number; run at the target about once a second, in a read-only transaction.',
        }),
        above: z.number().meta({ description: 'Wait while the number is above this.' }),
      })
      .optional()
      .meta({ description: 'Wait while a query at the target gives more than a bound.' }),
  })
  .meta({ description: 'Waits while a server is pressed too hard. Changes without a restart.' })

/** What may be changed while the pipeline runs: limits.ts says how it is read. */
const rateFields = (what: string) => ({
  maxRowsPerSecond: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .optional()
    .meta({ description: `Most ${what} per second; left out: no limit. Changes without a restart.` }),
  maxBytesPerSecond: size('1KiB', '1000GB')
    .optional()
    .meta({
      description: `Most bytes of ${what} per second; left out: no limit. Changes without a restart.`,
    }),
  pauseWhen: pauseWhen.optional(),
})

const load = z
  .strictObject({
    mode: z.enum(['once', 'none']).default('once').meta({
      description:
        'once: copy the rows that are there, then stream; none: only stream what changes from the start on.',
    }),
    chunkRows: z.int().min(100).max(1_000_000).default(20_000).meta({ description: 'Rows read at a time.' }),
    chunksInFlight: z.int().min(1).max(64).default(4).meta({ description: 'Chunks read at once.' }),
    ...rateFields('rows of tables'),
  })
  .meta({ description: 'The first copy.' })

const stream = z
  .strictObject({
    order: z.enum(['merged', 'global']).default('merged').meta({
      description:
        'merged: the fastest; rows of one source transaction may appear one after the other. global: whole transactions in the order of the source’s log, on one connection; every commit at the target is a past state of the source (docs/concepts/order.md).',
    }),
    lanes: z.int().min(1).max(64).default(4).meta({
      description: 'Connections that write in parallel. In order global there is always one.',
    }),
    batch: z
      .strictObject({
        maxRows: z.int().min(1).max(1_000_000).default(200_000).meta({
          description:
            'Most rows in a batch. Batches grow towards it while the stream is behind and the target is quick.',
        }),
        smallRows: z.int().min(0).max(10_000).default(500).meta({
          description:
            'Batches up to this many rows are written in one transaction; larger ones by all lanes in parallel, and a table with few of their rows (this many divided by the lanes) by one lane. In order global every batch is one transaction.',
        }),
        maxBytes: size('64KiB', '256MiB').default('24MiB').meta({
          description: 'Most bytes of memory for the rows of a batch. Two batches are in memory at once.',
        }),
        maxDelay: duration('0ms', '60s').default('0ms').meta({
          description:
            'How long a small batch may wait for more rows while the target is idle. While it is busy, batches fill by themselves.',
        }),
      })
      .prefault({})
      .meta({ description: 'When a batch is closed: whichever comes first.' }),
    ...rateFields('row changes of the log'),
  })
  .meta({ description: 'How changes are written.' })

const quarantine = z
  .strictObject({
    maxTables: z.int().min(1).max(1_000).default(10).meta({
      description:
        'Tables that may be parked at a time; one more blocks the pipeline. Of a pipeline with shards: in each of them.',
    }),
    maxDeadLetters: z.int().min(1).max(10_000).default(100).meta({
      description: 'Refused rows of a table that are kept, in syncline.dead_letter at the target.',
    }),
  })
  .meta({ description: 'Bounds of onRefusedRow: quarantine.' })

const policy = <const Allowed extends readonly [SchemaChangePolicy, ...SchemaChangePolicy[]]>(
  kind: SchemaChangeKind,
  allowed: Allowed,
  description: string,
) =>
  z
    .enum(allowed)
    .default(defaultPolicies[kind] as (typeof allowed)[number])
    .meta({ description })

const all = ['apply', 'ignore', 'block'] as const
/** Where going on without it would leave the rows wrong, or is what `block` does anyway as long as it can. */
const applyOrBlock = ['apply', 'block'] as const
/** No statement and no catalogue says any more which rows a dropped partition had. */
const ignoreOrBlock = ['ignore', 'block'] as const

const schemaChanges = z
  .strictObject({
    addColumn: policy(
      'addColumn',
      all,
      'A column is added. ignore: it is not carried as long as the target lacks it.',
    ),
    widenColumn: policy(
      'widenColumn',
      all,
      'A column gets a type that holds every value of the old one. ignore: a value that does not fit blocks.',
    ),
    narrowColumn: policy(
      'narrowColumn',
      applyOrBlock,
      'A column gets any other type. block: goes on where the target still holds every value.',
    ),
    renameColumn: policy('renameColumn', applyOrBlock, 'A column is renamed.'),
    dropColumn: policy(
      'dropColumn',
      applyOrBlock,
      'A column is dropped. block: the target keeps it, and the pipeline waits where it needs a value.',
    ),
    addIndex: policy('addIndex', all, 'An index is added.'),
    dropIndex: policy('dropIndex', all, 'An index is dropped.'),
    createTable: policy(
      'createTable',
      all,
      'A table that takes part is created while the pipeline runs. apply: it is created and loaded; ignore: it is left out as long as the target lacks it.',
    ),
    renameTable: policy(
      'renameTable',
      applyOrBlock,
      'A table is renamed. Cut-overs of online change tools are recognised and need no policy.',
    ),
    dropTable: policy('dropTable', all, 'A table is dropped. ignore: the target keeps it with its rows.'),
    truncateTable: policy(
      'truncateTable',
      all,
      'A table is emptied by TRUNCATE. ignore: the target keeps the rows.',
    ),
    dropPartition: policy(
      'dropPartition',
      ignoreOrBlock,
      'Partitions are dropped or truncated. ignore: the target keeps the rows. Not to be applied: which rows went cannot be known behind the statement.',
    ),
  })
  .meta({
    description:
      'What happens when a definition changes at the source. apply: the same at the target, before the rows that need it; ignore: goes on without it; block: waits for a person, unless the target fits already. A statement that brings several changes waits if one of them does.',
  })

export const pipelineSpec = z
  .strictObject({
    source: resourceName.meta({ description: 'Name of the endpoint that is read.' }),
    target: resourceName.meta({ description: 'Name of the endpoint that is written.' }),
    tables: z.array(tableRule).min(1).max(10_000).meta({ description: 'What is carried.' }),
    onMissingTable: z.enum(['refuse', 'create']).default('refuse').meta({
      description:
        'A table that the target lacks: refuse to start, or create it from the source’s definition.',
    }),
    onExistingRows: z.enum(['refuse', 'empty', 'keep']).default('refuse').meta({
      description:
        'A target table that has rows before the load: refuse to start, empty it, or keep and overwrite them.',
    }),
    onRefusedRow: z.enum(['block', 'quarantine']).default('block').meta({
      description:
        'A row or a definition that the target refuses: block the pipeline, or park its table and go on with all others. A parked table is emptied and loaded again when it rejoins.',
    }),
    quarantine: quarantine.prefault({}),
    load: load.prefault({}),
    stream: stream.prefault({}),
    shards: z.int().min(1).max(64).default(1).meta({
      description:
        'Engines that share the tables, each with its own reader of the log and its own position, on any worker. Cannot change once rows were written.',
    }),
    schemaChanges: schemaChanges.prefault({}),
    verify: verifySpec.optional(),
  })
  .meta({ description: 'What is kept in step, from where to where.' })

export const pipeline = z
  .strictObject({
    apiVersion,
    kind: z.literal('Pipeline').meta({ description: 'Keeps tables of one endpoint in step with another.' }),
    metadata,
    spec: pipelineSpec,
  })
  .meta({ title: 'Pipeline', description: 'Keeps tables of one endpoint in step with another.' })

export type PipelineSpec = z.output<typeof pipelineSpec>
export type TableRuleSpec = PipelineSpec['tables'][number]
export type PauseFields = z.output<typeof pauseWhen>
export type Pipeline = z.output<typeof pipeline>
