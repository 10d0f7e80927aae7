/**
 * A benchmark whose check lets a wrong result pass proves nothing: one value that differs, or one row too few, and it must fail.
 */
import { type Connection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { assertEqual } from '../../bench/servers.ts'
import { connect, freshDatabase, type MysqlFacts, sharedSource, sharedTarget } from '../../support/servers.ts'

let servers: { source: MysqlFacts; target: MysqlFacts }
let source: Connection
let target: Connection
let database: string

beforeAll(async () => {
  servers = { source: await sharedSource(), target: await sharedTarget() }
  source = await connect(servers.source)
  target = await connect(servers.target)
  database = await freshDatabase(source, 'bench_check')
  await target.query(`CREATE DATABASE ${database}`)
  for (const side of [source, target]) {
    await side.query(
      `CREATE TABLE ${database}.t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO ${database}.t VALUES (1, 'a'), (2, 'b')`,
    )
  }
})

afterAll(async () => {
  await source?.end()
  await target?.end()
})

const check = (): Promise<number> => assertEqual(servers.source, servers.target, 'The target', [database])

it('passes what is equal, with the number of rows that it saw', async () => {
  expect(await check()).toBe(2)
})

it('refuses one letter in another case, and a row that is missing', async () => {
  await target.query(`UPDATE ${database}.t SET v = 'B' WHERE id = 2`)
  await expect(check()).rejects.toThrow(/The target differs from the source:\n.*\(id = 2\) value v/)
  await target.query(`DELETE FROM ${database}.t WHERE id = 2`)
  await expect(check()).rejects.toThrow(/missing row/)
})
