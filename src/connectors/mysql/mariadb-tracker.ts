/**
 * Where the consumer of a MariaDB source's events stands (mariadb-position.ts), like position-tracker.ts for MySQL.
 *
 * Guarantees: the position names exactly the events that were given to `advance`. While an XA transaction is prepared and not committed, it also
 * names the place before it, so that its changes can be gathered again after a crash.
 */
import type { Position } from '../../core/position.ts'
import type { PositionTracker } from '../contract.ts'
import { mariadbToken, parseMariadbToken } from './mariadb-position.ts'
import { partOfTransaction, positionAt } from './position-tracker.ts'

export function createMariadbTracker(from: Position): PositionTracker {
  const start = parseMariadbToken(from.token)
  const { passed } = start
  /** Prepared transactions in the order of the log, with the position before each. */
  const prepared = new Map<string, string>()
  /** While the log is read again: what is still prepared has not been seen in full. */
  let again = start.again === passed ? null : start.again.toString()
  let ordinal = from.ordinal
  let transaction = from.transaction
  let asked = { token: '', passed: parseMariadbToken('').passed }

  return {
    advance(event) {
      if (event.kind === 'prepared') {
        prepared.set(event.id, passed.has(event.id) ? (again ?? passed.toString()) : passed.toString())
        if (!passed.has(event.id)) again = null
        passed.pass(event.id)
        return
      }
      if (event.kind === 'slice' && !event.last) {
        ordinal = event.firstOrdinal + event.changes.length
        transaction = event.id
        return
      }
      if (event.id.endsWith(partOfTransaction)) return
      again = null
      for (const id of event.id.split(',')) {
        prepared.delete(id)
        passed.pass(id)
      }
      ordinal = 0
      transaction = undefined
    },
    position() {
      const [first] = prepared.values()
      return positionAt(mariadbToken(passed.toString(), again ?? first ?? null), ordinal, transaction)
    },
    has: (id) => id.split(',').every((one) => passed.has(one)),
    covers(position) {
      if (asked.token !== position.token)
        asked = { token: position.token, passed: parseMariadbToken(position.token).passed }
      if (!passed.includes(asked.passed)) return false
      if (position.ordinal === 0 || position.transaction === undefined) return true
      const ids = position.transaction.split(',')
      const last = ids.at(-1) as string
      return passed.has(last) || (transaction === position.transaction && position.ordinal <= ordinal)
    },
  }
}
