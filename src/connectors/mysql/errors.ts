/**
 * What an error of a MySQL server or of its connection means to a pipeline: one pure table, by error number, never by message.
 *
 * The one exception is named where it stands: the operating system's number inside the text of 1026 and 1030. A number that is not in
 * the table blocks (SYNC-2199, SYNC-3199): it is never retried blindly and never skipped.
 * Sources: MySQL 9.7 error reference; Node.js error codes of net and tls.
 */
import { type ErrorCode, SyncError } from '../../core/errors.ts'
import { ProtocolError, ServerError } from './text-protocol.ts'

/** Which end of a pipeline the connection belongs to. */
export type Side = 'source' | 'target'

type Meaning =
  | 'lost'
  | 'login'
  | 'privilege'
  | 'busy'
  | 'full'
  | 'read-only'
  | 'unique'
  | 'missing-table'
  | 'missing-column'
  | 'value'
  | 'too-large'
  | 'transaction-too-large'
  | 'purged'
  | 'same-server-id'
  | 'not-row-based'

const codes: Readonly<Record<Meaning, Readonly<Record<Side, ErrorCode>>>> = {
  lost: { source: 'SYNC-2101', target: 'SYNC-3101' },
  login: { source: 'SYNC-2102', target: 'SYNC-3102' },
  privilege: { source: 'SYNC-2103', target: 'SYNC-3103' },
  busy: { source: 'SYNC-2104', target: 'SYNC-3104' },
  full: { source: 'SYNC-2199', target: 'SYNC-3105' },
  'read-only': { source: 'SYNC-2199', target: 'SYNC-3106' },
  unique: { source: 'SYNC-2199', target: 'SYNC-3301' },
  'missing-table': { source: 'SYNC-2301', target: 'SYNC-3201' },
  'missing-column': { source: 'SYNC-2301', target: 'SYNC-3202' },
  value: { source: 'SYNC-2199', target: 'SYNC-3302' },
  'too-large': { source: 'SYNC-2199', target: 'SYNC-3303' },
  'transaction-too-large': { source: 'SYNC-2199', target: 'SYNC-3310' },
  purged: { source: 'SYNC-2204', target: 'SYNC-3199' },
  'same-server-id': { source: 'SYNC-2105', target: 'SYNC-3199' },
  'not-row-based': { source: 'SYNC-2201', target: 'SYNC-3199' },
}

const byNumber: ReadonlyMap<number, Meaning> = new Map<number, Meaning>([
  // The server goes, is full of connections, or ended this one.
  [1040, 'lost'], // ER_CON_COUNT_ERROR
  [1042, 'lost'], // ER_BAD_HOST_ERROR
  [1043, 'lost'], // ER_HANDSHAKE_ERROR
  [1053, 'lost'], // ER_SERVER_SHUTDOWN
  [1077, 'lost'], // ER_NORMAL_SHUTDOWN
  [1078, 'lost'], // ER_GOT_SIGNAL
  [1079, 'lost'], // ER_SHUTDOWN_COMPLETE
  [1080, 'lost'], // ER_FORCING_CLOSE
  [1152, 'lost'], // ER_ABORTING_CONNECTION
  [1158, 'lost'], // ER_NET_READ_ERROR
  [1159, 'lost'], // ER_NET_READ_INTERRUPTED
  [1160, 'lost'], // ER_NET_ERROR_ON_WRITE
  [1161, 'lost'], // ER_NET_WRITE_INTERRUPTED
  [1184, 'lost'], // ER_NEW_ABORTING_CONNECTION
  [1203, 'lost'], // ER_TOO_MANY_USER_CONNECTIONS
  [1226, 'lost'], // ER_USER_LIMIT_REACHED
  [1317, 'lost'], // ER_QUERY_INTERRUPTED: KILL QUERY, or a shutdown on its way
  [1927, 'lost'], // MariaDB ER_CONNECTION_KILLED
  [3169, 'lost'], // ER_SESSION_WAS_KILLED
  [4031, 'lost'], // ER_CLIENT_INTERACTION_TIMEOUT
  // Login.
  [1044, 'privilege'], // ER_DBACCESS_DENIED_ERROR
  [1045, 'login'], // ER_ACCESS_DENIED_ERROR
  [1129, 'login'], // ER_HOST_IS_BLOCKED
  [1130, 'login'], // ER_HOST_NOT_PRIVILEGED
  [1131, 'login'], // ER_PASSWORD_ANONYMOUS_USER
  [1251, 'login'], // ER_NOT_SUPPORTED_AUTH_MODE
  [1524, 'login'], // ER_PLUGIN_IS_NOT_LOADED
  [1698, 'login'], // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
  [1820, 'login'], // ER_MUST_CHANGE_PASSWORD
  [1862, 'login'], // ER_MUST_CHANGE_PASSWORD_LOGIN
  [3118, 'login'], // ER_ACCOUNT_HAS_BEEN_LOCKED
  [3159, 'login'], // ER_SECURE_TRANSPORT_REQUIRED
  [3955, 'login'], // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
  // Privileges.
  [1142, 'privilege'], // ER_TABLEACCESS_DENIED_ERROR
  [1143, 'privilege'], // ER_COLUMNACCESS_DENIED_ERROR
  [1227, 'privilege'], // ER_SPECIFIC_ACCESS_DENIED_ERROR
  [1370, 'privilege'], // ER_PROCACCESS_DENIED_ERROR
  // Passes by itself.
  [1205, 'busy'], // ER_LOCK_WAIT_TIMEOUT
  [1206, 'busy'], // ER_LOCK_TABLE_FULL
  [1213, 'busy'], // ER_LOCK_DEADLOCK
  [1412, 'busy'], // ER_TABLE_DEF_CHANGED: the table was altered after the snapshot was taken
  [1613, 'busy'], // ER_XA_RBTIMEOUT
  [1614, 'busy'], // ER_XA_RBDEADLOCK
  [1637, 'busy'], // ER_TOO_MANY_CONCURRENT_TRXS
  [3024, 'busy'], // ER_QUERY_TIMEOUT
  [3101, 'busy'], // ER_TRANSACTION_ROLLBACK_DURING_COMMIT
  [3572, 'busy'], // ER_LOCK_NOWAIT
  [3058, 'busy'], // ER_USER_LOCK_DEADLOCK
  [1615, 'busy'], // ER_NEED_REPREPARE
  // Room.
  [1021, 'full'], // ER_DISK_FULL
  [1041, 'full'], // ER_OUT_OF_RESOURCES
  [1114, 'full'], // ER_RECORD_FILE_FULL
  [3675, 'full'], // ER_DISK_FULL_NOWAIT
  // Read-only. 1290 is answered to any statement that a server option forbids; what a pipeline runs, only these options forbid.
  [1290, 'read-only'], // ER_OPTION_PREVENTS_STATEMENT
  [1792, 'read-only'], // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
  [1836, 'read-only'], // ER_READ_ONLY_MODE
  [3989, 'read-only'], // ER_SCHEMA_READ_ONLY
  [1874, 'read-only'], // ER_INNODB_READ_ONLY
  // Definitions.
  [1049, 'missing-table'], // ER_BAD_DB_ERROR
  [1054, 'missing-column'], // ER_BAD_FIELD_ERROR
  [1146, 'missing-table'], // ER_NO_SUCH_TABLE
  [1109, 'missing-table'], // ER_UNKNOWN_TABLE
  [1136, 'missing-column'], // ER_WRONG_VALUE_COUNT_ON_ROW
  [1364, 'missing-column'], // ER_NO_DEFAULT_FOR_FIELD
  [3105, 'value'], // ER_NON_DEFAULT_VALUE_FOR_GENERATED_COLUMN
  // Unique keys, and the NULL by which the sink makes a statement fail that would hit another row.
  [1022, 'unique'], // ER_DUP_KEY
  [1048, 'unique'], // ER_BAD_NULL_ERROR
  [1062, 'unique'], // ER_DUP_ENTRY
  [1169, 'unique'], // ER_DUP_UNIQUE
  [1586, 'unique'], // ER_DUP_ENTRY_WITH_KEY_NAME
  [1859, 'unique'], // ER_DUP_UNKNOWN_IN_INDEX
  // Values.
  [1216, 'value'], // ER_NO_REFERENCED_ROW
  [1217, 'value'], // ER_ROW_IS_REFERENCED
  [1264, 'value'], // ER_WARN_DATA_OUT_OF_RANGE
  [1265, 'value'], // WARN_DATA_TRUNCATED
  [1267, 'value'], // ER_CANT_AGGREGATE_2COLLATIONS
  [1292, 'value'], // ER_TRUNCATED_WRONG_VALUE
  [1300, 'value'], // ER_INVALID_CHARACTER_STRING
  [1366, 'value'], // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
  [1367, 'value'], // ER_ILLEGAL_VALUE_FOR_TYPE
  [1406, 'value'], // ER_DATA_TOO_LONG
  [1411, 'value'], // ER_WRONG_VALUE_FOR_TYPE
  [1416, 'value'], // ER_CANT_CREATE_GEOMETRY_OBJECT
  [1438, 'value'], // ER_TOO_BIG_DISPLAYWIDTH
  [1451, 'value'], // ER_ROW_IS_REFERENCED_2
  [1452, 'value'], // ER_NO_REFERENCED_ROW_2
  [1526, 'value'], // ER_NO_PARTITION_FOR_GIVEN_VALUE
  [1690, 'value'], // ER_DATA_OUT_OF_RANGE
  [1748, 'value'], // ER_ROW_DOES_NOT_MATCH_GIVEN_PARTITION_SET
  [3037, 'value'], // ER_GIS_INVALID_DATA
  [3140, 'value'], // ER_INVALID_JSON_TEXT
  [3141, 'value'], // ER_INVALID_JSON_TEXT_IN_PARAM
  [3144, 'value'], // ER_INVALID_JSON_CHARSET
  [3150, 'value'], // ER_JSON_VALUE_TOO_BIG
  [3156, 'value'], // ER_INVALID_JSON_VALUE_FOR_CAST
  [3157, 'value'], // ER_JSON_DOCUMENT_TOO_DEEP
  [3548, 'value'], // ER_SRS_NOT_FOUND
  [3559, 'value'], // ER_SRS_NOT_GEOGRAPHIC
  [3616, 'value'], // ER_GEOMETRY_PARAM_LONGITUDE_OUT_OF_RANGE
  [3617, 'value'], // ER_GEOMETRY_PARAM_LATITUDE_OUT_OF_RANGE
  [3643, 'value'], // ER_WRONG_SRID_FOR_COLUMN
  [3819, 'value'], // ER_CHECK_CONSTRAINT_VIOLATED
  [3854, 'value'], // ER_CANNOT_CONVERT_STRING
  [3988, 'value'], // ER_IMPOSSIBLE_STRING_CONVERSION
  [6138, 'value'], // ER_TO_VECTOR_CONVERSION
  // Size.
  [1118, 'too-large'], // ER_TOO_BIG_ROWSIZE
  [1153, 'too-large'], // ER_NET_PACKET_TOO_LARGE
  [1301, 'too-large'], // ER_WARN_ALLOWED_PACKET_OVERFLOWED
  [1197, 'transaction-too-large'], // ER_TRANS_CACHE_FULL
  // The log.
  [1381, 'not-row-based'], // ER_NO_BINARY_LOGGING
])

/** Error codes of Node.js and of the driver for a connection that does not stand. Everything else there is `lost` as well: see below. */
const byNodeCode: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ['ENOTFOUND', 'lost'],
  ['EAI_AGAIN', 'lost'],
  ['HANDSHAKE_NO_SSL_SUPPORT', 'login'],
  ['HANDSHAKE_SSL_ERROR', 'login'],
  ['AUTH_SWITCH_PLUGIN_ERROR', 'login'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'login'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'login'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'login'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'login'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'login'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'login'],
  ['CERT_HAS_EXPIRED', 'login'],
])

/**
 * ER_MASTER_FATAL_ERROR_READING_BINLOG (1236) stands for many causes and tells them apart by words alone. The words are the server's fixed
 * texts (sql/rpl_binlog_sender.cc; MariaDB's sql/share/errmsg-utf8.txt); what none of them fits is an unknown error.
 */
const byLogText: readonly (readonly [RegExp, Meaning])[] = [
  [
    /purged required binary logs|purged binary logs|Could not find first log file name|required binlog files have been purged/i,
    'purged',
  ],
  [/same server_uuid\/server_id|same server[_ ]id/i, 'same-server-id'],
  [/max_allowed_packet/i, 'too-large'],
  [/GTID_MODE|Binary log is not open/i, 'not-row-based'],
]

/** errno ENOSPC and EDQUOT as the server prints them: `... (OS errno 28 - No space left on device)`, `Got error 28 from storage engine`. */
const noSpaceText = /\b(?:OS errno|errno:?|error)\s*(?:28|122)\b/

/**
 * @param error anything that a query or a connection attempt threw; a SyncError is given back as it is
 * @returns an error whose message names the server's own number and words; `details` has errno, sqlState and statement
 */
export function classify(error: unknown, side: Side): SyncError {
  if (error instanceof SyncError) return error
  if (error instanceof ServerError) {
    return make(meaningOf(error.errno, error.message), side, error, {
      errno: error.errno,
      sqlState: error.sqlState,
      statement: error.statement,
    })
  }
  if (error instanceof ProtocolError) return make('lost', side, error, {})
  if (error instanceof Error) {
    const fields = error as Error & { code?: unknown; errno?: unknown; sqlState?: unknown }
    // The driver reports the server's answers to a login in this form.
    if (typeof fields.errno === 'number' && fields.errno > 0 && typeof fields.sqlState === 'string') {
      return make(meaningOf(fields.errno, error.message), side, error, {
        errno: fields.errno,
        sqlState: fields.sqlState,
      })
    }
    if (typeof fields.code === 'string') {
      if (fields.code === 'HANDSHAKE_SSL_ERROR' && isBrokenLink(error))
        return make('lost', side, error, { nodeCode: fields.code })
      const known = byNodeCode.get(fields.code) ?? (isNetworkCode(fields.code) ? 'lost' : undefined)
      if (known !== undefined) return make(known, side, error, { nodeCode: fields.code })
    }
  }
  // Not an answer of the server and not the network: a mistake of ours.
  return new SyncError('SYNC-9001', error instanceof Error ? error.message : String(error), { cause: error })
}

/**
 * The driver gives every failure of the TLS negotiation one code, a cut link as well as a refused certificate. Node.js's errors of a socket name
 * the system call, or the local address where the peer has gone; those of a certificate name neither.
 */
const isBrokenLink = (error: Error): boolean => 'syscall' in error || 'localAddress' in error

const isNetworkCode = (code: string): boolean =>
  /^E[A-Z]+$/.test(code) ||
  code.startsWith('PROTOCOL_') ||
  code.startsWith('ERR_SSL_') ||
  code.startsWith('ERR_STREAM_') ||
  code.startsWith('ERR_SOCKET_') ||
  code === 'HANDSHAKE_UNKNOWN_ERROR'

function meaningOf(errno: number, message: string): Meaning | undefined {
  if (errno === 1236) return byLogText.find(([pattern]) => pattern.test(message))?.[1]
  // ER_ERROR_ON_WRITE and ER_GET_ERRNO carry the operating system's number in their text only; 3 is EE_WRITE, of the file layer.
  if (errno === 3 || errno === 1026 || errno === 1030) return noSpaceText.test(message) ? 'full' : undefined
  return byNumber.get(errno)
}

function make(
  meaning: Meaning | undefined,
  side: Side,
  error: Error & { errno?: unknown },
  details: Readonly<Record<string, unknown>>,
): SyncError {
  const code = meaning === undefined ? unknownCode(side) : codes[meaning][side]
  const words = error.message === '' ? 'the connection was lost' : error.message
  const where = side === 'source' ? 'The source' : 'The target'
  const message =
    typeof details['errno'] === 'number'
      ? `${where} answered ${details['errno']}: ${words}`
      : `${where}: ${words}`
  const remedy = meaning === 'privilege' ? grantRemedy(error.message) : undefined
  return new SyncError(code, message, { details, cause: error, ...(remedy === undefined ? {} : { remedy }) })
}

const unknownCode = (side: Side): ErrorCode => (side === 'source' ? 'SYNC-2199' : 'SYNC-3199')

/** What to grant, as far as the server's words tell; they name neither the schema of a table nor the account as it was created. */
function grantRemedy(message: string): string | undefined {
  const login = /(?:to|for) user ('[^']*'@'[^']*')/.exec(message)?.[1]
  const to = login === undefined ? 'the account of the endpoint' : `the account that ${login} logs in as`
  const object = /^(.+) command denied to user \S+ for (.+)$/.exec(message)
  if (object !== null)
    return `GRANT ${object[1]} on ${object[2]} to ${to} (SELECT CURRENT_USER()), then resume.`
  const schema = /^Access denied for user \S+ to database ('[^']*')/.exec(message)?.[1]
  if (schema !== undefined)
    return `GRANT the privileges on database ${schema} to ${to} (SELECT CURRENT_USER()), then resume.`
  const any = /\(at least one of\) the (.+) privilege/.exec(message)?.[1]
  const last = any?.split(',').at(-1)?.trim()
  if (last !== undefined) return `GRANT ${last} ON *.* to ${to} (SELECT CURRENT_USER()), then resume.`
  return undefined
}
