/**
 * Parked tables between the engine, which knows them from its target, and the rest: the pre-checks leave them out, the store shows them to people.
 */
import type { Target } from '../connectors/contract.ts'
import { asSyncError } from '../core/errors.ts'
import type { ParkedTable } from '../core/quarantine.ts'
import { type TableId, tableName } from '../core/schema.ts'
import type { ParkedRecord } from '../store/parked-tables.ts'
import type { QuarantineContext } from '../streamer/quarantine.ts'

/**
 * The tables that engines have parked at a target. Where it does not let us in there are none: the pre-checks say why.
 * @param marks the names under which the engines write there
 * @throws what passes by itself
 */
export async function parkedAt(
  openTarget: () => Promise<Target>,
  marks: readonly string[],
): Promise<readonly TableId[]> {
  try {
    const target = await openTarget()
    try {
      const parked: TableId[] = []
      for (const mark of marks) for (const { table } of await target.parked(mark)) parked.push(table)
      return parked
    } finally {
      await target.close()
    }
  } catch (thrown) {
    const error = asSyncError(thrown)
    if (error.disposition === 'block') return []
    throw error
  }
}

const retryMs = 1_000

/**
 * Hands what an engine tells to the store, without making the engine wait. A store that is away is tried again; only the last word counts.
 * @param stopped true once the engine has ended
 */
export function createParkedRecorder(
  write: (tables: readonly ParkedRecord[]) => void,
  stopped: () => boolean,
): QuarantineContext['onParked'] {
  let last: readonly ParkedRecord[] = []
  let timer: NodeJS.Timeout | undefined
  const attempt = (): void => {
    timer = undefined
    try {
      write(last)
    } catch {
      if (!stopped()) timer = setTimeout(attempt, retryMs).unref()
    }
  }
  return (tables) => {
    last = tables.map(recordOf)
    clearTimeout(timer)
    attempt()
  }
}

const recordOf = (parked: ParkedTable & { readonly isRejoining: boolean }): ParkedRecord => ({
  table: tableName(parked.table),
  parking: parked.parking,
  state: parked.isRejoining ? 'rejoining' : 'parked',
  code: parked.code,
  message: parked.message,
  remedy: parked.remedy,
  parkedAt: new Date(parked.parkedAtMs).toISOString(),
  deadLetters: parked.deadLetters,
})
