/**
 * A row's hash as SQL: the first 64 bits of SHA-224 over all of its values, and of many rows the XOR of theirs. Pure.
 *
 * - No two rows have one input: values are divided by a byte that no text in UTF-8 holds, other strings carry their length, NULL is another such
 *   byte, and the key is among the values.
 * - XOR of such hashes hides nothing, as it does of CRC32 (pt-table-checksum): that is linear, so the same change in two rows, or two
 *   values that have changed places, cancel out.
 * - Both products can make it. MySQL 9.6 took MD5 and SHA1 out of the server; MariaDB has no XOR of strings, so it takes 64 bits as a number.
 *
 * Measured (docs/operations/performance.md): with the processor's SHA instructions less than CRC32 of the same text; what costs is the text. CONCAT with
 * separators of its own takes less than CONCAT_WS, and bytes less than characters.
 */
import type { ComparedColumn, ComparedEnd } from '../../../core/comparison-plan.ts'
import type { Product } from '../flavour.ts'
import { digestFormSql } from './column-form.ts'

/** Ends a value whose length may be any. */
const separator = `x'FF'`
const ofNull = `x'FE'`

/** Longer values are hashed by themselves first: joined, they could be longer than max_allowed_packet, and then the result is NULL. */
const longestJoinedBytes = 65_535

/** Byte strings of this column, between separators, cannot be taken for others. */
interface Part {
  readonly sql: readonly string[]
  /** Always of one length: it needs no separator behind it. */
  readonly isFixed: boolean
}

/** Hexadecimal digits in lower case: 64 bits. NULL where the server cannot join the row's values (SYNC-5105). */
export function rowHashSql(end: ComparedEnd): string {
  return `LEFT(${fullHash(end)}, 16)`
}

/** The XOR of the hashes of a query's rows, in the same digits. */
export function rangeHashSql(end: ComparedEnd, product: Product): string {
  return product === 'mysql'
    ? // XOR of whole hashes: to cut each of them costs more.
      `LEFT(LOWER(HEX(BIT_XOR(UNHEX(${fullHash(end)})))), 16)`
    : `LPAD(LOWER(HEX(BIT_XOR(CAST(CONV(${rowHashSql(end)}, 16, 10) AS UNSIGNED)))), 16, '0')`
}

function fullHash(end: ComparedEnd): string {
  const values: string[] = []
  for (const [i, column] of end.columns.entries()) {
    const part = partOf(column)
    values.push(...part.sql)
    if (!part.isFixed && i < end.columns.length - 1) values.push(separator)
  }
  return `SHA2(CONCAT(${values.join(', ')}), 224)`
}

function partOf(column: ComparedColumn): Part {
  const { form, type, nullable } = column
  const { sql, plain } = digestFormSql(column)
  const orNull = (value: string): string => (nullable ? `IFNULL(${value}, ${ofNull})` : value)
  // Every date has as many digits as any other, and NULL is no digit.
  if (plain) return { sql: [orNull(sql)], isFixed: form.as === 'date' || form.as === 'instant' }
  if (type.maxBytes === undefined || type.maxBytes > longestJoinedBytes) {
    return { sql: [orNull(`CAST(SHA2(${sql}, 256) AS BINARY)`)], isFixed: false }
  }
  const isUtf8 = form.as === 'text' || form.as === 'label' || (form.as === 'bytes' && isUtf8Text(column))
  const bytes = type.kind === 'bytes' || form.as === 'weights' ? sql : `CAST(${sql} AS BINARY)`
  return isUtf8
    ? { sql: [orNull(bytes)], isFixed: false }
    : {
        sql: [orNull(`LENGTH(${sql})`), separator, nullable ? `IFNULL(${bytes}, '')` : bytes],
        isFixed: false,
      }
}

const isUtf8Text = ({ type }: ComparedColumn): boolean =>
  type.kind === 'text' && /^(?:utf8|utf8mb3|utf8mb4|ascii)$/.test(type.charset ?? '')
