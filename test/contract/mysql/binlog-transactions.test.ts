/*
 * Transactions as they come out of the log: whole, in slices, compressed, XA, with definitions and statements between rows; and what is refused.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import { createPositionTracker } from '../../../src/connectors/mysql/position-tracker.ts'
import type { Position } from '../../../src/core/position.ts'
import type { LogEvent } from '../../../src/core/transaction.ts'
import { connect, freshDatabase } from '../../support/servers.ts'
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

// Its own server: what is refused here would stop every other reader of a shared one.
let server: MysqlServer
let connection: Connection
let database: string
let from: Position
beforeAll(async () => {
  server = await startMysql({ name: 'binlog transactions', durable: false })
  connection = await connect(server)
  database = await freshDatabase(connection, 'binlogtx')
  await connection.query(
    `USE ${database}; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(300)); CREATE TABLE seq (n INT PRIMARY KEY); SET cte_max_recursion_depth = 1000000;
     INSERT INTO seq WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 200000) SELECT n FROM s`,
  )
})
afterAll(async () => {
  await connection?.end()
  await server?.discard()
})
beforeEach(async () => {
  await connection.query('DELETE FROM t')
  from = await headOf(connection)
})

const ids = (events: readonly LogEvent[], table = 't'): unknown[] =>
  changesOf(events, database, table).map(({ before, after }) => (after ?? before)?.[0])

describe('a transaction', () => {
  it('is one slice, with its GTID, commit time and place', async () => {
    const beforeMs = Date.now()
    const events = await logOf(server, connection, () =>
      connection.query(
        "BEGIN; INSERT INTO t VALUES (1, 'a'), (2, 'b'); SAVEPOINT s; INSERT INTO t VALUES (9, 'x'); ROLLBACK TO s; UPDATE t SET v = 'c' WHERE id = 1; COMMIT",
      ),
    )
    const [slice, ...others] = slicesOf(events, database)
    expect(others).toEqual([])
    expect(slice).toMatchObject({ firstOrdinal: 0, last: true })
    expect(slice?.changes.map(({ before, after }) => [before, after])).toEqual([
      [null, [1, 'a']],
      [null, [2, 'b']],
      [
        [1, 'a'],
        [1, 'c'],
      ],
    ])
    expect(slice?.commitTimeUs).toBeGreaterThanOrEqual((beforeMs - 1) * 1000)
    expect(slice?.commitTimeUs).toBeLessThanOrEqual((Date.now() + 1) * 1000)
    const [status] = await connection.query('SHOW BINARY LOG STATUS')
    const { File: file, Position: offset } = (status as { File: string; Position: number }[])[0] as {
      File: string
      Position: number
    }
    expect(slice?.coordinate).toEqual({ file: Number(/\d+$/.exec(file)?.[0]), offset: Number(offset) })
    expect((await headOf(connection)).token).toContain((slice?.id ?? '').split(':')[0])
  })

  it('without row changes is an empty last slice, so that the position does not stop before it', async () => {
    const gtid = (await headOf(connection)).token.split(':')[0]
    const events = await logOf(server, connection, () =>
      connection.query(`SET gtid_next = '${gtid}:999000'; BEGIN; COMMIT; SET gtid_next = 'AUTOMATIC'`),
    )
    expect(events.filter((event) => event.kind === 'slice' && event.id === `${gtid}:999000`)).toMatchObject([
      { changes: [], last: true, firstOrdinal: 0 },
    ])
  })

  it('of a table without transactions ends as well', async () => {
    await connection.query('CREATE TABLE plain (id INT PRIMARY KEY) ENGINE=MyISAM')
    const events = await logOf(server, connection, () =>
      connection.query('INSERT INTO plain VALUES (1), (2)'),
    )
    expect(ids(events, 'plain')).toEqual([1, 2])
    expect(slicesOf(events, database).map((slice) => slice.last)).toEqual([true])
  })

  it('keeps the identity of a table shape as long as the table stays the same', async () => {
    const events = await logOf(server, connection, async () => {
      await connection.query(
        "INSERT INTO t VALUES (1, 'a'); UPDATE t SET v = 'b'; FLUSH TABLES; INSERT INTO t VALUES (2, 'c'); ALTER TABLE t ADD x INT; INSERT INTO t VALUES (3, 'd', 4)",
      )
    })
    const shapes = changesOf(events, database, 't').map((change) => change.table)
    expect(new Set(shapes).size).toBe(2)
    expect(shapes[0]).toBe(shapes[2])
    expect(shapes.at(-1)?.columns.map((column) => column.name)).toEqual(['id', 'v', 'x'])
    expect(shapes[0]?.primaryKey).toEqual({ name: 'PRIMARY', ordinals: [0], comparesBytes: true })
    await connection.query('ALTER TABLE t DROP x')
  })

  it('of 200,000 rows comes in slices, and goes on from any of them', async () => {
    await connection.query("INSERT INTO t SELECT n, REPEAT('x', n % 50) FROM seq")
    const to = await headOf(connection)
    const stream = follow(server, from)
    const tracker = createPositionTracker(from)
    const positions: Position[] = []
    let rows = 0
    let expectedOrdinal = 0
    for await (const batch of stream) {
      for (const event of batch) {
        if (event.kind === 'progress') continue
        tracker.advance(event)
        if (event.kind !== 'slice') continue
        positions.push(tracker.position())
        expect(event.firstOrdinal).toBe(expectedOrdinal)
        expect(event.changes.length).toBeLessThanOrEqual(10_000)
        expect(event.bytes).toBeLessThan(1024 * 1024 + 4096)
        rows += event.changes.length
        expectedOrdinal = event.last ? 0 : rows
      }
      if (tracker.covers(to)) break
    }
    await stream.close()
    expect(rows).toBe(200_000)
    expect(positions.length).toBeGreaterThan(15)

    for (const position of [positions[0], positions[7], positions.at(-2)] as Position[]) {
      expect(position.token).toBe(from.token)
      const events = await readUntil(follow(server, position), position, to)
      const [first] = slicesOf(events)
      expect(first?.firstOrdinal).toBe(position.ordinal)
      const rest = ids(events) as number[]
      expect(rest).toEqual(
        Array.from({ length: 200_000 - position.ordinal }, (_, i) => position.ordinal + 1 + i),
      )
    }
    const impossible = { token: from.token, ordinal: 200_001 }
    expect(await errorOf(follow(server, impossible))).toMatchObject({ code: 'SYNC-2210' })
  })
})

describe('compressed', () => {
  it('a small transaction is the same as uncompressed', async () => {
    const work =
      "BEGIN; INSERT INTO t VALUES (1, 'a'); UPDATE t SET v = REPEAT('b', 200); INSERT INTO t VALUES (2, 'c'); DELETE FROM t WHERE id = 1; COMMIT"
    const plain = await logOf(server, connection, () => connection.query(work))
    await connection.query('DELETE FROM t')
    const packed = await logOf(server, connection, () =>
      connection.query(
        `SET binlog_transaction_compression = ON; ${work}; SET binlog_transaction_compression = OFF`,
      ),
    )
    const changes = (events: readonly LogEvent[]) =>
      changesOf(events, database).map(({ before, after }) => [before, after])
    expect(changes(packed)).toEqual(changes(plain))
    expect(slicesOf(packed, database)).toHaveLength(1)
  })

  it('a large one comes in slices, whose places are before its end, and goes on from an ordinal', async () => {
    await connection.query(
      "SET binlog_transaction_compression = ON; INSERT INTO t SELECT n, CONCAT(REPEAT('y', 100), SHA2(n, 256)) FROM seq WHERE n <= 100000; SET binlog_transaction_compression = OFF",
    )
    const to = await headOf(connection)
    const events = await readUntil(follow(server, from), from, to)
    const slices = slicesOf(events)
    expect(slices.length).toBeGreaterThan(10)
    expect(ids(events)).toEqual(Array.from({ length: 100_000 }, (_, i) => i + 1))
    const end = slices.at(-1)
    for (const slice of slices.slice(0, -1)) {
      expect(slice.last).toBe(false)
      expect(slice.coordinate.offset).toBeLessThan(end?.coordinate.offset ?? 0)
    }
    const position = { token: from.token, ordinal: slices[3]?.firstOrdinal ?? 0 }
    const rest = await readUntil(follow(server, position), position, to)
    expect(ids(rest)[0]).toBe(position.ordinal + 1)
    expect(ids(rest)).toHaveLength(100_000 - position.ordinal)
  })

  it('with rows larger than the window of unpacked bytes', async () => {
    await connection.query(
      "CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB); SET binlog_transaction_compression = ON; BEGIN; INSERT INTO big VALUES (1, REPEAT('a', 3000000)); INSERT INTO big VALUES (2, REPEAT('b', 5)); INSERT INTO big VALUES (3, REPEAT('c', 4000000)); COMMIT; SET binlog_transaction_compression = OFF",
    )
    const to = await headOf(connection)
    const events = await readUntil(follow(server, from), from, to)
    expect(
      changesOf(events, database, 'big').map(({ after }) => [after?.[0], String(after?.[1]).length]),
    ).toEqual([
      [1, 3_000_000],
      [2, 5],
      [3, 4_000_000],
    ])
  })
})

describe('XA', () => {
  it('delivers a prepared transaction at its commit, in the order of commits', async () => {
    const xid = `'${database}','b',7`
    const events = await logOf(server, connection, () =>
      connection
        .query(
          `XA START ${xid}; INSERT INTO t VALUES (1, 'xa'); UPDATE t SET v = 'xb' WHERE id = 1; XA END ${xid}; XA PREPARE ${xid};`,
        )
        .then(async () => {
          const other = await connect(server, { database })
          await other.query("INSERT INTO t VALUES (2, 'other')")
          await other.end()
          await connection.query(`XA COMMIT ${xid}`)
        }),
    )
    expect(slicesOf(events, database).map(({ changes }) => changes.map(({ after }) => after))).toEqual([
      [[2, 'other']],
      [
        [1, 'xa'],
        [1, 'xb'],
      ],
    ])
    // Both GTIDs in one id: no position can hold the prepared part alone.
    const pair = slicesOf(events, database).at(-1)
    expect(pair?.id.split(',')).toHaveLength(2)
    const tracker = createPositionTracker(from)
    for (const event of events) if (event.kind !== 'progress' && event !== pair) tracker.advance(event)
    const middle = tracker.position()
    const again = await readUntil(follow(server, middle), middle, await headOf(connection))
    expect(ids(again)).toEqual([1, 1])
  })

  it('delivers one-phase commits, and nothing of what is rolled back', async () => {
    const events = await logOf(server, connection, () =>
      connection.query(
        `XA START 'one'; INSERT INTO t VALUES (1, 'a'); XA END 'one'; XA COMMIT 'one' ONE PHASE;
         XA START 'two'; INSERT INTO t VALUES (2, 'a'); XA END 'two'; XA PREPARE 'two'; XA ROLLBACK 'two';
         XA START 'three'; INSERT INTO t VALUES (3, 'a'); XA END 'three'; XA PREPARE 'three'; XA COMMIT 'three'`,
      ),
    )
    expect(ids(events)).toEqual([1, 3])
  })

  it('is the same when it is compressed, or has a tag', async () => {
    const events = await logOf(server, connection, () =>
      connection.query(
        `SET binlog_transaction_compression = ON;
         XA START 'c1'; INSERT INTO t VALUES (1, REPEAT('a', 200)); XA END 'c1'; XA COMMIT 'c1' ONE PHASE;
         SET gtid_next = 'AUTOMATIC:xatag';
         XA START 'c2'; INSERT INTO t VALUES (2, REPEAT('a', 200)); XA END 'c2'; XA PREPARE 'c2'; XA COMMIT 'c2';
         SET binlog_transaction_compression = OFF, gtid_next = 'AUTOMATIC'`,
      ),
    )
    expect(ids(events)).toEqual([1, 2])
    expect(slicesOf(events, database).at(-1)?.id).toMatch(/^[^,]+:xatag:1,[^,]+:xatag:2$/)
  })

  it('of many rows comes in slices and goes on from an ordinal', async () => {
    await connection.query(
      "XA START 'many'; INSERT INTO t SELECT n, 'v' FROM seq WHERE n <= 30000; XA END 'many'; XA PREPARE 'many'; XA COMMIT 'many'",
    )
    const to = await headOf(connection)
    const whole = await readUntil(follow(server, from), from, to)
    expect(slicesOf(whole).length).toBeGreaterThan(2)
    const position = { token: from.token, ordinal: 12_345 }
    const rest = await readUntil(follow(server, position), position, to)
    expect(ids(rest)).toEqual(Array.from({ length: 30_000 - 12_345 }, (_, i) => 12_346 + i))
  })

  it('refuses more prepared rows than fit, and a commit whose rows stand before the start', async () => {
    await connection.query(
      "XA START 'fat'; INSERT INTO t SELECT n, REPEAT('z', 100) FROM seq WHERE n <= 1000; XA END 'fat'; XA PREPARE 'fat'",
    )
    const between = await headOf(connection)
    await connection.query("XA COMMIT 'fat'")
    const to = await headOf(connection)
    expect(await errorOf(follow(server, from, { maxPreparedBytes: 50_000 }))).toMatchObject({
      code: 'SYNC-2206',
    })
    const late = await errorOf(follow(server, between))
    expect(late.code).toBe('SYNC-2206')
    const acknowledged = [String(late.details['at'])]
    expect(ids(await readUntil(follow(server, between, { acknowledged }), between, to))).toEqual([])
  })
})

describe('definitions', () => {
  it('come as statements, in their place', async () => {
    const events = await logOf(server, connection, () =>
      connection.query(
        "INSERT INTO t VALUES (1, 'a'); CREATE TABLE d (id INT PRIMARY KEY); INSERT INTO d VALUES (5); TRUNCATE d; RENAME TABLE d TO e; /* why */ DROP TABLE e; INSERT INTO t VALUES (2, 'b')",
      ),
    )
    const told = events.flatMap((event) => {
      if (event.kind === 'schema-change')
        return event.schema === database ? [event.statement.slice(0, 16)] : []
      return event.kind === 'slice'
        ? event.changes.map(({ table, after }) => `${table.id.name} ${after?.[0]}`)
        : []
    })
    expect(told).toEqual([
      't 1',
      'CREATE TABLE d (',
      'd 5',
      'TRUNCATE d',
      'RENAME TABLE d T',
      'DROP TABLE `e` /',
      't 2',
    ])
    const ddl = schemaChangesOf(events, database)[0]
    expect(ddl?.id).toMatch(/^[0-9a-f-]{36}:\d+$/)
    expect(ddl?.commitTimeUs).toBeGreaterThan(1.7e15)
  })

  it('CREATE TABLE ... SELECT is a definition and rows in one transaction, and does not count as taken before its rows', async () => {
    await connection.query("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    const start = await headOf(connection)
    await connection.query('CREATE TABLE ctas AS SELECT * FROM t')
    const to = await headOf(connection)
    const events = await readUntil(follow(server, start), start, to)
    const [ddl] = schemaChangesOf(events, database)
    expect(ddl?.statement).toMatch(/^CREATE TABLE `ctas`/)
    expect(ids(events, 'ctas')).toEqual([1, 2])
    const tracker = createPositionTracker(start)
    if (ddl !== undefined) tracker.advance(ddl)
    expect(tracker.position()).toEqual(start)
  })

  it("keep their text in the session's character set", async () => {
    const latin = await connect(server, { database, charset: 'latin1_swedish_ci' })
    const events = await logOf(server, connection, () =>
      latin.query(
        'CREATE TABLE \u00fcber (`gr\u00f6\u00dfe` INT PRIMARY KEY); INSERT INTO \u00fcber VALUES (1); DROP TABLE \u00fcber',
      ),
    )
    await latin.end()
    expect(schemaChangesOf(events, database)[0]?.statement).toBe(
      'CREATE TABLE \u00fcber (`gr\u00f6\u00dfe` INT PRIMARY KEY)',
    )
    const [change] = changesOf(events, database)
    expect(change?.table.id.name).toBe('\u00fcber')
    expect(change?.table.columns[0]?.name).toBe('gr\u00f6\u00dfe')
  })
})

describe('refused, with the GTID that a person must look at:', () => {
  /** Runs SQL in a session of its own, and gives the error that the log of it ends in. */
  async function refusal(sql: string): Promise<{ error: Awaited<ReturnType<typeof errorOf>>; gtid: string }> {
    const session = await connect(server, { database })
    try {
      await session.query(sql)
    } finally {
      await session.end()
    }
    const error = await errorOf(follow(server, from))
    return { error, gtid: String(error.details['at']) }
  }

  it.each([
    [
      'INSERT',
      "SET binlog_format = STATEMENT; INSERT INTO t VALUES (1, 'a')",
      "INSERT INTO t VALUES (1, 'a')",
    ],
    [
      'UPDATE with a user variable',
      "SET binlog_format = STATEMENT, @v = 'q'; UPDATE t SET v = @v",
      'UPDATE t SET v = @v',
    ],
    [
      'an auto-increment',
      'CREATE TABLE ai (id INT AUTO_INCREMENT PRIMARY KEY, v INT); SET binlog_format = STATEMENT; INSERT INTO ai (v) VALUES (1); DROP TABLE ai',
      'INSERT INTO ai (v) VALUES',
    ],
    [
      'RAND',
      'SET binlog_format = STATEMENT; INSERT INTO t VALUES (FLOOR(RAND() * 1000), 1)',
      'INSERT INTO t VALUES',
    ],
    [
      'DELETE behind a comment',
      'SET binlog_format = STATEMENT; /* purge */ DELETE FROM t',
      '/* purge */ DELETE FROM t',
    ],
    ['REPLACE', "SET binlog_format = STATEMENT; REPLACE INTO t VALUES (1, 'a')", 'REPLACE INTO t VALUES'],
  ])('a statement in place of rows (%s)', async (_, sql, words) => {
    const { error, gtid } = await refusal(sql)
    expect(error).toMatchObject({ code: 'SYNC-2205', disposition: 'block' })
    expect(error.message).toContain(words.slice(0, 20))
    expect(gtid).toMatch(/^[0-9a-f-]{36}:\d+$/)
    const to = await headOf(connection)
    const events = await readUntil(follow(server, from, { acknowledged: [gtid] }), from, to)
    expect(events.filter((event) => event.kind === 'slice' && event.id === gtid)).toMatchObject([
      { changes: [], last: true },
    ])
  })

  it.each([
    ['an image that is not full', 'SET binlog_row_image = MINIMAL; INSERT INTO t (id) VALUES (1)'],
    [
      'an update image that is not full',
      "INSERT INTO t VALUES (1, 'a'); SET binlog_row_image = MINIMAL; UPDATE t SET v = 'b'",
    ],
    [
      'NOBLOB',
      'CREATE TABLE IF NOT EXISTS nb (id INT PRIMARY KEY, b BLOB); SET binlog_row_image = NOBLOB; REPLACE INTO nb (id) VALUES (1)',
    ],
    [
      'parts of JSON',
      'CREATE TABLE IF NOT EXISTS pj (id INT PRIMARY KEY, j JSON); REPLACE INTO pj VALUES (1, \'{"a": "aaaaaaaaaaaaaaaaaaaaaaaaaa", "b": "bbbbbbbbbbbbbbbbbbb"}\'); SET binlog_row_value_options = PARTIAL_JSON; UPDATE pj SET j = JSON_SET(j, \'$.a\', \'x\')',
    ],
  ])('%s', async (_, sql) => {
    const { error, gtid } = await refusal(sql)
    expect(error).toMatchObject({ code: 'SYNC-2208', disposition: 'block' })
    expect(gtid).toMatch(/^[0-9a-f-]{36}:\d+$/)
  })
})

it('what is read before an error is delivered before it', async () => {
  await connection.query(
    "INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b'); SET binlog_format = STATEMENT; INSERT INTO t VALUES (3, 'c'); SET binlog_format = ROW",
  )
  const stream = follow(server, from)
  const events: LogEvent[] = []
  const reading = (async () => {
    for await (const batch of stream) events.push(...batch)
  })()
  await expect(reading).rejects.toMatchObject({ code: 'SYNC-2205' })
  expect(ids(events)).toEqual([1, 2])
})
