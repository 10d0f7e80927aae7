/*
 * Kills the engine and the whole stream worker with SIGKILL, while they load and while they stream, and measures how long it takes until
 * new data stands at the target. What is measured comes from the target's mark rows, not from what Syncline says of itself.
 */
import { shopRows } from '../shop/fill.ts'
import { type DemoRun, pause } from './run.ts'
import { secondsText } from './screen.ts'
import type { Service } from './services.ts'
import type { Watch } from './watch.ts'

const takeoverWithinMs = 120_000
const loadWithinMs = 900_000

export async function strikeWhileLoading(run: DemoRun, watch: Watch, worker: Service): Promise<void> {
  const startedAtMs = performance.now()
  const rows = shopRows(run.size)
  const share = async (): Promise<number> => (await watch.mark()).rowsLoaded / rows
  const isLoaded = async (): Promise<boolean> => (await watch.mark()).isLoaded
  const reached = (wanted: number): Promise<void> =>
    watch.until('the load', loadWithinMs, async () => (await share()) > wanted || (await isLoaded()))
  const when = async (): Promise<string> => `at ${Math.round(Math.min(1, await share()) * 100)} % of the load`
  await reached(0.2)
  await strikeEngine(run, watch, await when())
  await reached(0.5)
  await strikeWorker(run, watch, worker, await when())
  await watch.until('the load', loadWithinMs, isLoaded)
  const { rowsLoaded } = await watch.mark()
  run.screen.done('Loaded', `${rowsLoaded.toLocaleString('en-US')} rows`, performance.now() - startedAtMs)
  await watch.until('streaming', takeoverWithinMs, () => watch.status()?.state === 'streaming')
}

export async function strikeWhileStreaming(run: DemoRun, watch: Watch, worker: Service): Promise<void> {
  // So long the stream is left alone, so that a person sees it run.
  const quietMs = run.isSmall ? 1_000 : 4_000
  await pause(quietMs)
  await strikeEngine(run, watch, 'while it streams')
  await pause(quietMs)
  await strikeWorker(run, watch, worker, 'while it streams')
  await pause(quietMs)
}

async function strikeEngine(run: DemoRun, watch: Watch, when: string): Promise<void> {
  let pid = 0
  await watch.until('an engine', takeoverWithinMs, () => {
    pid = watch.status()?.engine?.hostPid ?? 0
    return isAlive(pid)
  })
  const took = await timeToNewData(watch, async () => {
    process.kill(pid, 'SIGKILL')
    run.screen.hit('kill -9', `the engine (process ${pid}) ${when}`)
  })
  run.screen.done('It goes on', `after ${secondsText(took.newDataMs)}`)
}

async function strikeWorker(run: DemoRun, watch: Watch, worker: Service, when: string): Promise<void> {
  const { pid } = worker
  const took = await timeToNewData(watch, async () => {
    const killed = worker.kill()
    run.screen.hit('kill -9', `the stream worker with its engine (process ${pid}) ${when}`)
    await killed
  })
  run.screen.done(
    'It goes on',
    `after ${secondsText(took.newDataMs)}; its heartbeats were missed, and the next worker took over after ${secondsText(took.takeoverMs)}`,
  )
}

/** From the blow to the takeover by a new owner, and to the first batch that the new owner has confirmed. */
async function timeToNewData(
  watch: Watch,
  blow: () => Promise<void>,
): Promise<{ readonly takeoverMs: number; readonly newDataMs: number }> {
  const before = await watch.mark()
  const struckAtMs = performance.now()
  await blow()
  let after = before
  await watch.until('a new owner', takeoverWithinMs, async () => {
    after = await watch.mark()
    return after.epoch > before.epoch
  })
  const takeoverMs = performance.now() - struckAtMs
  await watch.until(
    'a batch of the new owner',
    takeoverWithinMs,
    async () => (await watch.mark()).batch > after.batch,
  )
  return { takeoverMs, newDataMs: performance.now() - struckAtMs }
}

function isAlive(pid: number): boolean {
  if (pid === 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
