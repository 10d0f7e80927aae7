/*
 * The workflows of verification and repair over a real Temporal and a real store, with scripted ends: how a run gets to its end, whatever happens to
 * workers, engines and tables on the way.
 */
import { WorkflowUpdateFailedError } from '@temporalio/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SyncError } from '../../../src/core/errors.ts'
import { noTally } from '../../../src/core/verification-request.ts'
import { sharedTemporal } from '../../support/servers.ts'
import { waitFor } from '../../support/stack.ts'
import {
  endsThatDiffer,
  healthyEnds,
  type ScriptedVerifier,
  startScriptedVerifier,
  table,
} from './scripted-verifier.ts'

let rig: ScriptedVerifier
beforeAll(async () => {
  rig = await startScriptedVerifier(await sharedTemporal())
  await rig.startWorker()
})
afterAll(() => rig.stop())

const auditOf = (name: string) =>
  rig.store.audit.list({ name }).map(({ actor, action, detail }) => {
    const { state, outcome } = detail as { state: string; outcome?: string }
    return `${actor} ${action} ${state}${outcome === undefined ? '' : ` ${outcome}`}`
  })

describe('a verification', () => {
  it('compares the tables of every shard, aligned for each, and ends with an outcome', async () => {
    const aligned: number[] = []
    const name = rig.pipeline({
      ...healthyEnds,
      plan: async () => [table('s.a', { shard: 2 }), table('s.b'), table('s.c')],
      align: async (shard) => {
        aligned.push(shard)
        return {}
      },
    })
    const { number, handle } = await rig.verify(name)
    expect(await handle.result()).toEqual({ number, outcome: 'equal' })
    expect(aligned).toEqual([0, 2])
    expect(rig.store.verifications.get({ pipeline: name, number })).toMatchObject({
      state: 'done',
      outcome: 'equal',
      passes: 2,
      longestPauseMs: 3,
      tally: { rowsCompared: 300, equal: 300 },
      tables: { total: 3, done: 3, notCompared: 0 },
    })
    expect(auditOf(name)).toEqual(['syncline verify done equal'])
  })

  it('names a table that cannot be compared, and compares the others', async () => {
    const name = rig.pipeline({
      ...healthyEnds,
      plan: async () => [table('s.gone'), table('s.loading'), table('s.t')],
      align: async () => ({ incomplete: [{ table: 's.loading', why: 'loading' }] }),
      compare(compared, signal) {
        if (compared.name === 's.gone') throw new SyncError('SYNC-5147', 's.gone was dropped')
        return healthyEnds.compare(compared, signal)
      },
    })
    const { number, handle } = await rig.verify(name)
    expect(await handle.result()).toMatchObject({ outcome: 'incomplete' })
    const tables = rig.store.verifications.tables({ pipeline: name, number })
    expect(tables.map(({ name: of, state, trouble }) => [of, state, trouble?.message])).toEqual([
      ['s.gone', 'failed', 's.gone was dropped'],
      ['s.loading', 'skipped', 'the load of s.loading is not done'],
      ['s.t', 'done', undefined],
    ])
  })

  it('waits for an engine, shows that, and goes on behind what was compared', async () => {
    let alignments = 0
    const cursors: unknown[] = []
    const name = rig.pipeline({
      ...healthyEnds,
      align: async () => {
        if (alignments++ === 1) throw new SyncError('SYNC-5122', 'no engine answers')
        return {}
      },
      async *compare({ cursor }) {
        cursors.push(cursor)
        const tally = { ...noTally, rowsCompared: 1, equal: 1 }
        if (cursor === null) {
          yield { cursor: [1], isDone: false, tally, differences: [] }
          throw new SyncError('SYNC-5120', 'the engine no longer stands aligned')
        }
        yield { cursor: null, isDone: true, tally, differences: [] }
      },
    })
    const { number, handle } = await rig.verify(name)
    const seen = new Set<string>()
    await waitFor('the end', 30_000, async () => {
      const run = rig.store.verifications.get({ pipeline: name, number })
      if (run?.trouble) seen.add(`${run.state} ${run.trouble.code}`)
      return run?.state === 'done'
    })
    expect(await handle.result()).toMatchObject({ outcome: 'equal' })
    expect([...seen]).toEqual(['waiting SYNC-5120', 'waiting SYNC-5122'])
    expect(cursors).toEqual([null, [1]])
    expect(rig.store.verifications.get({ pipeline: name, number })?.tally.rowsCompared).toBe(2)
  })

  it('goes on though an attempt that was given up has woken and claimed it', async () => {
    const name: string = rig.pipeline({
      ...healthyEnds,
      async *compare({ cursor }) {
        const tally = { ...noTally, rowsCompared: 50, equal: 50 }
        if (cursor === null) {
          yield { cursor: [50], isDone: false, tally, differences: [] }
          const [run] = rig.store.verifications.list(name, { limit: 1 })
          if (run !== undefined) rig.store.verifications.claim(run)
        }
        yield { cursor: null, isDone: true, tally, differences: [] }
      },
    })
    const { number, handle } = await rig.verify(name)
    expect(await handle.result()).toEqual({ number, outcome: 'equal' })
    expect(rig.store.verifications.get({ pipeline: name, number })?.tally.rowsCompared).toBe(100)
  })

  it('that is refused says why', async () => {
    const name = rig.pipeline({
      ...healthyEnds,
      plan: async () => {
        throw new SyncError('SYNC-5142', 'no table is called s.x')
      },
    })
    const { number, handle } = await rig.verify(name)
    expect(await handle.result()).toMatchObject({ outcome: null })
    expect(rig.store.verifications.get({ pipeline: name, number })).toMatchObject({
      state: 'failed',
      trouble: { code: 'SYNC-5142', message: 'no table is called s.x' },
    })
  })

  it('is cancelled by a person, between two steps', async () => {
    const name = rig.pipeline({
      ...healthyEnds,
      async *compare(_, signal) {
        for (let key = 1; ; key++) {
          signal.throwIfAborted()
          await new Promise((resolve) => setTimeout(resolve, 20))
          yield { cursor: [key], isDone: false, tally: { ...noTally, rowsCompared: 1 }, differences: [] }
        }
      },
    })
    const { number, handle } = await rig.verify(name)
    await waitFor('rows', 10_000, async () => {
      const run = rig.store.verifications.get({ pipeline: name, number })
      return (run?.tally.rowsCompared ?? 0) > 3
    })
    await expect(handle.executeUpdate('cancel', { args: [{ actor: ' ' }] })).rejects.toBeInstanceOf(
      WorkflowUpdateFailedError,
    )
    expect(await handle.executeUpdate('cancel', { args: [{ actor: 'carl' }] })).toEqual({ isEnded: true })
    await handle.result()
    const run = rig.store.verifications.get({ pipeline: name, number })
    expect(run).toMatchObject({ state: 'cancelled', outcome: null })
    expect(auditOf(name)[0]).toMatch(/^carl verify cancelled/)
  })

  it('goes on at another worker when its own is told to end', async () => {
    const own = await startScriptedVerifier(await sharedTemporal())
    try {
      const first = await own.startWorker()
      const starts: unknown[] = []
      const name = own.pipeline({
        ...healthyEnds,
        async *compare({ cursor }, signal) {
          starts.push(cursor)
          const from = Number(cursor?.[0] ?? 0)
          for (let key = from + 1; key <= 20; key++) {
            if (starts.length === 1 && key > 5) {
              // As a query in hand that is given up.
              await new Promise((_, reject) =>
                signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
              )
            }
            const isDone = key === 20
            const tally = { ...noTally, rowsCompared: 1, equal: 1 }
            yield { cursor: isDone ? null : [key], isDone, tally, differences: [] }
          }
        },
      })
      const { number, handle } = await own.verify(name)
      const rows = () => own.store.verifications.get({ pipeline: name, number })?.tally.rowsCompared
      await waitFor('five rows', 10_000, async () => rows() === 5)
      await first.end()
      await own.startWorker()
      expect(await handle.result()).toMatchObject({ outcome: 'equal' })
      expect(starts).toEqual([null, [5]])
      expect(rows()).toBe(20)
    } finally {
      await own.stop()
    }
  })

  it('continues as new between activities, with its number and what is to do', async () => {
    const name = rig.pipeline({
      ...healthyEnds,
      plan: async () => [0, 1, 2, 3, 4].map((shard) => table(`s.t${shard}`, { shard })),
    })
    const { number, handle } = await rig.verify(name, { passesPerRun: 2 })
    expect(await handle.result()).toEqual({ number, outcome: 'equal' })
    expect(rig.store.verifications.get({ pipeline: name, number })).toMatchObject({
      passes: 5,
      tables: { total: 5, done: 5 },
    })
  })
})

describe('a repair', () => {
  const verified = async (rows: number, spec: Record<string, unknown> = {}) => {
    const name = rig.pipeline(endsThatDiffer(rows), spec)
    const { number, handle } = await rig.verify(name)
    expect(await handle.result()).toEqual({ number, outcome: 'different' })
    return { name, number }
  }

  it('waits for its approval, writes, and looks again', async () => {
    const { name, number } = await verified(3)
    const { repair, handle } = await rig.repair(name, number, { needsApproval: true })
    const key = { pipeline: name, number, repair }
    expect(rig.store.repairRuns.get(key)?.state).toBe('awaiting-approval')
    await handle.executeUpdate('approve', { args: [{ actor: 'carl' }] })
    expect(await handle.result()).toEqual({ state: 'done' })
    expect(rig.store.repairRuns.get(key)).toMatchObject({
      state: 'done',
      approvedBy: 'carl',
      rows: { total: 3, written: 3, verifiedEqual: 3 },
    })
    expect(rig.store.repairRuns.rows(key, { limit: 1 })[0]).toMatchObject({
      sourceBefore: { note: 'right' },
      targetBefore: { note: 'wrong' },
      targetAfter: { note: 'right' },
    })
    expect(auditOf(name).toReversed()).toEqual([
      'syncline verify done different',
      'carl repair repairing',
      'syncline repair verifying',
      'syncline repair done',
    ])
  })

  it('is approved once, by somebody', async () => {
    const { name, number } = await verified(1)
    const { handle } = await rig.repair(name, number, { needsApproval: true })
    await expect(handle.executeUpdate('approve', { args: [{}] })).rejects.toBeInstanceOf(
      WorkflowUpdateFailedError,
    )
    await handle.executeUpdate('approve', { args: [{ actor: 'carl' }] })
    await handle.result()
  })

  it('is cancelled while it waits', async () => {
    const { name, number } = await verified(1)
    const { repair, handle } = await rig.repair(name, number, { needsApproval: true })
    await handle.executeUpdate('cancel', { args: [{ actor: 'carl' }] })
    expect(await handle.result()).toEqual({ state: 'cancelled' })
    expect(rig.store.repairRuns.get({ pipeline: name, number, repair })).toMatchObject({
      state: 'cancelled',
      approvedBy: null,
      rows: { pending: 1 },
    })
  })

  it('is asked for by a verification of the schedule, where the file says so', async () => {
    const name = rig.pipeline(endsThatDiffer(2), {
      verify: { schedule: '@daily', repair: { automatic: true, approval: 'none' } },
    })
    const workflowId = `verification/${name}/scheduled-2026-01-01T00:00:00Z`
    const handle = await rig.client.workflow.start('verification', {
      workflowId,
      taskQueue: `${rig.prefix}syncline-control`,
      args: [{ pipeline: name, taskQueuePrefix: rig.prefix }],
    })
    expect(await handle.result()).toEqual({ number: 1, outcome: 'different' })
    expect(await rig.client.workflow.getHandle(`repair/${name}/1/1`).result()).toEqual({ state: 'done' })
    expect(rig.store.verifications.get({ pipeline: name, number: 1 })).toMatchObject({
      origin: 'schedule',
      actor: 'schedule',
      workflow: workflowId,
    })
  })
})

describe('a verification that follows the log', () => {
  it('waits for what comes back, goes on in the next run, and is ended by a person', async () => {
    let passes = 0
    const name = rig.pipeline({
      ...healthyEnds,
      follow: async () => {
        passes++
        if (passes <= 2) throw new SyncError(passes === 1 ? 'SYNC-2101' : 'SYNC-2103', 'the source is away')
      },
    })
    const { number, handle } = await rig.watch(name, { passesPerRun: 1 })
    const run = { pipeline: name, number }
    await waitFor('the first wait', 20_000, async () => rig.store.verifications.get(run)?.state === 'waiting')
    await waitFor('the third pass', 30_000, async () => passes === 3)
    await handle.executeUpdate('cancel', { args: [{ actor: 'carl' }] })
    await handle.result()
    expect(rig.store.verifications.get(run)).toMatchObject({ state: 'cancelled', outcome: null })
    expect(auditOf(name)).toEqual(['carl verify cancelled null'])
  })

  it('ends where the log was purged, and says what to do', async () => {
    const name = rig.pipeline({
      ...healthyEnds,
      follow: async () => {
        throw new SyncError('SYNC-2204', 'The source has purged a:1-5')
      },
    })
    const { number, handle } = await rig.watch(name)
    await handle.result()
    expect(rig.store.verifications.get({ pipeline: name, number })).toMatchObject({
      state: 'failed',
      trouble: { code: 'SYNC-2204', remedy: expect.stringContaining('Start another one') },
    })
  })
})
