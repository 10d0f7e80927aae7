/**
 * The source and the target of a pipeline restart, orderly and by SIGKILL, while it loads and while it streams: it goes on by itself.
 */
import { afterEach, expect, it } from 'vitest'
import type { MysqlServer } from '../../dev/mysql.ts'
import { type ChaosRig, seconds, startChaos, startOwnMysql } from '../support/chaos-rig.ts'

let rig: ChaosRig | undefined
let server: MysqlServer | undefined

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
