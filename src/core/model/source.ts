/**
 * The model's source: a log of transactions, and the three moments of a commit, which come apart: first it is written to the log, then it
 * becomes visible to reads, then it enters the set of executed transactions. Readers see whatever stands between.
 *
 * Every row change is valid when it is made: keys and unique values never meet, as in a server, also inside a transaction. A transaction that
 * touches what another one has touched is written only after that one is visible: it would have waited for its locks.
 */
import type { LogCoordinate, Position } from '../position.ts'
import type { RowChange, TransactionSlice } from '../transaction.ts'
import type { Row, Value } from '../value.ts'
import { copyState, emptyState, type ModelTable, type MutableState, type State, tables } from './tables.ts'

/** One statement; numbers choose among the tables, their keys and their values. What is not possible at the moment does nothing. */
export interface Operation {
  readonly kind: 'insert' | 'update' | 'delete' | 'move' | 'swap' | 'revert' | 'recreate'
  readonly table: number
  readonly key: number
  readonly otherKey: number
  readonly value: number
}

export interface TransactionPlan {
  readonly operations: readonly Operation[]
  /** The whole transaction is one event of the log: what was read while it lasts ends before it. */
  readonly compressed: boolean
}

interface Logged {
  readonly id: string
  readonly changes: readonly RowChange[]
  readonly compressed: boolean
  /** What its locks cover. */
  readonly locks: ReadonlySet<string>
  /** All tables after it. */
  readonly after: State
}

/** Bytes of the log per transaction: more than any has changes. */
const SPAN = 1000

export interface ModelSource {
  /** Writes the next transaction to the log; false if its operations change nothing. */
  write(plan: TransactionPlan): boolean
  /** The oldest transaction that is written and not visible becomes so. */
  show(): void
  /** The oldest transaction that is visible and not executed becomes so. */
  execute(): void
  readonly logged: number
  readonly visible: number
  readonly executed: number
  /** Tables as of the first `count` transactions. */
  stateAfter(count: number): State
  /** Tables as of a position, which may lie inside a transaction. */
  stateAt(position: Position): State
  /** The changes from a position on, at most `maxChanges`, or null at the log's end. */
  slice(from: Position, maxChanges: number): TransactionSlice | null
  endOf(count: number): LogCoordinate
}

/** @param sliceEndsWithTransaction a seeded bug (mutants.ts) */
export function createModelSource(sliceEndsWithTransaction: boolean): ModelSource {
  const log: Logged[] = []
  const first: State = emptyState()
  let visible = 0
  let executed = 0
  let version = 0

  const stateAfter = (count: number): State => (count === 0 ? first : (log[count - 1] as Logged).after)

  function run(state: MutableState, operation: Operation, changes: RowChange[]): void {
    const table = tables[operation.table % tables.length] as ModelTable
    const rows = state.get(table.shape.id.name) as Map<string, Row>
    const key = table.keys[operation.key % table.keys.length] as Value
    const otherKey = table.keys[operation.otherKey % table.keys.length] as Value
    const value = table.values[operation.value % table.values.length] as Value
    const make = (k: Value, v: Value): Row => (table.version === null ? [k, v] : [k, v, ++version])
    /** The row with exactly these bytes as its key. */
    const find = (k: Value): Row | undefined => {
      const row = rows.get(table.keyText(k))
      return row?.[0] === k ? row : undefined
    }
    const row = find(key)
    const other = find(otherKey)

    switch (operation.kind) {
      case 'insert':
        change(table, rows, null, make(key, value), changes)
        break
      case 'update':
        if (row !== undefined) change(table, rows, row, make(key, value), changes)
        break
      case 'delete':
        if (row !== undefined) change(table, rows, row, null, changes)
        break
      case 'move':
        if (row !== undefined) change(table, rows, row, make(otherKey, row[1] as Value), changes)
        break
      case 'revert': {
        if (row === undefined) break
        const there = make(key, value)
        if (!change(table, rows, row, there, changes)) break
        change(table, rows, there, table.version === null ? row : make(key, row[1] as Value), changes)
        break
      }
      case 'recreate':
        if (row === undefined || !change(table, rows, row, null, changes)) break
        change(table, rows, null, make(otherKey, row[1] as Value), changes)
        break
      case 'swap': {
        if (row === undefined || other === undefined || row === other) break
        const [mine, theirs] = [row[1] as Value, other[1] as Value]
        // By way of a value that nobody has.
        const spare = table.values.find((v) => collision(table, rows, [key, v], row) === null)
        if (spare === undefined) break
        const parked = make(key, spare)
        if (!change(table, rows, row, parked, changes)) break
        const taken = make(otherKey, mine)
        if (!change(table, rows, other, taken, changes)) break
        change(table, rows, parked, make(key, theirs), changes)
        break
      }
    }
  }

  return {
    write({ operations, compressed }) {
      const state = copyState(stateAfter(log.length))
      const changes: RowChange[] = []
      for (const operation of operations) run(state, operation, changes)
      if (changes.length === 0) return false
      const locks = new Set(changes.flatMap(locksOf))
      for (let i = visible; i < log.length; i++) {
        for (const lock of (log[i] as Logged).locks) if (locks.has(lock)) visible = i + 1
      }
      log.push({ id: `t${log.length}`, changes, compressed, locks, after: state })
      return true
    },
    show() {
      if (visible < log.length) visible++
    },
    execute() {
      if (executed < visible) executed++
    },
    get logged() {
      return log.length
    },
    get visible() {
      return visible
    },
    get executed() {
      return executed
    },
    stateAfter,
    stateAt({ token, ordinal }) {
      const count = Number(token)
      if (ordinal === 0) return stateAfter(count)
      const state = copyState(stateAfter(count))
      for (const { table, before, after } of (log[count] as Logged).changes.slice(0, ordinal)) {
        const found = tables.find((t) => t.shape === table) as ModelTable
        const rows = state.get(table.id.name) as Map<string, Row>
        if (before !== null) rows.delete(found.keyText(before[0] as Value))
        if (after !== null) rows.set(found.keyText(after[0] as Value), after)
      }
      return state
    },
    slice({ token, ordinal }, maxChanges) {
      const count = Number(token)
      const transaction = log[count]
      if (transaction === undefined) return null
      const changes = transaction.changes.slice(ordinal, ordinal + maxChanges)
      const end = ordinal + changes.length
      const last = end === transaction.changes.length
      const inside = count * SPAN + (transaction.compressed ? 0 : end)
      const offset = last || sliceEndsWithTransaction ? (count + 1) * SPAN : inside
      return {
        kind: 'slice',
        id: transaction.id,
        firstOrdinal: ordinal,
        changes,
        last,
        coordinate: { file: 1, offset },
        commitTimeUs: 0,
        bytes: 0,
      }
    },
    endOf: (count) => ({ file: 1, offset: count * SPAN }),
  }
}

/** The row that would collide with `row` once `without` is gone, or null. */
function collision(
  table: ModelTable,
  rows: ReadonlyMap<string, Row>,
  row: Row,
  without: Row | null,
): Row | null {
  const keyText = table.keyText(row[0] as Value)
  const uniqueTexts = table.uniqueTexts(row)
  for (const [present, candidate] of rows) {
    if (candidate === without) continue
    if (present === keyText) return candidate
    const theirs = table.uniqueTexts(candidate)
    if (uniqueTexts.some((text, i) => text !== null && text === theirs[i])) return candidate
  }
  return null
}

/** Makes one row change if the server would allow it. */
function change(
  table: ModelTable,
  rows: Map<string, Row>,
  before: Row | null,
  after: Row | null,
  changes: RowChange[],
): boolean {
  if (after !== null && collision(table, rows, after, before) !== null) return false
  if (before !== null) rows.delete(table.keyText(before[0] as Value))
  if (after !== null) rows.set(table.keyText(after[0] as Value), after)
  changes.push({ table: table.shape, before, after })
  return true
}

function locksOf({ table, before, after }: RowChange): string[] {
  const found = tables.find((t) => t.shape === table) as ModelTable
  return [before, after].flatMap((row) =>
    row === null
      ? []
      : [
          `${table.id.name}/${found.keyText(row[0] as Value)}`,
          ...found.uniqueTexts(row).map((text, i) => `${table.id.name}/${i}/${text}`),
        ],
  )
}
