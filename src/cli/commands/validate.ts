/** `validate`: checks files as `apply` would, without a server. */
import type { Command } from 'commander'
import { loadFiles } from '../../config/load.ts'
import { type CommandContext, optionsOf } from '../context.ts'
import { encoded } from '../output.ts'

export function addValidate(program: Command, context: CommandContext): void {
  program
    .command('validate')
    .summary('check files without a server')
    .description(
      'Checks files of endpoints and pipelines. Tells every mistake with file, line, column and remedy.',
    )
    .requiredOption('-f, --file <path...>', 'file or folder; - for standard input')
    .action(async (_: unknown, command: Command) => {
      const { file, output } = optionsOf<{ file: string[] }>(command)
      const loaded = await loadFiles(file, () => context.terminal.stdin())
      const found = loaded.map(({ document, file: from, line }) => ({
        kind: document.kind,
        name: document.metadata.name,
        file: from,
        line,
      }))
      if (output !== 'table') return context.terminal.data(encoded(found, output))
      for (const { kind, name, file: from, line } of found) {
        context.terminal.data(`${from}:${line}  ${kind.toLowerCase()}/${name} is valid`)
      }
    })
}
