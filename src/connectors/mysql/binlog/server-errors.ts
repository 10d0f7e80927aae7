/*
 * What the source answers when it will not send its log, as errors of the catalogue.
 * Guarantees: decided by error number; the message is looked at only where the server has one number for many causes (1236, everything that the
 * sender of the log meets). All that is not the log's own is decided where all errors of the server are (../errors.ts).
 */
import { type ErrorCode, SyncError } from '../../../core/errors.ts'
import { classify } from '../errors.ts'
import { ServerError } from '../text-protocol.ts'

/** ER_SOURCE_FATAL_ERROR_READING_BINLOG. */
const readingLogFailed = 1236

interface ReadingFailure {
  readonly pattern: RegExp
  readonly code: ErrorCode
  readonly message: string
  readonly remedy?: string
}

// By words that have stayed the same since 5.7 (the server's messages and sql/rpl_binlog_sender.cc).
const readingFailures: readonly ReadingFailure[] = [
  {
    // The last two are MariaDB's.
    pattern: /has more GTIDs than|which is not in the master's binlog|is missing the GTID/i,
    code: 'SYNC-2210',
    message: 'The source lacks transactions that were already taken from it',
  },
  {
    pattern: /AUTO_POSITION mode|not contain GTIDs|anonymous/i,
    code: 'SYNC-2201',
    message: 'The source cannot send its log by GTID',
    remedy: 'Set gtid_mode=ON and enforce_gtid_consistency=ON at the source, then resume.',
  },
  {
    pattern:
      /checksum verification failed|corrupt|bogus data|truncated|read error|could not be read|log event entry exceeded/i,
    code: 'SYNC-2207',
    message: 'The source cannot read its own log',
  },
]

/** An ERR packet of the log stream. */
export function sourceError(errno: number, sqlState: string, message: string): SyncError {
  const failure =
    errno === readingLogFailed ? readingFailures.find(({ pattern }) => pattern.test(message)) : undefined
  if (failure === undefined) return classify(new ServerError(errno, sqlState, message, 0), 'source')
  return new SyncError(failure.code, `${failure.message}: ${message}`, {
    details: { errno, sqlState },
    ...(failure.remedy === undefined ? {} : { remedy: failure.remedy }),
  })
}
