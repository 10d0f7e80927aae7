/**
 * `apply` and `diff`: make the server follow files, or see what that would change.
 *
 * All files are checked before anything is sent; endpoints go before the pipelines that use them. Applying the same again changes nothing.
 */
import { type Command, Option } from 'commander'
import type { Plan } from '../../api/wire.ts'
import type { Document } from '../../config/document.ts'
import { loadFiles } from '../../config/load.ts'
import { outcomeText, tellHeldBack } from '../change-text.ts'
import { type CommandContext, clientOf, optionsOf, parseDuration } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { encoded, type OutputFormat } from '../output.ts'
import { waitForStreaming } from '../wait.ts'

interface ApplyOptions {
  readonly file: string[]
  readonly dryRun?: boolean
  readonly wait?: boolean
  readonly timeout: number
}

export function addApply(program: Command, context: CommandContext): void {
  program
    .command('apply')
    .summary('create or change what the files say')
    .description('Creates or changes endpoints and pipelines, and starts the pipelines.')
    .requiredOption('-f, --file <path...>', 'file or folder; - for standard input')
    .option('--dry-run', 'change nothing, show what would change')
    .option('--wait', 'wait until every pipeline streams, with progress')
    .addOption(
      new Option('--timeout <duration>', 'longest wait')
        .argParser(parseDuration)
        .default(parseDuration('24h'), '24h'),
    )
    .action(async (_: unknown, command: Command) => {
      const { file, dryRun = false, wait = false, timeout, output } = optionsOf<ApplyOptions>(command)
      const client = clientOf(context, command)
      const documents = await readDocuments(context, file)
      const results: { name: string; change: string; plan: Plan; workflow?: string | null }[] = []
      for (const document of documents) {
        const { change, plan, workflow } = await client.apply(document, dryRun)
        results.push({
          name: nameOf(document),
          change: dryRun ? plan.change : change,
          plan,
          ...(workflow === undefined ? {} : { workflow }),
        })
        if (output !== 'table') continue
        context.terminal.data(
          `${nameOf(document)} ${dryRun ? dryRunText(plan) : change}${outcomeText(document.metadata.name, workflow)}`,
        )
        for (const line of planLines(plan)) context.terminal.data(line)
      }
      if (output !== 'table') context.terminal.data(encoded(results, output))
      const heldBack = results.filter(({ workflow }) => workflow === 'held-back')
      for (const { name } of heldBack)
        tellHeldBack(context.terminal, await client.status(name.slice('pipeline/'.length)))
      if (heldBack.length > 0) return context.exit(exitCodes.failure)
      if (!wait || dryRun) return
      const pipelines = documents.flatMap(({ kind, metadata }) =>
        kind === 'Pipeline' ? [metadata.name] : [],
      )
      context.exit(await waitForStreaming(context, client, pipelines, timeout))
    })
}

export function addDiff(program: Command, context: CommandContext): void {
  program
    .command('diff')
    .summary('show what apply would change')
    .description(
      `Shows what apply would change, field by field. Exit status ${exitCodes.differences} when there is anything.`,
    )
    .requiredOption('-f, --file <path...>', 'file or folder; - for standard input')
    .action(async (_: unknown, command: Command) => {
      const { file, output } = optionsOf<{ file: string[] }>(command)
      const client = clientOf(context, command)
      const plans: { name: string; plan: Plan }[] = []
      for (const document of await readDocuments(context, file)) {
        plans.push({ name: nameOf(document), plan: (await client.apply(document, true)).plan })
      }
      const different = plans.filter(({ plan }) => plan.change !== 'unchanged')
      if (output === 'table') {
        for (const { name, plan } of different) {
          context.terminal.data(`${name} ${dryRunText(plan)}`)
          for (const line of planLines(plan)) context.terminal.data(line)
        }
      } else context.terminal.data(encoded(plans, output as Exclude<OutputFormat, 'table'>))
      if (different.length > 0) context.exit(exitCodes.differences)
    })
}

async function readDocuments(context: CommandContext, files: string[]): Promise<Document[]> {
  const documents = (await loadFiles(files, () => context.terminal.stdin())).map(({ document }) => document)
  return documents.sort((a, b) => Number(a.kind === 'Pipeline') - Number(b.kind === 'Pipeline'))
}

const nameOf = (document: Document): string => `${document.kind.toLowerCase()}/${document.metadata.name}`

const dryRunText = ({ change }: Plan): string =>
  change === 'create' ? 'would be created' : change === 'change' ? 'would be changed' : 'unchanged'

const planLines = ({ change, fields, restarts }: Plan): string[] =>
  change === 'create'
    ? []
    : [
        ...fields.map(({ path, before, after, effect, reason }) => {
          const why = reason === undefined ? '' : `: ${reason}`
          return `  ${path}: ${JSON.stringify(before)} -> ${JSON.stringify(after)}  (${effect}${why})`
        }),
        ...(restarts.length > 0 ? [`  the stream restarts: ${restarts.join(', ')}`] : []),
      ]
