/*
 * Texts: every character set of the server, with bytes that look like something else (quotes and backslashes inside of multi-byte
 * characters, codes without a meaning), CHAR, VARCHAR and the four kinds of TEXT, ENUM and SET with labels that need care.
 */
import {
  column,
  cycle,
  edges,
  inCharset,
  orNull,
  random,
  type ShopColumn,
  type ShopTable,
  text,
  version,
} from './table.ts'

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
export const singleByteCharsets: readonly string[] = [
  'armscii8', 'ascii', 'cp1250', 'cp1251', 'cp1256', 'cp1257', 'cp850', 'cp852', 'cp866', 'dec8', 'geostd8', 'greek', 'hebrew', 'hp8',
  'keybcs2', 'koi8r', 'koi8u', 'latin1', 'latin2', 'latin5', 'latin7', 'macce', 'macroman', 'swe7', 'tis620',
] // biome-ignore format: one line per row of the manual's list

export const multiByteCharsets: readonly string[] = Object.keys(multiByte)

/** In the column's own character set: a CASE over several would be evaluated in Unicode, and codes without a place there would be lost. */
const plain = (charset: string): string => `CONVERT(CONCAT('abc', n) USING ${charset})`

const inEveryCharset = (): ShopColumn[] => [
  ...singleByteCharsets.map((charset) => {
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

export const textTables: readonly ShopTable[] = [translation, article]
