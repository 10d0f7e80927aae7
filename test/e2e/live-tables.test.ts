/**
 * Tables that join and leave a pipeline while rows are written, with real servers: by commands and by the file, held back where they do not
 * fit, taken back half loaded, and over the death of a worker. Both sides end equal.
 */
import { expect, it } from 'vitest'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { type CliResult, type Proc, waitFor } from '../support/stack.ts'

const here = useInstallation({ streamWorkers: 0 })
let worker: Proc | undefined

async function cli(...args: string[]): Promise<CliResult> {
  const result = await here.stack.cli(args)
  expect(result, `${args.join(' ')}: ${result.stderr}`).toMatchObject({ code: 0 })
  return result
}

const fill = (rows: number): string =>
  `SET SESSION cte_max_recursion_depth = ${rows};
   INSERT INTO late WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ${rows})
     SELECT id, 0 FROM n`

/** A pipeline that streams the table `t`; `late` is at the source alone, with rows. */
async function streaming(name: string, spec: Record<string, unknown> = {}): Promise<PipelineCase> {
  worker ??= await here.stack.startWorker('stream')
  await waitFor('the API', 120_000, async () => (await fetch(`${here.stack.url}/readyz`)).ok)
  const pipeline = await here.createCase(name)
  await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, v INT)')
  await pipeline.source.query(
    `INSERT INTO t VALUES (1, 0); CREATE TABLE late (id INT PRIMARY KEY, v INT); ${fill(3_000)}`,
  )
  await pipeline.apply({ tables: [{ match: `${pipeline.database}.t` }], onMissingTable: 'create', ...spec })
  await pipeline.reaches('streaming', 120_000)
  return pipeline
}

/** Writes to both tables until told to stop. */
function writing(pipeline: PipelineCase): () => Promise<void> {
  let isOn = true
  const done = (async () => {
    for (let round = 0; isOn; round++) {
      await pipeline.source.query(
        `UPDATE t SET v = ${round}; UPDATE late SET v = ${round} WHERE id % 50 = ${round % 50};
         DELETE FROM late WHERE id = ${2_000 + (round % 500)}; REPLACE INTO late VALUES (${4_000 + (round % 300)}, ${round})`,
      )
    }
  })()
  return () => {
    isOn = false
    return done
  }
}

const loadedRows = async (pipeline: PipelineCase): Promise<number> => {
  const [row] = await pipeline.rows('SELECT COUNT(*) AS n FROM late').catch(() => [])
  return Number(row?.['n'] ?? 0)
}

it('a table joins while rows are written, leaves, and joins again', async () => {
  const pipeline = await streaming('joins-live', { onExistingRows: 'empty' })
  const { database } = pipeline
  const stop = writing(pipeline)
  const added = await cli('tables', 'add', 'joins-live', `${database}.late`)
  expect(added.stdout).toContain('pipeline/joins-live changed')
  expect(added.stdout).toContain(`${database}.late`)
  await waitFor('the load', 120_000, async () => (await loadedRows(pipeline)) >= 2_500)
  await stop()
  expect(await pipeline.expectEqual()).toBeGreaterThan(2_500)
  expect((await pipeline.status()).pendingChange).toBeNull()

  await cli('tables', 'remove', 'joins-live', `${database}.late`)
  await pipeline.reaches('streaming')
  const left = await loadedRows(pipeline)
  await pipeline.source.query('DELETE FROM late WHERE id < 1000; UPDATE late SET v = -1; UPDATE t SET v = -1')
  await pipeline.settled()
  expect(await loadedRows(pipeline), 'its rows stay').toBe(left)
  expect(await pipeline.rows('SELECT v FROM t')).toEqual([{ v: -1 }])

  // Rows of another time are emptied, and the table is loaded anew.
  await cli('tables', 'add', 'joins-live', `${database}.late`)
  expect(await pipeline.expectEqual()).toBeGreaterThan(1_000)
  const answer = await fetch(`${here.stack.url}/v1/audit?name=joins-live&pageSize=200`)
  const { items } = (await answer.json()) as { items: { action: string; outcome: string }[] }
  expect(
    items
      .filter(({ action }) => action !== 'state')
      .map(({ action, outcome }) => `${action} ${outcome}`)
      .toReversed(),
  ).toEqual(['apply done', 'add-tables done', 'remove-tables done', 'add-tables done'])
})

it('what does not fit is held back while the stream goes on, and joins once it is mended', async () => {
  const pipeline = await streaming('held-back')
  const { database, source, target } = pipeline
  // The engine is seen a heartbeat after the state is entered.
  await waitFor('the engine to be seen', 60_000, async () => (await pipeline.status()).engine !== null)
  const epoch = (await pipeline.status()).engine?.epoch
  await target.query('CREATE TABLE late (id INT PRIMARY KEY, v INT); INSERT INTO late VALUES (7, 7)')
  const refused = await here.stack.cli(['tables', 'add', 'held-back', `${database}.late`])
  expect(refused).toMatchObject({ code: 1, stdout: expect.stringContaining('held back') })
  expect(refused.stderr).toContain('SYNC-3204')
  expect(await pipeline.status()).toMatchObject({
    state: 'streaming',
    observedGeneration: 1,
    pendingChange: { generation: 2, refused: { code: 'SYNC-4003' } },
    engine: { epoch },
  })
  const described = (await cli('describe', 'pipeline', 'held-back')).stdout
  for (const words of ['generation 2 is held back', 'SYNC-3204', 'TRUNCATE TABLE'])
    expect(described).toContain(words)
  await source.query('UPDATE t SET v = 5')
  await pipeline.settled()
  expect(await pipeline.rows('SELECT v FROM t')).toEqual([{ v: 5 }])

  // Taken back: nothing of it is left, and nothing was restarted.
  await cli('tables', 'remove', 'held-back', `${database}.late`)
  expect(await pipeline.status()).toMatchObject({ pendingChange: null, engine: { epoch } })
  expect(await loadedRows(pipeline), 'its rows are nobody else’s').toBe(1)
  // By the file, and mended.
  const file = await pipeline.file({
    tables: [{ match: `${database}.t` }, { match: `${database}.late` }],
    onMissingTable: 'create',
  })
  const applied = await here.stack.cli(['apply', '-f', file, '--wait'])
  expect(applied).toMatchObject({ code: 1, stdout: expect.stringContaining('held back') })
  expect(applied.stderr).toContain('SYNC-3204')
  await target.query('TRUNCATE TABLE late')
  await pipeline.resume()
  await waitFor('the change', 60_000, async () => (await pipeline.status()).observedGeneration === 4)
  expect(await pipeline.expectEqual()).toBe(3_001)

  for (const [code, ...args] of [
    [5, 'add', 'held-back', `${database}.late`],
    [5, 'remove', 'held-back', `${database}.none`],
    [5, 'remove', 'held-back', `${database}.*`],
    [4, 'add', 'none', 'a.b'],
    [3, 'add', 'held-back', 'nodot'],
    [2, 'remove', 'held-back', 'nodot'],
  ] as const) {
    expect((await here.stack.cli(['tables', ...args])).code, args.join(' ')).toBe(code)
  }
})

it('an addition that is taken back half loaded heals, also when the worker dies in it', async () => {
  const pipeline = await streaming('half-done', { load: { maxRowsPerSecond: 50 }, onExistingRows: 'empty' })
  const { database } = pipeline
  const stop = writing(pipeline)
  await cli('tables', 'add', 'half-done', `${database}.late`)
  const isHalfLoaded = async (): Promise<boolean> => {
    const { state, engine } = await pipeline.status()
    return state === 'loading' && engine?.load.tablesDone === 1 && engine.load.rows > 50
  }
  await waitFor('some rows', 120_000, isHalfLoaded)
  await cli('tables', 'remove', 'half-done', `${database}.late`)
  await pipeline.reaches('streaming')
  expect(await isHalfLoaded()).toBe(false)

  await cli('tables', 'add', 'half-done', `${database}.late`)
  await waitFor('some rows again', 120_000, isHalfLoaded)
  worker?.kill('SIGKILL')
  await worker?.ended()
  worker = await here.stack.startWorker('stream')
  await cli('limits', 'half-done', '--none')
  await waitFor('the load', 120_000, async () => (await loadedRows(pipeline)) >= 2_500)
  await stop()
  expect(await pipeline.expectEqual()).toBeGreaterThan(2_500)
})
