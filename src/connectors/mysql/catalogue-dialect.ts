/**
 * How the products' information_schemas differ. Pure.
 */
import type { Product } from './flavour.ts'

/** A column's default; `literal` is null where it is an expression (the time, a function). A byte string. */
export interface ColumnDefault {
  readonly literal: string | null
}

export interface CatalogueDialect {
  /** SQL for a column's spatial reference system in COLUMNS. */
  readonly srid: string
  /** SQL for the expression of a key part in STATISTICS. */
  readonly keyExpression: string
  /** A statement that gives the collations under which trailing spaces do not count. */
  readonly paddingCollations: string
  /** What COLUMN_DEFAULT says; null: no default, or NULL. */
  defaultOf(text: string | null): ColumnDefault | null
}

export const catalogueDialects: Readonly<Record<Product, CatalogueDialect>> = {
  mysql: {
    srid: 'SRS_ID',
    keyExpression: 'EXPRESSION',
    paddingCollations: `SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE PAD_ATTRIBUTE = _utf8mb4'PAD SPACE'`,
    // The bare text of a literal; expressions are told by EXTRA.
    defaultOf: (text) => (text === null ? null : { literal: text }),
  },
  mariadb: {
    srid: 'NULL',
    keyExpression: 'NULL',
    paddingCollations: `SELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE FULL_COLLATION_NAME NOT LIKE _utf8mb4'%nopad%' AND FULL_COLLATION_NAME <> _utf8mb4'binary'`,
    // An expression as it stands in SHOW CREATE TABLE (since 10.2.7).
    defaultOf(text) {
      if (text === null || text === 'NULL') return null
      if (/^'(?:[^'\\]|\\.|'')*'$/s.test(text)) return { literal: unquoted(text.slice(1, -1)) }
      return { literal: /^-?\d+(?:\.\d+)?$/.test(text) ? text : null }
    },
  },
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', 0: '\0', Z: '\u001a', b: '\b' }

const unquoted = (text: string): string =>
  text.replace(/''|\\(.)/gs, (_, escaped: string | undefined) =>
    escaped === undefined ? "'" : (escapes[escaped] ?? escaped),
  )
