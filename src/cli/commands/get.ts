/** `get`: lists resources. YAML is what `apply -f` takes. */
import { Argument, type Command } from 'commander'
import type { PipelineResource, PipelineStatusAnswer } from '../../api/wire.ts'
import type { ApiClient } from '../client.ts'
import { type CommandContext, clientOf, optionsOf } from '../context.ts'
import { countText, encoded, lagText, table, yamlDocuments } from '../output.ts'
import { verifiedWord } from '../verification-brief-text.ts'

/** Statuses asked for at once. */
const statusesAtOnce = 8

export function addGet(program: Command, context: CommandContext): void {
  program
    .command('get')
    .summary('list endpoints or pipelines')
    .description('Lists endpoints or pipelines. With -o yaml, as documents that apply takes.')
    .addArgument(new Argument('<kind>', 'what to list').choices(['endpoints', 'pipelines']))
    .argument('[name]', 'only this one')
    .action(async (kind: string, name: string | undefined, _: unknown, command: Command) => {
      const { output } = optionsOf(command)
      const client = clientOf(context, command)
      const resources =
        kind === 'endpoints'
          ? name === undefined
            ? await client.endpoints()
            : [await client.endpoint(name)]
          : name === undefined
            ? await client.pipelines()
            : [await client.pipeline(name)]
      if (output === 'yaml')
        return context.terminal.data(yamlDocuments(resources.map(({ document }) => document)))
      if (output === 'json') {
        return context.terminal.data(encoded(name === undefined ? resources : resources[0], 'json'))
      }
      if (kind === 'pipelines')
        return context.terminal.data(await pipelineTable(client, resources as PipelineResource[]))
      const rows = resources.map(({ document, generation }) => {
        const { spec, metadata } = document as Extract<typeof document, { kind: 'Endpoint' }>
        return [
          metadata.name,
          spec.kind,
          `${spec.host}:${spec.port}`,
          spec.user,
          spec.site ?? metadata.name,
          String(generation),
        ]
      })
      context.terminal.data(table(['NAME', 'KIND', 'ADDRESS', 'USER', 'SITE', 'GENERATION'], rows))
    })
}

async function pipelineTable(client: ApiClient, pipelines: readonly PipelineResource[]): Promise<string> {
  const statuses: (PipelineStatusAnswer | null)[] = []
  for (let at = 0; at < pipelines.length; at += statusesAtOnce) {
    const some = pipelines.slice(at, at + statusesAtOnce)
    // A list is still worth having where a status cannot be told.
    statuses.push(
      ...(await Promise.all(
        some.map(({ document }) => client.status(document.metadata.name).catch(() => null)),
      )),
    )
  }
  const rows = pipelines.map(({ document, generation }, index) => {
    const status = statuses[index]
    const engine = status?.engine ?? null
    return [
      document.metadata.name,
      status?.state ?? 'unknown',
      document.spec.source,
      document.spec.target,
      engine === null ? '-' : lagText(engine.lagMs),
      engine === null ? '-' : countText(engine.rowsPerSecond),
      status?.verifications === undefined ? '-' : verifiedWord(status.verifications),
      String(generation),
    ]
  })
  return table(['NAME', 'STATE', 'SOURCE', 'TARGET', 'LAG', 'ROWS/S', 'VERIFIED', 'GENERATION'], rows)
}
