/** What the command line's exit status means; scripts depend on it, so a number never changes its meaning. */
import type { ErrorCode } from '../core/errors.ts'
import { catalogue } from '../core/errors.ts'

export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  configInvalid: 3,
  notFound: 4,
  conflict: 5,
  differences: 7,
  waitTimeout: 8,
  unreachable: 9,
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

export const exitMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'done',
  failure: 'failed, or the pipeline waited for is blocked',
  usage: 'the command was not understood',
  configInvalid: 'a file or document is wrong',
  notFound: 'there is no such resource',
  conflict: 'does not fit the state, is in use, or has changed meanwhile',
  differences: 'there are differences (`diff`, `verify`)',
  waitTimeout: '`--wait` took longer than `--timeout`',
  unreachable: 'the API, Temporal or a worker does not answer',
  interrupted: 'interrupted with Ctrl-C',
}

const byCode: Partial<Record<ErrorCode, ExitCode>> = {
  'SYNC-1101': exitCodes.notFound,
  'SYNC-1102': exitCodes.usage,
  'SYNC-1103': exitCodes.conflict,
  'SYNC-1104': exitCodes.conflict,
  'SYNC-1105': exitCodes.conflict,
  'SYNC-1106': exitCodes.unreachable,
  'SYNC-1107': exitCodes.unreachable,
  'SYNC-1108': exitCodes.unreachable,
  'SYNC-1110': exitCodes.conflict,
  'SYNC-1111': exitCodes.conflict,
  'SYNC-1112': exitCodes.conflict,
  'SYNC-1115': exitCodes.conflict,
  'SYNC-3305': exitCodes.conflict,
  'SYNC-5140': exitCodes.conflict,
  'SYNC-5144': exitCodes.conflict,
  'SYNC-5145': exitCodes.conflict,
  'SYNC-5146': exitCodes.conflict,
}

export const exitCodeOf = (code: ErrorCode): ExitCode =>
  byCode[code] ?? (catalogue[code].scope === 'config' ? exitCodes.configInvalid : exitCodes.failure)
