/*
 * Puts the events of the log together to transactions: slices of decoded row changes, schema changes, progress.
 * Guarantees: every transaction's last slice, also of those without row changes, in the order of commits; memory is bounded by one event, one
 * slice and the XA transactions that are prepared and not committed. What is not understood throws, with the GTID in `details.at`.
 * A prepared XA transaction is delivered at its XA COMMIT, as one transaction whose id is both GTIDs, so that no position can
 * hold the one without the other. After a crash the server sends it again, because neither is in the position.
 * Work that yields much output (large row events, compressed transactions) is done in steps: `take` an event, then `proceed` until
 * it says 'idle'.
 */
import { SyncError } from '../../../core/errors.ts'
import type { LogEvent, RowChange } from '../../../core/transaction.ts'
import { partOfTransaction } from '../position-tracker.ts'
import { type Bytes, FieldReader, latin1, malformedEvent, u16, u32, u48, viewOf } from './bytes.ts'
import { eventFlag, eventName, eventType, header } from './event-types.ts'
import { createGtidReader, readTaggedGtid } from './gtid-event.ts'
import { LogFile } from './log-file.ts'
import { firstWords, isBegin, type QueryEvent, readQuery, statementKind, xaName } from './query-event.ts'
import type { RowCursor } from './row-reader.ts'
import { createTableMaps, type MappedTable } from './table-map.ts'
import { eventsOf, type InnerEvents, openPayload } from './transaction-payload.ts'

export interface AssemblerOptions {
  readonly sliceMaxBytes: number
  readonly sliceMaxRows: number
  /** XA transactions between prepare and commit are held up to this many bytes of events. */
  readonly maxPreparedBytes: number
  /** Row changes of the first transaction that were taken before. */
  readonly skipChanges: number
  /** Transactions whose statements in text form are passed over. */
  readonly acknowledged: ReadonlySet<string>
}

/** More events than this are not gathered in one turn. */
const maxEventsPerTurn = 4096
/** Row events up to this size are turned into text at once (row-reader.ts). */
const maxTextBytes = 32 * 1024
const dummyTableId = 0xff_ffff

interface PreparedTransaction {
  readonly id: string
  readonly events: Bytes[]
  bytes: number
}

type Phase =
  | 'between' // no transaction
  | 'named' // its GTID was read
  | 'begun'
  | 'xa' // between XA START and its prepare

export class TransactionAssembler {
  readonly #options: AssemblerOptions
  readonly #log = new LogFile()
  readonly #maps = createTableMaps()
  readonly #readGtid = createGtidReader()
  readonly #cursor: RowCursor = {
    bytes: Buffer.alloc(0),
    view: new DataView(new ArrayBuffer(0)),
    text: '',
    textAt: 0,
    at: 0,
  }

  #out: LogEvent[] = []
  #outBytes = 0
  /** Where the last transaction ended, or the log was found to hold nothing for us, and how far the consumer knows it. */
  #boundary = { file: 0, offset: 0 }
  #told = { file: 0, offset: 0 }

  #phase: Phase = 'between'
  #id = ''
  #commitTimeUs = 0
  #ordinal = 0
  #changes: RowChange[] = []
  #bytes = 0
  #skip: number
  /** Has the consumer got row changes of the transaction in hand (or of the first one, in an earlier run)? */
  #partTaken: boolean
  /** End of what stands before the event in hand: the coordinate of slices that do not end their transaction. */
  #before = 0
  /** An event that belongs to a statement in text form, whose text comes next. */
  #statementPart = ''

  /** The row event being read; its next row is at `#cursor.at`. */
  #rows: { readonly table: MappedTable; readonly type: number; readonly end: number } | null = null
  #inner: { readonly events: InnerEvents; readonly onDone: (() => void) | undefined }[] = []
  #xa: { readonly name: string; readonly held: PreparedTransaction } | null = null
  readonly #prepared = new Map<string, PreparedTransaction>()
  #heldBytes = 0

  constructor(options: AssemblerOptions) {
    this.#options = options
    this.#skip = options.skipChanges
    this.#partTaken = options.skipChanges > 0
  }

  get isFull(): boolean {
    return this.#outBytes >= this.#options.sliceMaxBytes || this.#out.length >= maxEventsPerTurn
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

  /** Takes one event as the server sent it. Only when `proceed` says 'idle'. */
  take(b: Bytes, start: number, end: number): void {
    try {
      const view = this.#viewOf(b)
      const log = this.#log
      const type = end - start < header.bytes ? 0 : (b[start + header.type] as number)
      if (type === 0 || view.getUint32(start + header.size, true) !== end - start) throw log.damaged(type)
      const bodyEnd = log.bodyEnd(b, view, start, end, type)
      this.#before = log.offset
      switch (type) {
        case eventType.rotate:
          log.rotate(b, start, bodyEnd)
          break
        case eventType.heartbeat:
          log.heartbeat(b, start)
          break
        case eventType.heartbeatV2:
          log.heartbeatV2(b, start, bodyEnd)
          break
        default:
          log.advance(b, start)
      }
      this.#handle(b, start, bodyEnd, type)
      if (this.#phase === 'between') this.#boundary = { file: log.file, offset: log.offset }
    } catch (error) {
      throw this.#located(error)
    }
  }

  /** Goes on with rows and events that are in hand. 'waiting': await `fill` first. */
  proceed(): 'idle' | 'full' | 'waiting' {
    try {
      for (;;) {
        if (this.isFull) return 'full'
        if (this.#rows !== null) {
          this.#readRows()
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
        if (this.#phase === 'between') this.#boundary = { file: this.#log.file, offset: this.#log.offset }
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
    if (!(error instanceof SyncError) || this.#id === '' || error.details['at'] !== undefined) return error
    return new SyncError(error.code, `${error.message} (transaction ${this.#id})`, {
      remedy: error.remedy,
      details: { ...error.details, at: this.#id },
      cause: error,
    })
  }

  /** Most events in a row stand in one chunk, whose view is made once; the cursor keeps it. */
  #viewOf(b: Bytes): DataView {
    const cursor = this.#cursor
    if (cursor.bytes !== b) {
      cursor.bytes = b
      cursor.view = viewOf(b)
    }
    return cursor.view
  }

  #handle(b: Bytes, start: number, end: number, type: number): void {
    const body = start + header.bytes
    switch (type) {
      case eventType.tableMap:
        if (this.#xa !== null) this.#hold(b, start, end)
        else this.#maps.put(b, this.#viewOf(b), body, end)
        return
      case eventType.writeRows:
      case eventType.updateRows:
      case eventType.deleteRows:
      case eventType.writeRowsV1:
      case eventType.updateRowsV1:
      case eventType.deleteRowsV1:
        if (this.#xa !== null) this.#hold(b, start, end)
        else this.#startRows(b, start, end, type)
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
      case eventType.query:
        if (this.#phase === 'named' && isBegin(b, body, end)) this.#phase = 'begun'
        else this.#query(readQuery(b, body, end))
        return
      case eventType.xid:
        this.#commit()
        return
      case eventType.transactionPayload:
        if (this.#phase !== 'named') throw malformedEvent('a compressed transaction without a GTID')
        this.#inner.push({ events: openPayload(b, body, end), onDone: undefined })
        return
      case eventType.xaPrepare:
        this.#prepare(b[body] !== 0)
        return
      case eventType.executeLoadQuery:
        this.#refuseStatement(readQuery(b, body, end, 13).statement)
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
        return
      case eventType.anonymousGtid:
        throw new SyncError('SYNC-2201', 'The source logs transactions without GTIDs', {
          remedy: 'Set gtid_mode=ON and enforce_gtid_consistency=ON at the source, then resume.',
        })
      case eventType.partialUpdateRows:
        throw new SyncError(
          'SYNC-2208',
          'An update is logged as parts of JSON documents (binlog_row_value_options=PARTIAL_JSON)',
        )
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
    this.#id = id
    this.#commitTimeUs = commitTimeUs
    this.#ordinal = 0
  }

  /** The file goes on without the end of the transaction: the server crashed while it wrote it, so it was never committed. */
  #abandon(): void {
    if (this.#phase === 'between') return
    if (this.#partTaken) {
      throw new SyncError('SYNC-2206', 'The log ends within a transaction, part of which was already taken')
    }
    this.#changes = []
    this.#bytes = 0
    this.#releaseXa()
    this.#end()
  }

  #end(): void {
    this.#phase = 'between'
    this.#id = ''
    this.#statementPart = ''
  }

  #commit(): void {
    if (this.#phase !== 'begun') throw malformedEvent('a commit outside a transaction')
    if (this.#statementPart !== '') this.#refuseStatement(`(${this.#statementPart})`)
    this.#finish()
  }

  #finish(): void {
    if (this.#skip > 0) throw this.#wrongOrdinal()
    this.#flush(true)
    this.#partTaken = false
    this.#end()
    this.#told = this.#boundary = { file: this.#log.file, offset: this.#log.offset }
  }

  #wrongOrdinal(): SyncError {
    return new SyncError(
      'SYNC-2210',
      `The stored position counts ${this.#options.skipChanges} row changes of a transaction that does not have as many`,
    )
  }

  #flush(last: boolean): void {
    const changes = this.#changes
    const firstOrdinal = this.#ordinal
    const bytes = this.#bytes
    this.#out.push({
      kind: 'slice',
      id: this.#id,
      firstOrdinal,
      changes,
      last,
      coordinate: { file: this.#log.file, offset: last ? this.#log.offset : this.#before },
      commitTimeUs: this.#commitTimeUs,
      bytes,
    })
    this.#ordinal = firstOrdinal + changes.length
    this.#partTaken = true
    this.#outBytes += bytes
    this.#changes = []
    this.#bytes = 0
  }

  // -------------------------------------------------------------------------------------------------------- statements

  #query({ schema, statement }: QueryEvent): void {
    const kind = statementKind(statement)
    if (this.#phase === 'between')
      throw malformedEvent(`the statement '${firstWords(statement)}' without a GTID`)
    if (kind === 'data') {
      this.#refuseStatement(statement)
      return
    }
    if (this.#phase === 'named') {
      if (kind === 'definition') this.#define(schema, statement)
      else if (kind === 'xa-start') this.#startXa(xaName(statement))
      else if (kind === 'xa-commit') this.#commitXa(xaName(statement))
      else if (kind === 'xa-rollback') this.#rollbackXa(xaName(statement))
      else if (kind === 'begin') this.#phase = 'begun'
      else throw malformedEvent(`'${firstWords(statement)}' outside a transaction`)
      return
    }
    const hasChanges =
      this.#ordinal > 0 || this.#changes.length > 0 || (this.#xa?.held.events.length ?? 0) > 0
    switch (kind) {
      case 'savepoint':
      case 'xa-end':
        return
      case 'commit':
        this.#commit()
        return
      case 'rollback':
      case 'rollback-to-savepoint':
        if (hasChanges) {
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
        if (this.#changes.length > 0) this.#flush(false)
        this.#out.push({
          kind: 'schema-change',
          id: this.#id + partOfTransaction,
          coordinate: { file: this.#log.file, offset: this.#before },
          commitTimeUs: this.#commitTimeUs,
          schema,
          statement,
        })
        return
      default:
        break
    }
    throw malformedEvent(`'${firstWords(statement)}' within a transaction`)
  }

  #define(schema: string, statement: string): void {
    if (this.#skip > 0) throw this.#wrongOrdinal()
    const coordinate = { file: this.#log.file, offset: this.#log.offset }
    this.#out.push({
      kind: 'schema-change',
      id: this.#id,
      coordinate,
      commitTimeUs: this.#commitTimeUs,
      schema,
      statement,
    })
    this.#end()
    this.#told = this.#boundary = coordinate
  }

  #refuseStatement(statement: string): void {
    this.#statementPart = ''
    if (this.#options.acknowledged.has(this.#id)) return
    throw new SyncError(
      'SYNC-2205',
      `The log holds the statement '${firstWords(statement)}' in place of its rows (transaction ${this.#id})`,
      { details: { at: this.#id, statement: firstWords(statement) } },
    )
  }

  // ---------------------------------------------------------------------------------------------------------------- XA

  #startXa(name: string): void {
    this.#phase = 'xa'
    this.#xa = { name, held: { id: this.#id, events: [], bytes: 0 } }
  }

  #hold(b: Bytes, start: number, end: number): void {
    const held = (this.#xa as { held: PreparedTransaction }).held
    held.events.push(Buffer.from(b.subarray(start, end)))
    held.bytes += end - start
    this.#heldBytes += end - start
    if (this.#heldBytes > this.#options.maxPreparedBytes) {
      throw new SyncError(
        'SYNC-2206',
        `XA transactions that are not committed yet hold more than ${this.#options.maxPreparedBytes} bytes of row changes`,
        {
          remedy:
            'Commit prepared XA transactions (XA RECOVER lists them), or make them smaller; large changes belong in ordinary transactions.',
        },
      )
    }
  }

  #releaseXa(): void {
    if (this.#xa === null) return
    this.#heldBytes -= this.#xa.held.bytes
    this.#xa = null
  }

  #prepare(onePhase: boolean): void {
    const xa = this.#xa
    if (xa === null) throw malformedEvent('an XA PREPARE outside an XA transaction')
    this.#xa = null
    if (onePhase) {
      this.#replay(xa.held)
    } else {
      this.#prepared.set(xa.name, xa.held)
      this.#end()
    }
  }

  #commitXa(name: string): void {
    const held = this.#prepared.get(name)
    if (held === undefined) {
      if (this.#options.acknowledged.has(this.#id)) {
        this.#finish()
        return
      }
      throw new SyncError(
        'SYNC-2206',
        `The XA transaction ${name} is committed, but it was prepared before the position from which the log is read`,
        {
          remedy:
            'Load the tables that it changed again; before a pipeline starts, no XA transaction should be prepared (XA RECOVER lists them).',
        },
      )
    }
    this.#prepared.delete(name)
    this.#id = `${held.id},${this.#id}`
    this.#replay(held)
  }

  /** Reads the held events as if they came now, and ends the transaction. */
  #replay(held: PreparedTransaction): void {
    this.#phase = 'begun'
    this.#inner.push({
      events: eventsOf(held.events),
      onDone: () => {
        this.#heldBytes -= held.bytes
        this.#finish()
      },
    })
  }

  #rollbackXa(name: string): void {
    const held = this.#prepared.get(name)
    if (held !== undefined) {
      this.#prepared.delete(name)
      this.#heldBytes -= held.bytes
      this.#id = `${held.id},${this.#id}`
    }
    this.#finish()
  }

  // -------------------------------------------------------------------------------------------------------------- rows

  #startRows(b: Bytes, start: number, end: number, type: number): void {
    const body = start + header.bytes
    const id = u48(b, body)
    if (id === dummyTableId) return
    if (this.#phase !== 'begun') throw malformedEvent('rows outside a transaction')
    const table = this.#maps.get(id)
    if (table === undefined) throw malformedEvent(`rows of the table id ${id}, which no table map names`)
    let at = body + 8
    if (type >= eventType.writeRows) at += u16(b, at)
    const fields = new FieldReader(b, at, end)
    const columns = fields.lenenc()
    if (table.refusal !== null) throw table.refusal
    if (columns !== table.columns.length)
      throw malformedEvent('rows with another number of columns than their table map')
    this.#requireAllColumns(fields, table)
    if (type === eventType.updateRows || type === eventType.updateRowsV1)
      this.#requireAllColumns(fields, table)

    this.#viewOf(b)
    const cursor = this.#cursor
    cursor.at = fields.at
    cursor.textAt = fields.at
    cursor.text = end - fields.at <= maxTextBytes ? latin1(b, fields.at, end) : ''
    this.#rows = { table, type, end }
    this.#readRows()
  }

  #requireAllColumns(fields: FieldReader, { columns, shape }: MappedTable): void {
    const bitmap = fields.take((columns.length + 7) >> 3)
    for (let i = 0; i < columns.length; i += 8) {
      const wanted = columns.length - i >= 8 ? 0xff : (1 << (columns.length - i)) - 1
      if (((fields.bytes[bitmap + (i >> 3)] as number) & wanted) !== wanted) {
        throw new SyncError(
          'SYNC-2208',
          `${shape.id.schema}.${shape.id.name}: a row event lacks columns (binlog_row_image is not FULL)`,
          { details: { table: `${shape.id.schema}.${shape.id.name}` } },
        )
      }
    }
  }

  /** Reads rows until the event ends or the turn's output is full. */
  #readRows(): void {
    const rows = this.#rows as { table: MappedTable; type: number; end: number }
    const { table, type, end } = rows
    const { shape } = table
    const cursor = this.#cursor
    const { sliceMaxBytes, sliceMaxRows } = this.#options
    const isInsert = type === eventType.writeRows || type === eventType.writeRowsV1
    const isDelete = type === eventType.deleteRows || type === eventType.deleteRowsV1
    // As core/value.ts counts: 32 for a row and 16 for a value, besides the bytes; the encoded row is near enough to those.
    const imageBytes = 32 + 16 * table.columns.length
    const changeBytes = isInsert || isDelete ? imageBytes : 2 * imageBytes
    while (cursor.at < end) {
      const from = cursor.at
      const first = table.readRow(cursor)
      const change: RowChange = isInsert
        ? { table: shape, before: null, after: first }
        : { table: shape, before: first, after: isDelete ? null : table.readRow(cursor) }
      if (cursor.at > end)
        throw malformedEvent(`a row of ${shape.id.schema}.${shape.id.name} that ends outside its event`)
      if (this.#skip > 0) {
        this.#skip--
        this.#ordinal++
        continue
      }
      this.#bytes += cursor.at - from + changeBytes
      const count = this.#changes.push(change)
      if (this.#bytes >= sliceMaxBytes || count >= sliceMaxRows) {
        this.#flush(false)
        if (this.isFull && cursor.at < end) return
      }
    }
    this.#rows = null
  }
}
