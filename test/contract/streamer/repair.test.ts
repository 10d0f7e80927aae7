/**
 * Repairs by a real engine between real servers: rows that somebody else has changed, lost or added at the target, under keys of every kind, while the
 * source is written to; and what is refused.
 */
import { afterEach, expect, it } from 'vitest'
import type { Value } from '../../../src/core/value.ts'
import type { TableRule } from '../../../src/streamer/options.ts'
import { createRig, dump, inPhase, type Rig, until } from '../../support/engine-rig.ts'
import { connect, sharedMariadbTarget, sharedSource, sharedTarget } from '../../support/servers.ts'

let rig: Rig
afterEach(() => rig?.close())

async function prepare(definitions: string, target = sharedTarget): Promise<void> {
  rig = await createRig(await sharedSource(), await target(), 'repair')
  for (const side of [rig.source, rig.target]) {
    await side.query(`USE ${rig.database}`)
    await side.query(definitions)
  }
}

async function stream(rules?: readonly TableRule[]) {
  const run = rig.start(rules === undefined ? {} : { rules })
  await until(run, 60_000, inPhase('streaming'))
  return run
}

const equal = async (table: string): Promise<void> => {
  expect(await dump(rig.target, table)).toEqual(await dump(rig.source, table))
}

it.each([
  ['MySQL', sharedTarget],
  ['MariaDB', sharedMariadbTarget],
] as const)('mends rows under keys of every kind at %s', async (_, target) => {
  await prepare(
    `CREATE TABLE numbers (id BIGINT PRIMARY KEY, note VARCHAR(20));
     CREATE TABLE words (word VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, n INT);
     CREATE TABLE latin (word CHAR(10) CHARACTER SET latin1 PRIMARY KEY, n INT);
     CREATE TABLE pairs (a DECIMAL(8,2), b DATE, c BINARY(4), n INT, PRIMARY KEY (a, b, c));
     CREATE TABLE moments (t DATETIME(3), e ENUM('x','y'), n INT, PRIMARY KEY (t, e));`,
    target,
  )
  await rig.source.query(
    `INSERT INTO numbers VALUES (1, 'a'), (2, 'b'), (9007199254740993, 'c');
     INSERT INTO words VALUES ('a', 1), ('B', 2), ('😀', 3);
     INSERT INTO latin VALUES ('ä', 1), ('z', 2);
     INSERT INTO pairs VALUES (1.50, '2024-02-29', 'ab', 1), (-2, '1999-01-01', 'abcd', 2);
     INSERT INTO moments VALUES ('2024-01-01 00:00:00.120', 'y', 1), ('2024-01-01 00:00:00.121', 'x', 2);`,
  )
  const { engine } = await stream()
  await rig.target.query(
    `UPDATE numbers SET note = 'wrong' WHERE id = 2; DELETE FROM numbers WHERE id > 2; INSERT INTO numbers VALUES (7, 'extra');
     UPDATE words SET word = 'A' WHERE word = 'a'; DELETE FROM words WHERE n = 3; INSERT INTO words VALUES ('extra', 9);
     UPDATE latin SET n = 7; INSERT INTO latin VALUES ('ö', 9);
     DELETE FROM pairs WHERE n = 1; INSERT INTO pairs VALUES (7.25, '2024-01-01', 'x', 9);
     UPDATE moments SET n = 9 WHERE e = 'y'; INSERT INTO moments VALUES ('2024-01-01 00:00:00.120', 'x', 9);`,
  )
  const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
  const keys: Readonly<Record<string, readonly (readonly Value[])[]>> = {
    numbers: [[1n], [2n], [7n], [9007199254740993n]],
    words: [['a'], ['A'], ['b'], [bytes('😀')], ['extra']],
    latin: [['\xe4'], ['z'], ['\xf6']],
    pairs: [
      ['1.50', '2024-02-29', 'ab\0\0'],
      ['7.25', '2024-01-01', 'x\0\0\0'],
    ],
    moments: [
      ['2024-01-01 00:00:00.120', 2],
      ['2024-01-01 00:00:00.120', 1],
    ],
  }
  const outcomes: Record<string, string> = {}
  for (const [table, named] of Object.entries(keys)) {
    const repaired = await engine.repair({ table: `${rig.database}.${table}`, keys: named })
    outcomes[table] = repaired.map(({ outcome }) => outcome).join(' ')
  }
  expect(outcomes).toEqual({
    numbers: 'written written removed written',
    words: 'written removed removed written removed',
    latin: 'written written removed',
    pairs: 'written removed',
    moments: 'written removed',
  })
  for (const table of Object.keys(keys)) await equal(table)
})

it('removes what the row filter leaves out, and writes mapped columns only', async () => {
  await prepare('CREATE TABLE t (id INT PRIMARY KEY, region VARCHAR(2), secret INT DEFAULT 0)')
  await rig.source.query("INSERT INTO t VALUES (1, 'eu', 1), (2, 'us', 2), (3, 'eu', 3)")
  const { engine } = await stream([
    {
      match: `${rig.database}.t`,
      exclude: [],
      toSchema: '{schema}',
      toTable: '{table}',
      includeColumns: null,
      excludeColumns: ['secret'],
      renameColumns: {},
      where: "region = 'eu'",
    },
  ])
  await rig.target.query(
    "INSERT INTO t VALUES (2, 'us', 7); UPDATE t SET region = 'xx', secret = 5 WHERE id = 1",
  )
  const repaired = await engine.repair({ table: `${rig.database}.t`, keys: [[1], [2]] })
  expect(repaired.map(({ outcome }) => outcome)).toEqual(['written', 'removed'])
  const [rows] = await rig.target.query('SELECT * FROM t ORDER BY id')
  expect(rows).toEqual([
    { id: 1, region: 'eu', secret: 5 },
    { id: 3, region: 'eu', secret: 0 },
  ])
})

it('refuses a row that would overwrite another one, writes all others, and goes on with the stream', async () => {
  await prepare('CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, n INT)')
  await rig.source.query('INSERT INTO t VALUES (1, 10, 1), (2, 20, 2), (4, 40, 4), (5, 50, 5)')
  const run = await stream()
  await rig.target.query('DELETE FROM t; INSERT INTO t VALUES (8, 40, 0), (9, 20, 0), (10, 10, 0)')
  const table = `${rig.database}.t`
  const first = await run.engine.repair({ table, keys: [[1], [2], [4], [5], [10]] })
  expect(first.map(({ outcome }) => outcome)).toEqual(['written', 'refused', 'refused', 'written', 'removed'])
  expect(first[1]?.refusal).toMatchObject({ code: 'SYNC-3301', message: expect.stringContaining('id=9') })
  expect(first[1]?.refusal?.remedy).toMatch(/repair again/)
  await rig.source.query('INSERT INTO t VALUES (3, 30, 3)')
  await rig.settled(run)
  const second = await run.engine.repair({ table, keys: [[2], [4], [8], [9]] })
  expect(second.map(({ outcome }) => outcome)).toEqual(['written', 'written', 'removed', 'removed'])
  await equal('t')
})

it('mends rows that hold the unique values of each other', async () => {
  await prepare(
    `CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, w VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci UNIQUE);
     CREATE TABLE kept (id INT PRIMARY KEY, u INT UNIQUE)`,
  )
  await rig.target.query("ALTER TABLE kept ADD COLUMN own VARCHAR(10) DEFAULT 'own'")
  await rig.source.query(
    "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, 40, 'd'); INSERT INTO kept VALUES (1, 10), (2, 20)",
  )
  const { engine } = await stream()
  await rig.target.query(
    `DELETE FROM t; INSERT INTO t VALUES (1, 20, 'C'), (2, 30, 'A'), (3, 10, 'B'), (4, 40, 'd');
     DELETE FROM kept; INSERT INTO kept (id, u) VALUES (1, 20), (2, 10)`,
  )
  const repaired = await engine.repair({ table: `${rig.database}.t`, keys: [[1], [2], [3], [4]] })
  expect(repaired.map(({ outcome }) => outcome)).toEqual(['written', 'written', 'written', 'written'])
  await equal('t')
  // What the target alone has would be lost with the row.
  const others = await engine.repair({ table: `${rig.database}.kept`, keys: [[1], [2]] })
  expect(others.map(({ outcome }) => outcome)).toEqual(['refused', 'refused'])
  expect((await rig.target.query('SELECT own FROM kept'))[0]).toEqual([{ own: 'own' }, { own: 'own' }])
})

it('refuses keys in another form, and tables that it does not carry', async () => {
  await prepare('CREATE TABLE t (id DECIMAL(6,2) PRIMARY KEY)')
  const { engine } = await stream()
  const table = `${rig.database}.t`
  await expect(engine.repair({ table, keys: [['1.5']] })).rejects.toMatchObject({ code: 'SYNC-5102' })
  await expect(engine.repair({ table, keys: [[]] })).rejects.toMatchObject({ code: 'SYNC-5102' })
  await expect(engine.repair({ table: 'elsewhere.t', keys: [['1.50']] })).rejects.toMatchObject({
    code: 'SYNC-5123',
  })
})

it('neither overtakes the stream nor is overtaken by it', async () => {
  await prepare(
    `CREATE TABLE numbers (id INT PRIMARY KEY, n BIGINT, pad VARCHAR(200));
     CREATE TABLE words (word VARCHAR(20) CHARACTER SET utf8mb4 PRIMARY KEY, n BIGINT)`,
  )
  const count = 60
  await rig.source.query(
    `INSERT INTO numbers WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ${count}) SELECT i, 0, '' FROM s;
     INSERT INTO words SELECT CONCAT('w', id), 0 FROM numbers`,
  )
  const run = await stream()
  let isOver = false
  const random = (below: number): number => Math.floor(Math.random() * below)
  const writers = Array.from({ length: 4 }, async () => {
    const connection = await connect(await sharedSource(), { database: rig.database })
    while (!isOver) {
      const i = 1 + random(count)
      const statement = [
        `INSERT INTO numbers VALUES (${i}, 1, REPEAT('x', 100)) ON DUPLICATE KEY UPDATE n = n + 1`,
        `DELETE FROM numbers WHERE id = ${i}`,
        `INSERT INTO words VALUES ('${random(2) ? 'w' : 'W'}${i}', 1) ON DUPLICATE KEY UPDATE n = n + 1`,
        `DELETE FROM words WHERE word = 'w${i}'`,
      ][random(4)] as string
      await connection.query(statement).catch(() => {})
    }
    await connection.end()
  })
  const seen: Record<string, number> = { written: 0, removed: 0, overtaken: 0 }
  const numbers = Array.from({ length: count }, (_, i) => [i + 1])
  const words = numbers.flatMap(([i]) => [[`w${i}`], [`W${i}`]])
  for (let round = 0; round < 40; round++) {
    for (const [table, keys] of [
      ['numbers', numbers],
      ['words', words],
    ] as const) {
      const some = keys.filter(() => random(2) === 0)
      for (const { outcome } of await run.engine.repair({ table: `${rig.database}.${table}`, keys: some }))
        seen[outcome] = (seen[outcome] ?? 0) + 1
    }
  }
  isOver = true
  await Promise.all(writers)
  await rig.settled(run)
  await equal('numbers')
  await equal('words')
  // Otherwise nothing was tried.
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(0)
})
