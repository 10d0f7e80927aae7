/**
 * One engine host as its worker sees it: a child process that says something at least every 250 ms, or is not well.
 *
 * Assumes nothing of the child: it may be killed, stopped, or stuck in a loop at any time. `exited` settles exactly once, whatever happened.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { FromHost, HostArguments, ToHost } from './host-messages.ts'

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const entry = fileURLToPath(new URL(`./engine-host${extension}`, import.meta.url))

export interface HostProcess {
  readonly pid: number
  /** Settles with a description for people ("was killed by SIGKILL"). */
  readonly exited: Promise<string>
  isReady(): boolean
  hasExited(): boolean
  /** performance.now() of its last word, or of the last moment at which this process itself was not able to listen. */
  lastHeardMs(): number
  send(message: ToHost): void
  kill(): void
  /** This process slept (SIGSTOP, a suspended machine): what the child said meanwhile is not read yet. */
  forgiveSilence(): void
}

export interface HostListener {
  onMessage(host: HostProcess, message: FromHost): void
  onReady(host: HostProcess): void
  onExit(host: HostProcess, how: string): void
}

/** @param execArgv flags of the node process, such as its heap's limit */
export const startHost = (
  given: HostArguments,
  execArgv: readonly string[],
  listener: HostListener,
): HostProcess => {
  const child: ChildProcess = fork(entry, [JSON.stringify(given)], {
    execArgv: [...execArgv],
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  let lastHeardMs = performance.now()
  let isReady = false
  let end: string | null = null
  const exited = Promise.withResolvers<string>()
  const ended = (how: string): void => {
    if (end !== null) return
    end = how
    exited.resolve(how)
    listener.onExit(host, how)
  }
  const host: HostProcess = {
    pid: child.pid ?? 0,
    exited: exited.promise,
    isReady: () => isReady,
    hasExited: () => end !== null,
    lastHeardMs: () => lastHeardMs,
    send: (message) => {
      // A send to a child that died a moment ago fails; `exit` follows and is what counts.
      if (end === null && child.connected) child.send(message, () => {})
    },
    kill: () => void child.kill('SIGKILL'),
    forgiveSilence: () => {
      lastHeardMs = performance.now()
    },
  }
  child.on('message', (message) => {
    lastHeardMs = performance.now()
    const said = message as FromHost
    if (said.type === 'ready') {
      isReady = true
      listener.onReady(host)
    }
    listener.onMessage(host, said)
  })
  child.on('error', (error) => ended(`could not be run: ${error.message}`))
  child.on('exit', (code, signal) =>
    ended(signal === null ? `ended with status ${code}` : `was killed by ${signal}`),
  )
  return host
}
