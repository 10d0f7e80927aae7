/*
 * `npm run demo`: a shop in one MySQL, kept in step in another by Syncline, while it is written to and while Syncline's processes are
 * killed. Ends with a proof that both sides are equal, row by row; only then is its exit status 0.
 *
 * Starts everything that it needs on free ports, in folders of its own, and ends all of it; the first start on a machine fetches the servers and
 * fills the shop once. If it fails, the logs stay, and it says where.
 */
import { parseArgs } from 'node:util'
import { proveEqual } from './demo/proof.ts'
import { createRun, type DemoRun } from './demo/run.ts'
import { createScreen, secondsText } from './demo/screen.ts'
import { shopDatabase } from './demo/source-data.ts'
import { pipelineName, type Servers, type Syncline, startServers, startSyncline } from './demo/stage.ts'
import { strikeWhileLoading, strikeWhileStreaming } from './demo/strikes.ts'
import { verifyAndRepair } from './demo/verification.ts'
import { liveText, startWatch } from './demo/watch.ts'
import { plainServer, shopRows } from './shop/fill.ts'
import { shopTables } from './shop/schema.ts'
import { startWriters, type Writers } from './shop/writer.ts'

const usage = `npm run demo -- [options]
  --keep    leave everything running until Ctrl-C
  --small   a twentieth of the rows
  --rate N  operations per second that the writers do (150)`

const { values: given } = parseArgs({
  options: {
    keep: { type: 'boolean', default: false },
    small: { type: 'boolean', default: false },
    rate: { type: 'string', default: '150' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (given.help || !(Number(given.rate) > 0)) {
  console.log(usage)
  process.exit(given.help ? 0 : 2)
}

const screen = createScreen()
const run = await createRun({
  screen,
  isSmall: given.small,
  size: given.small ? 0.05 : 1,
  writesPerSecond: Number(given.rate),
})
let keeping: (() => void) | undefined
let isInterrupted = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    screen.live('')
    if (keeping !== undefined) return keeping()
    if (isInterrupted) return
    isInterrupted = true
    screen.say(`\n${signal}: ending everything ...`)
    void run.end(false).then(() => process.exit(130))
  })
}

try {
  const isEqual = await demo(run)
  await run.end(!isEqual)
  process.exitCode = isEqual ? 0 : 1
} catch (error) {
  if (!isInterrupted) {
    screen.live('')
    screen.failed('Failed', error instanceof Error ? error.message : String(error))
  }
  await run.end(!isInterrupted)
  process.exitCode = isInterrupted ? 130 : 1
}
if (process.exitCode === 1) screen.say(`\nThe logs of every process are in ${run.logDir}`)
process.exit()

async function demo(run: DemoRun): Promise<boolean> {
  const startedAtMs = performance.now()
  const rows = shopRows(run.size).toLocaleString('en-US')
  screen.say(
    `\nSyncline keeps a shop of ${rows} rows in ${shopTables.length} tables in step, while it is written to and things are killed.\n`,
  )
  const servers = await startServers(run)
  const writers = await openShop(run, servers, run.writesPerSecond)
  screen.done(
    'The shop is open',
    `${run.writesPerSecond} operations a second: orders, swapped values, moved keys, upserts, rollbacks`,
  )
  const syncline = await startSyncline(run, servers)
  const watch = await startWatch({
    api: syncline.api,
    pipeline: pipelineName,
    target: servers.target,
    tables: shopTables.length,
    onStatus: (status) => screen.live(liveText(status)),
  })
  run.atEnd(() => watch.close())

  await strikeWhileLoading(run, watch, syncline.streamWorker)
  await strikeWhileStreaming(run, watch, syncline.streamWorker)
  await verifyAndRepair(run, syncline, servers.target)
  const isEqual = await proveEqual(run, watch, servers.source, servers.target, writers)

  screen.live('')
  summary(servers, syncline, performance.now() - startedAtMs, isEqual)
  if (given.keep && isEqual) {
    const rate = Math.min(20, run.writesPerSecond)
    await openShop(run, servers, rate)
    screen.say(`\n  It goes on with ${rate} operations a second. Ctrl-C ends it.\n`)
    await untilInterrupted()
    screen.say('\nEnding everything ...')
  }
  return isEqual
}

async function openShop(run: DemoRun, { source }: Servers, ratePerSecond: number): Promise<Writers> {
  const writers = await startWriters({
    server: plainServer(source),
    database: shopDatabase,
    writers: 4,
    seed: Date.now() % 1_000_000,
    ratePerSecond,
  })
  run.atEnd(() => writers.stop())
  return writers
}

function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    // Nothing else has to keep this process alive.
    const alive = setInterval(() => {}, 60_000)
    keeping = () => {
      keeping = undefined
      isInterrupted = true
      clearInterval(alive)
      resolve()
    }
  })
}

function summary({ temporal }: Servers, { api }: Syncline, tookMs: number, isEqual: boolean): void {
  const workflow = encodeURIComponent(`pipeline/${pipelineName}`)
  screen.say(`
${isEqual ? 'Source and target are equal' : 'SOURCE AND TARGET DIFFER'}, ${secondsText(tookMs)} after the start.

  API            ${api}/v1/pipelines/${pipelineName}/status
  Temporal       ${temporal.uiUrl}/namespaces/${temporal.namespace}/workflows/${workflow}
  Command line   SYNCLINE_SERVER=${api} npx syncline describe pipeline ${pipelineName}
  Pipeline file  dev/demo/pipeline.yaml${given.keep ? '' : '\n\n  All of it ends now; `npm run demo -- --keep` leaves it running.'}`)
}
