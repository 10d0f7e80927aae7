/**
 * Processes that are frozen by SIGSTOP for longer than the heartbeat timeout and then continued: a stream worker with its engine, the worker
 * alone, the engine alone. Somebody else takes over, and the one that wakes up writes nothing: it ends as fenced.
 */
import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type ChaosRig, isAlive, seconds, startChaos } from '../support/chaos-rig.ts'
import { assertFenced, installMarkLog, removeMarkLog } from '../support/mark-log.ts'
import { type Proc, waitFor } from '../support/stack.ts'

let rig: ChaosRig
let failed = false
const frozen = new Set<number>()

beforeAll(async () => {
  rig = await startChaos({
    name: 'frozen',
    size: 0.03,
    streamWorkers: 2,
    // A long link: the engine is mostly in the middle of a batch, and the load lasts.
    proxied: { side: 'target', delayMs: 15 },
  })
  await installMarkLog(rig.shop.target)
})

afterEach((context) => {
  if (context.task.result?.state === 'fail') failed = true
  thaw()
})

afterAll(async () => {
  thaw()
  if (rig !== undefined) await removeMarkLog(rig.shop.target)
  await rig?.close(failed)
})

function freeze(pid: number): void {
  frozen.add(pid)
  process.kill(pid, 'SIGSTOP')
}

function thaw(): void {
  for (const pid of frozen) if (isAlive(pid)) process.kill(pid, 'SIGCONT')
  frozen.clear()
}

const takenOver = (epoch: bigint): Promise<number> =>
  waitFor('a newer epoch', 90_000, async () => (await rig.shop.mark()).epoch > epoch)

/** How often a worker's log tells that an engine ended as fenced. */
const fencedIn = async (worker: Proc): Promise<number> =>
  (await readFile(worker.logFile, 'utf8')).split('"outcome":"fenced"').length - 1

for (const phase of ['loading', 'streaming'] as const) {
  it(`a worker and its engine, frozen while ${phase} and continued: the second worker has it, the first one is fenced`, {
    timeout: 240_000,
  }, async () => {
    if (phase === 'streaming') rig.link?.setLatency({ upMs: 0, downMs: 0 })
    const { worker, engine, epoch } = await rig.atWork(phase)
    const fencedBefore = await fencedIn(worker)
    freeze(engine)
    freeze(worker.pid)
    const tookMs = await takenOver(epoch)
    const goesOnMs = await rig.shop.goesOn(60_000)
    thaw()
    await waitFor('the old engine to end', 60_000, async () => (await fencedIn(worker)) > fencedBefore)
    await rig.shop.goesOn(60_000)
    await assertFenced(rig.shop.target, 'frozen')
    console.info(
      `both frozen while ${phase}: taken over after ${seconds(tookMs)}, all confirmed ${seconds(goesOnMs)} later`,
    )
  })
}

it('a worker alone, frozen and continued: its engine streams on until the second worker has taken over', {
  timeout: 240_000,
}, async () => {
  const { worker, epoch } = await rig.atWork('streaming')
  const fencedBefore = await fencedIn(worker)
  freeze(worker.pid)
  const byOldMs = await rig.shop.goesOn(60_000)
  const tookMs = await takenOver(epoch)
  const goesOnMs = await rig.shop.goesOn(60_000)
  thaw()
  await waitFor('the old engine to end', 60_000, async () => (await fencedIn(worker)) > fencedBefore)
  await rig.shop.goesOn(60_000)
  await assertFenced(rig.shop.target, 'frozen')
  console.info(
    `worker frozen: its engine confirmed all within ${seconds(byOldMs)}, taken over after ${seconds(tookMs)}, all confirmed ${seconds(goesOnMs)} later`,
  )
})

it('an engine alone, frozen: its worker replaces it', { timeout: 240_000 }, async () => {
  const { worker, engine, epoch } = await rig.atWork('streaming')
  freeze(engine)
  const tookMs = await takenOver(epoch)
  const goesOnMs = await rig.shop.goesOn(60_000)
  const after = await rig.atWork('streaming')
  expect(after.worker.pid, 'the same worker').toBe(worker.pid)
  expect(after.engine).not.toBe(engine)
  await waitFor('the frozen process to be gone', 30_000, async () => !isAlive(engine))
  await assertFenced(rig.shop.target, 'frozen')
  console.info(`engine frozen: replaced after ${seconds(tookMs)}, all confirmed ${seconds(goesOnMs)} later`)
})

it('in the end both sides are equal and no old owner has written', { timeout: 240_000 }, async () => {
  const rows = await rig.finish()
  const { notes, epochs } = await assertFenced(rig.shop.target, 'frozen')
  expect(epochs).toBeGreaterThan(3)
  // The log would have seen it.
  await rig.shop.target.query(
    'UPDATE syncline.apply_mark SET epoch = epoch - 1 WHERE pipeline = ? AND slot = 0',
    ['frozen'],
  )
  await expect(assertFenced(rig.shop.target, 'frozen')).rejects.toThrow('An old owner wrote')
  console.info(`${rows} rows equal; ${notes} writes of ${epochs} owners in order`)
})
