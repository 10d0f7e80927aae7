/**
 * `spec.verify` of a pipeline: when it is verified by itself, how, and how what differs is repaired.
 *
 * None of it touches the stream: a change of it is in place.
 */
import { z } from 'zod'
import { SyncError } from '../core/errors.ts'
import type { VerificationRequest } from '../core/verification-request.ts'
import { cronMistake } from './cron.ts'
import { comparisonRule } from './verification.ts'

const tablePattern = z.string().regex(/^[^.\s][^.]*\.[^.]+$/, {
  error: 'expected schema.table, where * stands for any run of characters',
})

export const verifyModes = ['count', 'checksum', 'row'] as const

export const verifySpec = z
  .strictObject({
    schedule: z
      .string()
      .superRefine((text, context) => {
        const mistake = cronMistake(text)
        if (mistake !== null) context.addIssue({ code: 'custom', message: mistake })
      })
      .optional()
      .meta({
        description:
          'When it is verified by itself: minute, hour, day of month, month, day of week in UTC, as "0 3 * * *"; or @hourly, @daily, @weekly, @monthly, "@every 6h". Left out: only when asked for. One that is due while another runs is left out.',
      }),
    mode: z.enum(verifyModes).default('checksum').meta({
      description:
        'checksum: digests made by both servers, rows only where they differ; count: numbers of rows by range; row: every row, value by value.',
    }),
    tables: z
      .array(tablePattern)
      .max(10_000)
      .default([])
      .meta({ description: 'Source tables that are compared, as schema.table; none: all of them.' }),
    sample: z
      .number()
      .gt(0)
      .max(1)
      .default(1)
      .meta({ description: 'Part of the ranges of keys that is compared, 1 for all.' }),
    maxDifferences: z.int().min(1).max(100_000).default(1_000).meta({
      description: 'Differing rows of a table that are kept to be shown and repaired; others are counted.',
    }),
    continuous: z
      .strictObject({
        settleMs: z.int().min(0).max(86_400_000).default(5_000).meta({
          description: 'A row is read back when its last change is so old; what differs is shown no sooner.',
        }),
        tables: z.array(tablePattern).max(10_000).default([]).meta({
          description: 'Source tables whose changes are read back, as schema.table; none: all of them.',
        }),
        maxPendingRows: z.int().min(1_000).max(10_000_000).default(100_000).meta({
          description:
            'The reader of the log stops, and its lag grows, when so many rows wait to be read back.',
        }),
        maxRowsPerSecond: z.int().min(1).max(1_000_000).default(5_000).meta({
          description: 'Most rows per second that are read back at either end.',
        }),
        recheckMs: z.int().min(1_000).max(86_400_000).default(30_000).meta({
          description: 'Rows that differ are looked at again so often, whether they change or not.',
        }),
      })
      .optional()
      .meta({
        description:
          'Every row that the log touches is read back at both ends, as long as this stands here: a verification in mode continuous.',
      }),
    columns: z.array(comparisonRule).max(1_000).default([]).meta({
      description: 'Columns that are not to be compared exactly; the first rule that matches holds.',
    }),
    keepRuns: z
      .int()
      .min(1)
      .max(1_000)
      .default(20)
      .meta({ description: 'Verifications whose results are kept, the newest.' }),
    repair: z
      .strictObject({
        approval: z.enum(['required', 'none']).default('required').meta({
          description: 'required: a repair waits until somebody approves it.',
        }),
        automatic: z.boolean().default(false).meta({
          description: 'A verification by schedule that finds differences asks for their repair.',
        }),
        maxRowsPerSecond: z
          .int()
          .min(1)
          .max(1_000_000)
          .default(1_000)
          .meta({ description: 'Most rows per second that a repair reads and writes.' }),
      })
      .prefault({})
      .meta({ description: 'How what differs is repaired.' }),
  })
  .meta({ description: 'How source and target are compared, and when.' })

export type VerifySpec = z.output<typeof verifySpec>

/** With the defaults, where a pipeline's file says nothing. */
export const verifySettings = (spec: VerifySpec | undefined): VerifySpec => spec ?? verifySpec.parse({})

/** What a verification is asked for where a person says nothing else. */
export const requestOf = ({ mode, tables, sample, maxDifferences }: VerifySpec): VerificationRequest => ({
  mode,
  tables,
  ranges: [],
  sample,
  maxDifferences,
})

/** What a continuous verification is asked for, by the file or by a person. */
export function continuousRequestOf(
  { maxDifferences, continuous }: VerifySpec,
  isOfFile: boolean,
): VerificationRequest {
  const { tables, ...settings } = continuous ?? verifySpec.parse({ continuous: {} }).continuous ?? never()
  return {
    mode: 'continuous',
    tables,
    ranges: [],
    sample: 1,
    maxDifferences,
    continuous: { ...settings, isOfFile },
  }
}

const never = (): never => {
  throw new SyncError('SYNC-9001', 'defaults are not there')
}

/** Does the field say how the pipeline is verified, and nothing of its stream? */
export const isVerifyField = (path: string): boolean => /^spec\.verify(?=$|[.[])/.test(path)

export function withoutVerify<Spec extends { readonly verify?: unknown }>(spec: Spec): Omit<Spec, 'verify'> {
  const { verify: _, ...rest } = spec
  return rest
}
