/**
 * A JSON document written from the server's own text of it has the same text again, DECIMALs in all places included.
 */

import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { literal } from '../../../src/connectors/mysql/sql-text.ts'
import { connect, freshDatabase, sharedSource } from '../../support/servers.ts'

let connection: Connection

beforeAll(async () => {
  connection = await connect(await sharedSource())
  await connection.query(`USE ${await freshDatabase(connection, 'json')}`)
  await connection.query('CREATE TABLE t (id INT PRIMARY KEY, j JSON)')
})
afterAll(() => connection.end())

const dec = (digits: string, type: string): string => `CAST('${digits}' AS DECIMAL(${type}))`

it.each([
  [
    `JSON_OBJECT('price', ${dec('1.50', '10,2')}, 'at', CAST('2020-01-01 10:20:30.5' AS DATETIME(6)))`,
    'DECIMAL',
  ],
  [`CAST(${dec('-0.10', '3,2')} AS JSON)`, 'DECIMAL'],
  [
    `CAST(${dec('12345678901234567890123456789012345.000000000000000000000000000001', '65,30')} AS JSON)`,
    'DECIMAL',
  ],
  [
    `JSON_ARRAY(1, ${dec('2.0', '3,1')}, JSON_ARRAY(${dec('3.300', '5,3')}, JSON_OBJECT('a.b "q"', ${dec('4.40', '5,2')})))`,
    'ARRAY',
  ],
  [
    `JSON_OBJECT('ü"\\\\n😀', ${dec('0.00', '5,2')}, '', ${dec('7.70', '5,2')}, '$[0]', ${dec('8.80', '5,2')})`,
    'OBJECT',
  ],
  [
    `JSON_ARRAY(18446744073709551615, -9223372036854775808, ${dec('18446744073709551616', '30,0')}, ${dec('-9223372036854775809', '30,0')})`,
    'ARRAY',
  ],
  [
    `JSON_ARRAY(1.0e0, 1e20, 1.7976931348623157e308, 0.1e0, -0e0, 100000000000000000000e0, 123456789.125e0)`,
    'ARRAY',
  ],
  [`JSON_OBJECT('text', '1.50', 'nested', JSON_OBJECT('1.50', '2.00,{"x":3.30}'))`, 'OBJECT'],
  [`JSON_ARRAY(${Array.from({ length: 1500 }, (_, i) => dec(`${i}.50`, '8,2')).join(', ')})`, 'ARRAY'],
])('%.80s', async (expression) => {
  await connection.query(`REPLACE INTO t VALUES (1, ${expression})`)
  const read = async (id: number): Promise<string> => {
    const [rows] = await connection.query(`SELECT HEX(CAST(j AS CHAR)) AS hex FROM t WHERE id = ${id}`)
    return Buffer.from(String((rows as { hex: string }[])[0]?.hex), 'hex').toString('latin1')
  }
  const text = await read(1)
  // The statement goes out byte by byte, as the sink sends it; a connection in the tests' own charset takes it as UTF-8.
  const sql = Buffer.from(
    `REPLACE INTO t VALUES (2, ${literal(text, { kind: 'json', sql: 'json' })})`,
    'latin1',
  ).toString('utf8')
  await connection.query(sql)
  expect(await read(2)).toBe(text)
})
