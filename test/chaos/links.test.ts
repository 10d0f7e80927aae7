/**
 * The network between an engine and its two servers, and between everything and Temporal, breaks: connections are reset, ended, or go silent
 * without a word (half-open), or are held up for so long that the engine gives them up before they go on. It goes on by itself each time.
 */
import { afterEach, expect, it } from 'vitest'
import { type ChaosRig, proxyTo, seconds, startChaos } from '../support/chaos-rig.ts'
import { assertFenced, installMarkLog, removeMarkLog } from '../support/mark-log.ts'
import type { Proxy } from '../support/proxy.ts'
import { sharedTemporal } from '../support/servers.ts'
import { waitFor } from '../support/stack.ts'

let rig: ChaosRig | undefined
let toTemporal: Proxy | undefined

afterEach(async (context) => {
  if (rig !== undefined) await removeMarkLog(rig.shop.target)
  await rig?.close(context.task.result?.state === 'fail')
  await toTemporal?.close()
  rig = undefined
  toTemporal = undefined
})

/** `held`: nothing gets through for a while, then everything does: also what the engine sent on connections that it has given up since. */
const breaks = ['rst', 'held', 'half-open', 'fin'] as const
type Break = (typeof breaks)[number]

/** Longer than it takes to give a silent connection up. */
const heldMs = 10_000

async function breakLink(proxy: Proxy, how: Break): Promise<void> {
  if (how === 'half-open') proxy.halfOpen()
  else if (how !== 'held') proxy.cut(how)
  else {
    proxy.freeze()
    await new Promise((resolve) => setTimeout(resolve, heldMs))
    proxy.resume()
  }
}

for (const side of ['source', 'target'] as const) {
  it(`the links to the ${side} break while it loads and while it streams`, { timeout: 300_000 }, async () => {
    rig = await startChaos({ name: `links-${side}`, size: 0.03, proxied: { side, delayMs: 15 } })
    const proxy = rig.link as Proxy
    const { shop } = rig
    const told: Record<'loading' | 'streaming', string[]> = { loading: [], streaming: [] }
    const goesOn = async (): Promise<void> => {
      for (const how of breaks) {
        await waitFor('links to break', 30_000, async () => proxy.links() > 0)
        const when = (await rig?.isLoading()) === true ? 'loading' : 'streaming'
        await breakLink(proxy, how)
        told[when].push(`${how} ${seconds(await shop.goesOn(90_000))}`)
      }
    }
    await installMarkLog(shop.target)
    await goesOn()
    proxy.setLatency({ upMs: 0, downMs: 0 })
    await shop.waitForState('streaming')
    await goesOn()
    const { notes, epochs } = await assertFenced(shop.target, shop.name)
    expect(told.loading.length).toBe(breaks.length)
    const rows = await rig.finish()
    console.info(
      `${rows} rows equal; all is confirmed after: loading ${told.loading.join(', ')}; streaming ${told.streaming.join(', ')}; ${notes} writes of ${epochs} owners in order`,
    )
  })
}

it('the links to Temporal break while it loads and while it streams', { timeout: 300_000 }, async () => {
  const { address, namespace } = await sharedTemporal()
  const [host = '', port = ''] = address.split(':')
  const proxy = await proxyTo({ host, port: Number(port) })
  toTemporal = proxy
  rig = await startChaos({
    name: 'links-temporal',
    size: 0.02,
    temporal: { address: `${proxy.host}:${proxy.port}`, namespace },
    streamWorkers: 2,
  })
  const { shop, stack } = rig
  let longestMs = 0
  let longestStatusMs = 0
  const goesOn = async (ways: readonly Break[]): Promise<void> => {
    for (const how of ways) {
      await breakLink(proxy, how)
      // The data path does not ask Temporal; the way back to the status does.
      longestMs = Math.max(longestMs, await shop.goesOn(60_000))
      const { batch } = await shop.mark()
      const waitedMs = await waitFor('the status', 90_000, async () => {
        const { engine } = await stack.status('links-temporal')
        return BigInt(engine?.batch ?? -1) >= batch
      })
      longestStatusMs = Math.max(longestStatusMs, waitedMs)
    }
  }
  await goesOn(['rst', 'fin'])
  await shop.waitForState('streaming')
  // A silent link takes the SDK 45 s to notice (its keep-alive cannot be set), so once is enough.
  await goesOn(['rst', 'half-open', 'fin'])
  await shop.unwatchVersions()
  expect(await stack.cli(['pause', 'links-temporal'])).toMatchObject({ code: 0 })
  await shop.waitForState('paused', 30_000)
  expect(await stack.cli(['resume', 'links-temporal'])).toMatchObject({ code: 0 })
  const rows = await rig.finish()
  console.info(
    `${rows} rows equal; all is confirmed after at most ${seconds(longestMs)}, in the status after at most ${seconds(longestStatusMs)}`,
  )
})
