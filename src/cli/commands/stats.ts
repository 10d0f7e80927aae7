/** `stats`: what a pipeline has done and where its time goes, once or again and again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { StatisticsAnswer } from '../../api/wire.ts'
import { asSyncError } from '../../core/errors.ts'
import type { ApiClient } from '../client.ts'
import { type CommandContext, clientOf, optionsOf, parseDuration } from '../context.ts'
import { countText, durationText, encoded, table } from '../output.ts'
import {
  batchesText,
  bottleneckText,
  bytesText,
  rowsText,
  type Statistics,
  shardText,
} from '../statistics-text.ts'

const pageSize = 500

interface StatsOptions {
  readonly tables: number
  readonly sort: 'rows' | 'name'
  readonly watch?: boolean
  readonly interval: number
}

export function addStats(program: Command, context: CommandContext): void {
  program
    .command('stats')
    .summary('show what a pipeline has done, and where its time goes')
    .description(
      'Shows rows in and out, merging, batches, bytes, times by stage and what waited for what, then the tables with most rows. Counting begins anew with each engine. With --watch -o json: one JSON document per line.',
    )
    .argument('<name>', 'name of the pipeline')
    .addOption(new Option('--tables <count>', 'tables shown').argParser(parseCount).default(20))
    .addOption(new Option('--sort <order>', 'order of the tables').choices(['rows', 'name']).default('rows'))
    .option('-w, --watch', 'again and again, until Ctrl-C')
    .addOption(
      new Option('--interval <duration>', 'time between two looks')
        .argParser(parseDuration)
        .default(2_000, '2s'),
    )
    .action(async (name: string, _: unknown, command: Command) => {
      const options = optionsOf<StatsOptions>(command)
      const { watch = false, interval, output } = options
      const client = clientOf(context, command)
      const { terminal, signal } = context
      const show = async (): Promise<void> => {
        const answer = await read(client, name, options)
        if (output === 'json') return terminal.data(watch ? JSON.stringify(answer) : encoded(answer, 'json'))
        if (output === 'yaml') return terminal.data(`${watch ? '---\n' : ''}${encoded(answer, 'yaml')}`)
        terminal.data(`${statsText(answer)}${watch ? '\n' : ''}`)
      }
      await show()
      while (watch) {
        await sleep(interval, undefined, { signal })
        try {
          await show()
        } catch (thrown) {
          signal.throwIfAborted()
          const error = asSyncError(thrown)
          if (error.disposition !== 'retry') throw error
          terminal.say(`${error.code} ${error.message}`)
        }
      }
    })
}

type Answer = Omit<StatisticsAnswer, 'nextPageToken'>

async function read(client: ApiClient, name: string, { tables, sort }: StatsOptions): Promise<Answer> {
  const pageOf = (left: number) => ({ sort, pageSize: Math.min(left, pageSize) })
  const first = await client.statistics(name, pageOf(tables))
  const items = [...first.tables]
  let token = first.nextPageToken
  while (token !== null && items.length < tables) {
    const page = await client.statistics(name, { ...pageOf(tables - items.length), pageToken: token })
    items.push(...page.tables)
    token = page.nextPageToken
  }
  // A server of an earlier version says nothing of shards.
  return { name, statistics: first.statistics, shards: first.shards ?? null, tables: items }
}

/** For people; `-o json` has every field. */
export function statsText({ name, statistics, shards, tables }: Answer): string {
  if (statistics === null) return `No engine of pipeline ${name} has counted anything yet.`
  const lines = [
    ['Since', `${statistics.since}, as of ${statistics.at}`],
    ['Rows', rowsText(statistics)],
    ['Batches', batchesText(statistics)],
    ['Bottleneck', bottleneckText(statistics, shards)],
    ['Reading', readingText(statistics)],
    ['Writing', writingText(statistics)],
    ...(shards ?? []).map((figures) => [`Shard ${figures.shard}`, shardText(figures)]),
  ].map(([label, text]) => `${label?.padEnd(12)} ${text}`)
  if (tables.length === 0) return lines.join('\n')
  const header = [
    'TABLE',
    'INSERTED',
    'UPDATED',
    'DELETED',
    'COPIED',
    'UPSERTED',
    'REMOVED',
    'MERGED',
    'BYTES',
  ]
  const rows = tables.map((entry) => [
    entry.table,
    ...(['inserted', 'updated', 'deleted', 'copied', 'upserted', 'removed', 'merged'] as const).map((field) =>
      countText(entry[field]),
    ),
    bytesText(entry.bytes),
  ])
  const more = statistics.tables - tables.length
  const rest = more > 0 ? `\nand ${countText(more)} more: --tables ${statistics.tables}` : ''
  return `${lines.join('\n')}\n\n${table(header, rows)}${rest}`
}

const readingText = ({ timesMs, heldMs }: Statistics): string =>
  `decode ${durationText(timesMs.decode)}, merge ${durationText(timesMs.merge)}, chunks ${durationText(timesMs.chunkRead)}; waited for log ${durationText(timesMs.sourceWait)}, for room in the batch ${durationText(heldMs.batchFull)}, for chunks ${durationText(heldMs.chunkWindow)}`

const writingText = ({ timesMs, heldMs }: Statistics): string =>
  `plan ${durationText(timesMs.plan)}, SQL ${durationText(timesMs.build)}, small batches ${durationText(timesMs.small)}, headers ${durationText(timesMs.header)}, lanes ${durationText(timesMs.lanes)}, commits ${durationText(timesMs.commit)}; waited for rows ${durationText(heldMs.lanesIdle)}, for the slowest lane ${durationText(heldMs.laneSkew)}`

function parseCount(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Expected a number of tables.')
  return Number(text)
}
