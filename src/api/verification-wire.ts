/**
 * What the API takes and answers of verifications and repairs, as schemas (see wire.ts).
 */
import { z } from '@hono/zod-openapi'

const time = z.string().openapi({ format: 'date-time', description: 'ISO 8601, UTC.' })
const count = z.int()
const tablePattern = z.string().regex(/^[^.\s][^.]*\.[^.]+$/)
const keyText = z.array(z.string()).min(1).max(16)

export const verificationAsked = z
  .strictObject({
    mode: z.enum(['count', 'checksum', 'row', 'continuous']).optional(),
    settleMs: z.int().min(0).max(86_400_000).optional().openapi({
      description: 'Of mode continuous: a row is read back when its last change is so old.',
    }),
    tables: z
      .array(tablePattern)
      .max(10_000)
      .optional()
      .openapi({ description: 'Patterns as schema.table over source tables; none: all of them.' }),
    ranges: z
      .array(
        z.strictObject({
          table: z.string().openapi({ description: 'The source table, as schema.table.' }),
          after: keyText
            .nullable()
            .default(null)
            .openapi({ description: 'Values of the primary key; rows after it are compared.' }),
          upTo: keyText
            .nullable()
            .default(null)
            .openapi({ description: 'Values of the primary key; the row itself is compared.' }),
        }),
      )
      .max(1_000)
      .optional()
      .openapi({ description: 'Parts of tables. A table with ranges is compared in these alone.' }),
    sample: z.number().gt(0).max(1).optional(),
    maxDifferences: z.int().min(1).max(100_000).optional(),
  })
  .openapi('VerificationAsked', {
    description: 'What is left out is as spec.verify of the pipeline says.',
  })

const trouble = z
  .object({ code: z.string(), message: z.string(), remedy: z.string() })
  .openapi('VerificationTrouble')

const tally = z
  .object({
    rowsCompared: count,
    equal: count,
    different: count,
    onlySource: count,
    onlyTarget: count,
    unsettled: count.openapi({ description: 'Rows that changed too often to be told.' }),
  })
  .openapi('ComparisonTally')

const repair = z
  .object({
    repair: z.int(),
    state: z.enum(['awaiting-approval', 'waiting', 'repairing', 'verifying', 'done', 'failed', 'cancelled']),
    actor: z.string(),
    needsApproval: z.boolean(),
    approvedBy: z.string().nullable(),
    approvedAt: time.nullable(),
    maxRowsPerSecond: z.int().nullable(),
    requestedAt: time,
    endedAt: time.nullable(),
    trouble: trouble.nullable(),
    refusal: trouble.nullable().openapi({ description: 'Why the first of the refused rows was.' }),
    rows: z.object({
      total: count,
      pending: count,
      written: count,
      removed: count,
      overtaken: count.openapi({ description: 'The log brought the row meanwhile.' }),
      equal: count.openapi({ description: 'Equal when they were to be repaired; nothing was written.' }),
      refused: count.openapi({ description: 'The target did not take them; all others were repaired.' }),
      verifiedEqual: count,
      verifiedDifferent: count,
      unsettled: count,
    }),
  })
  .openapi('Repair')

const continuous = z
  .object({
    settleMs: count,
    isOfFile: z.boolean().openapi({ description: 'Asked for by spec.verify.continuous.' }),
    changes: count.openapi({ description: 'Changes of rows that the log had.' }),
    rowsRead: count,
    healed: count.openapi({ description: 'Rows that differed and were found equal later.' }),
    beyond: count.openapi({ description: 'Differences that were found and are not kept.' }),
    pendingRows: count.openapi({ description: 'Rows that wait to be read back.' }),
    lagMs: count.openapi({ description: 'How far the reader of the log is behind; 0: all of it is read.' }),
    oldestMs: count.openapi({ description: 'Age of the oldest change that is not read back.' }),
    position: z.string().nullable().openapi({ description: 'Where the reader of the log stands.' }),
    checkpoint: z.string().nullable().openapi({ description: 'All before is read back.' }),
    updatedAt: time.nullable(),
  })
  .openapi('ContinuousVerification')

export const verificationResource = z
  .object({
    id: z.string().openapi({ description: 'The pipeline’s name and the number of the run, as shop-12.' }),
    pipeline: z.string(),
    number: z.int(),
    origin: z.enum(['person', 'schedule']),
    actor: z.string(),
    generation: z.int().openapi({ description: 'Of the pipeline, when it was asked for.' }),
    mode: z.enum(['count', 'checksum', 'row', 'continuous']),
    tablesAsked: z.array(z.string()).readonly(),
    sample: z.number(),
    maxDifferences: z.int(),
    state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
    outcome: z.enum(['equal', 'different', 'incomplete']).nullable().openapi({
      description:
        'incomplete: nothing differs in what was compared, but some tables or rows could not be compared.',
    }),
    trouble: trouble.nullable().openapi({ description: 'Why it failed, or what it waits for.' }),
    requestedAt: time,
    startedAt: time.nullable(),
    endedAt: time.nullable(),
    passes: count.openapi({ description: 'How often both ends were aligned.' }),
    longestPauseMs: count.openapi({
      description: 'The longest time that the stream stood still for it, in milliseconds.',
    }),
    tally,
    tables: z.object({ total: count, done: count, notCompared: count }),
    repair: repair.nullable().openapi({ description: 'The newest repair of what it found.' }),
    continuous: continuous.nullable().openapi({ description: 'Of mode continuous, how far it is.' }),
  })
  .openapi('Verification')

export const comparedTable = z
  .object({
    table: z.string(),
    target: z.string(),
    after: z.string().nullable().openapi({ description: 'Rows after this key; null: from the beginning.' }),
    upTo: z.string().nullable().openapi({ description: 'Rows up to this key; null: to the end.' }),
    state: z.enum(['pending', 'running', 'done', 'skipped', 'failed']),
    trouble: trouble.nullable(),
    rowsEstimated: count,
    tally,
    kept: count.openapi({ description: 'Differences that are kept, of those counted.' }),
    durationMs: count,
    positions: z
      .array(
        z.object({
          after: z.string().nullable(),
          upTo: z.string().nullable(),
          position: z.string(),
          at: time,
        }),
      )
      .openapi({ description: 'At which position of the source which range of keys was compared.' }),
  })
  .openapi('ComparedTable')

const image = z.record(z.string(), z.string().nullable()).nullable()

export const differenceResource = z
  .object({
    id: z.int(),
    table: z.string(),
    kind: z.enum(['different', 'only-source', 'only-target', 'unsettled']),
    key: z.record(z.string(), z.string().nullable()),
    columns: z.array(z.string()).readonly().openapi({ description: 'Columns that differ.' }),
    source: image.openapi({ description: 'The row, by the source’s column names; null: not there.' }),
    target: image.openapi({ description: 'The row, by the source’s column names; null: not there.' }),
    seenAt: time.nullable().openapi({ description: 'Of mode continuous: when it was seen first.' }),
    healedAt: time
      .nullable()
      .openapi({ description: 'Of mode continuous: since when the row is equal again.' }),
  })
  .openapi('Difference')

export const repairAsked = z
  .strictObject({
    maxRowsPerSecond: z.int().min(1).max(1_000_000).optional(),
  })
  .openapi('RepairAsked', { description: 'What is left out is as spec.verify.repair says.' })

export const repairStatement = z
  .object({
    difference: z.int(),
    table: z.string().openapi({ description: 'The target table.' }),
    sql: z.string().openapi({
      description: 'As the row stood when it was compared; a repair reads each row again.',
    }),
  })
  .openapi('RepairStatement')

export const repairedRow = z
  .object({
    difference: z.int(),
    table: z.string(),
    kind: z.enum(['different', 'only-source', 'only-target', 'unsettled']),
    state: z.enum(['pending', 'written', 'removed', 'overtaken', 'equal', 'refused']),
    repairedAt: time.nullable(),
    refusal: trouble.nullable().openapi({ description: 'Why the target did not take it.' }),
    verified: z.enum(['equal', 'different', 'unsettled']).nullable(),
    sourceBefore: image,
    targetBefore: image,
    sourceAfter: image,
    targetAfter: image,
  })
  .openapi('RepairedRow')

const brief = z
  .object({
    id: z.string().openapi({ description: 'The pipeline’s name and the number of the run, as shop-12.' }),
    number: z.int(),
    origin: z.enum(['person', 'schedule']),
    actor: z.string(),
    mode: z.string(),
    state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
    outcome: z.enum(['equal', 'different', 'incomplete']).nullable(),
    rowsCompared: z.int(),
    differences: z.int().openapi({ description: 'Rows that differ, so far.' }),
    repair: z.string().nullable().openapi({ description: 'State of the newest repair of what it found.' }),
    requestedAt: time,
    endedAt: time.nullable(),
  })
  .openapi('VerificationBrief')

export const pipelineVerifications = z
  .object({
    newest: brief.nullable().openapi({ description: 'null: it was never verified.' }),
    schedule: z.string().nullable().openapi({ description: 'spec.verify.schedule' }),
    scheduled: brief.nullable().openapi({ description: 'The newest one of the schedule.' }),
  })
  .openapi('PipelineVerifications')

export type VerificationAsked = z.input<typeof verificationAsked>
export type VerificationAnswer = z.output<typeof verificationResource>
export type ComparedTableAnswer = z.output<typeof comparedTable>
export type DifferenceAnswer = z.output<typeof differenceResource>
export type RepairAsked = z.input<typeof repairAsked>
export type RepairAnswer = z.output<typeof repair>
export type RepairStatementAnswer = z.output<typeof repairStatement>
export type RepairedRowAnswer = z.output<typeof repairedRow>
export type VerificationBrief = z.output<typeof brief>
export type PipelineVerifications = z.output<typeof pipelineVerifications>
