/*
 * Syncline's own processes: the API server, a control worker, a stream worker, each started by the command `syncline`, and started again
 * when it ends unasked, as systemd or Kubernetes would do.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ProcessExit, type RunningProcess, runCommand, startProcess } from '../proc.ts'

const command = join(import.meta.dirname, '../../bin/syncline.js')
/** What a supervisor waits before it starts a process again; systemd's own default is 0.1 s. */
export const restartAfterMs = 500

export type Service = {
  readonly name: string
  readonly logFile: string
  readonly pid: number
  /** SIGKILL; the supervisor starts it again. */
  kill(): Promise<void>
  /** In order, and for good. */
  stop(): Promise<void>
}

export type ServiceOptions = {
  readonly name: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly logDir: string
  readonly ready?: () => Promise<boolean>
}

export async function startService(options: ServiceOptions): Promise<Service> {
  const logFile = join(options.logDir, `${options.name}.log`)
  let wanted = true
  const launch = (): Promise<RunningProcess> =>
    startProcess({
      name: options.name,
      command: process.execPath,
      args: [command, ...options.args],
      logFile,
      env: options.env,
      ready: options.ready ?? (async () => true),
      readyTimeoutMs: 60_000,
    })
  let running = await launch()
  const supervise = async (): Promise<void> => {
    while (wanted) {
      await running.exited
      if (!wanted) return
      await sleep(restartAfterMs)
      if (wanted) running = await launch()
    }
  }
  const supervised = supervise().catch(() => {})
  return {
    name: options.name,
    logFile,
    get pid() {
      return running.pid
    },
    async kill() {
      const victim: Promise<ProcessExit> = running.kill()
      await victim
    },
    async stop() {
      wanted = false
      await running.stop()
      await supervised
    },
  }
}

/** Runs a command of `syncline` to its end, whatever its exit status is. */
export const runSyncline = (
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    const options = { env, timeout: 300_000, maxBuffer: 64 * 1024 * 1024 }
    execFile(process.execPath, [command, ...args], options, (_, stdout, stderr) =>
      resolve({ stdout, stderr }),
    )
  })

/** Runs a command of `syncline` to its end and returns what it said on stdout. */
export const syncline = (args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> =>
  runCommand(process.execPath, [command, ...args], { env, timeoutMs: 120_000 })
