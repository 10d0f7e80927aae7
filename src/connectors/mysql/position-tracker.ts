/**
 * Where the consumer of a MySQL source's events stands, as a GTID set and an ordinal.
 *
 * Guarantees: the position names exactly the events that were given to `advance`, so a stream followed from it starts with the next
 * one. A transaction enters the set with its last slice; before that the ordinal counts its row changes.
 * Assumes events are given in the order of the stream, with none left out. Kept in memory: the caller stores `position()`.
 */
import type { Position } from '../../core/position.ts'
import type { PositionTracker } from '../contract.ts'
import { GtidSet } from './gtid-set.ts'

/** Ends the id of a schema change that is part of a transaction: the transaction's own last slice brings the GTID. */
export const partOfTransaction = '/ddl'

/** Between transactions nothing is counted, so nothing is named. */
export const positionAt = (token: string, ordinal: number, transaction: string | undefined): Position =>
  ordinal === 0 || transaction === undefined ? { token, ordinal } : { token, ordinal, transaction }

export function createPositionTracker(from: Position): PositionTracker {
  const passed = GtidSet.parse(from.token)
  /** Prepared XA transactions: the source has executed them, and they enter `passed` with their commit. */
  const prepared = new GtidSet()
  let ordinal = from.ordinal
  let transaction = from.transaction
  /** The set of the position asked for last: waiting asks for the same one again and again. */
  let asked = { token: '', set: new GtidSet() }

  return {
    advance(event) {
      if (event.kind === 'prepared') {
        prepared.add(event.id)
      } else if (event.kind === 'slice' && !event.last) {
        ordinal = event.firstOrdinal + event.changes.length
        transaction = event.id
      } else if (event.kind === 'slice' || !event.id.endsWith(partOfTransaction)) {
        passed.add(event.id)
        ordinal = 0
        transaction = undefined
      }
    },
    position: () => positionAt(passed.toString(), ordinal, transaction),
    has: (id) => passed.has(id),
    covers(position) {
      if (asked.token !== position.token)
        asked = { token: position.token, set: GtidSet.parse(position.token) }
      if (!passed.includes(asked.set)) {
        if (prepared.isEmpty || !passed.union(prepared).includes(asked.set)) return false
      }
      if (position.ordinal === 0) return true
      if (position.transaction !== undefined) {
        return (
          passed.has(position.transaction) ||
          (transaction === position.transaction && position.ordinal <= ordinal)
        )
      }
      // Whoever holds more than the set has passed the transaction that follows the set, whatever the ordinal counts of it.
      return position.ordinal <= ordinal || !asked.set.includes(passed)
    },
  }
}
