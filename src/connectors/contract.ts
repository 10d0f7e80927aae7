/**
 * What a store must offer to take part in a pipeline. A connector's folder implements this and nothing outside the folder knows more.
 *
 * Small interfaces by capability. Every error that leaves a connector is a `SyncError` with a code of the catalogue; its disposition tells
 * the caller what to do (core/errors.ts). Everything that is opened is closed by `close()`, which never throws.
 */
import type { Alteration } from '../core/alteration.ts'
import type { ComparedEnd } from '../core/comparison-plan.ts'
import type { BatchPlan, Destination, LaneWork } from '../core/plan.ts'
import type { LogCoordinate, Position } from '../core/position.ts'
import type { DeadLetter, ParkedTable } from '../core/quarantine.ts'
import type { LogRetention } from '../core/retention.ts'
import type { TableId, TableShape } from '../core/schema.ts'
import type { NeededChange } from '../core/schema-policy.ts'
import type { LogEvent, PreparedTransaction, TransactionSlice } from '../core/transaction.ts'
import type { Row, Value } from '../core/value.ts'
import type { KeyRange } from '../core/verification.ts'

/** Something that a pre-check found. `error` findings refuse the start; `warning` findings are shown. */
export interface Finding {
  readonly code: string
  readonly severity: 'error' | 'warning'
  /** What is wrong, with the object's name. */
  readonly message: string
  readonly remedy: string
  readonly table?: string
  readonly column?: string
}

/** How hard a server is pressed. Throws what keeps it from being told. */
export interface PressureGauge {
  /** Threads that do something at this moment, the one that asks included. */
  threadsRunning(): Promise<number>
}

export interface TargetPressureGauge extends PressureGauge {
  replicas(): Promise<readonly ReplicaState[]>
  /** The number that a query gives: the first column of its first row; NaN where it is none. */
  measure(sql: string): Promise<number>
}

export interface ReplicaState {
  /** host:port */
  readonly name: string
  /** null: it cannot be told, for the reason `why`. */
  readonly lagMs: number | null
  readonly why?: string
}

// ------------------------------------------------------------------------------------------------------------- source

export interface Source {
  /** Names of all schemas that the user can see. */
  schemas(): Promise<readonly string[]>
  /**
   * Tables in the named schemas (base tables only), with their shapes as of now.
   * @param known tables that are there as far as the caller knows: one that is missing in the answer is certainly gone; of others a store may
   *   miss one for the moment in which its definition is changed
   */
  tables(schemas: readonly string[], known?: readonly TableId[]): Promise<readonly TableShape[]>
  /** The name by which `tables` and the log's rows know a table that a statement calls `id`: some servers ignore case. */
  nameOf(id: TableId): TableId
  /** A position such that everything committed at or before it is visible to a read that starts now. */
  head(): Promise<Position>
  /** Is everything after `from` still in the log? Throws SYNC-2204 when it was purged. */
  assertRetained(from: Position): Promise<void>
  /** How long what follows the position will stay in the log. Null where the server does not tell; absent where it never can. */
  retention?(position: Position): Promise<LogRetention | null>
  /** Follows the log from `from` on. Errors surface from the iterator. */
  follow(from: Position, options: FollowOptions): ChangeStream
  /** Keeps the position while events are consumed. */
  tracker(from: Position): PositionTracker
  readonly snapshot: SnapshotReader
  /** Absent: this kind of store cannot be compared. */
  readonly verify?: VerifiableSource
  /** Absent: this kind of store does not tell. */
  readonly pressure?: PressureGauge
  /** Absent: this kind of source has no definitions that a target could be given. */
  readonly definitions?: SourceDefinitions
  close(): Promise<void>
}

export interface SourceDefinitions {
  /** A table's whole definition as of now, for a target of the same kind to build its own from; null: there is no such table. */
  read(table: TableId): Promise<TableDefinition | null>
  /** The end of the log now: every definition that a read has shown before is at or before it. */
  logEnd(): Promise<LogCoordinate>
}

/** The rest is the connector's own. */
export interface TableDefinition {
  readonly kind: string
}

/** A reader adds to these as it goes; whoever gave them reads them off. */
export interface ReaderCounters {
  /** Received from the source. */
  bytes: number
  /** Milliseconds of turning bytes into events. */
  decodeMs: number
  /** Milliseconds in which there was nothing to read. */
  waitMs: number
}

export interface FollowOptions {
  readonly counters?: ReaderCounters
  /** Transactions whose logged statements a person has dealt with by hand: not an error again (SYNC-2205). */
  readonly acknowledged: readonly string[]
  /** What takes part: what cannot be read of other tables does no harm then. Absent: everything. */
  readonly scope?: LogScope
}

export interface LogScope {
  takesTable(id: TableId): boolean
  /** Could any table of the schema take part? */
  takesSchema(schema: string): boolean
  /**
   * In which form the rows of a table are wanted. `packed`: as they are (core/packed-row.ts), where the reader can; `none`: nobody looks at
   * them, changes are counted alone and have no images. Absent: `values` of all.
   */
  rowsOf?(shape: TableShape): 'values' | 'packed' | 'none'
}

/** Pull means backpressure: nothing more than a bounded number of bytes is read ahead of the consumer. */
export interface ChangeStream extends AsyncIterable<readonly LogEvent[]> {
  /** Milliseconds since the last byte from the source (performance.now() clock); heartbeats count. */
  lastSeenAtMs(): number
  close(): Promise<void>
}

export interface PositionTracker {
  /** Takes what was consumed into the position. */
  advance(
    event: TransactionSlice | PreparedTransaction | { readonly kind: 'schema-change'; readonly id: string },
  ): void
  position(): Position
  /** Has the tracked position passed the transaction of this id (of a slice)? */
  has(id: string): boolean
  /** Has the tracked position passed everything in `position`? XA transactions that are prepared and wait for their commit count as passed. */
  covers(position: Position): boolean
}

/** A consistent range of a table's rows, by its primary key. */
export interface Chunk {
  readonly table: TableShape
  /** Exclusive lower bound: key values of the last row of the chunk before; null at the start. */
  readonly after: readonly Value[] | null
  /** Inclusive upper bound; null: to the table's end. */
  readonly upTo: readonly Value[] | null
}

export interface SnapshotReader {
  /**
   * The key of the row that is `rows` rows after `after` in key order, or null when the table ends before it. Bounds are made by the
   * server, never by comparing keys here.
   */
  chunkEnd(
    table: TableShape,
    after: readonly Value[] | null,
    rows: number,
    where: string | null,
  ): Promise<readonly Value[] | null>
  /**
   * Reads a chunk by the rule of the data path: waits until everything in `passed` (what the stream's consumer has already passed)
   * is visible, takes `low`, selects, takes `high`. Stops after the row with which `maxBytes` is passed (rows of any size, bounded
   * memory): then `complete` is false and the chunk ends at its last row.
   */
  read(
    chunk: Chunk,
    passed: Position,
    where: string | null,
    maxBytes: number,
    asText?: AsText | null,
  ): Promise<ChunkRows>
  /**
   * Reads the rows that the server finds by these keys, by the same rule; those that its collations call equal are among them. `complete` false:
   * cut short, and nothing is known of the keys that are not there.
   */
  readKeys(
    table: TableShape,
    keys: readonly (readonly Value[])[],
    passed: Position,
    where: string | null,
    maxBytes: number,
  ): Promise<ChunkRows>
  /** Rows by the server's statistics, for each table in turn; for progress bars only. Thousands of tables are asked for at once. */
  estimateRows(tables: readonly TableId[]): Promise<readonly number[]>
}

/** Asks for rows as text that is only passed on. A reader that does not know the format gives rows. */
export interface AsText {
  /** A name that the sink gives and readers may know. */
  readonly format: string
  /** Ordinals of the chunk's table, in the order in which the sink's destination has them; the key's are among them. */
  readonly columns: readonly number[]
}

/** Rows as one store sends them and another takes them, without being looked at in between. */
export interface RowText {
  readonly bytes: Buffer
  /** By row: where it ends in `bytes`, and the next one begins. */
  readonly ends: readonly number[]
}

export interface ChunkRows {
  /** By row, in key order: `keyOf` its primary key. */
  readonly keys: readonly string[]
  /** The last row's primary key; null where there is no row. */
  readonly lastKey: readonly Value[] | null
  /** By the columns of the chunk's table shape; empty where `text` has them. */
  readonly rows: readonly Row[]
  readonly text: RowText | null
  /** Is the transaction of this id certainly visible in the rows (at or before `low`)? */
  isInLow(id: string): boolean
  /** Everything visible in the rows is at or before this. */
  readonly high: LogCoordinate
  readonly bytes: number
  /** False: cut short by `maxBytes`; the chunk reaches only to the key of the last row. */
  readonly complete: boolean
}

// ------------------------------------------------------------------------------------------------------------- target

export interface Target {
  /** The tables as they are at the target now, by name; a missing table is absent. */
  tables(ids: readonly TableId[]): Promise<ReadonlyMap<string, TableShape>>
  /** Has every row of the table the columns' defaults there? False where it cannot be told. Reads the whole table if so. */
  hasDefaultsOnly(table: TableId, columns: readonly string[]): Promise<boolean>
  /** The tables that a pipeline has parked here, without waiting for anybody; none where it has never written. */
  parked(pipeline: string): Promise<readonly ParkedTable[]>
  /**
   * What the target table lacks of what a statement at the source asks for, in the target's own words; nothing where it is there already.
   * Changes nothing. Absent: definitions of this kind of target are changed by people alone.
   */
  readonly neededChanges?: (request: DefinitionRequest) => Promise<readonly NeededChange[]>
  /** Has the table any row? */
  hasRows?(table: TableId): Promise<boolean>
  /** Opens the write side of a pipeline: nothing is written before `takeOver`. */
  sink(pipeline: string, options: SinkOptions): Promise<Sink>
  /** Absent: this kind of store cannot be compared. */
  readonly verify?: VerifiableTarget
  /** Absent: this kind of store does not tell. */
  readonly pressure?: TargetPressureGauge
  close(): Promise<void>
}

/** A sink adds to these as it writes, over all lanes. */
export interface SinkCounters {
  /** Sent to the target. */
  bytes: number
  /** Milliseconds of making statements. */
  buildMs: number
  /** Milliseconds until the target answered what ended a transaction. */
  commitMs: number
}

export interface DefinitionRequest {
  /** The source's table after the statement. */
  readonly definition: TableDefinition
  readonly mapping: MappedTable
  /** The target's name of a source column, also of one that is gone; null: not carried. */
  readonly targetName: (column: string) => string | null
  readonly alteration: Alteration
  /** `named`: those of the alteration. `all`: every one that the source's table has. */
  readonly indexes: 'named' | 'all'
}

/** What can be done to a target's definitions. Each may be run again, once a look has shown that it is still to be done. */
export type DefinitionAction =
  | {
      readonly do: 'create'
      readonly definition: TableDefinition
      readonly mapping: MappedTable
      readonly targetOf: (source: TableId) => TableId | null
    }
  | { readonly do: 'alter'; readonly table: TableId; readonly clauses: readonly string[] }
  | { readonly do: 'rename'; readonly renames: readonly { readonly from: TableId; readonly to: TableId }[] }
  | { readonly do: 'truncate'; readonly table: TableId }
  | { readonly do: 'drop'; readonly table: TableId }

export interface SinkOptions {
  readonly counters?: SinkCounters
  readonly lanes: number
  /** Chunks of a load that are written at once, beside the lanes. Their connections are opened when they are needed. */
  readonly loadWriters: number
  /** Who writes: site name, goes into the mark row. */
  readonly origin: string
  /**
   * How many of the rows that the target refuses at a time are named by the error, as `details.refused` (core/quarantine.ts RefusedRow). Default 0:
   * the first alone, in words.
   */
  readonly refusedRows?: number
}

/** Rows of a chunk for one destination, by its columns, in the order in which they were read. */
export interface ChunkWork {
  readonly destination: Destination
  /** Empty where `text` has them. */
  readonly rows: readonly Row[]
  readonly text:
    | (RowText & { /** Ordinals of the rows to be written, ascending. */ readonly taken: readonly number[] })
    | null
  /** Keys that are removed first, in the order of the destination's key: of exactly these bytes, whatever a collation calls equal. */
  readonly removals?: readonly Row[]
  /** How many refused rows are handed on as `details.refused`. Default: as SinkOptions says. */
  readonly refusedRows?: number
}

/** Where a table's load stands, as stored in the target. */
export interface LoadProgress {
  /** The *source* table. */
  readonly table: string
  /** Key of the last loaded row, or null before the first. */
  readonly after: readonly Value[] | null
  /** `keyOrder` of the table when `after` was its last row's key (core/key-order.ts). Absent: not known, of an earlier version. */
  readonly keyOrder?: string
  readonly rows: number
  readonly done: boolean
}

/** What a takeover found. */
export interface Resume {
  /** End of the last batch whose header stands; null: the pipeline has never written here. */
  readonly position: Position | null
  readonly batch: number
  /** Set when that batch was begun and not every lane has confirmed it. */
  readonly unfinished: UnfinishedBatch | null
  readonly load: readonly LoadProgress[]
  readonly parked: readonly ParkedTable[]
}

export interface UnfinishedBatch {
  readonly batch: number
  readonly from: Position
  readonly to: Position
  readonly lanes: number
  readonly phases: number
  /** Digest of all that shapes a plan; a different one means that every lane must be run again. */
  readonly planDigest: string
  /** Phases confirmed by lane (index 0 is lane 1). */
  readonly confirmed: readonly number[]
}

export interface BatchHeader {
  readonly batch: number
  readonly from: Position
  readonly to: Position
  readonly lanes: number
  readonly phases: number
  readonly planDigest: string
  readonly sourceCommitTimeUs: number
}

/**
 * The write side of one pipeline under one epoch. Every transaction begins with the mark row of its slot, guarded by the
 * epoch; a write under an older epoch throws SYNC-4002 (fenced) and has changed nothing.
 */
export interface Sink {
  /** Takes every mark row of the pipeline with `epoch`, waits for writes in flight, then reads. SYNC-4002 when somebody newer is there. */
  takeOver(epoch: bigint): Promise<Resume>
  /** Stores the first position of a pipeline that has never written (batch 0). */
  begin(position: Position): Promise<void>
  /** Small batch: mark row, removals, upserts, load progress, in one transaction. */
  applySmall(header: BatchHeader, plan: BatchPlan, load: readonly LoadProgress[]): Promise<void>
  /**
   * Begins a batch that is one transaction and comes in parts, because it is larger than memory should hold. Nobody sees anything of it before its
   * commit; after any error, and when the sink closes, nothing of it was written. Nothing else may be written meanwhile.
   */
  beginParts(batch: number): Promise<PartsTransaction>
  /** Large batch: its header, in a transaction of its own. */
  writeHeader(header: BatchHeader): Promise<void>
  /**
   * One lane's part of one phase, in one transaction. `lane` counts from 1. May run in parallel for different lanes, and beside its batch's
   * `writeHeader` where that is given as `headerStands`: it commits only after that has resolved, and not at all if it rejects.
   */
  applyLane(
    header: BatchHeader,
    lane: number,
    phase: number,
    work: LaneWork,
    headerStands?: Promise<void>,
  ): Promise<void>
  /**
   * Rows of a chunk, as upserts in one transaction. `writer` counts from 1 to `loadWriters`. May run beside the lanes and for several writers
   * at once: whoever calls knows that no batch under way touches these rows.
   */
  applyChunk(writer: number, work: ChunkWork): Promise<void>
  /** The format in which rows of chunks for this destination are best passed on; null: as rows. May change from chunk to chunk. */
  textFormat(destination: Destination): string | null
  /** Closes the connections of the load's writers, none of which may be at work; `applyChunk` opens them again. */
  closeWriters(): Promise<void>
  /**
   * Load progress on its own: after a large batch that carried it, and when tables join. `forgotten` tables leave: nothing is known of them any
   * more.
   */
  storeLoad(load: readonly LoadProgress[], forgotten?: readonly string[]): Promise<void>
  /** Changes nothing. SYNC-4002 when somebody newer has taken over. */
  assertOwned(): Promise<void>
  readonly quarantine: QuarantineSink
  /** Absent: definitions of this kind of target are changed by people alone. */
  readonly definitions?: SinkDefinitions
  close(): Promise<void>
}

/** One call at a time. An error is final: the transaction is gone, and what was written of it has to come again from its beginning. */
export interface PartsTransaction {
  /** Removals, then upserts, of all that came since the part before. */
  write(plan: BatchPlan): Promise<void>
  /** Stores header and load progress with the rows. */
  commit(header: BatchHeader, load: readonly LoadProgress[]): Promise<void>
}

/** Which tables are parked: facts in the target, under the same fence as batches. Never while a batch is being written. */
export interface QuarantineSink {
  /** Parks a table, or keeps it parked for another reason; its load counts as not begun, letters of an earlier parking go. */
  park(table: Omit<ParkedTable, 'parkedAtMs' | 'deadLetters'>, letters: readonly DeadLetter[]): Promise<void>
  /** Removes up to `maxRows` rows of a target table. True: it has none left, or is not there. */
  sweep(target: TableId, maxRows: number): Promise<boolean>
  /** The table is carried again from the position that stands; its load begins. */
  release(table: TableId): Promise<void>
}

/** Changes of the target's definitions. Never while a batch is being written. */
export interface SinkDefinitions {
  /**
   * Keeps what was seen of the target when the stream first stood before the change `at` of the log.
   * @param tables source tables, `schema.table`, that are the change's affair until it is forgotten: no check before a start asks for their rows,
   *   creates or empties them, because what they are at the target may be half of the change
   * @returns what was kept then: `seen`, or that of an earlier life
   */
  note(at: string, seen: string, tables?: readonly string[]): Promise<string>
  /** What was noted, or null. */
  recall(at: string): Promise<string | null>
  /** Notes whose name has a space stay until they are forgotten; those of changes go with the next change. */
  forget(notes: readonly string[]): Promise<void>
  /**
   * Runs the actions in order for the change `at`, which was noted. The intent is stored under the epoch before; nothing of it can reach
   * the target any more once a newer owner has taken over. They commit one by one: after a crash the caller looks what is left to do.
   * @throws SyncError SYNC-2303 where the target refuses, SYNC-3104 where a table is in use for long, SYNC-4002
   */
  run(at: string, actions: readonly DefinitionAction[]): Promise<void>
}

// ------------------------------------------------------------------------------------------------------- verification

/** A store that can be compared with another as of one moment (docs/adr/0008). Nothing of it writes or locks. */
export interface VerifiableSource {
  /**
   * Waits until all up to `passed` is visible, then opens `count` snapshots. Every one shows all of `low` and nothing after `high`.
   * @throws SYNC-2104 when what is passed does not become visible
   */
  openSnapshots(count: number, passed: Position): Promise<SourceSnapshots>
  /** Rows as they are now, by key: what they show is at or before `high`. Absent rows are absent; the row filter holds. */
  rowsNow(end: ComparedEnd, keys: readonly (readonly Value[])[]): Promise<RowsNow>
}

export interface VerifiableTarget {
  /** Opens `count` snapshots, one after the other: that nobody writes meanwhile is the caller's business. */
  openSnapshots(count: number): Promise<Snapshots>
  /** Rows as they are now, by key; the row filter plays no part, so that a row which left the scope is seen. */
  rowsNow(end: ComparedEnd, keys: readonly (readonly Value[])[]): Promise<readonly ComparedRow[]>
  /** Where the engine that writes under this name stands, without waiting for it; null: it has never written here. */
  standing(pipeline: string): Promise<Standing | null>
}

export interface Standing {
  /** All up to here is at the target; of a batch under way its beginning. */
  readonly position: Position
  /** While this is the same, no table has begun to be loaded anew, emptied, or carried after it was parked. */
  readonly session: string
  readonly load: readonly LoadProgress[]
  readonly parked: readonly ParkedTable[]
}

export interface Snapshots {
  readonly readers: readonly ComparisonReader[]
  /** Never throws. */
  close(): Promise<void>
}

export interface SourceSnapshots extends Snapshots {
  readonly low: Position
  readonly high: LogCoordinate
}

export interface RowsNow {
  readonly rows: readonly ComparedRow[]
  readonly high: LogCoordinate
}

/** How many rows a range has, and what they are: equal digests mean equal forms of all columns, but for one case in 2^64. */
export interface RangeDigest {
  readonly rows: number
  readonly digest: string
}

export interface RowDigest {
  /** The same text at both ends for one row (`ComparedEnd.identity`). */
  readonly identity: string
  readonly digest: string
  /** As the source has it (`ComparedEnd.keyTypes`). */
  readonly key: readonly Value[]
}

export interface ComparedRow {
  readonly identity: string
  readonly key: readonly Value[]
  /** By column of the end: its form, as a byte string; null: NULL. Of long values it is their SHA-256. */
  readonly cells: readonly (string | null)[]
  /** By column: for people, cut where it is long. Empty where it was not asked for. */
  readonly shown: readonly (string | null)[]
}

/**
 * Reads tables in one snapshot, one call after the other. Ranges are of the key in the order of this end, with bounds as the source has them;
 * `after` null takes in all that comes before, `upTo` null all that comes behind. A bound may have fewer values than the key.
 * @throws SYNC-5103 when the table was dropped or altered since the snapshot was opened
 */
export interface ComparisonReader {
  /**
   * The keys of the rows `step`, 2 `step`, ... behind the beginning of the range, `count` of them or as many as there are. A single bound of a large step
   * may be a key near it that no row has; none still means that no row of the range comes behind.
   */
  bounds(
    end: ComparedEnd,
    range: KeyRange,
    step: number,
    count: number,
  ): Promise<readonly (readonly Value[])[]>
  /** One digest for each range. */
  digests(end: ComparedEnd, ranges: readonly KeyRange[]): Promise<readonly RangeDigest[]>
  counts(end: ComparedEnd, ranges: readonly KeyRange[]): Promise<readonly number[]>
  rowDigests(end: ComparedEnd, range: KeyRange): Promise<readonly RowDigest[]>
  /** Every row of the range, without `shown`. */
  rows(end: ComparedEnd, range: KeyRange): Promise<readonly ComparedRow[]>
  /** The rows of these keys with `shown`. At the target the row filter plays no part. */
  rowsByKey(end: ComparedEnd, keys: readonly (readonly Value[])[]): Promise<readonly ComparedRow[]>
  /**
   * The whole table in one pass, by a hash of the identity: the digest of each of `of` buckets, absent where it has no rows. For tables whose ends do
   * not order keys alike.
   */
  buckets(end: ComparedEnd, of: number): Promise<ReadonlyMap<number, RangeDigest>>
  /** Of the rows in these buckets. */
  bucketRowDigests(end: ComparedEnd, of: number, buckets: readonly number[]): Promise<readonly RowDigest[]>
  /** Rows by the server's statistics; for progress and sizes only. */
  estimateRows(end: ComparedEnd): Promise<number>
}

// --------------------------------------------------------------------------------------------------------- connectors

/** One end of a pipeline: the connector's kind and its own configuration, with secrets resolved. */
export interface EndpointConfig {
  readonly kind: string
  readonly [field: string]: unknown
}

/** Where one source table goes. */
export interface MappedTable {
  readonly source: TableId
  readonly target: TableId
  /** The carried columns with their names at the target; null: every column under its own name. */
  readonly columns: readonly { readonly source: string; readonly target: string }[] | null
}

/** What pre-checks and preparation are told of a pipeline. */
export interface PipelineScope {
  readonly pipeline: string
  /** Names under which engines of the pipeline write here. Absent: `pipeline` alone. */
  readonly marks?: {
    /** One for each shard. */
    readonly own: readonly string[]
    /** Names that the pipeline could have had under another division; `%` stands for any run of characters. */
    readonly family: readonly string[]
  }
  readonly source: EndpointConfig
  readonly target: EndpointConfig
  readonly mappings: readonly MappedTable[]
  /** Tables of the same pipeline that other engines carry: foreign keys may name them. */
  readonly elsewhere?: readonly MappedTable[]
  /** Source schemas of which a pattern takes the tables that there are: an account that sees a part of them sees too little. */
  readonly patternSchemas?: readonly string[]
  /** Patterns that should take something and take nothing: a mistyped name, or an account that may not see it. */
  readonly unmatched?: readonly string[]
  /** False: rows that are there before the start are not copied, so the target's rows are none of our business. */
  readonly loads: boolean
  /** Would a source table of this name (`schema.table`) take part, whether or not it is there? Absent: those of `mappings` do. */
  readonly takesPart?: (table: string) => boolean
  readonly onMissingTable: 'refuse' | 'create'
  readonly onExistingRows: 'refuse' | 'empty' | 'keep'
}

/** All that the rest of the system knows of a kind of store. */
export interface ConnectorDefinition {
  readonly kind: string
  /** Schema of the endpoint's configuration, secrets resolved. */
  readonly config: { parse(input: unknown): EndpointConfig }
  openSource(config: EndpointConfig): Promise<Source>
  openTarget(config: EndpointConfig): Promise<Target>
  /** What of the source would keep the pipeline from being right. Changes nothing. Throws only what passes by itself (`retry`). */
  checkSource(scope: PipelineScope): Promise<readonly Finding[]>
  /** The same for the target. */
  checkTarget(scope: PipelineScope): Promise<readonly Finding[]>
  /** Creates missing tables and empties full ones, as the policies say. May be run again at any time; never touches rows once the pipeline has written. */
  prepareTarget(scope: PipelineScope): Promise<void>
}
