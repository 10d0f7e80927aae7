/**
 * What a pipeline's file says of comparing: rules for columns whose values are not to be compared exactly. The meaning of each is in
 * core/comparison.ts; whether a rule fits its column, the comparison itself tells when it knows both types.
 */
import { z } from 'zod'

/** schema.table.column, each part with * for any run of characters. */
const columnPattern = z.string().regex(/^[^.\s][^.]*\.[^.]+\.[^.]+$/, {
  error: 'expected schema.table.column, where * stands for any run of characters',
})

export const comparisonRule = z
  .strictObject({
    match: columnPattern.meta({
      description:
        'Source columns as schema.table.column; * stands for any run of characters. The first rule that matches a column holds.',
    }),
    tolerance: z.number().positive().max(0.1).optional().meta({
      description:
        'Numbers count as equal whose difference is at most this part of the greater one, such as 1e-9. For FLOAT, DOUBLE and VECTOR.',
    }),
    collation: z
      .string()
      .regex(/^[a-z0-9]+_[a-z0-9_]+$/)
      .optional()
      .meta({
        description: 'Texts count as equal where this collation says so. Both servers must know it.',
      }),
    padding: z.enum(['ignore', 'compare']).optional().meta({
      description:
        'ignore: spaces at the end of texts, and zero bytes at the end of binary strings, do not count. Default: only where one end pads and the other does not.',
    }),
    json: z.enum(['meaning', 'text']).optional().meta({
      description:
        'meaning: the order of members and the way numbers are written do not count; default where one end is JSON. text: byte by byte.',
    }),
    fractionDigits: z
      .int()
      .min(0)
      .max(6)
      .optional()
      .meta({ description: 'Digits of a second that count; the rest is cut off.' }),
    timeZone: z
      .string()
      .regex(/^[+-](?:0\d|1[0-4]):[0-5]\d$/)
      .optional()
      .meta({
        description:
          'TIMESTAMP against DATETIME: the offset from UTC in which the DATETIME is written, such as +02:00. Default: UTC.',
      }),
    ignore: z.literal(true).optional().meta({ description: 'Not compared. The report names the column.' }),
  })
  .meta({ description: 'How one column, or several by a pattern, is compared.' })

export type ComparisonRule = z.infer<typeof comparisonRule>
