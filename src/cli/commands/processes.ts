/** `server` and `worker`: the processes of an installation, each until Ctrl-C or SIGTERM. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { WorkerRole } from '../../worker.ts'
import { type CommandContext, optionsOf } from '../context.ts'

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
      new Option('--role <role>', 'control: workflows; stream: engines; all: both')
        .choices(['control', 'stream', 'all'])
        .env('SYNCLINE_ROLE')
        .default('all'),
    )
    .action(async (_: unknown, command: Command) => {
      const options = optionsOf<{ role: WorkerRole }>(command)
      const { runWorker } = await import('../../worker.ts')
      await runWorker({
        role: options.role,
        temporalAddress: options.temporal,
        namespace: options.namespace,
        storePath: options.store,
        dataDir: options.dataDir,
        ...(options.prefix === undefined ? {} : { taskQueuePrefix: options.prefix }),
        signal: context.signal,
      })
    })
}

export function parseListen(text: string): { host: string; port: number } {
  const [, host, port] = /^(.*):(\d{1,5})$/.exec(text) ?? []
  if (host === undefined || host === '' || Number(port) > 65_535) {
    throw new InvalidArgumentError('Expected host:port, like 127.0.0.1:7400.')
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}
