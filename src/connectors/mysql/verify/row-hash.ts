/**
 * A row's hash as a SQL expression: 64 bits from functions that every MySQL and MariaDB has. Pure.
 *
 * Why not MD5 of all columns joined: MySQL 9.6 took MD5 and SHA1 out of the server, SHA2 and the joining of texts cost more than all the rest, and a
 * CRC32 of them, which pt-table-checksum takes, has 32 bits that are linear: the same change in two rows cancels out. Here (docs/operations/performance.md has
 * the measurements):
 *
 * - Each value gives two 32-bit numbers that tell nothing of each other: its CRC32 and the CRC32 of its bytes in reverse (another polynomial), or, of
 *   whole numbers, halves of the number itself.
 * - Each column multiplies them by odd constants of its own, so that values cannot change places between columns. NULL is a number that no CRC32 is.
 * - The two sums (x, y) are multiplied by numbers made of the row's key. Multiplication is not linear as CRC32 and XOR are: values that change
 *   places between rows, or change in many rows alike, do not cancel out when the rows' hashes are put together by XOR.
 *
 * Products stay below 2^64: a MySQL server refuses a greater one.
 */
import type { ComparedColumn, ComparedEnd } from '../../../core/comparison-plan.ts'
import { digestFormSql, formSql } from './column-form.ts'

/** Below 2^31, so that a number of 33 bits times one of these fits into 64. Odd: then the product's low 32 bits tell all numbers of 32 bits apart. */
const odd = (seed: number): number => {
  // Fixed for ever within one comparison only; both ends ask this same code.
  let h = Math.imul(seed ^ 0x2545f491, 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 1) | 1
}

const low = 4_294_967_295
/** A number that no 32 bits are. */
const ofNull = 4_294_967_296 + 1_640_531_527

export function rowHashSql(end: ComparedEnd): string {
  const numbers = end.columns.map(columnNumbers)
  const x = numbers.map((pair, i) => `(${pair.x} * ${odd(2 * i)})`).join(' ^ ')
  const y = numbers.map((pair, i) => `(${pair.y} * ${odd(2 * i + 1)})`).join(' ^ ')
  const key = keyNumber(end)
  return `(((${x}) & ${low}) * (${key} | 1)) ^ (((${y}) & ${low}) * (${key} ^ ${odd(-1) - 1} | 1))`
}

function columnNumbers(column: ComparedColumn): { readonly x: string; readonly y: string } {
  const { sql, plain } = digestFormSql(column)
  const orNull = (number: string): string => (column.nullable ? `IFNULL(${number}, ${ofNull})` : number)
  const { type, form } = column
  if (form.as === 'number' && form.scale === 0 && plain && isNarrow(column)) {
    return { x: orNull(`CRC32(${sql})`), y: orNull(`(${sql} & ${low})`) }
  }
  void type
  return { x: orNull(`CRC32(${sql})`), y: orNull(`CRC32(REVERSE(${sql}))`) }
}

/** Whole numbers of at most 32 bits are told by themselves. */
const isNarrow = ({ type }: ComparedColumn): boolean =>
  type.kind === 'year' || (type.kind === 'int' && (type.bytes ?? 8) <= 4)

/** 31 bits made of the key. */
function keyNumber(end: ComparedEnd): string {
  const parts = end.key.map((ordinal, part) => {
    const column = end.columns[ordinal] as ComparedColumn
    const { sql } = formSql(column, end.identity[part])
    const number = column.nullable ? `IFNULL(CRC32(${sql}), 1)` : `CRC32(${sql})`
    return end.key.length === 1 ? number : `(${number} * ${odd(1_000 + part)} >> ${part % 16})`
  })
  return `((${parts.join(' ^ ')}) & 2147483646)`
}
