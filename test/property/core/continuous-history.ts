/*
 * A source, its log, a target and two readers of the log in memory, step by step in any order: what a continuous verification has to do with. A source
 * commits to its log before a commit is visible, and shows it before it counts as executed; the target applies batches in parts, and may be ahead of
 * what the source shows. Keys are of text under a collation that ignores case, as MySQL's are.
 */
import { type Continuous, createContinuous, type Key, type Look } from '../../../src/core/continuous.ts'
import type { LogCoordinate, Position } from '../../../src/core/position.ts'

/** Rules that are wrong, each in one place. */
export type Mutant =
  | 'source-first'
  | 'no-high'
  | 'high-before'
  | 'target-not-asked'
  | 'visibility-not-asked'
  | 'sessions-not-asked'
  | 'alterations-not-seen'
  | 'checkpoint-too-far'

interface StoredRow {
  readonly key: string
  readonly value: number
}
type Rows = Map<string, StoredRow>
interface RowChange {
  readonly before: StoredRow | null
  readonly after: StoredRow | null
}
interface Transaction {
  /** null: all rows go, and the log says so by a statement. */
  readonly changes: readonly RowChange[] | null
}
interface Found {
  readonly id: string
  readonly wasFaulted: boolean
}

export interface Outcome {
  readonly violations: string[]
  readonly reported: number
  readonly planted: number
  readonly equal: number
  readonly crashes: number
  readonly scouted: number
}

const table = 's.t'
const names = ['a', 'A', 'b', 'B', 'c', 'C', 'd', 'e', 'f', 'g']
const idOf = (key: string): string => key.toLowerCase()
const shown = (row: StoredRow | undefined): string => (row === undefined ? '-' : `${row.key}=${row.value}`)
const at = (offset: number): LogCoordinate => ({ file: 1, offset })

/** Of each row, the number of its last transaction. */
function lastChanges(log: readonly Transaction[]): Map<string, number> {
  const last = new Map<string, number>()
  for (const [index, { changes }] of log.entries())
    for (const { before, after } of changes ?? [])
      for (const row of [before, after]) if (row !== null) last.set(idOf(row.key), index + 1)
  return last
}

export function runHistory(random: () => number, steps: number, mutant: Mutant | null): Outcome {
  const below = (n: number): number => Math.floor(random() * n)
  const pick = <T>(all: readonly T[]): T => all[below(all.length)] as T
  const violations: string[] = []

  // The source: state i is what it was after the first i transactions.
  const log: Transaction[] = []
  const states: Rows[] = [new Map()]
  let visible = 0
  let executed = 0
  // The target.
  let applied = 0
  let session = 1
  let batch: { readonly to: number; readonly left: string[] } | null = null
  let reload: string[] | null = null
  const target: Rows = new Map()
  const faults = new Set<string>()
  let nextValue = 1
  let planted = 0
  // The verifier.
  const settings = { settleMs: 20, restlessMs: 60, maxPendingKeys: 3 + below(12), pieceMs: 5 }
  let nowMs = 0
  let reader = { transaction: 0, ordinal: 0 }
  let behindTouch: Position = { token: '0', ordinal: 0 }
  let stored = behindTouch
  let core: Continuous<Found> = createContinuous(settings, stored, nowMs)
  let run: {
    step: 'target' | 'source' | 'check'
    readonly look: Look
    readonly session: number
    rows: Map<string, { readonly row: StoredRow | undefined; readonly isFaulted: boolean }>
    there: Map<string, StoredRow | undefined>
    high: number
    isGood: boolean
  } | null = null
  const openDifferences = new Set<string>()
  /** Transactions that were certainly at the target when the row was read there last. */
  const readBehind = new Map<string, number>()
  /** Faults that the target showed when it was read. */
  const seen = new Set<string>()
  const count = { reported: 0, equal: 0, crashes: 0, scouted: 0 }

  const latest = (): Rows => states[log.length] as Rows
  const idle = (): boolean => batch === null && reload === null

  function commit(): void {
    const state = new Map(latest())
    if (random() < 0.04) {
      log.push({ changes: null })
      states.push(new Map())
      return
    }
    const changes: RowChange[] = []
    for (let n = 1 + below(4); n > 0; n--) {
      const id = idOf(pick(names))
      const before = state.get(id) ?? null
      const key =
        before !== null && random() < 0.7 ? before.key : pick(names.filter((name) => idOf(name) === id))
      const after = before !== null && random() < 0.3 ? null : { key, value: nextValue++ }
      // Values that come back are no proof that nothing happened.
      const value = after !== null && random() < 0.3 ? { ...after, value: below(2) - 1 } : after
      if (value === null) state.delete(id)
      else state.set(id, value)
      changes.push({ before, after: value })
    }
    log.push({ changes })
    states.push(state)
  }

  const put = (id: string, row: StoredRow | undefined): void => {
    if (row === undefined) target.delete(id)
    else target.set(id, row)
    faults.delete(id)
    seen.delete(id)
  }

  function apply(): void {
    if (reload !== null) {
      const id = reload.pop()
      if (id !== undefined) put(id, states[applied]?.get(id))
      else {
        reload = null
        session++
      }
      return
    }
    if (batch === null) {
      if (applied === log.length) return
      const to = applied + 1 + below(Math.min(3, log.length - applied))
      const ids = new Set<string>()
      for (const { changes } of log.slice(applied, to)) {
        if (changes === null) for (const id of [...target.keys(), ...names.map(idOf)]) ids.add(id)
        for (const { before, after } of changes ?? [])
          for (const row of [before, after]) if (row !== null) ids.add(idOf(row.key))
      }
      batch = { to, left: [...ids].sort(() => random() - 0.5) }
    }
    const id = batch.left.pop()
    if (id !== undefined) put(id, states[batch.to]?.get(id))
    else {
      applied = batch.to
      batch = null
    }
  }

  /** A table that was parked comes back: emptied, and copied again, by sessions of their own. */
  function beginReload(): void {
    if (!idle()) return
    session++
    for (const id of target.keys()) put(id, undefined)
    reload = names.map(idOf)
  }

  function plant(): void {
    if (!idle()) return
    const id = idOf(pick(names))
    planted++
    if (random() < 0.3) target.delete(id)
    else target.set(id, { key: pick(names.filter((name) => idOf(name) === id)), value: -1_000 - planted })
    const isWrong = shown(target.get(id)) !== shown(states[applied]?.get(id))
    seen.delete(id)
    if (isWrong) faults.add(id)
    else faults.delete(id)
  }

  const here = (): Position => ({ token: `${reader.transaction}`, ordinal: reader.ordinal })

  function read(): void {
    const next = log[reader.transaction]
    if (next === undefined || core.isFull()) return
    if (next.changes === null) {
      if (mutant !== 'alterations-not-seen') core.alter(table, nowMs)
      reader = { transaction: reader.transaction + 1, ordinal: 0 }
    } else {
      const end = Math.min(next.changes.length, reader.ordinal + 1 + below(3))
      for (const { before, after } of next.changes.slice(reader.ordinal, end))
        for (const row of [before, after]) if (row !== null) core.touch(table, [row.key], nowMs)
      const isLast = end === next.changes.length
      reader = isLast
        ? { transaction: reader.transaction + 1, ordinal: 0 }
        : { transaction: reader.transaction, ordinal: end }
    }
    behindTouch = here()
    // A slice that is not the last stands before the end of its transaction.
    core.reached(at(reader.transaction * 10 + (reader.ordinal > 0 ? 5 : 0)))
    core.cut(() => behindTouch, nowMs)
    record()
  }

  function record(): void {
    note(core.proven())
  }
  function note(found: readonly { readonly row: Found }[]): void {
    for (const { row } of found) {
      count.reported++
      openDifferences.add(row.id)
      if (!row.wasFaulted) violations.push(`${row.id} does not differ`)
    }
  }

  const covers = (transactions: number, { token, ordinal }: Position): boolean =>
    transactions >= Number(token) + (ordinal > 0 ? 1 : 0)

  function look(): void {
    core.cut(() => behindTouch, nowMs)
    if (run === null) {
      if (reload !== null && mutant !== 'sessions-not-asked') return
      let upTo = -1
      for (const { ordinal, end } of core.pieces()) {
        const isThere = mutant === 'target-not-asked' || covers(applied, end as Position)
        const isShown = mutant === 'visibility-not-asked' || covers(executed, end as Position)
        if (isThere && isShown) upTo = ordinal
      }
      const due = core.due(() => upTo, 1 + below(4), nowMs)
      if (due === null) return
      const first = mutant === 'source-first' ? 'source' : 'target'
      run = { step: first, look: due, session, rows: new Map(), there: new Map(), high: 0, isGood: true }
      return
    }
    const ids = new Set(run.look.keys.map((key) => idOf(String(key[0]))))
    switch (run.step) {
      case 'target':
        for (const id of ids) {
          run.rows.set(id, { row: target.get(id), isFaulted: faults.has(id) })
          readBehind.set(id, applied)
          if (faults.has(id)) seen.add(id)
        }
        run.step = mutant === 'source-first' ? 'check' : 'source'
        break
      case 'source':
        for (const id of ids) run.there.set(id, states[visible]?.get(id))
        run.high = mutant === 'high-before' ? executed * 10 : log.length * 10
        run.step = mutant === 'source-first' ? 'target' : 'check'
        break
      case 'check': {
        const { look: of, rows, there } = run
        if (session !== run.session && mutant !== 'sessions-not-asked') core.release(of)
        else {
          const unequal = [...ids].flatMap((id) => {
            const [t, s] = [rows.get(id), there.get(id)]
            if (shown(t?.row) === shown(s)) return []
            const keys: Key[] = [s, t?.row].flatMap((row) => (row === undefined ? [] : [[row.key]]))
            return [{ keys, row: { id, wasFaulted: t?.isFaulted === true } }]
          })
          const high = mutant === 'no-high' ? 0 : run.high
          const equal = core.found(of, unequal, at(high), nowMs)
          count.equal += equal?.length ?? 0
          for (const key of equal ?? []) openDifferences.delete(idOf(String(key[0])))
          record()
        }
        run = null
      }
    }
  }

  function scout(): void {
    const high = core.awaited()
    if (!core.isFull() || high === null || high.offset > log.length * 10) return
    const touched = new Set<string>()
    let isAltered = false
    for (let n = reader.transaction; n * 10 < high.offset; n++) {
      const from = n === reader.transaction ? reader.ordinal : 0
      const { changes } = log[n] as Transaction
      if (changes === null) isAltered = true
      for (const { before, after } of changes?.slice(from) ?? [])
        for (const row of [before, after]) if (row !== null) touched.add(row.key)
    }
    count.scouted++
    note(
      core.scouted(high, (_, key) =>
        touched.has(String(key[0])) ? 'touched' : isAltered ? 'altered' : 'untouched',
      ),
    )
  }

  const store = (): void => {
    stored = mutant === 'checkpoint-too-far' ? here() : core.checkpoint(here)
  }

  function crash(): void {
    count.crashes++
    run = null
    reader = { transaction: Number(stored.token), ordinal: stored.ordinal }
    behindTouch = here()
    core = createContinuous(settings, stored, nowMs)
    core.reached(at(reader.transaction * 10 + (reader.ordinal > 0 ? 5 : 0)))
  }

  const again = (): void => {
    for (const id of openDifferences)
      for (const name of names) if (idOf(name) === id) core.again(table, [name], nowMs)
  }

  const settle = (): void => {
    visible = Math.min(log.length, visible + 1)
    executed = Math.min(visible, executed + below(3))
  }

  for (let n = 0; n < steps; n++) {
    nowMs += below(4)
    const dice = random()
    if (dice < 0.06) commit()
    else if (dice < 0.2) settle()
    else if (dice < 0.42) apply()
    else if (dice < 0.6) read()
    else if (dice < 0.87) look()
    else if (dice < 0.93) plant()
    else if (dice < 0.96) store()
    else if (dice < 0.965) crash()
    else if (dice < 0.97) beginReload()
    else if (dice < 0.985) scout()
    else again()
  }
  // Writes stop; everything else goes on until nothing is left to look at.
  for (let n = 0; n < 5_000; n++) {
    nowMs += 3
    settle()
    apply()
    read()
    look()
    scout()
    if (core.size() === 0 && reader.transaction === log.length && run === null) break
  }
  if (core.size() > 0) violations.push(`${core.size()} rows are never looked at`)
  const end = core.checkpoint(here)
  if (core.size() === 0 && !covers(Number(end.token), { token: `${log.length}`, ordinal: 0 }))
    violations.push(`the checkpoint stays at ${end.token} of ${log.length}`)
  for (const [id, transaction] of lastChanges(log))
    if ((readBehind.get(id) ?? 0) < transaction)
      violations.push(`${id} was not looked at behind ${transaction}`)
  for (const id of faults)
    if (seen.has(id) && !openDifferences.has(id))
      violations.push(`${id} differs, was read and is not reported`)
  return { violations, planted, ...count }
}
