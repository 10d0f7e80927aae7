/**
 * How the products' information_schemas differ. Pure.
 */
import type { Product } from './flavour.ts'

/** A column's default; `literal` is null where it is an expression (the time, a function). A byte string. */
export interface ColumnDefault {
  readonly literal: string | null
}

export interface CatalogueDialect {
  /** Does a list of a schema's tables have those whose definitions are being changed? */
  readonly listsWhole: boolean
  /** Is JSON no type of its own, but LONGTEXT? */
  readonly jsonIsText: boolean
  /** SQL for a column's spatial reference system in COLUMNS. */
  readonly srid: string
  /** SQL for the expression of a key part in STATISTICS. */
  readonly keyExpression: string
  /** A statement that gives the collations under which trailing spaces do not count. */
  readonly paddingCollations: string
  /** Enforced CHECK constraints as schema, table, name and condition. @param schemas a list of literals */
  checkConstraints(schemas: string): string
  /** What a person runs to be without one. */
  withoutCheck(table: string, name: string): string
  /** What COLUMN_DEFAULT says; null: no default, or NULL. */
  defaultOf(text: string | null): ColumnDefault | null
}

export const catalogueDialects: Readonly<Record<Product, CatalogueDialect>> = {
  mysql: {
    listsWhole: true,
    jsonIsText: false,
    srid: 'SRS_ID',
    keyExpression: 'EXPRESSION',
    paddingCollations: `SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE PAD_ATTRIBUTE = _utf8mb4'PAD SPACE'`,
    checkConstraints: (schemas) =>
      `SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.CONSTRAINT_NAME, c.CHECK_CLAUSE FROM information_schema.TABLE_CONSTRAINTS t JOIN information_schema.CHECK_CONSTRAINTS c ON c.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND c.CONSTRAINT_NAME = t.CONSTRAINT_NAME WHERE t.CONSTRAINT_TYPE = 'CHECK' AND t.ENFORCED = 'YES' AND t.TABLE_SCHEMA IN (${schemas})`,
    withoutCheck: (table, name) => `ALTER TABLE ${table} ALTER CHECK \`${name}\` NOT ENFORCED;`,
    // The bare text of a literal; expressions are told by EXTRA.
    defaultOf: (text) => (text === null ? null : { literal: text }),
  },
  mariadb: {
    listsWhole: false,
    jsonIsText: true,
    srid: 'NULL',
    keyExpression: 'NULL',
    paddingCollations: `SELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE FULL_COLLATION_NAME NOT LIKE _utf8mb4'%nopad%' AND FULL_COLLATION_NAME <> _utf8mb4'binary'`,
    // Names are those of a table alone here. What a JSON column brings with it holds for every document.
    checkConstraints: (schemas) =>
      `SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA IN (${schemas}) AND CHECK_CLAUSE <> CONCAT(_utf8mb4'json_valid(\`', CONSTRAINT_NAME, _utf8mb4'\`)')`,
    withoutCheck: (table, name) => `ALTER TABLE ${table} DROP CONSTRAINT \`${name}\`;`,
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
