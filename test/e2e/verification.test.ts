/*
 * Verification and repair as people meet them: a whole installation with real servers, asked by the command line, under writes.
 */
import type { Connection } from 'mysql2/promise'
import { afterEach, describe, expect, it } from 'vitest'
import type {
  ComparedTableAnswer,
  DifferenceAnswer,
  VerificationAnswer,
} from '../../src/api/verification-wire.ts'
import { useInstallation } from '../support/installation.ts'
import type { PipelineCase } from '../support/pipeline-case.ts'
import { connect } from '../support/servers.ts'
import { waitFor } from '../support/stack.ts'

const installation = useInstallation({ verifyWorkers: 1 })

interface Shown {
  readonly verification: VerificationAnswer
  readonly tables: readonly ComparedTableAnswer[]
  readonly differences?: readonly DifferenceAnswer[]
}

const verify = async (
  args: readonly string[],
): Promise<{ code: number | null; shown: Shown; stderr: string }> => {
  const { code, stdout, stderr } = await installation.stack.cli(['verify', ...args, '-o', 'json'])
  if (stdout === '') throw new Error(`verify ${args.join(' ')} ended with ${code}: ${stderr}`)
  return { code, shown: JSON.parse(stdout) as Shown, stderr }
}

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

/** Writes to the source as fast as it goes: inserts, updates and deletes, until the test ends. */
async function startWrites(pipeline: PipelineCase): Promise<void> {
  const { source } = installation
  const connections: Connection[] = []
  let isStopped = false
  const work = async (writer: number): Promise<void> => {
    const connection = await connect(source, { database: pipeline.database })
    connections.push(connection)
    for (let n = 0; !isStopped; n++) {
      const id = 1 + ((n * 37 + writer * 1_009) % 5_000)
      const statements = [
        `UPDATE orders SET amount = amount + 1, note = '${n}' WHERE id = ${id}`,
        `DELETE FROM orders WHERE id = ${id + 3}`,
        `INSERT INTO orders VALUES (${id + 3}, ${n}, 'again') ON DUPLICATE KEY UPDATE note = 'again'`,
        `INSERT INTO tags VALUES ('t${writer}-${n % 300}', ${n}) ON DUPLICATE KEY UPDATE uses = uses + 1`,
      ]
      await connection.query(statements[n % statements.length] as string)
    }
  }
  const writers = [work(1), work(2), work(3)]
  stops.push(async () => {
    isStopped = true
    await Promise.all(writers)
    for (const connection of connections) connection.destroy()
  })
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
  await pipeline.source.query(
    `INSERT INTO orders SELECT id + 900 * k, id, 'first' FROM orders, (SELECT 1 AS k UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) AS more`,
  )
  await pipeline.apply(spec)
  await pipeline.reaches('streaming')
  return pipeline
}

describe('a verification', () => {
  it('under writes finds both ends equal, at a position, and says how long the stream stood still', async () => {
    const pipeline = await shop('verify-equal')
    await startWrites(pipeline)
    for (let round = 0; round < 2; round++) {
      const { code, shown } = await verify([pipeline.name])
      expect(shown.verification, JSON.stringify(shown)).toMatchObject({
        state: 'done',
        outcome: 'equal',
        tally: { different: 0, onlySource: 0, onlyTarget: 0, unsettled: 0 },
        tables: { total: 2, done: 2, notCompared: 0 },
      })
      expect(code).toBe(0)
      expect(shown.verification.longestPauseMs).toBeLessThan(2_000)
      const orders = shown.tables.find(({ table }) => table.endsWith('.orders'))
      expect(orders?.tally.rowsCompared).toBeGreaterThan(1_000)
      expect(orders?.positions[0]?.position).toMatch(/^[\da-f-]{36}:/)
    }
  })

  it('finds what was planted, shows it side by side, repairs it when it is approved, and verifies it again', async () => {
    const pipeline = await shop('verify-repair')
    await startWrites(pipeline)
    // Beyond what the writers touch.
    await pipeline.target.query("UPDATE orders SET note = 'broken' WHERE id = 5300")
    await pipeline.target.query('DELETE FROM orders WHERE id = 5301')
    await pipeline.target.query("INSERT INTO orders VALUES (9000, 1, 'extra')")
    const { code, shown } = await verify([pipeline.name])
    const { id, tally, outcome } = shown.verification
    expect(code).toBe(7)
    expect(outcome).toBe('different')
    expect(tally).toMatchObject({ different: 1, onlySource: 1, onlyTarget: 1, unsettled: 0 })

    const text = await installation.stack.cli(['verify', 'show', id, '--differences'])
    expect(text.code).toBe(7)
    for (const words of [
      /orders id=5300: different/,
      /note +first +broken/,
      /orders id=5301: only at the source/,
      /orders id=9000: only at the target/,
      /3 rows differ/,
    ])
      expect(text.stdout).toMatch(words)

    const dry = await installation.stack.cli(['verify', 'repair', id, '--dry-run'])
    expect(dry.stdout).toMatch(/REPLACE INTO `verify_repair.*`.`orders` .*'first'/)
    expect(dry.stdout).toMatch(/INSERT INTO .*5301/)
    expect(dry.stdout).toMatch(/DELETE FROM .* WHERE `id` = 9000;/)

    const asked = await installation.stack.cli(['verify', 'repair', id, '--as', 'ann'])
    expect(asked, asked.stderr).toMatchObject({ code: 0 })
    expect(asked.stderr).toContain(`syncline verify approve ${id}`)
    expect(await pipeline.rows('SELECT note FROM orders WHERE id = 5300')).toEqual([{ note: 'broken' }])

    const approved = await installation.stack.cli(['verify', 'approve', id, '--as', 'carl', '-o', 'json'])
    expect(approved, approved.stderr).toMatchObject({ code: 0 })
    expect(JSON.parse(approved.stdout)).toMatchObject({
      state: 'done',
      actor: 'ann',
      approvedBy: 'carl',
      rows: { total: 3, pending: 0, written: 2, removed: 1, verifiedEqual: 3 },
    })
    expect(await pipeline.rows('SELECT id, note FROM orders WHERE id IN (5300, 5301, 9000)')).toEqual([
      { id: 5300, note: 'first' },
      { id: 5301, note: 'first' },
    ])
    const repaired = await installation.stack.cli(['verify', 'show', id, '--repaired', '-o', 'json'])
    const { repairedRows } = JSON.parse(repaired.stdout) as { repairedRows: Record<string, unknown>[] }
    expect(repairedRows.find(({ kind }) => kind === 'different')).toMatchObject({
      sourceBefore: { note: 'first' },
      targetBefore: { note: 'broken' },
      targetAfter: { note: 'first' },
      verified: 'equal',
    })
    expect((await verify([pipeline.name])).shown.verification.outcome).toBe('equal')
  })

  it('is told of by describe and by get, with what to type next; a row that is refused stops no other', async () => {
    const pipeline = await installation.createCase('verify-refusal')
    await pipeline.both('CREATE TABLE t (id INT PRIMARY KEY, code INT UNIQUE)')
    await pipeline.source.query('INSERT INTO t VALUES (1, 10), (2, 20), (3, 30), (4, 40)')
    await pipeline.apply({ verify: { schedule: '0 3 * * *', repair: { approval: 'none' } } })
    await pipeline.reaches('streaming')
    const described = async (): Promise<string> =>
      (await installation.stack.cli(['describe', 'pipeline', pipeline.name])).stdout
    expect(await described()).toMatch(
      /Verified +never: `syncline verify verify-refusal`\n.*0 3 \* \* \* \(UTC\), none yet/,
    )
    await pipeline.target.query('DELETE FROM t WHERE id IN (2, 3); UPDATE t SET code = 41 WHERE id = 4')
    const { id } = (await verify([pipeline.name])).shown.verification
    expect(await described()).toMatch(
      new RegExp(`Verified +${id}, different, 3 of 4 rows differ, .*: \`syncline verify repair ${id}\``),
    )
    expect((await installation.stack.cli(['get', 'pipelines'])).stdout).toMatch(
      /VERIFIED[^]*verify-refusal .* 3 differ /,
    )

    // Somebody else's row takes the value of a row that is to come back.
    await pipeline.target.query('INSERT INTO t VALUES (99, 20)')
    const repaired = await installation.stack.cli(['verify', 'repair', id])
    expect(repaired, repaired.stderr).toMatchObject({ code: 7 })
    expect(repaired.stdout).toMatch(/repair 1 {2}done {2}3 of 3 rows {2}2 verified {2}1 refused/)
    expect(repaired.stderr).toMatch(/1 refused, the first by SYNC-3301 .*id=99.*\n +remedy .*repair again/)
    expect(await pipeline.rows('SELECT * FROM t ORDER BY id')).toEqual([
      { id: 1, code: 10 },
      { id: 3, code: 30 },
      { id: 4, code: 40 },
      { id: 99, code: 20 },
    ])
    const shown = await installation.stack.cli(['verify', 'show', id, '--repaired', '-o', 'json'])
    const { repairedRows } = JSON.parse(shown.stdout) as { repairedRows: Record<string, unknown>[] }
    expect(repairedRows.find(({ state }) => state === 'refused')).toMatchObject({
      kind: 'only-source',
      sourceBefore: { id: '2', code: '20' },
      targetBefore: null,
      refusal: { code: 'SYNC-3301', remedy: expect.stringContaining('repair again') },
    })
    expect(await described()).toMatch(
      new RegExp(`Verified +${id}, .*, repair done: \`syncline verify verify-refusal\``),
    )

    await pipeline.target.query('DELETE FROM t WHERE id = 99')
    expect(await installation.stack.cli(['verify', 'repair', id])).toMatchObject({ code: 0 })
    expect((await verify([pipeline.name])).shown.verification.outcome).toBe('equal')
    const status = await fetch(`${installation.stack.url}/v1/pipelines/${pipeline.name}/status`)
    expect(await status.json()).toMatchObject({
      verifications: {
        newest: { origin: 'person', outcome: 'equal', differences: 0, repair: null },
        schedule: '0 3 * * *',
        scheduled: null,
      },
    })
  })
})

describe('a request that cannot be met', () => {
  it('says what is wrong, and what to do', async () => {
    const pipeline = await shop('verify-refused')
    const refused = async (args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await installation.stack.cli(['verify', pipeline.name, ...args])
      expect(code, stdout + stderr).not.toBe(0)
      expect(stdout + stderr).toMatch(/remedy/i)
      return stdout + stderr
    }
    const { database } = pipeline
    expect(await refused(['--table', `${database}.nothing`])).toMatch(/SYNC-5142 .*nothing/)
    expect(await refused(['--range', `${database}.orders:a..b`])).toMatch(
      /SYNC-5102 .*orders.id is int, and 'a' is not/,
    )
    expect(await refused(['--range', `${database}.orders:1,2..3`])).toMatch(
      /SYNC-5102 .*2 values were given, and its key has 1 column/,
    )
    const malformed = await installation.stack.cli([
      'verify',
      pipeline.name,
      '--range',
      `${database}.orders:1`,
    ])
    expect(malformed).toMatchObject({ code: 2, stderr: expect.stringContaining('TABLE:FROM..TO') })
    const paused = await installation.stack.cli(['pause', pipeline.name])
    expect(paused.code).toBe(0)
    expect(await refused([])).toMatch(/SYNC-5140 pipeline verify-refused is paused/)
    expect((await installation.stack.cli(['verify', 'show', 'nobody-7'])).code).toBe(4)
    expect((await installation.stack.cli(['verify', 'show', 'nobody'])).code).toBe(2)
  })
})

describe('a schedule', () => {
  it('starts verifications by itself, asks for a repair, and goes when the file says so no more', async () => {
    const name = 'verify-schedule'
    const verifyBy = { schedule: '@every 10s', repair: { automatic: true, approval: 'none' } }
    const pipeline = await shop(name, { verify: verifyBy })
    let epoch: string | undefined
    await waitFor('a word of the engine', 60_000, async () => {
      epoch = (await pipeline.status()).engine?.epoch
      return epoch !== undefined
    })
    await pipeline.target.query("UPDATE orders SET note = 'broken' WHERE id = 10")
    const runs = async (): Promise<readonly VerificationAnswer[]> => {
      const { stdout } = await installation.stack.cli(['verify', 'list', name, '-o', 'json'])
      return JSON.parse(stdout) as VerificationAnswer[]
    }
    await waitFor('a repair by the schedule', 90_000, async () =>
      (await runs()).some(({ repair }) => repair?.state === 'done' && repair.rows.verifiedEqual === 1),
    )
    expect((await runs()).every(({ origin, actor }) => origin === 'schedule' && actor === 'schedule')).toBe(
      true,
    )
    expect(await pipeline.rows('SELECT note FROM orders WHERE id = 10')).toEqual([{ note: 'first' }])

    const file = await pipeline.file({ verify: { mode: 'count' } })
    const diff = await installation.stack.cli(['diff', '-f', file])
    expect(diff.code).toBe(7)
    expect(diff.stdout).toMatch(/spec\.verify\.schedule: "@every 10s" -> null {2}\(in-place\)/)
    expect(diff.stdout).not.toContain('restarts')
    await pipeline.apply({ verify: { mode: 'count' } })
    const settled = async (): Promise<number> =>
      (await runs()).filter(({ endedAt }) => endedAt !== null).length
    await waitFor('no run under way', 60_000, async () => (await runs()).length === (await settled()))
    const before = (await runs()).length
    await new Promise((resolve) => setTimeout(resolve, 15_000))
    expect((await runs()).length).toBe(before)
    // The stream knows nothing of it all.
    expect((await pipeline.status()).engine?.epoch).toBe(epoch)
  })
})
