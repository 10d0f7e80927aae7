/**
 * SIGKILL at 30 random moments under writes, of the engine's process and of whole workers, while it loads and while it streams: the data
 * ends equal, and no row is ever seen going back.
 */
import { afterEach, expect, it } from 'vitest'
import { sharedSource, sharedTarget, sharedTemporal } from '../support/servers.ts'
import { createShopPipeline, type ShopPipeline } from '../support/shop-pipeline.ts'
import { type Proc, type Stack, startStack, waitFor } from '../support/stack.ts'

let stack: Stack | undefined
let shop: ShopPipeline | undefined

afterEach(async (context) => {
  if (context.task.result?.state === 'fail' && stack !== undefined) console.error(await stack.logs())
  await shop?.close()
  await stack?.stop()
})

it('the data ends equal after 30 kills', { timeout: 900_000 }, async () => {
  const [source, target, temporal] = [await sharedSource(), await sharedTarget(), await sharedTemporal()]
  stack = await startStack(temporal)
  await stack.startWorker('control')
  let worker: Proc = await stack.startWorker('stream')
  shop = await createShopPipeline(stack, source, target, 'kills', {
    size: 0.1,
    // Small chunks and few at once: the load lasts long enough to be hit many times.
    spec: { load: { chunkRows: 200, chunksInFlight: 2 } },
  })
  await shop.startWriting(100)
  await shop.apply()
  await shop.watchVersions()

  const engineMs: number[] = []
  const workerMs: number[] = []
  let whileLoading = 0
  for (let kill = 0; kill < 30; kill++) {
    if (kill === 15) await shop.waitForState('streaming', 300_000)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500))
    if ((await stack.status('kills')).state === 'loading') whileLoading++
    if (kill % 5 === 4) {
      worker.kill('SIGKILL')
      await worker.ended()
      worker = await stack.startWorker('stream')
      workerMs.push(await shop.moves(60_000))
    } else {
      let pid = 0
      await waitFor('an engine', 30_000, async () => {
        pid = Number((await (stack as Stack).status('kills')).engine?.hostPid ?? 0)
        return pid > 0 && isAlive(pid)
      })
      process.kill(pid, 'SIGKILL')
      engineMs.push(await shop.moves(30_000))
    }
  }
  await shop.waitForState('streaming', 300_000)
  await shop.stopWriting()
  await shop.settle()
  const rows = await shop.expectEqual()
  console.info(
    `${rows} rows equal after 30 kills (${whileLoading} while loading); first batch after an engine's death ${spread(engineMs)} ms, after a worker's ${spread(workerMs)} ms`,
  )
  expect(rows).toBeGreaterThan(10_000)
  // The first fifteen find it loading, unless the machine is so fast that it ends before.
  expect(whileLoading).toBeGreaterThan(3)
  expect(whileLoading).toBeLessThanOrEqual(15)
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const spread = (times: readonly number[]): string => {
  const sorted = times.toSorted((a, b) => a - b).map(Math.round)
  return `${sorted[Math.floor(sorted.length / 2)]} (at most ${sorted.at(-1)})`
}
