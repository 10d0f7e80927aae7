/**
 * A row read by a chunk and the same row read from the log are equal value by value (Object.is), for every column type and its odd
 * values: otherwise a load and a stream would write different rows.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ChangeStream, Source } from '../../../src/connectors/contract.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import type { TableShape } from '../../../src/core/schema.ts'
import type { RowChange } from '../../../src/core/transaction.ts'
import { connect, freshDatabase, sharedMariadbSource, sharedSource } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

type Case = { readonly type: string; readonly values: readonly string[] }

const both: readonly Case[] = [
  { type: 'TINYINT', values: ['-128', '127', '0'] },
  { type: 'TINYINT UNSIGNED', values: ['255'] },
  { type: 'TINYINT(4) ZEROFILL', values: ['7'] },
  { type: 'SMALLINT', values: ['-32768', '32767'] },
  { type: 'SMALLINT UNSIGNED', values: ['65535'] },
  { type: 'MEDIUMINT', values: ['-8388608', '8388607'] },
  { type: 'MEDIUMINT UNSIGNED', values: ['16777215'] },
  { type: 'INT', values: ['-2147483648', '2147483647'] },
  { type: 'INT UNSIGNED', values: ['4294967295'] },
  { type: 'BIGINT', values: ['-9223372036854775808', '9223372036854775807', '0', '-1'] },
  { type: 'BIGINT UNSIGNED', values: ['18446744073709551615', '999999999999999', '1000000000000000'] },
  { type: 'BIGINT(20) UNSIGNED ZEROFILL', values: ['42'] },
  { type: 'FLOAT', values: ['0.1', '-0e0', '3.4028235e38', '1.17549435e-38', '1e-45', '16777217', '-1.5'] },
  { type: 'FLOAT(10,2)', values: ['0.1', '12345678.91', '-0e0'] },
  {
    type: 'DOUBLE',
    values: ['0.1', '-0e0', '1.7976931348623157e308', '5e-324', '123456789.12345678', '1e21'],
  },
  { type: 'DOUBLE(20,3)', values: ['0.1', '12345678901234567.891', '-0e0'] },
  { type: 'DOUBLE UNSIGNED ZEROFILL', values: ['1.25'] },
  {
    type: 'DECIMAL(65,30)',
    values: [
      '-0.000000000000000000000000000001',
      '99999999999999999999999999999999999.999999999999999999999999999999',
      '0',
    ],
  },
  { type: 'DECIMAL(10,0)', values: ['-9999999999', '0', '7'] },
  { type: 'DECIMAL(4,4)', values: ['0.9999', '-0.0001'] },
  { type: 'DECIMAL(10,3) ZEROFILL', values: ['1.5'] },
  { type: 'BIT(1)', values: ["b'0'", "b'1'"] },
  { type: 'BIT(10)', values: ['1023', '5'] },
  { type: 'BIT(64)', values: ['18446744073709551615', '1'] },
  { type: 'YEAR', values: ['1901', '2155', '0', "'0'"] },
  { type: 'DATE', values: ["'0000-00-00'", "'2020-00-10'", "'2020-02-31'", "'9999-12-31'", "'0001-01-01'"] },
  { type: 'TIME', values: ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"] },
  { type: 'TIME(3)', values: ["'-01:02:00.001'", "'12:34:56.700'", "'-00:00:00.500'"] },
  { type: 'TIME(6)', values: ["'-838:59:58.000001'", "'-01:00:00.000000'"] },
  {
    type: 'DATETIME',
    values: [
      "'0000-00-00 00:00:00'",
      "'1000-01-01 00:00:00'",
      "'9999-12-31 23:59:59'",
      "'2020-00-00 12:00:00'",
    ],
  },
  { type: 'DATETIME(2)', values: ["'2024-02-29 23:59:59.99'"] },
  { type: 'DATETIME(6)', values: ["'2024-02-29 23:59:59.000001'"] },
  {
    type: 'TIMESTAMP NULL',
    values: [
      "'0000-00-00 00:00:00'",
      "'1970-01-01 00:00:01'",
      "'2038-01-19 03:14:07'",
      "'2024-03-31 02:30:00'",
    ],
  },
  { type: 'TIMESTAMP(6) NULL', values: ["'2024-06-01 00:00:00.000001'", "'0000-00-00 00:00:00'"] },
  { type: 'CHAR(10)', values: ["'a  '", "''", "'  a'", "_utf8mb4 x'F09F9880'"] },
  { type: 'CHAR(10) CHARACTER SET latin1', values: ["_latin1 x'80818D8F909D'", "'a '"] },
  { type: 'CHAR(5) CHARACTER SET ucs2', values: ["'ab'", "''"] },
  { type: 'CHAR(5) CHARACTER SET utf32 COLLATE utf32_bin', values: ["'ab'", "'b '"] },
  { type: 'CHAR(255) CHARACTER SET utf8mb4', values: ["REPEAT(_utf8mb4 x'F09F9880', 255)"] },
  { type: 'VARCHAR(20)', values: ["'a  '", "'it''s \\\\ \"q\" \\0 \\n'", "_utf8mb4 x'E4BDA0E5A5BD'"] },
  { type: 'VARCHAR(300) CHARACTER SET gbk', values: ["_gbk x'D55C27'", "REPEAT(_gbk x'C4E3', 300)"] },
  { type: 'VARCHAR(10) CHARACTER SET sjis', values: ["_sjis x'835C'"] },
  { type: 'VARCHAR(10) CHARACTER SET utf16le', values: ["'a b '"] },
  { type: 'TINYTEXT', values: ["'x'", "''"] },
  { type: 'TEXT CHARACTER SET latin1', values: ["_latin1 x'E4F6FC'", "REPEAT('y', 65535)"] },
  { type: 'MEDIUMTEXT', values: ["REPEAT('z', 70000)"] },
  { type: 'LONGTEXT', values: ["'long'"] },
  { type: 'BINARY(5)', values: ["'ab'", "x'0000000000'", "''", "'a '", "x'6100'"] },
  { type: 'BINARY(255)', values: ["x'00FF'"] },
  { type: 'VARBINARY(10)', values: ["x'00FF275C'", "x'6100'", "''"] },
  { type: 'VARBINARY(300)', values: ["REPEAT(x'00', 300)"] },
  { type: 'TINYBLOB', values: ["x'00'"] },
  { type: 'BLOB', values: ["''", "REPEAT(x'FF', 65535)"] },
  { type: 'MEDIUMBLOB', values: ["x'1A0D0A'"] },
  { type: 'LONGBLOB', values: ["REPEAT('x', 1000000)"] },
  { type: "ENUM('a','b','')", values: ["'a'", '2', "''"] },
  { type: "ENUM('\u00e4','\u00f6') CHARACTER SET latin1", values: ["'\u00f6'"] },
  { type: `ENUM(${Array.from({ length: 300 }, (_, i) => `'v${i}'`).join(',')})`, values: ["'v299'"] },
  { type: "SET('a','b','c')", values: ["'a,c'", "''", '7'] },
  {
    type: `SET(${Array.from({ length: 64 }, (_, i) => `'s${i}'`).join(',')})`,
    values: ['18446744073709551615', '9223372036854775808', '1'],
  },
  {
    type: 'GEOMETRY',
    values: [
      "ST_GeomFromText('POINT(1 2)')",
      "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')",
    ],
  },
  { type: 'POLYGON', values: ["ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))')"] },
  { type: 'INT GENERATED ALWAYS AS (id * 2) STORED', values: [] },
  { type: "VARCHAR(20) GENERATED ALWAYS AS (CONCAT(id, _utf8mb4 'x')) VIRTUAL", values: [] },
  { type: 'INT INVISIBLE', values: ['9'] },
]

const onlyMysql: readonly Case[] = [
  {
    type: 'JSON',
    values: [
      `'{"b": 1, "a": [1.0, 1e100, -0.0, true, null, "\\\\u00e4\\\\n"], "10": {}, "9": [], "__proto__": 18446744073709551615}'`,
      "'null'",
      `'""'`,
      "'\"it\\'s\"'",
      "JSON_OBJECT('d', CAST('2024-01-02' AS DATE), 't', CAST('-12:00:00.5' AS TIME(6)), 'dt', CAST('2024-01-02 03:04:05.6' AS DATETIME(6)), 'dec', CAST('1.10' AS DECIMAL(10,2)))",
      'JSON_ARRAY(1, -1, 65536, -2147483649, 0.1, 123456789012345678901234567890)',
      "JSON_OBJECT('blob', CAST('abc' AS BINARY))",
      "JSON_ARRAY(REPEAT('q', 70000))",
    ],
  },
  { type: 'POINT SRID 4326', values: ["ST_GeomFromText('POINT(10 20)', 4326)"] },
  { type: 'VECTOR(3)', values: ["STRING_TO_VECTOR('[1,-0.5,3e38]')"] },
]

const onlyMariadb: readonly Case[] = [
  {
    type: 'JSON',
    values: [`'{"b": 1.50, "a":  [1e100]}'`, "'null'", "CONCAT('[', REPEAT('1,', 500), '1]')"],
  },
  { type: 'INET6', values: ["'::'", "'2001:db8::ff00:42:8329'", "'::ffff:192.0.2.128'", "'ffff::'"] },
  { type: 'INET4', values: ["'0.0.0.0'", "'192.0.2.0'", "'255.255.255.255'"] },
  { type: 'VARCHAR(20) COLLATE utf8mb4_nopad_bin', values: ["'a '"] },
  { type: 'VARCHAR(20) CHARACTER SET utf8mb4 COLLATE uca1400_swedish_as_cs', values: ["'a '"] },
  { type: 'BLOB', values: ["REPEAT('x', 70000)"].map((sql) => `LEFT(${sql}, 65535)`) },
]

const products = [
  { product: 'MySQL', server: sharedSource, cases: [...both, ...onlyMysql] },
  { product: 'MariaDB', server: sharedMariadbSource, cases: [...both, ...onlyMariadb] },
]

describe.each(products)('a row from a chunk and from the log of $product', ({ server: start, cases }) => {
  let writer: Connection
  let source: Source
  let database: string
  let shapes: readonly TableShape[]
  let changes: RowChange[]
  let stream: ChangeStream

  beforeAll(async () => {
    const server = await start()
    writer = await connect(server, { charset: 'utf8mb4' })
    database = await freshDatabase(writer, 'parity')
    source = await openMysqlSource(endpointOf(server))
    const from = await source.head()
    await writer.query(
      `USE ${database}; SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'`,
    )
    for (const [index, { type, values }] of cases.entries()) {
      await writer.query(`CREATE TABLE t${index} (id INT PRIMARY KEY, v ${type})`)
      await writer.query(`INSERT INTO t${index} (id) VALUES (0)`)
      for (const [row, value] of values.entries()) {
        await writer.query(`INSERT INTO t${index} (id, v) VALUES (${row + 1}, ${value})`)
      }
    }
    // The error value of an ENUM, and an update, whose after image counts.
    await writer.query(`CREATE TABLE upd (id INT PRIMARY KEY, v ENUM('a'), w BINARY(4), j JSON)`)
    await writer.query(`INSERT INTO upd VALUES (1, 0, 'x', '{"a": 1}')`)
    await writer.query(`UPDATE upd SET w = 'yz', j = JSON_SET(j, '$.a', 2) WHERE id = 1`)
    // Many of a kind beside each other: their metadata goes by kinds.
    const onlyHere = cases.some(({ type }) => type === 'INET6') ? ', i INET6' : ''
    await writer.query(
      `CREATE TABLE mixed (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET latin1, p POINT, b VARCHAR(9) CHARACTER SET utf8mb4, g GEOMETRY, c VARBINARY(9), e ENUM('x') CHARACTER SET latin1, d CHAR(5) CHARACTER SET latin1, n BIGINT UNSIGNED, f FLOAT, s SET('y'), y YEAR, u TINYINT${onlyHere}, z INT UNSIGNED, t VARCHAR(9) CHARACTER SET utf8mb4)`,
    )
    await writer.query(
      `INSERT INTO mixed VALUES (1, 'a', ST_GeomFromText('POINT(1 2)'), 'b', ST_GeomFromText('POINT(3 4)'), 'c', 'x', 'd', 7, 1.5, 'y', 2024, -1${onlyHere === '' ? '' : ", '::1'"}, 4000000000, '\u00e4')`,
    )
    await writer.query(`CREATE TABLE the_end (id INT PRIMARY KEY)`)
    await writer.query('INSERT INTO the_end VALUES (1)')
    shapes = await source.tables([database])
    changes = []
    stream = source.follow(from, { acknowledged: [] })
    reading: for await (const events of stream) {
      for (const event of events) {
        if (event.kind !== 'slice') continue
        for (const change of event.changes) {
          if (change.table.id.schema !== database) continue
          if (change.table.id.name === 'the_end') break reading
          changes.push(change)
        }
      }
    }
  })

  afterAll(async () => {
    await stream?.close()
    await source?.close()
    await writer?.end()
  })

  const fromLog = (table: string): Map<unknown, readonly unknown[]> => {
    const rows = new Map<unknown, readonly unknown[]>()
    for (const change of changes) {
      if (change.table.id.name === table && change.after !== null) rows.set(change.after[0], change.after)
    }
    return rows
  }

  const check = async (name: string): Promise<void> => {
    const table = shapes.find((shape) => shape.id.name === name) as TableShape
    const chunk = await source.snapshot.read(
      { table, after: null, upTo: null },
      await source.head(),
      null,
      64 * 1024 * 1024,
    )
    const logged = fromLog(name)
    expect(chunk.rows.length).toBeGreaterThan(0)
    expect(chunk.rows.length).toBe(logged.size)
    for (const row of chunk.rows) {
      const other = logged.get(row[0]) as readonly unknown[]
      expect(other.length).toBe(row.length)
      row.forEach((value, ordinal) => {
        if (!Object.is(value, other[ordinal])) {
          expect({ where: `row ${String(row[0])}, column ${ordinal}`, value: other[ordinal] }).toEqual({
            where: `row ${String(row[0])}, column ${ordinal}`,
            value,
          })
          // Equal to the matcher, though not to Object.is (0 and -0).
          expect(Object.is(value, other[ordinal])).toBe(true)
        }
      })
    }
  }

  it.each(cases.map(({ type }, index) => ({ type: type.slice(0, 60), index })))(
    '$type',
    async ({ index }) => {
      await check(`t${index}`)
    },
  )

  it('after an update, with the error value of an ENUM', async () => {
    await check('upd')
  })

  it('of a table of many types', async () => {
    await check('mixed')
  })

  it('by column types that mean the same', () => {
    const shapeInLog = new Map(changes.map((change) => [change.table.id.name, change.table]))
    for (const shape of shapes) {
      const logged = shapeInLog.get(shape.id.name)
      if (logged === undefined) continue
      const bare = (table: TableShape) =>
        table.columns.map(({ name, nullable, type }) => {
          const { kind, bytes, unsigned, fraction, charset, maxBytes, fixed, labels, precision, scale } = type
          const sized = kind === 'text' || kind === 'bytes' || kind === 'bit' ? maxBytes : undefined
          return {
            name,
            nullable,
            kind,
            bytes,
            fraction,
            charset,
            fixed,
            labels,
            precision,
            scale,
            sized,
            unsigned: unsigned === true,
          }
        })
      expect({ table: shape.id.name, columns: bare(logged) }).toEqual({
        table: shape.id.name,
        columns: bare(shape),
      })
      expect(logged.primaryKey?.ordinals).toEqual(shape.primaryKey?.ordinals)
    }
  })
})
