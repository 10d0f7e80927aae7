/**
 * Logs: one JSON object per line on stderr, so that stdout stays free for data.
 *
 * Guarantees: values under the names of secrets are masked at any depth that our own objects have; errors are written with their code,
 * remedy and cause. Writes are synchronous: what a process said before it died is there.
 */
import { type Logger as PinoLogger, pino, stdSerializers } from 'pino'

export type Log = PinoLogger

const secretNames = ['password', 'passphrase', 'secret', 'token', 'authorization']
const depths = ['', '*.', '*.*.', '*.*.*.']
const redactedPaths = depths.flatMap((depth) => secretNames.map((name) => `${depth}${name}`))

/** @param component who speaks: `control-worker`, `stream-worker`, `engine-host`, `api` */
export const createLog = (
  component: string,
  level: string = process.env['SYNCLINE_LOG_LEVEL'] ?? 'info',
  destination: { write(line: string): void } = pino.destination({ fd: 2, sync: true }),
): Log =>
  pino(
    {
      base: { component, pid: process.pid },
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
      errorKey: 'error',
      serializers: { error: stdSerializers.errWithCause },
      redact: { paths: redactedPaths, censor: '***' },
    },
    destination,
  )
