/*
 * Looks at the demo's pipeline in two ways: what the API says (for people), and the mark rows at the target (the truth, to the
 * millisecond, for measuring how long a recovery takes).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import type { PipelineStatusAnswer } from '../../src/api/wire.ts'
import { countText, durationText, lagText } from '../../src/cli/output.ts'
import { plainServer, type ShopServer } from '../shop/fill.ts'

export type Mark = {
  readonly epoch: bigint
  readonly batch: bigint
  readonly rowsLoaded: number
  readonly tablesLoaded: number
  readonly isLoaded: boolean
}

export type Watch = {
  status(): PipelineStatusAnswer | null
  mark(): Promise<Mark>
  /** Waits; throws when the pipeline is blocked meanwhile, or after `withinMs`. */
  until(what: string, withinMs: number, condition: () => boolean | Promise<boolean>): Promise<void>
  close(): Promise<void>
}

const askEveryMs = 250
const lookEveryMs = 20

export type WatchOptions = {
  readonly api: string
  readonly pipeline: string
  readonly target: ShopServer
  readonly tables: number
  readonly onStatus: (status: PipelineStatusAnswer) => void
}

export async function startWatch(options: WatchOptions): Promise<Watch> {
  const connection = await createConnection({
    ...plainServer(options.target),
    supportBigNumbers: true,
    bigNumberStrings: true,
  })
  const closing = new AbortController()
  let last: PipelineStatusAnswer | null = null

  const ask = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(3_000)])
        const answer = await fetch(`${options.api}/v1/pipelines/${options.pipeline}/status`, { signal })
        if (answer.ok) {
          last = (await answer.json()) as PipelineStatusAnswer
          options.onStatus(last)
        }
      } catch {
        // The API may be busy or on its way; the next answer tells.
      }
      await sleep(askEveryMs, undefined, { signal: closing.signal }).catch(() => {})
    }
  }
  const asking = ask()

  return {
    status: () => last,
    mark: () => readMark(connection, options),
    async until(what, withinMs, condition) {
      const deadline = performance.now() + withinMs
      while (!(await condition())) {
        if (last?.state === 'blocked' && last.blocked !== null) throw blockedError(last.blocked)
        if (performance.now() > deadline)
          throw new Error(
            `${what}: not within ${withinMs / 1000} s; the pipeline says ${JSON.stringify(last)}`,
          )
        await sleep(lookEveryMs)
      }
    },
    async close() {
      closing.abort()
      await asking
      connection.destroy()
    },
  }
}

async function readMark(connection: Connection, { pipeline, tables }: WatchOptions): Promise<Mark> {
  try {
    const [[row]] = await connection.query<RowDataPacket[]>(
      `SELECT (SELECT MAX(epoch) FROM syncline.apply_mark WHERE pipeline = p.name) AS epoch,
         (SELECT MAX(batch) FROM syncline.apply_mark WHERE pipeline = p.name) AS batch,
         (SELECT SUM(rows_loaded) FROM syncline.load_progress WHERE pipeline = p.name) AS loaded,
         (SELECT SUM(done) FROM syncline.load_progress WHERE pipeline = p.name) AS done
       FROM (SELECT ? AS name) AS p`,
      [pipeline],
    )
    const tablesLoaded = Number(row?.['done'] ?? 0)
    return {
      epoch: BigInt(row?.['epoch'] ?? 0),
      batch: BigInt(row?.['batch'] ?? 0),
      rowsLoaded: Number(row?.['loaded'] ?? 0),
      tablesLoaded,
      isLoaded: tablesLoaded >= tables,
    }
  } catch (error) {
    // Syncline has not made its tables yet.
    if (![1049, 1146].includes((error as { errno?: number }).errno ?? 0)) throw error
    return { epoch: 0n, batch: 0n, rowsLoaded: 0, tablesLoaded: 0, isLoaded: false }
  }
}

function blockedError(blocked: NonNullable<PipelineStatusAnswer['blocked']>): Error {
  const findings = blocked.findings.map(
    ({ severity, code, message, remedy }) => `\n  ${severity} ${code} ${message}\n    remedy ${remedy}`,
  )
  return new Error(
    `The pipeline is blocked: ${blocked.code} ${blocked.message}\n  remedy ${blocked.remedy}${findings.join('')}`,
  )
}

const barWidth = 20

/** Engines are heard of every second; what is older than this is the past. */
const staleMs = 2_500

/** Phase, rows, rows/s, ETA, lag. */
export function liveText({ state, engine, engineSeenAt, retrying }: PipelineStatusAnswer): string {
  if (engine === null) return `${state}${retrying === null ? '' : `: ${retrying.message}`}`
  const silentMs = engineSeenAt === null ? 0 : Date.now() - Date.parse(engineSeenAt)
  if (silentMs > staleMs) return `${state}   no sign of life from the worker for ${durationText(silentMs)}`
  if (engine.phase === 'starting') return `${state}   the engine starts`
  if (engine.retrying !== null) return `${state}   tries again: ${engine.retrying.message}`
  const { load, rowsPerSecond, lagMs, rowsApplied } = engine
  const rate = `${countText(rowsPerSecond)} rows/s`
  const lag = `lag ${lagText(lagMs)}`
  if (state !== 'loading') return [state, `${countText(rowsApplied)} rows`, rate, lag].join('   ')
  const share = load.rowsEstimated === 0 ? 0 : Math.min(1, load.rows / load.rowsEstimated)
  const full = Math.round(share * barWidth)
  return [
    `loading [${'#'.repeat(full)}${'.'.repeat(barWidth - full)}] ${Math.floor(share * 100)} %`,
    `${countText(load.rows)} of about ${countText(load.rowsEstimated)} rows`,
    rate,
    `ETA ${load.etaMs === null ? '-' : durationText(load.etaMs)}`,
    lag,
  ].join('   ')
}
