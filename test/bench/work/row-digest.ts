/*
 * A digest of a table's rows in any order: the same from a log's values as from a server's text of them. Pure but for the hash.
 */
import { createHash } from 'node:crypto'

/** A value as a log or a server's text gives it, for types whose text is the same in both. */
export type Value = null | number | bigint | string

/** Numbers as JavaScript writes them; everything else as its text. NULL is told apart from every text. */
export const textOfRow = (row: readonly Value[]): string =>
  row.map((value) => (value === null ? 'n' : `v${String(value)}`)).join('\u0001')

export function digestOfRows(rows: Iterable<string>): string {
  const hash = createHash('sha256')
  for (const row of [...rows].sort()) hash.update(`${row}\n`)
  return hash.digest('hex')
}
