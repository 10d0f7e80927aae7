/*
 * `npm run dev:servers`: Temporal and two MySQL servers, source and target, until Ctrl-C. Their data is thrown away,
 * or kept in the folder given with --dir and found there again by the next start. No two starts may share a folder.
 */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startMysql } from './mysql.ts'
import { createScratch } from './scratch.ts'
import { startTemporal } from './temporal.ts'
import { siteServerIds } from './versions.ts'

const { values } = parseArgs({ options: { dir: { type: 'string' } } })
const scratch = values.dir === undefined ? await createScratch('dev') : undefined
const dir = scratch?.path ?? resolve(values.dir ?? '.')

const [source, target, temporal] = await Promise.all([
  startMysql({ dir: join(dir, 'source'), name: 'MySQL source', serverId: siteServerIds.source }),
  startMysql({ dir: join(dir, 'target'), name: 'MySQL target', serverId: siteServerIds.target }),
  startTemporal({ dir: join(dir, 'temporal') }),
])

console.log(`MySQL ${source.version}, user ${source.user}, no password`)
for (const server of [source, target]) {
  console.log(`  ${server.name}: ${server.host}:${server.port}  socket ${server.socket}`)
}
console.log(`Temporal: ${temporal.address}  namespace ${temporal.namespace}  web UI ${temporal.uiUrl}`)
console.log(`Data ${scratch === undefined ? 'kept' : 'until the end'} in ${dir}. Ctrl-C ends all three.`)

const signal = await new Promise<string>((resolveSignal) => {
  // Nothing else keeps this process alive: the servers' handles do not.
  const alive = setInterval(() => {}, 60_000)
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      clearInterval(alive)
      resolveSignal(name)
    })
  }
})
console.log(`\n${signal}: ending the servers ...`)
await Promise.all([source.stop(), target.stop(), temporal.stop()])
await scratch?.remove()
