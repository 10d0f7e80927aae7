/**
 * A source and a target in memory that keep the promises of connectors/contract.ts and break everything that the contract lets them break:
 * commits are logged before they are visible and visible before they count as executed, reads and writes end in any order, links fail before or
 * after a commit. The target enforces its unique keys (text keys without regard to case), refuses rows where it is told to, and watches the
 * invariants of DATA-PATH 1, for parked tables as well: nothing of them is written.
 */
import type {
  AsText,
  BatchHeader,
  ChangeStream,
  ChunkRows,
  ChunkWork,
  LoadProgress,
  PositionTracker,
  Resume,
  RowText,
  Sink,
  Source,
  Target,
} from '../../src/connectors/contract.ts'
import { SyncError } from '../../src/core/errors.ts'
import { PackedRow, type RowForm } from '../../src/core/packed-row.ts'
import type { LaneWork } from '../../src/core/plan.ts'
import { type Position, samePosition } from '../../src/core/position.ts'
import type { DeadLetter, ParkedTable, RefusedRow } from '../../src/core/quarantine.ts'
import { type Column, type TableShape, tableName } from '../../src/core/schema.ts'
import {
  type LogEvent,
  PackedChange,
  type RowChange,
  type SchemaChange,
  type TransactionSlice,
} from '../../src/core/transaction.ts'
import { keyOf, type Row, type Value } from '../../src/core/value.ts'

export type Random = () => number

/** Rows that a reader has not read yet: half of a log's are given like that. */
const packed = (row: Row | null): PackedRow | null =>
  row === null ? null : new PackedRow(keyOf(row, [0]), JSON.stringify(row), jsonForm)

const jsonForm: RowForm = {
  read: (bytes, at, length) => JSON.parse(Buffer.from(bytes).toString('latin1', at, at + length)) as Row,
}

/** A generator of numbers in [0, 1) that a seed determines (mulberry32, public domain). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const column = (name: string, kind: 'int' | 'text', nullable = false): Column => ({
  name,
  nullable,
  generated: false,
  type:
    kind === 'int'
      ? { kind, bytes: 4, sql: 'int' }
      : { kind, charset: 'utf8mb4', maxBytes: 80, sql: 'varchar(20)' },
})

/** What `n` gets by ALTER TABLE, at most once in a history; the target has it from the start. */
const extra = column('extra', 'int', true)

/** `n`: an integer key and a unique integer. `c`: a text key under a collation that ignores case, and a unique text. */
export const shapes: readonly TableShape[] = [
  {
    id: { schema: 's', name: 'n' },
    columns: [column('id', 'int'), column('u', 'int', true), column('version', 'int')],
    primaryKey: { name: 'PRIMARY', ordinals: [0], comparesBytes: true },
    uniqueKeys: [{ name: 'u', ordinals: [1], comparesBytes: true }],
  },
  {
    id: { schema: 's', name: 'c' },
    columns: [column('k', 'text'), column('u', 'text', true), column('version', 'int')],
    primaryKey: { name: 'PRIMARY', ordinals: [0], comparesBytes: false },
    uniqueKeys: [{ name: 'u', ordinals: [1], comparesBytes: false }],
  },
]

const wide: TableShape = {
  ...(shapes[0] as TableShape),
  columns: [...(shapes[0] as TableShape).columns, extra],
}
const widened = (shape: TableShape): TableShape => (shape.id.name === 'n' ? wide : shape)
/** As a table with all columns would have it. */
export const whole = (row: Row): Row => (row.length === 3 ? [...row, null] : row)

/** All that a key of the table ever is. */
export const possibleKeys = (shape: TableShape): Value[] =>
  shape.id.name === 'n'
    ? Array.from({ length: 12 }, (_, n) => n)
    : Array.from({ length: 8 }, (_, n) => [String.fromCharCode(97 + n), String.fromCharCode(65 + n)]).flat()

/** How the server compares: text without regard to case. */
const folded = (value: Value): string => (typeof value === 'string' ? `s${value.toLowerCase()}` : `i${value}`)
export const exact = (row: Row): string => JSON.stringify(row)

/** Rows that are passed on as text: JSON, one row behind the other. */
const textFormat = 'test-json'

function textOf(rows: readonly Row[], columns: readonly number[]): RowText {
  const texts = rows.map((row) => exact(columns.map((ordinal) => row[ordinal] as Value)))
  let end = 0
  return { bytes: Buffer.from(texts.join('')), ends: texts.map((text) => (end += Buffer.byteLength(text))) }
}

const rowsOf = ({ bytes, ends, taken }: NonNullable<ChunkWork['text']>): Row[] =>
  taken.map((i) => JSON.parse(bytes.toString('utf8', i === 0 ? 0 : ends[i - 1], ends[i])) as Row)

export type Tables = Map<string, Map<string, Row>>
const emptyTables = (): Tables => new Map(shapes.map((shape) => [shape.id.name, new Map()]))
const copyTables = (tables: Tables): Tables =>
  new Map([...tables].map(([name, rows]) => [name, new Map(rows)]))

const turn = async (random: Random): Promise<void> => {
  const turns = Math.floor(random() * 6)
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
}

export class MemorySource {
  /** states[i] is the source after i transactions. */
  readonly states: Tables[] = [emptyTables()]
  readonly log: (RowChange[] | string)[] = [[]]
  /** The first state in which `n` has its fourth column. */
  private widenedAt = Number.POSITIVE_INFINITY
  /** Transactions in the log, visible to reads, and counted as executed: executed <= visible <= written. */
  written = 0
  visible = 0
  executed = 0
  private version = 0
  private readonly random: Random
  private wake = Promise.withResolvers<void>()

  constructor(random: Random) {
    this.random = random
  }

  /** One random transaction, of one to many changes; unique keys hold after each change, as they do in a server. */
  commit(): void {
    const tables = copyTables(this.states[this.written] as Tables)
    const changes: RowChange[] = []
    const count =
      this.random() < 0.1 ? 10 + Math.floor(this.random() * 30) : 1 + Math.floor(this.random() * 4)
    for (let i = 0; i < count; i++) this.change(tables, changes)
    this.append(tables, changes)
  }

  /** A statement of which the log has only the words; one in three alters `n`, if that was not done yet. */
  define(): void {
    const tables = copyTables(this.states[this.written] as Tables)
    if (this.random() < 0.67 || this.isWide(this.written)) {
      const others = [
        "CREATE USER 'u'",
        'ALTER TABLE elsewhere.n ADD COLUMN x INT',
        'ALTER TABLE s.c COMMENT = "x"',
      ]
      this.append(tables, others[Math.floor(this.random() * 3)] as string)
      return
    }
    this.widenedAt = this.written + 1
    const rows = tables.get('n') as Map<string, Row>
    for (const [key, row] of rows) rows.set(key, [...row, null])
    this.append(tables, 'ALTER TABLE s.n ADD COLUMN extra INT NULL')
  }

  private append(tables: Tables, entry: RowChange[] | string): void {
    this.states.push(tables)
    this.log.push(entry)
    this.written++
    this.wake.resolve()
    this.wake = Promise.withResolvers<void>()
  }

  private isWide(state: number): boolean {
    return state >= this.widenedAt
  }

  settle(): void {
    if (this.random() < 0.6)
      this.visible = Math.min(this.written, this.visible + 1 + Math.floor(this.random() * 3))
    if (this.random() < 0.6)
      this.executed = Math.min(this.visible, this.executed + 1 + Math.floor(this.random() * 3))
  }

  settleAll(): void {
    this.visible = this.written
    this.executed = this.written
  }

  private change(tables: Tables, changes: RowChange[]): void {
    const plain = shapes[this.random() < 0.6 ? 0 : 1] as TableShape
    const shape = this.isWide(this.written) ? widened(plain) : plain
    const rows = tables.get(shape.id.name) as Map<string, Row>
    const keys = shape.id.name === 'n' ? 12 : 8
    const pickKey = (): Value => {
      const n = Math.floor(this.random() * keys)
      return shape.id.name === 'n'
        ? n
        : this.random() < 0.5
          ? String.fromCharCode(97 + n)
          : String.fromCharCode(65 + n)
    }
    const pickUnique = (): Value => (this.random() < 0.3 ? null : pickKey())
    const key = pickKey()
    const before = rows.get(folded(key)) ?? null
    const kind = this.random()
    let after: Row | null
    if (before === null) after = [key, pickUnique(), ++this.version]
    else if (kind < 0.25) after = null
    else
      after = [
        kind < 0.45 ? pickKey() : (before[0] as Value),
        kind < 0.7 ? (before[1] as Value) : pickUnique(),
        ++this.version,
      ]
    if (after !== null) {
      const target = folded(after[0] as Value)
      const unique = after[1] as Value
      for (const [otherKey, other] of rows) {
        if (before !== null && otherKey === folded(before[0] as Value)) continue
        if (otherKey === target) return
        if (unique !== null && other[1] !== null && folded(other[1] as Value) === folded(unique)) return
      }
    }
    if (after !== null && shape.columns.length === 4) after = [...after, this.version]
    if (before !== null) rows.delete(folded(before[0] as Value))
    if (after !== null) rows.set(folded(after[0] as Value), after)
    const isPacked = this.random() < 0.5
    changes.push(
      isPacked ? new PackedChange(shape, packed(before), packed(after)) : { table: shape, before, after },
    )
  }

  open(fails: () => boolean): Source {
    const lost = (): SyncError => new SyncError('SYNC-2101', 'the test cut the source')
    const step = async (): Promise<void> => {
      await turn(this.random)
      if (fails()) throw lost()
    }
    /** By the rule of the data path, with anything happening between its steps. */
    const read = async (
      passed: Position,
      select: () => Row[],
      maxBytes: number,
      asText: AsText | null,
    ): Promise<ChunkRows> => {
      await this.executes(Number(passed.token))
      await step()
      const low = this.executed
      await step()
      const all = select()
      const rows = this.random() < 0.2 && all.length > 1 ? all.slice(0, 1) : all
      await step()
      const high = { file: 1, offset: this.written * 1000 }
      await step()
      return {
        keys: rows.map((row) => keyOf(row, [0])),
        lastKey: rows.length === 0 ? null : [rows.at(-1)?.[0] as Value],
        rows: asText?.format === textFormat ? [] : rows,
        text: asText?.format === textFormat ? textOf(rows, asText.columns) : null,
        isInLow: (id) => Number(id) <= low,
        high,
        bytes: maxBytes,
        complete: rows.length === all.length,
      }
    }
    return {
      schemas: async () => ['s'],
      tables: async () => {
        await step()
        return this.isWide(this.visible) ? shapes.map(widened) : shapes
      },
      nameOf: (id) => id,
      head: async () => {
        await step()
        return { token: String(this.executed), ordinal: 0 }
      },
      assertRetained: async (from) => {
        await this.executes(Number(from.token))
        await step()
      },
      follow: (from) => this.follow(from, fails, lost),
      tracker: createTracker,
      snapshot: {
        estimateRows: async (tables) => tables.map(() => 10),
        chunkEnd: async (table, after, rows) => {
          await step()
          const left = this.range(table, after, null)
          return left.length > rows ? [(left[rows - 1] as Row)[0] as Value] : null
        },
        read: (chunk, passed, _, maxBytes, asText) =>
          read(passed, () => this.range(chunk.table, chunk.after, chunk.upTo), maxBytes, asText ?? null),
        readKeys: (table, keys, passed, _, maxBytes) => {
          const named = new Set(keys.map(([key]) => folded(key as Value)))
          const isNamed = (row: Row): boolean => named.has(folded(row[0] as Value))
          return read(passed, () => this.range(table, null, null).filter(isNamed), maxBytes, null)
        },
      },
      close: async () => {},
    }
  }

  private async executes(count: number): Promise<void> {
    while (this.executed < count) {
      await new Promise((resolve) => setImmediate(resolve))
      this.settle()
    }
  }

  /** Rows in key order as a read sees them now. */
  private range(table: TableShape, after: readonly Value[] | null, upTo: readonly Value[] | null): Row[] {
    const order = (value: Value): string =>
      typeof value === 'number' ? String(value).padStart(4, '0') : folded(value)
    const rows = [...((this.states[this.visible] as Tables).get(table.id.name) as Map<string, Row>).values()]
    const width = table.columns.length
    if (rows.some((row) => row.length < width)) throw new SyncError('SYNC-2101', 'an unknown column')
    return rows
      .map((row) => row.slice(0, width))
      .filter((row) => after === null || order(row[0] as Value) > order(after[0] as Value))
      .filter((row) => upTo === null || order(row[0] as Value) <= order(upTo[0] as Value))
      .sort((a, b) => (order(a[0] as Value) < order(b[0] as Value) ? -1 : 1))
  }

  private follow(from: Position, fails: () => boolean, lost: () => SyncError): ChangeStream {
    const ending = { closed: false, closing: Promise.withResolvers<void>() }
    return {
      [Symbol.asyncIterator]: () => this.read(from, fails, lost, ending),
      lastSeenAtMs: () => performance.now(),
      close: async () => {
        ending.closed = true
        ending.closing.resolve()
      },
    }
  }

  private async *read(
    from: Position,
    fails: () => boolean,
    lost: () => SyncError,
    ending: { closed: boolean; closing: PromiseWithResolvers<void> },
  ): AsyncGenerator<readonly LogEvent[]> {
    let next = Number(from.token) + 1
    let skip = from.ordinal
    while (!ending.closed) {
      if (next > this.written) {
        yield [{ kind: 'progress', coordinate: { file: 1, offset: this.written * 1000 } }]
        if (next > this.written) await Promise.race([this.wake.promise, ending.closing.promise])
        continue
      }
      await turn(this.random)
      if (fails()) throw lost()
      const events: LogEvent[] = []
      const many = 1 + Math.floor(this.random() * 5)
      for (let i = 0; i < many && next <= this.written; i++, next++) {
        events.push(...this.eventsOf(next, skip))
        skip = 0
      }
      yield events
    }
  }

  private eventsOf(number: number, skip: number): (TransactionSlice | SchemaChange)[] {
    const entry = this.log[number] as RowChange[] | string
    if (typeof entry !== 'string') return this.slices(number, entry.slice(skip), skip)
    const coordinate = { file: 1, offset: number * 1000 }
    return [
      {
        kind: 'schema-change',
        id: String(number),
        coordinate,
        commitTimeUs: number,
        schema: 's',
        statement: entry,
      },
    ]
  }

  private slices(number: number, changes: RowChange[], skip: number): TransactionSlice[] {
    const slices: TransactionSlice[] = []
    const size = changes.length > 6 ? 1 + Math.floor(this.random() * 6) : changes.length + 1
    // The end of a transaction may bring no change: its last slice was full already.
    const endsApart = changes.length > size && this.random() < 0.4
    let at = 0
    do {
      const part = changes.slice(at, at + size)
      const last = at + size >= changes.length && !(endsApart && part.length > 0)
      slices.push({
        kind: 'slice',
        id: String(number),
        firstOrdinal: skip + at,
        changes: part,
        last,
        coordinate: { file: 1, offset: last ? number * 1000 : (number - 1) * 1000 + 1 + at },
        commitTimeUs: number,
        bytes: part.length * 100,
      })
      at += size
    } while (slices.at(-1)?.last !== true)
    return slices
  }
}

export function createTracker(from: Position): PositionTracker {
  let done = Number(from.token)
  let ordinal = from.ordinal
  return {
    advance(event) {
      if (event.kind === 'slice' && !event.last) ordinal = event.firstOrdinal + event.changes.length
      else {
        done = Number(event.id)
        ordinal = 0
      }
    },
    position: () => ({ token: String(done), ordinal }),
    has: (id) => Number(id) <= done,
    covers: (position) =>
      done > Number(position.token) || (done === Number(position.token) && ordinal >= position.ordinal),
  }
}

interface Slot {
  epoch: bigint
  batch: number
  part: number
}

export class MemoryTarget {
  readonly tables = emptyTables()
  private readonly slots = new Map<number, Slot>()
  private header: BatchHeader | null = null
  private load = new Map<string, LoadProgress>()
  private readonly highest = new Map<string, number>()
  private applied = new Set<string>()
  readonly violations: string[] = []
  /** Commits after which the loaded tables were compared with the source's of that moment. */
  committedStates = 0
  isTampered = false
  readonly parked = new Map<string, ParkedTable>()
  /** Under which epoch. A lost lane's last write may come late until the next takeover. */
  private readonly parkedUnder = new Map<string, bigint>()
  /** Letters recorded at the last parking of each table. */
  readonly letters = new Map<string, readonly DeadLetter[]>()
  /** Does the target refuse the row at the moment? */
  refuses: (table: string, row: Row) => boolean = () => false
  private readonly random: Random
  private readonly source: MemorySource

  constructor(random: Random, source: MemorySource) {
    this.random = random
    this.source = source
  }

  open(fails: () => boolean): Target {
    return {
      tables: async () => new Map(shapes.map((shape) => [`s.${shape.id.name}`, widened(shape)])),
      hasDefaultsOnly: async () => false,
      parked: async () => [...this.parked.values()],
      sink: async (_, { lanes }) => this.sink(fails, lanes === 0),
      close: async () => {},
    }
  }

  /** What `onExistingRows: empty` does: rows of tables that have not joined go. */
  emptyUnjoined(): void {
    for (const [name, rows] of this.tables) {
      if (this.load.has(`s.${name}`)) continue
      rows.clear()
      for (const key of this.highest.keys()) if (key.startsWith(`${name}/`)) this.highest.delete(key)
    }
  }

  loadDone(): boolean {
    return shapes
      .map((shape) => tableName(shape.id))
      .every((name) => this.parked.has(name) || this.load.get(name)?.done === true)
  }

  /** @param isWhole every commit must end where a transaction of the source ends */
  private sink(fails: () => boolean, isWhole: boolean): Sink {
    let mine = 0n
    const lost = (): SyncError => new SyncError('SYNC-3101', 'the test cut the target')
    /** A transaction: all of `body` at once, at some moment; the answer may be lost on the way there or back. */
    const transaction = async (
      slot: number,
      body: (slot: Slot) => void,
      works: readonly LaneWork[] = [],
    ): Promise<void> => {
      await turn(this.random)
      if (fails()) {
        // The request may still arrive later, when a successor is at work already.
        if (this.random() < 0.5)
          setImmediate(() =>
            setImmediate(() => {
              if (this.refusal(works) === null) this.guarded(slot, mine, body, () => {})
            }),
          )
        throw lost()
      }
      let fenced = false
      const refusal = this.refusal(works)
      this.guarded(slot, mine, refusal === null ? body : () => {}, () => {
        fenced = true
      })
      if (fenced) throw new SyncError('SYNC-4002', 'fenced')
      if (refusal !== null) throw refusal
      await turn(this.random)
      if (fails()) throw lost()
    }
    return {
      takeOver: async (epoch) => {
        await turn(this.random)
        if (fails()) throw lost()
        for (const slot of this.slots.values())
          if (slot.epoch >= epoch) throw new SyncError('SYNC-4002', 'fenced')
        for (let i = 0; i <= 16; i++) {
          const slot = this.slots.get(i)
          if (slot === undefined) this.slots.set(i, { epoch, batch: 0, part: 0 })
          else slot.epoch = epoch
        }
        mine = epoch
        return this.resume()
      },
      begin: (position) =>
        transaction(0, () => {
          this.header ??= {
            batch: 0,
            from: position,
            to: position,
            lanes: 0,
            phases: 0,
            planDigest: '',
            sourceCommitTimeUs: 0,
          }
        }),
      applySmall: (header, plan, load) =>
        transaction(0, () => this.commit(header, plan.work.flat(), load, isWhole, mine), plan.work.flat()),
      beginParts: async () => {
        await transaction(0, () => {})
        const parts: LaneWork[] = []
        return {
          write: async (plan) => {
            await turn(this.random)
            if (fails()) throw lost()
            parts.push(...plan.work.flat())
          },
          commit: (header, load) =>
            transaction(0, () => this.commit(header, parts, load, isWhole, mine), parts),
        }
      },
      writeHeader: (header) => transaction(0, () => this.startBatch(header)),
      applyLane: async (header, lane, phase, work, headerStands) => {
        await headerStands
        await transaction(
          lane,
          (slot) => {
            const name = `${header.batch}/${lane}/${phase}`
            if (this.applied.has(name)) this.violations.push(`lane ${name} was applied twice`)
            this.applied.add(name)
            this.write(work, mine)
            slot.batch = header.batch
            slot.part = phase
          },
          [work],
        )
      },
      applyChunk: (writer, { destination, rows, text, removals = [] }) => {
        const upserts = text === null ? rows : rowsOf(text)
        const work = { tables: [{ destination, removals: [], upserts }] }
        const body = (): void => {
          const there = this.tables.get(destination.id.name) as Map<string, Row>
          for (const [key] of removals) {
            const name = folded(key as Value)
            if (there.get(name)?.[0] === key) there.delete(name)
          }
          this.write(work, mine)
        }
        return transaction(8 + writer, body, [work])
      },
      textFormat: () => (this.random() < 0.5 ? textFormat : null),
      closeWriters: async () => {},
      storeLoad: (load, forgotten = []) =>
        transaction(0, () => {
          for (const table of forgotten) this.load.delete(table)
          this.storeLoad(load)
        }),
      assertOwned: () => transaction(0, () => {}),
      quarantine: {
        park: (table, letters) =>
          transaction(0, () => {
            const name = tableName(table.table)
            const since = this.parked.get(name)?.since ?? table.since
            this.parked.set(name, { ...table, since, parkedAtMs: 0, deadLetters: letters.length })
            this.parkedUnder.set(name, mine)
            this.letters.set(name, letters)
            this.storeLoad([{ table: name, after: null, rows: 0, done: false }])
          }),
        sweep: async (target) => {
          const rows = this.tables.get(target.name) as Map<string, Row>
          await transaction(0, () => {
            for (const key of [...rows.keys()].slice(0, 1 + Math.floor(this.random() * 5))) rows.delete(key)
          })
          return rows.size === 0
        },
        release: (table) =>
          transaction(0, () => {
            const name = tableName(table)
            if ((this.tables.get(table.name) as Map<string, Row>).size > 0)
              this.violations.push(`${name} rejoins with rows of before`)
            this.parked.delete(name)
            this.parkedUnder.delete(name)
            this.storeLoad([{ table: name, after: null, rows: 0, done: false }])
          }),
      },
      close: async () => {},
    }
  }

  private refusal(works: readonly LaneWork[]): SyncError | null {
    const all = works.flatMap((work) => work.tables)
    for (const { destination, upserts } of all) {
      const rows = [...upserts].filter((row) => this.refuses(destination.id.name, row))
      if (rows.length === 0) continue
      const refused = rows.map(
        (row): RefusedRow => ({ destination, row, key: exact(row), code: 'SYNC-3302', message: 'too wide' }),
      )
      return new SyncError('SYNC-3302', 'too wide', {
        details: { table: tableName(destination.id), refused },
      })
    }
    return null
  }

  private guarded(number: number, epoch: bigint, body: (slot: Slot) => void, onFenced: () => void): void {
    const slot = this.slots.get(number) as Slot
    if (slot.epoch !== epoch) onFenced()
    else body(slot)
  }

  private commit(
    header: BatchHeader,
    works: readonly LaneWork[],
    load: readonly LoadProgress[],
    isWhole: boolean,
    epoch: bigint,
  ): void {
    this.startBatch({ ...header, lanes: 0 })
    for (const work of works) this.write(work, epoch)
    this.storeLoad(load)
    if (isWhole && header.to.ordinal > 0)
      this.violations.push(`a commit within the transaction after ${header.to.token}`)
    this.checkLoaded(header.to)
  }

  private startBatch(header: BatchHeader): void {
    // The same bounds again, under another number: the batch is not done yet, its plan has changed.
    const isAgain = this.header !== null && samePosition(this.header.to, header.to)
    if (this.header !== null && !isAgain) this.checkBoundary(this.header.to)
    this.header = header
  }

  private storeLoad(load: readonly LoadProgress[]): void {
    for (const progress of load) this.load.set(progress.table, progress)
  }

  private resume(): Resume {
    const header = this.header
    const confirmed = Array.from({ length: header?.lanes ?? 0 }, (_, i) => {
      const slot = this.slots.get(i + 1) as Slot
      return slot.batch === header?.batch ? slot.part : 0
    })
    const isUnfinished = header !== null && confirmed.some((part) => part < header.phases)
    return {
      position: header?.to ?? null,
      batch: header?.batch ?? 0,
      unfinished: isUnfinished ? { ...header, confirmed } : null,
      load: [...this.load.values()],
      parked: [...this.parked.values()],
    }
  }

  private write(work: LaneWork, epoch: bigint): void {
    for (const { destination } of work.tables) {
      if (!this.load.has(`s.${destination.id.name}`))
        this.violations.push(`${destination.id.name} is written before it has joined`)
      if (epoch > (this.parkedUnder.get(tableName(destination.id)) ?? epoch))
        this.violations.push(`${destination.id.name} is parked and is written`)
    }
    for (const { destination, removals } of work.tables) {
      const rows = this.tables.get(destination.id.name) as Map<string, Row>
      for (const key of removals) rows.delete(folded(key[0] as Value))
    }
    for (const { destination, upserts } of work.tables)
      for (const row of upserts) this.upsert(destination.id.name, row)
  }

  private upsert(table: string, row: Row): void {
    const rows = this.tables.get(table) as Map<string, Row>
    const key = folded(row[0] as Value)
    for (const [otherKey, other] of rows)
      if (
        otherKey !== key &&
        row[1] !== null &&
        other[1] !== null &&
        folded(other[1] as Value) === folded(row[1] as Value)
      )
        this.violations.push(`${table}: ${exact(row)} meets ${exact(other)} in a unique key`)
    const version = row[2] as number
    const highest = this.highest.get(`${table}/${key}`) ?? 0
    if (version < highest) this.violations.push(`${table}: ${key} goes back from ${highest} to ${version}`)
    this.highest.set(`${table}/${key}`, version)
    // A column that the statement does not name keeps its value.
    const kept = rows.get(key)?.[3] ?? null
    rows.set(key, row.length === 3 ? [...row, kept] : row)
  }

  /** DATA-PATH 1: every row that is there equals the source's row at the position. */
  private checkBoundary(position: Position): void {
    if (position.ordinal > 0 || this.isTampered) return
    const source = this.source.states[Number(position.token)] as Tables
    for (const [name, rows] of this.tables) {
      // What left behind its rows is nobody's business.
      if (!this.load.has(`s.${name}`) || this.parked.has(`s.${name}`)) continue
      for (const [key, row] of rows) {
        const original = source.get(name)?.get(key)
        if (original === undefined || exact(whole(original)) !== exact(whole(row)))
          this.violations.push(
            `at ${position.token}: ${name} has ${exact(row)}, the source ${original === undefined ? 'nothing' : exact(original)}`,
          )
      }
    }
  }

  /** DATA-PATH 8: tables whose load is done are as the source's were. */
  private checkLoaded(position: Position): void {
    if (position.ordinal > 0 || this.isTampered) return
    const loaded = (name: string): boolean => this.load.get(`s.${name}`)?.done === true
    for (const line of this.differences(Number(position.token), loaded))
      this.violations.push(`committed at ${position.token}: ${line}`)
    this.committedStates++
  }

  /**
   * Somebody else writes: a row of a loaded table is lost, changed (its key may get other bytes that are equal for the server), or one too many. What
   * is compared with the source from then on is the business of repairs.
   */
  tamper(): void {
    const shape = shapes[Math.floor(this.random() * shapes.length)] as TableShape
    const { name } = shape.id
    if (this.load.get(`s.${name}`)?.done !== true || this.parked.size > 0) return
    const rows = this.tables.get(name) as Map<string, Row>
    const keys = possibleKeys(shape)
    const key = keys[Math.floor(this.random() * keys.length)] as Value
    this.isTampered = true
    if (rows.has(folded(key)) && this.random() < 0.5) rows.delete(folded(key))
    else rows.set(folded(key), [key, null, -1, null])
  }

  /** The tables as they are now. */
  copy(): Tables {
    return copyTables(this.tables)
  }

  /** Parked tables aside. @param only of the tables for which it is true */
  differences(state = this.source.written, only: (table: string) => boolean = () => true): string[] {
    const lines = (tables: Tables): string[] =>
      [...tables]
        .filter(([name]) => only(name) && !this.parked.has(`s.${name}`))
        .flatMap(([name, rows]) => [...rows.values()].map((row) => `${name} ${exact(whole(row))}`))
        .sort()
    const mine = new Set(lines(this.tables))
    const theirs = new Set(lines(this.source.states[state] as Tables))
    return [
      ...[...theirs].filter((line) => !mine.has(line)).map((line) => `missing: ${line}`),
      ...[...mine].filter((line) => !theirs.has(line)).map((line) => `too much: ${line}`),
    ]
  }
}
