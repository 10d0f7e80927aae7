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
    rig = await startChaos({ name: `restart-${side}`, size: 0.05, [side]: mysql })
    const { shop } = rig
    const told: string[] = []
    const goesOn = async (when: string): Promise<void> => {
      for (const [how, end] of ways) {
        await end(mysql)
        await mysql.restart()
        told.push(
          `${how} while ${when}: first batch ${seconds(await shop.moves(60_000))} after the server was back`,
        )
      }
    }
    await goesOn('loading')
    expect(await rig.isLoading()).toBe(true)
    await shop.waitForState('streaming')
    await goesOn('streaming')
    const rows = await rig.finish()
    console.info(`${rows} rows equal; ${told.join('; ')}`)
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
  const before = await shop.mark()
  await temporal.kill()
  const awayAtMs = performance.now()
  let batches = 0
  let longestMs = 0
  while (performance.now() - awayAtMs < 22_000) {
    longestMs = Math.max(longestMs, await shop.moves(15_000))
    batches++
  }
  const during = await shop.mark()
  expect(during.epoch, 'nobody could have started another engine').toBe(before.epoch)

  await temporal.restart()
  const backAtMs = performance.now()
  await waitFor('an engine in the status, seen after the return', 60_000, async () => {
    const answer = (await (await fetch(`${stack.url}/v1/pipelines/without-temporal/status`)).json()) as {
      state: string
      engine: { phase: string; batch: number } | null
    }
    return answer.state === 'streaming' && Number(answer.engine?.batch) > Number(during.batch)
  })
  const seenMs = performance.now() - backAtMs
  await shop.moves(30_000)
  const after = await shop.mark()
  expect(after.epoch).toBeGreaterThanOrEqual(before.epoch)

  expect(await stack.cli(['pause', 'without-temporal'])).toMatchObject({ code: 0 })
  await shop.waitForState('paused', 30_000)
  expect(await stack.cli(['resume', 'without-temporal'])).toMatchObject({ code: 0 })
  const rows = await rig.finish()
  console.info(
    `${rows} rows equal; ${batches} batches seen while Temporal was away, at most ${seconds(longestMs)} apart; in the status ${seconds(seenMs)} after its return; ${after.epoch === before.epoch ? 'the same engine was adopted' : 'a newer engine took over'}`,
  )
})
