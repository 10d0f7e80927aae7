/**
 * Rows that break such tools, through the real engine between real servers: loaded, streamed, in one transaction and across several.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createRig, dump, inPhase, type Rig, until } from '../support/engine-rig.ts'
import { type MysqlFacts, sharedSource, sharedTarget } from '../support/servers.ts'

let sourceServer: MysqlFacts
let targetServer: MysqlFacts
let rig: Rig

beforeAll(async () => {
  sourceServer = await sharedSource()
  targetServer = await sharedTarget()
})
afterEach(async () => {
  await rig.close()
})
afterAll(() => {})

/** Creates the same tables at both ends. */
async function createTables(...definitions: string[]): Promise<void> {
  rig = await createRig(sourceServer, targetServer, 'edge')
  for (const connection of [rig.source, rig.target]) {
    await connection.query(`USE ${rig.database}`)
    for (const definition of definitions) await connection.query(definition)
  }
}

async function expectEqual(...tables: string[]): Promise<void> {
  for (const table of tables) expect(await dump(rig.target, table)).toEqual(await dump(rig.source, table))
}

describe('unique keys', () => {
  it.each([
    { lanes: 1, smallBatchRows: 1_000 },
    { lanes: 4, smallBatchRows: 0 },
  ])(
    'swapped between rows inside one transaction and across transactions, with $lanes lanes',
    async (options) => {
      await createTables(
        'CREATE TABLE t (id INT PRIMARY KEY, u INT NULL UNIQUE, name VARCHAR(20) COLLATE utf8mb4_0900_ai_ci UNIQUE, n INT)',
      )
      await rig.source.query(
        "INSERT INTO t VALUES (1, 1, 'a', 0), (2, 2, 'b', 0), (3, 3, 'c', 0), (4, NULL, NULL, 0), (5, NULL, NULL, 0)",
      )
      const run = rig.start(options)
      await rig.settled(run)
      await expectEqual('t')
      for (let round = 0; round < 20; round++) {
        await rig.source.query(`START TRANSACTION;
        UPDATE t SET u = -1, name = 'tmp' WHERE id = 1; UPDATE t SET u = u + 100, name = CONCAT(name, 'x') WHERE id IN (2, 3);
        UPDATE t SET u = ${2 + round} , name = 'B' WHERE id = 1; UPDATE t SET u = ${3 + round * 2 + 1000}, name = 'C' WHERE id = 2;
        UPDATE t SET u = ${1 + round + 2000}, name = 'A' WHERE id = 3; COMMIT`)
        await rig.source.query(`UPDATE t SET u = NULL, name = NULL WHERE id = 1; UPDATE t SET u = ${2 + round}, name = 'b' WHERE id = 2;
        UPDATE t SET name = NULL WHERE id = 3; UPDATE t SET name = 'c', u = ${5000 + round} WHERE id = 1; UPDATE t SET name = 'a' WHERE id = 3`)
      }
      await rig.settled(run)
      await expectEqual('t')
    },
  )

  it('NULLs in unique keys never meet', async () => {
    await createTables('CREATE TABLE t (id INT PRIMARY KEY, a INT NULL, b INT NULL, UNIQUE (a, b))')
    const run = rig.start({ smallBatchRows: 0 })
    await until(run, 30_000, inPhase('streaming'))
    await rig.source.query(
      'INSERT INTO t VALUES (1, NULL, 1), (2, NULL, 1), (3, 1, NULL), (4, 1, NULL), (5, NULL, NULL)',
    )
    await rig.source.query(
      'START TRANSACTION; UPDATE t SET a = 7 WHERE id = 1; UPDATE t SET a = 8 WHERE id = 2; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (6, NULL, NULL); COMMIT',
    )
    await rig.settled(run)
    await expectEqual('t')
  })
})

describe('primary keys', () => {
  it('updated in chains, alone and in one transaction', async () => {
    await createTables('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))')
    await rig.source.query("INSERT INTO t VALUES (1, 'one'), (10, 'ten'), (20, 'twenty')")
    const run = rig.start()
    await rig.settled(run)
    await rig.source.query(
      'UPDATE t SET id = 2 WHERE id = 1; UPDATE t SET id = 3 WHERE id = 2; UPDATE t SET id = 4 WHERE id = 3',
    )
    await rig.source.query(
      "START TRANSACTION; UPDATE t SET id = 1000 WHERE id = 10; UPDATE t SET id = 10 WHERE id = 20; UPDATE t SET id = 20 WHERE id = 1000; INSERT INTO t VALUES (1, 'new'); COMMIT",
    )
    await rig.source.query('UPDATE t SET id = id + 1 ORDER BY id DESC')
    await rig.settled(run)
    await expectEqual('t')
  })

  it('case-insensitive, padded and binary: a deleted, A inserted', async () => {
    await createTables(
      'CREATE TABLE ci (k VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, v INT)',
      'CREATE TABLE pad (k CHAR(10) CHARACTER SET latin1 COLLATE latin1_swedish_ci PRIMARY KEY, v INT)',
      'CREATE TABLE bin (k BINARY(8) PRIMARY KEY, v INT)',
      'CREATE TABLE varbin (k VARBINARY(8) PRIMARY KEY, v INT)',
    )
    await rig.source.query(
      "INSERT INTO ci VALUES ('a', 1), ('é', 2); INSERT INTO pad VALUES ('x', 1), ('b ', 2); INSERT INTO bin VALUES (0x01, 1), (0x0100000000000001, 2); INSERT INTO varbin VALUES (0x00, 1), (0x0000, 2), ('', 3)",
    )
    const run = rig.start({ smallBatchRows: 0 })
    await rig.settled(run)
    await expectEqual('ci', 'pad', 'bin', 'varbin')
    await rig.source.query(
      "START TRANSACTION; DELETE FROM ci WHERE k = 'a'; INSERT INTO ci VALUES ('A', 9); COMMIT; UPDATE ci SET k = 'E' WHERE k = 'é'; UPDATE ci SET v = 10 WHERE k = 'a'",
    )
    await rig.source.query(
      "UPDATE pad SET k = 'X' WHERE k = 'x'; DELETE FROM pad WHERE k = 'b'; INSERT INTO pad VALUES ('B', 3)",
    )
    await rig.source.query(
      'DELETE FROM bin WHERE k = 0x0100000000000000; UPDATE bin SET v = 5; INSERT INTO bin VALUES (0x0200, 7)',
    )
    await rig.source.query(
      'DELETE FROM varbin WHERE k = 0x00; UPDATE varbin SET k = 0x000000 WHERE k = 0x0000; UPDATE varbin SET v = v + 1',
    )
    await rig.settled(run)
    await expectEqual('ci', 'pad', 'bin', 'varbin')
  })

  it('zero as an auto-increment key stays zero', async () => {
    await createTables('CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)')
    const run = rig.start()
    await until(run, 30_000, inPhase('streaming'))
    await rig.source.query(
      "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO'); INSERT INTO t VALUES (0, 1)",
    )
    await rig.settled(run)
    await expectEqual('t')
  })
})

describe('shapes', () => {
  it('a table with 200 columns, loaded and streamed', async () => {
    const columns = Array.from(
      { length: 199 },
      (_, i) => `c${i} ${['INT', 'VARCHAR(20)', 'DATETIME(3)', 'DECIMAL(12,4)', 'JSON'][i % 5]}`,
    )
    await createTables(`CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, ${columns.join(', ')})`)
    const values = Array.from(
      { length: 199 },
      (_, i) => [`${i}`, `'v${i}'`, "'2026-01-02 03:04:05.678'", `-${i}.5`, `'{"k": ${i}}'`][i % 5],
    )
    await rig.source.query(`INSERT INTO t VALUES (18446744073709551615, ${values.join(', ')})`)
    const run = rig.start()
    await rig.settled(run)
    await rig.source.query(
      `INSERT INTO t VALUES (1, ${values.join(', ')}), (2, ${values.map(() => 'NULL').join(', ')}); UPDATE t SET c0 = 9, c196 = 'x'`,
    )
    await rig.settled(run)
    await expectEqual('t')
  })

  it('an empty database streams, and a table created there later is taken in', async () => {
    await createTables()
    const run = rig.start()
    await until(run, 30_000, inPhase('streaming'))
    await rig.target.query('CREATE TABLE later (id INT PRIMARY KEY, v INT)')
    await rig.source.query(
      'CREATE TABLE later (id INT PRIMARY KEY, v INT); INSERT INTO later VALUES (1, 1), (2, 2)',
    )
    await rig.settled(run)
    await expectEqual('later')
  })

  it('a table created from a query streams on with its rows', async () => {
    await createTables('CREATE TABLE t (id INT PRIMARY KEY, v INT)')
    await rig.source.query('INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)')
    const run = rig.start()
    await rig.settled(run)
    await rig.target.query('CREATE TABLE copied (id INT PRIMARY KEY, v INT)')
    await rig.source.query('CREATE TABLE copied (id INT PRIMARY KEY) SELECT id, v FROM t')
    await rig.source.query('UPDATE copied SET v = v + 10')
    await rig.settled(run)
    await expectEqual('t', 'copied')
  })

  it('rows near 16 MiB and beyond', async () => {
    await createTables('CREATE TABLE t (id INT PRIMARY KEY, body LONGBLOB)')
    const sizes = [16 * 1024 * 1024 - 100, 16 * 1024 * 1024 + 5, 20_000_000]
    const insert = async (from: number) => {
      for (const [i, size] of sizes.entries()) {
        await rig.source.query(
          `INSERT INTO t VALUES (${from + i}, REPEAT(UNHEX('00FF27'), ${Math.floor(size / 3)}))`,
        )
      }
    }
    await insert(1)
    const run = rig.start()
    await rig.settled(run)
    await insert(10)
    await rig.settled(run)
    const sums = 'SELECT id, LENGTH(body) AS bytes, SHA2(body, 256) AS sum FROM t ORDER BY id'
    expect((await rig.target.query(sums))[0]).toEqual((await rig.source.query(sums))[0])
  })
})

describe('load under writes', () => {
  it('ends equal while rows change, vanish and appear in every chunk', async () => {
    await createTables(
      'CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, v BIGINT)',
      'CREATE TABLE s (k VARCHAR(40) PRIMARY KEY, v BIGINT)',
    )
    await rig.source.query(`SET SESSION cte_max_recursion_depth = 100000;
      INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT i, i, 0 FROM n;
      INSERT INTO s SELECT CONCAT('Key', id), v FROM t`)
    const writer = await (await import('../support/servers.ts')).connect(sourceServer)
    await writer.query(`USE ${rig.database}`)
    const run = rig.start({ load: { enabled: true, chunkRows: 500, chunksInFlight: 6 } })
    let next = 100_000
    for (let i = 0; i < 400; i++) {
      const a = Math.floor(Math.random() * 30_000)
      await writer.query(`UPDATE t SET v = v + 1 WHERE id BETWEEN ${a} AND ${a + 20}; DELETE FROM t WHERE id = ${a + 30};
        UPDATE t SET id = ${next++} WHERE id = ${a + 40}; INSERT IGNORE INTO t VALUES (${a + 30}, NULL, 5);
        DELETE FROM s WHERE k = 'Key${a}'; INSERT IGNORE INTO s VALUES ('KEY${a}', ${i}); UPDATE s SET v = v + 1 WHERE k LIKE 'key${a % 100}%'`)
    }
    await rig.settled(run)
    await expectEqual('t', 's')
    await writer.end()
  })
})

describe('a load that was interrupted', () => {
  it.each([
    {
      change: 'another primary key',
      key: 'a INT PRIMARY KEY',
      other: 'b INT NOT NULL',
      values: '10000 + i, 40000 - i',
      alter: 'DROP PRIMARY KEY, ADD PRIMARY KEY (b)',
    },
    {
      change: 'another order of the same key',
      key: 'a VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY',
      other: 'b INT',
      values: "CONCAT(IF(i % 2, 'a', 'B'), i + 100000), i",
      alter: 'MODIFY a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci',
    },
  ])('goes on from the start where the table has $change since', async ({ key, other, values, alter }) => {
    await createTables(`CREATE TABLE t (${key}, ${other})`)
    await rig.source.query(`SET SESSION cte_max_recursion_depth = 100000;
      INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT ${values} FROM n`)
    const first = rig.start({ load: { enabled: true, chunkRows: 100, chunksInFlight: 1 } })
    await until(first, 30_000, ({ load, phase }) => {
      if (phase !== 'loading' && load.tables > 0) throw new Error('the load was done too soon for this test')
      return load.rows > 5_000
    })
    await first.drain()
    for (const connection of [rig.target, rig.source]) await connection.query(`ALTER TABLE t ${alter}`)
    await rig.settled(rig.start())
    await expectEqual('t')
  })
})

it('more tables than a server takes connections are loaded over a few', async () => {
  const names = Array.from({ length: 600 }, (_, i) => `t${i}`)
  await createTables(names.map((name) => `CREATE TABLE ${name} (id INT PRIMARY KEY, v INT)`).join('; '))
  await rig.source.query(
    names
      .slice(0, 50)
      .map((name) => `INSERT INTO ${name} VALUES (1, 1), (2, 2)`)
      .join('; '),
  )
  const run = rig.start({})
  await rig.settled(run)
  await rig.source.query(names.map((name) => `INSERT INTO ${name} VALUES (3, 3)`).join('; '))
  await rig.settled(run)
  await expectEqual('t0', 't49', 't50', 't599')
})
