/*
 * XA transactions between their XA START and their XA COMMIT, as the events they consist of.
 * Guarantees: at most `maxBytes` of events in all, or SYNC-2206: what is prepared must be kept until it is committed, however long that takes, and a
 * pipeline must not die of it.
 * After a crash the source sends the events again: a position never holds a prepared transaction whose commit it does not hold.
 */
import { SyncError } from '../../../core/errors.ts'
import { type Bytes, malformedEvent } from './bytes.ts'

export interface HeldTransaction {
  /** Its name in XA statements, as the server writes it. */
  readonly name: string
  /** GTID of the part up to XA PREPARE. */
  readonly id: string
  /** TABLE_MAP and row events, without checksums. */
  readonly events: Bytes[]
  bytes: number
}

export class PreparedTransactions {
  readonly #maxBytes: number
  readonly #prepared = new Map<string, HeldTransaction>()
  #bytes = 0
  /** The one that is being read. */
  #current: HeldTransaction | null = null

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get isReading(): boolean {
    return this.#current !== null
  }

  get hasEvents(): boolean {
    return (this.#current?.events.length ?? 0) > 0
  }

  start(name: string, id: string): void {
    this.#current = { name, id, events: [], bytes: 0 }
  }

  hold(b: Bytes, start: number, end: number): void {
    const held = this.#current as HeldTransaction
    held.events.push(Buffer.from(b.subarray(start, end)))
    held.bytes += end - start
    this.#bytes += end - start
    if (this.#bytes > this.#maxBytes) {
      throw new SyncError(
        'SYNC-2206',
        `XA transactions that are not committed yet hold more than ${this.#maxBytes} bytes of row changes`,
        {
          remedy:
            'Commit prepared XA transactions (XA RECOVER lists them), or make them smaller; large changes belong in ordinary transactions.',
        },
      )
    }
  }

  /** XA PREPARE: ends what is being read. In one phase it is committed at once and given back. */
  prepare(onePhase: boolean): HeldTransaction | undefined {
    const held = this.#current
    if (held === null) throw malformedEvent('an XA PREPARE outside an XA transaction')
    this.#current = null
    if (onePhase) return held
    this.#prepared.set(held.name, held)
    return undefined
  }

  /** What is prepared and not committed, in the order of the log. */
  preparedIds(): readonly string[] {
    return [...this.#prepared.values()].map(({ id }) => id)
  }

  /** Hands out a prepared transaction; undefined when it was prepared before the log's start. */
  take(name: string): HeldTransaction | undefined {
    const held = this.#prepared.get(name)
    this.#prepared.delete(name)
    return held
  }

  /** Its events are not needed any more. */
  release(held: HeldTransaction): void {
    this.#bytes -= held.bytes
  }

  /** What is being read was never finished. */
  abandon(): void {
    if (this.#current !== null) this.release(this.#current)
    this.#current = null
  }
}
