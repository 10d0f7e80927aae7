/*
 * How a table of the shop is written down: one line per column with its definition and the SQL expression that fills it.
 * Definition and contents stand side by side, so that a column cannot be added without rows that use it.
 *
 * Expressions may use `n` (the row's number, from 1) and the helpers below. They depend on nothing but `n` and the session variable
 * `@seed`, so the same seed and size give the same bytes on every server.
 */
import { crc32 } from 'node:zlib'

export type ShopColumn = {
  readonly name: string
  /** Type and attributes, as in CREATE TABLE. */
  readonly definition: string
  /** SQL over `n`; null: the column is computed, or takes its default. */
  readonly fill: string | null
}

export type ShopTable = {
  readonly name: string
  readonly columns: readonly ShopColumn[]
  /** Keys, constraints and foreign keys, as in CREATE TABLE. */
  readonly keys: readonly string[]
  /** Rows at size 1; 0 for a table that stays empty. */
  readonly rows: number
  /** Rows at the smallest size: enough for every boundary value to appear. */
  readonly leastRows: number
}

/** Does every row carry a version that the writers count up? */
export const hasVersion = (table: ShopTable): boolean =>
  table.columns.some((column) => column.name === 'version')

export const column = (name: string, definition: string, fill: string | null): ShopColumn => ({
  name,
  definition,
  fill,
})

/** 1 for every row that the fill makes; the writers' versions are far greater. 56 bits of the server's UUID_SHORT(). */
export const version: ShopColumn = column('version', 'BIGINT NOT NULL DEFAULT 0', '1')

export const identifier = (name: string): string => `\`${name.replaceAll('`', '``')}\``

/** An unsigned 32-bit number that looks random, for the row and the salt. */
export const random = (salt: string): string => `CRC32(CONCAT_WS('/', @seed, '${salt}', n))`

/** A random number from 0 to `below - 1`. */
export const randomBelow = (salt: string, below: number | string): string => `(${random(salt)} MOD ${below})`

/** The values in turn, row by row. */
export const cycle = (values: readonly string[]): string =>
  `CASE n MOD ${values.length} ${values.map((value, i) => `WHEN ${i} THEN ${value}`).join(' ')} END`

/** Every one of `values` in turn in half of the rows, and `otherwise` in the others. */
export const edges = (values: readonly string[], otherwise: string): string =>
  `CASE n MOD ${values.length * 2 + 1} ${values.map((value, i) => `WHEN ${i} THEN ${value}`).join(' ')} ELSE ${otherwise} END`

/** NULL in about one row of `oneIn`, in a pattern of the column's own, so that no boundary value always meets a NULL. */
export const orNull = (oneIn: number, value: string): string =>
  `IF(CRC32(CONCAT(n, '/${crc32(value).toString(36)}')) MOD ${oneIn} = 1, NULL, ${value})`

/** Bytes that are the same for the same row and salt; `length` (SQL) may vary with the row. */
export const randomBytes = (salt: string, length: string): string =>
  `LEFT(REPEAT(UNHEX(SHA2(CONCAT_WS('/', @seed, '${salt}', n), 256)), 1 + (${length}) DIV 32), ${length})`

/** A text literal in utf8mb4 whatever the connection's character set. */
export const text = (value: string): string =>
  value === '' ? "_utf8mb4''" : `_utf8mb4 X'${Buffer.from(value, 'utf8').toString('hex')}'`

/** A literal of bytes in a character set. */
export const inCharset = (charset: string, hex: string): string =>
  hex === '' ? `_${charset}''` : `_${charset} X'${hex}'`
