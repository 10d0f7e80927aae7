/*
 * Numbers: every integer type with and without sign, FLOAT and DOUBLE with their edges, decimals up to 65 digits, YEAR, and BIT in each of its
 * 64 widths.
 */
import { column, edges, orNull, random, randomBelow, type ShopTable, version } from './table.ts'

const integers: readonly [type: string, low: string, high: string, unsignedHigh: string][] = [
  ['TINYINT', '-128', '127', '255'],
  ['SMALLINT', '-32768', '32767', '65535'],
  ['MEDIUMINT', '-8388608', '8388607', '16777215'],
  ['INT', '-2147483648', '2147483647', '4294967295'],
  ['BIGINT', '-9223372036854775808', '9223372036854775807', '18446744073709551615'],
]

const reading: ShopTable = {
  name: 'reading',
  rows: 10_000,
  leastRows: 120,
  columns: [
    column(
      'id',
      'BIGINT NOT NULL',
      edges(['-9223372036854775808 + n', '9223372036854775807 - n', '-n'], 'n'),
    ),
    ...integers.flatMap(([type, low, high, unsignedHigh]) => [
      column(
        `${type.toLowerCase()}_s`,
        `${type} NULL`,
        orNull(13, edges([low, high, '0', '-1', '1'], `${random(type)} MOD ${high} - 60`)),
      ),
      column(
        `${type.toLowerCase()}_u`,
        `${type} UNSIGNED NOT NULL`,
        edges(['0', unsignedHigh, `${BigInt(high) + 1n}`, '1'], `${random(`${type}u`)} MOD ${high}`),
      ),
    ]),
    column('int_z', 'INT(8) UNSIGNED ZEROFILL NULL', orNull(6, 'n')),
    column('truth', 'BOOLEAN NULL', orNull(3, 'n MOD 2')),
    column(
      'float_s',
      'FLOAT NULL',
      orNull(
        9,
        edges(
          [
            '3.4028234e38',
            '-3.4028234e38',
            '1.17549435e-38',
            '1.4e-45',
            '-0e0',
            '0e0',
            '16777217e0',
            '0.1e0',
          ],
          `(${random('f')} - 2e9) / 977`,
        ),
      ),
    ),
    column(
      'float_u',
      'FLOAT UNSIGNED NOT NULL',
      edges(['0e0', '3.4028234e38', '0.333333333e0'], `${random('fu')} / 3e5`),
    ),
    column('float_d', 'FLOAT(9,3) NULL', orNull(4, `${random('fd')} / 1e4`)),
    column(
      'double_s',
      'DOUBLE NULL',
      orNull(
        7,
        edges(
          [
            '1.7976931348623157e308',
            '-1.7976931348623157e308',
            '2.2250738585072014e-308',
            '4.9e-324',
            '-0e0',
            '9007199254740993e0',
            '0.1e0 + 0.2e0',
            '1e23',
            '5e-324',
          ],
          `${random('d')} / 3e-7`,
        ),
      ),
    ),
    column('double_u', 'DOUBLE UNSIGNED NOT NULL', edges(['0e0', '1e-300'], `${random('du')} / 7e0`)),
    column('double_d', 'DOUBLE(20,6) NULL', orNull(4, `${random('dd')} / 1e6`)),
    column('decimal_1', 'DECIMAL(1,0) NOT NULL', 'n MOD 19 - 9'),
    column(
      'decimal_9',
      'DECIMAL(9,9) NULL',
      orNull(5, edges(['0.999999999', '-0.999999999', '-0.000000001'], `${random('d9')} / 1e10`)),
    ),
    column(
      'decimal_18',
      'DECIMAL(18,4) UNSIGNED NOT NULL',
      edges(['0', '99999999999999.9999'], `${random('d18')} / 10`),
    ),
    column(
      'decimal_65',
      'DECIMAL(65,30) NULL',
      orNull(
        6,
        edges(
          [
            '99999999999999999999999999999999999.999999999999999999999999999999',
            '-99999999999999999999999999999999999.999999999999999999999999999999',
            '0.000000000000000000000000000001',
            '-1',
          ],
          `${random('d65')} / 7`,
        ),
      ),
    ),
    column(
      'decimal_big',
      'DECIMAL(65,0) NOT NULL',
      edges([`-${'9'.repeat(65)}`, '9'.repeat(65), '0'], random('dbig')),
    ),
    column('fixed_default', 'DECIMAL NOT NULL DEFAULT 7', `${randomBelow('dd', 1000)}`),
    column('taken_in', 'YEAR NULL', orNull(5, edges(['1901', '2155', '0'], '1970 + n MOD 60'))),
    version,
  ],
  keys: ['PRIMARY KEY (id)'],
}

/** All ones, only the highest bit, zero, and something in between. */
const bits = (width: number): string =>
  edges(
    [`18446744073709551615 >> ${64 - width}`, `1 << ${width - 1}`, '0', '1'],
    `CAST(CONV(LEFT(SHA2(CONCAT_WS('/', @seed, ${width}, n), 256), 16), 16, 10) AS UNSIGNED) >> ${64 - width}`,
  )

const switchBoard: ShopTable = {
  name: 'switch_board',
  rows: 1_000,
  leastRows: 40,
  columns: [
    // A BIT as a part of the key.
    column('board', 'BIT(12) NOT NULL', 'n'),
    ...Array.from({ length: 64 }, (_, i) =>
      i % 3 === 0
        ? column(`b${i + 1}`, `BIT(${i + 1}) NULL`, orNull(5 + (i % 7), bits(i + 1)))
        : column(`b${i + 1}`, `BIT(${i + 1}) NOT NULL DEFAULT b'1'`, bits(i + 1)),
    ),
    version,
  ],
  keys: ['PRIMARY KEY (board)'],
}

export const numberTables: readonly ShopTable[] = [reading, switchBoard]
