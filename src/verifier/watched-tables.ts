/**
 * Which tables a continuous verification looks at, and why it does not look at the others (docs/adr/0009). No I/O.
 *
 * A table is looked at while its ends can be compared, its load is done and it is not parked. One whose definition changed is planned anew before the next look; its
 * rows are kept meanwhile, for `planWithinMs`: the two ends follow each other within seconds, and what cannot be compared for longer is named.
 */
import type { Standing } from '../connectors/contract.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import type { Key } from '../core/continuous.ts'
import { type TableShape, tableName } from '../core/schema.ts'
import type { Row, Value } from '../core/value.ts'
import type { VerificationTrouble } from '../core/verification-control.ts'

export interface WatchedTable {
  /** `schema.table` at the source. */
  readonly name: string
  /** Under which name the engine that carries it writes at the target. */
  readonly mark: string
  /** null: it cannot be compared as both ends are now, see `trouble`. */
  readonly pair: TablePair | null
  readonly trouble: VerificationTrouble | null
}

export interface WatchedTables {
  names(): readonly string[]
  marks(): readonly string[]
  markOf(name: string): string
  /** null: it is not looked at now. */
  pairOf(name: string): TablePair | null
  /** Reads the key of a row of the log; null: changes of the table are nobody's concern now. */
  keysOf(name: string, shape: TableShape): ((row: Row) => Key) | null
  planAnew(names: readonly string[]): void
  /** Is it time to ask for the plan again? */
  isDue(nowMs: number): boolean
  /** @returns tables that are not looked at any more */
  planned(tables: readonly WatchedTable[], nowMs: number): readonly string[]
  /** How the engines stand. @returns tables that are not looked at any more */
  stand(standings: ReadonlyMap<string, Standing | null>, nowMs: number): readonly string[]
  /** States that are other than those told before; each once. */
  news(): readonly { readonly table: WatchedTable; readonly trouble: VerificationTrouble | null }[]
}

const planWithinMs = 60_000
const planAgainMs = 1_000
/** Tables that cannot be compared may be able to later, and new ones may come without a word of the log. */
const planSeldomMs = 60_000

interface Watched {
  table: WatchedTable
  /** As the engine stands. */
  away: VerificationTrouble | null
  /** Since when there is no plan; null: there is one, and it holds. */
  unplannedSinceMs: number | null
  /** Its ends could be compared before. */
  wasPlanned: boolean
  /** Rows are kept. */
  isKept: boolean
  told: string | null
}

export function createWatchedTables(loads: boolean): WatchedTables {
  const all = new Map<string, Watched>()
  const keyReaders = new WeakMap<
    TableShape,
    { readonly pair: TablePair | null; readonly read: KeyReader | null }
  >()
  let plannedAtMs = -Infinity
  let isAsked = false
  let standings: ReadonlyMap<string, Standing | null> = new Map()

  /** @returns those that were kept and are not any more */
  function settle(nowMs: number): string[] {
    const dropped: string[] = []
    for (const [name, entry] of all) {
      entry.away = awayOf(entry.table, standings.get(entry.table.mark) ?? null, loads)
      const { unplannedSinceMs, wasPlanned } = entry
      const isPlanned = unplannedSinceMs === null || (wasPlanned && nowMs - unplannedSinceMs < planWithinMs)
      const isKept = entry.away === null && isPlanned
      if (entry.isKept && !isKept) dropped.push(name)
      entry.isKept = isKept
    }
    return dropped
  }

  return {
    names: () => [...all.keys()],
    marks: () => [...new Set([...all.values()].map(({ table }) => table.mark))],
    markOf: (name) => all.get(name)?.table.mark ?? '',
    pairOf(name) {
      const entry = all.get(name)
      return entry?.isKept === true && entry.unplannedSinceMs === null ? entry.table.pair : null
    },
    keysOf(name, shape) {
      const entry = all.get(name)
      if (entry?.isKept !== true) return null
      const { pair } = entry.table
      const known = keyReaders.get(shape)
      if (known !== undefined && known.pair === pair) return known.read
      const read = keyReaderOf(pair, shape)
      keyReaders.set(shape, { pair, read })
      return read
    },
    planAnew(names) {
      isAsked = true
      for (const name of names) {
        const entry = all.get(name)
        if (entry !== undefined) entry.unplannedSinceMs ??= performance.now()
      }
    },
    isDue(nowMs) {
      const isMissing =
        isAsked ||
        [...all.values()].some(
          ({ unplannedSinceMs }) => unplannedSinceMs !== null && nowMs - unplannedSinceMs < planWithinMs,
        )
      return nowMs - plannedAtMs >= (isMissing ? planAgainMs : planSeldomMs)
    },
    planned(tables, nowMs) {
      plannedAtMs = nowMs
      isAsked = false
      const gone = new Set(all.keys())
      for (const table of tables) {
        gone.delete(table.name)
        const entry = all.get(table.name)
        const unplannedSinceMs = table.pair === null ? (entry?.unplannedSinceMs ?? nowMs) : null
        if (entry === undefined)
          all.set(table.name, {
            table,
            away: null,
            unplannedSinceMs,
            wasPlanned: unplannedSinceMs === null,
            isKept: false,
            told: null,
          })
        else {
          if (entry.unplannedSinceMs !== null && unplannedSinceMs === null) entry.told = null
          Object.assign(entry, { table, unplannedSinceMs })
          if (unplannedSinceMs === null) entry.wasPlanned = true
        }
      }
      for (const name of gone) {
        const entry = all.get(name) as Watched
        const trouble = named(
          `${name} is not at the source any more, or left the pipeline`,
          'It is looked at again when it is carried again.',
        )
        entry.table = { ...entry.table, pair: null, trouble }
        entry.unplannedSinceMs ??= nowMs
      }
      return settle(nowMs)
    },
    stand(found, nowMs) {
      standings = found
      return settle(nowMs)
    },
    news() {
      const states: { table: WatchedTable; trouble: VerificationTrouble | null }[] = []
      for (const entry of all.values()) {
        const trouble = entry.isKept ? null : (entry.away ?? entry.table.trouble)
        const text = trouble === null ? '' : `${trouble.code} ${trouble.message}`
        if (entry.told === text) continue
        entry.told = text
        states.push({ table: entry.table, trouble })
      }
      return states
    },
  }
}

function awayOf(
  { name, trouble, pair }: WatchedTable,
  standing: Standing | null,
  loads: boolean,
): VerificationTrouble | null {
  if (pair === null && trouble?.code === 'SYNC-5147') return trouble
  if (standing === null)
    return named(`the engine of ${name} has written nothing yet`, 'It is looked at from then on.')
  if (standing.parked.some(({ table }) => tableName(table) === name))
    return named(
      `${name} is parked`,
      'Let it rejoin (`syncline quarantine`); it is looked at when it is loaded again.',
    )
  if (loads && standing.load.find(({ table }) => table === name)?.done !== true)
    return named(`the load of ${name} is not done`, 'It is looked at from then on.')
  return null
}

const named = (message: string, remedy: string): VerificationTrouble => ({
  code: 'SYNC-5147',
  message,
  remedy,
})

type KeyReader = (row: Row) => Key

/** By the names of the plan: a log may order columns otherwise. Rows from before a column of the key was renamed have the key that the log names. */
function keyReaderOf(pair: TablePair | null, shape: TableShape): KeyReader | null {
  const names = pair?.source.key.map((ordinal) => pair.columnNames[ordinal]) ?? []
  const byName = names.map((name) => shape.columns.findIndex((column) => column.name === name))
  const ordinals = names.length > 0 && !byName.includes(-1) ? byName : shape.primaryKey?.ordinals
  return ordinals === undefined ? null : (row) => ordinals.map((ordinal) => row[ordinal] as Value)
}
