/*
 * Comparing 2 million rows that are equal at two servers, by checksums: Syncline, and pt-table-checksum with a MySQL replica of the same data; then 100 rows
 * that differ among them, found and shown. Both run with their defaults but for one connection to the source each, so that `Threads_running` there
 * is the same; rows read and CPU of both servers stand in the details. pt-table-checksum writes through the source's log, as it does, and its clock runs until the
 * replica has its checksums, which is when it prints them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import { mysqlEndpoint } from '../../../src/connectors/mysql/config.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import { openMysqlTarget } from '../../../src/connectors/mysql/target.ts'
import { planComparison } from '../../../src/core/comparison-plan.ts'
import type { Difference } from '../../../src/core/verification.ts'
import { compareTable } from '../../../src/verifier/compare-table.ts'
import { type Bench, type BenchContext, inTurn } from '../bench.ts'
import { ensurePerconaToolkit, type PerconaToolkit } from '../peers/percona-toolkit.ts'
import { measured } from '../process-usage.ts'
import {
  assertEqual,
  type BenchServers,
  connect,
  database,
  executedGtids,
  fillQuickly,
  oneValue,
  type Reach,
  startServers,
} from '../servers.ts'
import { mediansOf, type Round, resultOf } from '../statistics.ts'
import { numbers } from '../work/workload.ts'

const table = 'orders'
const planted = 100

export const verify: Bench = async (context) => {
  const rows = context.quick ? 100_000 : 2_000_000
  // pt-table-checksum reads the classic EXPLAIN; with the tree that MySQL 9 gives by default it takes every table in one chunk.
  await using servers = await startServers({ replica: true, flags: ['--explain-format=TRADITIONAL'] })
  const { replica } = servers
  const replicaAt = servers.at.replica
  if (replica === undefined || replicaAt === undefined) throw new Error('The replica did not start.')
  await prepare(servers, replicaAt, replica, rows)
  const peer = await peerOrSkip(context)
  const work = await connect(servers.source)

  const seen: Record<string, number>[] = []
  for (let round = 0; round < context.rounds; round++) {
    const figures: Record<string, number> = {}
    const side = async (name: string, run: () => Promise<void>): Promise<void> => {
      const pids = { syncline: process.pid, source: servers.source.pid, replica: replica.pid }
      const before = Number(await oneValue(work, rowsRead))
      const threads = watchThreads(work)
      const { seconds, cpu } = await measured(pids, run)
      figures[name] = seconds
      figures[`source threads running of ${name}`] = await threads.stop()
      figures[`source rows read of ${name}`] = Number(await oneValue(work, rowsRead)) - before
      figures[`source CPU s of ${name}`] = cpu['source'] ?? 0
      figures[`replica CPU s of ${name}`] = cpu['replica'] ?? 0
      if (name === 'syncline') figures['syncline CPU s'] = cpu['syncline'] ?? 0
    }
    await inTurn(round, [
      () =>
        side('syncline', async () => {
          const found = await compared(servers.source, replica)
          if (found.differences.length > 0 || found.rows !== rows)
            throw new Error(
              `Of ${rows} equal rows ${found.rows} were compared: ${JSON.stringify(found.differences[0])}`,
            )
        }),
      async () => {
        if (peer === null) return
        await side('pt-table-checksum', async () => {
          const said = await peer.tableChecksum(checksumArgs(servers.source))
          const line = said.split('\n').find((each) => each.endsWith(`${database}.${table}`)) ?? ''
          const [, errors, differences, counted] = line.trim().split(/\s+/)
          if (errors !== '0' || differences !== '0' || Number(counted) !== rows)
            throw new Error(`pt-table-checksum did not check ${rows} rows:\n${said}`)
        })
      },
    ])
    seen.push(figures)
    context.say(
      `verify round ${round + 1}: ${rows} rows; syncline ${figures['syncline']?.toFixed(2)} s, pt-table-checksum ${figures['pt-table-checksum']?.toFixed(2) ?? '-'} s`,
    )
  }
  await work.end()
  const details = mediansOf(seen)
  const found = await findPlanted(servers.source, replica, replicaAt, rows)
  const against = seen.map(
    (figures): Round => ({
      syncline: figures['syncline'] ?? 0,
      ...(peer === null ? {} : { peer: figures['pt-table-checksum'] ?? 0 }),
    }),
  )
  return [
    resultOf({
      name: peer === null ? 'verify/equal' : 'verify/pt-table-checksum',
      unit: 's',
      rounds: against,
      bar: peer === null || context.quick ? null : 3,
      rule: peer === null ? 'at most' : 'less is better',
      details: { ...details, rows, ...(peer === null ? {} : { 'percona-toolkit version': peer.version }) },
    }),
    resultOf({
      name: 'verify/differing',
      unit: 's',
      rounds: [{ syncline: found.seconds }],
      bar: null,
      rule: 'at most',
      details: { rows, 'differing rows found and shown': found.differences },
    }),
  ]
}

const rowsRead = `SELECT VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Innodb_rows_read'`

async function peerOrSkip(context: BenchContext): Promise<PerconaToolkit | null> {
  try {
    return await ensurePerconaToolkit()
  } catch (error) {
    context.skip(
      'verify/pt-table-checksum',
      `percona-toolkit cannot be had here: ${error instanceof Error ? error.message : String(error)}`,
    )
    return null
  }
}

/** Orders as a shop has them, and where pt-table-checksum finds the replica. */
async function prepare(
  servers: BenchServers,
  replicaAt: Connection,
  replica: Reach,
  rows: number,
): Promise<void> {
  const { source } = servers.at
  await replicaAt.query('START REPLICA')
  await source.query(
    `CREATE DATABASE IF NOT EXISTS ${database}; CREATE DATABASE percona;
     CREATE TABLE percona.dsns (id INT PRIMARY KEY AUTO_INCREMENT, parent_id INT, dsn VARCHAR(255) NOT NULL);
     INSERT INTO percona.dsns (dsn) VALUES ('h=${replica.host},P=${replica.port},u=${replica.user}');
     USE ${database};
     CREATE TABLE ${table} (id BIGINT PRIMARY KEY AUTO_INCREMENT, customer INT NOT NULL, status VARCHAR(20) NOT NULL, note VARCHAR(200) NULL, amount DECIMAL(12,2) NOT NULL, created DATETIME NOT NULL, updated TIMESTAMP(3) NULL, KEY (customer)) DEFAULT CHARSET utf8mb4;
     SET SESSION cte_max_recursion_depth = 1000000000`,
  )
  await fillQuickly(source, async () => {
    await source.query(
      `INSERT INTO ${table} (id, customer, status, note, amount, created, updated) ${numbers(rows)} SELECT i, i * 7919 MOD 100003, ELT(i MOD 4 + 1, 'new', 'paid', 'shipped', 'returned'), IF(i MOD 5 = 0, NULL, CONCAT('note for order ', i, ' ', REPEAT('x', i MOD 60))), i MOD 100000 / 100, '2020-01-01' + INTERVAL i SECOND, FROM_UNIXTIME(1600000000 + i) FROM n`,
    )
  })
  await oneValue(replicaAt, `SELECT WAIT_FOR_EXECUTED_GTID_SET('${await executedGtids(source)}', 600)`)
  for (const at of [source, replicaAt])
    await at.query(
      `SET SESSION sql_log_bin = 0; ANALYZE TABLE ${database}.${table}; SET SESSION sql_log_bin = 1`,
    )
  await assertEqual(servers.source, replica, 'The replica')
}

const checksumArgs = ({ host, port, user }: Reach): string[] => [
  `h=${host},P=${port},u=${user}`,
  '--recursion-method',
  `dsn=h=${host},P=${port},u=${user},D=percona,t=dsns`,
  '--no-check-binlog-format',
  '--databases',
  database,
  '--replicate',
  'percona.checksums',
]

/** As a verification does it, connecting included. */
async function compared(
  source: Reach,
  target: Reach,
): Promise<{ readonly rows: number; readonly differences: readonly Difference[] }> {
  const endpoint = ({ host, port, user, password }: Reach) =>
    mysqlEndpoint.parse({ kind: 'mysql', host, port, user, password })
  const from = await openMysqlSource(endpoint(source))
  const to = await openMysqlTarget(endpoint(target))
  try {
    const shape = (await from.tables([database])).find(({ id }) => id.name === table)
    if (shape === undefined) throw new Error(`${table} is not there`)
    const other = (await to.tables([shape.id])).get(`${database}.${table}`)
    if (other === undefined || from.verify === undefined || to.verify === undefined)
      throw new Error('cannot be compared')
    const { pair, findings } = planComparison({ source: shape, target: other, columns: null, where: null })
    if (pair === null) throw new Error(JSON.stringify(findings))
    const there = await from.verify.openSnapshots(1, await from.head())
    const here = await to.verify.openSnapshots(1)
    let rows = 0
    const differences: Difference[] = []
    try {
      const steps = compareTable({
        pair,
        source: there.readers,
        target: here.readers,
        mode: 'checksum',
        after: null,
        ...(from.pressure === undefined ? {} : { pressure: from.pressure }),
      })
      for await (const step of steps) {
        rows += step.tally.rowsCompared
        differences.push(...step.differences)
      }
    } finally {
      await Promise.all([there.close(), here.close()])
    }
    return { rows, differences }
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

/** Changes, removes and adds rows at the replica alone, all over the table. */
async function findPlanted(
  source: Reach,
  replica: Reach,
  replicaAt: Connection,
  rows: number,
): Promise<{ readonly seconds: number; readonly differences: number }> {
  const step = Math.floor(rows / planted)
  await replicaAt.query(
    `SET SESSION sql_log_bin = 0; USE ${database};
     UPDATE ${table} SET amount = amount + 0.01 WHERE id MOD ${step} = 7 AND id DIV ${step} MOD 3 <> 1;
     DELETE FROM ${table} WHERE id MOD ${step} = 7 AND id DIV ${step} MOD 3 = 1;
     UPDATE ${table} SET id = id + ${rows * 2} WHERE id MOD ${step} = 7 AND id DIV ${step} = 2`,
  )
  const startedAt = performance.now()
  const { differences } = await compared(source, replica)
  const seconds = (performance.now() - startedAt) / 1000
  const kinds = (kind: Difference['kind']): number => differences.filter((each) => each.kind === kind).length
  const places = Array.from({ length: planted }, (_, i) => i)
  const expected = {
    // One of those that were changed has another key since.
    different: places.filter((i) => i % 3 !== 1).length - 1,
    'only-source': places.filter((i) => i % 3 === 1).length + 1,
    'only-target': 1,
  }
  for (const [kind, count] of Object.entries(expected)) {
    if (kinds(kind as Difference['kind']) !== count)
      throw new Error(
        `${kinds(kind as Difference['kind'])} rows were found ${kind}, and ${count} were planted.`,
      )
  }
  if (differences.some((each) => each.source?.['id'] === undefined && each.target?.['id'] === undefined))
    throw new Error('A differing row is not shown.')
  return { seconds, differences: planted }
}

/** Threads that run at the source, ours that asks not counted: the mean of what is seen every 50 ms. */
function watchThreads(connection: Connection): { stop(): Promise<number> } {
  let isOver = false
  const seen: number[] = []
  const watching = (async () => {
    while (!isOver) {
      const threads = await oneValue(
        connection,
        `SELECT VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Threads_running'`,
      )
      seen.push(Number(threads) - 1)
      await sleep(50)
    }
  })()
  return {
    async stop() {
      isOver = true
      await watching
      return seen.reduce((sum, threads) => sum + threads, 0) / Math.max(1, seen.length)
    },
  }
}
