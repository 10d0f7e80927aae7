/**
 * `verify`: compares both ends of a pipeline as of one position, shows what differs, and lets it be repaired.
 *
 * A verification goes on by itself: a command that is ended, or times out, ends nothing but the waiting.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { VerificationAnswer, VerificationAsked } from '../../api/verification-wire.ts'
import { SyncError } from '../../core/errors.ts'
import { parseVerificationId } from '../../core/verification-control.ts'
import type { ApiClient, Run } from '../client.ts'
import { type CommandContext, clientOf, optionsOf, parseDuration } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { encoded, type OutputFormat } from '../output.ts'
import {
  differenceText,
  repairLine,
  statementText,
  verificationsTable,
  verificationText,
} from '../verification-text.ts'
import { exitOfRepair, exitOfVerification, waitForRepair, waitForVerification } from '../verification-wait.ts'

interface RunOptions {
  readonly mode?: 'count' | 'checksum' | 'row' | 'continuous'
  readonly settle?: number
  readonly table?: string[]
  readonly range?: Range[]
  readonly sample?: number
  readonly maxDifferences?: number
  readonly wait: boolean
  readonly timeout: number
}

type Range = NonNullable<VerificationAsked['ranges']>[number]

export function addVerify(program: Command, context: CommandContext): void {
  const verify = program
    .command('verify')
    .summary('compare source and target, and repair what differs')
    .description(
      `Compares source and target of a pipeline as of one position of the source, while both are written to. \`syncline verify NAME\` is \`syncline verify run NAME\`. Exit status ${exitCodes.differences} when rows differ.`,
    )
  addRun(verify, context)
  addList(verify, context)
  addShow(verify, context)
  addRepair(verify, context)
  addApprove(verify, context)
  addCancel(verify, context)
}

const timeout = () =>
  new Option('--timeout <duration>', 'longest wait; what is waited for goes on')
    .argParser(parseDuration)
    .default(parseDuration('24h'), '24h')

function addRun(verify: Command, context: CommandContext): void {
  verify
    .command('run', { isDefault: true })
    .summary('compare now')
    .description(
      'Starts a verification and waits for its end. What is not said is as spec.verify of the pipeline says.',
    )
    .argument('<name>', 'name of the pipeline')
    .addOption(
      new Option(
        '--mode <mode>',
        'checksum: digests, rows only where they differ; count: numbers of rows; row: every row; continuous: every row that the log touches, until it is cancelled',
      ).choices(['count', 'checksum', 'row', 'continuous']),
    )
    .addOption(
      new Option(
        '--settle <duration>',
        'of mode continuous: a row is read back when its last change is so old, like 5s',
      ).argParser(parseDuration),
    )
    .option('--table <pattern...>', 'source tables as schema.table; * stands for any run of characters')
    .addOption(
      new Option(
        '--range <table:from..to>',
        'rows behind the key FROM up to the key TO, like shop.orders:100..200; either may be left out; parts of a key by commas; may be repeated',
      ).argParser(parseRange),
    )
    .addOption(
      new Option('--sample <part>', 'part of the ranges of keys that is compared, like 0.1').argParser(
        parsePart,
      ),
    )
    .addOption(new Option('--max-differences <rows>', 'differing rows kept of a table').argParser(parseCount))
    .option('--no-wait', 'start it only')
    .addOption(timeout())
    .action(async (name: string, _: unknown, command: Command) => {
      const options = optionsOf<RunOptions>(command)
      const client = clientOf(context, command)
      const { mode, settle, table, range, sample, maxDifferences } = options
      const started = await client.verify(name, {
        ...(mode === undefined ? {} : { mode }),
        ...(settle === undefined ? {} : { settleMs: settle }),
        ...(table === undefined ? {} : { tables: table }),
        ...(range === undefined ? {} : { ranges: range }),
        ...(sample === undefined ? {} : { sample }),
        ...(maxDifferences === undefined ? {} : { maxDifferences }),
      })
      if (!options.wait || started.mode === 'continuous') {
        const { output } = options
        if (started.mode === 'continuous') tellOpen(context, started)
        return context.terminal.data(
          output === 'table' ? `verification/${started.id} started` : encoded(started, output),
        )
      }
      const ended = await waitForVerification(context, client, started, options.timeout)
      await show(context, client, ended, options.output)
      tellOpen(context, ended)
      context.exit(exitOfVerification(ended))
    })
}

function addList(verify: Command, context: CommandContext): void {
  verify
    .command('list')
    .summary('list verifications')
    .description('Lists the verifications of a pipeline, newest first.')
    .argument('<name>', 'name of the pipeline')
    .addOption(new Option('--limit <count>', 'verifications shown').argParser(parseCount).default(20))
    .action(async (name: string, _: unknown, command: Command) => {
      const { output, limit } = optionsOf<{ limit: number }>(command)
      const runs = await clientOf(context, command).verifications(name, limit)
      context.terminal.data(output === 'table' ? verificationsTable(runs) : encoded(runs, output))
    })
}

interface ShowOptions {
  readonly differences?: boolean
  readonly table?: string
  readonly limit: number
  readonly repaired?: boolean
}

function addShow(verify: Command, context: CommandContext): void {
  verify
    .command('show')
    .summary('show a verification')
    .description(
      `Shows what was compared, at which position, and what came of it. Exit status ${exitCodes.differences} when rows differ.`,
    )
    .argument('<id>', 'of the verification, like shop-12')
    .option('--differences', 'the differing rows, side by side')
    .option('--table <name>', 'differences of this source table only, as schema.table')
    .option('--repaired', 'the rows of its newest repair, before and after; as JSON or YAML')
    .addOption(new Option('--limit <rows>', 'most rows shown').argParser(parseCount).default(1_000))
    .action(async (id: string, _: unknown, command: Command) => {
      const options = optionsOf<ShowOptions>(command)
      const client = clientOf(context, command)
      const run = await client.verification(runOf(id))
      await show(context, client, run, options.output, options)
      const { outcome } = run
      if (outcome === 'different') context.exit(exitCodes.differences)
    })
}

interface RepairOptions {
  readonly dryRun?: boolean
  readonly maxRowsPerSecond?: number
  readonly limit: number
  readonly wait: boolean
  readonly timeout: number
}

function addRepair(verify: Command, context: CommandContext): void {
  verify
    .command('repair')
    .summary('repair what a verification found')
    .description(
      'Lets the pipeline write every differing row as the source has it by then, and verifies those rows again. Where spec.verify.repair.approval is required, it waits until somebody approves it.',
    )
    .argument('<id>', 'of the verification, like shop-12')
    .option('--dry-run', 'change nothing, show the statements')
    .addOption(
      new Option('--max-rows-per-second <rows>', 'most rows read and written in a second').argParser(
        parseCount,
      ),
    )
    .addOption(
      new Option('--limit <rows>', 'most statements shown by --dry-run').argParser(parseCount).default(1_000),
    )
    .option('--no-wait', 'start it only')
    .addOption(timeout())
    .action(async (id: string, _: unknown, command: Command) => {
      const options = optionsOf<RepairOptions>(command)
      const { output, dryRun = false, maxRowsPerSecond, limit } = options
      const client = clientOf(context, command)
      const run = runOf(id)
      if (dryRun) {
        const statements = await client.repairStatements(run, limit)
        if (output !== 'table') return context.terminal.data(encoded(statements, output))
        if (statements.length === 0) return context.terminal.say(`${id} has nothing to repair`)
        return context.terminal.data(statements.map(statementText).join('\n'))
      }
      const started = await client.repair(run, maxRowsPerSecond === undefined ? {} : { maxRowsPerSecond })
      if (options.wait) return await endOfRepair(context, client, run, options)
      context.terminal.data(output === 'table' ? repairLine(id, started) : encoded(started, output))
    })
}

function addApprove(verify: Command, context: CommandContext): void {
  verify
    .command('approve')
    .summary('approve a repair')
    .description('Lets the repair go on that waits for an approval, in the name given with --as.')
    .argument('<id>', 'of the verification, like shop-12')
    .option('--no-wait', 'do not wait for the end of the repair')
    .addOption(timeout())
    .action(async (id: string, _: unknown, command: Command) => {
      const options = optionsOf<{ wait: boolean; timeout: number }>(command)
      const client = clientOf(context, command)
      const run = runOf(id)
      const approved = await client.approveRepair(run)
      if (options.wait) return await endOfRepair(context, client, run, options)
      const { output } = options
      context.terminal.data(output === 'table' ? repairLine(id, approved) : encoded(approved, output))
    })
}

function addCancel(verify: Command, context: CommandContext): void {
  verify
    .command('cancel')
    .summary('end a verification or its repair')
    .description(
      'Ends a verification that runs, or else its repair. What was found and what was repaired stays.',
    )
    .argument('<id>', 'of the verification, like shop-12')
    .action(async (id: string, _: unknown, command: Command) => {
      const { output } = optionsOf(command)
      const run = await clientOf(context, command).cancelVerification(runOf(id))
      context.terminal.data(output === 'table' ? `verification/${id} ${run.state}` : encoded(run, output))
    })
}

async function endOfRepair(
  context: CommandContext,
  client: ApiClient,
  run: Run,
  { output, timeout: timeoutMs }: { readonly output: OutputFormat; readonly timeout: number },
): Promise<void> {
  const { id, repair } = await waitForRepair(context, client, run, timeoutMs)
  if (repair !== null) {
    context.terminal.data(output === 'table' ? repairLine(id, repair) : encoded(repair, output))
    if (repair.state === 'awaiting-approval')
      context.terminal.say(`it waits for an approval: \`syncline verify approve ${id}\``)
    if (repair.refusal !== null) {
      const { code, message, remedy } = repair.refusal
      context.terminal.say(
        `${repair.rows.refused} refused, the first by ${code} ${message}\n  remedy ${remedy}`,
      )
      context.terminal.say(`see them with \`syncline verify show ${id} --repaired\``)
    }
    if (repair.trouble !== null) context.terminal.say(`  remedy ${repair.trouble.remedy}`)
  }
  context.exit(exitOfRepair(repair))
}

async function show(
  { terminal }: CommandContext,
  client: ApiClient,
  run: VerificationAnswer,
  output: OutputFormat,
  { differences = false, table, limit = 1_000, repaired = false }: Partial<ShowOptions> = {},
): Promise<void> {
  const tables = await client.comparedTables(run)
  const rows = differences
    ? await client.differences(run, table === undefined ? {} : { table }, limit)
    : undefined
  const repairedRows =
    repaired && run.repair !== null ? await client.repairedRows(run, run.repair.repair, limit) : undefined
  if (output !== 'table') {
    return terminal.data(
      encoded(
        {
          verification: run,
          tables,
          ...(rows === undefined ? {} : { differences: rows }),
          ...(repairedRows === undefined ? {} : { repairedRows }),
        },
        output,
      ),
    )
  }
  terminal.data(verificationText(run, tables))
  for (const row of rows ?? []) terminal.data(`\n${differenceText(row)}`)
  for (const row of repairedRows ?? []) terminal.data(encoded(row, 'yaml'))
}

function tellOpen({ terminal }: CommandContext, { id, state }: VerificationAnswer): void {
  if (state !== 'waiting' && state !== 'running') return
  terminal.say(`it goes on without this command; see it with \`syncline verify show ${id}\``)
}

function runOf(id: string): Run {
  const run = parseVerificationId(id)
  if (run !== null) return run
  throw new SyncError('SYNC-1102', `${id} is no id of a verification`, {
    remedy:
      'Give the name of the pipeline and the number of the run, like shop-12; see `syncline verify list NAME`.',
  })
}

function parseRange(text: string, before: Range[] = []): Range[] {
  const [, table, from, to] = /^([^:]+\.[^:]+):(.*?)\.\.(.*)$/.exec(text) ?? []
  if (table === undefined || from === undefined || to === undefined || (from === '' && to === '')) {
    throw new InvalidArgumentError('Expected TABLE:FROM..TO, like shop.orders:100..200.')
  }
  const key = (part: string): string[] | null => (part === '' ? null : part.split(','))
  return [...before, { table, after: key(from), upTo: key(to) }]
}

function parsePart(text: string): number {
  const part = Number(text)
  if (!(part > 0 && part <= 1)) throw new InvalidArgumentError('Expected a number above 0 up to 1.')
  return part
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1 on.')
  return Number(text)
}
