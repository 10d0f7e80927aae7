/** `lag`: how far a pipeline is behind, once or again and again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import type { PipelineStatusAnswer } from '../../api/wire.ts'
import { asSyncError } from '../../core/errors.ts'
import { type CommandContext, clientOf, optionsOf, parseDuration } from '../context.ts'
import { countText, encoded, lagText, table } from '../output.ts'

export function addLag(program: Command, context: CommandContext): void {
  program
    .command('lag')
    .summary('show how far a pipeline is behind')
    .description('Shows state, lag and throughput. With --watch -o json: one JSON document per line.')
    .argument('<name>', 'name of the pipeline')
    .option('-w, --watch', 'again and again, until Ctrl-C')
    .addOption(
      new Option('--interval <duration>', 'time between two lines')
        .argParser(parseDuration)
        .default(1_000, '1s'),
    )
    .action(async (name: string, _: unknown, command: Command) => {
      const { watch = false, interval, output } = optionsOf<{ watch?: boolean; interval: number }>(command)
      const client = clientOf(context, command)
      const { terminal, signal } = context
      const show = (status: PipelineStatusAnswer, withHeader: boolean): void => {
        const sample = sampleOf(status)
        if (output === 'json') return terminal.data(watch ? JSON.stringify(sample) : encoded(sample, 'json'))
        if (output === 'yaml') return terminal.data(`${watch ? '---\n' : ''}${encoded(sample, 'yaml')}`)
        const lines = lagTable(sample).split('\n')
        for (const line of withHeader ? lines : lines.slice(1)) terminal.data(line)
      }
      show(await client.status(name), true)
      while (watch) {
        await sleep(interval, undefined, { signal })
        try {
          show(await client.status(name), false)
        } catch (thrown) {
          signal.throwIfAborted()
          const error = asSyncError(thrown)
          if (error.disposition !== 'retry') throw error
          terminal.say(`${error.code} ${error.message}`)
        }
      }
    })
}

const sampleOf = ({ name, state, engine, shards }: PipelineStatusAnswer) => ({
  at: new Date().toISOString(),
  name,
  state,
  lagMs: engine?.lagMs ?? null,
  rowsPerSecond: engine?.rowsPerSecond ?? null,
  rowsApplied: engine?.rowsApplied ?? null,
  // `lagMs` is the greatest of theirs.
  ...(shards === null
    ? {}
    : {
        shards: shards.map(({ shard, state: its, engine: one }) => ({
          shard,
          state: its,
          lagMs: one?.lagMs ?? null,
        })),
      }),
})

// Widths are fixed, so that the lines of --watch stand under each other.
const lagTable = ({
  at,
  state,
  lagMs,
  rowsPerSecond,
  rowsApplied,
  shards,
}: ReturnType<typeof sampleOf>): string =>
  table(
    [
      'TIME'.padEnd(24),
      'STATE'.padEnd(11),
      'LAG'.padEnd(12),
      'ROWS/S'.padEnd(10),
      ...(shards === undefined ? ['ROWS'] : ['ROWS'.padEnd(12), 'LAG OF SHARDS']),
    ],
    [
      [
        at,
        state,
        lagMs === null ? '-' : lagText(lagMs),
        rowsPerSecond === null ? '-' : countText(rowsPerSecond),
        rowsApplied === null ? '-' : countText(rowsApplied),
        ...(shards === undefined
          ? []
          : [shards.map((shard) => (shard.lagMs === null ? '-' : lagText(shard.lagMs))).join(', ')]),
      ],
    ],
  )
