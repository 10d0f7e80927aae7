/**
 * Chunks of real tables: bounds by every kind of key, bounded memory, and what `low` and `high` promise while others write.
 */
import type { Connection as Client } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Source } from '../../../src/connectors/contract.ts'
import { connect as connectOwn } from '../../../src/connectors/mysql/connection.ts'
import { createSnapshotReader } from '../../../src/connectors/mysql/snapshot.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import { compareCoordinates, type LogCoordinate } from '../../../src/core/position.ts'
import type { TableShape } from '../../../src/core/schema.ts'
import type { Row, Value } from '../../../src/core/value.ts'
import { connect, freshDatabase, type MysqlFacts, sharedSource } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

const mebibyte = 1024 * 1024

let server: MysqlFacts
let client: Client
let source: Source
let database: string

beforeAll(async () => {
  server = await sharedSource()
  client = await connect(server, { charset: 'utf8mb4' })
  database = await freshDatabase(client, 'snapshot')
  await client.query(
    `USE ${database}; SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'`,
  )
  source = await openMysqlSource(endpointOf(server))
})
afterAll(async () => {
  await source?.close()
  await client?.end()
})

const shapeOf = async (name: string): Promise<TableShape> => {
  const shapes = await source.tables([database])
  return shapes.find((shape) => shape.id.name === name) as TableShape
}

/** Reads a table chunk by chunk, as an engine does: bounds first, cut chunks gone on with. */
async function readAll(table: TableShape, rows: number, where: string | null, maxBytes: number) {
  const read: Row[] = []
  let chunks = 0
  let cut = 0
  let after: readonly Value[] | null = null
  for (let isLast = false; !isLast; ) {
    const end: readonly Value[] | null = await source.snapshot.chunkEnd(table, after, rows, where)
    isLast = end === null
    for (let complete = false; !complete; ) {
      const passed = await source.head()
      const chunk = await source.snapshot.read({ table, after, upTo: end }, passed, where, maxBytes)
      chunks++
      read.push(...chunk.rows)
      complete = chunk.complete
      if (complete) break
      cut++
      const lastRow = chunk.rows[chunk.rows.length - 1] as Row
      after = (table.primaryKey?.ordinals ?? []).map((ordinal) => lastRow[ordinal] as Value)
    }
    after = end
    expect(chunks).toBeLessThan(1000)
  }
  return { read, chunks, cut }
}

describe('chunks by key', () => {
  const keys: readonly { key: string; values: readonly string[] }[] = [
    { key: 'a INT', values: ['-5', '0', '1', '2147483647', '-2147483648'] },
    {
      key: 'a BIGINT UNSIGNED',
      values: ['0', '9007199254740993', '9007199254740994', '18446744073709551615'],
    },
    { key: 'a DECIMAL(30,10)', values: ['-1.5', '0', '0.0000000001', '99999999999999999999.9999999999'] },
    { key: 'a DOUBLE', values: ['-1e300', '-0e0', '0.1', '0.30000000000000004', '0.3'] },
    { key: 'a DATE', values: ["'0000-00-00'", "'2020-02-31'", "'2024-01-01'", "'9999-12-31'"] },
    {
      key: 'a DATETIME(6)',
      values: ["'0000-00-00 00:00:00'", "'2024-01-01 00:00:00.000001'", "'2024-01-01 00:00:00.000002'"],
    },
    {
      key: 'a TIMESTAMP(3)',
      values: ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01.001'", "'2038-01-19 03:14:07.999'"],
    },
    { key: 'a TIME(2)', values: ["'-838:59:59'", "'-00:00:00.01'", "'00:00:00'", "'838:59:59'"] },
    { key: 'a YEAR', values: ['0', '1901', '2000', '2155'] },
    { key: 'a BIT(64)', values: ['0', '1', '9223372036854775808', '18446744073709551615'] },
    { key: "a ENUM('z','y','a')", values: ['0', '1', '2', '3'] },
    { key: "a SET('z','y','a')", values: ['0', '1', '2', '5', '7'] },
    {
      key: 'a VARCHAR(20) COLLATE utf8mb4_0900_ai_ci',
      values: ["''", "'a'", "'\u00e4b'", "'B'", "'b c'", "'\\''", "'\\\\'", "'\u{1f600}'"],
    },
    { key: 'a VARCHAR(20) COLLATE utf8mb4_bin', values: ["''", "'a'", "'A'", "'a\\0'", "'\u00e4'"] },
    { key: 'a VARCHAR(20) COLLATE utf8mb4_general_ci', values: ["'a'", "'b'", "'\u00e9'", "'z'"] },
    { key: 'a VARCHAR(20) CHARACTER SET gbk', values: ["'a'", "_gbk x'D55C'", "_gbk x'C4E3'"] },
    {
      key: 'a CHAR(5) CHARACTER SET latin1 COLLATE latin1_german1_ci',
      values: ["'a'", "'b'", "'z'", "_latin1 x'DF'"],
    },
    { key: 'a BINARY(3)', values: ["x'00'", "x'0001'", "x'275C00'", "x'FFFFFF'"] },
    { key: 'a VARBINARY(9)', values: ["x''", "x'00'", "x'0000'", "x'275C'", "x'FF'"] },
    {
      key: 'a INT, b VARCHAR(9) COLLATE utf8mb4_0900_ai_ci, c INT',
      values: ["1,'a',1", "1,'a',2", "1,'B',0", "2,'',5", "2,'a',1", "3,'a',1"],
    },
  ]

  it.each(keys.map((entry, index) => ({ ...entry, index })))('$key', async ({ key, values, index }) => {
    const columns = key.split(/, (?=[a-c] )/)
    const names = columns.map((column) => column.split(' ')[0]).join(', ')
    const definitions = columns.map((column) => `${column} NOT NULL`).join(', ')
    const name = `k${index}`
    await client.query(`CREATE TABLE ${name} (v INT, ${definitions}, PRIMARY KEY (${names}))`)
    await client.query(
      `INSERT INTO ${name} VALUES ${values.map((value, i) => `(${i}, ${value})`).join(', ')}`,
    )
    const [ordered] = await client.query({
      sql: `SELECT v FROM ${name} ORDER BY ${names}`,
      rowsAsArray: true,
    })
    const expected = (ordered as unknown as [number][]).map(([v]) => v)
    expect(expected).toHaveLength(values.length)
    const table = await shapeOf(name)
    for (let rows = 1; rows <= values.length + 1; rows++) {
      const { read } = await readAll(table, rows, null, mebibyte)
      expect(read.map((row) => row[0])).toEqual(expected)
    }
  })

  it('gives the key that is `rows` rows further, and null when the table ends before', async () => {
    await client.query(
      'CREATE TABLE counted (id INT PRIMARY KEY); INSERT INTO counted VALUES (10), (20), (30)',
    )
    const table = await shapeOf('counted')
    expect(await source.snapshot.chunkEnd(table, null, 2, null)).toEqual([20])
    expect(await source.snapshot.chunkEnd(table, [20], 1, null)).toEqual([30])
    expect(await source.snapshot.chunkEnd(table, [20], 2, null)).toBeNull()
    expect(await source.snapshot.chunkEnd(table, null, 2, '(`id` > 10)')).toEqual([30])
  })

  it('reads by ranges of the key, not the whole table', async () => {
    await client.query('CREATE TABLE ranged (a INT, b INT, c VARCHAR(5), PRIMARY KEY (a, b, c))')
    await client.query(
      "INSERT INTO ranged WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i DIV 10, i MOD 10, 'x' FROM n; ANALYZE TABLE ranged",
    )
    const table = await shapeOf('ranged')
    await client.query('FLUSH STATUS')
    const before = await handlerReads()
    await source.snapshot.read(
      { table, after: [50, 5, 'x'], upTo: [51, 4, 'x'] },
      await source.head(),
      null,
      mebibyte,
    )
    expect((await handlerReads()) - before).toBeLessThan(50)
  })

  const handlerReads = async (): Promise<number> => {
    const [rows] = await client.query({
      sql: "SELECT SUM(COUNT_READ) FROM performance_schema.table_io_waits_summary_by_table WHERE OBJECT_SCHEMA = ? AND OBJECT_NAME = 'ranged'",
      values: [database],
      rowsAsArray: true,
    })
    return Number((rows as unknown as [string][])[0]?.[0])
  }

  it('a table without a primary key is refused', async () => {
    await client.query('CREATE TABLE keyless (a INT)')
    const table = await shapeOf('keyless')
    await expect(source.snapshot.chunkEnd(table, null, 5, null)).rejects.toMatchObject({ code: 'SYNC-2202' })
  })
})

describe('memory', () => {
  it('is bounded by bytes whatever the size of the rows, and nothing is lost by it', async () => {
    await client.query('CREATE TABLE wide (id INT PRIMARY KEY, b LONGBLOB)')
    for (let id = 0; id < 40; id++) {
      await client.query('INSERT INTO wide VALUES (?, REPEAT(?, ?))', [
        id,
        'x',
        id % 7 === 0 ? 1_000_000 : 10_000 * (id % 5),
      ])
    }
    const table = await shapeOf('wide')
    const { read, cut } = await readAll(table, 1000, null, 300_000)
    expect(read.map((row) => row[0])).toEqual(Array.from({ length: 40 }, (_, id) => id))
    expect(read.map((row) => (row[1] as string).length)).toEqual(
      Array.from({ length: 40 }, (_, id) => (id % 7 === 0 ? 1_000_000 : 10_000 * (id % 5))),
    )
    expect(cut).toBeGreaterThan(5)
  })

  it('one row larger than the bound comes alone', async () => {
    const table = await shapeOf('wide')
    const chunk = await source.snapshot.read(
      { table, after: null, upTo: null },
      await source.head(),
      null,
      1000,
    )
    expect(chunk.rows).toHaveLength(1)
    expect(chunk.complete).toBe(false)
    expect(chunk.bytes).toBeGreaterThan(1_000_000)
  })
})

describe('what a chunk says of the log', () => {
  it('holds while others write: all of low is in the rows, and nothing after high', async () => {
    await client.query('CREATE TABLE counters (id INT PRIMARY KEY, n INT NOT NULL)')
    const ids = 20
    await client.query(
      `INSERT INTO counters VALUES ${Array.from({ length: ids }, (_, id) => `(${id}, 0)`).join(', ')}`,
    )
    const table = await shapeOf('counters')
    const start = await source.head()
    const stream = source.follow(start, { acknowledged: [] })
    const transactions: { id: string; coordinate: LogCoordinate; rows: number[] }[] = []
    const reading = (async () => {
      for await (const events of stream) {
        for (const event of events) {
          if (event.kind !== 'slice') continue
          const rows = event.changes
            .filter((change) => change.table.id.name === 'counters' && change.table.id.schema === database)
            .map((change) => change.after?.[0] as number)
          if (rows.includes(-1)) return
          if (rows.length > 0) transactions.push({ id: event.id, coordinate: event.coordinate, rows })
        }
      }
    })()
    let writing = true
    const writers = Array.from({ length: 4 }, async (_, w) => {
      const writer = await connect(server)
      await writer.query(`USE ${database}`)
      for (let i = w; writing; i++)
        await writer.query(`UPDATE counters SET n = n + 1 WHERE id = ${(i * 7) % ids}`)
      await writer.end()
    })
    const chunks = []
    const passed = await source.head()
    for (let i = 0; i < 150; i++) {
      chunks.push(await source.snapshot.read({ table, after: null, upTo: null }, passed, null, mebibyte))
    }
    writing = false
    await Promise.all(writers)
    await client.query('INSERT INTO counters VALUES (-1, 0)')
    await reading
    await stream.close()
    let between = 0
    for (const chunk of chunks) {
      const least = new Map<number, number>()
      const most = new Map<number, number>()
      for (const { id, coordinate, rows } of transactions) {
        for (const row of rows) {
          if (chunk.isInLow(id)) least.set(row, (least.get(row) ?? 0) + 1)
          if (compareCoordinates(coordinate, chunk.high) <= 0) most.set(row, (most.get(row) ?? 0) + 1)
        }
      }
      for (const [id, n] of chunk.rows as unknown as [number, number][]) {
        expect(n).toBeGreaterThanOrEqual(least.get(id) ?? 0)
        expect(n).toBeLessThanOrEqual(most.get(id) ?? 0)
        if ((least.get(id) ?? 0) < (most.get(id) ?? 0)) between++
      }
    }
    // Otherwise nobody wrote while chunks were read, and nothing was shown.
    expect(between).toBeGreaterThan(0)
    expect(transactions.length).toBeGreaterThan(150)
  })

  it('waits for what the consumer has passed, and gives up when it never becomes visible', async () => {
    const reader = createSnapshotReader(() => connectOwn(endpointOf(server), 'read'), 1)
    const table = await shapeOf('counted')
    const unknown = { token: '11111111-2222-3333-4444-555555555555:1', ordinal: 0 }
    await expect(
      reader.read({ table, after: null, upTo: null }, unknown, null, mebibyte),
    ).rejects.toMatchObject({
      code: 'SYNC-2104',
    })
    await reader.close()
  })

  it('rows are estimated', async () => {
    await client.query('ANALYZE TABLE ranged')
    const table = await shapeOf('ranged')
    const nothing = { schema: database, name: 'nothing' }
    const many = Array.from({ length: 1_200 }, (_, i) => ({ schema: database, name: `none_${i}` }))
    const [none, some, ...others] = await source.snapshot.estimateRows([nothing, table.id, ...many])
    expect(none).toBe(0)
    expect(some).toBeGreaterThan(500)
    expect(others).toEqual(many.map(() => 0))
  })
})
