/**
 * Definitions that change while a pipeline streams from or to MariaDB, in its own words, and between the products: what the one has no words for in the
 * other's waits for a person. The ends are compared value by value.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { sharedMariadbSource, sharedMariadbTarget, sharedSource, sharedTarget } from '../support/servers.ts'
import { waitFor } from '../support/stack.ts'

const installation = useInstallation()

const directions = [
  { from: 'MariaDB', to: 'MariaDB', source: sharedMariadbSource, target: sharedMariadbTarget },
  { from: 'MariaDB', to: 'MySQL', source: sharedMariadbSource, target: sharedTarget },
  { from: 'MySQL', to: 'MariaDB', source: sharedSource, target: sharedMariadbTarget },
] as const

const text = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci'

async function dumpOf(connection: Connection, table: string): Promise<string[]> {
  const [columns] = await connection.query<RowDataPacket[]>(`SHOW COLUMNS FROM ${table}`)
  const names = columns.map(({ Field }) => `\`${Field}\``)
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT ${names.join(', ')} FROM ${table} ORDER BY id`,
  )
  return rows.map((row) => JSON.stringify(row))
}

async function expectSame(pipeline: PipelineCase, ...tables: string[]): Promise<void> {
  await pipeline.settled()
  await pipeline.reaches('streaming')
  for (const table of tables) {
    let ends: string[][] = []
    await waitFor(`${table} equal`, 60_000, async () => {
      ends = await Promise.all([pipeline.source, pipeline.target].map((end) => dumpOf(end, table)))
      return JSON.stringify(ends[0]) === JSON.stringify(ends[1])
    }).catch(() => expect(ends[1]).toEqual(ends[0]))
    expect(ends[0]?.length).toBeGreaterThan(0)
  }
}

const indexed = async (pipeline: PipelineCase, table: string, name: string): Promise<boolean> =>
  (await pipeline.rows(`SHOW INDEX FROM ${table} WHERE Key_name = '${name}'`)).length > 0

describe.each(directions)('$from to $to', ({ from, to, source, target }) => {
  it('what is applied is applied, and what cannot be is asked for', { timeout: 240_000 }, async () => {
    const name = `definitions-${from}-${to}`.toLowerCase()
    const pipeline = await installation.createCase(name, { source: await source(), target: await target() })
    await pipeline.both(`CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40) ${text})`)
    await pipeline.source.query("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    await pipeline.apply({
      schemaChanges: {
        renameColumn: 'apply',
        renameTable: 'apply',
        truncateTable: 'apply',
        dropTable: 'apply',
      },
    })
    await expectSame(pipeline, 't')
    const run = async (...statements: string[]): Promise<void> => {
      for (const statement of statements) await pipeline.source.query(statement)
    }

    await run(
      "INSERT INTO t VALUES (4, 'before')",
      'ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7 AFTER id',
      "INSERT INTO t VALUES (5, 50, 'after')",
      'UPDATE t SET n = 9 WHERE id = 1',
      `ALTER TABLE t MODIFY v VARCHAR(300) ${text}, MODIFY n BIGINT`,
      "INSERT INTO t VALUES (6, 5000000000, REPEAT('\u00e9', 300))",
      'ALTER TABLE t ADD COLUMN made DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)',
      'CREATE INDEX i ON t (n)',
    )
    await expectSame(pipeline, 't')
    expect(await indexed(pipeline, 't', 'i')).toBe(true)

    if (from === 'MariaDB') {
      await run(
        'ALTER TABLE IF EXISTS t WAIT 5 ADD COLUMN IF NOT EXISTS m INT NOT NULL DEFAULT 4, ADD INDEX IF NOT EXISTS j (m)',
        'CREATE INDEX IF NOT EXISTS k ON t (m, n)',
        'UPDATE t SET m = 5 WHERE id = 3',
      )
      // An index is looked up in the catalogue, which should still have its column.
      await expectSame(pipeline, 't')
      await run(
        'ALTER TABLE t RENAME COLUMN m TO `m 2`',
        'UPDATE t SET `m 2` = id WHERE id < 3',
        'SET STATEMENT alter_algorithm = COPY FOR ALTER TABLE t ADD COLUMN stamped TIMESTAMP(3) NULL DEFAULT CURRENT_TIMESTAMP(3)',
      )
      await expectSame(pipeline, 't')
      expect(await indexed(pipeline, 't', 'j')).toBe(true)
      expect(await indexed(pipeline, 't', 'k')).toBe(true)
    }

    await run(
      `CREATE TABLE made (id INT PRIMARY KEY, v VARCHAR(9) ${text})`,
      "INSERT INTO made VALUES (1, 'x')",
    )
    if (from !== to) {
      await pipeline.blocked('SYNC-3210')
      await pipeline.target.query(`CREATE TABLE made (id INT PRIMARY KEY, v VARCHAR(9) ${text})`)
      await pipeline.resume()
    } else {
      await run(
        'CREATE TABLE copied (PRIMARY KEY (id)) SELECT id, v FROM t',
        'CREATE TABLE alike LIKE t',
        'INSERT INTO alike SELECT * FROM t',
      )
      await expectSame(pipeline, 'copied', 'alike')
    }
    await expectSame(pipeline, 't', 'made')

    await run(
      'TRUNCATE TABLE made',
      "INSERT INTO made VALUES (2, 'y')",
      'RENAME TABLE t TO u',
      'UPDATE u SET n = n + 1',
    )
    await expectSame(pipeline, 'made', 'u')
    expect(await pipeline.rows("SHOW TABLES LIKE 't'")).toEqual([])
    expect((await pipeline.status()).blocked).toBeNull()
  })
})
