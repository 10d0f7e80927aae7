/**
 * The command line as a whole: its options and commands. The reference is generated from here.
 */
import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { addActions, addDelete } from './commands/actions.ts'
import { addApply, addDiff } from './commands/apply.ts'
import { addDescribe } from './commands/describe.ts'
import { addDev } from './commands/dev.ts'
import { addGet } from './commands/get.ts'
import { addLag } from './commands/lag.ts'
import { addLimits } from './commands/limits.ts'
import { addServer, addWorker } from './commands/processes.ts'
import { addQuarantine } from './commands/quarantine.ts'
import { addStats } from './commands/stats.ts'
import { addTables } from './commands/tables.ts'
import { addValidate } from './commands/validate.ts'
import { addVerify } from './commands/verify.ts'
import type { CommandContext } from './context.ts'
import { exitCodes, exitMeanings } from './exit-codes.ts'
import { outputFormats } from './output.ts'

export function createProgram(context: CommandContext): Command {
  const program = new Command('syncline')
    .description('Keeps databases in step, as durable workflows.')
    .version(version(), '-V, --version', 'print the version')
    .addOption(
      new Option('-o, --output <format>', 'form of the data on stdout')
        .choices(outputFormats)
        .default('table'),
    )
    .addOption(
      new Option('--server <url>', 'the API').env('SYNCLINE_SERVER').default('http://127.0.0.1:7400'),
    )
    .addOption(
      new Option('--as <actor>', 'who asks, for the audit log; default: anonymous@<host>').env(
        'SYNCLINE_ACTOR',
      ),
    )
    .addOption(
      new Option('--temporal <host:port>', 'Temporal, for server, worker and dev')
        .env('SYNCLINE_TEMPORAL')
        .default('127.0.0.1:7233'),
    )
    .addOption(
      new Option('--namespace <name>', 'namespace in Temporal').env('SYNCLINE_NAMESPACE').default('default'),
    )
    .addOption(
      new Option('--store <path>', 'file of the metadata, for server, worker and dev')
        .env('SYNCLINE_STORE')
        .default('.syncline/store.db'),
    )
    .addOption(
      new Option('--data-dir <path>', 'folder for what can be made again')
        .env('SYNCLINE_DATA_DIR')
        .default('.syncline'),
    )
    .addOption(
      new Option('--prefix <text>', 'keeps installations apart that share a namespace').env(
        'SYNCLINE_PREFIX',
      ),
    )
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showHelpAfterError('(add --help for what is possible)')
    .addHelpText('after', `\nExit status:\n${exitText()}`)
  addDev(program, context)
  addServer(program, context)
  addWorker(program, context)
  addValidate(program, context)
  addApply(program, context)
  addDiff(program, context)
  addGet(program, context)
  addDescribe(program, context)
  addActions(program, context)
  addTables(program, context)
  addQuarantine(program, context)
  addLimits(program, context)
  addVerify(program, context)
  addDelete(program, context)
  addLag(program, context)
  addStats(program, context)
  return program
}

const exitText = (): string =>
  (Object.keys(exitCodes) as (keyof typeof exitCodes)[])
    .map((name) => `  ${String(exitCodes[name]).padStart(3)}  ${exitMeanings[name]}`)
    .join('\n')

function version(): string {
  const { version: text } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as {
    version: string
  }
  return text
}
