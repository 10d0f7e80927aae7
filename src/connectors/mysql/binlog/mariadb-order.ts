/*
 * Where each transaction of a MariaDB log stands against the position from which it is read.
 * Guarantees: sequence numbers rise within a domain, or SYNC-2221: one that does not would look as if it had been passed. What lies between the
 * place from which the log is read again and the position (mariadb-position.ts) is told from what is new.
 */
import { SyncError } from '../../../core/errors.ts'
import { type MariadbPosition, parseMariadbToken } from '../mariadb-position.ts'

export class MariadbOrder {
  readonly #passed: MariadbPosition
  readonly #seen: MariadbPosition

  constructor(token: string) {
    this.#passed = parseMariadbToken(token).passed
    this.#seen = parseMariadbToken(token).again
  }

  /** Was the transaction passed before, so that only what it prepared is of interest? Call once for each, in the log's order. */
  isPassed(id: string): boolean {
    if (this.#seen.has(id)) {
      throw new SyncError(
        'SYNC-2221',
        `The log holds the transaction ${id} behind a greater sequence number of its domain`,
        { details: { at: id } },
      )
    }
    this.#seen.pass(id)
    return this.#passed.has(id)
  }
}
