/*
 * Control and stream workers as processes on a real Temporal: killed, frozen, shut down, and left without Temporal. Whatever happens, every
 * write is there once and in order, and epochs only grow.
 */
import { afterEach, expect, it } from 'vitest'
import { startTemporal } from '../../../dev/temporal.ts'
import { sharedTemporal } from '../../support/servers.ts'
import { eventually } from '../temporal-supervisor/supervisor-bench.ts'
import { exactness, type Fleet, type FleetPipeline, longestGapMs, startFleet } from './worker-process.ts'

let fleet: Fleet | undefined
afterEach(async () => {
  await fleet?.close()
  fleet = undefined
})

const expectExact = (pipeline: FleetPipeline, what: string): void => {
  const writes = pipeline.writes()
  expect(exactness(writes)).toEqual({ inOrder: true, epochsGrow: true })
  console.log(`${what}: ${writes.length} writes, longest gap ${longestGapMs(writes)} ms`)
}

it('runs a pipeline through pause, resume and stop, and tells where it runs', async () => {
  fleet = await startFleet(await sharedTemporal())
  await fleet.startWorker('control')
  const worker = await fleet.startWorker('stream')
  const orders = await fleet.startPipeline()
  await orders.runsOn(worker)
  await orders.reaches(({ state }) => state === 'streaming')
  expect(new Set(orders.writes().map((write) => write.epoch)).size).toBe(1) // One engine through all phases.
  await eventually('it tells', () => orders.writes().length > 100)
  const beat = await orders.heartbeat()
  expect(beat?.details).toMatchObject({ phase: 'streaming', restarts: 0 })
  expect(beat?.details?.hostPid).toBe(orders.writes().at(-1)?.pid)

  expect(await orders.update('pause')).toMatchObject({ state: 'paused' })
  const { length } = orders.writes()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(orders.writes()).toHaveLength(length)
  await orders.update('resume')
  await orders.goesOn()
  await orders.reaches(({ state }) => state === 'streaming')
  expect(await orders.update('stop')).toMatchObject({ state: 'stopped' })
  expectExact(orders, 'pause and resume')
})

it('goes on when the engine host is killed, within the same attempt', async () => {
  fleet = await startFleet(await sharedTemporal())
  await fleet.startWorker('control')
  const worker = await fleet.startWorker('stream')
  const orders = await fleet.startPipeline()
  await orders.reaches(({ state }) => state === 'streaming')
  await orders.runsOn(worker)
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    process.kill(orders.writes().at(-1)?.pid ?? 0, 'SIGKILL')
    await orders.goesOn()
  }
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const beat = await orders.heartbeat()
  expect(beat).toMatchObject({ attempt: 1, details: { restarts: 3, phase: 'streaming' } })
  expectExact(orders, 'engine hosts killed')
})

it('is taken over by another worker when its own is killed, and its engine host ends with it', async () => {
  fleet = await startFleet(await sharedTemporal())
  await fleet.startWorker('control')
  const first = await fleet.startWorker('stream')
  const orders = await fleet.startPipeline()
  await orders.reaches(({ state }) => state === 'streaming')
  await orders.runsOn(first)
  const second = await fleet.startWorker('stream')
  await eventually('the second worker is there', () => second.log().includes('worker at work'))
  const host = orders.writes().at(-1)?.pid ?? 0
  first.signal('SIGKILL')
  await orders.runsOn(second)
  await orders.goesOn()
  expect(() => process.kill(host, 0)).toThrow()
  expectExact(orders, 'worker killed')
})

it('is handed over at once when its worker is told to end', async () => {
  fleet = await startFleet(await sharedTemporal())
  await fleet.startWorker('control')
  const first = await fleet.startWorker('stream')
  const orders = await fleet.startPipeline()
  await orders.reaches(({ state }) => state === 'streaming')
  await orders.runsOn(first)
  const second = await fleet.startWorker('stream')
  await eventually('the second worker is there', () => second.log().includes('worker at work'))
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  first.signal('SIGTERM')
  expect(await first.exited).toBe(0)
  await orders.runsOn(second)
  await orders.goesOn()
  expectExact(orders, 'worker ended')
})

it('writes nothing from a worker that was frozen past its time and continued', async () => {
  fleet = await startFleet(await sharedTemporal())
  await fleet.startWorker('control')
  const first = await fleet.startWorker('stream')
  const orders = await fleet.startPipeline()
  await orders.reaches(({ state }) => state === 'streaming')
  await orders.runsOn(first)
  const second = await fleet.startWorker('stream')
  await eventually('the second worker is there', () => second.log().includes('worker at work'))
  const { generation } = await orders.status()
  const frozenHost = orders.writes().at(-1)?.pid ?? 0
  first.signal('SIGSTOP')
  await fleet.freezeHost(frozenHost)
  await orders.runsOn(second)
  await orders.goesOn()
  const frozenEpoch = orders.writes().findLast((write) => write.pid === frozenHost)?.epoch
  const lastOfFrozen = orders.writes().findLastIndex((write) => write.epoch === frozenEpoch)
  process.kill(frozenHost, 'SIGCONT')
  first.signal('SIGCONT')
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  // By epoch, not by process: on a busy machine Temporal may give the first worker the pipeline back, which is its right. What is never right
  // is that it takes the pipeline back by itself: that would show as a new generation, claimed by the one that was fenced for it.
  expect((await orders.status()).generation).toBe(generation)
  expect(orders.writes().findLastIndex((write) => write.epoch === frozenEpoch)).toBe(lastOfFrozen)
  await orders.goesOn()
  expect(await orders.status()).toMatchObject({ state: 'streaming', blocked: null })
  expectExact(orders, 'worker frozen')
})

it('streams on while Temporal is away, and is the same engine when it is back', async () => {
  const temporal = await startTemporal({ ui: false })
  try {
    fleet = await startFleet(temporal)
    await fleet.startWorker('control')
    const worker = await fleet.startWorker('stream')
    const orders = await fleet.startPipeline()
    await orders.reaches(({ state }) => state === 'streaming')
    await orders.runsOn(worker)
    await temporal.kill()
    // Longer than the heartbeat timeout and the SDK's own buffer of 5 s: the attempt is given up, the engine is not.
    await new Promise((resolve) => setTimeout(resolve, 14_000))
    await orders.goesOn()
    await temporal.restart()
    await eventually('the worker has seen it', () => worker.log().includes('is back'), 60_000)
    await orders.runsOn(worker)
    await orders.goesOn()
    expect(new Set(orders.writes().map((write) => write.epoch)).size).toBe(1)
    expect(await orders.update('stop')).toMatchObject({ state: 'stopped' })
    expectExact(orders, 'Temporal away for 14 s')
  } finally {
    await temporal.discard()
  }
})

it('waits for a Temporal that is not there yet, and registers what its workflows need', async () => {
  const temporal = await startTemporal({ ui: false, searchAttributes: {} })
  try {
    await temporal.stop()
    fleet = await startFleet(temporal)
    const control = await fleet.startWorker('control')
    const worker = await fleet.startWorker('stream')
    await eventually('both wait', () =>
      [control, worker].every((process) => process.log().includes('cannot be reached')),
    )
    await temporal.restart()
    await eventually('both are there', () =>
      [control, worker].every((process) => process.log().includes('worker at work')),
    )
    const orders = await fleet.startPipeline()
    await orders.reaches(({ state }) => state === 'streaming')
    await orders.update('stop')
  } finally {
    await temporal.discard()
  }
})
