/*
 * Starts a server process with its output in a log file, waits a bounded time until it is ready, and says with the
 * log's tail why it is not. Assumes a POSIX system. The process runs in a session of its own, so Ctrl-C reaches only
 * the starter, which ends it in order; if the starter dies, a watcher kills the process (see guard.ts).
 */
import { execFile, spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { guardProcess } from './guard.ts'

export type ProcessExit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

export type RunningProcess = {
  readonly pid: number
  /** Settles when the process has ended; never rejects. */
  readonly exited: Promise<ProcessExit>
  isRunning(): boolean
  /** Asks it to end, and kills it after `graceMs`. */
  stop(graceMs?: number): Promise<ProcessExit>
  kill(): Promise<ProcessExit>
  suspend(): void
  continue(): void
}

export type ProcessOptions = {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly logFile: string
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** True when the server answers. Called every 50 ms; a rejection counts as "not yet" and is named on time-out. */
  readonly ready: () => Promise<boolean>
  readonly readyTimeoutMs: number
}

/** The process ended or did not get ready; `logTail` is what it last wrote. */
export class ProcessFailed extends Error {
  readonly logTail: string
  constructor(message: string, logTail: string) {
    super(`${message}\n${logTail.trim() === '' ? '(its log is empty)' : logTail.trimEnd()}`)
    this.name = 'ProcessFailed'
    this.logTail = logTail
  }
}

export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const logStart = await fileSize(options.logFile)
  const log = openSync(options.logFile, 'a')
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let ended: ProcessExit | undefined
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', () => resolve({ code: 127, signal: null }))
  }).then((exit) => {
    ended = exit
    return exit
  })
  const pid = child.pid
  if (pid === undefined) throw new ProcessFailed(`${options.name}: cannot run ${options.command}.`, '')
  const guard = guardProcess(pid)
  void exited.then(() => guard.release())

  const signal = (name: NodeJS.Signals): void => {
    if (ended === undefined) child.kill(name)
  }
  const wait = async (): Promise<ProcessExit> => {
    child.ref()
    return exited
  }
  const running: RunningProcess = {
    pid,
    exited,
    isRunning: () => ended === undefined,
    async stop(graceMs = 30_000) {
      signal('SIGCONT')
      signal('SIGTERM')
      const killTimer = setTimeout(() => signal('SIGKILL'), graceMs)
      const exit = await wait()
      clearTimeout(killTimer)
      return exit
    },
    async kill() {
      signal('SIGKILL')
      return wait()
    },
    suspend() {
      signal('SIGSTOP')
      if (ended === undefined) waitUntilStopped(pid)
    },
    continue: () => signal('SIGCONT'),
  }

  const deadline = Date.now() + options.readyTimeoutMs
  let lastProblem = ''
  for (;;) {
    if (ended !== undefined) {
      const how = describeExit(ended)
      throw new ProcessFailed(
        `${options.name} ${how} before it was ready.`,
        await tail(options.logFile, logStart),
      )
    }
    try {
      if (await options.ready()) break
    } catch (error) {
      lastProblem = error instanceof Error ? error.message : String(error)
    }
    if (Date.now() > deadline) {
      await running.kill()
      const why = lastProblem === '' ? '' : ` (${lastProblem})`
      const message = `${options.name} was not ready after ${options.readyTimeoutMs} ms${why}.`
      throw new ProcessFailed(message, await tail(options.logFile, logStart))
    }
    await sleep(50)
  }
  // A script that is done may end; the watcher then ends the server. Waiting for the exit refs it again.
  child.unref()
  return running
}

export type CommandOptions = {
  /** For messages, where the command's own path says little. */
  readonly name?: string
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string | Buffer
  readonly timeoutMs?: number
}

/** Runs a command to its end and returns what it printed; a failure carries its error output. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      {
        cwd: options.cwd,
        env: options.env ?? process.env,
        timeout: options.timeoutMs ?? 0,
        maxBuffer: 1 << 30,
        encoding: 'utf8',
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout)
        const output = `${stdout}${stderr}`.slice(-4000).trimEnd()
        reject(
          new Error(`${command} ${args[0] ?? ''} failed: ${error.code ?? error.signal ?? ''}\n${output}`),
        )
      },
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input)
  })
}

/** Runs a command and hands its output over line by line while it runs, for long work that a person watches. */
export function streamCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions & { readonly onLine: (line: string) => void },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let last = ''
    for (const stream of [child.stdout, child.stderr]) {
      let rest = ''
      stream.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) {
          last = `${last}${line}\n`.slice(-4000)
          options.onLine(line)
        }
      })
    }
    child.once('error', (error) => reject(new Error(`cannot run ${command}: ${error.message}`)))
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`${options.name ?? command} failed with ${code}\n${last.trimEnd()}`))
    })
  })
}

function describeExit(exit: ProcessExit): string {
  return exit.signal === null ? `ended with status ${exit.code}` : `was ended by ${exit.signal}`
}

async function fileSize(file: string): Promise<number> {
  const handle = await open(file, 'a')
  const { size } = await handle.stat()
  await handle.close()
  return size
}

async function tail(file: string, from: number): Promise<string> {
  const handle = await open(file, 'r')
  const { size } = await handle.stat()
  const start = Math.max(from, size - 4000)
  const { buffer } = await handle.read(Buffer.alloc(size - start), 0, size - start, start)
  await handle.close()
  return buffer.toString('utf8')
}

/**
 * A signal is only sent when `kill` returns: a thread that runs on another core may answer a request yet. Blocks this process for as long as
 * that takes, at most a second.
 */
function waitUntilStopped(pid: number): void {
  const clock = new Int32Array(new SharedArrayBuffer(4))
  for (let tries = 0; tries < 200 && !isStopped(pid); tries++) Atomics.wait(clock, 0, 0, 5)
}

/** Every thread is in state T (proc(5)); a process that is gone counts as stopped. */
function isStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
    })
  } catch {
    return true
  }
}
