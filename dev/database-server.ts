/*
 * Starts a real database server, MySQL or MariaDB, with its own folder, free port and server_id. A start takes about two
 * seconds because an empty, initialised data folder is kept in the cache and copied.
 * `kill` is SIGKILL, and `restart` comes back on the same port with the same data, so crash tests are real.
 * If the starting process dies, the server is killed; its folder stays unless it was made here (then it goes too).
 */
import { randomInt } from 'node:crypto'
import { mkdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createConnection } from 'mysql2/promise'
import type { Say } from './cache.ts'
import { freePort } from './ports.ts'
import { ProcessFailed, type RunningProcess, runCommand, startProcess } from './proc.ts'
import { createScratch } from './scratch.ts'
import { throwawayFlags } from './versions.ts'

/** What tells one product from another. */
export type DatabaseBrand = {
  readonly name: string
  readonly version: string
  /** An initialised data folder to copy. */
  readonly emptyData: string
  /** The program and its first arguments, for a data folder. */
  server(data: string): { readonly command: string; readonly args: readonly string[] }
  readonly flags: readonly string[]
}

export type DatabaseOptions = {
  /** Home of the data folder, the socket and the log; a throw-away one when absent. Existing data is kept. */
  readonly dir?: string
  /** For messages. */
  readonly name?: string
  /** A fixed port; otherwise a free one. */
  readonly port?: number
  readonly serverId?: number
  /** Server flags after the common ones, so they win. */
  readonly extraArgs?: readonly string[]
  /** Flags that only work on a data folder initialised with them, such as --lower-case-table-names=1. */
  readonly initArgs?: readonly string[]
  /** False for servers that are thrown away: no fsync per commit. Default true. */
  readonly durable?: boolean
  readonly say?: Say
}

export type DatabaseFacts = {
  readonly host: string
  readonly port: number
  readonly socket: string
  readonly user: string
  readonly password: string
  readonly version: string
  readonly serverId: number
}

export type DatabaseServer = DatabaseFacts & {
  readonly name: string
  readonly dir: string
  readonly logFile: string
  readonly pid: number
  isRunning(): boolean
  /** Orderly shutdown; the data stays. */
  stop(): Promise<void>
  /** SIGKILL, as a crash. */
  kill(): Promise<void>
  /** Same port, same data; stops it first if it runs. */
  restart(extraArgs?: readonly string[]): Promise<void>
  /** SIGSTOP: the server hangs and its connections stay open. */
  suspend(): void
  continue(): void
  /** Kill, and remove the folder. */
  discard(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const startTimeoutMs = 60_000

export async function startDatabase(brand: DatabaseBrand, options: DatabaseOptions): Promise<DatabaseServer> {
  const name = options.name ?? brand.name
  const scratch = options.dir === undefined ? await createScratch('mysql') : undefined
  const dir = scratch?.path ?? resolve(options.dir ?? '.')
  await mkdir(dir, { recursive: true })
  const data = join(dir, 'data')
  if ((await stat(data).catch(() => undefined)) === undefined) {
    await runCommand('cp', ['-a', '--reflink=auto', '--sparse=always', brand.emptyData, data])
  }
  // The path of a unix socket may have 107 bytes at most, so a deep folder gets its socket elsewhere.
  const socketScratch = Buffer.byteLength(dir) > 90 ? await createScratch('socket') : undefined
  const socket = join(socketScratch?.path ?? dir, 'mysql.sock')
  const serverId = options.serverId ?? randomInt(1000, 2 ** 31)
  const logFile = join(dir, 'mysql.log')
  const durability = options.durable === false ? throwawayFlags : []

  const launch = (port: number, moreArgs: readonly string[]): Promise<RunningProcess> => {
    const program = brand.server(data)
    const args = [
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${socket}`,
      `--pid-file=${join(dir, 'mysql.pid')}`,
      `--server-id=${serverId}`,
      ...brand.flags,
      ...durability,
      ...(options.initArgs ?? []),
      ...(options.extraArgs ?? []),
      ...moreArgs,
    ]
    return startProcess({
      name,
      command: program.command,
      args: [...program.args, ...args],
      logFile,
      cwd: dir,
      ready: () => answers(socket),
      readyTimeoutMs: startTimeoutMs,
    })
  }

  let port = options.port ?? (await freePort())
  let server: RunningProcess
  for (let attempt = 1; ; attempt++) {
    try {
      server = await launch(port, [])
      break
    } catch (error) {
      const taken =
        error instanceof ProcessFailed && /Address already in use|bind on TCP/i.test(error.logTail)
      if (!taken || options.port !== undefined || attempt === 5) {
        await scratch?.remove()
        throw error
      }
      port = await freePort()
    }
  }

  const discard = async (): Promise<void> => {
    await server.kill()
    await socketScratch?.remove()
    await (scratch?.remove() ?? rm(dir, { recursive: true, force: true }))
  }
  return {
    name,
    dir,
    logFile,
    host: '127.0.0.1',
    port,
    socket,
    user: 'root',
    password: '',
    version: brand.version,
    serverId,
    get pid() {
      return server.pid
    },
    isRunning: () => server.isRunning(),
    async stop() {
      await server.stop()
    },
    async kill() {
      await server.kill()
    },
    async restart(extraArgs = []) {
      await server.stop()
      server = await launch(port, extraArgs)
    },
    suspend: () => server.suspend(),
    continue: () => server.continue(),
    discard,
    [Symbol.asyncDispose]: discard,
  }
}

async function answers(socketPath: string): Promise<boolean> {
  const connection = await createConnection({ socketPath, user: 'root', connectTimeout: 2000 })
  try {
    await connection.query('SELECT 1')
    return true
  } finally {
    connection.destroy()
  }
}
