/** Verifications, differing rows and repairs for people. Pure. */
import type {
  ComparedTableAnswer,
  DifferenceAnswer,
  RepairAnswer,
  RepairStatementAnswer,
  VerificationAnswer,
} from '../api/verification-wire.ts'
import { countText, durationText, lagText, table } from './output.ts'

const differencesOf = ({ tally }: Pick<VerificationAnswer, 'tally'>): number =>
  tally.different + tally.onlySource + tally.onlyTarget

/** One line, while it runs. */
export function verificationLine(run: VerificationAnswer): string {
  const { id, state, outcome, tables, tally, trouble } = run
  const found = differencesOf(run)
  const parts = [
    `${id}  ${outcome ?? state}`,
    `${countText(tables.done)} of ${countText(tables.total)} tables`,
    `${countText(tally.rowsCompared)} rows`,
    found === 0 ? 'no difference' : `${countText(found)} differ`,
  ]
  if (tally.unsettled > 0) parts.push(`${countText(tally.unsettled)} unsettled`)
  if (trouble !== null) parts.push(`${trouble.code} ${trouble.message}`)
  return parts.join('  ')
}

export const verificationsTable = (runs: readonly VerificationAnswer[]): string =>
  table(
    ['ID', 'STATE', 'OUTCOME', 'MODE', 'ROWS', 'DIFFERENT', 'REPAIR', 'BY', 'ASKED'],
    runs.map((run) => [
      run.id,
      run.state,
      run.outcome ?? '-',
      run.mode,
      countText(run.tally.rowsCompared),
      countText(differencesOf(run)),
      run.repair?.state ?? '-',
      run.actor,
      run.requestedAt,
    ]),
  )

/** For people; `-o json` has every field. */
export function verificationText(run: VerificationAnswer, tables: readonly ComparedTableAnswer[]): string {
  const { id, pipeline, state, outcome, mode, sample, tally, trouble, repair } = run
  const found = differencesOf(run)
  const lines: [string, string][] = [
    ['Verification', `${id} of pipeline ${pipeline}, by ${run.actor}`],
    ['State', outcome === null ? state : `${state}: ${outcomeText(run)}`],
    ['Mode', `${mode}${sample < 1 ? `, a sample of ${Number((sample * 100).toFixed(4))} %` : ''}`],
    ['Time', timeText(run)],
    ...(run.continuous === null ? [alignedLine(run)] : continuousLines(run.continuous)),
  ]
  if (trouble !== null)
    lines.push(['Reason', `${trouble.code} ${trouble.message}`], ['Remedy', trouble.remedy])
  if (repair !== null) lines.push(...repairLines(id, repair))
  const parts = [lines.map(([label, text]) => `${label.padEnd(13)} ${text}`).join('\n')]
  if (tables.length > 0) parts.push(tablesText(tables))
  for (const { table: name, trouble: why } of tables) {
    if (why !== null)
      parts.push(`${name} was not compared: ${why.code} ${why.message}\n  remedy ${why.remedy}`)
  }
  if (found > 0) {
    const kept = tables.reduce((sum, entry) => sum + entry.kept, 0)
    const told = found + tally.unsettled
    const more = kept < told ? ` (${countText(kept)} of them are kept)` : ''
    parts.push(
      `${countText(found)} ${found === 1 ? 'row differs' : 'rows differ'}${more}: see \`syncline verify show ${id} --differences\`${
        repair === null ? `, mend with \`syncline verify repair ${id}\`` : ''
      }`,
    )
  }
  return parts.join('\n\n')
}

const alignedLine = ({ passes, longestPauseMs }: VerificationAnswer): [string, string] => [
  'Aligned',
  `${passes} ${passes === 1 ? 'time' : 'times'}; the stream stood still for ${lagText(longestPauseMs)} at most`,
]

function continuousLines(continuous: NonNullable<VerificationAnswer['continuous']>): [string, string][] {
  const { settleMs, changes, rowsRead, healed, beyond, pendingRows, lagMs, oldestMs, checkpoint } = continuous
  const waits =
    pendingRows === 0 ? 'none waits' : `${countText(pendingRows)} wait, the oldest for ${lagText(oldestMs)}`
  const lines: [string, string][] = [
    ['Read back', `${countText(rowsRead)} rows, each ${lagText(settleMs)} after its last change; ${waits}`],
    [
      'Log',
      `changes: ${countText(changes)}; ${lagMs === 0 ? 'all of it is read' : `${lagText(lagMs)} behind`}; all is read back up to ${checkpoint ?? '-'}`,
    ],
  ]
  if (healed > 0) lines.push(['Equal again', `${countText(healed)} that differed`])
  if (beyond > 0) lines.push(['Not kept', `${countText(beyond)} differences`])
  return lines
}

const outcomeText = ({ outcome, tables }: VerificationAnswer): string =>
  outcome === 'incomplete' && tables.notCompared > 0
    ? `incomplete, ${countText(tables.notCompared)} of ${countText(tables.total)} tables were not compared`
    : (outcome ?? '')

const timeText = ({ requestedAt, startedAt, endedAt }: VerificationAnswer): string => {
  if (startedAt === null) return `asked for at ${requestedAt}`
  if (endedAt === null) return `since ${startedAt}`
  return `${startedAt} to ${endedAt}, ${durationText(Date.parse(endedAt) - Date.parse(startedAt))}`
}

function tablesText(tables: readonly ComparedTableAnswer[]): string {
  const header = [
    'TABLE',
    'STATE',
    'ROWS',
    'EQUAL',
    'DIFFERENT',
    'ONLY SOURCE',
    'ONLY TARGET',
    'UNSETTLED',
    'TOOK',
    'POSITION',
  ]
  return table(
    header,
    tables.map((entry) => [
      `${entry.table}${rangeText(entry)}`,
      entry.state,
      ...(['rowsCompared', 'equal', 'different', 'onlySource', 'onlyTarget', 'unsettled'] as const).map(
        (field) => countText(entry.tally[field]),
      ),
      lagText(entry.durationMs),
      entry.positions.length <= 1
        ? (entry.positions[0]?.position ?? '-')
        : `${entry.positions.length} positions, the last ${entry.positions.at(-1)?.position}`,
    ]),
  )
}

const rangeText = ({ after, upTo }: ComparedTableAnswer): string =>
  after === null && upTo === null ? '' : ` (${after ?? ''}..${upTo ?? ''}]`

const kinds = {
  different: 'different',
  'only-source': 'only at the source',
  'only-target': 'only at the target',
  unsettled: 'unsettled: it changed too often to be told',
} as const

/** Rows side by side: what differs of both, or the row that only one end has. */
export function differenceText({
  id,
  table: name,
  kind,
  key,
  columns,
  source,
  target,
  seenAt,
  healedAt,
}: DifferenceAnswer): string {
  const where = Object.entries(key)
    .map(([column, value]) => `${column}=${cellText(value)}`)
    .join(' ')
  const shown = Object.keys(source ?? target ?? {})
  const marked = new Set(columns)
  const rows = shown
    .filter((column) => source === null || target === null || marked.size === 0 || marked.has(column))
    .map((column) => [`  ${column}`, sideText(source, column), sideText(target, column)])
  return `#${id} ${name} ${where}: ${kinds[kind]}${timesText(seenAt, healedAt)}\n${table(['  COLUMN', 'SOURCE', 'TARGET'], rows)}`
}

const timesText = (seenAt: string | null, healedAt: string | null): string =>
  `${seenAt === null ? '' : `, seen at ${seenAt}`}${healedAt === null ? '' : `, equal again since ${healedAt}`}`

const sideText = (image: DifferenceAnswer['source'], column: string): string =>
  image === null ? '-' : cellText(image[column] ?? null)

const mostCharacters = 60
const cellText = (value: string | null): string => {
  if (value === null) return 'NULL'
  const line = value.replaceAll('\n', '\\n')
  return line.length > mostCharacters ? `${line.slice(0, mostCharacters - 1)}…` : line
}

export const statementText = ({ sql }: RepairStatementAnswer): string => `${sql};`

/** One line, while it goes on. */
export function repairLine(id: string, repair: RepairAnswer): string {
  const { rows, state, trouble } = repair
  const parts = [
    `${id} repair ${repair.repair}  ${state}`,
    `${countText(rows.total - rows.pending)} of ${countText(rows.total)} rows`,
    `${countText(rows.verifiedEqual)} verified`,
  ]
  if (rows.verifiedDifferent > 0) parts.push(`${countText(rows.verifiedDifferent)} still differ`)
  if (rows.unsettled > 0) parts.push(`${countText(rows.unsettled)} unsettled`)
  if (rows.refused > 0) parts.push(`${countText(rows.refused)} refused`)
  if (trouble !== null) parts.push(`${trouble.code} ${trouble.message}`)
  return parts.join('  ')
}

function repairLines(id: string, repair: RepairAnswer): [string, string][] {
  const { rows, trouble } = repair
  const done = [
    [rows.written, 'written'],
    [rows.removed, 'removed'],
    [rows.overtaken, 'brought by the log'],
    [rows.equal, 'equal already'],
    [rows.refused, 'refused'],
    [rows.pending, 'to do'],
  ] as const
  const counts = done.filter(([count]) => count > 0).map(([count, words]) => `${countText(count)} ${words}`)
  const lines: [string, string][] = [
    [
      'Repair',
      `${repair.repair}, ${repair.state}, by ${repair.actor}${repair.approvedBy === null ? '' : `, approved by ${repair.approvedBy} at ${repair.approvedAt}`}`,
    ],
    ['', counts.join(', ')],
    [
      '',
      `verified again: ${countText(rows.verifiedEqual)} equal, ${countText(rows.verifiedDifferent)} different, ${countText(rows.unsettled)} unsettled`,
    ],
  ]
  if (repair.state === 'awaiting-approval')
    lines.push(['', `it waits for an approval: \`syncline verify approve ${id}\``])
  if (repair.refusal !== null) {
    const { code, message, remedy } = repair.refusal
    lines.push(['Refused', `${code} ${message}`], ['Remedy', remedy])
    lines.push(['', `each refused row with its reason: \`syncline verify show ${id} --repaired\``])
  }
  if (trouble !== null)
    lines.push(['Reason', `${trouble.code} ${trouble.message}`], ['Remedy', trouble.remedy])
  return lines
}
