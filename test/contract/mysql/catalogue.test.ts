/**
 * Shapes of real tables: types, keys and what may be compared by bytes.
 */
import type { Connection as Client } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startMysql } from '../../../dev/mysql.ts'
import {
  readSchemas,
  readTables,
  readTablesByName,
  type TableDetail,
} from '../../../src/connectors/mysql/catalogue.ts'
import { type Connection, connect as connectOwn } from '../../../src/connectors/mysql/connection.ts'
import type { Column, ColumnType } from '../../../src/core/schema.ts'
import { byteStringOf } from '../../../src/core/value.ts'
import { connect, freshDatabase, sharedSource } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

let client: Client
let connection: Connection
let database: string

beforeAll(async () => {
  const server = await sharedSource()
  client = await connect(server, { charset: 'utf8mb4' })
  database = await freshDatabase(client, 'catalogue')
  await client.query(`USE ${database}`)
  connection = await connectOwn(endpointOf(server), 'read')
})
afterAll(async () => {
  await connection?.close()
  await client?.end()
})

let number = 0
async function made(definition: string): Promise<TableDetail> {
  const name = `t${++number}`
  await client.query(`CREATE TABLE ${name} ${definition}`)
  const found = await readTablesByName(connection, [{ schema: database, name }])
  return found.get(`${database}.${name}`) as TableDetail
}

describe('types', () => {
  const expected: readonly [string, Omit<ColumnType, 'sql'>][] = [
    ['TINYINT(1)', { kind: 'int', bytes: 1, unsigned: false }],
    ['SMALLINT UNSIGNED', { kind: 'int', bytes: 2, unsigned: true }],
    ['MEDIUMINT', { kind: 'int', bytes: 3, unsigned: false }],
    ['INT UNSIGNED ZEROFILL', { kind: 'int', bytes: 4, unsigned: true }],
    ['BIGINT', { kind: 'int', bytes: 8, unsigned: false }],
    ['BOOLEAN', { kind: 'int', bytes: 1, unsigned: false }],
    ['FLOAT', { kind: 'float', unsigned: false }],
    ['FLOAT(30)', { kind: 'double', unsigned: false }],
    ['DOUBLE(10,2) UNSIGNED', { kind: 'double', unsigned: true }],
    ['DECIMAL(20,5)', { kind: 'decimal', precision: 20, scale: 5, unsigned: false }],
    ['BIT(12)', { kind: 'bit', maxBytes: 12 }],
    ['YEAR', { kind: 'year' }],
    ['DATE', { kind: 'date' }],
    ['TIME(2)', { kind: 'time', fraction: 2 }],
    ['DATETIME', { kind: 'datetime', fraction: 0 }],
    ['TIMESTAMP(6)', { kind: 'timestamp', fraction: 6 }],
    [
      'CHAR(4) CHARACTER SET latin1',
      { kind: 'text', charset: 'latin1', collation: 'latin1_swedish_ci', maxBytes: 4 },
    ],
    ['VARCHAR(10)', { kind: 'text', charset: 'utf8mb4', collation: 'utf8mb4_0900_ai_ci', maxBytes: 40 }],
    [
      'TEXT CHARACTER SET gbk',
      { kind: 'text', charset: 'gbk', collation: 'gbk_chinese_ci', maxBytes: 65_535 },
    ],
    [
      'LONGTEXT',
      { kind: 'text', charset: 'utf8mb4', collation: 'utf8mb4_0900_ai_ci', maxBytes: 4_294_967_295 },
    ],
    ['BINARY(7)', { kind: 'bytes', maxBytes: 7, fixed: true }],
    ['VARBINARY(7)', { kind: 'bytes', maxBytes: 7 }],
    ['VARCHAR(7) CHARACTER SET binary', { kind: 'bytes', maxBytes: 7 }],
    ['MEDIUMBLOB', { kind: 'bytes', maxBytes: 16_777_215 }],
    ['JSON', { kind: 'json' }],
    ['MULTIPOLYGON', { kind: 'geometry' }],
    ['GEOMCOLLECTION', { kind: 'geometry' }],
    ['VECTOR(5)', { kind: 'vector', maxBytes: 20 }],
    [
      "ENUM('a''b','\u00e4')",
      {
        kind: 'enum',
        charset: 'utf8mb4',
        collation: 'utf8mb4_0900_ai_ci',
        labels: ["a'b", byteStringOf('\u00e4')],
      },
    ],
    [
      "SET('\u00e4','x') CHARACTER SET latin1",
      { kind: 'set', charset: 'latin1', collation: 'latin1_swedish_ci', labels: ['\xe4', 'x'] },
    ],
    [
      "ENUM('a') CHARACTER SET ucs2",
      { kind: 'enum', charset: 'ucs2', collation: 'ucs2_general_ci', labels: ['\0a'] },
    ],
    [
      "ENUM('\u4f60','\\\\','it''s') CHARACTER SET gbk",
      { kind: 'enum', charset: 'gbk', collation: 'gbk_chinese_ci', labels: ['\xc4\xe3', '\\', "it's"] },
    ],
  ]
  it.each(expected)('%s', async (sql, type) => {
    const { shape } = await made(`(id INT PRIMARY KEY, v ${sql})`)
    const { sql: shown, ...rest } = (shape.columns[1] as Column).type
    expect(rest).toEqual(type)
    expect(shown).not.toBe('')
  })
})

describe('columns', () => {
  it('tell what they take, and which are computed or hidden', async () => {
    const { shape, columns, engine } = await made(
      '(id INT AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL, b INT NOT NULL DEFAULT 5, c INT, d INT GENERATED ALWAYS AS (a + 1) VIRTUAL NOT NULL, e INT GENERATED ALWAYS AS (d + 1) STORED, f INT INVISIBLE, g JSON NOT NULL DEFAULT (JSON_ARRAY()), h TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, i POINT NOT NULL SRID 4326)',
    )
    expect(engine).toBe('InnoDB')
    expect(
      shape.columns.map(
        ({ name, nullable, generated }) => `${name}${nullable ? '?' : ''}${generated ? '=' : ''}`,
      ),
    ).toEqual(['id', 'a', 'b', 'c?', 'd=', 'e?=', 'f?', 'g', 'h', 'i'])
    const named = (test: (column: TableDetail['columns'][number]) => boolean): string[] =>
      shape.columns
        .filter((_, ordinal) => test(columns[ordinal] as TableDetail['columns'][number]))
        .map(({ name }) => name)
    expect(named((column) => !column.hasDefault)).toEqual(['a', 'd', 'i'])
    expect(named((column) => column.autoIncrement)).toEqual(['id'])
    expect(named((column) => column.invisible)).toEqual(['f'])
    expect(named((column) => column.srid === 4326)).toEqual(['i'])
  })

  it('and tables have any name', async () => {
    await client.query(
      "CREATE TABLE `odd ``名 \u{1f600}x` (`a'b` INT, `\u00e9` INT PRIMARY KEY)".replace('\u{1f600}', ''),
    )
    const shapes = await readTables(connection, [database])
    const odd = shapes.find(({ shape }) => shape.id.name === 'odd `名 x')
    expect(odd?.shape.columns.map(({ name }) => name)).toEqual(["a'b", '\u00e9'])
    expect(odd?.shape.primaryKey?.ordinals).toEqual([1])
  })
})

describe('keys', () => {
  it('name the columns that they depend on, also through expressions', async () => {
    const { shape } = await made(
      '(a INT, b VARCHAR(20), c VARCHAR(20) GENERATED ALWAYS AS (LOWER(b)) VIRTUAL, d VARCHAR(41) GENERATED ALWAYS AS (CONCAT(c, a)) VIRTUAL, PRIMARY KEY (a), UNIQUE KEY u1 (d), UNIQUE KEY u2 ((UPPER(b)), a), UNIQUE KEY u3 (b, a), KEY k (b))',
    )
    expect(shape.primaryKey).toEqual({ name: 'PRIMARY', ordinals: [0], comparesBytes: true })
    expect(shape.uniqueKeys).toEqual([
      { name: 'u1', ordinals: [1, 0], comparesBytes: false },
      { name: 'u2', ordinals: [1, 0], comparesBytes: false },
      { name: 'u3', ordinals: [1, 0], comparesBytes: false },
    ])
  })

  it.each([
    ['INT', true],
    ['BIGINT UNSIGNED', true],
    ['DECIMAL(10,2)', true],
    ['DOUBLE', true],
    ['FLOAT', false],
    ['BIT(9)', true],
    ['YEAR', true],
    ['DATE', true],
    ['DATETIME(3)', true],
    ['TIMESTAMP', true],
    ['TIME(1)', true],
    ["ENUM('a','b')", true],
    ["SET('a','b')", true],
    ['BINARY(4)', true],
    ['VARBINARY(4)', true],
    ['VARCHAR(4)', false],
    ['VARCHAR(4) COLLATE utf8mb4_0900_bin', true],
    // 'a' and 'a ' meet there.
    ['VARCHAR(4) COLLATE utf8mb4_bin', false],
    ['CHAR(4) COLLATE utf8mb4_bin', true],
    ['CHAR(4) COLLATE utf8mb4_general_ci', false],
    ['CHAR(4) CHARACTER SET latin1 COLLATE latin1_general_cs', false],
  ])('a unique %s compares by bytes: %s', async (sql, comparesBytes) => {
    const { shape } = await made(`(id INT PRIMARY KEY, v ${sql} NOT NULL, UNIQUE KEY u (v))`)
    expect(shape.uniqueKeys).toEqual([{ name: 'u', ordinals: [1], comparesBytes }])
  })

  it('a prefix does not compare by bytes', async () => {
    const { shape } = await made(
      '(id INT PRIMARY KEY, v VARBINARY(9), w BLOB, UNIQUE KEY u (v(3)), UNIQUE KEY x (w(9)))',
    )
    expect(shape.uniqueKeys.map(({ comparesBytes }) => comparesBytes)).toEqual([false, false])
  })

  it('may be missing', async () => {
    const { shape } = await made('(a INT, b INT)')
    expect(shape.primaryKey).toBeUndefined()
    expect(shape.uniqueKeys).toEqual([])
  })
})

it('views are no tables, and schemas of the server are not listed', async () => {
  await client.query('CREATE TABLE base (id INT PRIMARY KEY); CREATE VIEW seen AS SELECT * FROM base')
  const names = (await readTables(connection, [database])).map(({ shape }) => shape.id.name)
  expect(names).toContain('base')
  expect(names).not.toContain('seen')
  const schemas = await readSchemas(connection)
  expect(schemas).toContain(database)
  for (const own of ['mysql', 'sys', 'information_schema', 'performance_schema'])
    expect(schemas).not.toContain(own)
  expect(await readTables(connection, [])).toEqual([])
})

it('takes as many queries for many tables as for one', async () => {
  const many = await freshDatabase(client, 'many')
  for (let part = 0; part < 10; part++) {
    await client.query(
      Array.from(
        { length: 30 },
        (_, i) =>
          `CREATE TABLE ${many}.t${part}_${i} (id INT PRIMARY KEY, e ENUM('\u00e4') CHARACTER SET latin1)`,
      ).join(';'),
    )
  }
  const statements = async (): Promise<number> => {
    const { rows } = await connection.query("SHOW SESSION STATUS LIKE 'Questions'")
    return Number(rows[0]?.[1])
  }
  const cost = async (schema: string): Promise<number> => {
    const before = await statements()
    await readTables(connection, [schema])
    return (await statements()) - before
  }
  expect((await readTables(connection, [many])).length).toBe(300)
  expect(await cost(many)).toBeLessThanOrEqual((await cost(database)) + 1)
})

it('names are found without regard to case where the server has none', async () => {
  await using folding = await startMysql({ durable: false, initArgs: ['--lower-case-table-names=1'] })
  const own = await connect(folding)
  await own.query('CREATE DATABASE Shop; CREATE TABLE Shop.Orders (Id INT PRIMARY KEY)')
  const reader = await connectOwn(endpointOf(folding), 'read')
  const found = await readTablesByName(reader, [{ schema: 'Shop', name: 'ORDERS' }])
  expect(found.get('Shop.ORDERS')?.shape.id).toEqual({ schema: 'shop', name: 'orders' })
  await reader.close()
  await own.end()
})

it('a table that comes and goes while the catalogue is read is whole or absent', async () => {
  const names = ['comes_and_goes', 'keyless']
  await client.query('CREATE TABLE keyless (v INT)')
  let isOver = false
  const comingAndGoing = (async () => {
    while (!isOver) {
      await client.query('CREATE TABLE comes_and_goes (id INT PRIMARY KEY, v INT)')
      await client.query('DROP TABLE comes_and_goes')
    }
  })()
  const seen = new Set<string>()
  for (let look = 0; look < 300; look++) {
    for (const { shape } of await readTables(connection, [database])) {
      if (names.includes(shape.id.name))
        seen.add(`${shape.id.name} ${shape.columns.length} ${shape.primaryKey?.name ?? 'no key'}`)
    }
  }
  isOver = true
  await comingAndGoing
  expect([...seen].sort()).toEqual(['comes_and_goes 2 PRIMARY', 'keyless 1 no key'])
})
