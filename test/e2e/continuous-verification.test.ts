/*
 * A verification that follows the log, as people meet it: a whole installation with real servers, asked by the command line, under writes.
 */
import type { Connection } from 'mysql2/promise'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type {
  ComparedTableAnswer,
  DifferenceAnswer,
  VerificationAnswer,
} from '../../src/api/verification-wire.ts'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { connect } from '../support/servers.ts'
import { waitFor } from '../support/stack.ts'

const installation = useInstallation()
let worker: Awaited<ReturnType<typeof installation.stack.startWorker>>
beforeAll(async () => {
  worker = await installation.stack.startWorker('verify')
})

interface Shown {
  readonly verification: VerificationAnswer
  readonly tables: readonly ComparedTableAnswer[]
  readonly differences?: readonly DifferenceAnswer[]
}

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

const cli = (...args: string[]) => installation.stack.cli(['verify', ...args])

async function show(id: string): Promise<Shown & { code: number | null }> {
  const { code, stdout, stderr } = await cli('show', id, '--differences', '-o', 'json')
  if (stdout === '') throw new Error(`verify show ${id} ended with ${code}: ${stderr}`)
  return { ...(JSON.parse(stdout) as Shown), code }
}

async function begin(name: string, ...more: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(name, '--mode', 'continuous', ...more, '-o', 'json')
  expect(code, stdout + stderr).toBe(0)
  const { id } = JSON.parse(stdout) as VerificationAnswer
  stops.push(async () => void (await cli('cancel', id)))
  await followed(id)
  return id
}

const progressOf = async (id: string): Promise<NonNullable<VerificationAnswer['continuous']>> => {
  const { verification } = await show(id)
  if (verification.continuous === null) throw new Error(`${id} does not follow the log`)
  return verification.continuous
}

/** Changes are read back from the moment on at which the run has seen that a table's load is done. */
const followed = (id: string): Promise<unknown> =>
  waitFor('the tables to be followed', 60_000, async () => {
    const { tables } = await show(id)
    return tables.length > 0 && tables.every(({ state }) => state === 'running')
  })

const rested = async (id: string): Promise<void> => {
  await waitFor('everything to be read back', 60_000, async () => {
    const { pendingRows, lagMs } = await progressOf(id)
    // Others write to the same server: its log never rests.
    return pendingRows === 0 && lagMs < 1_000
  })
}

/** Waits until the target has what the condition says. */
const atTarget = async ({ target }: PipelineCase, condition: string): Promise<void> => {
  await waitFor(condition, 30_000, async () => {
    const [rows] = await target.query(`SELECT ${condition} AS is_there`)
    return Number((rows as { is_there: number }[])[0]?.is_there) === 1
  })
}

async function startWrites({ database }: PipelineCase): Promise<() => Promise<number>> {
  let isStopped = false
  let statements = 0
  const connections: Connection[] = []
  const work = async (writer: number): Promise<void> => {
    const connection = await connect(installation.source, { database })
    connections.push(connection)
    for (let n = 0; !isStopped; n++) {
      const id = 100 + ((n * 37 + writer * 1_009) % 3_000)
      const all = [
        `UPDATE orders SET amount = amount + 1, note = '${n}' WHERE id = ${id}`,
        `DELETE FROM orders WHERE id = ${id + 3}`,
        `INSERT INTO orders VALUES (${id + 3}, ${n}, 'again') ON DUPLICATE KEY UPDATE note = 'again'`,
        `INSERT INTO tags VALUES ('${n % 2 === 0 ? 't' : 'T'}${n % 300}', ${n}) ON DUPLICATE KEY UPDATE uses = uses + 1`,
        `UPDATE orders SET amount = amount + 1 WHERE id = 100`,
      ]
      await connection.query(all[n % all.length] as string)
      statements++
    }
  }
  const writers = [work(1), work(2), work(3)]
  const stop = async (): Promise<number> => {
    isStopped = true
    await Promise.all(writers)
    for (const connection of connections.splice(0)) connection.destroy()
    return statements
  }
  stops.push(async () => void (await stop()))
  return stop
}

const shop = async (name: string, spec: Record<string, unknown> = {}): Promise<PipelineCase> => {
  const pipeline = await installation.createCase(name)
  await pipeline.both(
    'CREATE TABLE orders (id INT PRIMARY KEY, amount BIGINT NOT NULL, note VARCHAR(40))',
    'CREATE TABLE tags (tag VARCHAR(20) PRIMARY KEY, uses INT NOT NULL)',
  )
  await pipeline.source.query(
    `INSERT INTO orders WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i, 'first' FROM n`,
  )
  await pipeline.apply(spec)
  await pipeline.reaches('streaming')
  return pipeline
}

const passes = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a verification in mode continuous', () => {
  it('reports nothing under heavy writes, beside another verification', async () => {
    const pipeline = await shop('follow-equal')
    const id = await begin(pipeline.name, '--settle', '500ms')
    const stop = await startWrites(pipeline)
    await passes(10_000)
    const whole = await cli(pipeline.name, '-o', 'json')
    // A row that every writer changes all the time may stay unsettled; none may be called different.
    expect(JSON.parse(whole.stdout), whole.stdout).toMatchObject({
      verification: { state: 'done', tally: { different: 0, onlySource: 0, onlyTarget: 0 } },
    })
    await passes(10_000)
    expect(await stop()).toBeGreaterThan(500)
    await rested(id)
    const { verification, differences, tables, code } = await show(id)
    expect(differences).toEqual([])
    expect(verification).toMatchObject({ state: 'running', outcome: null, mode: 'continuous' })
    expect(verification.tally.equal).toBeGreaterThan(500)
    expect(tables.map(({ state }) => state)).toEqual(['running', 'running'])
    expect(code).toBe(0)
    const second = await cli(pipeline.name, '--mode', 'continuous')
    expect(second.stderr).toMatch(/SYNC-5144/)
    const cancelled = await cli('cancel', id, '-o', 'json')
    expect(JSON.parse(cancelled.stdout)).toMatchObject({ state: 'cancelled', outcome: null })
  })

  it('finds what was planted, not before the delay, shows it, repairs it and tells that it is equal again', async () => {
    const pipeline = await shop('follow-planted', {
      verify: { repair: { approval: 'none' }, continuous: { settleMs: 3_000, recheckMs: 1_000 } },
    })
    const id = `${pipeline.name}-1`
    stops.push(async () => void (await cli('cancel', id)))
    await followed(id)
    await startWrites(pipeline)
    // Under writes the target may be seconds behind: the worker must not find the rows equal before somebody spoils them.
    let spoiledAtMs = 0
    worker.kill('SIGSTOP')
    try {
      await pipeline.source.query("UPDATE orders SET note = 'second' WHERE id IN (1, 2)")
      await pipeline.source.query('DELETE FROM orders WHERE id = 3')
      await atTarget(
        pipeline,
        "(SELECT COUNT(*) FROM orders WHERE id IN (1, 2) AND note = 'second') = 2 AND NOT EXISTS (SELECT 1 FROM orders WHERE id = 3)",
      )
      await pipeline.target.query('UPDATE orders SET amount = -1 WHERE id = 1')
      await pipeline.target.query('DELETE FROM orders WHERE id = 2')
      await pipeline.target.query("INSERT INTO orders VALUES (3, 1, 'extra')")
      spoiledAtMs = Date.now()
    } finally {
      worker.kill('SIGCONT')
    }
    await waitFor('three differences', 60_000, async () => (await show(id)).differences?.length === 3)
    const { differences, verification, code } = await show(id)
    expect(code).toBe(7)
    expect(verification).toMatchObject({
      outcome: 'different',
      tally: { different: 1, onlySource: 1, onlyTarget: 1 },
    })
    for (const { seenAt } of differences ?? [])
      expect(Date.parse(seenAt ?? '')).toBeGreaterThanOrEqual(spoiledAtMs + 3_000)
    expect((differences ?? []).toSorted((a, b) => Number(a.key['id']) - Number(b.key['id']))).toMatchObject([
      {
        kind: 'different',
        key: { id: '1' },
        columns: ['amount'],
        source: { amount: '1' },
        target: { amount: '-1' },
        healedAt: null,
      },
      { kind: 'only-source', key: { id: '2' }, target: null },
      { kind: 'only-target', key: { id: '3' }, source: null },
    ])
    const text = await cli('show', id, '--differences')
    expect(text.stdout).toMatch(/orders id=1: different, seen at /)

    const repaired = await cli('repair', id, '-o', 'json')
    expect(repaired, repaired.stderr).toMatchObject({ code: 0 })
    expect(JSON.parse(repaired.stdout)).toMatchObject({ state: 'done', rows: { total: 3, verifiedEqual: 3 } })
    await waitFor('all to be equal again', 60_000, async () => (await show(id)).verification.outcome === null)
    const healed = await show(id)
    expect(healed.verification.continuous).toMatchObject({ healed: 3, isOfFile: true })
    expect(healed.differences?.every(({ healedAt }) => healedAt !== null)).toBe(true)

    // The file says no more of it.
    await pipeline.apply({})
    await waitFor('its end', 30_000, async () => (await show(id)).verification.state === 'cancelled')
  })

  it('goes on from its checkpoint when its worker is killed, and waits for a pipeline that is paused', async () => {
    const pipeline = await shop('follow-killed')
    const id = await begin(pipeline.name, '--settle', '6s')
    await pipeline.source.query("UPDATE orders SET note = 'before' WHERE id = 1")
    await waitFor('the change to be read', 30_000, async () => (await progressOf(id)).pendingRows === 1)
    // From here on it looks at nothing, however long the target takes.
    worker.kill('SIGSTOP')
    await atTarget(pipeline, "EXISTS (SELECT 1 FROM orders WHERE id = 1 AND note = 'before')")
    await pipeline.target.query("UPDATE orders SET note = 'lost' WHERE id = 1")
    worker.kill('SIGKILL')
    await worker.ended()
    worker = await installation.stack.startWorker('verify')
    await waitFor('the difference', 90_000, async () => (await show(id)).differences?.length === 1)
    expect((await show(id)).differences?.[0]).toMatchObject({ key: { id: '1' }, columns: ['note'] })

    expect((await installation.stack.cli(['pause', pipeline.name])).code).toBe(0)
    await pipeline.source.query("UPDATE orders SET note = 'paused' WHERE id = 5")
    await waitFor('it to say what it waits for', 90_000, async () => {
      const { verification } = await show(id)
      return verification.state === 'waiting' && verification.trouble?.code === 'SYNC-5130'
    })
    await pipeline.resume()
    await waitFor('the row to be read back', 90_000, async () => {
      const { verification } = await show(id)
      return verification.state === 'running' && verification.continuous?.pendingRows === 0
    })
    expect((await show(id)).differences).toHaveLength(1)
  })
})

describe('a request that cannot be met', () => {
  it('says what is wrong, and what to do', async () => {
    const pipeline = await shop('follow-refused')
    const refused = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await cli(pipeline.name, ...args)
      expect(code, stdout + stderr).not.toBe(0)
      expect(stdout + stderr).toMatch(/remedy/i)
      return stdout + stderr
    }
    expect(await refused('--mode', 'continuous', '--sample', '0.5')).toMatch(/SYNC-5131/)
    expect(await refused('--mode', 'continuous', '--range', `${pipeline.database}.orders:1..2`)).toMatch(
      /SYNC-5131/,
    )
    expect(await refused('--settle', '5s')).toMatch(/SYNC-5131/)
    const unknown = await cli(
      pipeline.name,
      '--mode',
      'continuous',
      '--table',
      `${pipeline.database}.nothing`,
      '-o',
      'json',
    )
    const { id } = JSON.parse(unknown.stdout) as VerificationAnswer
    await waitFor('its end', 30_000, async () => (await show(id)).verification.state === 'failed')
    expect((await show(id)).verification.trouble).toMatchObject({ code: 'SYNC-5142' })
  })
})
