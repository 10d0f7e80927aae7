/**
 * The half of a continuous verification that looks: reads due rows at both ends in the order that the proof needs (docs/adr/0009, steps 1 to 6).
 *
 * Guarantees: the target is read before the source, and the source's `high` after its rows; a look counts only if the same session of the engine stood before and after
 * it. A table that cannot be read as it was planned is planned anew, its rows are kept. Nothing is written and nothing is kept here.
 */
import type {
  ComparedRow,
  PositionTracker,
  Source,
  Standing,
  VerifiableSource,
  VerifiableTarget,
} from '../connectors/contract.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import type { Continuous, Key, Look, Unequal } from '../core/continuous.ts'
import { asSyncError } from '../core/errors.ts'
import type { LogCoordinate, Position } from '../core/position.ts'
import type { TokenBucket } from '../core/token-bucket.ts'
import type { Difference } from '../core/verification.ts'
import { differenceOf, differingColumns } from './row-compare.ts'
import type { WatchedTables } from './watched-tables.ts'

/** By name of the mark. */
export type Standings = ReadonlyMap<string, Standing | null>

export interface RowLooksDeps {
  readonly source: Pick<Source, 'head' | 'tracker'>
  readonly verifySource: VerifiableSource
  readonly verifyTarget: VerifiableTarget
  readonly core: Pick<Continuous<Difference>, 'pieces' | 'due' | 'release' | 'found'>
  readonly tables: WatchedTables
  readonly bucket: TokenBucket
  readonly maxRowsPerSecond: number
  /** Rows were read; those of the keys in `equal` are equal now. */
  readonly onLooked: (table: string, rowsRead: number, equalRows: number, equal: readonly Key[]) => void
  readonly clock: () => number
}

export interface RowLooks {
  standings(marks: readonly string[]): Promise<Standings>
  /** @param before how the engines stand. @returns looks that were made, whether they count or not */
  lookAtDue(before: Standings): Promise<number>
}

const keysAtOnce = 400
const looksPerTick = 20

interface Seen {
  readonly unequal: readonly Unequal<Difference>[]
  readonly high: LogCoordinate
}

export function createRowLooks(deps: RowLooksDeps): RowLooks {
  const { source, verifySource, verifyTarget, core, tables, bucket, clock } = deps

  const standings = async (marks: readonly string[]): Promise<Standings> =>
    new Map(await Promise.all(marks.map(async (mark) => [mark, await verifyTarget.standing(mark)] as const)))

  /** Ordinal of the last piece whose end all of them have; -1: none. */
  function coveredUpTo(all: readonly PositionTracker[]): number {
    const pieces = core.pieces()
    let [low, high] = [0, pieces.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      const end = pieces[middle]?.end as Position
      if (all.every((one) => one.covers(end))) low = middle + 1
      else high = middle
    }
    return pieces[low - 1]?.ordinal ?? -1
  }

  /** The target first: what the source shows later can only be newer. */
  async function lookAt({ keys }: Look, pair: TablePair): Promise<Seen> {
    const target = byIdentity(await verifyTarget.rowsNow(pair.target, keys))
    const { rows, high } = await verifySource.rowsNow(pair.source, keys)
    const there = byIdentity(rows)
    const unequal: Unequal<Difference>[] = []
    for (const identity of new Set([...there.keys(), ...target.keys()])) {
      const [s, t] = [there.get(identity), target.get(identity)]
      if (s !== undefined && t !== undefined && differingColumns(pair, s, t).length === 0) continue
      const read = [s, t].filter((row) => row !== undefined)
      unequal.push({ keys: read.map(({ key }) => key), row: differenceOf(pair, s, t) })
    }
    return { unequal, high }
  }

  function judge(look: Look, { unequal, high }: Seen): void {
    const equal = core.found(look, unequal, high, clock())
    if (equal === null) return
    const { table, keys } = look
    deps.onLooked(table, keys.length, Math.max(equal.length, keys.length - unequal.length), equal)
  }

  return {
    standings,
    async lookAtDue(before) {
      if (core.pieces().length === 0) return 0
      const head = source.tracker(await source.head())
      const covered = new Map<string, number>()
      for (const [mark, standing] of before)
        covered.set(mark, standing === null ? -1 : coveredUpTo([source.tracker(standing.position), head]))
      const looks: { readonly look: Look; readonly seen: Seen }[] = []
      while (looks.length < looksPerTick && bucket.waitMs(clock()) === 0) {
        const look = core.due(
          (name) => (tables.pairOf(name) === null ? -1 : (covered.get(tables.markOf(name)) ?? -1)),
          Math.max(1, Math.min(keysAtOnce, deps.maxRowsPerSecond)),
          clock(),
        )
        if (look === null) break
        bucket.take(look.keys.length, clock())
        try {
          looks.push({ look, seen: await lookAt(look, tables.pairOf(look.table) as TablePair) })
        } catch (thrown) {
          core.release(look)
          const error = asSyncError(thrown)
          if (error.disposition !== 'reject') throw error
          // Altered at one of the ends: what stands in the log, or at the target, tells more.
          tables.planAnew([look.table])
        }
      }
      if (looks.length === 0) return 0
      const after = await standings([...new Set(looks.map(({ look }) => tables.markOf(look.table)))])
      for (const { look, seen } of looks) {
        const mark = tables.markOf(look.table)
        const session = after.get(mark)?.session
        if (session === undefined || session !== before.get(mark)?.session) core.release(look)
        else judge(look, seen)
      }
      return looks.length
    },
  }
}

const byIdentity = (rows: readonly ComparedRow[]): Map<string, ComparedRow> =>
  new Map(rows.map((row) => [row.identity, row]))
