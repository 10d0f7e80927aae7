/*
 * Starts Temporal's development server (SQLite, web UI) on free ports. The binary is compiled once from its Go module
 * at the pinned version (about 4.5 minutes on 2 cores) and kept in the cache.
 * `restart` comes back on the same ports with the same database file, so running workflows go on.
 * If the starting process dies, the server is killed.
 */
import { mkdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { cached, type Say, sayOnStderr } from './cache.ts'
import { freePorts } from './ports.ts'
import { ProcessFailed, type RunningProcess, runCommand, startProcess, streamCommand } from './proc.ts'
import { createScratch } from './scratch.ts'
import { searchAttributes, temporalCliVersion, temporalModule, temporalNamespace } from './versions.ts'

export type TemporalOptions = {
  /** Home of the database file and the log; a throw-away one when absent. Existing data is kept. */
  readonly dir?: string
  /** Name to type; the ones that Syncline needs when absent. */
  readonly searchAttributes?: Readonly<Record<string, string>>
  /** Key to JSON value. */
  readonly dynamicConfig?: Readonly<Record<string, string>>
  /** Fixed ports; otherwise free ones. */
  readonly port?: number
  readonly uiPort?: number
  /** Default true; tests that nobody watches save the memory. */
  readonly ui?: boolean
  readonly say?: Say
}

export type TemporalFacts = {
  readonly address: string
  readonly namespace: string
  readonly uiUrl: string | undefined
}

export type TemporalServer = TemporalFacts & {
  readonly dir: string
  readonly logFile: string
  readonly binary: string
  readonly pid: number
  isRunning(): boolean
  stop(): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
  suspend(): void
  continue(): void
  discard(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** The path of the compiled binary; the first call on a machine compiles it. */
export async function ensureTemporal(say: Say = sayOnStderr): Promise<string> {
  const folder = await cached({
    kind: 'temporal',
    version: temporalCliVersion,
    say,
    build: async (building) => {
      say(`Compiling Temporal ${temporalCliVersion} (once per machine, about 5 minutes on 2 cores) ...`)
      const startedAt = Date.now()
      const tick = setInterval(() => {
        say(`  still compiling Temporal, ${Math.round((Date.now() - startedAt) / 1000)} s`)
      }, 30_000)
      try {
        await streamCommand('go', ['install', `${temporalModule}@${temporalCliVersion}`], {
          env: { ...process.env, GOBIN: building },
          onLine: (line) => say(`  ${line}`),
        })
      } finally {
        clearInterval(tick)
      }
      await stat(join(building, 'temporal'))
      return temporalCliVersion
    },
  })
  return join(folder, 'temporal')
}

export async function startTemporal(options: TemporalOptions = {}): Promise<TemporalServer> {
  const binary = await ensureTemporal(options.say)
  const scratch = options.dir === undefined ? await createScratch('temporal') : undefined
  const dir = scratch?.path ?? resolve(options.dir ?? '.')
  await mkdir(dir, { recursive: true })
  const logFile = join(dir, 'temporal.log')
  const attributes = options.searchAttributes ?? searchAttributes
  const withUi = options.ui ?? true

  const launch = (ports: Ports): Promise<RunningProcess> => {
    const address = `127.0.0.1:${ports.grpc}`
    const args = [
      'server',
      'start-dev',
      '--ip=127.0.0.1',
      `--port=${ports.grpc}`,
      `--http-port=${ports.http}`,
    ]
    args.push(`--metrics-port=${ports.metrics}`, withUi ? `--ui-port=${ports.ui}` : '--headless')
    args.push(`--db-filename=${join(dir, 'temporal.db')}`, '--log-level=error')
    for (const [name, type] of Object.entries(attributes)) args.push(`--search-attribute=${name}=${type}`)
    for (const [key, value] of Object.entries(options.dynamicConfig ?? {})) {
      args.push(`--dynamic-config-value=${key}=${value}`)
    }
    return startProcess({
      name: 'Temporal',
      command: binary,
      args,
      logFile,
      cwd: dir,
      ready: () => answers(binary, address, Object.keys(attributes)),
      readyTimeoutMs: 90_000,
    })
  }

  const choosePorts = async (): Promise<Ports> => {
    const [grpc = 0, http = 0, metrics = 0, ui = 0] = await freePorts(4)
    return { grpc: options.port ?? grpc, http, metrics, ui: options.uiPort ?? ui }
  }
  let ports = await choosePorts()
  let server: RunningProcess
  for (let attempt = 1; ; attempt++) {
    try {
      server = await launch(ports)
      break
    } catch (error) {
      const taken =
        error instanceof ProcessFailed && /address already in use|can't set port/i.test(error.logTail)
      const fixed = options.port !== undefined || options.uiPort !== undefined
      if (!taken || fixed || attempt === 5) {
        await scratch?.remove()
        throw error
      }
      ports = await choosePorts()
    }
  }

  const discard = async (): Promise<void> => {
    await server.kill()
    await (scratch?.remove() ?? rm(dir, { recursive: true, force: true }))
  }
  return {
    dir,
    logFile,
    binary,
    address: `127.0.0.1:${ports.grpc}`,
    namespace: temporalNamespace,
    uiUrl: withUi ? `http://127.0.0.1:${ports.ui}` : undefined,
    get pid() {
      return server.pid
    },
    isRunning: () => server.isRunning(),
    async stop() {
      await server.stop(15_000)
    },
    async kill() {
      await server.kill()
    },
    async restart() {
      await server.stop(15_000)
      server = await launch(ports)
    },
    suspend: () => server.suspend(),
    continue: () => server.continue(),
    discard,
    [Symbol.asyncDispose]: discard,
  }
}

/** The facts alone, for a process that only connects. */
export function temporalFacts(server: TemporalServer): TemporalFacts {
  return { address: server.address, namespace: server.namespace, uiUrl: server.uiUrl }
}

type Ports = { readonly grpc: number; readonly http: number; readonly metrics: number; readonly ui: number }

/** True once a search by every custom attribute works: the last thing that a fresh server sets up. */
async function answers(binary: string, address: string, attributes: readonly string[]): Promise<boolean> {
  const query = attributes.map((name) => `${name} IS NULL`).join(' AND ')
  const args = ['workflow', 'list', '--address', address, '--namespace', temporalNamespace, '--limit', '1']
  // The person's own settings of the command line may name another server.
  args.push('--disable-config-env', '--disable-config-file', '--command-timeout', '5s')
  if (query !== '') args.push('--query', query)
  await runCommand(binary, args, { name: 'temporal workflow list', timeoutMs: 10_000 })
  return true
}
