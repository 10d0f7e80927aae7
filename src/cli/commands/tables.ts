/** `tables add`, `tables remove`: what a pipeline carries, changed while it streams. */
import type { Command } from 'commander'
import type { AppliedPipeline } from '../../api/wire.ts'
import { SyncError } from '../../core/errors.ts'
import { outcomeText, tellHeldBack } from '../change-text.ts'
import { type CommandContext, clientOf, optionsOf } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { encoded } from '../output.ts'

interface AddOptions {
  readonly to?: string
  readonly where?: string
}

export function addTables(program: Command, context: CommandContext): void {
  const tables = program
    .command('tables')
    .summary('add or remove tables of a running pipeline')
    .description(
      'Changes which tables a pipeline carries. What streams goes on streaming: the change is checked beside it and costs at most one restart of the stream.',
    )
  tables
    .command('add')
    .summary('let tables join')
    .description(
      'Lets tables join: checked, created where the pipeline may create tables, and loaded beside the stream.',
    )
    .argument('<name>', 'name of the pipeline')
    .argument('<table...>', 'source tables as schema.table; * stands for any run of characters')
    .option('--to <schema.table>', 'names at the target; {schema} and {table} stand for the source’s')
    .option('--where <filter>', 'row filter')
    .action(async (name: string, patterns: string[], _: unknown, command: Command) => {
      const { to, where } = optionsOf<AddOptions>(command)
      const rules = patterns.map((match) =>
        to === undefined && where === undefined
          ? match
          : {
              match,
              ...(to === undefined ? {} : { to: targetOf(to) }),
              ...(where === undefined ? {} : { where }),
            },
      )
      await tell(context, command, name, await clientOf(context, command).addTables(name, rules))
    })
  tables
    .command('remove')
    .summary('let tables leave')
    .description(
      'Lets tables leave. Their rows at the target stay; a table that joins again later is loaded anew.',
    )
    .argument('<name>', 'name of the pipeline')
    .argument('<table...>', 'source tables as schema.table; * stands for any run of characters')
    .action(async (name: string, patterns: string[], _: unknown, command: Command) => {
      await tell(context, command, name, await clientOf(context, command).removeTables(name, patterns))
    })
}

function targetOf(text: string): { schema: string; table: string } {
  const [, schema, table] = /^([^.]+)\.(.+)$/.exec(text) ?? []
  if (schema === undefined || table === undefined) {
    throw new SyncError('SYNC-1102', `--to ${text}: expected schema.table`, {
      remedy: 'Write for example --to copy.{table}.',
    })
  }
  return { schema, table }
}

async function tell(
  context: CommandContext,
  command: Command,
  name: string,
  { change, workflow, resource, plan }: AppliedPipeline,
): Promise<void> {
  const { output } = optionsOf(command)
  const { terminal } = context
  const status = workflow === 'held-back' ? await clientOf(context, command).status(name) : null
  if (output === 'table') {
    terminal.data(`pipeline/${name} ${change}${outcomeText(name, workflow)}`)
    for (const { match, exclude } of resource?.document.spec.tables ?? [])
      terminal.data(`  ${match}${exclude.length === 0 ? '' : ` without ${exclude.join(', ')}`}`)
  } else terminal.data(encoded({ change, workflow, resource, plan }, output))
  if (status === null) return
  tellHeldBack(terminal, status)
  context.exit(exitCodes.failure)
}
