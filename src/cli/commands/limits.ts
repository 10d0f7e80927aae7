/** `limits`: how fast a pipeline may load and stream; shown, set or lifted while it runs. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { LimitsChange } from '../../api/wire.ts'
import { sizeBytes } from '../../config/quantity.ts'
import { SyncError } from '../../core/errors.ts'
import { type CommandContext, clientOf, optionsOf } from '../context.ts'
import { limitsText } from '../limits-text.ts'
import { encoded } from '../output.ts'

interface LimitOptions {
  readonly loadRows?: number | 'none'
  readonly loadBytes?: string
  readonly streamRows?: number | 'none'
  readonly streamBytes?: string
  /** --none */
  readonly none?: boolean
}

export function addLimits(program: Command, context: CommandContext): void {
  const rows = (flag: string, what: string) =>
    new Option(`${flag} <rows>`, `${what} per second; none lifts it`).argParser(parseRows)
  const bytes = (flag: string, what: string) =>
    new Option(`${flag} <size>`, `${what} per second, like 10MiB; none lifts it`).argParser(parseSize)
  program
    .command('limits')
    .summary('show or change how fast a pipeline may go')
    .description(
      'Sets limits of the load and of the stream, or lifts them. A running pipeline goes by them within a second and is not restarted. Without an option: shows them.',
    )
    .argument('<name>', 'name of the pipeline')
    .addOption(rows('--load-rows', 'most rows of tables'))
    .addOption(bytes('--load-bytes', 'most bytes of tables'))
    .addOption(rows('--stream-rows', 'most row changes'))
    .addOption(bytes('--stream-bytes', 'most bytes of row changes'))
    .option('--none', 'lift all of them, and wait for no measure any more (pauseWhen)')
    .action(async (name: string, _: unknown, command: Command) => {
      const options = optionsOf<LimitOptions>(command)
      const client = clientOf(context, command)
      const change = changeOf(options)
      const resource = change === null ? await client.pipeline(name) : await changed(client, name, change)
      context.terminal.data(
        options.output === 'table'
          ? `pipeline/${name} ${limitsText(resource.document.spec)}`
          : encoded(resource, options.output),
      )
    })
}

async function changed(client: ReturnType<typeof clientOf>, name: string, change: LimitsChange) {
  const { resource } = await client.setLimits(name, change)
  if (resource === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
  return resource
}

/** null: nothing is asked for. */
function changeOf(options: LimitOptions): LimitsChange | null {
  const { loadRows, loadBytes, streamRows, streamBytes, none = false } = options
  const given = [loadRows, loadBytes, streamRows, streamBytes].some((value) => value !== undefined)
  if (none && given) {
    throw new SyncError('SYNC-1102', '--none lifts every limit, and another option sets one', {
      remedy: 'Give one or the other; a single limit is lifted by the word none.',
    })
  }
  if (!none && !given) return null
  const lifted = <Value>(value: Value | 'none' | undefined): value is 'none' | undefined =>
    value === undefined || value === 'none'
  const part = (rows: number | 'none' | undefined, bytes: string | undefined) => ({
    ...(none || rows !== undefined ? { maxRowsPerSecond: lifted(rows) ? null : rows } : {}),
    ...(none || bytes !== undefined ? { maxBytesPerSecond: lifted(bytes) ? null : bytes } : {}),
    ...(none ? { pauseWhen: null } : {}),
  })
  return { load: part(loadRows, loadBytes), stream: part(streamRows, streamBytes) }
}

function parseRows(text: string): number | 'none' {
  if (text === 'none') return text
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number, or none.')
  return Number(text)
}

function parseSize(text: string): string {
  if (text === 'none') return text
  try {
    sizeBytes(text)
    return text
  } catch {
    throw new InvalidArgumentError('Expected a size with a unit, like 512KiB or 10MiB, or none.')
  }
}
