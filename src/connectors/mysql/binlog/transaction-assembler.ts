/*
 * Puts the events of the log together to transactions: slices of decoded row changes, schema changes, progress.
 * Guarantees: every transaction's last slice, also of those without row changes, in the order of commits; memory is bounded by one event, one
 * slice and the XA transactions that are prepared and not committed. What is not understood throws, with the GTID in `details.at`.
 * A prepared XA transaction is delivered at its XA COMMIT, as one transaction whose id is both GTIDs, so that no position can
 * hold the one without the other.
 * Work that yields much output (large row events, compressed transactions) is done in steps: `take` an event, then `proceed` until
 * it says 'idle'.
 */
import { SyncError } from '../../../core/errors.ts'
import type { LogEvent } from '../../../core/transaction.ts'
import type { LogScope } from '../../contract.ts'
import { partOfTransaction } from '../position-tracker.ts'
import { type Bytes, malformedEvent, u16, u32 } from './bytes.ts'
import { eventFlag, eventName, eventType, header } from './event-types.ts'
import { createGtidReader, readTaggedGtid } from './gtid-event.ts'
import { LogFile } from './log-file.ts'
import { type MariadbGtid, readMariadbGtid, uncompressedEvent } from './mariadb-events.ts'
import { MariadbOrder } from './mariadb-order.ts'
import { type HeldTransaction, PreparedTransactions } from './prepared-transactions.ts'
import { firstWords, isBegin, type QueryEvent, readQuery, statementKind, xaName } from './query-event.ts'
import { RowEvents } from './row-events.ts'
import { SliceBuilder, type SliceLimits } from './slice-builder.ts'
import { createTableMaps } from './table-map.ts'
import { eventsOf, type InnerEvents, openPayload } from './transaction-payload.ts'
import { createFrameUnpacker } from './zstd-frames.ts'

export interface AssemblerOptions extends SliceLimits {
  /** XA transactions between prepare and commit are held up to this many bytes of events. */
  readonly maxPreparedBytes: number
  /** Transactions whose statements in text form are passed over. */
  readonly acknowledged: ReadonlySet<string>
  readonly scope: LogScope
}

type Phase =
  | 'between' // no transaction
  | 'named' // its GTID was read
  | 'begun'
  | 'xa' // between XA START and its prepare
  | 'begun-alter' // a definition that does not take effect with its next event
  | 'over' // it was passed before, and ends with its commit
  | 'over-one' // it was passed before, and is one more event

export class TransactionAssembler {
  readonly #acknowledged: ReadonlySet<string>
  readonly #scope: LogScope
  readonly #from: string
  /** Made with the first GTID of MariaDB's kind. */
  #order: MariadbOrder | undefined
  /** What was passed is read again, for what it prepared. */
  #rereads = false
  readonly #log = new LogFile()
  readonly #maps = createTableMaps(() => this.#log.product)
  readonly #slices: SliceBuilder
  readonly #rows: RowEvents
  readonly #xa: PreparedTransactions
  readonly #readGtid = createGtidReader()
  readonly #unpacker = createFrameUnpacker()

  #phase: Phase = 'between'
  /** An event that belongs to a statement in text form, whose text comes next. */
  #statementPart = ''
  /** Events inside the event in hand, the innermost last. */
  #inner: { readonly events: InnerEvents; readonly onDone: (() => void) | undefined }[] = []

  constructor(options: AssemblerOptions) {
    this.#acknowledged = options.acknowledged
    this.#scope = options.scope
    this.#from = options.from.token
    this.#slices = new SliceBuilder(this.#log, options)
    this.#rows = new RowEvents(this.#maps, this.#slices, options.scope)
    this.#xa = new PreparedTransactions(options.maxPreparedBytes)
  }

  /** What was gathered; ends with the progress that no slice tells. */
  output(): LogEvent[] {
    return this.#slices.output()
  }

  /** Takes one event as the server sent it. Only when `proceed` says 'idle'. */
  take(b: Bytes, start: number, end: number): void {
    try {
      const view = this.#rows.viewOf(b)
      const log = this.#log
      const type = end - start < header.bytes ? 0 : (b[start + header.type] as number)
      if (type === 0 || view.getUint32(start + header.size, true) !== end - start) throw log.damaged(type)
      const bodyEnd = log.bodyEnd(b, view, start, end, type)
      log.take(b, start, bodyEnd, type)
      this.#handle(b, start, bodyEnd, type)
      if (this.#phase === 'between') this.#slices.pass()
    } catch (error) {
      throw this.#located(error)
    }
  }

  /** Goes on with rows and events that are in hand. 'waiting': await `fill` first. */
  proceed(): 'idle' | 'full' | 'waiting' {
    try {
      for (;;) {
        if (this.#slices.isFull) return 'full'
        if (this.#rows.isOpen) {
          this.#rows.read()
          continue
        }
        const inner = this.#inner.at(-1)
        if (inner === undefined) return 'idle'
        const { events } = inner
        if (events.next()) {
          const type = events.bytes[events.start + header.type] as number
          this.#handle(events.bytes, events.start, events.end, type)
        } else if (events.done) {
          this.#inner.pop()
          inner.onDone?.()
        } else {
          return 'waiting'
        }
        if (this.#phase === 'between') this.#slices.pass()
      }
    } catch (error) {
      throw this.#located(error)
    }
  }

  async fill(): Promise<void> {
    try {
      await this.#inner.at(-1)?.events.fill()
    } catch (error) {
      throw this.#located(error)
    }
  }

  #located(error: unknown): unknown {
    const { id } = this.#slices
    if (!(error instanceof SyncError) || id === '' || error.details['at'] !== undefined) return error
    return new SyncError(error.code, `${error.message} (transaction ${id})`, {
      remedy: error.remedy,
      details: { ...error.details, at: id },
      cause: error,
    })
  }

  #handle(b: Bytes, start: number, end: number, type: number): void {
    const body = start + header.bytes
    switch (type) {
      case eventType.tableMap:
        if (this.#isPassedOver) return
        if (this.#xa.isReading) this.#xa.hold(b, start, end)
        else this.#maps.put(b, this.#rows.viewOf(b), body, end)
        return
      case eventType.writeRows:
      case eventType.updateRows:
      case eventType.deleteRows:
      case eventType.writeRowsV1:
      case eventType.updateRowsV1:
      case eventType.deleteRowsV1:
        if (this.#isPassedOver) return
        if (this.#xa.isReading) this.#xa.hold(b, start, end)
        else if (this.#phase === 'begun') this.#rows.start(b, start, end, type)
        else throw malformedEvent('rows outside a transaction')
        return
      case eventType.gtid: {
        const { id, commitTimeUs } = this.#readGtid(b, body, end)
        this.#begin(id, commitTimeUs === 0 ? u32(b, start) * 1e6 : commitTimeUs)
        return
      }
      case eventType.gtidTagged: {
        const { id, commitTimeUs } = readTaggedGtid(b, body, end)
        this.#begin(id, commitTimeUs)
        return
      }
      case eventType.mariadbGtid:
        this.#beginMariadb(readMariadbGtid(b, start, body, end), u32(b, start) * 1e6)
        return
      case eventType.queryCompressed:
      case eventType.writeRowsCompressed:
      case eventType.updateRowsCompressed:
      case eventType.deleteRowsCompressed:
      case eventType.writeRowsCompressedV1:
      case eventType.updateRowsCompressedV1:
      case eventType.deleteRowsCompressedV1: {
        const event = uncompressedEvent(b, start, end, type)
        this.#handle(event, 0, event.length, event[header.type] as number)
        return
      }
      case eventType.query:
        if (this.#phase === 'named' && isBegin(b, body, end)) this.#phase = 'begun'
        else this.#query(readQuery(b, body, end))
        return
      case eventType.xid:
        this.#commit()
        return
      case eventType.transactionPayload:
        if (this.#phase !== 'named') throw malformedEvent('a compressed transaction without a GTID')
        this.#inner.push({ events: openPayload(this.#unpacker, b, body, end), onDone: undefined })
        return
      case eventType.xaPrepare:
        this.#prepareXa(b[body] !== 0)
        return
      case eventType.executeLoadQuery:
        this.#refuseStatement(readQuery(b, body, end, 13))
        return
      case eventType.intvar:
      case eventType.rand:
      case eventType.userVar:
      case eventType.beginLoadQuery:
      case eventType.appendBlock:
      case eventType.deleteFile:
        this.#statementPart = eventName(type)
        return
      case eventType.formatDescription:
      case eventType.rotate:
      case eventType.stop:
        this.#abandon()
        return
      case eventType.heartbeat:
      case eventType.heartbeatV2:
      case eventType.previousGtids:
      case eventType.rowsQuery:
      case eventType.ignorable:
      case eventType.transactionContext:
      case eventType.viewChange:
      case eventType.annotateRows:
      case eventType.binlogCheckpoint:
      case eventType.mariadbGtidList:
        return
      case eventType.anonymousGtid:
        throw new SyncError('SYNC-2201', 'The source logs transactions without GTIDs', {
          remedy: 'Set gtid_mode=ON and enforce_gtid_consistency=ON at the source, then resume.',
        })
      case eventType.partialUpdateRows:
        if (this.#xa.isReading) this.#xa.hold(b, start, end)
        else this.#rows.refusePartial(b, start)
        return
      case eventType.incident:
        throw new SyncError(
          'SYNC-2206',
          'The source reports that events were lost from its log (INCIDENT event)',
          {
            remedy: 'Find the cause in the error log of the source, then load again.',
          },
        )
      default:
        if ((u16(b, start + header.flags) & eventFlag.ignorable) === 0) {
          throw new SyncError('SYNC-2206', `The log holds ${eventName(type)}, which is not known`)
        }
    }
  }

  // ------------------------------------------------------------------------------------------------------ transactions

  #begin(id: string, commitTimeUs: number): void {
    if (this.#phase !== 'between') this.#abandon()
    this.#maps.betweenTransactions()
    this.#phase = 'named'
    this.#slices.begin(id, commitTimeUs)
  }

  #beginMariadb({ id, kind, xa }: MariadbGtid, commitTimeUs: number): void {
    if (this.#phase !== 'between') this.#abandon()
    this.#order ??= new MariadbOrder(this.#from)
    const isPassed = this.#order.isPassed(id)
    if (isPassed && kind !== 'xa-prepare') {
      this.#phase = kind === 'transaction' ? 'over' : 'over-one'
      const held = kind === 'xa-end' ? this.#xa.take(xa) : undefined
      if (held !== undefined) this.#xa.release(held)
      return
    }
    if (isPassed) this.#rereads = true
    else if (this.#rereads) this.#endReread()
    this.#begin(id, commitTimeUs)
    if (kind === 'transaction') this.#phase = 'begun'
    else if (kind === 'xa-prepare') {
      this.#phase = 'xa'
      this.#xa.start(xa, id)
    } else if (kind === 'alter-begun') this.#phase = 'begun-alter'
  }

  /** The position is reached: what is prepared now is what the transactions behind it may commit. */
  #endReread(): void {
    this.#rereads = false
    for (const id of this.#xa.preparedIds()) this.#slices.prepared(id, this.#log.eventStart)
  }

  get #isPassedOver(): boolean {
    return this.#phase === 'over' || this.#phase === 'over-one'
  }

  /** The file goes on without the end of the transaction: the server crashed while it wrote it, so it was never committed. */
  #abandon(): void {
    if (this.#phase === 'between') return
    this.#slices.abandon()
    this.#xa.abandon()
    this.#statementPart = ''
    this.#phase = 'between'
  }

  #commit(): void {
    if (this.#phase === 'over') {
      this.#phase = 'between'
      return
    }
    if (this.#phase !== 'begun') throw malformedEvent('a commit outside a transaction')
    if (this.#statementPart !== '')
      this.#refuseStatement({ schema: '', statement: `(${this.#statementPart})`, changedSchemas: null })
    this.#finish()
  }

  #finish(): void {
    this.#slices.finish()
    this.#phase = 'between'
  }

  // -------------------------------------------------------------------------------------------------------- statements

  #query(event: QueryEvent): void {
    const { schema, statement } = event
    const kind = statementKind(statement)
    if (this.#phase === 'over-one' || this.#phase === 'over') {
      if (this.#phase === 'over-one' || kind === 'commit' || kind === 'rollback') this.#phase = 'between'
      return
    }
    if (this.#phase === 'begun-alter') {
      this.#finish()
      return
    }
    if (this.#phase === 'between')
      throw malformedEvent(`the statement '${firstWords(statement)}' without a GTID`)
    if (kind === 'data') {
      this.#refuseStatement(event)
      return
    }
    if (this.#phase === 'named') {
      if (kind === 'definition') {
        this.#slices.define(schema, statement)
        this.#phase = 'between'
      } else if (kind === 'xa-start') {
        this.#phase = 'xa'
        this.#xa.start(xaName(statement), this.#slices.id)
      } else if (kind === 'xa-commit') this.#commitXa(xaName(statement))
      else if (kind === 'xa-rollback') this.#rollbackXa(xaName(statement))
      else if (kind === 'begin') this.#phase = 'begun'
      else throw malformedEvent(`'${firstWords(statement)}' outside a transaction`)
      return
    }
    switch (kind) {
      case 'savepoint':
      case 'xa-end':
        return
      case 'commit':
        this.#commit()
        return
      case 'rollback':
      case 'rollback-to-savepoint':
        if (this.#slices.hasChanges || this.#xa.hasEvents) {
          throw new SyncError(
            'SYNC-2206',
            `The log takes back row changes that it holds ('${firstWords(statement)}'): the transaction wrote to tables with and without transactions`,
          )
        }
        if (kind === 'rollback') this.#commit()
        return
      case 'definition':
        // CREATE TABLE ... SELECT: the definition, then the rows, in one transaction.
        if (this.#phase === 'xa') break
        this.#slices.defineWithin(this.#slices.id + partOfTransaction, schema, statement)
        return
      default:
        break
    }
    throw malformedEvent(`'${firstWords(statement)}' within a transaction`)
  }

  #refuseStatement({ statement, changedSchemas }: QueryEvent): void {
    this.#statementPart = ''
    const { id } = this.#slices
    if (this.#acknowledged.has(id)) return
    if (changedSchemas?.every((schema) => !this.#scope.takesSchema(schema)) === true) return
    throw new SyncError(
      'SYNC-2205',
      `The log holds the statement '${firstWords(statement)}' in place of its rows (transaction ${id})`,
      { details: { at: id, statement: firstWords(statement) } },
    )
  }

  // ---------------------------------------------------------------------------------------------------------------- XA

  #prepareXa(onePhase: boolean): void {
    const held = this.#xa.prepare(onePhase)
    if (held !== undefined) {
      this.#replay(held)
    } else {
      if (this.#rereads) this.#slices.suspend()
      else this.#slices.prepared(this.#slices.id, this.#log.offset)
      this.#phase = 'between'
    }
  }

  #commitXa(name: string): void {
    const held = this.#xa.take(name)
    if (held !== undefined) {
      this.#slices.id = `${held.id},${this.#slices.id}`
      this.#replay(held)
    } else if (this.#acknowledged.has(this.#slices.id)) {
      this.#finish()
    } else {
      throw new SyncError(
        'SYNC-2206',
        `The XA transaction ${name} is committed, but it was prepared before the position from which the log is read`,
        {
          remedy:
            'Load the tables that it changed again; before a pipeline starts, no XA transaction should be prepared (XA RECOVER lists them).',
        },
      )
    }
  }

  /** Reads the held events as if they came now, and ends the transaction. */
  #replay(held: HeldTransaction): void {
    this.#phase = 'begun'
    this.#inner.push({
      events: eventsOf(held.events),
      onDone: () => {
        this.#xa.release(held)
        this.#finish()
      },
    })
  }

  #rollbackXa(name: string): void {
    const held = this.#xa.take(name)
    if (held !== undefined) {
      this.#xa.release(held)
      this.#slices.id = `${held.id},${this.#slices.id}`
    }
    this.#finish()
  }
}
