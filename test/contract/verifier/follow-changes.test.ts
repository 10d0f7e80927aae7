/*
 * A continuous verification between real servers, beside a real engine: under writes it reports nothing that does not differ, whatever is on its way;
 * what somebody changes at the target is reported after the delay, and told to be mended when it is.
 */
import type { Connection } from 'mysql2/promise'
import { afterEach, describe, expect, it } from 'vitest'
import type { Source, Target, VerifiableSource, VerifiableTarget } from '../../../src/connectors/contract.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import { openMysqlTarget } from '../../../src/connectors/mysql/target.ts'
import { planComparison } from '../../../src/core/comparison-plan.ts'
import type { Position } from '../../../src/core/position.ts'
import { type TableId, tableName } from '../../../src/core/schema.ts'
import { defaultPolicies } from '../../../src/core/schema-policy.ts'
import { effectOf, tablesOf } from '../../../src/streamer/schema-change.ts'
import {
  type FollowSettings,
  type FollowStep,
  type FoundRow,
  followChanges,
  type OpenRow,
} from '../../../src/verifier/follow-changes.ts'
import { createRig, inPhase, type Rig, until } from '../../support/engine-rig.ts'
import {
  connect,
  type Reachable,
  sharedMariadbSource,
  sharedSource,
  sharedTarget,
} from '../../support/servers.ts'
import { waitFor } from '../../support/stack.ts'
import { endpointOf } from '../mysql/endpoint.ts'

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

interface Watch {
  readonly found: readonly FoundRow[]
  readonly healed: readonly OpenRow[]
  readonly states: ReadonlyMap<string, string | null>
  last(): FollowStep
  total(): { readonly changes: number; readonly rowsRead: number; readonly equal: number }
  /** Highest number of rows that were kept. */
  mostPending(): number
  failure(): unknown
  stop(): Promise<Position>
}

interface Setting {
  readonly rig: Rig
  readonly server: Reachable
  watch(settings: Partial<FollowSettings>, from?: Position): Promise<Watch>
}

async function start(server: Reachable): Promise<Setting> {
  const targetServer = await sharedTarget()
  const rig = await createRig(server, targetServer, 'follow')
  ends.push(() => rig.close())
  await rig.source.query(`
    USE ${rig.database};
    CREATE TABLE numbers (id BIGINT PRIMARY KEY, n INT, u INT UNIQUE, note VARCHAR(40));
    CREATE TABLE words (word VARCHAR(20) CHARACTER SET utf8mb4 PRIMARY KEY, n INT);
    CREATE TABLE pairs (a INT, b DECIMAL(8,2), n INT, PRIMARY KEY (a, b));
    INSERT INTO numbers WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 900) SELECT i, 0, NULL, 'first' FROM s;
    INSERT INTO words SELECT CONCAT('w', id), 0 FROM numbers;
    INSERT INTO pairs SELECT id, id / 4, 0 FROM numbers;
  `)
  await rig.target.query(`USE ${rig.database}`)
  for (const name of ['numbers', 'words', 'pairs']) {
    const [rows] = await rig.source.query(`SHOW CREATE TABLE ${name}`)
    const sql = (rows as { 'Create Table': string }[])[0]?.['Create Table'] ?? ''
    await rig.target.query(sql.replaceAll(/COLLATE=?\s?\w+/g, ''))
  }
  const run = rig.start({ schemaChanges: { ...defaultPolicies, truncateTable: 'apply' } })
  await until(run, 60_000, inPhase('streaming'))
  return {
    rig,
    server,
    async watch(settings, from) {
      const source = await openMysqlSource(endpointOf(server))
      const target = await openMysqlTarget(endpointOf(targetServer))
      ends.push(async () => Promise.all([source.close(), target.close()]))
      return watchEnds(rig, source, target, settings, from ?? (await source.head()))
    },
  }
}

function watchEnds(
  { database, pipeline }: Rig,
  source: Source,
  target: Target,
  settings: Partial<FollowSettings>,
  from: Position,
): Watch {
  const controller = new AbortController()
  const takes = ({ schema }: TableId): boolean => schema === database
  const steps: FollowStep[] = []
  const total = { changes: 0, rowsRead: 0, equal: 0 }
  const states = new Map<string, string | null>()
  const found: FoundRow[] = []
  const healed: OpenRow[] = []
  let failure: unknown = null
  let mostPending = 0
  const running = followChanges({
    source,
    verifySource: source.verify as VerifiableSource,
    verifyTarget: target.verify as VerifiableTarget,
    settings: {
      settleMs: 300,
      maxPendingRows: 50_000,
      maxRowsPerSecond: 100_000,
      recheckMs: 500,
      ...settings,
    },
    from,
    open: [],
    async plan() {
      const shapes = await source.tables([database])
      const others = await target.tables(shapes.map(({ id }) => id))
      return shapes.map((shape) => {
        const other = others.get(tableName(shape.id))
        const name = tableName(shape.id)
        const plan =
          other === undefined
            ? null
            : planComparison({ source: shape, target: other, columns: null, where: null })
        const pair = plan?.pair ?? null
        const message = plan?.findings[0]?.message ?? 'the target has no such table'
        return {
          name,
          mark: pipeline,
          pair,
          trouble: pair === null ? { code: 'SYNC-5101', message, remedy: '' } : null,
        }
      })
    },
    loads: true,
    scope: { takesTable: takes, takesSchema: (schema) => schema === database },
    alteredBy: ({ statement, schema }) =>
      tablesOf(effectOf(statement, schema))?.filter(takes).map(tableName) ?? null,
    record(step) {
      steps.push(step)
      for (const { changes, rowsRead, equal } of step.counts.values()) {
        total.changes += changes
        total.rowsRead += rowsRead
        total.equal += equal
      }
      for (const { table, trouble } of step.tables) states.set(table.name, trouble?.message ?? null)
      found.push(...step.found)
      healed.push(...step.healed)
      mostPending = Math.max(mostPending, step.pendingRows)
    },
    signal: controller.signal,
  })
  const ended = running.catch((error: unknown) => {
    if (!controller.signal.aborted) failure = error
  })
  const last = (): FollowStep => steps.at(-1) as FollowStep
  const stop = async (): Promise<Position> => {
    controller.abort(new Error('the test has seen enough'))
    await ended
    return last().checkpoint
  }
  ends.push(stop)
  return {
    found,
    healed,
    states,
    last,
    total: () => total,
    mostPending: () => mostPending,
    failure: () => failure,
    stop,
  }
}

function startWriters({ rig, server }: Setting, count: number, pauseMs: number): { stop(): Promise<number> } {
  let isOver = false
  let transactions = 0
  const write = async (): Promise<void> => {
    const connection = await connect(server, { database: rig.database })
    const random = (below: number): number => Math.floor(Math.random() * below)
    while (!isOver) {
      const statements = Array.from({ length: random(20) === 0 ? 60 : 1 + random(3) }, () => {
        const i = random(1_200)
        return [
          `INSERT INTO numbers (id, n) VALUES (${i}, 1) ON DUPLICATE KEY UPDATE n = n + 1`,
          `DELETE FROM numbers WHERE id = ${i}`,
          `UPDATE IGNORE numbers SET u = ${random(300)} WHERE id = ${i}`,
          `INSERT INTO words VALUES ('${random(2) === 0 ? 'w' : 'W'}${i}', 1) ON DUPLICATE KEY UPDATE n = n + 1`,
          `DELETE FROM words WHERE word = 'w${i}'`,
          `UPDATE IGNORE words SET word = UPPER(word) WHERE word = 'w${i}'`,
          `UPDATE IGNORE pairs SET a = ${random(1_200)} WHERE a = ${i}`,
          'UPDATE numbers SET n = n + 1 WHERE id BETWEEN 1 AND 3',
        ][random(8)]
      })
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
      try {
        await connection.query(`BEGIN; ${statements.join('; ')}; COMMIT`)
        transactions++
      } catch {
        await connection.query('ROLLBACK')
      }
    }
    await connection.end()
  }
  const writers = Array.from({ length: count }, write)
  const stop = async (): Promise<number> => {
    isOver = true
    await Promise.all(writers)
    return transactions
  }
  ends.push(stop)
  return { stop }
}

const passes = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const rested = (watch: Watch): Promise<unknown> =>
  waitFor('everything to be looked at', 30_000, async () => {
    if (watch.failure() !== null) throw watch.failure()
    const { pendingRows, lagMs } = watch.last()
    // Others write to the same server: its log never rests.
    return pendingRows === 0 && lagMs < 1_000
  }).catch((cause: unknown) => {
    throw new Error(JSON.stringify({ ...watch.last(), states: [...watch.states] }), { cause })
  })

const shown = (rows: readonly FoundRow[]): unknown[] =>
  rows.map(({ difference: { table, kind, key, source, target } }) => ({ table, kind, key, source, target }))

describe.each([
  ['MySQL', sharedSource, 2],
  ['MariaDB', sharedMariadbSource, 20],
] as const)('a continuous verification of %s', (_, server, pauseMs) => {
  it('reports nothing under writes, and looks at everything when they end', async () => {
    const setting = await start(await server())
    const watch = await setting.watch({})
    const writers = startWriters(setting, 3, pauseMs)
    await passes(8_000)
    expect(await writers.stop()).toBeGreaterThan(50)
    await rested(watch)
    expect(shown(watch.found)).toEqual([])
    expect(watch.total().changes).toBeGreaterThan(200)
    expect(watch.total().equal).toBeGreaterThan(200)
  })
})

describe('a continuous verification', () => {
  it('stops reading where it may not keep more rows, and goes on', async () => {
    const setting = await start(await sharedSource())
    const watch = await setting.watch({ settleMs: 50, maxPendingRows: 20 })
    const writers = startWriters(setting, 2, 5)
    // Twenty rows at a time are slow on purpose: more writes would take longer than anybody waits here.
    await passes(1_000)
    await setting.rig.source.query('UPDATE numbers SET n = n + 1')
    await writers.stop()
    await rested(watch)
    expect(shown(watch.found)).toEqual([])
    // One statement of 900 rows comes whole.
    expect(watch.mostPending()).toBeLessThan(2_000)
  })

  it('reports what somebody changed at the target when the delay is over, and when it is mended', async () => {
    const setting = await start(await sharedSource())
    const { source, target, database } = setting.rig
    const watch = await setting.watch({ settleMs: 5_000 })
    const atTarget = async (sql: string): Promise<boolean> => {
      const [rows] = await target.query(sql)
      return (rows as unknown[]).length > 0
    }
    await source.query("UPDATE numbers SET note = 'changed' WHERE id IN (1, 2)")
    await source.query('DELETE FROM numbers WHERE id = 3')
    const changedAtMs = Date.now()
    await waitFor('the target', 10_000, async () =>
      atTarget(
        "SELECT 1 FROM numbers WHERE id = 2 AND note = 'changed' AND NOT EXISTS (SELECT 1 FROM numbers WHERE id = 3)",
      ),
    )
    await target.query('UPDATE numbers SET n = 77 WHERE id = 1')
    await target.query('DELETE FROM numbers WHERE id = 2')
    await target.query("INSERT INTO numbers VALUES (3, 0, NULL, 'again')")
    await waitFor('three differences', 30_000, async () => watch.found.length >= 3)
    expect(watch.found.every(({ seenAt }) => seenAt.getTime() >= changedAtMs + 5_000)).toBe(true)
    const byKey = [...watch.found].toSorted(
      (a, b) => Number(a.difference.key[0]) - Number(b.difference.key[0]),
    )
    expect(byKey.map(({ difference }) => difference)).toMatchObject([
      {
        table: `${database}.numbers`,
        kind: 'different',
        key: [1n],
        columns: ['n'],
        source: { n: '0' },
        target: { n: '77' },
      },
      { kind: 'only-source', key: [2n], target: null },
      { kind: 'only-target', key: [3n], source: null, target: { note: 'again' } },
    ])
    await target.query('UPDATE numbers SET n = 0 WHERE id = 1')
    await source.query('UPDATE numbers SET n = 5 WHERE id = 2')
    await waitFor('two heals', 30_000, async () => watch.healed.length === 2)
    expect(watch.healed.map(({ key }) => Number(key[0])).toSorted((a, b) => a - b)).toEqual([1, 2])
  })

  it('goes on from a checkpoint, and finds what was changed while nobody looked', async () => {
    const setting = await start(await sharedSource())
    const { source, target } = setting.rig
    const first = await setting.watch({ settleMs: 60_000 })
    await source.query('UPDATE numbers SET n = 4 WHERE id = 10')
    await waitFor('the change to be read', 10_000, async () => first.last().pendingRows === 1)
    const checkpoint = await first.stop()
    await waitFor('the target', 10_000, async () => {
      const [rows] = await target.query('SELECT 1 FROM numbers WHERE id = 10 AND n = 4')
      return (rows as unknown[]).length > 0
    })
    await target.query('UPDATE numbers SET n = -1 WHERE id = 10')
    const second = await setting.watch({}, checkpoint)
    await waitFor('the difference', 30_000, async () => second.found.length > 0)
    expect(second.found[0]?.difference).toMatchObject({ key: [10n], columns: ['n'] })
  })

  it('follows definitions: a column, rows that a statement removes, and a table that joins', async () => {
    const setting = await start(await sharedSource())
    const { source, database } = setting.rig
    const watch = await setting.watch({ settleMs: 100 })
    const writers = startWriters(setting, 2, 5)
    const ddl: Connection = source
    await passes(1_000)
    await ddl.query(
      "ALTER TABLE numbers ADD COLUMN extra INT NOT NULL DEFAULT 7, ADD COLUMN more VARCHAR(10) DEFAULT 'x'",
    )
    await passes(1_500)
    await ddl.query('TRUNCATE TABLE words')
    await passes(1_500)
    await ddl.query('CREATE TABLE late (id INT PRIMARY KEY, n INT)')
    await ddl.query('INSERT INTO late VALUES (1, 1), (2, 2)')
    await waitFor('the table that joined', 60_000, async () => {
      if (watch.failure() !== null) throw watch.failure()
      return watch.states.get(`${database}.late`) === null
    })
    await ddl.query('UPDATE late SET n = n + 1')
    await writers.stop()
    await rested(watch)
    expect(shown(watch.found)).toEqual([])
    expect([...watch.states.values()]).toEqual([null, null, null, null])
  })

  it('knows a row by its key of any type, as the log has it and as a server does', async () => {
    const setting = await start(await sharedSource())
    const { source, target } = setting.rig
    const watch = await setting.watch({ settleMs: 500, recheckMs: 3_600_000 })
    const keys: Readonly<Record<string, string>> = {
      'INT UNSIGNED': '4000000000',
      'BIGINT UNSIGNED': '18446744073709551615',
      'DECIMAL(12,4)': '-12.5',
      'CHAR(6) COLLATE utf8mb4_0900_ai_ci': "'Käse'",
      'VARCHAR(20) CHARACTER SET latin1': "'Öl'",
      'BINARY(6)': "x'010200'",
      'VARBINARY(6)': "x'ff00'",
      DATE: "'2024-02-29'",
      'DATETIME(3)': "'2024-02-29 12:00:00.120'",
      TIMESTAMP: "'2024-02-29 12:00:00'",
      'TIME(2)': "'-12:00:00.50'",
      YEAR: '2024',
      'BIT(12)': '5',
      DOUBLE: '0.1',
      "ENUM('x', 'y')": "'y'",
      "SET('x', 'y')": "'x,y'",
    }
    const tables = Object.entries(keys).map(([type, value], index) => ({ name: `k${index}`, type, value }))
    for (const { name, type, value } of tables) {
      await source.query(`CREATE TABLE ${name} (k ${type} PRIMARY KEY, n INT)`)
      await source.query(`INSERT INTO ${name} VALUES (${value}, 0)`)
    }
    await waitFor(
      'the tables',
      60_000,
      async () => [...watch.states].filter(([, why]) => why === null).length === 3 + tables.length,
    )
    await source.query(tables.map(({ name }) => `UPDATE ${name} SET n = 1`).join('; '))
    await waitFor('the target', 30_000, async () => {
      const [rows] = await target.query(`SELECT n FROM ${tables.at(-1)?.name}`)
      return (rows as { n: number }[])[0]?.n === 1
    })
    await target.query(tables.map(({ name }) => `UPDATE ${name} SET n = 7`).join('; '))
    await waitFor('a difference in each', 30_000, async () => watch.found.length === tables.length)
    await source.query(tables.map(({ name }) => `UPDATE ${name} SET n = 2`).join('; '))
    await waitFor('a heal of each', 30_000, async () => watch.healed.length === tables.length).catch(
      (cause: unknown) => {
        throw new Error(`healed: ${watch.healed.map(({ table }) => table).join()}`, { cause })
      },
    )
  })
})
