/**
 * Tells of rows that may be on their way whether they differ, where no snapshot tells (docs/adr/0008, "settled").
 *
 * One round: the row is read at the source; the stream is waited for until it has passed the source's position of that moment; the row is read at the
 * target and once more at the source. It is equal when the target's row is equal to either reading of the source; different when both readings
 * are the same and the target's row is another, in two rounds in a row; otherwise it is looked at again, after a longer pause. After the last round it is
 * `unsettled`, never different. Rows that are at neither end count as nothing. Holds the rows of a few hundred keys; nothing survives a crash.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ComparedRow, RowsNow } from '../connectors/contract.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import type { LogCoordinate } from '../core/position.ts'
import type { Value } from '../core/value.ts'
import type { Difference } from '../core/verification.ts'
import { differenceOf, differingColumns } from './row-compare.ts'
import { equalRows, type Found, ofDifferences, together } from './tally.ts'

export interface SettleOptions {
  readonly pair: TablePair
  /** As the source has them. */
  readonly keys: readonly (readonly Value[])[]
  /** `VerifiableSource.rowsNow` of the pair's source. */
  readSource(keys: readonly (readonly Value[])[]): Promise<RowsNow>
  /** `VerifiableTarget.rowsNow` of the pair's target. */
  readTarget(keys: readonly (readonly Value[])[]): Promise<readonly ComparedRow[]>
  /** Resolves when the stream has applied all up to there. */
  waitPassed(high: LogCoordinate): Promise<void>
  /** At most so many looks at a row. Default 6. */
  readonly rounds?: number
  /** Before the second look; twice as long before each one after it. Default 250. */
  readonly firstPauseMs?: number
  readonly signal?: AbortSignal
}

const keysAtOnce = 200
const defaultRounds = 6
const defaultPauseMs = 250
/** So many rounds in a row must find the same. */
const roundsToDiffer = 2

/** A row that is not settled yet. */
interface Pending {
  readonly key: readonly Value[]
  strikes: number
  source: ComparedRow | undefined
  target: ComparedRow | undefined
}

export async function settle(options: SettleOptions): Promise<Found> {
  const all: Found[] = []
  for (let at = 0; at < options.keys.length; at += keysAtOnce) {
    all.push(await settleSome(options, options.keys.slice(at, at + keysAtOnce)))
  }
  return together(all)
}

async function settleSome(options: SettleOptions, keys: readonly (readonly Value[])[]): Promise<Found> {
  const { pair, signal, rounds = defaultRounds, firstPauseMs = defaultPauseMs } = options
  const differences: Difference[] = []
  let equal = 0
  let pending = new Map<string, Pending>()
  let asked = keys
  for (let round = 1; round <= rounds && asked.length > 0; round++) {
    if (round > 1)
      await sleep(firstPauseMs * 2 ** (round - 2), undefined, signal === undefined ? {} : { signal })
    signal?.throwIfAborted()
    const first = await options.readSource(asked)
    await options.waitPassed(first.high)
    const there = byIdentity(await options.readTarget(asked))
    const [before, after] = [byIdentity(first.rows), byIdentity((await options.readSource(asked)).rows)]
    const left = new Map<string, Pending>()
    for (const identity of new Set([...before.keys(), ...there.keys(), ...after.keys()])) {
      const [a, b, c] = [before.get(identity), there.get(identity), after.get(identity)]
      if (isSame(pair, a, b) || isSame(pair, c, b)) {
        if (b !== undefined) equal++
        continue
      }
      const key = (c ?? a ?? b)?.key as readonly Value[]
      const strikes = isSame(pair, a, c) ? (pending.get(identity)?.strikes ?? 0) + 1 : 0
      if (strikes === roundsToDiffer) differences.push(differenceOf(pair, c, b))
      else left.set(identity, { key, strikes, source: c ?? a, target: b })
    }
    pending = left
    asked = [...left.values()].map(({ key }) => key)
  }
  for (const { source, target } of pending.values()) {
    differences.push({ ...differenceOf(pair, source, target), kind: 'unsettled' })
  }
  return together([equalRows(equal), ofDifferences(differences)])
}

const byIdentity = (rows: readonly ComparedRow[]): Map<string, ComparedRow> =>
  new Map(rows.map((row) => [row.identity, row]))

const isSame = (pair: TablePair, a: ComparedRow | undefined, b: ComparedRow | undefined): boolean =>
  a === undefined || b === undefined ? a === b : differingColumns(pair, a, b).length === 0
