/**
 * A whole installation for one test: API server, control worker and any number of stream workers as processes of their own, beside the
 * shared (or the test's own) Temporal and MySQL servers. Everything is started by the product's own command line and asked through its own API.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { freePort } from '../../dev/ports.ts'
import type { Reachable } from './servers.ts'

const root = new URL('../..', import.meta.url).pathname

export interface Proc {
  readonly child: ChildProcess
  readonly pid: number
  readonly logFile: string
  kill(signal: NodeJS.Signals): void
  ended(): Promise<number | null>
}

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The part of the API's answer that tests look at. */
export interface StatusAnswer {
  readonly state: string
  readonly blocked: {
    readonly code: string
    readonly message: string
    readonly remedy: string
    readonly at: string | null
    readonly findings: readonly {
      readonly code: string
      readonly severity: 'error' | 'warning'
      readonly message: string
      readonly remedy: string
    }[]
  } | null
  readonly engine: {
    readonly hostPid: number | null
    readonly lagMs: number
    readonly phase: string
    readonly epoch: string
    readonly batch: number
    readonly rowsApplied: number
    readonly load: { readonly tables: number; readonly tablesDone: number; readonly rows: number }
    readonly limits?: Record<
      'load' | 'stream',
      { readonly maxRowsPerSecond: number | null; readonly maxBytesPerSecond: number | null }
    >
    readonly throttled?: { readonly load: string | null; readonly stream: string | null }
    readonly restarts: number
  } | null
  readonly pendingChange: {
    readonly generation: number
    readonly refused: { readonly code: string } | null
  } | null
  readonly observedGeneration: number | null
  /** Which worker the engine's activity runs on, as Temporal knows it: `<role>-<pid>-...`. */
  readonly worker: string | null
}

export interface Stack {
  readonly dir: string
  readonly url: string
  startWorker(role: 'control' | 'stream' | 'verify'): Promise<Proc>
  /** The API server; `startServer` starts it again, at the same address, after it was ended. */
  server(): Proc
  startServer(): Promise<void>
  cli(args: readonly string[], env?: Record<string, string>): Promise<CliResult>
  /** Writes a pipeline file with two endpoints; passwords by reference to the environment of every process. */
  pipelineFile(
    name: string,
    source: Reachable,
    target: Reachable,
    spec: Record<string, unknown>,
  ): Promise<string>
  status(pipeline: string): Promise<StatusAnswer>
  logs(): Promise<string>
  stop(): Promise<void>
}

export async function startStack(
  temporal: { address: string; namespace: string },
  env: Record<string, string> = {},
): Promise<Stack> {
  const dir = await mkdtemp(join(tmpdir(), 'syncline-stack-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const store = join(dir, 'store.sqlite')
  const processes: Proc[] = []
  const prefix = `t${port}-`
  const environment = {
    ...process.env,
    SYNCLINE_SERVER: url,
    SYNCLINE_STORE: store,
    SYNCLINE_TEMPORAL: temporal.address,
    SYNCLINE_NAMESPACE: temporal.namespace,
    SYNCLINE_DATA_DIR: dir,
    SYNCLINE_PREFIX: prefix,
    SOURCE_PASSWORD: '',
    TARGET_PASSWORD: '',
    NO_COLOR: '1',
    ...env,
  }

  function launch(name: string, args: readonly string[]): Proc {
    const logFile = join(dir, `${name}-${processes.length}.log`)
    const child = spawn(process.execPath, [join(root, 'bin/syncline.js'), ...args], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const log = createWriteStream(logFile)
    child.stdout?.pipe(log)
    child.stderr?.pipe(log)
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
    const proc = {
      child,
      pid: child.pid as number,
      logFile,
      kill: (signal: NodeJS.Signals) => void child.kill(signal),
      ended: () => ended,
    }
    processes.push(proc)
    return proc
  }

  const api = async <Answer>(path: string): Promise<Answer> =>
    (await (await fetch(`${url}${path}`)).json()) as Answer

  let server: Proc
  const startServer = async (): Promise<void> => {
    server = launch('server', ['server', '--listen', `127.0.0.1:${port}`])
    await waitFor('the API', 60_000, async () => (await fetch(`${url}/healthz`)).ok)
  }
  await startServer()

  return {
    dir,
    url,
    server: () => server,
    startServer,
    async startWorker(role) {
      const proc = launch(role, ['worker', '--role', role])
      return proc
    },
    cli: (args, more = {}) =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, [join(root, 'bin/syncline.js'), ...args], {
          env: { ...environment, ...more },
        })
        let stdout = ''
        let stderr = ''
        child.stdout.on('data', (data) => {
          stdout += data
        })
        child.stderr.on('data', (data) => {
          stderr += data
        })
        child.once('close', (code) => resolve({ code, stdout, stderr }))
      }),
    async pipelineFile(name, source, target, spec) {
      const endpoint = (end: string, server: Reachable) => ({
        apiVersion: 'syncline/v1',
        kind: 'Endpoint',
        metadata: { name: `${name}-${end}` },
        spec: {
          kind: 'mysql',
          host: server.host,
          port: server.port,
          user: server.user,
          password: `\${env:${end.toUpperCase()}_PASSWORD}`,
        },
      })
      const documents = [
        endpoint('source', source),
        endpoint('target', target),
        {
          apiVersion: 'syncline/v1',
          kind: 'Pipeline',
          metadata: { name },
          spec: { source: `${name}-source`, target: `${name}-target`, ...spec },
        },
      ]
      const file = join(dir, `${name}.yaml`)
      await writeFile(file, documents.map((document) => stringify(document)).join('---\n'))
      return file
    },
    status: (pipeline) => api(`/v1/pipelines/${pipeline}/status`),
    async logs() {
      const texts = await Promise.all(
        processes.map(
          async ({ logFile }) => `== ${logFile}\n${(await readFile(logFile, 'utf8')).slice(-4_000)}`,
        ),
      )
      return texts.join('\n')
    },
    async stop() {
      for (const proc of processes) {
        proc.kill('SIGCONT')
        proc.kill('SIGTERM')
      }
      await Promise.all(
        processes.map(async (proc) => {
          const timer = setTimeout(() => proc.kill('SIGKILL'), 30_000)
          await proc.ended()
          clearTimeout(timer)
        }),
      )
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Waits until `condition` holds; what it throws counts as "not yet". */
export async function waitFor(
  what: string,
  timeoutMs: number,
  condition: () => Promise<boolean>,
): Promise<number> {
  const startedAtMs = performance.now()
  let last: unknown
  while (performance.now() - startedAtMs < timeoutMs) {
    try {
      if (await condition()) return performance.now() - startedAtMs
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last })
}
