/*
 * A table of 5,000,000 rows is compared in bounded memory: the process that verifies stays under 300 MB, whether it asks for checksums or reads all
 * rows, and finds what differs among them.
 */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../dev/mysql.ts'
import { peakMegabytes } from '../support/peak-memory.ts'
import { createCase, type PipelineCase } from '../support/pipeline-case.ts'
import { sharedTemporal } from '../support/servers.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { createVerifying, type Verifying } from '../support/verifying.ts'

const rows = 5_000_000
const maxMegabytes = 300

let servers: readonly MysqlServer[] = []
let stack: Stack
let verifying: Verifying
let pipeline: PipelineCase

beforeAll(async () => {
  // Servers of its own: a gigabyte of rows would weigh on the others.
  servers = await Promise.all([
    startMysql({ name: 'long source', serverId: 121, durable: false }),
    startMysql({ name: 'long target', serverId: 122, durable: false, extraArgs: ['--disable-log-bin'] }),
  ])
  const [source, target] = servers as [MysqlServer, MysqlServer]
  const temporal = await sharedTemporal()
  stack = await startStack(temporal)
  await stack.startWorker('control')
  await stack.startWorker('stream')
  pipeline = await createCase(stack, { source, target }, 'long-table')
  verifying = await createVerifying(stack, temporal)
}, 240_000)

afterEach(async (context) => {
  if (context.task.result?.state === 'fail') console.error(await stack?.logs())
})

afterAll(async () => {
  await verifying?.close()
  await pipeline?.close()
  await stack?.stop()
  await Promise.all(servers.map((server) => server.discard()))
})

it('5,000,000 rows are compared, by checksum and row by row, in bounded memory', {
  timeout: 900_000,
}, async () => {
  const { source, target } = pipeline
  await pipeline.both(
    'CREATE TABLE long_one (id INT PRIMARY KEY, customer INT NOT NULL, note VARCHAR(40), total DECIMAL(10,2) NOT NULL)',
  )
  await source.query('SET SESSION sql_log_bin = 0')
  await Promise.all(
    [source, target].map((end) =>
      end.query(
        `SET SESSION cte_max_recursion_depth = ${rows};
         INSERT INTO long_one WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
         SELECT i, i * 7919 MOD 100003, CONCAT('note ', i), i / 100 FROM n`,
      ),
    ),
  )
  await source.query('SET SESSION sql_log_bin = 1')
  // Both have the rows already; each change from here on is carried.
  await pipeline.apply({ load: { mode: 'none' } })
  await pipeline.reaches('streaming')
  await target.query(
    `UPDATE long_one SET total = total + 1 WHERE id IN (1, 2500000); DELETE FROM long_one WHERE id = 4999999; INSERT INTO long_one VALUES (6000000, 1, NULL, 1)`,
  )
  for (const mode of ['checksum', 'row']) {
    // Processes of its own: the peak is that of this mode.
    const worker = await stack.startWorker('verify')
    const id = await verifying.start([pipeline.name, '--mode', mode])
    const { verification, differences = [] } = await verifying.ends(id, 400_000)
    const megabytes = await peakMegabytes(worker.pid)
    console.info(`${mode}: peak ${Math.round(megabytes)} MB, ${verification.tally.rowsCompared} rows`)
    expect(verification, JSON.stringify(verification)).toMatchObject({
      state: 'done',
      outcome: 'different',
      tally: { rowsCompared: rows + 1, different: 2, onlySource: 1, onlyTarget: 1, unsettled: 0 },
    })
    expect(differences.map(({ key }) => Number(key['id'])).toSorted((a, b) => a - b)).toEqual([
      1, 2_500_000, 4_999_999, 6_000_000,
    ])
    expect(megabytes).toBeLessThan(maxMegabytes)
    worker.kill('SIGTERM')
    await worker.ended()
  }
})
