/*
 * Every column type, written exactly: rows are made by SQL in one table, read as values, written by the sink to a table like it, and compared
 * by the server byte by byte. Keys of every kind are upserted and removed.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLineCollector, isPlain } from '../../../src/connectors/mysql/load-lines.ts'
import { selected, selectedText } from '../../../src/connectors/mysql/row-select.ts'
import { rowsOfText } from '../../../src/connectors/mysql/sink/load-data.ts'
import { identifier } from '../../../src/connectors/mysql/sql-text.ts'
import type { CellDecoder } from '../../../src/connectors/mysql/text-protocol.ts'
import type { Column } from '../../../src/core/schema.ts'
import { byteStringOf, keyOf, type Row } from '../../../src/core/value.ts'
import { sharedTarget } from '../../support/servers.ts'
import { codeOf, destinationOf, header, type SinkFixture, sinkFixture, small, work } from './sink-support.ts'

let f: SinkFixture
let source: string
beforeAll(async () => {
  f = await sinkFixture('sinktypes')
  source = `${f.database}_src`
  await f.sql.query(`CREATE DATABASE ${source}`)
})
afterAll(() => f.close())

/** The same table on both sides, with rows at the source only. SQL here is ordinary text. */
async function twins(
  name: string,
  definition: string,
  inserts: readonly string[],
  sqlMode?: string,
): Promise<void> {
  await f.sql.query('SET NAMES utf8mb4')
  for (const schema of [source, f.database])
    await f.sql.query(byteStringOf(`CREATE TABLE ${schema}.${name} (${definition})`))
  if (sqlMode !== undefined) await f.sql.query(`SET @m = @@sql_mode, SESSION sql_mode = '${sqlMode}'`)
  for (const values of inserts)
    await f.sql.query(byteStringOf(`INSERT INTO ${source}.${name} VALUES ${values}`))
  if (sqlMode !== undefined) await f.sql.query('SET SESSION sql_mode = @m')
  await f.sql.query('SET NAMES binary')
}

function howToRead({ name, type }: Column): { expression: string; decoder: CellDecoder } {
  const column = identifier(name)
  switch (type.kind) {
    case 'int':
      return { expression: column, decoder: type.bytes === 8 ? 'bigint' : 'number' }
    case 'float':
    case 'double':
      return { expression: `CAST(${column} AS DOUBLE)`, decoder: 'number' }
    case 'year':
      return { expression: column, decoder: 'number' }
    case 'enum':
      return { expression: `${column} + 0`, decoder: 'number' }
    case 'set':
      return { expression: `CAST(${column} AS UNSIGNED)`, decoder: 'bigint' }
    case 'bit':
      return { expression: column, decoder: 'bits' }
    default:
      return { expression: column, decoder: 'bytes' }
  }
}

async function readValues(table: string): Promise<readonly Row[]> {
  const { columns } = await destinationOf(f.sql, source, table)
  const how = columns.map(howToRead)
  const { rows } = await f.sql.query(
    `SELECT ${how.map(({ expression }) => expression).join(', ')} FROM ${source}.${table}`,
    {
      decoders: [how.map(({ decoder }) => decoder)],
    },
  )
  return rows
}

const everyByte = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0')).join('')

let epoch = 0n
async function apply(table: string, rows: readonly Row[], removals: readonly Row[] = []): Promise<void> {
  const { valueTypes } = await destinationOf(f.sql, source, table)
  const destination = { ...(await f.destination(table)), valueTypes }
  const { sink, resume } = await f.owner(++epoch)
  try {
    await sink.applySmall(header(resume.batch + 1), small(work(destination, rows, removals)), [])
  } finally {
    await sink.close()
  }
}

/** Exact text of every row, made by the server. */
async function exactRows(schema: string, table: string): Promise<readonly Row[]> {
  const { columns } = await destinationOf(f.sql, schema, table)
  const expressions = columns.map(({ name, type }) => {
    const column = identifier(name)
    if (type.kind === 'float' || type.kind === 'double') return `CONCAT(CAST(${column} AS DOUBLE), _ascii'')`
    if (type.kind === 'enum' || type.kind === 'set' || type.kind === 'bit') return `CONCAT(${column} + 0)`
    if (type.kind === 'json')
      return `CONCAT(JSON_TYPE(${column}), _ascii' ', HEX(CAST(${column} AS CHAR CHARACTER SET utf8mb4)))`
    return `HEX(${column})`
  })
  const order = columns[0] as Column
  const { rows } = await f.sql.query(
    `SELECT ${expressions.join(', ')} FROM ${schema}.${table} ORDER BY ${identifier(order.name)} + 0, 1`,
  )
  return rows
}

async function copiedExactly(table: string): Promise<void> {
  const rows = await readValues(table)
  expect(rows.length).toBeGreaterThan(0)
  await apply(table, rows)
  expect(await exactRows(f.database, table)).toEqual(await exactRows(source, table))
  // Once more over what is there: nothing changes.
  await apply(table, rows)
  expect(await exactRows(f.database, table)).toEqual(await exactRows(source, table))
  await passedOnExactly(table, rows)
}

/** Columns of rows that are loaded as lines of text; those of other tables are written as values. */
const passedOn = new Set<string>()

/** The same rows as a load passes them on, without looking at their values; first into an empty table, then over what is there. */
async function passedOnExactly(table: string, values: readonly Row[]): Promise<void> {
  const { columns, valueTypes, key } = await destinationOf(f.sql, source, table)
  const destination = { ...(await f.destination(table)), valueTypes }
  const sink = await f.sink(2, await sharedTarget(), 1)
  try {
    await sink.takeOver(++epoch)
    if (sink.textFormat(destination) === null) return
    passedOn.add(table)
    await f.sql.query(`DELETE FROM ${f.database}.${table}`)
    const collector = createLineCollector(
      columns.map((column, i) => {
        const place = key.ordinals.indexOf(i)
        return {
          plain: isPlain(column.type),
          key: place < 0 ? null : { place, decoder: selected(column).decoder },
        }
      }),
    )
    await f.sql.query(`SELECT ${columns.map(selectedText).join(', ')} FROM ${source}.${table}`, {
      decoders: [collector],
    })
    const { keys, ends } = collector
    expect(keys).toEqual(values.map((row) => keyOf(row, key.ordinals)))
    const text = { bytes: collector.bytes(), ends, taken: keys.map((_, i) => i) }
    expect(rowsOfText(text, destination)).toEqual(values)
    await sink.applyChunk(1, { destination, rows: [], text })
    expect(await exactRows(f.database, table)).toEqual(await exactRows(source, table))
    const holdsErrorLabel = values.some((row) =>
      row.some((value, i) => value === 0 && valueTypes[i]?.kind === 'enum'),
    )
    // Taken as they are: nothing had to be written by statements.
    expect(sink.textFormat(destination) === null).toBe(holdsErrorLabel)
    await sink.applyChunk(1, { destination, rows: [], text })
    expect(await exactRows(f.database, table)).toEqual(await exactRows(source, table))
    expect(sink.textFormat(destination)).toBeNull()
  } finally {
    await sink.close()
  }
}

test('integers, decimals and floats', async () => {
  await twins(
    'numbers',
    `id INT PRIMARY KEY, t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, su SMALLINT UNSIGNED, m MEDIUMINT, mu MEDIUMINT UNSIGNED, i INT,
     iu INT UNSIGNED ZEROFILL, b BIGINT, bu BIGINT UNSIGNED, bool BOOL, d DECIMAL(65,30), d2 DECIMAL(10,0) UNSIGNED, f FLOAT, f2 FLOAT(7,3),
     dbl DOUBLE, y YEAR, b1 BIT(1), b9 BIT(9), b64 BIT(64)`,
    [
      `(1, -128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, -9223372036854775808, 18446744073709551615, 1,
        -99999999999999999999999999999999999.999999999999999999999999999999, 9999999999, 0.1, 1234.567, 0.1, 1901, b'1', b'100000001', 18446744073709551615)`,
      `(2, 127, 0, 32767, 0, 8388607, 0, 2147483647, 0, 9223372036854775807, 0, 0, 0.000000000000000000000000000001, 0, -0e0, -0e0, -0e0, 0, b'0', 0, 0)`,
      `(3, 0, 1, 0, 1, 0, 1, 0, 1, 9007199254740993, 9007199254740993, NULL, -0, 1, 3.4028234e38, 0, 1.7976931348623157e308, 2155, b'1', b'1', 9223372036854775808)`,
      `(4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1.17549435e-38, NULL, 5e-324, NULL, NULL, NULL, NULL)`,
      `(5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1.5, 1, 16777216, 1, 123456789012345680000, 1970, b'0', b'101', 4294967296)`,
    ],
  )
  await copiedExactly('numbers')
})

test('dates and times, zero and invalid ones too', async () => {
  await twins(
    'times',
    `id INT PRIMARY KEY, d DATE, t TIME, t6 TIME(6), dt DATETIME, dt3 DATETIME(3), dt6 DATETIME(6), ts TIMESTAMP NULL, ts6 TIMESTAMP(6) NULL`,
    [
      `(1, '0000-00-00', '-838:59:59', '-00:00:00.000001', '0000-00-00 00:00:00', '1000-01-01 00:00:00.001', '9999-12-31 23:59:59.999999',
        '1970-01-01 00:00:01', '2038-01-19 03:14:07.999999')`,
      `(2, '2021-02-31', '838:59:59', '00:00:00.000000', '2021-00-15 10:00:00', NULL, '2024-02-29 12:00:00.5', '0000-00-00 00:00:00', NULL)`,
      `(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2024-03-31 01:30:00.000001')`,
    ],
    'ALLOW_INVALID_DATES',
  )
  await copiedExactly('times')
})

test('text of many character sets, bytes that are no text, and bytes', async () => {
  await twins(
    'texts',
    `id INT PRIMARY KEY, c CHAR(10), v VARCHAR(50) CHARACTER SET utf8mb4, l VARCHAR(50) CHARACTER SET latin1, g VARCHAR(20) CHARACTER SET gbk,
     j VARCHAR(20) CHARACTER SET sjis, u VARCHAR(20) CHARACTER SET utf16le, u32 VARCHAR(20) CHARACTER SET utf32, u3 VARCHAR(20) CHARACTER SET utf8mb3,
     tt TINYTEXT, x TEXT, m MEDIUMTEXT, lt LONGTEXT, b BINARY(6), vb VARBINARY(20), tb TINYBLOB, bl BLOB, mb MEDIUMBLOB, lb LONGBLOB`,
    [
      `(1, 'pad  ', 'Grüße 😀 ''"\\\\\\n\\0\\Z%_', _latin1 0x8081FFA0, _gbk 0xBF5C, _sjis 0x955C815C, _utf16le 0x3DD800DE27005C00, _utf32 0x0001F600, 'größe',
        'tiny', 'text\\r\\n', 'medium', 'long', 0x0001, 0x00, 0x27, 0x5C, 0x00FF5C2700, 0xFFFE)`,
      `(2, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '')`,
      `(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
      `(4, ' x', 'trailing  ', ' ', _gbk 0x81408140, _sjis 0x5C, _utf16le 0x00D8000C, _utf32 0x00000027, '\\'', ' ', ' ', ' ', ' ', 0x000000000000, 0x0000, ' ', ' ', ' ', ' ')`,
    ].map((text) => text.replace('0x00D8000C', '0x5C00')),
  )
  await copiedExactly('texts')
})

test('ENUM and SET with odd labels, 64 of them, and the error value', async () => {
  const labels = Array.from({ length: 64 }, (_, i) => `'l${i}'`).join()
  await twins(
    'labels',
    `id INT PRIMARY KEY, e ENUM('a','it''s','größe','') CHARACTER SET latin1, n ENUM('x','y') NOT NULL, s SET('a','b c','ü') CHARACTER SET utf16, s64 SET(${labels}), v INT`,
    [
      `(1, 'it''s', 'y', 'a,ü', 'l0,l63', 1)`,
      `(2, 'größe', 'x', '', 18446744073709551615, 2)`,
      `(3, NULL, 'y', NULL, NULL, NULL)`,
      `(4, 0, 0, 'b c', 'l31', 4)`,
      `(5, 4, 'x', 2, 1, 5)`,
    ],
    '',
  )
  await copiedExactly('labels')
  expect(await f.rows('labels', 'id, e + 0, n + 0')).toContainEqual(['4', '0', '0'])
})

test('JSON, geometry and vectors', async () => {
  await twins('documents', 'id INT PRIMARY KEY, j JSON, g GEOMETRY, p POINT SRID 4326, v VECTOR(3)', [
    `(1, '{"b": [1, 2.5, true, null, "ä\\\\"\\\\\\\\"], "aa": {}}', ST_GeomFromText('POLYGON((0 0,0 3,3 3,0 0))'), ST_GeomFromText('POINT(47.3 8.5)', 4326), TO_VECTOR('[1,-0.5,3e10]'))`,
    `(2, 'null', ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))'), NULL, NULL)`,
    `(3, NULL, NULL, NULL, TO_VECTOR('[0,0,0]'))`,
    `(4, '18446744073709551615', ST_GeomFromText('POINT(0 0)'), NULL, NULL), (5, '"x"', NULL, NULL, NULL)`,
  ])
  await copiedExactly('documents')
})

test('texts and labels that are passed on', async () => {
  await twins(
    'passed_texts',
    `id INT PRIMARY KEY, c CHAR(10), v VARCHAR(50) CHARACTER SET utf8mb4, l VARCHAR(50) CHARACTER SET latin1, g VARCHAR(20) CHARACTER SET gbk,
     j VARCHAR(20) CHARACTER SET sjis, x TEXT, b BINARY(6), vb VARBINARY(300), lb LONGBLOB`,
    [
      `(1, 'pad  ', 'Grüße 😀 ''"\\\\\\n\\0\\Z%_', _latin1 0x8081FFA0, _gbk 0xBF5C, _sjis 0x955C815C, 'text\r\n\t', 0x0001, 0x00, 0xFFFE)`,
      `(2, '', '', '', '', '', '', '', '', '')`,
      `(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
      `(4, 'N', _utf8mb4 0x5C4E, 'NULL', _gbk 0x815C, '\t', 'N\n', 0x5C4E, 0x5C5C4E, 0x095C0A0D5C6E5C74)`,
      `(5, ' x', 'trailing  ', '\n', _gbk 0x81408140, _sjis 0x5C, ' ', 0x000000000000, 0x0A, 0x5C)`,
      `(6, 'x', '', REPEAT('\t', 50), '', '', REPEAT(0x5C, 40000), 0x09, UNHEX('${everyByte}'), REPEAT(0x5C090A4E00FF, 50000))`,
    ],
  )
  await copiedExactly('passed_texts')
  await twins(
    'passed_labels',
    `id INT PRIMARY KEY, e ENUM('a','it''s','größe','2','1') CHARACTER SET latin1, n ENUM('x\\\\y','\t','N') NOT NULL, s SET('a','b c','ü\n'), v INT`,
    [
      `(1, 'it''s', 1, 'a,ü\n', 1)`,
      `(2, 'größe', 2, '', 2)`,
      `(3, NULL, 3, NULL, NULL)`,
      `(4, '2', 'N', 'b c', 4)`,
      `(5, '1', 'N', 7, 5)`,
    ],
  )
  await copiedExactly('passed_labels')
  await twins(
    'error_labels',
    `id INT PRIMARY KEY, e ENUM('a','b'), n ENUM('1') NOT NULL`,
    ['(1, 0, 0)', "(2, 'b', 1)"],
    '',
  )
  await copiedExactly('error_labels')
})

test.each([
  ['INT', `(-1), (0), (2147483647)`],
  ['BIGINT UNSIGNED', `(0), (9223372036854775808), (18446744073709551615)`],
  ['INT AUTO_INCREMENT', `(0), (5)`],
  ['DECIMAL(20,5)', `(-1.00001), (0), (123456789012345.12345)`],
  ['DOUBLE', `(0.1), (-1e300), (0)`],
  ['DATE', `('0000-00-00'), ('2024-02-29')`],
  ['TIME(6)', `('-838:59:59.000000'), ('00:00:00.000001')`],
  ['DATETIME(3)', `('2024-01-01 00:00:00.001'), ('0000-00-00 00:00:00')`],
  ['TIMESTAMP(6)', `('2024-01-01 00:00:00.000001'), ('2038-01-19 03:14:07')`],
  ['YEAR', `(0), (1901), (2155)`],
  ['BIT(64)', `(0), (18446744073709551615)`],
  [`ENUM('b','a')`, `('b'), ('a')`],
  [`SET('b','a')`, `(''), ('b'), ('a,b')`],
  ['BINARY(4)', `(''), (0x00000001), (0x27005C00)`],
  ['VARBINARY(10)', `(''), (0x00), (0x0000), (0x61), (0x6120)`],
  ['CHAR(10)', `('a'), ('ß'), ('')`],
  ['VARCHAR(10) CHARACTER SET latin1', `('a'), (_latin1 0xE4)`],
  ['VARCHAR(10) CHARACTER SET gbk', `(_gbk 0xBF5C), ('x')`],
  ['VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', `('a'), ('A'), ('ä')`],
  ['VARCHAR(10) CHARACTER SET utf16', `('a'), ('😀')`],
])('rows keyed by %s are written, written again, and removed one by one', async (type, values) => {
  const name = `k_${type.replaceAll(/\W+/g, '_').slice(0, 50)}`
  await twins(name, `k ${type} PRIMARY KEY`, [values], 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO')
  await copiedExactly(name)
  const rows = await readValues(name)
  for (const [i, row] of rows.entries()) {
    await apply(name, [], [row])
    expect(await f.rows(name)).toHaveLength(rows.length - i - 1)
  }
})

test('a key of several columns', async () => {
  await twins(
    'composite',
    'a INT, b VARCHAR(20) CHARACTER SET latin1, c VARBINARY(8), d DATETIME(2), v INT, PRIMARY KEY (c, b, a, d)',
    [
      `(1, 'x', 0x00, '2024-01-01', 1), (1, 'x', 0x0000, '2024-01-01', 2), (2, 'x', 0x00, '2024-01-01', 3), (1, 'y', 0x00, '2024-01-01 00:00:00.25', 4)`,
    ],
  )
  await copiedExactly('composite')
  const d = await f.destination('composite')
  const rows = await readValues('composite')
  const two = rows.filter((row) => row[4] === 2 || row[4] === 4)
  await apply(
    'composite',
    [],
    two.map((row) => d.key.ordinals.map((o) => row[o] as never)),
  )
  expect((await f.rows('composite', 'v')).map(([v]) => v)).toEqual(['1', '3'])
})

test('a row whose key changes only in case takes the new bytes; removing by other case removes it', async () => {
  await twins('cased', 'k VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, v INT', [
    `('a', 1)`,
  ])
  await apply('cased', [['a', 1]])
  await apply('cased', [['A', 2]])
  expect(await f.rows('cased')).toEqual([['A', '2']])
  await apply('cased', [['\xc3\xa1', 3]])
  expect(await f.rows('cased')).toEqual([['\xc3\xa1', '3']])
  await apply('cased', [['A', 4]], [['a']])
  expect(await f.rows('cased')).toEqual([['A', '4']])
})

test('a table of key columns only, and one named like the alias of new rows', async () => {
  await twins('onlykey', 'a INT, b VARCHAR(5), PRIMARY KEY (a, b)', [`(1, 'x'), (2, 'y')`])
  await copiedExactly('onlykey')
  await twins('syncline_new', 'a INT PRIMARY KEY, `odd ``name``, ü` INT', [`(1, 2)`])
  await copiedExactly('syncline_new')
})

test('generated columns are left to the server, columns not written keep their values', async () => {
  await twins(
    'partial',
    "id INT PRIMARY KEY, v INT, g INT AS (v * 2) STORED, own VARCHAR(10) DEFAULT 'mine'",
    [],
  )
  const d = await f.destination('partial', ['id', 'v'])
  const { sink, resume } = await f.owner(++epoch)
  await sink.applySmall(header(resume.batch + 1), small(work(d, [[1, 5]])), [])
  await f.sql.query(`UPDATE ${f.database}.partial SET own = 'kept'`)
  await sink.applySmall(header(resume.batch + 2), small(work(d, [[1, 6]])), [])
  expect(await f.rows('partial')).toEqual([['1', '6', '12', 'kept']])
})

test('200 columns', async () => {
  const columns = Array.from(
    { length: 199 },
    (_, i) => `c${i} ${i % 3 === 0 ? 'INT' : i % 3 === 1 ? 'VARCHAR(20)' : 'DATETIME(6)'}`,
  )
  const value = (i: number): string =>
    i % 3 === 0 ? `${i}` : i % 3 === 1 ? `'v${i}'` : `'2024-01-01 00:00:00.${i}'`
  await twins('wide', `id INT PRIMARY KEY, ${columns.join()}`, [
    `(1, ${columns.map((_, i) => value(i)).join()})`,
    `(2, ${columns.map(() => 'NULL').join()})`,
  ])
  await copiedExactly('wide')
})

test('labels in other places at the target, and no ENUM there at all', async () => {
  await f.sql.query(
    `CREATE TABLE ${source}.moved (id INT PRIMARY KEY, e ENUM('a','b'), s SET('x','y','z'), t ENUM('p','q'))`,
  )
  await f.sql.query(
    `CREATE TABLE ${f.database}.moved (id INT PRIMARY KEY, e ENUM('b','c','a'), s SET('z','y','x'), t VARCHAR(5))`,
  )
  await f.sql.query(
    `INSERT INTO ${source}.moved VALUES (1, 'a', 'x,z', 'q'), (2, 'b', '', 'p'), (3, NULL, NULL, NULL)`,
  )
  await apply('moved', await readValues('moved'))
  expect(await f.rows('moved', 'id, e, s, t')).toEqual([
    ['1', 'a', 'z,x', 'q'],
    ['2', 'b', '', 'p'],
    ['3', null, null, null],
  ])
})

test('an ENUM error value inside the key is refused and nothing is written', async () => {
  await twins('enumkey', `e ENUM('a','b') PRIMARY KEY, v INT`, [`('a', 1)`])
  expect(
    await codeOf(
      apply('enumkey', [
        [1, 1],
        [0, 2],
      ]),
    ),
  ).toBe('SYNC-3302')
  expect(await f.rows('enumkey')).toEqual([])
})

test.each([16_777_215 - 200, 16_777_215, 16_777_216, 20_000_000])('a value of %i bytes', async (bytes) => {
  await f.sql.query(`CREATE TABLE IF NOT EXISTS ${f.database}.big (id INT PRIMARY KEY, b LONGBLOB)`)
  await f.sql.query(`CREATE TABLE IF NOT EXISTS ${source}.big (id INT PRIMARY KEY, b LONGBLOB)`)
  await apply('big', [
    [1, 'x'],
    [2, "'".repeat(10) + '\xfe'.repeat(bytes - 10)],
    [3, 'y'],
  ])
  expect(await f.rows('big', 'id, LENGTH(b), HEX(LEFT(b, 11))')).toEqual([
    ['1', '1', '78'],
    ['2', `${bytes}`, `${'27'.repeat(10)}FE`],
    ['3', '1', '79'],
  ])
})

test('rows of most tables were passed on as text', () => {
  for (const table of [
    'numbers',
    'times',
    'composite',
    'onlykey',
    'passed_texts',
    'passed_labels',
    'error_labels',
  ])
    expect(passedOn).toContain(table)
  for (const table of ['documents', 'texts', 'labels']) expect(passedOn).not.toContain(table)
})
