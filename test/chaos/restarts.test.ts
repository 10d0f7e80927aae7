/**
 * The servers around a pipeline restart: the source and the target, orderly and by SIGKILL, while it loads and while it streams, and
 * Temporal for longer than the heartbeat timeout. It goes on by itself each time, and while Temporal is away rows keep arriving.
 */
import { afterEach, expect, it } from 'vitest'
import type { MysqlServer } from '../../dev/mysql.ts'
import { startTemporal, type TemporalServer } from '../../dev/temporal.ts'
import { type ChaosRig, seconds, startChaos, startOwnMysql } from '../support/chaos-rig.ts'
import { waitFor } from '../support/stack.ts'

let rig: ChaosRig | undefined
let server: MysqlServer | TemporalServer | undefined

afterEach(async (context) => {
  await rig?.close(context.task.result?.state === 'fail')
  await server?.discard()
  rig = undefined
  server = undefined
})

const ways: readonly (readonly [string, (mysql: MysqlServer) => Promise<void>])[] = [
  ['stop', (mysql) => mysql.stop()],
  ['SIGKILL', (mysql) => mysql.kill()],
]

for (const side of ['source', 'target'] as const) {
  it(`the ${side} restarts while it loads and while it streams`, { timeout: 300_000 }, async () => {
    const mysql = await startOwnMysql(`restarted ${side}`, { durable: true })
    server = mysql
    rig = await startChaos({
      name: `restart-${side}`,
      size: 0.03,
      [side]: mysql,
      // The other side is far away, so that the load lasts.
      proxied: { side: side === 'source' ? 'target' : 'source', delayMs: 15 },
    })
    const { shop } = rig
    const told: string[] = []
    const goesOn = async (when: 'loading' | 'streaming'): Promise<void> => {
      for (const [how, end] of ways) {
        expect((await rig?.stack.status(shop.name))?.state).toBe(when)
        await end(mysql)
        await mysql.restart()
        told.push(`${how} while ${when}: ${seconds(await shop.goesOn(90_000))}`)
      }
    }
    await goesOn('loading')
    rig.link?.setLatency({ upMs: 0, downMs: 0 })
    await shop.waitForState('streaming')
    await goesOn('streaming')
    const rows = await rig.finish()
    console.info(
      `${rows} rows equal; what was committed by the server's return is confirmed after: ${told.join(', ')}`,
    )
  })
}

it('Temporal is away for 22 s while it streams', { timeout: 300_000 }, async () => {
  const temporal = await startTemporal({ ui: false })
  server = temporal
  rig = await startChaos({
    name: 'without-temporal',
    size: 0.01,
    temporal,
    streamWorkers: 2,
    spec: { load: {} },
  })
  const { shop, stack } = rig
  await shop.waitForState('streaming')
  await temporal.kill()
  const awayAtMs = performance.now()
  let looks = 0
  let longestMs = 0
  while (performance.now() - awayAtMs < 22_000) {
    longestMs = Math.max(longestMs, await shop.goesOn(15_000))
    looks++
  }
  const during = await shop.mark()

  await temporal.restart()
  const backAtMs = performance.now()
  await waitFor('an engine in the status, seen after the return', 60_000, async () => {
    const { state, engine } = await stack.status('without-temporal')
    return state === 'streaming' && BigInt(engine?.batch ?? 0) > during.batch
  })
  const seenMs = performance.now() - backAtMs
  await shop.moves(30_000)
  const after = await shop.mark()
  expect(after.epoch).toBeGreaterThanOrEqual(during.epoch)

  await shop.unwatchVersions()
  expect(await stack.cli(['pause', 'without-temporal'])).toMatchObject({ code: 0 })
  await shop.waitForState('paused', 30_000)
  expect(await stack.cli(['resume', 'without-temporal'])).toMatchObject({ code: 0 })
  const rows = await rig.finish()
  console.info(
    `${rows} rows equal; while Temporal was away the target had everything after at most ${seconds(longestMs)} (${looks} looks); in the status ${seconds(seenMs)} after its return; ${after.epoch === during.epoch ? 'the same engine was adopted' : 'a newer engine took over'}`,
  )
})
