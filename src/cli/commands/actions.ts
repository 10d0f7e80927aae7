/** `pause`, `resume`, `stop`: what a person tells a pipeline to do. `delete`: what cannot be taken back. */
import { Command } from 'commander'
import { SyncError } from '../../core/errors.ts'
import type { Action, Kind } from '../client.ts'
import { type CommandContext, clientOf, optionsOf } from '../context.ts'
import { encoded } from '../output.ts'

const texts: Record<Action, { summary: string; description: string }> = {
  pause: {
    summary: 'drain and wait',
    description: 'Drains the pipeline and keeps its position until resume.',
  },
  resume: {
    summary: 'go on after a pause, a block or a stop',
    description: 'Lets a pipeline go on: after a pause, after what blocked it was mended, or after a stop.',
  },
  stop: {
    summary: 'drain and end',
    description: 'Drains the pipeline and ends its workflow; resume starts it again from its position.',
  },
}

export function addActions(program: Command, context: CommandContext): void {
  for (const action of Object.keys(texts) as Action[]) {
    program
      .command(action)
      .summary(texts[action].summary)
      .description(texts[action].description)
      .argument('<name>', 'name of the pipeline')
      .action(async (name: string, _: unknown, command: Command) => {
        const status = await clientOf(context, command).act(name, action)
        const { output } = optionsOf(command)
        context.terminal.data(
          output === 'table' ? `pipeline/${name} ${status.state}` : encoded(status, output),
        )
      })
  }
}

export function addDelete(program: Command, context: CommandContext): void {
  const remove = new Command('delete')
    .summary('delete a pipeline or an endpoint')
    .description(
      'Deletes a pipeline, drained first, or an endpoint that no pipeline uses. Rows at the target stay.',
    )
    .argument('<resource...>', '[pipeline|endpoint] NAME; a name alone is a pipeline')
    .option('-y, --yes', 'do not ask')
    .option('--force', 'do not wait for the drain (a pipeline that no worker serves)')
    .action(async (words: string[], _: unknown, command: Command) => {
      const { yes = false, force = false } = optionsOf<{ yes?: boolean; force?: boolean }>(command)
      const { kind, name } = resourceOf(words)
      if (!yes) await askFirst(context, kind, name)
      await clientOf(context, command).delete(kind, name, force)
      context.terminal.data(`${kind}/${name} deleted`)
    })
  program.addCommand(remove)
}

function resourceOf(words: string[]): { kind: Kind; name: string } {
  const [first, second, ...rest] = words
  if (first !== undefined && second === undefined) return { kind: 'pipeline', name: first }
  if (rest.length === 0 && second !== undefined && (first === 'pipeline' || first === 'endpoint')) {
    return { kind: first, name: second }
  }
  throw new SyncError('SYNC-1102', `delete ${words.join(' ')}: expected [pipeline|endpoint] NAME`, {
    remedy: 'See `syncline delete --help`.',
  })
}

async function askFirst(context: CommandContext, kind: Kind, name: string): Promise<void> {
  if (!process.stdin.isTTY || !context.terminal.isInteractive) {
    throw new SyncError('SYNC-1102', `delete ${kind} ${name} needs a yes, and nobody can be asked here`, {
      remedy: 'Add --yes.',
    })
  }
  if (await context.terminal.confirm(`Delete ${kind} ${name}?`)) return
  throw new SyncError('SYNC-1102', `${kind} ${name} was not deleted`, { remedy: 'Answer y, or add --yes.' })
}
