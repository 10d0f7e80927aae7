/**
 * How long a real source keeps its log: what is foreseen is held against what the server then does.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import { openMysqlTarget } from '../../../src/connectors/mysql/target.ts'
import type { RetentionReport } from '../../../src/core/retention.ts'
import { createEngine } from '../../../src/streamer/engine.ts'
import { startProxy } from '../../support/proxy.ts'
import { connect, freshDatabase, sharedTarget } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

let server: MysqlServer
let client: Connection
beforeAll(async () => {
  server = await startMysql({ durable: false })
  client = await connect(server)
})
afterAll(async () => {
  await client?.end()
  await server?.discard()
})
beforeEach(async () => {
  await client.query(
    'SET GLOBAL binlog_expire_logs_seconds = 3600; SET GLOBAL binlog_expire_logs_auto_purge = ON',
  )
})

const flush = async (): Promise<void> => {
  await client.query('CREATE DATABASE IF NOT EXISTS d; DROP DATABASE d; FLUSH BINARY LOGS')
}
const files = async (): Promise<string[]> => {
  const [rows] = await client.query('SHOW BINARY LOGS')
  return (rows as { Log_name: string }[]).map(({ Log_name: name }) => name)
}
const retained = async (source: Awaited<ReturnType<typeof openMysqlSource>>, token: string) => {
  const retention = await source.retention?.({ token, ordinal: 0 })
  if (retention === null || retention === undefined) throw new Error('a MySQL server tells')
  return retention
}

it('a position in the file that is written is kept for the whole time after it', async () => {
  const source = await openMysqlSource(endpointOf(server))
  await flush()
  const { token } = await source.head()
  expect(await retained(source, token)).toMatchObject({
    keptMs: 3_600_000,
    endedAgoMs: null,
    isPurged: false,
  })
  await source.close()
})

it('knows in which of many files a position is, and when that one was ended', async () => {
  const source = await openMysqlSource(endpointOf(server))
  const tokens: string[] = []
  const endedAtMs: number[] = []
  for (let i = 0; i < 9; i++) {
    tokens.push((await source.head()).token)
    await flush()
    endedAtMs.push(Date.now())
    if (i % 4 === 3) await sleep(1_500)
  }
  const [list] = await client.query('SHOW BINARY LOGS')
  const sizes = (list as { File_size: number }[]).map(({ File_size: bytes }) => Number(bytes))
  for (const [i, token] of tokens.entries()) {
    const { endedAgoMs, bytesBehind, isPurged } = await retained(source, token)
    expect(isPurged).toBe(false)
    // The server notes whole seconds.
    expect(Math.abs((endedAgoMs ?? Number.NaN) - (Date.now() - (endedAtMs[i] as number)))).toBeLessThan(1_500)
    expect(bytesBehind).toBe(sizes.slice(sizes.length - 10 + i).reduce((sum, bytes) => sum + bytes, 0))
  }
  await source.close()
})

it('nothing is purged where the server does not do it by itself', async () => {
  const source = await openMysqlSource(endpointOf(server))
  const { token } = await source.head()
  await client.query('SET GLOBAL binlog_expire_logs_auto_purge = OFF')
  expect(await retained(source, token)).toMatchObject({ keptMs: null })
  await client.query(
    'SET GLOBAL binlog_expire_logs_auto_purge = ON; SET GLOBAL binlog_expire_logs_seconds = 0',
  )
  expect(await retained(source, token)).toMatchObject({ keptMs: null })
  await source.close()
})

it('the server purges what was foreseen, and not before', async () => {
  const source = await openMysqlSource(endpointOf(server))
  const { token } = await source.head()
  await flush()
  await client.query('SET GLOBAL binlog_expire_logs_seconds = 6')
  const { keptMs, endedAgoMs } = await retained(source, token)
  const purgeAtMs = Date.now() + (keptMs ?? 0) - (endedAgoMs ?? 0)
  const needed = (await files()).at(-2) as string
  await flush()
  expect(await files()).toContain(needed)
  await sleep(Math.max(0, purgeAtMs - Date.now() - 1_500))
  await flush()
  expect(await files()).toContain(needed)
  // Seconds are cut off, in the file's time and in the clock's.
  await sleep(Math.max(0, purgeAtMs - Date.now() + 2_000))
  expect(await retained(source, token)).toMatchObject({ isPurged: false })
  await flush()
  expect(await files()).not.toContain(needed)
  expect(await retained(source, token)).toMatchObject({ isPurged: true })
  await expect(source.assertRetained({ token, ordinal: 0 })).rejects.toMatchObject({ code: 'SYNC-2204' })
  await source.close()
})

it('disturbs no stream that reads meanwhile', async () => {
  const source = await openMysqlSource(endpointOf(server))
  const { token } = await source.head()
  await flush()
  const events = source.follow(await source.head(), { acknowledged: [] })[Symbol.asyncIterator]()
  await events.next()
  const other = await openMysqlSource(endpointOf(server))
  for (let i = 0; i < 5; i++) {
    await retained(source, token)
    await retained(other, token)
  }
  await client.query('CREATE DATABASE seen')
  for (;;) {
    const next = await events.next()
    if (next.done === true) throw new Error('the stream ended')
    if (
      next.value.some((event) => event.kind === 'schema-change' && event.statement === 'CREATE DATABASE seen')
    )
      break
  }
  await source.close()
  await other.close()
})

it('an engine whose target is away is warned by when it has to be back', async () => {
  const targetServer = await sharedTarget()
  const proxy = await startProxy({ targetPort: targetServer.port })
  const target = await connect(targetServer)
  const database = await freshDatabase(client, 'retained')
  await target.query(`CREATE DATABASE ${database}`)
  for (const end of [client, target]) await end.query(`CREATE TABLE ${database}.t (id INT PRIMARY KEY)`)
  const engine = createEngine(
    {
      openSource: () => openMysqlSource(endpointOf(server)),
      openTarget: () => openMysqlTarget(endpointOf({ ...targetServer, port: proxy.port })),
      recheck: async () => {},
      retentionPollMs: 200,
    },
    {
      pipeline: database,
      origin: 'test',
      rules: [
        {
          match: `${database}.*`,
          exclude: [],
          toSchema: '{schema}',
          toTable: '{table}',
          includeColumns: null,
          excludeColumns: [],
          renameColumns: {},
          where: null,
        },
      ],
      order: 'merged',
      lanes: 1,
      batch: { maxRows: 100, maxBytes: 1 << 20, maxDelayMs: 0 },
      smallBatchRows: 10,
      load: { enabled: true, chunkRows: 100, chunksInFlight: 1 },
    },
    BigInt(Date.now()),
    [],
  )
  const done = engine.run()
  let last: RetentionReport | null = null
  const seen = async (isWanted: (report: RetentionReport) => boolean): Promise<RetentionReport> => {
    const deadline = Date.now() + 60_000
    for (;;) {
      last = engine.takeStatistics(10)?.retention ?? last
      if (last !== null && isWanted(last)) return last
      if (Date.now() > deadline) throw new Error(`not seen: ${JSON.stringify([last, engine.status()])}`)
      await sleep(50)
    }
  }
  while (engine.status().phase !== 'streaming') await sleep(20)
  await seen(({ keptMs, isPurged }) => keptMs === 3_600_000 && !isPurged)
  proxy.setNewConnections('reset')
  proxy.cut('rst')
  await client.query(`INSERT INTO ${database}.t VALUES (1); FLUSH BINARY LOGS`)
  const endedAtMs = Date.now()
  const { standsUntil } = await seen(
    ({ pace, purgeFrom, standsUntil: until }) =>
      pace === 0 && purgeFrom === until && Date.parse(until ?? '') < endedAtMs + 3_600_000 + 1_000,
  )
  expect(Math.abs(Date.parse(standsUntil ?? '') - (endedAtMs + 3_600_000))).toBeLessThan(2_500)
  proxy.setNewConnections('open')
  await seen(
    ({ bytesBehind, standsUntil: until }) =>
      Date.parse(until ?? '') > endedAtMs + 3_602_000 || bytesBehind === 0,
  )
  engine.drain()
  expect(await done).toMatchObject({ kind: 'drained' })
  await target.query(`DROP DATABASE ${database}`)
  await target.end()
  await proxy.close()
})
