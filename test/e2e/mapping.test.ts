/**
 * Schemas, tables, columns and rows as a pipeline maps, selects and filters them, loaded and streamed under writes: the target is at the end
 * what the same query gives at the source.
 */
import type { Connection } from 'mysql2/promise'
import { expect, it } from 'vitest'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'

const here = useInstallation()

/** Both queries, each at its end, give the same rows in the same order. */
async function expectSameRows(pipeline: PipelineCase, atSource: string, atTarget: string): Promise<number> {
  const rowsOf = async (connection: Connection, sql: string): Promise<unknown[]> =>
    (await connection.query({ sql, rowsAsArray: true }))[0] as unknown[]
  const expected = await rowsOf(pipeline.source, atSource)
  expect(await rowsOf(pipeline.target, atTarget)).toEqual(expected)
  return expected.length
}

const tablesAt = async (connection: Connection, schema: string): Promise<string[]> => {
  const [rows] = await connection.query(
    'SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY 1',
    [schema],
  )
  return (rows as { name: string }[]).map(({ name }) => name)
}

it('schemas and tables get other names', async () => {
  const pipeline = await here.createCase('names')
  const { database, source, target } = pipeline
  await source.query(`CREATE DATABASE ${database}_two`)
  for (const schema of [database, `${database}_two`]) {
    for (const table of ['orders', 'customers', 'orders_archive', 'tmp_1']) {
      await source.query(
        `CREATE TABLE ${schema}.${table} (id INT PRIMARY KEY, v VARCHAR(80)); INSERT INTO ${schema}.${table} VALUES (1, '${schema}.${table}')`,
      )
    }
  }
  await pipeline.apply({
    tables: [
      { match: `${database}.orders`, to: { schema: '{schema}_copy', table: 'bestellungen' } },
      {
        match: `${database}*.*`,
        exclude: [`${database}*.tmp_*`, `${database}_two.customers`],
        to: { schema: 'all_{schema}', table: '{table}_of_{schema}' },
      },
    ],
    onMissingTable: 'create',
  })
  await pipeline.reaches('streaming')
  await source.query(
    `UPDATE orders SET v = 'streamed'; INSERT INTO ${database}_two.orders VALUES (2, 'new'); DELETE FROM customers; INSERT INTO ${database}_two.tmp_1 VALUES (2, 'no')`,
  )
  await pipeline.settled()
  expect(await tablesAt(target, `${database}_copy`)).toEqual(['bestellungen'])
  expect(await tablesAt(target, `all_${database}`)).toEqual([
    `customers_of_${database}`,
    `orders_archive_of_${database}`,
  ])
  expect(await tablesAt(target, `all_${database}_two`)).toEqual([
    `orders_archive_of_${database}_two`,
    `orders_of_${database}_two`,
  ])
  expect(await tablesAt(target, database)).toEqual([])
  await expectSameRows(
    pipeline,
    `SELECT * FROM ${database}.orders`,
    `SELECT * FROM ${database}_copy.bestellungen`,
  )
  for (const [schema, table] of [
    [database, 'customers'],
    [database, 'orders_archive'],
    [`${database}_two`, 'orders'],
    [`${database}_two`, 'orders_archive'],
  ]) {
    await expectSameRows(
      pipeline,
      `SELECT * FROM ${schema}.${table} ORDER BY id`,
      `SELECT * FROM all_${schema}.${table}_of_${schema} ORDER BY id`,
    )
  }
  // A table that is made later goes by the same rules.
  await source.query(
    `CREATE TABLE ${database}_two.later (id INT PRIMARY KEY); INSERT INTO ${database}_two.later VALUES (7)`,
  )
  await pipeline.settled()
  await expectSameRows(
    pipeline,
    `SELECT * FROM ${database}_two.later`,
    `SELECT * FROM all_${database}_two.later_of_${database}_two`,
  )
})

it('columns are selected, left out and renamed', async () => {
  const pipeline = await here.createCase('columns')
  const { database, source, target } = pipeline
  const columns =
    "id INT, secret VARCHAR(20) NOT NULL DEFAULT 'x', n INT, name VARCHAR(20), doubled INT AS (n * 2) STORED, region CHAR(2), PRIMARY KEY (region, id)"
  await source.query(
    `CREATE TABLE picked (${columns}); CREATE TABLE without (${columns}); CREATE TABLE created (${columns})`,
  )
  for (const table of ['picked', 'without', 'created']) {
    await source.query(
      `INSERT INTO ${table} (id, secret, n, name, region) VALUES (1, 's1', 10, 'one', 'de'), (2, 's2', NULL, 'two', 'fr'), (1, 's3', 5, NULL, 'fr')`,
    )
  }
  // The order at the target is another, and it has columns of its own.
  await target.query(
    `CREATE TABLE picked (titel VARCHAR(20), land CHAR(2), id INT, stamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (id, land));
     CREATE TABLE without (note INT NULL, doubled INT, name VARCHAR(20), region CHAR(2), n INT, id INT, PRIMARY KEY (region, id))`,
  )
  await pipeline.apply({
    tables: [
      {
        match: `${database}.picked`,
        columns: { include: ['region', 'id', 'name'], rename: { name: 'titel', region: 'land' } },
      },
      { match: `${database}.without`, columns: { exclude: ['secret'] } },
      { match: `${database}.created`, columns: { exclude: ['secret', 'n'], rename: { name: 'titel' } } },
    ],
    onMissingTable: 'create',
  })
  await pipeline.reaches('streaming')
  for (const table of ['picked', 'without', 'created']) {
    await source.query(
      `UPDATE ${table} SET name = CONCAT(name, '!'), secret = 'other'; UPDATE ${table} SET region = 'it' WHERE id = 2; DELETE FROM ${table} WHERE id = 1 AND region = 'de'; INSERT INTO ${table} (id, n, name, region) VALUES (4, 4, 'four', 'de')`,
    )
  }
  await pipeline.settled()
  expect(
    await expectSameRows(
      pipeline,
      'SELECT region, id, name FROM picked ORDER BY region, id',
      'SELECT land, id, titel FROM picked ORDER BY land, id',
    ),
  ).toBe(3)
  await expectSameRows(
    pipeline,
    'SELECT region, id, n, name, doubled FROM without ORDER BY 1, 2',
    'SELECT region, id, n, name, doubled FROM without ORDER BY 1, 2',
  )
  await expectSameRows(
    pipeline,
    'SELECT region, id, doubled, name FROM created ORDER BY 1, 2',
    'SELECT region, id, doubled, titel FROM created ORDER BY 1, 2',
  )
  const [names] = await target.query('SHOW COLUMNS FROM created')
  expect((names as { Field: string }[]).map(({ Field }) => Field)).toEqual([
    'id',
    'titel',
    'doubled',
    'region',
  ])
})

const filters: readonly { name: string; where: string; sql?: string }[] = [
  { name: 'numbers', where: 'n > 10 AND n <= 50 OR n IS NULL' },
  {
    name: 'words',
    where: "state IN ('new', 'PAID') AND NOT (region = 'de')",
    // Text is compared by its bytes, whatever the collation of the column says.
    sql: "CAST(state AS BINARY) IN ('new', 'PAID') AND NOT (CAST(region AS BINARY) = 'de')",
  },
  { name: 'times', where: "at >= '2026-02-01 00:00:00' AND amount < 500.005" },
  { name: 'nothing', where: 'id < 0' },
]

it.each(filters)(
  'rows are filtered by $name: they come, go, enter the scope and leave it',
  async ({ name, where, sql = where }) => {
    const pipeline = await here.createCase(`filter-${name}`)
    const { database, source } = pipeline
    await pipeline.both(
      'CREATE TABLE t (id INT PRIMARY KEY, n INT, state VARCHAR(10) COLLATE utf8mb4_0900_ai_ci, region CHAR(2), at DATETIME(3), amount DECIMAL(10,3), u INT UNIQUE)',
    )
    await source.query(
      `SET SESSION cte_max_recursion_depth = 5000;
     INSERT INTO t WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
       SELECT i, IF(i MOD 7 = 0, NULL, i MOD 100), ELT(1 + i MOD 4, 'new', 'PAID', 'sent', NULL), ELT(1 + i MOD 3, 'de', 'fr', 'IT'),
         '2026-01-01 00:00:00' + INTERVAL i HOUR, i MOD 1000 + 0.005, i FROM c`,
    )
    await pipeline.apply({ tables: [{ match: `${database}.t`, where }], load: { chunkRows: 200 } })
    // Beside the load and after it.
    for (let round = 0; round < 60; round++) {
      const at = 1 + ((round * 47) % 2900)
      await source
        .query(
          `UPDATE t SET n = n + 1 WHERE id BETWEEN ${at} AND ${at + 60};
       UPDATE t SET n = NULL WHERE id = ${at + 3}; UPDATE t SET n = 20 WHERE id = ${at + 7};
       UPDATE t SET state = ELT(1 + id MOD 3, 'NEW', 'sent', NULL), amount = amount * -1 WHERE id BETWEEN ${at + 10} AND ${at + 30};
       UPDATE t SET at = at + INTERVAL 20 DAY, region = 'FR' WHERE id BETWEEN ${at + 20} AND ${at + 25};
       DELETE FROM t WHERE id = ${at + 40}; UPDATE t SET id = id + 100000 WHERE id = ${at + 41};
       INSERT IGNORE INTO t VALUES (${at + 40}, ${round}, 'new', 'fr', '2026-06-01', 1, NULL);
       START TRANSACTION; UPDATE t SET u = -1 WHERE id = ${at + 50}; UPDATE t SET u = ${at + 50} WHERE id = ${at + 51}; COMMIT`,
        )
        .catch((error: { code?: string }) => {
          // A unique value that an earlier round has given away; what ran before it stays.
          if (error.code !== 'ER_DUP_ENTRY') throw error
        })
    }
    await source.query('ROLLBACK')
    await pipeline.reaches('streaming')
    await pipeline.settled()
    const count = await expectSameRows(
      pipeline,
      `SELECT * FROM t WHERE ${sql} ORDER BY id`,
      'SELECT * FROM t ORDER BY id',
    )
    if (name === 'nothing') expect(count).toBe(0)
    else expect(count).toBeGreaterThan(100)
    const [all] = await source.query('SELECT COUNT(*) AS n FROM t')
    expect(count).toBeLessThan(Number((all as { n: number }[])[0]?.n))
  },
)

it('names, columns and rows at once, two rules for one schema', async () => {
  const pipeline = await here.createCase('at-once')
  const { database, source } = pipeline
  const copy = `${database}_eu`
  await source.query(
    "CREATE TABLE orders (id INT PRIMARY KEY, region CHAR(2), total DECIMAL(10,2), note TEXT); INSERT INTO orders VALUES (1, 'de', 10.5, 'a'), (2, 'us', 20, 'b'), (3, 'fr', 30, 'c')",
  )
  await source.query(
    "CREATE TABLE parts (id INT PRIMARY KEY, text VARCHAR(20)); INSERT INTO parts VALUES (1, 'x')",
  )
  await pipeline.apply({
    tables: [
      {
        match: `${database}.orders`,
        to: { schema: copy, table: 'eu_orders' },
        columns: { exclude: ['note'], rename: { total: 'summe' } },
        where: "region IN ('de', 'fr')",
      },
      { match: `${database}.*`, to: { schema: copy } },
    ],
    onMissingTable: 'create',
  })
  await pipeline.reaches('streaming')
  await source.query(
    "UPDATE orders SET region = 'de' WHERE id = 2; UPDATE orders SET region = 'us' WHERE id = 1; UPDATE orders SET total = 31 WHERE id = 3; INSERT INTO orders VALUES (4, 'fr', 1, NULL), (5, 'us', 1, NULL); UPDATE parts SET text = 'y'",
  )
  await pipeline.settled()
  expect(
    await expectSameRows(
      pipeline,
      "SELECT id, region, total FROM orders WHERE region IN ('de', 'fr') ORDER BY id",
      `SELECT id, region, summe FROM ${copy}.eu_orders ORDER BY id`,
    ),
  ).toBe(3)
  await expectSameRows(pipeline, 'SELECT * FROM parts', `SELECT * FROM ${copy}.parts`)
})

it('only what changes from the start on, without a load', async () => {
  const pipeline = await here.createCase('no-load')
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, v INT)')
  await pipeline.source.query('INSERT INTO t VALUES (1, 1), (2, 2)')
  await pipeline.target.query('INSERT INTO t VALUES (9, 9)')
  await pipeline.apply({ load: { mode: 'none' } })
  await pipeline.reaches('streaming')
  await pipeline.source.query('INSERT INTO t VALUES (3, 3); UPDATE t SET v = 20 WHERE id = 2')
  await pipeline.settled()
  expect(await pipeline.rows('SELECT * FROM t ORDER BY id')).toEqual([
    { id: 2, v: 20 },
    { id: 3, v: 3 },
    { id: 9, v: 9 },
  ])
})
