/*
 * The supervisor with real child processes: death, silence and stuckness of hosts and engines, adoption, drains, detached engines.
 * The rule that every test ends with: epochs only grow in the order of the writes, and no number is written twice.
 */
import { afterEach, describe, expect, it } from 'vitest'
import type { EngineLease } from '../../../src/activities/engine-supervisor.ts'
import { eventually, type SupervisorBench, startBench, type WriteRow } from './supervisor-bench.ts'

let bench: SupervisorBench | undefined
afterEach(async () => {
  await bench?.close()
  bench = undefined
})

const streams = (lease: EngineLease): Promise<void> =>
  eventually('the engine streams', () => lease.status()?.phase === 'streaming')

const expectExact = (writes: readonly WriteRow[]): void => {
  expect(writes.map((write) => write.n)).toEqual(writes.map((_, index) => index + 1))
  const epochs = writes.map((write) => BigInt(write.epoch))
  expect(epochs.every((epoch, index) => index === 0 || epoch >= (epochs[index - 1] ?? 0n))).toBe(true)
}

describe('an engine', () => {
  it('runs in another process, reaches its phases, and drains', async () => {
    bench = await startBench()
    const lease = await bench.acquire('orders')
    await streams(lease)
    expect(lease.hostPid()).not.toBe(process.pid)
    lease.drain('test')
    await eventually('it ends', () => lease.outcome() !== null)
    const writes = bench.writes('orders')
    expect(lease.outcome()).toEqual({
      kind: 'drained',
      position: { token: `n-${writes.length}`, ordinal: 0 },
    })
    expectExact(writes)
  })

  it('goes on in the warm spare when its host is killed, exactly where it stood', async () => {
    bench = await startBench()
    const leases = [await bench.acquire('orders'), await bench.acquire('users')]
    for (const lease of leases) await streams(lease)
    await new Promise((resolve) => setTimeout(resolve, 1_500)) // The spare needs a moment to be warm.
    const firstHost = leases[0]?.hostPid() ?? 0
    process.kill(firstHost, 'SIGKILL')
    await eventually('both engines run in another host', () =>
      leases.every((lease) => lease.restarts() === 1 && lease.hostPid() !== firstHost),
    )
    for (const lease of leases) await streams(lease)
    for (const pipeline of ['orders', 'users']) {
      const writes = bench.writes(pipeline)
      expectExact(writes)
      expect(new Set(writes.map((write) => write.pid)).size).toBe(2)
    }
  })

  it('survives death after death of its hosts', async () => {
    bench = await startBench()
    const lease = await bench.acquire('orders')
    for (let round = 1; round <= 4; round++) {
      await streams(lease)
      bench.command('orders', 'crash')
      await eventually('it was started again', () => lease.restarts() === round)
      expect(lease.outcome()).toBeNull()
    }
    await streams(lease)
    expectExact(bench.writes('orders'))
  })

  it('is started anew when its host stops answering (SIGSTOP, or a loop that never ends)', async () => {
    bench = await startBench({ silenceMs: 1_500 })
    const lease = await bench.acquire('orders')
    await streams(lease)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    process.kill(lease.hostPid() ?? 0, 'SIGSTOP')
    await eventually('it was started again', () => lease.restarts() === 1)
    await streams(lease)
    bench.command('orders', 'busy')
    await eventually('it was started again', () => lease.restarts() === 2)
    await streams(lease)
    expectExact(bench.writes('orders'))
  })

  it('that is stuck is replaced in the same host, and what wakes up later is fenced', async () => {
    bench = await startBench({ times: { stuckMs: 2_500 } })
    const lease = await bench.acquire('orders')
    await streams(lease)
    const host = lease.hostPid()
    bench.command('orders', 'stuck')
    await eventually('it was started again', () => lease.restarts() === 1)
    await streams(lease)
    expect(lease.hostPid()).toBe(host)
    expectExact(bench.writes('orders'))
  })

  it('that does not drain is cut off after a while', async () => {
    bench = await startBench({ times: { drainMs: 500 } })
    const lease = await bench.acquire('orders')
    await streams(lease)
    bench.command('orders', 'deaf')
    await new Promise((resolve) => setTimeout(resolve, 100))
    lease.drain('test')
    await eventually('it ends', () => lease.outcome() !== null)
    expect(lease.outcome()?.kind).toBe('drained')
    const { length } = bench.writes('orders')
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(bench.writes('orders')).toHaveLength(length)
  })

  it('tells why it is blocked', async () => {
    bench = await startBench()
    const lease = await bench.acquire('orders')
    await streams(lease)
    bench.command('orders', 'block')
    await eventually('it ends', () => lease.outcome() !== null)
    expect(lease.outcome()).toMatchObject({ kind: 'blocked', code: 'SYNC-2301', at: 'uuid:9' })
  })
})

describe('ownership', () => {
  it('passes to the next attempt while the engine runs on', async () => {
    bench = await startBench()
    const first = await bench.acquire('orders')
    await streams(first)
    const second = await bench.acquire('orders', { scheduledTimeMs: Date.now() + 5 })
    expect(first.outcome()).toEqual({ kind: 'superseded' })
    expect(second.outcome()).toBeNull()
    first.drain('a zombie has no say')
    first.release('handover')
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(second.status()?.phase).toBe('streaming')
    expect(new Set(bench.writes('orders').map((write) => write.epoch)).size).toBe(1)
  })

  it('that nobody takes over after a phase ends the engine', async () => {
    bench = await startBench({ times: { handoverMs: 300 } })
    const lease = await bench.acquire('orders')
    await streams(lease)
    lease.release('handover')
    await eventually('it ends', () => lease.outcome()?.kind === 'drained')
  })

  it('of another generation waits for the drain of the one before', async () => {
    bench = await startBench()
    const old = await bench.acquire('orders')
    await streams(old)
    const next = await bench.acquire('orders', { generation: 2 })
    expect(old.outcome()?.kind).toBe('drained')
    await streams(next)
    expectExact(bench.writes('orders'))
    const late = await bench.acquire('orders', { generation: 1 })
    expect(late.outcome()).toEqual({ kind: 'fenced' })
    expect(next.outcome()).toBeNull()
  })

  it('that was lost to another worker for a while is taken back by a newer attempt, and reported when not', async () => {
    bench = await startBench()
    const other = await startBench({ host: hostOf(bench) })
    try {
      const now = Date.now()
      const first = await bench.acquire('orders', { scheduledTimeMs: now })
      await streams(first)
      first.release('detached')
      const elsewhere = await other.acquire('orders', { scheduledTimeMs: now + 60_000 })
      await streams(elsewhere)
      await eventually('the detached engine is fenced', () => first.outcome()?.kind === 'fenced')

      const back = await bench.acquire('orders', { scheduledTimeMs: now + 120_000 })
      await streams(back)
      await eventually('the other is fenced', () => elsewhere.outcome()?.kind === 'fenced')
      expectExact(bench.writes('orders'))
    } finally {
      await other.close()
    }
  })
})

describe('an idle engine that another worker overtook unnoticed', () => {
  it('is started under the newer attempt that adopts it, instead of ending as fenced', async () => {
    bench = await startBench()
    const other = await startBench({ host: hostOf(bench) })
    try {
      const now = Date.now()
      const first = await bench.acquire('orders', { scheduledTimeMs: now })
      await streams(first)
      bench.command('orders', 'retrying')
      await eventually('it writes nothing', () => first.status()?.phase === 'retrying')
      first.release('detached')
      const elsewhere = await other.acquire('orders', { scheduledTimeMs: now + 60_000 })
      await streams(elsewhere)
      const back = await bench.acquire('orders', { scheduledTimeMs: now + 120_000 })
      expect(back.restarts()).toBe(0)
      bench.command('orders', 'recover')
      await eventually('it took the pipeline back', () => back.restarts() === 1)
      await streams(back)
      expect(back.outcome()).toBeNull()
      await eventually('the other is fenced', () => elsewhere.outcome()?.kind === 'fenced')
      expectExact(bench.writes('orders'))
    } finally {
      await other.close()
    }
  })
})

describe('an engine that Temporal lost sight of', () => {
  it('streams on while Temporal is away, and drains once it is back without work for it', async () => {
    bench = await startBench({ times: { detachedMs: 1_500 } })
    bench.isTemporalReachable = false
    const lease = await bench.acquire('orders')
    await streams(lease)
    lease.release('detached')
    await new Promise((resolve) => setTimeout(resolve, 3_500))
    expect(lease.status()?.phase).toBe('streaming')
    bench.isTemporalReachable = true
    await eventually('it drains', () => lease.outcome() !== null)
    expectExact(bench.writes('orders'))
  })

  it('streams on when Temporal goes away between two phases, and waits for its owner once it is back', async () => {
    bench = await startBench({ times: { handoverMs: 300, detachedMs: 3_000 } })
    bench.isTemporalReachable = false
    const lease = await bench.acquire('orders')
    await streams(lease)
    lease.release('handover')
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(lease.status()?.phase).toBe('streaming')
    bench.isTemporalReachable = true
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    const next = await bench.acquire('orders', { scheduledTimeMs: Date.now() + 5 })
    expect(next.status()?.phase).toBe('streaming')
    expect(new Set(bench.writes('orders').map((write) => write.epoch)).size).toBe(1)
    next.release('handover')
    await eventually('it drains', () => next.outcome()?.kind === 'drained')
  })

  it('is adopted by the attempt that comes when Temporal is back', async () => {
    bench = await startBench({ times: { detachedMs: 1_000 } })
    const lease = await bench.acquire('orders')
    await streams(lease)
    lease.release('detached')
    const next = await bench.acquire('orders', { scheduledTimeMs: Date.now() + 5 })
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(next.outcome()).toBeNull()
    expect(new Set(bench.writes('orders').map((write) => write.epoch)).size).toBe(1)
  })
})

describe('checks', () => {
  it('answer, and tell what passes from what does not', async () => {
    bench = await startBench()
    const ref = (pipeline: string) => ({ pipeline, specGeneration: 1 })
    expect(await bench.supervisor.check(ref('fine'))).toEqual({ kind: 'checked', found: null })
    bench.answerCheck('bad', 'a table has no key')
    expect(await bench.supervisor.check(ref('bad'))).toMatchObject({
      found: { code: 'SYNC-4003', message: 'a table has no key' },
    })
    bench.answerCheck('away', 'passing')
    expect(await bench.supervisor.check(ref('away'))).toMatchObject({
      error: { code: 'SYNC-2101', isPassing: true },
    })
    bench.answerCheck('locked', 'final')
    expect(await bench.supervisor.check(ref('locked'))).toMatchObject({
      error: { code: 'SYNC-2102', isPassing: false },
    })
    bench.answerCheck('deadly', 'crash')
    expect(await bench.supervisor.check(ref('deadly'))).toMatchObject({
      error: { code: 'SYNC-4001', isPassing: true },
    })
  })
})

const hostOf = (of: SupervisorBench) => ({
  runtimeModule: new URL('./scripted-runtime.ts', import.meta.url).href,
  runtime: { storePath: of.path },
})
