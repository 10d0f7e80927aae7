/**
 * The process that runs engines, beside the activities that watch them: a busy engine cannot delay a heartbeat, and a dead one is
 * seen at once by its parent. One host runs the engines of all pipelines of a streamer worker.
 *
 * Lives exactly as long as the channel to its parent: when that closes (the worker was killed), it ends at once and finishes nothing;
 * what was in flight is settled by the next takeover. Ctrl-C and SIGTERM, which reach the whole process group, are the parent's business.
 */
import { pathToFileURL } from 'node:url'
import { asSyncError } from '../core/errors.ts'
import type { EngineOutcome } from '../streamer/status.ts'
import { createLog } from '../telemetry/log.ts'
import {
  type EngineReport,
  type FromHost,
  type HostArguments,
  mostTablesTold,
  reportIntervalMs,
  silenceReportedMs,
  statisticsIntervalMs,
  type ToHost,
} from './host-messages.ts'
import type { CreateRuntime, PipelineRuntime, RuntimeEngine } from './pipeline-runtime.ts'

interface Hosted {
  opened: RuntimeEngine | null
  wantsDrain: boolean
  wantsKill: boolean
  lastReport: string
  /** performance.now() of the last look at its status. */
  lookedAtMs: number
}

const log = createLog('engine-host')
const engines = new Map<string, Hosted>()
const retryOpenMs = 500
/** An engine that had nothing new to tell is looked at again after this. */
const quietLookMs = 1_000

process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.on('disconnect', () => process.exit(0))

const say = (message: FromHost): void => {
  if (process.connected) process.send?.(message, undefined, {}, () => {})
}

const toBlocked = (thrown: unknown): EngineOutcome => {
  const { code, message, remedy, disposition } = asSyncError(thrown)
  if (disposition === 'fenced') return { kind: 'fenced' }
  return { kind: 'blocked', code, message, remedy, at: null }
}

const runEngine = async (
  runtime: PipelineRuntime,
  message: Extract<ToHost, { type: 'start' }>,
): Promise<void> => {
  const hosted: Hosted = {
    opened: null,
    wantsDrain: false,
    wantsKill: false,
    lastReport: '',
    lookedAtMs: 0,
  }
  engines.set(message.id, hosted)
  const outcome = await openAndRun(runtime, message, hosted).catch(toBlocked)
  engines.delete(message.id)
  tellStatistics(message.id, hosted)
  say({ type: 'ended', id: message.id, outcome })
}

const openAndRun = async (
  runtime: PipelineRuntime,
  message: Extract<ToHost, { type: 'start' }>,
  hosted: Hosted,
): Promise<EngineOutcome> => {
  for (;;) {
    if (hosted.wantsDrain || hosted.wantsKill) return { kind: 'drained', position: null }
    try {
      hosted.opened = await runtime.open(message.start)
      break
    } catch (thrown) {
      const error = asSyncError(thrown)
      if (error.disposition !== 'retry') throw error
      log.warn({ error, pipeline: message.start.pipeline }, 'the engine cannot be opened yet')
      await new Promise((resolve) => setTimeout(resolve, retryOpenMs))
    }
  }
  if (hosted.wantsKill) await hosted.opened.kill()
  if (hosted.wantsDrain) hosted.opened.engine.drain()
  return hosted.opened.engine.run()
}

const answer = async (
  runtime: PipelineRuntime,
  message: Extract<ToHost, { type: 'check' | 'fence' }>,
): Promise<void> => {
  try {
    if (message.type === 'fence') await runtime.fence?.(message.start)
    const found = message.type === 'check' ? await runtime.check(message.ref) : null
    say({ type: 'checked', id: message.id, found })
  } catch (thrown) {
    const { code, message: text, remedy, disposition } = asSyncError(thrown)
    const error = { code, message: text, remedy, isPassing: disposition === 'retry' }
    say({ type: 'check-failed', id: message.id, error })
  }
}

const report = (): void => {
  const changed: EngineReport[] = []
  const nowMs = performance.now()
  for (const [id, hosted] of engines) {
    // Most of many engines have nothing to tell most of the time.
    if (hosted.opened === null || nowMs - hosted.lookedAtMs < quietLookMs) continue
    const status = hosted.opened.engine.status()
    const silentMs = Math.round(nowMs - hosted.opened.engine.aliveAtMs())
    const isSilent = silentMs > silenceReportedMs
    const text = JSON.stringify(status) + isSilent
    if (text === hosted.lastReport && !isSilent) {
      hosted.lookedAtMs = nowMs
      continue
    }
    hosted.lastReport = text
    hosted.lookedAtMs = 0
    changed.push({ id, status, silentMs })
  }
  say({ type: 'report', engines: changed })
}

const tellStatistics = (id: string, { opened }: Hosted): void => {
  const report = opened?.engine.takeStatistics(mostTablesTold) ?? null
  if (report !== null) say({ type: 'statistics', id, report })
}

const receive = (runtime: PipelineRuntime, message: ToHost): void => {
  switch (message.type) {
    case 'start':
      void runEngine(runtime, message)
      return
    case 'check':
    case 'fence':
      void answer(runtime, message)
      return
    case 'drain':
    case 'kill': {
      const hosted = engines.get(message.id)
      if (hosted === undefined) return
      hosted.wantsDrain = true
      hosted.opened?.engine.drain()
      if (message.type === 'kill') {
        hosted.wantsKill = true
        void hosted.opened?.kill()
      }
    }
  }
}

const main = async (): Promise<void> => {
  const given = JSON.parse(process.argv[2] ?? '{}') as HostArguments
  const url = given.runtimeModule.includes('://')
    ? given.runtimeModule
    : pathToFileURL(given.runtimeModule).href
  const { createRuntime } = (await import(url)) as { createRuntime: CreateRuntime }
  const runtime = await createRuntime(given.runtime)
  process.on('message', (message) => receive(runtime, message as ToHost))
  // Unreferenced it would not keep the process alive; the channel does, and must be the only thing that does.
  setInterval(report, reportIntervalMs).unref()
  setInterval(() => {
    for (const [id, hosted] of engines) tellStatistics(id, hosted)
  }, statisticsIntervalMs).unref()
  say({ type: 'ready' })
}

try {
  await main()
} catch (error) {
  log.fatal({ error }, 'the engine host cannot start')
  process.exit(1)
}
