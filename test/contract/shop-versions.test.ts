/*
 * The shop's writers count every row's version up, whatever they do; the version log sees it when a row goes back, and only then.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMysql } from '../../dev/mysql.ts'
import { fillShop } from '../../dev/shop/fill.ts'
import { createShop, versionedTables } from '../../dev/shop/schema.ts'
import { startWriters } from '../../dev/shop/writer.ts'
import { connect, freshDatabase, sharedSource } from '../support/servers.ts'
import {
  assertNoRowWentBack,
  findStepsBack,
  installVersionLog,
  removeVersionTriggers,
  type VersionLog,
} from '../support/versions-trigger.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function until(what: () => boolean | Promise<boolean>, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what.toString()}`)
    await pause(50)
  }
}

describe('the writers', () => {
  test('count every version up, and do every operation without an error of their own', async () => {
    const server = await sharedSource()
    const connection = await connect(server)
    const database = await freshDatabase(connection, 'writers')
    await createShop(connection, database)
    await fillShop({ server, database, size: 0 })
    const log = await installVersionLog(connection, [database], `${database}_log`)
    expect(log.tables).toHaveLength(versionedTables.length)

    const writers = await startWriters({ server, database, writers: 5, seed: 7 })
    await until(
      () => Object.keys(writers.stats().byOperation).length >= 28 && writers.stats().operations > 3000,
      60_000,
    )
    const stats = await writers.stop()
    expect(stats.unexpected).toEqual([])
    expect(stats.reconnects).toBe(0)
    const seen = await assertNoRowWentBack(connection, log)
    expect(seen.rows).toBeGreaterThan(1000)
    // What was rolled back was never there.
    const [ghosts] = await connection.query(`SELECT * FROM ${database}.audit_entry WHERE actor = 'nobody'`)
    expect(ghosts).toEqual([])
    await removeVersionTriggers(connection, log)
    await connection.end()
  })

  test('keep to the rate, and go on after the server has come back', async () => {
    await using server = await startMysql({ name: 'restarted', durable: false })
    const connection = await connect(server)
    await connection.query('CREATE DATABASE shop')
    await createShop(connection, 'shop')
    await fillShop({ server, database: 'shop', size: 0 })
    connection.destroy()
    const writers = await startWriters({ server, database: 'shop', writers: 3, seed: 1, ratePerSecond: 60 })
    await until(() => writers.stats().operations > 20, 20_000)
    await server.kill()
    await server.restart()
    const before = writers.stats().operations
    await until(() => writers.stats().operations > before + 60, 20_000)
    const stats = await writers.stop()
    expect(stats.reconnects).toBeGreaterThanOrEqual(3)
    expect(stats.unexpected).toEqual([])
  })
})

describe('the version log', () => {
  let connection: Connection
  let database: string
  let log: VersionLog
  const steps = async (): Promise<string[]> =>
    (await findStepsBack(connection, log)).map(
      (step) => `${step.operation} ${step.version} after ${step.before}`,
    )

  beforeAll(async () => {
    connection = await connect(await sharedSource())
    database = await freshDatabase(connection, 'version_log')
    await connection.query(`CREATE TABLE ${database}.item (
      code VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, part INT, version BIGINT NOT NULL, PRIMARY KEY (code, part))`)
    await connection.query(`CREATE TABLE ${database}.plain (id INT PRIMARY KEY)`)
    await connection.query(`USE ${database}`)
  })
  afterAll(() => connection.end())

  const run = async (...statements: string[]): Promise<void> => {
    await connection.query('DELETE FROM item')
    log = await installVersionLog(connection, [database], `${database}_log`)
    for (const statement of statements) await connection.query(statement)
    await removeVersionTriggers(connection, log)
  }

  test('watches tables with a version alone', async () => {
    await run()
    expect(log.tables).toEqual([`${database}.item`])
  })

  test('is content with rows that go on', async () => {
    await run(
      "INSERT INTO item VALUES ('a', 1, 5), ('b', 1, 5)",
      'UPDATE item SET version = version + 1',
      "UPDATE item SET version = 6 WHERE code = 'a'",
      "DELETE FROM item WHERE code = 'a'",
      "INSERT INTO item VALUES ('A', 1, 1)",
      "INSERT INTO item VALUES ('a', 2, 1)",
      "REPLACE INTO item VALUES ('b', 1, 9)",
      "UPDATE item SET part = 7, version = 10 WHERE code = 'b'",
    )
    expect(await steps()).toEqual([])
    expect(await assertNoRowWentBack(connection, log)).toMatchObject({ rows: 5 })
  })

  test('is content with a removal and a return inside one transaction', async () => {
    await run(
      "INSERT INTO item VALUES ('a', 1, 5)",
      'START TRANSACTION',
      "DELETE FROM item WHERE code = 'a'",
      "INSERT INTO item VALUES ('a', 1, 5)",
      'COMMIT',
      // A REPLACE of the same row is a removal and an insert of one statement.
      "REPLACE INTO item VALUES ('a', 1, 5)",
      'START TRANSACTION',
      "UPDATE item SET version = 3 WHERE code = 'a'",
      "UPDATE item SET version = 6 WHERE code = 'a'",
      'COMMIT',
    )
    expect(await steps()).toEqual([])
  })

  test('does not count what was rolled back', async () => {
    await run(
      "INSERT INTO item VALUES ('a', 1, 5)",
      'START TRANSACTION',
      "UPDATE item SET version = 99 WHERE code = 'a'",
      'ROLLBACK',
      "UPDATE item SET version = 6 WHERE code = 'a'",
    )
    expect(await steps()).toEqual([])
  })

  test.each([
    ['an update', ["UPDATE item SET version = 4 WHERE code = 'a'"], 'update 4 after 5'],
    ['a replace', ["REPLACE INTO item VALUES ('a', 1, 4)"], 'insert 4 after 5'],
    [
      'a deleted row that comes back',
      ["DELETE FROM item WHERE code = 'a'", "INSERT INTO item VALUES ('a', 1, 5)"],
      'insert 5 after 5',
    ],
    [
      'a deleted row that comes back older, by an upsert',
      [
        "DELETE FROM item WHERE code = 'a'",
        "INSERT INTO item VALUES ('a', 1, 3) ON DUPLICATE KEY UPDATE version = 3",
      ],
      'insert 3 after 5',
    ],
    [
      'a moved row',
      ["UPDATE item SET part = 2 WHERE code = 'a'", "UPDATE item SET part = 1 WHERE code = 'a'"],
      'update 5 after 5',
    ],
    [
      'a step back that a later one hides',
      [
        "UPDATE item SET version = 8 WHERE code = 'a'",
        "UPDATE item SET version = 7 WHERE code = 'a'",
        "UPDATE item SET version = 9 WHERE code = 'a'",
      ],
      'update 7 after 8',
    ],
    [
      'the last change of a transaction',
      [
        'START TRANSACTION',
        "UPDATE item SET version = 9 WHERE code = 'a'",
        "UPDATE item SET version = 4 WHERE code = 'a'",
        'COMMIT',
      ],
      'update 4 after 5',
    ],
  ])('finds %s', async (_, statements, expected) => {
    await run("INSERT INTO item VALUES ('a', 1, 5), ('b', 1, 1)", ...statements)
    expect(await steps()).toEqual([expected])
    await expect(assertNoRowWentBack(connection, log)).rejects.toThrow(/went back/)
  })
})
