/*
 * The tables of the shop that hold every column type that MySQL 9.7 has, each with its boundary values: the extremes of every number,
 * every width of BIT, every character set with bytes that look like something else (quotes and backslashes inside of multi-byte
 * characters, unassigned codes), every fraction of times, zero and impossible dates, every kind of geometry, vectors, 200 columns.
 */
import {
  column,
  cycle,
  edges,
  inCharset,
  orNull,
  random,
  randomBelow,
  randomBytes,
  type ShopColumn,
  type ShopTable,
  text,
  version,
} from './table.ts'

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

const allBytes = (from: number, to: number): string =>
  Buffer.from(Array.from({ length: to - from + 1 }, (_, i) => from + i)).toString('hex')

const sevenBit = new Set(['ascii', 'swe7'])
/** Bytes that are right in the character set and look like quotes, backslashes or broken UTF-8 to anybody else. */
const multiByte: Readonly<Record<string, readonly string[]>> = {
  big5: ['A55C', 'B3A56161', 'A440A4A4'],
  sjis: ['835C', '955C8EA6', 'B1B2'],
  cp932: ['835C', '955C8EA6', 'FA5C', '8740'],
  gbk: ['815C', 'BF5C27', 'CDF5'],
  gb2312: ['CDF5D0A1', 'B0A1'],
  gb18030: ['815C', '81308130', '90308130', 'CDF5'],
  euckr: ['B0A1B0A2', 'C8FE'],
  ujis: ['A4A2A4A4', '8EB1', '8FB0A1'],
  eucjpms: ['A4A2A4A4', '8EB1', '8FF3F3'],
  ucs2: ['005C0027', '4E2D5B57', '0000', 'FEFF'],
  utf16: ['005C', 'D83DDE00', '00000041'],
  utf16le: ['5C002700', '3DD800DE', '4100'],
  utf32: ['0000005C', '0001F600', '0000000000000041'],
  utf8mb3: ['E6BCA2E5AD97', '5C', 'EFBFBF', '00'],
  utf8mb4: ['F09F918DF09F8FBD', 'F48FBFBF', '5C27', '00', '65CC81'],
}
const singleByte = [
  'armscii8', 'ascii', 'cp1250', 'cp1251', 'cp1256', 'cp1257', 'cp850', 'cp852', 'cp866', 'dec8', 'geostd8', 'greek', 'hebrew', 'hp8',
  'keybcs2', 'koi8r', 'koi8u', 'latin1', 'latin2', 'latin5', 'latin7', 'macce', 'macroman', 'swe7', 'tis620',
] // biome-ignore format: one line per row of the manual's list

/** In the column's own character set: a CASE over several would be evaluated in Unicode, and codes without a place there would be lost. */
const plain = (charset: string): string => `CONVERT(CONCAT('abc', n) USING ${charset})`

const inEveryCharset = (): ShopColumn[] => [
  ...singleByte.map((charset) => {
    const values = sevenBit.has(charset)
      ? [inCharset(charset, allBytes(0x00, 0x7f)), inCharset(charset, '5C'), inCharset(charset, '')]
      : [
          inCharset(charset, allBytes(0x00, 0xff)),
          inCharset(charset, '818D8F909DA0FF'),
          inCharset(charset, '5C275C'),
        ]
    return column(
      `in_${charset}`,
      `VARCHAR(300) CHARACTER SET ${charset} NULL`,
      orNull(8, edges(values, plain(charset))),
    )
  }),
  ...Object.entries(multiByte).map(([charset, hex]) =>
    column(
      `in_${charset}`,
      `VARCHAR(60) CHARACTER SET ${charset} NULL`,
      orNull(
        8,
        edges([...hex.map((value) => inCharset(charset, value)), inCharset(charset, '')], plain(charset)),
      ),
    ),
  ),
]

const translation: ShopTable = {
  name: 'translation',
  rows: 3_000,
  leastRows: 60,
  columns: [column('id', 'MEDIUMINT UNSIGNED NOT NULL', 'n'), ...inEveryCharset(), version],
  keys: ['PRIMARY KEY (id)'],
}

const trickyTexts: readonly string[] = [
  text(''),
  text(' '),
  text('trailing  '),
  text('\u0000\n\r\t\u001a\b'),
  text('it\'s \\ "quoted" `so` %_ -- /* */ ;'),
  text('👍🏽 👩‍👩‍👧‍👦 🇺🇳 é é 漢字 עברית العربية'),
  text('NULL'),
  text('\ufeff\u200b\ufffd'),
]

/** CHAR, VARCHAR and the four TEXT types in character sets of one, two, three and four bytes; labels that need care. */
const article: ShopTable = {
  name: 'article',
  rows: 3_000,
  leastRows: 80,
  columns: [
    column(
      'language',
      'CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL',
      cycle(["'de'", "'DE'", "'zh'"]),
    ),
    column('id', 'SMALLINT NOT NULL', 'n - 1500'),
    column(
      'char_4',
      'CHAR(255) CHARACTER SET utf8mb4 NULL',
      orNull(9, edges(trickyTexts, "REPEAT('漢', n MOD 256)")),
    ),
    column('char_3', 'NATIONAL CHAR(20) NULL', orNull(7, "CONCAT('n', n)")),
    column(
      'char_1',
      "CHAR(10) CHARACTER SET latin1 NOT NULL DEFAULT 'é'",
      edges([inCharset('latin1', 'E9FF')], "CONCAT('c', n)"),
    ),
    column('char_2', 'CHAR(30) CHARACTER SET ucs2 NULL', orNull(5, edges(["'漢字'"], "CONCAT('u', n)"))),
    column('char_0', 'CHAR(0) NULL', orNull(2, "''")),
    column(
      'varchar_4',
      'VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs NULL',
      orNull(9, edges(trickyTexts, "REPEAT('é', n MOD 300)")),
    ),
    column(
      'varchar_1',
      'VARCHAR(500) CHARACTER SET latin1 NULL',
      orNull(9, `REPEAT(${inCharset('latin1', 'FC5C')}, n MOD 250)`),
    ),
    column(
      'varchar_g',
      'VARCHAR(100) CHARACTER SET gbk NULL',
      orNull(9, `REPEAT(${inCharset('gbk', '815C')}, n MOD 100)`),
    ),
    column('tinytext_4', 'TINYTEXT NULL', orNull(9, edges(trickyTexts, "REPEAT('x', n MOD 256)"))),
    column(
      'tinytext_1',
      'TINYTEXT CHARACTER SET latin1 NULL',
      orNull(9, `REPEAT(${inCharset('latin1', '80FF')}, n MOD 128)`),
    ),
    column('text_4', 'TEXT NULL', orNull(9, edges(trickyTexts, "REPEAT('Wort 📚 ', n MOD 90)"))),
    column('text_u', 'TEXT CHARACTER SET ucs2 NULL', orNull(4, "REPEAT('漢x', n MOD 40)")),
    column(
      'mediumtext_4',
      'MEDIUMTEXT NULL',
      orNull(3, "REPEAT('Absatz. ', IF(n MOD 500 = 0, 20000, n MOD 70))"),
    ),
    column(
      'mediumtext_1',
      'MEDIUMTEXT CHARACTER SET koi8r NULL',
      orNull(3, `REPEAT(${inCharset('koi8r', 'F0D2C9')}, n MOD 70)`),
    ),
    column(
      'longtext_4',
      "LONGTEXT NOT NULL DEFAULT ('🙂')",
      edges(trickyTexts, "REPEAT('Länge ', IF(n MOD 1000 = 0, 50000, n MOD 50))"),
    ),
    column(
      'longtext_s',
      'LONGTEXT CHARACTER SET sjis NULL',
      orNull(3, `REPEAT(${inCharset('sjis', '835C')}, n MOD 50)`),
    ),
    // Index 0 is the server's own answer to a label that it does not know.
    column('enum_4', "ENUM('a','','größe','O''Brien','漢字','a,b') NULL", orNull(6, 'n MOD 7')),
    column('enum_1', "ENUM('ä','b\\\\c') CHARACTER SET latin1 NOT NULL DEFAULT 'ä'", '1 + n MOD 2'),
    column(
      'enum_300',
      `ENUM(${Array.from({ length: 300 }, (_, i) => `'e${i}'`).join(',')}) NOT NULL`,
      '1 + n MOD 300',
    ),
    column(
      'set_64',
      `SET(${Array.from({ length: 64 }, (_, i) => `'s${i}'`).join(',')}) NULL`,
      orNull(6, edges(['18446744073709551615', '0', '1 << 63'], random('set'))),
    ),
    column('set_2', "SET('ж','漢') CHARACTER SET utf8mb4 NOT NULL DEFAULT 'ж,漢'", 'n MOD 4'),
    version,
  ],
  keys: ['PRIMARY KEY (language, id)'],
}

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
  reading,
  switchBoard,
  translation,
  article,
  moment,
  document,
  place,
  wideReport,
]
