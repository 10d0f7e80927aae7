/*
 * Keeps writing to a shop as its customers would: many small concurrent transactions of every kind that makes syncing hard.
 *
 * Guarantees: in tables with a column `version`, a row's version is greater after every change, also when its key was deleted and
 * comes back (turn.ts says how). Writes go on by themselves after a restart of the server.
 * Assumes a shop that was filled, and at most one running call per database (writers own keys by their number).
 * Runs in a process of its own, which ends when this one does.
 */
import { fork } from 'node:child_process'
import { join } from 'node:path'
import { plainServer, type ShopServer } from './fill.ts'

export type WriterOptions = {
  readonly server: ShopServer
  readonly database: string
  /** Connections that write at once. */
  readonly writers: number
  /** Same seed, same wishes; their order among each other is the server's. */
  readonly seed: number
  /** Operations per second of all writers together; as fast as it goes when absent. */
  readonly ratePerSecond?: number
}

export type WriterStats = {
  /** Operations done: mostly one transaction each, some of them several. */
  readonly operations: number
  readonly byOperation: Readonly<Record<string, number>>
  /** Errors by the server's name of them; duplicates and deadlocks are a part of life. */
  readonly errors: Readonly<Record<string, number>>
  readonly reconnects: number
  /** Errors that no writer should meet, with their statements: a fault of this code. */
  readonly unexpected: readonly string[]
}

export type Writers = {
  /** Ends every writer after the operation in hand. */
  stop(): Promise<WriterStats>
  /** As of a moment ago. */
  stats(): WriterStats
}

/** As it travels to the other process. */
export type WriterSetup = WriterOptions
export type WriterCommand =
  | { readonly kind: 'start'; readonly setup: WriterSetup }
  | { readonly kind: 'stop' }
export type WriterReport =
  | { readonly kind: 'started' }
  | { readonly kind: 'stats'; readonly stats: WriterStats }
  | { readonly kind: 'stopped'; readonly stats: WriterStats }
  | { readonly kind: 'failed'; readonly message: string }

const stopTimeoutMs = 60_000

/** Resolves when the writers are at work. */
export async function startWriters(options: WriterOptions): Promise<Writers> {
  const child = fork(join(import.meta.dirname, 'writer-process.ts'), [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  })
  let stats: WriterStats = { operations: 0, byOperation: {}, errors: {}, reconnects: 0, unexpected: [] }
  const started = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  // Nobody may be waiting for either when it fails.
  started.promise.catch(() => {})
  ended.promise.catch(() => {})
  child.on('message', (message) => {
    const report = message as WriterReport
    if (report.kind === 'started') started.resolve()
    else if (report.kind === 'failed') {
      started.reject(new Error(`The writers failed: ${report.message}`))
      ended.reject(new Error(`The writers failed: ${report.message}`))
    } else {
      stats = report.stats
      if (report.kind === 'stopped') ended.resolve()
    }
  })
  child.once('exit', (code, signal) => {
    const error = new Error(`The writers' process ended unasked (${code ?? signal}).`)
    started.reject(error)
    ended.reject(error)
  })
  child.send({
    kind: 'start',
    setup: { ...options, server: plainServer(options.server) },
  } satisfies WriterCommand)
  await started.promise
  child.unref()
  child.channel?.unref()
  return {
    async stop() {
      child.channel?.ref()
      if (child.connected) child.send({ kind: 'stop' } satisfies WriterCommand)
      const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
      try {
        await ended.promise
      } finally {
        clearTimeout(timer)
      }
      return stats
    },
    stats: () => stats,
  }
}
