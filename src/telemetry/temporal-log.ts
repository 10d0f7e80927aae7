/**
 * Sends what Temporal's SDK says into our log, in our words' form: one JSON object per line.
 *
 * While the server is away the SDK's core repeats itself for every poll; the worker says that once, in plain words
 * (worker/temporal-link.ts), so those lines go to `debug`.
 */
import { IllegalStateError } from '@temporalio/common'
import { type Logger, type LogLevel, Runtime } from '@temporalio/worker'
import type { Log } from './log.ts'

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const
const repeatsWhileAway = /^gRPC call \w+ (retried|failed)|poll.*(retried|transport error)/i
/** True of every worker that only runs engines. */
const isNoNews = /^No workflows registered/

const temporalLogger = (log: Log): Logger => {
  const write = (level: LogLevel, message: string, meta: object = {}): void => {
    // "Worker state changed" and its kind are of interest to the SDK's own developers.
    const isRoutine = level === 'INFO' && 'sdkComponent' in meta && meta.sdkComponent === 'worker'
    const isNoise = isRoutine || isNoNews.test(message) || repeatsWhileAway.test(message)
    const name = isNoise ? 'debug' : levels[level]
    log[name]({ temporal: meta }, message)
  }
  return {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  }
}

/**
 * The SDK has one runtime per process, which ends with its last connection; so this is called before each connection. One that is
 * there already keeps its logger. Signals are left to whoever runs the worker (the SDK's default set includes SIGUSR2).
 */
export const installTemporalRuntime = (log: Log): void => {
  try {
    Runtime.install({
      logger: temporalLogger(log),
      shutdownSignals: [],
      telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } },
    })
  } catch (error) {
    if (!(error instanceof IllegalStateError)) throw error
  }
}
