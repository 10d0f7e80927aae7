/**
 * `dev`: a whole installation on this machine: the API server, a control worker and a stream worker, each its own process.
 *
 * Uses the Temporal at --temporal if one answers; in a clone of the repository it starts one otherwise. A process that dies is started again
 * after a second. Ends everything it started on Ctrl-C.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { SyncError } from '../../core/errors.ts'
import { type CommandContext, type GlobalOptions, optionsOf } from '../context.ts'
import { defaultListen } from './processes.ts'

const entry = fileURLToPath(new URL('../../../bin/syncline.js', import.meta.url))
const temporalStarter = new URL('../../../dev/temporal.ts', import.meta.url)
const restartMs = 1_000
const endWithinMs = 30_000

interface StartedTemporal {
  readonly address: string
  readonly namespace: string
  readonly uiUrl: string | undefined
  stop(): Promise<void>
}

export function addDev(program: Command, context: CommandContext): void {
  program
    .command('dev')
    .summary('run everything on this machine')
    .description(
      'Runs the API server and the workers on this machine until Ctrl-C, and Temporal too where there is none.',
    )
    .addOption(
      new Option('--listen <host:port>', 'address of the API').env('SYNCLINE_LISTEN').default(defaultListen),
    )
    .action(async (_: unknown, command: Command) => {
      const options = optionsOf<{ listen: string }>(command)
      const temporal = await temporalOf(context, options)
      const shared = [
        '--temporal',
        temporal.address,
        '--namespace',
        temporal.namespace,
        '--store',
        options.store,
        '--data-dir',
        options.dataDir,
      ]
      const prefixed = options.prefix === undefined ? shared : [...shared, '--prefix', options.prefix]
      const processes = [
        keepRunning(context, 'api', ['server', '--listen', options.listen, ...prefixed]),
        keepRunning(context, 'control', ['worker', '--role', 'control', ...prefixed]),
        keepRunning(context, 'stream', ['worker', '--role', 'stream', ...prefixed]),
        keepRunning(context, 'verify', ['worker', '--role', 'verify', ...prefixed]),
      ]
      context.terminal.say(`API       http://${options.listen}`)
      context.terminal.say(
        `Temporal  ${temporal.address}${temporal.uiUrl === undefined ? '' : `, web UI ${temporal.uiUrl}`}`,
      )
      context.terminal.say(`Store     ${options.store}`)
      context.terminal.say('Ctrl-C ends them all.')
      await Promise.all(processes)
      await temporal.stop()
    })
}

async function temporalOf(context: CommandContext, options: GlobalOptions): Promise<StartedTemporal> {
  if (await answers(options.temporal)) {
    return { address: options.temporal, namespace: options.namespace, uiUrl: undefined, stop: async () => {} }
  }
  if (!existsSync(temporalStarter)) {
    throw new SyncError('SYNC-1106', `nothing answers at ${options.temporal}`, {
      remedy: 'Start Temporal there (`temporal server start-dev`), or name another with --temporal.',
    })
  }
  context.terminal.say(`Nothing answers at ${options.temporal}: starting a Temporal of our own ...`)
  const starter = (await import(temporalStarter.href)) as {
    startTemporal(given: { dir: string }): Promise<StartedTemporal>
  }
  return starter.startTemporal({ dir: `${options.dataDir}/temporal` })
}

/** Resolves once the process has ended after the signal. */
async function keepRunning(context: CommandContext, name: string, args: readonly string[]): Promise<void> {
  const { signal, terminal } = context
  while (!signal.aborted) {
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => terminal.say(`${name.padEnd(8)}${line}`))
    }
    await endOf(child, signal)
    if (signal.aborted) return
    terminal.say(`${name} ended with ${child.exitCode ?? child.signalCode}; starting it again`)
    await sleep(restartMs, undefined, { signal }).catch(() => {})
  }
}

function endOf(child: ChildProcess, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      child.kill('SIGTERM')
      setTimeout(() => child.kill('SIGKILL'), endWithinMs).unref()
    }
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
    child.once('close', () => {
      signal.removeEventListener('abort', end)
      resolve()
    })
    child.once('error', () => resolve())
  })
}

/** Does anything accept connections there? */
function answers(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(/:(?=\d+$)/)
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), timeout: 1_000 })
    const settle = (isThere: boolean) => (): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', settle(true)).once('error', settle(false)).once('timeout', settle(false))
  })
}
