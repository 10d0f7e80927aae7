/*
 * One column's value as ASCII text that is equal exactly where the stored values are equal, byte by byte.
 *
 * Assumes a session in UTC with utf8mb4. Text is taken in the bytes of its own character set, so no conversion can hide a difference;
 * collations play no part. FLOAT and DOUBLE go through DOUBLE, because FLOAT's own text has six digits and DOUBLE(20,6) cuts; both tell -0
 * from 0. ENUM and SET count by label and by number. GEOMETRY is the server's own form: SRID and WKB. JSON is the server's text, which
 * has one form for one document, and the type of its root ('1.0' may be a DOUBLE or a DECIMAL).
 */

export type ComparedColumn = {
  readonly name: string
  /** information_schema's DATA_TYPE, in lower case. */
  readonly type: string
}

export const identifier = (name: string): string => `\`${name.replaceAll('`', '``')}\``

const long = new Set([
  'tinytext',
  'text',
  'mediumtext',
  'longtext',
  'tinyblob',
  'blob',
  'mediumblob',
  'longblob',
  'json',
  'vector',
])
const geometry = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geomcollection',
  'geometrycollection',
])

/** The stored bytes of what is not a number or a time. */
function bytes({ name, type }: ComparedColumn): string {
  const column = identifier(name)
  if (type === 'json') return `CAST(${column} AS CHAR CHARACTER SET utf8mb4)`
  return geometry.has(type) || type === 'vector' ? `CAST(${column} AS BINARY)` : column
}

const prefixOf = ({ name, type }: ComparedColumn): string =>
  type === 'json' ? `JSON_TYPE(${identifier(name)}), ' ', ` : ''

/**
 * SQL for the exact text; NULL for NULL. Of values that may be long it is their SHA-256 and length, so that a row's text stays small: what
 * is longer than max_allowed_packet would be NULL.
 */
export function exactText(column: ComparedColumn): string {
  const name = identifier(column.name)
  switch (column.type) {
    case 'float':
    case 'double':
      return `CAST(CAST(${name} AS DOUBLE) AS CHAR)`
    case 'bit':
      return `CAST(CAST(${name} AS UNSIGNED) AS CHAR)`
    case 'enum':
    case 'set':
      return `CONCAT(CAST(${name} AS UNSIGNED), ':', HEX(${name}))`
    case 'char':
    case 'varchar':
    case 'binary':
    case 'varbinary':
      return `HEX(${name})`
    default:
      if (!long.has(column.type) && !geometry.has(column.type)) return `CAST(${name} AS CHAR)`
      return `CONCAT(${prefixOf(column)}LENGTH(${bytes(column)}), ' ', SHA2(${bytes(column)}, 256))`
  }
}

/** SQL for what a person is shown of a value; two values that differ may look alike, but for their bytes in hexadecimal. */
export function shownText(column: ComparedColumn): string {
  const name = identifier(column.name)
  switch (column.type) {
    case 'enum':
    case 'set':
      return `CONCAT(CAST(${name} AS UNSIGNED), ' ', QUOTE(CONVERT(${name} USING utf8mb4)))`
    case 'char':
    case 'varchar':
      return `CONCAT(QUOTE(LEFT(CONVERT(${name} USING utf8mb4), 80)), ' 0x', LEFT(HEX(${name}), 300))`
    case 'binary':
    case 'varbinary':
      return `CONCAT('0x', LEFT(HEX(${name}), 300))`
    default:
      if (!long.has(column.type) && !geometry.has(column.type)) return exactText(column)
      return `CONCAT(${prefixOf(column)}LENGTH(${bytes(column)}), ' bytes 0x', LEFT(HEX(${bytes(column)}), 300))`
  }
}

/** One text of several that cannot be mistaken for another split; NULL is told from everything else. */
export const joined = (texts: readonly string[]): string =>
  `CONCAT_WS(',', ${texts.map((text) => `IFNULL(${text}, '~')`).join(', ')})`
