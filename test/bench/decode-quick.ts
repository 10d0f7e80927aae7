/*
 * Prints how fast the binlog reader is beside @vlasky/zongji, on logs of three kinds: bulk (one large transaction), mixed (transactions of five
 * changes on two tables), single (one row each). A look, not a test: run it alone on a quiet machine.
 * Starts its own server, which is thrown away. Usage: node test/bench/decode-quick.ts [changes per log, default 300000]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import ZongJi from '@vlasky/zongji'
import { startMysql } from '../../dev/mysql.ts'
import { followBinlog } from '../../src/connectors/mysql/binlog/stream.ts'
import { mysqlEndpoint } from '../../src/connectors/mysql/config.ts'
import { connect as connectSource } from '../../src/connectors/mysql/connection.ts'
import { connect } from '../support/servers.ts'

const changes = Number(process.argv[2] ?? 300_000)
await using server = await startMysql({
  name: 'bench source',
  durable: false,
  extraArgs: ['--innodb-buffer-pool-size=512M'],
})
const admin = await connect(server)
await admin.query('CREATE DATABASE bench; USE bench')

const columns = `id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, status TINYINT NOT NULL, amount DECIMAL(12,2) NOT NULL,
  created DATETIME(3) NOT NULL, changed TIMESTAMP NOT NULL, name VARCHAR(60) NOT NULL, note VARCHAR(200), score DOUBLE`
await admin.query(`CREATE TABLE a (${columns}); CREATE TABLE b (${columns});
  CREATE TABLE seq (seq INT PRIMARY KEY); SET cte_max_recursion_depth = 100000000;
  INSERT INTO seq WITH RECURSIVE s AS (SELECT 1 AS seq UNION ALL SELECT seq + 1 FROM s WHERE seq < ${changes}) SELECT seq FROM s;
  CREATE PROCEDURE mixed(n INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO SET i = i + 1; START TRANSACTION;
    INSERT INTO b (customer, status, amount, created, changed, name, note, score) VALUES (i, 1, i / 3, NOW(3), NOW(), CONCAT('mixed ', i), REPEAT('x', i % 100), i);
    UPDATE a SET status = status + 1, amount = amount + 1 WHERE id IN (i, i + 1, i + 2);
    DELETE FROM b WHERE id = i - 100; COMMIT; END WHILE; END;
  CREATE PROCEDURE single(n INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO SET i = i + 1;
    INSERT INTO b (customer, status, amount, created, changed, name, note, score) VALUES (i, 1, i / 3, NOW(3), NOW(), CONCAT('single ', i), REPEAT('x', i % 50), i); END WHILE; END`)

interface Log {
  readonly name: string
  readonly from: string
  readonly to: string
  readonly file: string
  readonly megabytes: number
}
const executed = async (): Promise<string> => {
  const [rows] = await admin.query('SELECT @@global.gtid_executed AS gtids')
  return String((rows as { gtids: string }[])[0]?.gtids).replaceAll('\n', '')
}
async function record(name: string, sql: string): Promise<Log> {
  await admin.query('FLUSH BINARY LOGS')
  const from = await executed()
  await admin.query(sql)
  const [rows] = await admin.query('SHOW BINARY LOG STATUS')
  const { File: file, Position: bytes } = (rows as { File: string; Position: number }[])[0] as {
    File: string
    Position: number
  }
  return { name, from, to: await executed(), file, megabytes: Number(bytes) / 1e6 }
}
const logs = [
  await record(
    'bulk',
    `INSERT INTO a (customer, status, amount, created, changed, name, note, score) SELECT seq % 97, seq % 5, seq / 7, '2026-01-02 03:04:05.678' + INTERVAL seq SECOND, '2026-01-02 03:04:05' + INTERVAL seq SECOND, CONCAT('customer number ', seq), REPEAT('note ', seq % 20), seq / 3 FROM seq`,
  ),
  await record('mixed', `CALL mixed(${Math.floor(changes / 5)})`),
  await record('single', `CALL single(${Math.floor(changes / 2)})`),
]

const endpoint = mysqlEndpoint.parse({
  kind: 'mysql',
  host: server.host,
  port: server.port,
  user: server.user,
  tls: { mode: 'disabled' },
})
interface Run {
  readonly changes: number
  readonly wallS: number
  readonly cpuS: number
}
async function timed(work: () => Promise<number>): Promise<Run> {
  globalThis.gc?.()
  const cpu = process.cpuUsage()
  const start = performance.now()
  const count = await work()
  const used = process.cpuUsage(cpu)
  return { changes: count, wallS: (performance.now() - start) / 1000, cpuS: (used.user + used.system) / 1e6 }
}

async function ours(log: Log): Promise<number> {
  const last = log.to.replace(/^.*[-:]/, '')
  const stream = followBinlog({
    connect: () => connectSource(endpoint, 'binlog'),
    serverId: 7001,
    from: { token: log.from, ordinal: 0 },
  })
  let count = 0
  for await (const events of stream) {
    for (const event of events) {
      if (event.kind !== 'slice') continue
      count += event.changes.length
      if (event.last && event.id.endsWith(`:${last}`)) {
        await stream.close()
        return count
      }
    }
  }
  return count
}

async function zongjis(log: Log, expected: number): Promise<number> {
  const zongji = new ZongJi({
    host: server.host,
    port: server.port,
    user: server.user,
    dateStrings: true,
  } as never)
  let count = 0
  await new Promise<void>((resolve, reject) => {
    zongji.on('error', reject)
    zongji.on('binlog', (binlogEvent) => {
      const event = binlogEvent as { rows?: unknown[] }
      count += event.rows?.length ?? 0
      if (count === expected) resolve()
    })
    zongji.start({
      serverId: 7002,
      gtidSet: log.from,
      includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows'],
    } as never)
  })
  zongji.stop()
  await sleep(100)
  return count
}

const show = ({ wallS, cpuS, changes: count }: Run): string =>
  `${wallS.toFixed(2)} s wall, ${cpuS.toFixed(2)} s CPU, ${(count / cpuS / 1e6).toFixed(2)} M changes per CPU second`
for (const log of logs) {
  await ours(log)
  const own = await timed(() => ours(log))
  const again = await timed(() => ours(log))
  const best = again.cpuS < own.cpuS ? again : own
  console.log(`${log.name}: ${best.changes} changes, ${log.megabytes.toFixed(0)} MB`)
  console.log(`  syncline ${show(best)}`)
  if (process.argv[3] === 'alone') continue
  const theirs = await timed(() => zongjis(log, best.changes))
  console.log(`  zongji   ${show(theirs)}: ${(theirs.cpuS / best.cpuS).toFixed(1)} times ours`)
}
await admin.end()
