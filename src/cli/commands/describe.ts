/** `describe`: everything that is known of one resource. */
import { Argument, type Command } from 'commander'
import type {
  PipelineResource,
  PipelineStatusAnswer,
  ShardStatusAnswer,
  StatisticsAnswer,
} from '../../api/wire.ts'
import { type CommandContext, clientOf, optionsOf } from '../context.ts'
import { limitsText } from '../limits-text.ts'
import { countText, durationText, encoded, lagText } from '../output.ts'
import { batchesText, bottleneckText, retentionText, rowsText } from '../statistics-text.ts'
import { verifiedLines } from '../verification-brief-text.ts'

export function addDescribe(program: Command, context: CommandContext): void {
  program
    .command('describe')
    .summary('show everything about one resource')
    .description('Shows one pipeline with its state, progress, lag and what blocks it, or one endpoint.')
    .addArgument(new Argument('<kind>', 'kind of the resource').choices(['endpoint', 'pipeline']))
    .argument('<name>', 'its name')
    .action(async (kind: string, name: string, _: unknown, command: Command) => {
      const { output } = optionsOf(command)
      const client = clientOf(context, command)
      if (kind === 'endpoint') {
        const resource = await client.endpoint(name)
        return context.terminal.data(encoded(resource, output === 'json' ? 'json' : 'yaml'))
      }
      const [resource, status, { statistics, shards }] = await Promise.all([
        client.pipeline(name),
        client.status(name),
        client.statistics(name, { pageSize: 0 }),
      ])
      context.terminal.data(
        output === 'table'
          ? pipelineText(resource, status, statistics, shards)
          : encoded({ resource, status, statistics }, output),
      )
    })
}

/** For people; `describe -o json` has every field. */
export function pipelineText(
  { document, generation }: PipelineResource,
  status: PipelineStatusAnswer,
  statistics: StatisticsAnswer['statistics'] = null,
  shardStatistics: StatisticsAnswer['shards'] = null,
): string {
  const { spec, metadata } = document
  const lines: [string, string][] = [
    ['Name', metadata.name],
    ['State', `${status.state}${status.since === null ? '' : `, since ${status.since}`}`],
    ['Last change', `${status.detail}${status.actor === null ? '' : `, by ${status.actor}`}`],
    ['Route', `${spec.source} -> ${spec.target}`],
    ['Tables', spec.tables.map(({ match }) => match).join(', ')],
    ['Limits', limitsText(spec)],
    ['Generation', generationText(generation, status.observedGeneration)],
  ]
  const { engine, blocked } = status
  // A server of an earlier version says nothing of it.
  const pendingChange = status.pendingChange ?? null
  if (engine !== null) {
    const { load } = engine
    lines.push(
      [
        'Engine',
        `${engine.phase}${engine.retrying === null ? '' : `, retrying ${engine.retrying.code}: ${engine.retrying.message}`}`,
      ],
      ['Lag', lagText(engine.lagMs)],
      ...throttledLines(engine),
      ['Rows', `${countText(engine.rowsApplied)} applied, ${countText(engine.rowsPerSecond)} rows/s`],
      [
        'Load',
        `${load.tablesDone} of ${load.tables} tables, ${countText(load.rows)} of about ${countText(Math.max(load.rows, load.rowsEstimated))} rows` +
          (load.etaMs === null || load.tablesDone === load.tables ? '' : `, ETA ${durationText(load.etaMs)}`),
      ],
      [
        'Position',
        engine.position === null
          ? status.shards === null
            ? 'none yet'
            : 'one for each shard'
          : `${engine.position.token}${engine.position.ordinal > 0 ? ` + ${engine.position.ordinal}` : ''}`,
      ],
      [
        'Worker',
        `${status.worker ?? 'unknown'}, seen ${status.engineSeenAt ?? 'never'}, attempt ${status.attempt ?? 1}`,
      ],
    )
  }
  if (statistics !== null) {
    lines.push(
      ['Since', statistics.since],
      ['Changes', rowsText(statistics)],
      ['Batches', batchesText(statistics)],
      ['Bottleneck', bottleneckText(statistics, shardStatistics)],
    )
  }
  if (status.retention !== null) {
    const { shard } = status.retention
    const its = shard === null || shard === undefined ? engine : status.shards?.[shard - 1]?.engine
    lines.push(['Log kept', retentionText(status.retention, (its ?? null) !== null)])
  }
  // A server of an earlier version says nothing of it.
  if (status.verifications !== undefined) lines.push(...verifiedLines(metadata.name, status.verifications))
  for (const shard of status.shards ?? []) lines.push([`Shard ${shard.shard}`, shardText(shard)])
  if (status.workflow !== null)
    lines.push(['Workflow', `${status.workflow.id}, run ${status.workflow.runId}`])
  for (const warning of status.warnings) lines.push(['Warning', warning])
  if (pendingChange !== null) {
    const { generation: pending, refused } = pendingChange
    const words = refused === null ? 'is being checked' : 'is held back; what streams goes on without it'
    lines.push(['Change', `generation ${pending} ${words}`])
    if (refused !== null) lines.push(...blockedLines('Refused', refused))
  }
  if (blocked !== null) lines.push(...blockedLines('Blocked', blocked))
  return lines.map(([label, text]) => `${label.padEnd(12)} ${text}`.trimEnd()).join('\n')
}

function blockedLines(
  label: string,
  { code, message, remedy, at, findings }: NonNullable<PipelineStatusAnswer['blocked']>,
): [string, string][] {
  return [
    [label, `${code} ${message}`],
    ['Remedy', remedy],
    ...(at === null ? [] : [['At', at] as [string, string]]),
    ...findings.flatMap((finding): [string, string][] => [
      [finding.severity === 'error' ? 'Finding' : 'Warning', `${finding.code} ${finding.message}`],
      ['', finding.remedy],
    ]),
  ]
}

const throttledLines = ({ throttled }: NonNullable<PipelineStatusAnswer['engine']>): [string, string][] =>
  (['load', 'stream'] as const).flatMap((part) => {
    const why = throttled?.[part] ?? null
    return why === null ? [] : [['Throttled', `the ${part}, by ${why}`] as [string, string]]
  })

function shardText({ state, engine, blocked, worker, attempt }: ShardStatusAnswer): string {
  const parts: string[] = [state ?? 'unknown']
  if (blocked !== null) parts.push(`${blocked.code} ${blocked.message}`)
  if (engine !== null) {
    const { phase, lagMs, rowsApplied, load, retrying } = engine
    if (retrying !== null) parts.push(`retrying ${retrying.code}: ${retrying.message}`)
    else if (phase !== state) parts.push(phase)
    parts.push(
      `lag ${lagText(lagMs)}`,
      `${countText(rowsApplied)} rows`,
      `${load.tablesDone} of ${load.tables} tables`,
    )
    if (engine.position !== null) parts.push(`at ${engine.position.token}`)
  }
  if (worker !== null) parts.push(`on ${worker}, attempt ${attempt ?? 1}`)
  return parts.join(', ')
}

const generationText = (stored: number, observed: number | null): string =>
  observed === null || observed === stored ? String(stored) : `${stored}, running ${observed}`
