/*
 * The tables of the shop that hold every column type of MySQL 9.7 with its boundary values: numbers and texts in files of their own; here every
 * fraction of times, zero and impossible dates, bytes, JSON, vectors, every kind of geometry, and a table of 200 columns.
 */
import { numberTables } from './number-tables.ts'
import {
  column,
  cycle,
  edges,
  orNull,
  random,
  randomBelow,
  randomBytes,
  type ShopColumn,
  type ShopTable,
  version,
} from './table.ts'
import { textTables } from './text-tables.ts'

const digits = [0, 1, 2, 3, 4, 5, 6] as const
const nines = (fraction: number): string => (fraction === 0 ? '' : `.${'9'.repeat(fraction)}`)
const ones = (fraction: number): string => (fraction === 0 ? '' : `.${'0'.repeat(fraction - 1)}1`)

const moment: ShopTable = {
  name: 'moment',
  rows: 6_000,
  leastRows: 120,
  columns: [
    column(
      'at',
      'DATETIME(6) NOT NULL',
      `DATE_ADD('1000-01-01 00:00:00', INTERVAL n * 86399999999 MICROSECOND)`,
    ),
    column(
      'day',
      'DATE NULL',
      orNull(
        11,
        edges(
          [
            "'0000-00-00'",
            "'1000-01-01'",
            "'9999-12-31'",
            "'2024-02-29'",
            "'2023-02-31'",
            "'2020-00-15'",
            "'0001-01-01'",
            "'0000-01-00'",
          ],
          `DATE_ADD('1900-01-01', INTERVAL ${randomBelow('day', 80_000)} DAY)`,
        ),
      ),
    ),
    column('day_default', "DATE NOT NULL DEFAULT '0000-00-00'", edges(["'0000-00-00'"], "'2001-09-09'")),
    ...digits.map((f) =>
      column(
        `time_${f}`,
        `TIME(${f}) NULL`,
        orNull(
          11,
          edges(
            [
              `'-838:59:58${nines(f)}'`,
              "'838:59:59'",
              `'-00:00:0${f === 0 ? '1' : `0${ones(f)}`}'`,
              "'00:00:00'",
              `'-01:00:00${ones(f)}'`,
              `'23:59:59${nines(f)}'`,
            ],
            `SEC_TO_TIME((${random(`t${f}`)} - 2147483648) / 1e3)`,
          ),
        ),
      ),
    ),
    ...digits.map((f) =>
      column(
        `datetime_${f}`,
        `DATETIME(${f}) NULL`,
        orNull(
          11,
          edges(
            [
              "'0000-00-00 00:00:00'",
              `'9999-12-31 23:59:59${nines(f)}'`,
              `'1000-01-01 00:00:00${ones(f)}'`,
              "'2023-02-31 12:00:00'",
              "'2020-00-00 01:02:03'",
            ],
            `DATE_ADD('1970-01-01 00:00:00', INTERVAL ${random(`dt${f}`)} * 500000 MICROSECOND)`,
          ),
        ),
      ),
    ),
    ...digits.map((f) =>
      column(
        `timestamp_${f}`,
        `TIMESTAMP(${f}) NULL`,
        orNull(
          11,
          edges(
            [
              "'0000-00-00 00:00:00'",
              `'1970-01-01 00:00:01${ones(f)}'`,
              `'2038-01-19 03:14:07${nines(f)}'`,
              "'2024-03-31 01:30:00'",
              "'2024-10-27 00:30:00'",
            ],
            `DATE_ADD('1971-01-01 00:00:00', INTERVAL ${random(`ts${f}`)} * 400000 MICROSECOND)`,
          ),
        ),
      ),
    ),
    column(
      'touched',
      'TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP',
      "'2020-02-02 02:02:02'",
    ),
    column(
      'changed',
      'DATETIME(3) NULL ON UPDATE CURRENT_TIMESTAMP(3)',
      orNull(2, "'2021-01-01 00:00:00.5'"),
    ),
    column('in_year', 'YEAR NOT NULL DEFAULT 2000', edges(['1901', '2155', '0'], '1980 + n MOD 50')),
    version,
  ],
  keys: ['PRIMARY KEY (at)'],
}

/** JSON as text; cast one by one, or the whole CASE would be text. */
const jsonTexts: readonly string[] = [
  "'null'",
  "'true'",
  '\'""\'',
  "'[]'",
  "'{}'",
  "'18446744073709551615'",
  "'-9223372036854775808'",
  "'1.7976931348623157e308'",
  "'-0.0'",
  "'1.0'",
  "'1e-7'",
  `'{"b": 1, "a": {"__proto__": [1, 2, {"": null}]}, "10": "x", "9": "y", "aa": 0}'`,
  `'"\\\\u0000 \\\\\\\\ \\\\" \\\\n 😀 é"'`,
  `CONCAT('"', REPEAT('x', 70000), '"')`,
  `CONCAT('[', REPEAT('{"k": [1, 2.5, null]},', 4000), '0]')`,
]

const document: ShopTable = {
  name: 'document',
  rows: 2_000,
  leastRows: 80,
  columns: [
    column('digest', 'BINARY(8) NOT NULL', "CONCAT(UNHEX(LPAD(HEX(n), 8, '0')), X'0020')"),
    column('part', 'TINYINT NOT NULL', edges(['-128', '127', '0'], '1')),
    column(
      'binary_20',
      'BINARY(20) NULL',
      orNull(7, edges([`X'00'`, `REPEAT(X'FF', 20)`, "'abc  '"], randomBytes('b20', '20'))),
    ),
    column('binary_255', 'BINARY(255) NULL', orNull(3, randomBytes('b255', 'n MOD 256'))),
    column(
      'varbinary_s',
      'VARBINARY(255) NULL',
      orNull(7, edges(["X''", "X'00'", "X'275C00FF'", "X'20'", "X'EFBFBD'"], randomBytes('vb', 'n MOD 256'))),
    ),
    column('varbinary_l', 'VARBINARY(3000) NULL', orNull(5, randomBytes('vbl', 'n MOD 600'))),
    column('tinyblob_v', 'TINYBLOB NULL', orNull(7, randomBytes('tb', 'n MOD 256'))),
    column(
      'blob_v',
      'BLOB NULL',
      orNull(7, edges(["X''", "REPEAT(UNHEX('F0288CBC'), 100)"], randomBytes('bl', 'n MOD 700'))),
    ),
    column(
      'mediumblob_v',
      'MEDIUMBLOB NULL',
      orNull(4, randomBytes('mb', 'IF(n MOD 400 = 0, 300000, n MOD 900)')),
    ),
    column(
      'longblob_v',
      'LONGBLOB NULL',
      orNull(3, randomBytes('lb', 'IF(n MOD 500 = 0, 1000000, n MOD 500)')),
    ),
    column(
      'json_v',
      'JSON NULL',
      orNull(
        9,
        edges(
          [
            ...jsonTexts.map((json) => `CAST(${json} AS JSON)`),
            // A DECIMAL and a time inside a document: its text reads back as something else.
            "JSON_OBJECT('price', CAST('1.50' AS DECIMAL(10,2)), 'at', CAST('2020-01-01 10:20:30.5' AS DATETIME(1)))",
            "JSON_ARRAY(CAST('0.12345678901234567890123456789' AS DECIMAL(65,30)), CAST(n AS UNSIGNED))",
          ],
          `JSON_OBJECT('id', n, 'list', JSON_ARRAY(n, -n, 'ü', ${random('j')} / 1e3 + 0e0))`,
        ),
      ),
    ),
    column(
      'vector_3',
      'VECTOR(3) NULL',
      orNull(5, "STRING_TO_VECTOR(CONCAT('[', n, ',', -n / 3, ',1e-20]'))"),
    ),
    column(
      'vector_d',
      'VECTOR NULL',
      orNull(6, `STRING_TO_VECTOR(CONCAT('[0', REPEAT(',1.5', n MOD 200), ']'))`),
    ),
    version,
  ],
  keys: ['PRIMARY KEY (digest, part)'],
}

const coordinate = (salt: string, span: number): string =>
  `(${random(salt)} / 4294967296e0 * ${span} - ${span / 2})`
const x = coordinate('x', 80)
const y = coordinate('y', 80)
const polygonText = `CONCAT('(', ${x}, ' ', ${y}, ',', ${x} + 1, ' ', ${y}, ',', ${x} + 1, ' ', ${y} + 1, ',', ${x}, ' ', ${y}, ')')`

const place: ShopTable = {
  name: 'place',
  rows: 4_000,
  leastRows: 60,
  columns: [
    column('id', 'INT NOT NULL', 'n'),
    column('at', 'POINT NOT NULL SRID 4326', `ST_SRID(POINT(${x}, ${y}), 4326)`),
    column(
      'point_0',
      'POINT NULL',
      orNull(6, edges(['POINT(0, -0e0)', 'POINT(1e300, -1e-300)'], `POINT(${x}, ${y})`)),
    ),
    column('line', 'LINESTRING NULL', orNull(6, `LINESTRING(POINT(0, 0), POINT(${x}, ${y}), POINT(n, -n))`)),
    column('area', 'POLYGON NULL', orNull(6, `ST_GeomFromText(CONCAT('POLYGON(', ${polygonText}, ')'))`)),
    column('points', 'MULTIPOINT NULL', orNull(6, `MULTIPOINT(POINT(n, 1), POINT(${x}, ${y}))`)),
    column(
      'lines',
      'MULTILINESTRING NULL',
      orNull(
        6,
        `MULTILINESTRING(LINESTRING(POINT(0, 0), POINT(n, n)), LINESTRING(POINT(${x}, 1), POINT(1, ${y})))`,
      ),
    ),
    column(
      'areas',
      'MULTIPOLYGON NULL',
      orNull(6, `ST_GeomFromText(CONCAT('MULTIPOLYGON((', ${polygonText}, '))'))`),
    ),
    column(
      'mixed',
      'GEOMETRYCOLLECTION NULL',
      orNull(
        6,
        edges(
          ["ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')"],
          `GEOMETRYCOLLECTION(POINT(n, n), LINESTRING(POINT(0, 0), POINT(${x}, ${y})))`,
        ),
      ),
    ),
    column(
      'any_kind',
      'GEOMETRY NULL',
      orNull(
        6,
        cycle([
          `POINT(${x}, ${y})`,
          `ST_SRID(POINT(n, n), 3857)`,
          `ST_SRID(POINT(${x}, ${y}), 4326)`,
          'LINESTRING(POINT(0, 0), POINT(n, 1))',
        ]),
      ),
    ),
    version,
  ],
  keys: ['PRIMARY KEY (id)', 'SPATIAL KEY at (at)'],
}

/** 200 columns of mixed types, NULL in patterns that cross every byte of the row's NULL bitmap. */
const wideReport: ShopTable = {
  name: 'wide_report',
  rows: 2_000,
  leastRows: 40,
  columns: [
    column('id', 'INT NOT NULL', 'n'),
    version,
    ...Array.from({ length: 198 }, (_, i): ShopColumn => {
      const name = `c${String(i + 1).padStart(3, '0')}`
      switch (i % 6) {
        case 0:
          return column(name, 'INT NULL', orNull(2 + (i % 5), `n * ${i} - 1000`))
        case 1:
          return column(name, 'VARCHAR(30) NULL', orNull(2 + (i % 7), `CONCAT('w', n, 'ü${i}')`))
        case 2:
          return column(name, 'DECIMAL(10,3) NULL', orNull(3 + (i % 4), `n / ${i}`))
        case 3:
          return column(name, 'TINYINT UNSIGNED NOT NULL DEFAULT 3', `(n + ${i}) MOD 256`)
        case 4:
          return column(
            name,
            'DATETIME(3) NULL',
            orNull(2 + (i % 9), `'2020-01-01 00:00:00' + INTERVAL n * ${i} SECOND`),
          )
        default:
          return column(name, 'BIGINT NULL', orNull(4 + (i % 3), `n * 1000000007 * ${i}`))
      }
    }),
  ],
  keys: ['PRIMARY KEY (id)', 'UNIQUE KEY c001 (c001, id)'],
}

export const typeTables: readonly ShopTable[] = [
  ...numberTables,
  ...textTables,
  moment,
  document,
  place,
  wideReport,
]
