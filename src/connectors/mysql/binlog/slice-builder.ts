/*
 * Gathers row changes into slices, and slices and other events into what one turn of the stream delivers.
 * Guarantees: slices of about `sliceMaxBytes` and at most `sliceMaxRows`; ordinals count from the transaction's start, and a first transaction of
 * which the consumer has a part already goes on exactly behind it, or is refused when it is another one or has not as many.
 */
import { SyncError } from '../../../core/errors.ts'
import type { LogCoordinate, Position } from '../../../core/position.ts'
import type { LogEvent, RowChange } from '../../../core/transaction.ts'
import type { LogFile } from './log-file.ts'

export interface SliceLimits {
  readonly sliceMaxBytes: number
  readonly sliceMaxRows: number
  /** Row changes of the first transaction were taken before, as far as this counts them. */
  readonly from: Position
}

/** More events than this are not gathered in one turn. */
const maxEventsPerTurn = 4096

export class SliceBuilder {
  readonly #limits: SliceLimits
  readonly #log: LogFile
  #out: LogEvent[] = []
  #outBytes = 0
  /** Where the last transaction ended, or the log was found to hold nothing for us, and how far the consumer knows it. */
  #boundary: LogCoordinate = { file: 0, offset: 0 }
  #told: LogCoordinate = { file: 0, offset: 0 }

  /** The transaction in hand; '' between transactions. */
  id = ''
  #commitTimeUs = 0
  #ordinal = 0
  #changes: RowChange[] = []
  #bytes = 0
  #skip: number
  /** Has the consumer got row changes of the transaction in hand (or of the first one, in an earlier run)? */
  #partTaken: boolean

  constructor(log: LogFile, limits: SliceLimits) {
    this.#log = log
    this.#limits = limits
    this.#skip = limits.from.ordinal
    this.#partTaken = limits.from.ordinal > 0
  }

  get isFull(): boolean {
    return this.#outBytes >= this.#limits.sliceMaxBytes || this.#out.length >= maxEventsPerTurn
  }

  /** Has the transaction in hand changed rows so far? */
  get hasChanges(): boolean {
    return this.#ordinal > 0 || this.#changes.length > 0
  }

  /** What was gathered; ends with the progress that no slice tells. */
  output(): LogEvent[] {
    const { file, offset } = this.#boundary
    if (file !== this.#told.file || offset !== this.#told.offset) {
      this.#out.push({ kind: 'progress', coordinate: { file, offset } })
      this.#told = this.#boundary
    }
    const out = this.#out
    this.#out = []
    this.#outBytes = 0
    return out
  }

  begin(id: string, commitTimeUs: number): void {
    this.id = id
    this.#commitTimeUs = commitTimeUs
    this.#ordinal = 0
  }

  /** Takes a change of `bytes`; true when a slice was closed with it. */
  add(change: RowChange, bytes: number): boolean {
    if (this.#skip > 0) {
      this.#refuseOther()
      this.#skip--
      this.#ordinal++
      return false
    }
    this.#bytes += bytes
    const count = this.#changes.push(change)
    if (this.#bytes < this.#limits.sliceMaxBytes && count < this.#limits.sliceMaxRows) return false
    this.#closePart()
    return true
  }

  /** Ends the transaction with its last slice. */
  finish(): void {
    this.#refuseLeftOver()
    // One object for all of them: nobody changes a place.
    const coordinate = { file: this.#log.file, offset: this.#log.offset }
    this.#close(coordinate, true)
    this.#partTaken = false
    this.id = ''
    this.#told = this.#boundary = coordinate
  }

  /** A definition that is a transaction of its own, and ends it. */
  define(schema: string, statement: string): void {
    this.#refuseLeftOver()
    this.#outBytes += statement.length
    const coordinate = { file: this.#log.file, offset: this.#log.offset }
    this.#out.push({
      kind: 'schema-change',
      id: this.id,
      coordinate,
      commitTimeUs: this.#commitTimeUs,
      schema,
      statement,
    })
    this.id = ''
    this.#told = this.#boundary = coordinate
  }

  /** A definition within a transaction, which goes on. @param id tells it from the transaction */
  defineWithin(id: string, schema: string, statement: string): void {
    if (this.#changes.length > 0) this.#closePart()
    this.#outBytes += statement.length
    const coordinate = { file: this.#log.file, offset: this.#log.eventStart }
    this.#out.push({
      kind: 'schema-change',
      id,
      coordinate,
      commitTimeUs: this.#commitTimeUs,
      schema,
      statement,
    })
  }

  /** The transaction was never committed. */
  abandon(): void {
    if (this.#partTaken) {
      throw new SyncError('SYNC-2206', 'The log ends within a transaction, part of which was already taken')
    }
    this.#changes = []
    this.#bytes = 0
    this.id = ''
  }

  /** The transaction is kept elsewhere, as it was when this place was passed. */
  suspend(): void {
    this.id = ''
  }

  /** A transaction is kept elsewhere and comes later. @param offset end of what was read of the log then */
  prepared(id: string, offset: number): void {
    const coordinate = { file: this.#log.file, offset }
    this.#out.push({ kind: 'prepared', id, coordinate })
    this.id = ''
    this.#told = this.#boundary = coordinate
  }

  /** Between transactions: what was read up to here concerns nobody. */
  pass(): void {
    const { file, offset } = this.#log
    const known = this.#boundary
    if (known.offset !== offset || known.file !== file) this.#boundary = { file, offset }
  }

  /** Another transaction has other changes, however many. */
  #refuseOther(): void {
    const { transaction, ordinal } = this.#limits.from
    if (transaction === undefined || transaction === this.id) return
    throw new SyncError(
      'SYNC-2220',
      `${ordinal} row changes of the transaction ${transaction} are applied, and ${this.id} follows at this source`,
      { details: { at: this.id } },
    )
  }

  #refuseLeftOver(): void {
    if (this.#skip === 0) return
    this.#refuseOther()
    throw new SyncError(
      'SYNC-2210',
      `The stored position counts ${this.#limits.from.ordinal} row changes of a transaction that does not have as many`,
    )
  }

  /** A slice that does not end its transaction must not seem to reach the transaction's end: chunks wait for places. */
  #closePart(): void {
    this.#close({ file: this.#log.file, offset: this.#log.eventStart }, false)
  }

  #close(coordinate: LogCoordinate, last: boolean): void {
    const changes = this.#changes
    const firstOrdinal = this.#ordinal
    const bytes = this.#bytes
    this.#out.push({
      kind: 'slice',
      id: this.id,
      firstOrdinal,
      changes,
      last,
      coordinate,
      commitTimeUs: this.#commitTimeUs,
      bytes,
    })
    this.#ordinal = firstOrdinal + changes.length
    this.#partTaken = true
    this.#outBytes += bytes
    this.#changes = []
    this.#bytes = 0
  }
}
