/**
 * A source fails over to another server that has the same GTIDs: the address stays, the server behind it is another one. The pipeline goes on
 * from its position, also where that lies in the middle of a large transaction, and says so where the other server does not have what follows.
 */
import type { Connection } from 'mysql2/promise'
import { afterEach, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import type { Position } from '../../../src/core/position.ts'
import type { LogEvent } from '../../../src/core/transaction.ts'
import { createRig, dump, type Rig, until } from '../../support/engine-rig.ts'
import { type Proxy, startProxy } from '../../support/proxy.ts'
import { connect, sharedTarget } from '../../support/servers.ts'
import { errorOf, follow, readUntil } from './binlog-support.ts'
import { endpointOf } from './endpoint.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close()
})

async function server(name: string): Promise<MysqlServer> {
  const started = await startMysql({ name, durable: false })
  open.push({ close: () => started.discard() })
  return started
}

/** Two servers, the second a replica of the first, with a connection to each. */
async function pair(): Promise<{
  first: MysqlServer
  second: MysqlServer
  one: Connection
  two: Connection
}> {
  const [first, second] = await Promise.all([server('first'), server('second')])
  const [one, two] = [await connect(first), await connect(second)]
  open.push({
    async close() {
      one.destroy()
      two.destroy()
    },
  })
  await one.query("CREATE USER repl IDENTIFIED BY 'repl'; GRANT REPLICATION SLAVE ON *.* TO repl")
  await two.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${first.port}, SOURCE_USER = 'repl', SOURCE_PASSWORD = 'repl', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA`,
  )
  return { first, second, one, two }
}

async function executed(connection: Connection): Promise<string> {
  const [rows] = await connection.query('SELECT @@global.gtid_executed AS gtids')
  return String((rows as { gtids: string }[])[0]?.gtids).replaceAll('\n', '')
}

async function inStep(one: Connection, two: Connection): Promise<void> {
  const [rows] = await two.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60) AS late', [await executed(one)])
  expect(rows).toEqual([{ late: 0 }])
}

it('a pipeline goes on at the promoted replica, under writes', { timeout: 180_000 }, async () => {
  const { first, second, one, two } = await pair()
  const target = await sharedTarget()
  let proxy: Proxy = await startProxy({ targetPort: first.port })
  const { host, port } = proxy
  const rig: Rig = await createRig(first, target, 'failover', { source: { ...first, host, port } })
  await one.query(`USE ${rig.database}; CREATE TABLE t (id INT PRIMARY KEY, v INT)`)
  await rig.target.query(`USE ${rig.database}; CREATE TABLE t (id INT PRIMARY KEY, v INT)`)
  await one.query(`INSERT INTO t VALUES ${Array.from({ length: 2000 }, (_, i) => `(${i}, ${i})`).join(', ')}`)
  await inStep(one, two)
  const run = rig.start()
  await rig.settled(run)
  for (let i = 0; i < 200; i++) await one.query(`UPDATE t SET v = v + 1 WHERE id % 10 = ${i % 10}`)
  await inStep(one, two)
  await two.query(`STOP REPLICA; RESET REPLICA ALL; USE ${rig.database}`)
  rig.source.destroy()
  one.destroy()
  await proxy.close()
  await first.kill()
  proxy = await startProxy({ targetPort: second.port, port })
  open.push({ close: () => proxy.close() })
  await two.query('DELETE FROM t WHERE id < 50; UPDATE t SET v = -v WHERE id > 1900')
  const goal = await executed(two)
  await until(run, 60_000, async ({ position, phase }) => {
    if (phase !== 'streaming' || position === null) return false
    const [rows] = await two.query('SELECT GTID_SUBSET(?, ?) AS done', [goal, position.token])
    return (rows as { done: number }[])[0]?.done === 1
  })
  expect(await dump(rig.target, `${rig.database}.t`)).toEqual(await dump(two, `${rig.database}.t`))
  await run.drain()
  await rig.target.end()
})

it('in the middle of a transaction', { timeout: 120_000 }, async () => {
  const { first, second, one, two } = await pair()
  await one.query('CREATE DATABASE big; USE big; CREATE TABLE t (id INT PRIMARY KEY, v INT)')
  const source = await openMysqlSource(endpointOf(first))
  open.push(source)
  const from = await source.head()
  const rows = (at: number): string => Array.from({ length: 1000 }, (_, i) => `(${at + i}, ${i})`).join(', ')
  await one.query(`BEGIN; INSERT INTO t VALUES ${rows(0)}; INSERT INTO t VALUES ${rows(1000)}; COMMIT`)
  await inStep(one, two)
  await two.query('STOP REPLICA; RESET REPLICA ALL')

  const tracker = source.tracker(from)
  const stream = follow(first, from, { sliceMaxRows: 300 })
  const taken: number[] = []
  const idsOf = (event: LogEvent): number[] =>
    event.kind === 'slice' ? event.changes.map((change) => change.after?.[0] as number) : []
  let middle: Position | undefined
  reading: for await (const batch of stream) {
    for (const event of batch) {
      if (event.kind !== 'slice') continue
      taken.push(...idsOf(event))
      tracker.advance(event)
      if (taken.length >= 600) {
        middle = tracker.position()
        break reading
      }
    }
  }
  await stream.close()
  expect(middle).toMatchObject({ token: from.token, ordinal: taken.length })
  const position = middle as Position

  // The replica has the same transaction: it goes on exactly behind what was taken.
  const end = { token: await executed(two), ordinal: 0 }
  const rest = (await readUntil(follow(second, position), position, end)).flatMap(idsOf)
  expect([...taken, ...rest]).toEqual(Array.from({ length: 2000 }, (_, i) => i))

  // A server that lacks it, and has another one in its place.
  const third = await server('third')
  const three = await connect(third)
  open.push({ close: () => three.end() })
  await three.query(
    `RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = '${from.token}'; CREATE DATABASE big; USE big; CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES ${rows(0)}`,
  )
  expect(await errorOf(follow(third, position))).toMatchObject({ code: 'SYNC-2220', disposition: 'block' })
})
