/**
 * What decides is away, and what moves data goes on: Temporal is killed while a pipeline loads and stays away for longer than every timeout,
 * the load ends and the stream goes on meanwhile, even through the death of the engine's process; then the API server and the control
 * worker are killed. Each time the status and the commands work again by themselves once everything is back.
 */
import { afterEach, expect, it } from 'vitest'
import { startTemporal, type TemporalServer } from '../../dev/temporal.ts'
import { type ChaosRig, seconds, startChaos } from '../support/chaos-rig.ts'
import { waitFor } from '../support/stack.ts'

const name = 'outage'
let rig: ChaosRig | undefined
let temporal: TemporalServer | undefined

afterEach(async (context) => {
  await rig?.close(context.task.result?.state === 'fail')
  await temporal?.discard()
})

/** Pauses and resumes through the command line. The triggers go first: the pre-checks of a resumed pipeline refuse them. */
async function pauseAndResume({ stack, shop }: ChaosRig): Promise<void> {
  expect(await stack.cli(['pause', name])).toMatchObject({ code: 0 })
  await shop.waitForState('paused', 60_000)
  expect(await stack.cli(['resume', name])).toMatchObject({ code: 0 })
  await shop.waitForState('streaming', 60_000)
}

/** How long it takes until the status tells of a batch that is confirmed only from now on. */
async function statusIsBack({ stack, shop }: ChaosRig): Promise<number> {
  const { batch } = await shop.mark()
  return waitFor('a fresh status', 90_000, async () => {
    const { state, engine } = await stack.status(name)
    return state === 'streaming' && BigInt(engine?.batch ?? 0) > batch
  })
}

it('the data path goes on without Temporal, without the API and without a control worker', {
  timeout: 420_000,
}, async () => {
  const server = await startTemporal({ ui: false })
  temporal = server
  rig = await startChaos({
    name,
    size: 0.03,
    temporal: server,
    streamWorkers: 2,
    proxied: { side: 'target', delayMs: 15 },
  })
  const { shop, stack } = rig
  await shop.waitForState('loading')
  const engine = await rig.enginePid()
  const { epoch } = await shop.mark()
  expect(await rig.isLoading()).toBe(true)

  await server.kill()
  const awayAtMs = performance.now()
  await waitFor('the load to end', 120_000, async () => {
    const [rows] = await shop.target.query(
      `SELECT (SELECT COUNT(*) FROM syncline.load_progress WHERE pipeline = ? AND done = 1) AS done,
         (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ?) AS tables`,
      [name, shop.database],
    )
    const [row] = rows as { done: number; tables: number }[]
    return row !== undefined && row.done > 0 && row.done === row.tables
  })
  const loadedMs = performance.now() - awayAtMs
  rig.link?.setLatency({ upMs: 0, downMs: 0 })
  process.kill(engine, 'SIGKILL')
  await waitFor('another engine', 30_000, async () => (await shop.mark()).epoch > epoch)
  let longestMs = await shop.goesOn(30_000)
  while (performance.now() - awayAtMs < 22_000) longestMs = Math.max(longestMs, await shop.goesOn(30_000))
  const during = await shop.mark()

  await server.restart()
  const backMs = await statusIsBack(rig)
  const after = await shop.mark()
  expect(after.epoch).toBeGreaterThanOrEqual(during.epoch)
  await shop.unwatchVersions()
  await pauseAndResume(rig)

  stack.server().kill('SIGKILL')
  rig.control.kill('SIGKILL')
  await Promise.all([stack.server().ended(), rig.control.ended()])
  for (let look = 0; look < 10; look++) longestMs = Math.max(longestMs, await shop.goesOn(30_000))
  await stack.startServer()
  await stack.startWorker('control')
  const againMs = await statusIsBack(rig)
  await pauseAndResume(rig)
  const rows = await rig.finish()
  console.info(
    `${rows} rows equal; loaded ${seconds(loadedMs)} after Temporal had gone; writes confirmed after at most ${seconds(longestMs)}; ` +
      `status ${seconds(backMs)} after Temporal's return (${after.epoch === during.epoch ? 'the same engine' : 'a newer engine'}), ` +
      `${seconds(againMs)} after the return of API and control worker`,
  )
})
