/**
 * A stream worker is told to end (SIGTERM) while a second one stands by: it drains and hands over at once, and the stream goes on there.
 */
import { afterEach, expect, it } from 'vitest'
import { type ChaosRig, seconds, startChaos } from '../support/chaos-rig.ts'
import { waitFor } from '../support/stack.ts'

let rig: ChaosRig | undefined

afterEach(async (context) => {
  await rig?.close(context.task.result?.state === 'fail')
  rig = undefined
})

it('stream workers end in an orderly way, while loading and while streaming, and the others go on', {
  timeout: 300_000,
}, async () => {
  rig = await startChaos({
    name: 'handed-over',
    size: 0.03,
    streamWorkers: 2,
    proxied: { side: 'target', delayMs: 15 },
  })
  const { shop } = rig
  const told: string[] = []
  for (const state of ['loading', 'streaming', 'streaming'] as const) {
    if (state === 'streaming') rig.link?.setLatency({ upMs: 0, downMs: 0 })
    const { worker, epoch } = await rig.atWork(state)
    const askedAtMs = performance.now()
    worker.kill('SIGTERM')
    await waitFor('another owner', 60_000, async () => (await shop.mark()).epoch > epoch)
    const takenMs = performance.now() - askedAtMs
    const movedMs = await shop.moves(60_000)
    expect(await worker.ended(), 'the exit status').toBe(0)
    told.push(`${state} ${seconds(takenMs + movedMs)}`)
    await rig.addWorker()
  }
  const rows = await rig.finish()
  console.info(`${rows} rows equal; first batch of the next worker after SIGTERM: ${told.join(', ')}`)
})
