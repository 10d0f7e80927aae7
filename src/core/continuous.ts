/**
 * Which rows a continuous verification has yet to look at, and when a difference is proven (docs/adr/0009). Pure; the caller brings log, rows and clock.
 *
 * Guarantees: a key that a change of the log touched is kept until it was found equal, is proven to differ, or was touched again by a later change of the
 * log; `checkpoint` never passes one that is kept. A difference is given out only where no change of the row lies between what the target was known to have
 * when it was read and the source's `high`: then nothing of the source explains it, however the two ends were read. Bounded: about
 * `maxPendingKeys` keys and what one slice of a transaction brings.
 * Assumes: changes come in the log's order; a look is given out only for pieces that target and source are known to cover; of a look the target is read
 * before the source, and `high` after it.
 * Why bytes of keys are enough where a collation calls other bytes equal: a row of the source that was read unchanged has its own bytes as an image of its last
 * change before and of its first change after; a row of the target that the source does not have any more has its bytes as an image of the change that took it
 * (as in chunk-window.ts). So a change that matters touches one of the bytes that were read.
 * After a crash all of it is gone: whoever goes on follows the log from the checkpoint that was stored, and looks at some rows twice.
 */
import { compareCoordinates, type LogCoordinate, type Position } from './position.ts'
import { keyOf, type Value } from './value.ts'

export type Key = readonly Value[]

/** So many are a hundred times as long as the first ones. */
const manyPieces = 1_000

export interface ContinuousOptions {
  /** A row is looked at when its last change is so old. */
  readonly settleMs: number
  /** A row that changes all the time is looked at when its first change that was not looked at is so old. Default: six times `settleMs`. */
  readonly restlessMs?: number
  readonly maxPendingKeys: number
  /** The log is cut into pieces of about so much time. Default 250. */
  readonly pieceMs?: number
}

/** A run of the log; `end` null while it is the one that is read now. */
export interface Piece {
  readonly ordinal: number
  readonly end: Position | null
}

/** Keys of one table, looked at together. */
export interface Look {
  readonly table: string
  readonly keys: readonly Key[]
}

/** A row that was read unequal. */
export interface Unequal<Row> {
  /** Keys of the rows that were read: the source's, the target's, or both. */
  readonly keys: readonly Key[]
  readonly row: Row
}

export interface Proven<Row> {
  readonly table: string
  readonly row: Row
  /** When it was read unequal first, by the caller's clock. */
  readonly seenAtMs: number
}

export interface Continuous<Row> {
  /** A change of the log touches the row; several changes of one key are one. */
  touch(table: string, key: Key, nowMs: number): void
  /** The log changed the table itself: all that is known of its rows is to be looked at again from here on. */
  alter(table: string, nowMs: number): void
  /** Nobody looks at the table any more. */
  forget(table: string): void
  /** A row without a change is to be looked at again. */
  again(table: string, key: Key, nowMs: number): void
  /** All of the log up to there was given to `touch` and `alter`. */
  reached(coordinate: LogCoordinate): void
  /** Ends the piece that is read now, where it is time. @param position behind the last change that was given to `touch` */
  cut(position: () => Position, nowMs: number): void
  /** Those that have an end and are not done, oldest first. */
  pieces(): readonly Piece[]
  /**
   * Rows of one table that may be looked at now, `most` at once; they are `found` or `release`d later.
   * @param coveredUpTo ordinal of the last piece whose end is known to be at the target and visible at the source; -1: none
   */
  due(coveredUpTo: (table: string) => number, most: number, nowMs: number): Look | null
  /**
   * What a look found, and the source's `high` read after its rows.
   * @returns keys that were equal, and null where the table was altered meanwhile and nothing was found
   */
  found(
    look: Look,
    unequal: readonly Unequal<Row>[],
    high: LogCoordinate,
    nowMs: number,
  ): readonly Key[] | null
  /** The look was not made, or says nothing. */
  release(look: Look): void
  /** Differences that the log up to here does not explain; each is given out once. */
  proven(): readonly Proven<Row>[]
  /** What a second reader found, who read ahead to `high`: for a reader that must not read on. */
  scouted(high: LogCoordinate, fateOf: (table: string, key: Key) => Fate): readonly Proven<Row>[]
  /** How far that reader has to go; null: nothing waits. */
  awaited(): LogCoordinate | null
  /** No more may be read before something was looked at. */
  isFull(): boolean
  /** Rows that are not done. */
  size(): number
  /** When the oldest of their first changes was read; null: nothing is kept. */
  oldestAtMs(): number | null
  /** Everything before is done. @param here where the reader stands */
  checkpoint(here: () => Position): Position
}

/** What the log has of a row, or of its table as a whole. */
export type Fate = 'untouched' | 'touched' | 'altered'

interface OpenPiece {
  readonly ordinal: number
  end: Position | null
  readonly openedAtMs: number
  /** Keys that are not done. */
  keys: number
  /** Some key is to be looked at behind its end. */
  isAwaited: boolean
}

interface Entry {
  readonly key: Key
  /** That of its last change: it is not done before this row is, because after a crash the log brings that change again. */
  readonly piece: OpenPiece
  /** To be looked at behind the end of this one: the same, or that of a statement that altered the table later. */
  readonly behind: OpenPiece
  readonly firstAtMs: number
  readonly lastAtMs: number
}

interface Suspect<Row> {
  readonly table: string
  readonly keys: readonly Key[]
  readonly texts: readonly string[]
  readonly row: Row
  readonly piece: OpenPiece
  readonly high: LogCoordinate
  readonly seenAtMs: number
  /** It waits for a statement that the reader has yet to come to: that must not hold the reader. */
  isExcused: boolean
}

interface OpenLook {
  readonly entries: ReadonlyMap<string, Entry>
  fate: 'good' | 'stale' | 'forgotten'
}

const textOf = (key: Key): string =>
  keyOf(
    key,
    key.map((_, part) => part),
  )

const oldestOf = (all: readonly { readonly piece: OpenPiece }[]): OpenPiece =>
  all.map(({ piece }) => piece).reduce((oldest, piece) => (piece.ordinal < oldest.ordinal ? piece : oldest))

export function createContinuous<Row>(
  options: ContinuousOptions,
  from: Position,
  startMs: number,
): Continuous<Row> {
  const { settleMs, maxPendingKeys, restlessMs = 6 * settleMs, pieceMs = 250 } = options
  /** Of each table in the order of their last changes. */
  const pending = new Map<string, Map<string, Entry>>()
  const looks = new Map<Look, OpenLook>()
  const suspects = new Set<Suspect<Row>>()
  const suspectOf = new Map<string, Map<string, Suspect<Row>>>()
  const newPiece = (ordinal: number, openedAtMs: number): OpenPiece => ({
    ordinal,
    end: null,
    openedAtMs,
    keys: 0,
    isAwaited: false,
  })
  let open = newPiece(0, startMs)
  const closed: OpenPiece[] = []
  let done = from
  let size = 0
  let excused = 0
  let coordinate: LogCoordinate = { file: 0, offset: 0 }
  /** When the rows that change all the time were gone through last. */
  let restlessAtMs = startMs

  const ofTable = <T>(all: Map<string, Map<string, T>>, table: string): Map<string, T> => {
    let found = all.get(table)
    if (found === undefined) {
      found = new Map()
      all.set(table, found)
    }
    return found
  }

  const enter = (piece: OpenPiece): void => {
    piece.keys++
    size++
  }
  const leave = (piece: OpenPiece): void => {
    piece.keys--
    size--
  }
  const dropSuspect = (suspect: Suspect<Row>): void => {
    if (!suspects.delete(suspect)) return
    leave(suspect.piece)
    if (suspect.isExcused) excused--
    const known = suspectOf.get(suspect.table)
    for (const text of suspect.texts) if (known?.get(text) === suspect) known.delete(text)
  }

  function put(
    table: string,
    text: string,
    key: Key,
    nowMs: number,
    old?: Pick<Entry, 'piece' | 'firstAtMs'>,
  ): void {
    const entries = ofTable(pending, table)
    const before = entries.get(text)
    const piece = old?.piece ?? open
    enter(piece)
    if (before !== undefined) {
      entries.delete(text)
      leave(before.piece)
    }
    const firstAtMs = Math.min(before?.firstAtMs ?? nowMs, old?.firstAtMs ?? nowMs)
    open.isAwaited = true
    entries.set(text, { key, piece, behind: open, firstAtMs, lastAtMs: nowMs })
  }

  function give(suspect: Suspect<Row>): Proven<Row> {
    dropSuspect(suspect)
    const { table, row, seenAtMs } = suspect
    return { table, row, seenAtMs }
  }

  const isDue = (nowMs: number, { lastAtMs, firstAtMs }: Entry): boolean =>
    nowMs - lastAtMs >= settleMs || nowMs - firstAtMs >= restlessMs

  /** Puts back what is to be looked at all the same. */
  function release(look: Look): void {
    const state = looks.get(look)
    if (state === undefined) return
    looks.delete(look)
    const entries = ofTable(pending, look.table)
    const later = [...entries]
    if (state.fate === 'good') {
      // Before all that came meanwhile: the order of last changes stays.
      entries.clear()
      for (const [text, entry] of state.entries) entries.set(text, entry)
      for (const [text, entry] of later) {
        const before = entries.get(text)
        if (before === undefined) entries.set(text, entry)
        else {
          entries.delete(text)
          leave(before.piece)
          entries.set(text, { ...entry, firstAtMs: before.firstAtMs })
        }
      }
      return
    }
    for (const [text, entry] of state.entries) {
      if (state.fate === 'stale' && !entries.has(text))
        put(look.table, text, entry.key, entry.lastAtMs, entry)
      leave(entry.piece)
    }
  }

  return {
    touch(table, key, nowMs) {
      const text = textOf(key)
      const suspect = suspectOf.get(table)?.get(text)
      if (suspect !== undefined) dropSuspect(suspect)
      put(table, text, key, nowMs)
    },
    alter(table, nowMs) {
      // They go to the end of the very map that they come from.
      const before = [...(pending.get(table) ?? [])]
      for (const [text, entry] of before) put(table, text, entry.key, nowMs, entry)
      for (const suspect of suspects) {
        if (suspect.table !== table) continue
        const { piece, seenAtMs } = suspect
        for (const key of suspect.keys) put(table, textOf(key), key, nowMs, { piece, firstAtMs: seenAtMs })
        dropSuspect(suspect)
      }
      for (const [look, state] of looks)
        if (look.table === table && state.fate === 'good') state.fate = 'stale'
    },
    forget(table) {
      for (const { piece } of pending.get(table)?.values() ?? []) leave(piece)
      pending.delete(table)
      for (const suspect of suspects) if (suspect.table === table) dropSuspect(suspect)
      for (const [look, state] of looks) if (look.table === table) state.fate = 'forgotten'
    },
    again(table, key, nowMs) {
      const text = textOf(key)
      if (suspectOf.get(table)?.has(text) === true || pending.get(table)?.has(text) === true) return
      put(table, text, key, nowMs)
    },
    reached(to) {
      coordinate = to
    },
    cut(position, nowMs) {
      if (!open.isAwaited) return
      // While the target is away for hours, pieces become longer instead of very many.
      const isTime = nowMs - open.openedAtMs >= pieceMs * (1 + 100 * (closed.length / manyPieces) ** 2)
      if (!isTime && size < maxPendingKeys && open.keys < maxPendingKeys / 100) return
      open.end = position()
      closed.push(open)
      open = newPiece(open.ordinal + 1, nowMs)
    },
    pieces: () => closed,
    due(coveredUpTo, most, nowMs) {
      const looksForRestless = nowMs - restlessAtMs >= restlessMs / 20
      for (const [table, entries] of pending) {
        const upTo = coveredUpTo(table)
        const taken = new Map<string, Entry>()
        for (const [text, entry] of entries) {
          // In the order of last changes: what comes behind is in a later piece.
          if (entry.behind.end === null || entry.behind.ordinal > upTo || taken.size === most) break
          if (nowMs - entry.lastAtMs < settleMs && !looksForRestless) break
          if (isDue(nowMs, entry)) taken.set(text, entry)
        }
        if (taken.size === 0) continue
        for (const text of taken.keys()) entries.delete(text)
        // Whoever comes last in the map waits longest for its turn; a table that was looked at goes to the end.
        pending.delete(table)
        pending.set(table, entries)
        const look = { table, keys: [...taken.values()].map(({ key }) => key) }
        looks.set(look, { entries: taken, fate: 'good' })
        return look
      }
      if (looksForRestless) restlessAtMs = nowMs
      return null
    },
    found(look, unequal, high, nowMs) {
      const state = looks.get(look)
      if (state === undefined || state.fate !== 'good') {
        release(look)
        return null
      }
      looks.delete(look)
      const { table } = look
      const renewed = pending.get(table)
      const left = new Map(state.entries)
      let isForeign = false
      for (const { keys, row } of unequal) {
        const texts = keys.map(textOf)
        const own = texts.map((text) => state.entries.get(text)).filter((entry) => entry !== undefined)
        for (const text of texts) left.delete(text)
        if (own.length === 0) isForeign = true
        // The log has a later change of it: that one is looked at.
        if (texts.some((text) => renewed?.has(text) === true)) continue
        // Another key under which the row is found: it was read before, and what was read now is what counts.
        const before = texts.flatMap((text) => suspectOf.get(table)?.get(text) ?? [])
        for (const suspect of before) dropSuspect(suspect)
        const named = own.length > 0 ? own : [...state.entries.values()]
        const suspect = {
          table,
          keys,
          texts,
          row,
          piece: oldestOf([...named, ...before]),
          high,
          seenAtMs: Math.min(nowMs, ...before.map(({ seenAtMs }) => seenAtMs)),
          isExcused: false,
        }
        enter(suspect.piece)
        suspects.add(suspect)
        for (const text of texts) ofTable(suspectOf, table).set(text, suspect)
      }
      for (const { piece } of state.entries.values()) leave(piece)
      // A row that none of the keys names by its bytes belongs to one of them all the same: which, only the server's collation knows.
      return isForeign ? [] : [...left.values()].map(({ key }) => key)
    },
    release,
    proven() {
      return [...suspects]
        .filter(({ high }) => compareCoordinates(coordinate, high) >= 0)
        .map((suspect) => give(suspect))
    },
    scouted(high, fateOf) {
      const all: Proven<Row>[] = []
      for (const suspect of suspects) {
        if (suspect.isExcused || compareCoordinates(high, suspect.high) < 0) continue
        const fates = suspect.keys.map((key) => fateOf(suspect.table, key))
        // Its later change is still to be read, and brings it again.
        if (fates.includes('touched')) dropSuspect(suspect)
        else if (fates.includes('altered')) {
          suspect.isExcused = true
          excused++
        } else all.push(give(suspect))
      }
      return all
    },
    awaited() {
      let furthest: LogCoordinate | null = null
      for (const { high, isExcused } of suspects)
        if (!isExcused && (furthest === null || compareCoordinates(high, furthest) > 0)) furthest = high
      return furthest
    },
    isFull: () => size - excused >= maxPendingKeys,
    size: () => size,
    oldestAtMs() {
      let oldest: number | null = null
      for (const entries of pending.values())
        for (const { firstAtMs } of entries.values())
          if (oldest === null || firstAtMs < oldest) oldest = firstAtMs
      return oldest
    },
    checkpoint(here) {
      for (let first = closed[0]; first !== undefined && first.keys === 0; first = closed[0]) {
        done = first.end as Position
        closed.shift()
      }
      return closed.length === 0 && open.keys === 0 && !open.isAwaited ? here() : done
    },
  }
}
