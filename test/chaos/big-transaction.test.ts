/**
 * One transaction of 1,000,000 rows, then one that changes them all: the process of the engine stays under 500 MB, because a transaction is
 * written in slices and everything between the two servers is bounded by bytes. In global order all slices are one commit at the target,
 * and the bound is 400 MB.
 */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../dev/mysql.ts'
import { peakMegabytes } from '../support/peak-memory.ts'
import { createCase, type PipelineCase } from '../support/pipeline-case.ts'
import { sharedTemporal } from '../support/servers.ts'
import { type Stack, startStack, waitFor } from '../support/stack.ts'

const rows = 1_000_000

let stack: Stack | undefined
let servers: readonly MysqlServer[] = []
let pipeline: PipelineCase | undefined

beforeAll(async () => {
  // Servers of its own: their logs grow by a gigabyte.
  servers = await Promise.all([
    startMysql({ name: 'big source', serverId: 111, durable: false }),
    startMysql({ name: 'big target', serverId: 112, durable: false, extraArgs: ['--disable-log-bin'] }),
  ])
})

afterEach(async (context) => {
  if (context.task.result?.state === 'fail') console.error(await stack?.logs())
  await pipeline?.close()
  await stack?.stop()
})

afterAll(async () => {
  await Promise.all(servers.map((server) => server.discard()))
})

it.each([
  { order: 'merged', maxMegabytes: 500 },
  { order: 'global', maxMegabytes: 400 },
])(
  'a transaction of 1,000,000 rows is inserted and updated in bounded memory, in $order order',
  {
    timeout: 600_000,
  },
  async ({ order, maxMegabytes }) => {
    const [source, target] = servers as [MysqlServer, MysqlServer]
    // Processes of its own: the peak is that of this order.
    stack = await startStack(await sharedTemporal())
    await stack.startWorker('control')
    await stack.startWorker('stream')
    pipeline = await createCase(stack, { source, target }, `big-${order}`)
    const { database } = pipeline
    await pipeline.both(
      'CREATE TABLE big (id INT PRIMARY KEY, k INT NOT NULL, name VARCHAR(40), note VARCHAR(200), price DECIMAL(12,2), at DATETIME(3))',
      'CREATE TABLE small (id INT PRIMARY KEY)',
    )
    await pipeline.apply({ stream: { order } })
    await pipeline.reaches('streaming')
    const host = async (): Promise<number> => Number((await pipeline?.status())?.engine?.hostPid)
    await waitFor('the engine tells its process', 30_000, async () => (await host()) > 0)
    const pid = await host()

    await pipeline.source.query(`SET SESSION cte_max_recursion_depth = ${rows}`)
    await pipeline.source.query(
      `INSERT INTO big WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
     SELECT i, i * 7 MOD 1000003, CONCAT('name ', i), REPEAT(SHA2(i, 256), 2), i / 100, '2026-01-02 03:04:05.678' FROM n`,
    )
    await pipeline.settled(240_000)
    const afterInsert = await peakMegabytes(pid)

    await pipeline.source.query(
      'UPDATE big SET k = k + 1, note = REVERSE(note), at = NULL; INSERT INTO small VALUES (1)',
    )
    await pipeline.settled(240_000)
    const afterUpdate = await peakMegabytes(pid)
    console.info(
      `${order}: peak after the insert ${Math.round(afterInsert)} MB, after the update ${Math.round(afterUpdate)} MB`,
    )

    expect(await pipeline.expectEqual({ databases: [database] })).toBe(rows + 1)
    expect(await host(), 'the same process all along').toBe(pid)
    expect(afterUpdate).toBeLessThan(maxMegabytes)
  },
)
