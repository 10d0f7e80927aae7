/*
 * MariaDB's log as transactions: every form in which it logs rows and statements, its GTIDs with their domains, XA, and what is refused.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startMariadb } from '../../../dev/mariadb.ts'
import { createMariadbTracker } from '../../../src/connectors/mysql/mariadb-tracker.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import type { Position } from '../../../src/core/position.ts'
import type { LogEvent } from '../../../src/core/transaction.ts'
import { connect, freshDatabase, type MysqlFacts, sharedMariadbSource } from '../../support/servers.ts'
import {
  changesOf,
  errorOf,
  follow,
  headOf,
  logOf,
  readUntil,
  schemaChangesOf,
  slicesOf,
} from './binlog-support.ts'
import { endpointOf } from './endpoint.ts'

let server: MysqlFacts
let connection: Connection
let database: string
beforeAll(async () => {
  server = await sharedMariadbSource()
  connection = await connect(server, { charset: 'utf8mb4' })
  database = await freshDatabase(connection, 'mariadblog')
  await connection.query(`USE ${database}; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000))`)
})
afterAll(() => connection?.end())

const log = (sql: string): Promise<LogEvent[]> => logOf(server, connection, () => connection.query(sql))

/** Changes as `-1` (deleted), `+1:x` (there with this value). */
const rowsOf = (events: readonly LogEvent[], table = 't'): string[] =>
  changesOf(events, database, table).map(({ before, after }) =>
    after === null ? `-${String(before?.[0])}` : `+${String(after[0])}:${String(after[1]).slice(0, 3)}`,
  )

describe('rows', () => {
  it('of one transaction stand together, with its GTID and its time', async () => {
    const events = await log(
      "BEGIN; INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET v = 'c' WHERE id = 2; DELETE FROM t WHERE id = 1; COMMIT",
    )
    expect(rowsOf(events)).toEqual(['+1:a', '+2:b', '+2:c', '-1'])
    const slices = slicesOf(events, database)
    expect(slices).toHaveLength(1)
    expect(slices[0]?.id).toMatch(/^0-103-\d+$/)
    expect(Math.abs(Date.now() * 1000 - (slices[0]?.commitTimeUs ?? 0))).toBeLessThan(3600e6)
  })

  it('that are compressed, in one event and in many', async () => {
    const long = "REPEAT('x', 1000)"
    const events = await log(
      `INSERT INTO t VALUES (10, ${long}); UPDATE t SET v = REPEAT('y', 1000) WHERE id = 10; DELETE FROM t WHERE id = 10; INSERT INTO t SELECT seq, ${long} FROM seq_100_to_2099`,
    )
    expect(rowsOf(events).slice(0, 3)).toEqual(['+10:xxx', '+10:yyy', '-10'])
    const many = changesOf(events, database).slice(3)
    expect(many).toHaveLength(2000)
    expect(many.every(({ after }) => after?.[1] === 'x'.repeat(1000))).toBe(true)
  })

  it('of a table without transactions', async () => {
    await connection.query('CREATE TABLE plain (id INT PRIMARY KEY, v INT) ENGINE=Aria')
    expect(rowsOf(await log('INSERT INTO plain VALUES (1, 1), (2, 2)'), 'plain')).toEqual(['+1:1', '+2:2'])
  })

  it('of a sequence are not rows', async () => {
    const events = await log('CREATE SEQUENCE numbers; SELECT NEXTVAL(numbers), NEXTVAL(numbers)')
    expect(changesOf(events, database)).toEqual([])
    expect(schemaChangesOf(events, database).map(({ statement }) => statement)).toEqual([
      'CREATE SEQUENCE numbers',
    ])
  })

  it('before a savepoint that is taken back to are there, and those behind it are not', async () => {
    const events = await log(
      "BEGIN; INSERT INTO t VALUES (3, 'a'); SAVEPOINT s; INSERT INTO t VALUES (4, 'b'); ROLLBACK TO s; INSERT INTO t VALUES (5, 'c'); COMMIT",
    )
    expect(rowsOf(events)).toEqual(['+3:a', '+5:c'])
  })
})

describe('definitions', () => {
  it('come with their schema, also long ones that are compressed, and tables made of a SELECT with their rows', async () => {
    const comment = 'c'.repeat(900)
    const events = await log(
      `CREATE TABLE d1 (id INT PRIMARY KEY) COMMENT '${comment}'; CREATE TABLE d2 (PRIMARY KEY (id)) AS SELECT 7 AS id; TRUNCATE TABLE d1; DROP TABLE d1`,
    )
    const statements = schemaChangesOf(events, database).map(({ statement }) => statement.slice(0, 15))
    expect(statements).toEqual(['CREATE TABLE d1', 'CREATE TABLE `d', 'TRUNCATE TABLE ', 'DROP TABLE `d1`'])
    expect(schemaChangesOf(events, database)[0]?.statement).toContain(comment)
    expect(changesOf(events, database, 'd2').map(({ after }) => after)).toEqual([[7]])
  })

  it('in two phases take effect with the second', async () => {
    const events = await log(
      'SET binlog_alter_two_phase = 1; ALTER TABLE d2 ADD COLUMN x INT; SET binlog_alter_two_phase = 0',
    )
    expect(schemaChangesOf(events, database)).toHaveLength(1)
    expect(events.filter((event) => event.kind === 'slice')).toHaveLength(1)
  })
})

describe('positions', () => {
  it('hold every domain for itself', async () => {
    const from = await headOf(connection)
    await connection.query(
      "INSERT INTO t VALUES (20, 'a'); SET gtid_domain_id = 7; INSERT INTO t VALUES (21, 'b'); SET gtid_domain_id = 0; INSERT INTO t VALUES (22, 'c')",
    )
    const end = await headOf(connection)
    expect(end.token).toMatch(/^0-103-\d+,7-103-1$/)
    const events = await readUntil(follow(server, from), from, end)
    expect(rowsOf(events)).toEqual(['+20:a', '+21:b', '+22:c'])
    // From the middle: only what is missing comes.
    const tracker = createMariadbTracker(from)
    for (const slice of slicesOf(events, database).slice(0, 2)) tracker.advance(slice)
    const middle = tracker.position()
    expect(rowsOf(await readUntil(follow(server, middle), middle, end))).toEqual(['+22:c'])
  })

  it('a position that the server has never reached is refused by the log itself', async () => {
    const { token } = await headOf(connection)
    const [first, ...rest] = token.split(',')
    const ahead = [String(first).replace(/\d+$/, '99999'), ...rest].join(',')
    const code = (await errorOf(follow(server, { token: ahead, ordinal: 0 }))).code
    expect(code).toBe('SYNC-2210')
  })

  it('an idle source gives signs of life', async () => {
    const stream = follow(server, await headOf(connection), { heartbeatMs: 100 })
    const reading = (async () => {
      for await (const _ of stream) {
        // Nothing but progress.
      }
    })()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(performance.now() - stream.lastSeenAtMs()).toBeLessThan(1000)
    await stream.close()
    await reading
  })
})

describe('XA', () => {
  it('is one transaction at its commit, and none at its rollback', async () => {
    const events = await log(
      "XA START 'a\\'b', 'x', 3; INSERT INTO t VALUES (40, 'a'); XA END 'a\\'b', 'x', 3; XA PREPARE 'a\\'b', 'x', 3; XA COMMIT 'a\\'b', 'x', 3;" +
        "XA START 'r'; INSERT INTO t VALUES (41, 'a'); XA END 'r'; XA PREPARE 'r'; XA ROLLBACK 'r';" +
        "XA START 'o'; INSERT INTO t VALUES (42, 'a'); XA END 'o'; XA COMMIT 'o' ONE PHASE",
    )
    expect(rowsOf(events)).toEqual(['+40:a', '+42:a'])
  })

  it('that is prepared when the reader stops is found again, and nothing else comes twice', async () => {
    const other = await connect(server)
    await other.query(`USE ${database}`)
    const from = await headOf(connection)
    await connection.query("INSERT INTO t VALUES (50, 'a')")
    await other.query("XA START 'p'; INSERT INTO t VALUES (51, 'p'); XA END 'p'; XA PREPARE 'p'")
    await other.end()
    await connection.query("INSERT INTO t VALUES (52, 'a')")
    await connection.query(
      "XA START 'q'; INSERT INTO t VALUES (53, 'q'); XA END 'q'; XA PREPARE 'q'; XA COMMIT 'q'",
    )
    const tracker = createMariadbTracker(from)
    const first = await readUntil(follow(server, from), from, await headOf(connection))
    for (const event of first) if (event.kind !== 'progress') tracker.advance(event)
    expect(rowsOf(first)).toEqual(['+50:a', '+52:a', '+53:q'])
    const stopped: Position = tracker.position()
    expect(stopped.token).toContain(';again=')
    const source = await openMysqlSource(endpointOf(server))
    await source.assertRetained(stopped)
    await source.close()

    await connection.query("INSERT INTO t VALUES (54, 'a'); XA COMMIT 'p'; INSERT INTO t VALUES (55, 'a')")
    const rest = await readUntil(follow(server, stopped), stopped, await headOf(connection))
    expect(rowsOf(rest)).toEqual(['+54:a', '+51:p', '+55:a'])
    const after = createMariadbTracker(stopped)
    for (const event of rest) if (event.kind !== 'progress') after.advance(event)
    expect(after.position()).toEqual(await headOf(connection))
  })
})

describe('a log without the names of columns', () => {
  it('is refused for tables that take part, and does no harm otherwise', async () => {
    const from = await headOf(connection)
    await connection.query(
      "SET GLOBAL binlog_row_metadata = 'NO_LOG'; INSERT INTO t VALUES (60, 'a'); SET GLOBAL binlog_row_metadata = 'FULL'",
    )
    expect(await errorOf(follow(server, from))).toMatchObject({ code: 'SYNC-2208' })
    const scope = { takesTable: () => false, takesSchema: () => false }
    const events = await readUntil(follow(server, from, { scope }), from, await headOf(connection))
    expect(rowsOf(events)).toEqual([])
  })
})

it('a statement in place of its rows is refused', async () => {
  const from = await headOf(connection)
  await connection.query(
    "SET SESSION binlog_format = 'STATEMENT'; DELETE FROM t WHERE id = 60; SET SESSION binlog_format = 'ROW'",
  )
  expect(await errorOf(follow(server, from))).toMatchObject({ code: 'SYNC-2205' })
})

describe('what the log still holds', () => {
  it('is told from the oldest file, and by the server itself', async () => {
    await using own = await startMariadb({ durable: false })
    const client = await connect(own)
    const source = await openMysqlSource(endpointOf(own))
    const empty = { token: '', ordinal: 0 }
    await source.assertRetained(empty)
    await client.query('CREATE DATABASE a; CREATE DATABASE b')
    const old = await source.head()
    await source.assertRetained(empty)
    await client.query('CREATE DATABASE c; FLUSH BINARY LOGS; FLUSH BINARY LOGS')
    const [files] = await client.query('SHOW BINARY LOGS')
    await client.query(`PURGE BINARY LOGS TO '${(files as { Log_name: string }[]).at(-1)?.Log_name}'`)
    for (const position of [old, empty]) {
      await expect(source.assertRetained(position)).rejects.toMatchObject({
        code: 'SYNC-2204',
        disposition: 'block',
      })
      expect((await errorOf(follow(own, position))).code).toBe('SYNC-2204')
    }
    await client.query('CREATE DATABASE d')
    const before = await source.head()
    await source.assertRetained(before)
    await expect(source.assertRetained({ token: '3-3-3', ordinal: 0 })).rejects.toMatchObject({
      code: 'SYNC-2210',
    })

    // A sequence number that does not rise.
    await client.query(
      'SET GLOBAL gtid_strict_mode = 0; SET gtid_domain_id = 9; SET gtid_seq_no = 50; CREATE DATABASE e; SET gtid_seq_no = 40; CREATE DATABASE f',
    )
    const id = `9-${own.serverId}-40`
    expect(await errorOf(follow(own, before))).toMatchObject({ code: 'SYNC-2221', details: { at: id } })
    await source.close()
    await client.end()
  })
})
