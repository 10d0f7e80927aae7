/**
 * MariaDB as a source and as a target, among themselves and with MySQL: load and stream under writes, with the engine's process killed while it
 * loads and while it streams. The ends are compared value by value, as text that both products write alike.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import {
  connect,
  type Reachable,
  sharedMariadbSource,
  sharedMariadbTarget,
  sharedSource,
  sharedTarget,
} from '../support/servers.ts'
import { waitFor } from '../support/stack.ts'

const installation = useInstallation()

const directions = [
  { from: 'MariaDB', to: 'MariaDB', source: sharedMariadbSource, target: sharedMariadbTarget },
  { from: 'MariaDB', to: 'MySQL', source: sharedMariadbSource, target: sharedTarget },
  { from: 'MySQL', to: 'MariaDB', source: sharedSource, target: sharedMariadbTarget },
] as const

const text = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci'
const tables = (json: string): readonly string[] => [
  `CREATE TABLE items (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, code VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    name VARCHAR(100) ${text}, price DECIMAL(12,3), made DATETIME(3), stamp TIMESTAMP(6) NULL, ratio DOUBLE, part FLOAT, kind ENUM('a','b','c') ${text},
    flags SET('x','y','z') ${text}, bits BIT(12), bytes VARBINARY(300), fixed BINARY(4), doc ${json}, made_year YEAR, lasted TIME(2), small TINYINT, place POINT, latin VARCHAR(20) CHARACTER SET latin1)`,
  `CREATE TABLE pairs (a INT, b VARCHAR(20) ${text}, n INT NOT NULL, PRIMARY KEY (a, b))`,
]
const shown = `id, HEX(code), HEX(name), price, made, stamp, ratio, part, kind + 0, flags + 0, bits + 0, HEX(bytes), HEX(fixed), HEX(CONVERT(doc USING utf8mb4)), made_year, lasted, small, HEX(place), HEX(latin)`

const documents = `'{"a": [1, 2.5, null], "b": "x"}'`
const item = (code: string, n: number): string =>
  `('${code}', CONCAT('n\u00e4me ', ${n}, ' '), ${n} / 7, '2024-01-02 03:04:05.678', FROM_UNIXTIME(1700000000 + ${n % 1000}.25), ${n} / 3, ${n} / 3, 1 + ${n % 3}, ${n % 8}, ${n % 4096}, UNHEX(SHA2(${n}, 256)), 'ab', ${documents}, ${1950 + (n % 100)}, '-12:34:56.78', ${(n % 200) - 100}, ST_GeomFromText('POINT(${n} 2)'), 'k\u00f6nig')`
const columns =
  'code, name, price, made, stamp, ratio, part, kind, flags, bits, bytes, fixed, doc, made_year, lasted, small, place, latin'

/** Writes until told to stop: inserts, updates, moved keys, swaps of unique values, removals, rollbacks. */
function startWriting(server: Reachable, database: string): () => Promise<number> {
  let going = true
  let written = 0
  const writer = async (which: number): Promise<void> => {
    const connection = await connect(server, { database, charset: 'utf8mb4' })
    await connection.query("SET time_zone = '+00:00'")
    for (let i = 0; going; i++) {
      const id = 1 + ((i * 37 + which * 11) % 3000)
      const statements = [
        `INSERT INTO items (${columns}) VALUES ${item(`w${which}-${i}`, i)}`,
        `UPDATE items SET name = CONCAT('changed ', ${i}), price = price + 1, bytes = NULL WHERE id = ${id}`,
        `UPDATE items SET id = id + ${10_000 + i} WHERE id = ${id + 1}`,
        `DELETE FROM items WHERE id = ${id + 2}`,
        `INSERT INTO pairs VALUES (${i % 500}, 'p${which}', ${i}) ON DUPLICATE KEY UPDATE n = n + 1`,
        `UPDATE pairs SET b = IF(b = 'P${which}', 'p${which}', 'P${which}'), n = n + 1 WHERE a = ${i % 400} AND b = 'p${which}'`,
        `DELETE FROM pairs WHERE a = ${(i * 7) % 500} AND b = 'p${which}'`,
      ]
      try {
        if (i % 5 === 4)
          await connection.query(`BEGIN; ${statements.join('; ')}; ${i % 10 === 9 ? 'ROLLBACK' : 'COMMIT'}`)
        else await connection.query(statements[i % statements.length] as string)
        written++
      } catch (error) {
        // A deadlock between the writers, or an id that is taken.
        if (![1213, 1062, 1205].includes((error as { errno?: number }).errno ?? 0)) throw error
        await connection.query('ROLLBACK')
      }
    }
    await connection.end()
  }
  const running = Promise.all([writer(1), writer(2)])
  return async () => {
    going = false
    await running
    return written
  }
}

/** The status may still tell of one that was killed. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function dumpOf(connection: Connection, what: string): Promise<string[]> {
  await connection.query("SET time_zone = '+00:00'")
  const [rows] = await connection.query<RowDataPacket[]>(`SELECT ${what}`)
  return rows.map((row) => JSON.stringify(Object.values(row)))
}

async function expectSame(pipeline: PipelineCase): Promise<number> {
  for (const what of [`${shown} FROM items ORDER BY id`, 'a, HEX(b), n FROM pairs ORDER BY a, HEX(b)']) {
    const [source, target] = await Promise.all([dumpOf(pipeline.source, what), dumpOf(pipeline.target, what)])
    expect(source.length).toBeGreaterThan(100)
    expect(target.length).toBe(source.length)
    for (const [i, line] of source.entries()) if (target[i] !== line) expect(target[i]).toBe(line)
  }
  return (await dumpOf(pipeline.source, '1 FROM items')).length
}

describe.each(directions)('$from to $to', ({ from, to, source, target }) => {
  const name = `${from}-${to}`.toLowerCase()

  it('ends equal under writes and kills', { timeout: 400_000 }, async () => {
    const ends = { source: await source(), target: await target() }
    const pipeline = await installation.createCase(name, ends)
    for (const [connection, product] of [
      [pipeline.source, from],
      [pipeline.target, to],
    ] as const) {
      const json =
        product === 'MySQL' && from === 'MySQL'
          ? 'JSON'
          : 'LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'
      for (const statement of tables(json)) await connection.query(statement)
    }
    for (let at = 0; at < 4000; at += 500) {
      const rows = Array.from({ length: 500 }, (_, i) => item(`c${at + i}`, at + i))
      await pipeline.source.query(
        `SET time_zone = '+00:00'; INSERT INTO items (${columns}) VALUES ${rows.join(', ')}`,
      )
    }
    await pipeline.source.query(
      `INSERT INTO pairs VALUES ${Array.from({ length: 1000 }, (_, i) => `(${i % 500}, 'q${i}', ${i})`).join(', ')}`,
    )
    const stopWriting = startWriting(ends.source, pipeline.database)
    let written: number
    try {
      await pipeline.apply({ load: { chunkRows: 100, chunksInFlight: 2 } })
      const killEngine = async (): Promise<void> => {
        let pid = 0
        await waitFor('an engine at work', 60_000, async () => {
          const { engine, state, blocked } = await pipeline.status()
          expect(state, JSON.stringify(blocked)).not.toBe('blocked')
          pid = engine?.hostPid ?? 0
          return pid > 0 && isAlive(pid) && (engine?.rowsApplied ?? 0) > 0
        })
        process.kill(pid, 'SIGKILL')
      }
      await killEngine()
      await pipeline.reaches('streaming', 120_000)
      for (let kill = 0; kill < 2; kill++) {
        await new Promise((resolve) => setTimeout(resolve, 500))
        await killEngine()
      }
    } finally {
      written = await stopWriting()
    }
    await pipeline.settled(120_000)
    await pipeline.reaches('streaming')
    const rows = await expectSame(pipeline)
    console.info(`${from} to ${to}: ${rows} rows equal after ${written} writes and 3 kills`)
  })
})
