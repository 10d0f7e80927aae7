/**
 * Looks at rows that both ends are writing, by the rule of verifier/settle.ts: one verdict and both images for each key that is asked for.
 *
 * The stream is waited for by aligning the engine: it runs to the source's end of that moment, and goes on at once. A crash leaves nothing behind.
 */
import type { ComparedRow, VerifiableSource, VerifiableTarget } from '../connectors/contract.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import { keyText } from '../core/key-text.ts'
import type { LogCoordinate } from '../core/position.ts'
import type { Value } from '../core/value.ts'
import type { Difference } from '../core/verification.ts'
import { shownRow } from '../verifier/row-compare.ts'
import { type SettleOptions, settle } from '../verifier/settle.ts'
import type { EngineAlignment } from './engine-alignment.ts'
import type { SettledRow } from './verify-runtime.ts'

type Key = readonly Value[]

export interface SettlingEnds {
  readonly source: VerifiableSource
  readonly target: VerifiableTarget
  /** The engine of the table's shard, at a stand. @throws SyncError SYNC-5120 to SYNC-5122 */
  readonly align: () => Promise<EngineAlignment>
  readonly signal: AbortSignal
}

/** What is still different, and how many rows there are. @throws SyncError SYNC-5120 to SYNC-5122 */
export const settleKeys = (pair: TablePair, keys: readonly Key[], ends: SettlingEnds) =>
  settle(optionsOf(pair, keys, ends))

/** One answer for each key, in their order. @throws SyncError SYNC-5120 to SYNC-5122 */
export async function settleRows(
  pair: TablePair,
  keys: readonly Key[],
  ends: SettlingEnds,
): Promise<SettledRow[]> {
  const found = await differencesOf(pair, keys, ends)
  const source = byKey((await ends.source.rowsNow(pair.source, keys)).rows)
  const target = byKey(await ends.target.rowsNow(pair.target, keys))
  return keys.map((key) => {
    const text = keyText(key)
    const difference = found.get(text)
    if (difference !== undefined) {
      const verdict = difference.kind === 'unsettled' ? 'unsettled' : 'different'
      return { key, verdict, source: difference.source, target: difference.target }
    }
    const row = source.get(text) ?? target.get(text)
    const shown = row === undefined ? null : shownRow(pair, row)
    return { key, verdict: 'equal', source: shown, target: shown }
  })
}

async function differencesOf(
  pair: TablePair,
  keys: readonly Key[],
  ends: SettlingEnds,
): Promise<ReadonlyMap<string, Difference>> {
  const { differences } = await settleKeys(pair, keys, ends)
  const asked = new Set(keys.map(keyText))
  const found = new Map(differences.map((difference) => [keyText(difference.key), difference]))
  if (differences.every(({ key }) => asked.has(keyText(key)))) return found
  // Under a collation a row may be found by a key of other bytes: then each is asked for alone.
  const alone = new Map<string, Difference>()
  for (const key of keys) {
    const [only] = (await settleKeys(pair, [key], ends)).differences
    if (only !== undefined) alone.set(keyText(key), only)
  }
  return alone
}

const optionsOf = (
  pair: TablePair,
  keys: readonly Key[],
  { source, target, align, signal }: SettlingEnds,
): SettleOptions => ({
  pair,
  keys,
  readSource: (asked) => source.rowsNow(pair.source, asked),
  readTarget: (asked) => target.rowsNow(pair.target, asked),
  waitPassed: (high) => passed(align, high),
  signal,
})

async function passed(align: SettlingEnds['align'], high: LogCoordinate): Promise<void> {
  const alignment = await align()
  try {
    await alignment.runTo({ low: alignment.held.position, high })
  } catch (error) {
    await alignment.release().catch(() => {})
    throw error
  }
  await alignment.release()
}

const byKey = (rows: readonly ComparedRow[]): ReadonlyMap<string, ComparedRow> =>
  new Map(rows.map((row) => [keyText(row.key), row]))
