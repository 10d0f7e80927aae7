/** `server` and `worker`: the processes of an installation, each until Ctrl-C or SIGTERM. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { heapFlags } from '../../config/heap-flags.ts'
import { sizeBytes } from '../../config/quantity.ts'
import type { WorkerRole } from '../../worker.ts'
import { type CommandContext, optionsOf } from '../context.ts'
import { goOnWithFlags } from '../flagged-process.ts'

export const defaultListen = '127.0.0.1:7400'

export function addServer(program: Command, context: CommandContext): void {
  program
    .command('server')
    .summary('run the API server')
    .description('Runs the API server until it is told to end.')
    .addOption(
      new Option('--listen <host:port>', 'address to listen on; port 0 takes any free one')
        .env('SYNCLINE_LISTEN')
        .default(parseListen(defaultListen), defaultListen)
        .argParser(parseListen),
    )
    .option(
      '--allow-remote',
      'listen on an address that others can reach, although the API knows no users yet',
    )
    .action(async (_: unknown, command: Command) => {
      const options = optionsOf<{ listen: { host: string; port: number }; allowRemote?: boolean }>(command)
      const { runServer } = await import('../../server.ts')
      await runServer({
        ...options.listen,
        allowRemote: options.allowRemote === true,
        temporalAddress: options.temporal,
        namespace: options.namespace,
        storePath: options.store,
        ...(options.prefix === undefined ? {} : { taskQueuePrefix: options.prefix }),
        signal: context.signal,
        onListening: (url) => context.terminal.data(url),
      })
    })
}

export function addWorker(program: Command, context: CommandContext): void {
  program
    .command('worker')
    .summary('run a worker')
    .description('Runs a worker until it is told to end; its engines then drain and hand over.')
    .addOption(
      new Option(
        '--role <role>',
        'control: workflows; stream: engines; verify: comparisons and repairs; all: all of them',
      )
        .choices(['control', 'stream', 'verify', 'all'])
        .env('SYNCLINE_ROLE')
        .default('all'),
    )
    .addOption(
      new Option('--engine-heap <size>', 'limit of the heap of the process that runs the engines, like 2GiB')
        .env('SYNCLINE_ENGINE_HEAP')
        .argParser(parseSize),
    )
    .addOption(
      new Option('--max-pipelines <n>', 'engines that this worker runs at most')
        .env('SYNCLINE_MAX_PIPELINES')
        .argParser(parseCount)
        .default(500),
    )
    .action(async (_: unknown, command: Command) => {
      const options = optionsOf<{ role: WorkerRole; engineHeap?: number; maxPipelines: number }>(command)
      // A stream worker's rows are in the process of its engines, a control worker has none.
      if (options.role === 'verify' || options.role === 'all') goOnWithFlags(heapFlags(null))
      const { runWorker } = await import('../../worker.ts')
      await runWorker({
        role: options.role,
        temporalAddress: options.temporal,
        namespace: options.namespace,
        storePath: options.store,
        dataDir: options.dataDir,
        maxPipelines: options.maxPipelines,
        ...(options.prefix === undefined ? {} : { taskQueuePrefix: options.prefix }),
        ...(options.engineHeap === undefined
          ? {}
          : { engineHeapMiB: Math.floor(options.engineHeap / 1024 ** 2) }),
        signal: context.signal,
      })
    })
}

const leastHeapBytes = 128 * 1024 ** 2

/** A size option, in bytes. */
function parseSize(text: string): number {
  let bytes = 0
  try {
    bytes = sizeBytes(text)
  } catch {
    throw new InvalidArgumentError('Expected a size with a unit, like 512MiB or 2GiB.')
  }
  if (bytes < leastHeapBytes) throw new InvalidArgumentError('An engine needs 128MiB at least.')
  return bytes
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('Expected a number from 1 on.')
  return count
}

export function parseListen(text: string): { host: string; port: number } {
  const [, host, port] = /^(.*):(\d{1,5})$/.exec(text) ?? []
  if (host === undefined || host === '' || Number(port) > 65_535) {
    throw new InvalidArgumentError('Expected host:port, like 127.0.0.1:7400.')
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}
