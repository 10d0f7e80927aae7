/** `quarantine list`, `show`, `rejoin`: tables that are parked because the target refuses their rows, and the way back. */
import type { Command } from 'commander'
import { SyncError } from '../../core/errors.ts'
import { type CommandContext, clientOf, optionsOf } from '../context.ts'
import { encoded, table as textTable } from '../output.ts'

export function addQuarantine(program: Command, context: CommandContext): void {
  const quarantine = program
    .command('quarantine')
    .summary('see parked tables and let them rejoin')
    .description(
      'Tables that are parked because the target refuses their rows (spec.onRefusedRow: quarantine).',
    )
  quarantine
    .command('list')
    .summary('list the parked tables')
    .description('Lists the parked tables of a pipeline, also while it does not run.')
    .argument('<name>', 'name of the pipeline')
    .action(async (name: string, _: unknown, command: Command) => {
      const { output } = optionsOf(command)
      const parked = await clientOf(context, command).parkedTables(name)
      const rows = parked.map((entry) => [
        entry.table,
        entry.state,
        entry.parkedAt,
        entry.code,
        String(entry.deadLetters),
      ])
      context.terminal.data(
        output === 'table'
          ? textTable(['TABLE', 'STATE', 'SINCE', 'CODE', 'DEAD LETTERS'], rows)
          : encoded(parked, output),
      )
    })
  quarantine
    .command('show')
    .summary('show why a table is parked')
    .description('Shows why a table is parked and what to do. Refused rows stay at the target.')
    .argument('<name>', 'name of the pipeline')
    .argument('<table>', 'the source table, as schema.table')
    .action(async (name: string, table: string, _: unknown, command: Command) => {
      const { output } = optionsOf(command)
      const parked = (await clientOf(context, command).parkedTables(name)).find(
        (entry) => entry.table === table,
      )
      if (parked === undefined)
        throw new SyncError('SYNC-3305', `table ${table} of pipeline ${name} is not parked`)
      if (output !== 'table') return context.terminal.data(encoded(parked, output))
      const lines: [string, string][] = [
        ['Table', parked.table],
        ['State', `${parked.state}, since ${parked.parkedAt}`],
        ['Cause', `${parked.code} ${parked.message}`],
        ['Remedy', parked.remedy],
        ['Dead letters', `${parked.deadLetters}, in syncline.dead_letter at the target`],
        ['Then', `syncline quarantine rejoin ${name} ${parked.table}`],
      ]
      context.terminal.data(lines.map(([label, text]) => `${label.padEnd(13)} ${text}`).join('\n'))
    })
  quarantine
    .command('rejoin')
    .summary('let a parked table rejoin')
    .description(
      'Lets a parked table rejoin: its rows at the target are removed, and it is loaded again beside the stream.',
    )
    .argument('<name>', 'name of the pipeline')
    .argument('<table>', 'the source table, as schema.table')
    .action(async (name: string, table: string, _: unknown, command: Command) => {
      const { output } = optionsOf(command)
      const status = await clientOf(context, command).rejoin(name, table)
      context.terminal.data(
        output === 'table' ? `pipeline/${name} ${table} rejoins` : encoded(status, output),
      )
    })
}
