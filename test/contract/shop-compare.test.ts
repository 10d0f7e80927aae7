/*
 * The comparison of two databases finds every difference, of every type of column, and nothing else.
 */
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fillShop, rowsAtSize } from '../../dev/shop/fill.ts'
import { createShop, permissiveSession, shopTables } from '../../dev/shop/schema.ts'
import { identifier } from '../../dev/shop/table.ts'
import { assertSameDatabases, compareDatabases, type Difference, inWords } from '../support/compare.ts'
import { connect, freshDatabase, type MysqlFacts, sharedSource, sharedTarget } from '../support/servers.ts'

let source: MysqlFacts
let target: MysqlFacts
let there: Connection
let here: Connection

beforeAll(async () => {
  source = await sharedSource()
  target = await sharedTarget()
  there = await connect(source)
  here = await connect(target)
  for (const connection of [there, here]) {
    await connection.query(permissiveSession)
    await connection.query('SET NAMES utf8mb4')
  }
})
afterAll(async () => {
  await there.end()
  await here.end()
})

/** The same database, empty, on both servers. */
async function freshPair(prefix: string): Promise<string> {
  const database = await freshDatabase(there, prefix)
  await here.query(`CREATE DATABASE ${database}`)
  for (const connection of [there, here]) await connection.query(`USE ${database}`)
  return database
}

const both = async (sql: string): Promise<void> => {
  await there.query(sql)
  await here.query(sql)
}

/** Type, and two values that are easily taken for one. */
const lookalikes: readonly (readonly [type: string, source: string, target: string])[] = [
  ['TINYINT', '-1', '1'],
  ['TINYINT UNSIGNED', '255', '254'],
  ['SMALLINT', '0', 'NULL'],
  ['MEDIUMINT', '8388607', '8388606'],
  ['INT(8) ZEROFILL', '1', '10'],
  ['BIGINT', '9007199254740993', '9007199254740992'],
  ['BIGINT UNSIGNED', '18446744073709551615', '18446744073709551614'],
  ['DECIMAL(65,30)', '0.000000000000000000000000000001', '0'],
  ['DECIMAL(30,0)', '999999999999999999999999999999', '999999999999999999999999999998'],
  ['FLOAT', '16777216', '16777214'],
  ['FLOAT', '0.1', '0.10000001'],
  ['FLOAT', '0e0', '-0e0'],
  ['FLOAT(9,1)', '0.1', '0.2'],
  ['DOUBLE', '0.1e0 + 0.2e0', '0.3e0'],
  ['DOUBLE', '4.9e-324', '0e0'],
  ['DOUBLE', '0e0', '-0e0'],
  ['DOUBLE(20,2)', '0.01', '0.02'],
  ['BIT(1)', "b'1'", "b'0'"],
  ['BIT(64)', '18446744073709551615', '18446744073709551614'],
  ['DATE', "'0000-00-00'", 'NULL'],
  ['DATE', "'2023-02-31'", "'2023-03-03'"],
  ['TIME(6)', "'-00:00:00.000001'", "'00:00:00.000001'"],
  ['TIME', "'838:59:59'", "'838:59:58'"],
  ['DATETIME(6)', "'2024-01-01 00:00:00.000001'", "'2024-01-01 00:00:00.000002'"],
  ['DATETIME', "'0000-00-00 00:00:00'", "'0001-01-01 00:00:00'"],
  ['TIMESTAMP(6)', "'2024-10-27 00:30:00'", "'2024-10-27 01:30:00'"],
  ['TIMESTAMP', "'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'"],
  ['YEAR', '0', '2000'],
  ['CHAR(5)', "'a'", "'A'"],
  ['CHAR(5)', "''", 'NULL'],
  ['VARCHAR(9)', "'a'", "'a '"],
  ['VARCHAR(9)', "_utf8mb4 X'C3A9'", "_utf8mb4 X'65CC81'"],
  ['VARCHAR(9) COLLATE utf8mb4_0900_ai_ci', "'e'", "'é'"],
  ['VARCHAR(9) CHARACTER SET latin1', "_latin1 X'81'", "_latin1 X'8D'"],
  ['VARCHAR(9) CHARACTER SET gbk', "_gbk X'815C'", "_gbk X'8140'"],
  ['VARCHAR(9) CHARACTER SET ucs2', "_ucs2 X'0041'", "_ucs2 X'0061'"],
  ['VARCHAR(9)', "'~'", 'NULL'],
  ['VARCHAR(9)', "'NULL'", 'NULL'],
  ['TINYTEXT', "'x'", "'x '"],
  ['TEXT', "''", 'NULL'],
  ['TEXT CHARACTER SET utf16', "_utf16 X'D83DDE00'", "_utf16 X'D83DDE01'"],
  ['MEDIUMTEXT', "REPEAT('x', 300000)", "CONCAT(REPEAT('x', 299999), 'y')"],
  ['LONGTEXT', "'É'", "'é'"],
  ['BINARY(3)', "X'00'", "X'20'"],
  ['VARBINARY(9)', "X'00'", "X''"],
  ['TINYBLOB', "X'FF'", "X'FE'"],
  ['BLOB', "X'61'", "X'41'"],
  ['MEDIUMBLOB', "REPEAT(X'00', 100000)", "REPEAT(X'00', 100001)"],
  ['LONGBLOB', "REPEAT(X'FF', 3000000)", "CONCAT(REPEAT(X'FF', 2999999), X'FE')"],
  ["ENUM('', 'a')", '0', '1'],
  ["ENUM('a', 'b')", "'a'", "'b'"],
  ["SET('a', 'b')", "''", 'NULL'],
  ["SET('a', 'b')", "'a'", "'a,b'"],
  ['JSON', `'{"a": 1}'`, `'{"a": 1.0}'`],
  ['JSON', "'0.0'", "'-0.0'"],
  ['JSON', "'null'", 'NULL'],
  ['JSON', `'"1"'`, "'1'"],
  ['JSON', "CAST(CAST('1.5' AS DECIMAL(3,1)) AS JSON)", "'1.5'"],
  ['JSON', "CAST(CAST('2020-01-01' AS DATE) AS JSON)", `'"2020-01-01"'`],
  ['GEOMETRY', 'POINT(1, 2)', 'ST_SRID(POINT(1, 2), 3857)'],
  ['GEOMETRY', 'POINT(0, 1)', 'POINT(-0e0, 1)'],
  ['POINT', 'POINT(0.1e0 + 0.2e0, 1)', 'POINT(0.3e0, 1)'],
  ['LINESTRING', 'LINESTRING(POINT(0, 0), POINT(1, 1))', 'LINESTRING(POINT(1, 1), POINT(0, 0))'],
  [
    'POLYGON',
    "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
    "ST_GeomFromText('POLYGON((0 0,1 1,1 0,0 0))')",
  ],
  ['MULTIPOINT', 'MULTIPOINT(POINT(1, 1))', 'NULL'],
  [
    'MULTILINESTRING',
    'MULTILINESTRING(LINESTRING(POINT(0, 0), POINT(1, 1)))',
    'MULTILINESTRING(LINESTRING(POINT(0, 0), POINT(1, 2)))',
  ],
  [
    'MULTIPOLYGON',
    "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')",
    "ST_GeomFromText('MULTIPOLYGON(((0 0,2 0,1 1,0 0)))')",
  ],
  ['GEOMETRYCOLLECTION', "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')", 'GEOMETRYCOLLECTION(POINT(1, 1))'],
  ['VECTOR(2)', "STRING_TO_VECTOR('[1,2]')", "STRING_TO_VECTOR('[1,2.0000002]')"],
  ['VECTOR(3)', "STRING_TO_VECTOR('[0]')", "STRING_TO_VECTOR('[-0]')"],
]

describe('values that look alike', () => {
  let columnsFound: Set<string>
  let database: string

  beforeAll(async () => {
    database = await freshPair('lookalikes')
    const columns = lookalikes.map(([type], i) => `c${i} ${type} NULL`)
    await both(`CREATE TABLE pair (id INT PRIMARY KEY, ${columns.join(', ')})`)
    const insert = (connection: Connection, side: 1 | 2): Promise<unknown> =>
      connection.query(`INSERT INTO pair VALUES (1, ${lookalikes.map((pair) => pair[side]).join(', ')})`)
    await both(`INSERT INTO pair VALUES (2, ${lookalikes.map((pair) => pair[1]).join(', ')})`)
    await insert(there, 1)
    await insert(here, 2)
    const comparison = await compareDatabases(source, target, { databases: [database], describe: 1000 })
    expect(comparison).toMatchObject({ equal: false, tables: 1, rows: 2 })
    expect(new Set(comparison.differences.map(({ key }) => key?.['id']))).toEqual(new Set(['1']))
    columnsFound = new Set(comparison.differences.map(({ column }) => column ?? ''))
  })

  test.each(lookalikes.map(([type, a, b], i) => ({ type, a, b, column: `c${i}` })))(
    'differ: $type $a and $b',
    ({ column }) => {
      expect(columnsFound).toContain(column)
    },
  )

  test('are equal once they are', async () => {
    await here.query(`REPLACE INTO pair VALUES (1, ${lookalikes.map((pair) => pair[1]).join(', ')})`)
    expect(await assertSameDatabases(source, target, { databases: [database] })).toMatchObject({ rows: 2 })
  })
})

describe('the shop', () => {
  test('is the same on two servers, and a change of any column of any table is found', async () => {
    const database = await freshPair('shop_compared')
    for (const [server, connection] of [
      [source, there],
      [target, here],
    ] as const) {
      await createShop(connection, database)
      await fillShop({ server, database, size: 0 })
    }
    const rows = shopTables.reduce((sum, table) => sum + rowsAtSize(table, 0), 0)
    expect(await assertSameDatabases(source, target, { databases: [database] })).toEqual({
      equal: true,
      tables: shopTables.length,
      rows,
      differences: [],
    })

    const planted: string[] = []
    const computed = new Set<string>()
    for (const table of shopTables) {
      for (const { name, fill } of table.columns) {
        if (fill === null) computed.add(`${database}.${table.name}.${name}`)
        else if (await plant(table.name, name)) planted.push(`${database}.${table.name}.${name}`)
      }
    }
    // A few cannot be changed (one value only, or held by a constraint); nearly all can.
    expect(planted.length).toBeGreaterThan(430)
    const comparison = await compareDatabases(source, target, { databases: [database], describe: 100_000 })
    const found = new Set(
      comparison.differences
        .filter(({ kind }) => kind === 'value')
        .map(({ table, column }) => `${table}.${column}`),
    )
    expect(planted.filter((column) => !found.has(column))).toEqual([])
    expect([...found].filter((column) => !planted.includes(column) && !computed.has(column))).toEqual([])
  })

  /** Gives one row at the target the value of another; true when the server says that the row changed by that. */
  async function plant(table: string, column: string): Promise<boolean> {
    const [keys] = await here.query<RowDataPacket[]>(
      `SELECT COLUMN_NAME AS c FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND CONSTRAINT_NAME = 'PRIMARY'`,
      [table],
    )
    if (keys.some((row) => row['c'] === column)) return false
    const order = keys.map((row) => identifier(row['c'])).join(', ')
    const equal = keys.map((row) => `a.${identifier(row['c'])} = k.${identifier(row['c'])}`).join(' AND ')
    for (let offset = 0; offset < 30; offset++) {
      const sql = `UPDATE ${identifier(table)} AS a
        JOIN (SELECT ${order} FROM ${identifier(table)} ORDER BY ${order} LIMIT 1 OFFSET ${offset}) AS k ON ${equal}
        JOIN (SELECT ${identifier(column)} AS v FROM ${identifier(table)} ORDER BY ${order} LIMIT 1 OFFSET ${29 - offset}) AS b
        SET a.${identifier(column)} = b.v`
      const changed = await here.query<ResultSetHeader>(sql).then(
        ([result]) => result.changedRows,
        () => 0,
      )
      if (changed === 1) return true
    }
    return false
  }
})

describe('rows and definitions', () => {
  let database: string
  const differences = async (options: object = {}): Promise<string[]> => {
    const comparison = await compareDatabases(source, target, { databases: [database], ...options })
    expect(comparison.equal).toBe(comparison.differences.length === 0)
    return comparison.differences
      .map((difference: Difference) => inWords(difference).replaceAll(`${database}.`, ''))
      .sort()
  }

  test('missing and extra rows, keys that are equal for the collation, exchanged rows', async () => {
    database = await freshPair('rows')
    await both(
      'CREATE TABLE item (code VARCHAR(9) COLLATE latin1_swedish_ci, part VARBINARY(9), v INT, PRIMARY KEY (code, part))',
    )
    await both("INSERT INTO item VALUES ('same', 'x', 1), ('b', 'x', 1), ('a,b', 'c', 1)")
    expect(await differences()).toEqual([])
    await there.query(
      "INSERT INTO item VALUES ('only', 'there', 1), ('case', 'x', 1), ('pad', 'x', 1), ('m', 'x', 1), ('n', 'x', 2)",
    )
    await here.query(
      "INSERT INTO item VALUES ('only', 'here', 1), ('CASE', 'x', 1), ('pad ', 'x', 1), ('m', 'x', 2), ('n', 'x', 1)",
    )
    expect(await differences()).toEqual(
      [
        "item (code = 'only' 0x6F6E6C79, part = 0x7468657265) missing row",
        "item (code = 'only' 0x6F6E6C79, part = 0x68657265) extra row",
        "item (code = 'case' 0x63617365, part = 0x78) missing row",
        "item (code = 'CASE' 0x43415345, part = 0x78) extra row",
        "item (code = 'pad' 0x706164, part = 0x78) missing row",
        "item (code = 'pad ' 0x70616420, part = 0x78) extra row",
        "item (code = 'm' 0x6D, part = 0x78) value v: source 1, target 2",
        "item (code = 'n' 0x6E, part = 0x78) value v: source 2, target 1",
      ].sort(),
    )
  })

  test('missing and extra tables and columns, and what is left out', async () => {
    database = await freshPair('definitions')
    await both('CREATE TABLE a (id INT PRIMARY KEY, x INT)')
    await there.query('CREATE TABLE b (id INT PRIMARY KEY)')
    await here.query('CREATE TABLE c (id INT PRIMARY KEY)')
    await there.query('ALTER TABLE a ADD COLUMN y INT INVISIBLE')
    await here.query('ALTER TABLE a ADD COLUMN z INT AS (x + 1)')
    expect(await differences()).toEqual([
      'a extra column z',
      'a missing column y',
      'b missing table',
      'c extra table',
    ])
    expect(
      await differences({ exclude: ['b', `${database}.c`, `${database}.a.y`, `${database}.a.z`] }),
    ).toEqual([])
    expect(
      await differences({ exclude: ['a'], targetTable: (name: string) => (name === 'b' ? 'c' : name) }),
    ).toEqual([])
  })

  test('a table without a primary key is refused by name', async () => {
    database = await freshPair('keyless')
    await both('CREATE TABLE loose (id INT)')
    await expect(compareDatabases(source, target, { databases: [database] })).rejects.toThrow(
      `${database}.loose`,
    )
    expect(await differences({ exclude: ['loose'] })).toEqual([])
  })

  test('one row in a hundred thousand, other names, and no more words than asked for', async () => {
    database = await freshPair('many')
    await here.query(`CREATE DATABASE ${database}_copy; USE ${database}_copy`)
    await both('CREATE TABLE t (id INT PRIMARY KEY, v INT)')
    await both('SET SESSION cte_max_recursion_depth = 100000')
    await both(
      'INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000) SELECT n, n * 7 FROM c',
    )
    const databases = [{ source: database, target: `${database}_copy` }]
    expect(await compareDatabases(source, target, { databases })).toMatchObject({
      equal: true,
      rows: 100_000,
    })
    await here.query('UPDATE t SET v = v + 1 WHERE id = 77777')
    expect(await differences({ databases })).toEqual(['t (id = 77777) value v: source 544439, target 544440'])
    await here.query('UPDATE t SET v = v + 1')
    expect(await differences({ databases, describe: 3 })).toHaveLength(3)
    expect(await compareDatabases(source, target, { databases, describe: 0 })).toMatchObject({
      equal: false,
      differences: [],
    })
  })
})
