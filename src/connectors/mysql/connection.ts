/**
 * Opens connections: mysql2 connects, encrypts and authenticates; then the socket is ours (session.ts).
 *
 * Every session is set up so that values pass untouched: bytes in each column's own character set, times in UTC, no rewriting of values.
 * Errors are SyncErrors of the side that the connection belongs to. Nothing is retried here.
 */
import type { Socket } from 'node:net'
import { checkServerIdentity, type TLSSocket } from 'node:tls'
import { type ConnectionOptions, createConnection } from 'mysql2'
import { SyncError } from '../../core/errors.ts'
import type { MysqlEndpoint } from './config.ts'
import { classify, type Side } from './errors.ts'
import { type Product, productOf, versionOf } from './flavour.ts'
import { type Connection, createSession, type Liveness } from './session.ts'

export type { Connection, QueryOptions } from './session.ts'

/**
 * What a connection is for; it decides how the session is set up. `admin` runs checks and definitions: its texts are utf8mb4 so that the
 * literals inside a CREATE TABLE are read as the characters they are. `load` is `write` that may also send what LOAD DATA LOCAL reads.
 */
export type Role = 'read' | 'write' | 'load' | 'binlog' | 'admin'

export interface ConnectOptions {
  /** Whose errors these are. Default: target for `write`, otherwise source. */
  readonly side?: Side
  readonly signal?: AbortSignal
  /** Silence after which the server is asked whether a statement still runs. Default 5000. */
  readonly silentMs?: number
  /** How often an idle connection is asked for a sign of life, below the wait_timeout of its role. Default 4,000. */
  readonly pingMs?: number
  /** More session variables, as SQL after `SET`, such as "SESSION foo = 1". */
  readonly setUp?: readonly string[]
}

/** Locks are waited for briefly: the batch is tried again, and meanwhile the status says what is going on. */
const lockWaitSeconds = 5
/** A frozen process loses its connection, and its locks, after this; live ones ping (session.ts). */
const waitTimeoutSeconds = { write: 20, load: 20, read: 60, binlog: 600, admin: 60 } as const

const sqlMode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'

/** The sql_mode of every session here; needsNonStrict (sql-text.ts) tells what must be written under the other. */
export const strictSqlMode = sqlMode
export const nonStrictSqlMode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'

const isWriter = (role: Role): boolean => role === 'write' || role === 'load'

/** Settings that the products know under different names. MariaDB has had `transaction_isolation` since 11.1 only. */
const productSettings: Readonly<
  Record<Product, { readonly isolation: string; readonly noTimeLimit: string }>
> = {
  mysql: { isolation: 'transaction_isolation', noTimeLimit: 'max_execution_time' },
  mariadb: { isolation: 'tx_isolation', noTimeLimit: 'max_statement_time' },
}

function setUpStatement(role: Role, product: Product, more: readonly string[]): string {
  const names = productSettings[product]
  const settings = [
    "SESSION time_zone = '+00:00'",
    `SESSION sql_mode = '${sqlMode}'`,
    `SESSION wait_timeout = ${waitTimeoutSeconds[role]}`,
    'SESSION net_read_timeout = 30',
    // A reader under backpressure may leave rows unread for long; the log's and the chunks' consumers decide when they go on.
    `SESSION net_write_timeout = ${isWriter(role) ? 30 : 600}`,
    'SESSION autocommit = 1',
    `SESSION ${names.isolation} = 'READ-COMMITTED'`,
  ]
  if (isWriter(role)) {
    settings.push('SESSION foreign_key_checks = 0', `SESSION innodb_lock_wait_timeout = ${lockWaitSeconds}`)
  }
  if (role === 'read') settings.push(`SESSION ${names.noTimeLimit} = 0`)
  if (role === 'admin') settings.push('SESSION lock_wait_timeout = 30')
  return `SET NAMES ${role === 'admin' ? 'utf8mb4' : 'binary'}; SET ${[...settings, ...more].join(', ')}`
}

/**
 * @throws SyncError: x101 unreachable, x102 login or certificate refused
 */
export async function connect(
  config: MysqlEndpoint,
  role: Role,
  options: ConnectOptions = {},
): Promise<Connection> {
  const side = options.side ?? (isWriter(role) ? 'target' : 'source')
  const { signal } = options
  signal?.throwIfAborted()
  const onAbort = (): void => connection.destroy()
  const opened = await open(config, side, signal, role === 'load')
  const connection = createSession({
    ...opened,
    side,
    probe: () => probe(config, side, opened.threadId),
    onLost: () => signal?.removeEventListener('abort', onAbort),
    ...(options.silentMs === undefined ? {} : { silentMs: options.silentMs }),
    ...(options.pingMs === undefined ? {} : { pingMs: options.pingMs }),
  })
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const setUp = setUpStatement(role, productOf(opened.version), options.setUp ?? [])
    await connection.queryAll(setUp, { maxMs: config.connectTimeoutMs })
  } catch (error) {
    connection.destroy()
    throw error
  }
  return connection
}

interface Opened {
  readonly socket: Socket
  readonly threadId: number
  readonly version: string
}

async function open(
  config: MysqlEndpoint,
  side: Side,
  signal?: AbortSignal,
  sendsFiles = false,
): Promise<Opened> {
  const { mode } = config.tls
  if (mode !== 'preferred') return authenticate(config, mode !== 'disabled', side, signal, sendsFiles)
  try {
    return await authenticate(config, true, side, signal, sendsFiles)
  } catch (error) {
    const plain = error instanceof SyncError && error.details['nodeCode'] === 'HANDSHAKE_NO_SSL_SUPPORT'
    if (!plain) throw error
    return authenticate(config, false, side, signal, sendsFiles)
  }
}

/** The parts of mysql2's connection that its types do not show. */
interface DriverConnection {
  readonly stream: Socket
  readonly threadId: number
  readonly _handshakePacket: { readonly serverVersion: string }
}

function authenticate(
  config: MysqlEndpoint,
  encrypted: boolean,
  side: Side,
  signal: AbortSignal | undefined,
  sendsFiles: boolean,
): Promise<Opened> {
  const { host, port, user, password, connectTimeoutMs } = config
  const options: ConnectionOptions = {
    host,
    port,
    user,
    password,
    connectTimeout: connectTimeoutMs,
    enableKeepAlive: true,
    keepAliveInitialDelay: 5000,
    multipleStatements: true,
    // What text-protocol.ts does not read, and what nobody else may offer (local files; even then the session sends its own bytes alone).
    flags: [
      'FOUND_ROWS',
      '-SESSION_TRACK',
      '-CLIENT_QUERY_ATTRIBUTES',
      sendsFiles ? 'LOCAL_FILES' : '-LOCAL_FILES',
      '-IGNORE_SPACE',
      '-ODBC',
    ],
    connectAttributes: { program_name: 'syncline' },
    ...(encrypted ? { ssl: tlsOptions(config) } : {}),
  }
  return new Promise((resolve, reject) => {
    const driver = createConnection(options)
    const bare = driver as unknown as DriverConnection
    const give = (error: unknown): void => {
      signal?.removeEventListener('abort', onAbort)
      driver.removeAllListeners()
      driver.on('error', () => undefined)
      driver.destroy()
      bare.stream.destroy()
      const classified = classify(error, side)
      reject(
        new SyncError(classified.code, `${classified.message} (${host}:${port}, user ${user})`, {
          details: classified.details,
          cause: error,
        }),
      )
    }
    const onAbort = (): void => give(Object.assign(new Error('aborted'), { code: 'EABORTED' }))
    signal?.addEventListener('abort', onAbort, { once: true })
    driver.once('error', give)
    driver.once('connect', () => {
      signal?.removeEventListener('abort', onAbort)
      driver.removeAllListeners()
      // Under TLS the driver still listens to the TCP socket beneath, and tells of its end.
      driver.on('error', () => undefined)
      const { stream } = bare
      for (const event of ['data', 'error', 'end', 'close']) stream.removeAllListeners(event)
      // Between here and the session's own listeners nothing runs, but an emitter without one would end the process.
      stream.on('error', () => undefined)
      const mismatch = encrypted ? hostMismatch(config, stream as TLSSocket) : undefined
      if (mismatch !== undefined) {
        give(mismatch)
        return
      }
      resolve({
        socket: stream,
        threadId: bare.threadId,
        version: versionOf(bare._handshakePacket.serverVersion),
      })
    })
  })
}

function tlsOptions(config: MysqlEndpoint): NonNullable<Exclude<ConnectionOptions['ssl'], string>> {
  const { mode, ca, cert, key } = config.tls
  const verified = mode === 'verify-ca' || mode === 'verify-full'
  return {
    rejectUnauthorized: verified,
    verifyIdentity: mode === 'verify-full',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
}

/** The driver does not compare an address with a certificate, only a name. */
function hostMismatch(config: MysqlEndpoint, socket: TLSSocket): Error | undefined {
  if (config.tls.mode !== 'verify-full') return undefined
  return checkServerIdentity(config.host, socket.getPeerCertificate(true))
}

const probeTimeoutMs = 3000

/** What the server shows of a connection: an account sees its own threads without any privilege. */
async function probe(config: MysqlEndpoint, side: Side, threadId: number): Promise<Liveness> {
  let opened: Opened
  try {
    opened = await open({ ...config, connectTimeoutMs: probeTimeoutMs }, side)
  } catch (error) {
    // Answered, though not with a connection (too many of them, for instance): the server is there.
    return error instanceof SyncError && error.details['errno'] !== undefined ? 'unknown' : 'unreachable'
  }
  const connection = createSession({ ...opened, side, probe: () => Promise.resolve('unreachable') })
  try {
    const { columns, rows } = await connection.query('SHOW PROCESSLIST', { maxMs: probeTimeoutMs })
    const command = columns.indexOf('Command')
    const row = rows.find((candidate) => candidate[0] === String(threadId))
    if (row === undefined) return 'gone'
    return row[command] === 'Sleep' ? 'idle' : 'working'
  } catch {
    return 'unreachable'
  } finally {
    connection.destroy()
  }
}
