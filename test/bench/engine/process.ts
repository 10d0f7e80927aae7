/*
 * The engine of a benchmark in a process of its own, with the flags of V8 that the product gives its engine hosts.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Connection } from 'mysql2/promise'
import { heapFlags } from '../../../src/config/heap-flags.ts'
import type { PipelineStatistics } from '../../../src/core/statistics.ts'
import type { EngineOutcome, EngineStatus } from '../../../src/streamer/status.ts'
import { executedGtids, oneValue } from '../servers.ts'
import type { EngineStart, FromEngine, ToEngine } from './messages.ts'

export type EngineProcess = {
  readonly pid: number
  start(start: EngineStart): void
  /** Resolves with the first status that fits. @throws when the engine or its process ends before, or after 30 minutes */
  until(condition: (status: EngineStatus) => boolean | Promise<boolean>): Promise<EngineStatus>
  /** Resolves when everything that the source has committed by now is confirmed at the target. */
  caughtUp(source: Connection): Promise<void>
  /** @returns what it has done since its start. @throws when the engine ended in another way than by being drained */
  drain(): Promise<PipelineStatistics | null>
  [Symbol.asyncDispose](): Promise<void>
}

const entry = fileURLToPath(new URL('./child.ts', import.meta.url))
const timeoutMs = 30 * 60_000

export async function startEngineProcess(): Promise<EngineProcess> {
  const child: ChildProcess = fork(entry, [], {
    execArgv: [...heapFlags(null)],
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  let status: EngineStatus | null = null
  let statistics: PipelineStatistics | null = null
  let outcome: EngineOutcome | { readonly kind: 'died' } | null = null
  let news = Promise.withResolvers<void>()
  let isReady = false
  const tell = (): void => {
    news.resolve()
    news = Promise.withResolvers<void>()
  }
  child.on('message', (message) => {
    const said = message as FromEngine
    if (said.type === 'ready') isReady = true
    else if (said.type === 'status') status = said.status
    else {
      statistics = said.statistics
      outcome = said.outcome
    }
    tell()
  })
  child.once('exit', () => {
    outcome = { kind: 'died' }
    tell()
  })
  const send = (message: ToEngine): void => void child.send(message)
  while (!isReady) {
    if (outcome !== null) throw new Error('The process of the engine did not start.')
    await news.promise
  }

  const self: EngineProcess = {
    pid: child.pid ?? 0,
    start(start) {
      status = null
      outcome = null
      send({ type: 'start', start })
    },
    async until(condition) {
      const timer = setTimeout(() => {
        outcome = { kind: 'died' }
        tell()
      }, timeoutMs)
      try {
        for (;;) {
          const next = news.promise
          if (status !== null && (await condition(status))) return status
          if (outcome !== null) {
            throw new Error(
              `The engine ended: ${JSON.stringify(outcome)}; last it said ${JSON.stringify(status)}`,
            )
          }
          await next
        }
      } finally {
        clearTimeout(timer)
      }
    },
    async caughtUp(source) {
      const goal = await executedGtids(source)
      await self.until(async ({ phase, position }) => {
        if (position === null || position.ordinal > 0 || phase === 'starting' || phase === 'loading')
          return false
        return (await oneValue(source, 'SELECT GTID_SUBSET(?, ?)', [goal, position.token])) === '1'
      })
    },
    async drain() {
      send({ type: 'drain' })
      while (outcome === null) await news.promise
      if (outcome.kind !== 'drained') throw new Error(`The engine ended: ${JSON.stringify(outcome)}`)
      return statistics
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
  return self
}
