/**
 * Limits of a running pipeline with real servers: kept, changed and lifted without a restart of the engine, over the death of a worker and of
 * Temporal's attempts, and the two sides end equal.
 */
import { expect, it } from 'vitest'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { type Proc, waitFor } from '../support/stack.ts'

let worker: Proc | undefined
const here = useInstallation({ streamWorkers: 0 })

async function cli(...args: string[]): Promise<string> {
  const result = await here.stack.cli(args)
  expect(result, `${args.join(' ')}: ${result.stderr}`).toMatchObject({ code: 0 })
  return result.stdout
}

async function tableOf(name: string, rows: number): Promise<PipelineCase> {
  worker ??= await here.stack.startWorker('stream')
  await waitFor('the API', 120_000, async () => (await fetch(`${here.stack.url}/readyz`)).ok)
  const pipeline = await here.createCase(name)
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, v INT, pad VARCHAR(100))')
  await pipeline.source.query(
    `SET SESSION cte_max_recursion_depth = ${rows};
     INSERT INTO t WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ${rows})
       SELECT id, 0, REPEAT('x', 100) FROM n`,
  )
  return pipeline
}

const counted = async (pipeline: PipelineCase): Promise<number> =>
  Number((await pipeline.rows('SELECT COUNT(*) AS n FROM t'))[0]?.['n'])

/** Limits as the engine goes by them. */
const inForce = (pipeline: PipelineCase, part: 'load' | 'stream', rows: number | null) =>
  waitFor(`${rows} rows/s`, 120_000, async () => {
    const { engine } = await pipeline.status()
    return engine?.limits?.[part].maxRowsPerSecond === rows
  })

const epochOf = async (pipeline: PipelineCase): Promise<string | undefined> =>
  (await pipeline.status()).engine?.epoch

it('a load goes no faster than it may, is not restarted by other limits, and the stream beside it is not held back', async () => {
  const pipeline = await tableOf('load-limit', 20_000)
  const { source } = pipeline
  const startedAtMs = performance.now()
  await pipeline.apply({ load: { maxRowsPerSecond: 100 } })
  await inForce(pipeline, 'load', 100)
  await waitFor('rows', 120_000, async () => (await counted(pipeline)) > 100)
  // A change of a row that the load has brought already comes at once; one that it has not comes with it.
  await source.query('UPDATE t SET v = 1 WHERE id = 1')
  await waitFor('a change beside the load', 120_000, async () => {
    const [row] = await pipeline.rows('SELECT v FROM t WHERE id = 1')
    return row?.['v'] === 1
  })
  const loaded = await counted(pipeline)
  // Every count below the rate is fine: the machine may be slow.
  expect(loaded).toBeLessThanOrEqual(100 * ((performance.now() - startedAtMs) / 1_000) + 100)
  expect(loaded).toBeLessThan(20_000)
  expect((await cli('describe', 'pipeline', 'load-limit')).replaceAll(/ +/g, ' ')).toContain(
    'Limits load 100 rows/s; stream without limit',
  )
  const epoch = await epochOf(pipeline)

  expect(await cli('limits', 'load-limit', '--load-rows', '150', '--load-bytes', '10MiB')).toContain(
    'load 150 rows/s, 10MiB/s; stream without limit',
  )
  await inForce(pipeline, 'load', 150)
  expect((await pipeline.status()).state).toBe('loading')
  expect(await epochOf(pipeline), 'no restart').toBe(epoch)

  // The worker dies, and its successor knows the limits that were set after it was started.
  worker?.kill('SIGKILL')
  await worker?.ended()
  worker = await here.stack.startWorker('stream')
  await waitFor('a new engine', 120_000, async () => {
    const now = await epochOf(pipeline)
    return now !== undefined && now !== epoch
  })
  await inForce(pipeline, 'load', 150)
  const epochAfter = await epochOf(pipeline)
  await cli('limits', 'load-limit', '--none')
  await inForce(pipeline, 'load', null)
  await source.query('UPDATE t SET v = 2 WHERE id % 100 = 0; DELETE FROM t WHERE id % 1000 = 1')
  expect(await pipeline.expectEqual()).toBe(19_980)
  const { engine, observedGeneration } = await pipeline.status()
  expect(engine).toMatchObject({ epoch: epochAfter, throttled: { load: null, stream: null } })
  expect(observedGeneration).toBe(3)
})

it('a stream goes no faster than it may, says so, and loses nothing', async () => {
  const pipeline = await tableOf('stream-limit', 1_000)
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(1_000)
  const epoch = await epochOf(pipeline)
  await cli('limits', 'stream-limit', '--stream-rows', '100')
  await inForce(pipeline, 'stream', 100)
  const startedAtMs = performance.now()
  for (let round = 0; round < 20; round++)
    await pipeline.source.query(
      `UPDATE t SET v = v + 1 WHERE id BETWEEN ${round * 50} AND ${round * 50 + 49}`,
    )
  await waitFor('a stream that is held back', 120_000, async () => {
    const { engine } = await pipeline.status()
    return engine?.throttled?.stream === 'limit of 100 rows/s' && engine.lagMs > 0
  })
  expect((await cli('describe', 'pipeline', 'stream-limit')).replaceAll(/ +/g, ' ')).toContain(
    'Throttled the stream, by limit of 100 rows/s',
  )
  const [row] = await pipeline.rows('SELECT COUNT(*) AS n FROM t WHERE v > 0')
  expect(Number(row?.['n'])).toBeLessThanOrEqual(100 * ((performance.now() - startedAtMs) / 1_000) + 75)
  await cli('limits', 'stream-limit', '--stream-rows', 'none')
  expect(await pipeline.expectEqual()).toBe(1_000)
  expect(await epochOf(pipeline), 'no restart').toBe(epoch)
  // While it is held back it can be paused: what is in hand is finished.
  await cli('limits', 'stream-limit', '--stream-rows', '1')
  await inForce(pipeline, 'stream', 1)
  for (let round = 0; round < 5; round++) await pipeline.source.query('UPDATE t SET v = v + 1 WHERE id < 100')
  await cli('pause', 'stream-limit')
  await cli('limits', 'stream-limit', '--none')
  await cli('resume', 'stream-limit')
  expect(await pipeline.expectEqual()).toBe(1_000)
})
