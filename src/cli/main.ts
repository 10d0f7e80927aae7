/**
 * Runs one command: parses, acts, and ends with the exit status that exit-codes.ts states.
 *
 * The first Ctrl-C asks the command to end, the second ends it.
 */
import { type Command, CommanderError } from 'commander'
import { asSyncError } from '../core/errors.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodeOf, exitCodes } from './exit-codes.ts'
import { tellError } from './failure.ts'
import { createProgram } from './program.ts'
import { createTerminal, type Terminal } from './terminal.ts'

/** Processes that a supervisor ends with SIGTERM as a matter of course. */
const longRunning = new Set(['server', 'worker', 'dev'])

/** @returns the exit status, once all that was written has left this process: an exit would cut it off where a pipe takes it slowly */
export async function main(argv: readonly string[]): Promise<number> {
  const terminal = createTerminal()
  const status = await run(argv, terminal)
  await terminal.flushed()
  return status
}

async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  const controller = new AbortController()
  let interrupted = false
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exitCodes.interrupted)
      interrupted = true
      controller.abort()
    })
  }
  let status: ExitCode = exitCodes.ok
  let running = ''
  const context: CommandContext = {
    terminal,
    signal: controller.signal,
    exit: (code) => {
      status = code
    },
  }
  const program = createProgram(context)
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({ writeErr: (text) => process.stderr.write(text) })
  }
  program.hook('preAction', (_: Command, action: Command) => {
    running = action.name()
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
    return interrupted && !longRunning.has(running) ? exitCodes.interrupted : status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    if (controller.signal.aborted) return exitCodes.interrupted
    const told = asSyncError(error)
    tellError(terminal, told)
    if (told.disposition === 'bug' && error instanceof Error) terminal.say(error.stack ?? '')
    return exitCodeOf(told.code)
  }
}

const withSubcommands = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(withSubcommands),
]

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
