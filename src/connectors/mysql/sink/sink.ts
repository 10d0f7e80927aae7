/**
 * The write side of one pipeline at a MySQL target: one connection per slot, slot 0 for headers and small batches, one per lane, and behind
 * those the slots of the load's writers, which are connected while there is a load. Lanes are closed when no large batch has come for a while,
 * and connect with the next: most pipelines are idle most of the time.
 *
 * Guarantees (DATA-PATH 3 to 5): every transaction begins with its slot's mark row under our epoch and owner; fenced writes throw SYNC-4002
 * and have changed nothing; a batch, and each lane's part of it, is written at most once; nothing is left half-written.
 * Assumes: one call at a time per slot; lanes of one batch may run side by side. After SYNC-3101 the answer to "was it written?" is the next
 * takeover's. Nothing is stored in memory that the mark rows do not hold.
 */
import { randomUUID } from 'node:crypto'
import { SyncError } from '../../../core/errors.ts'
import { positionText } from '../../../core/exact-json.ts'
import type { Destination, LaneWork } from '../../../core/plan.ts'
import type { Resume, Sink, SinkOptions } from '../../contract.ts'
import type { Connection } from '../connection.ts'
import { classify } from '../errors.ts'
import { productOf } from '../flavour.ts'
import { loadLines as loadLinesFormat } from '../load-lines.ts'
import { qualifiedName, textLiteral } from '../sql-text.ts'
import { createDefinitionRunner } from './definition-runner.ts'
import { type ChunkText, loadText, rowsOfText } from './load-data.ts'
import { takesLines } from './load-statement.ts'
import {
  beginWithMark,
  forgetStatement,
  headerAssignments,
  laneAssignments,
  loadProgressStatement,
  type Ownership,
  updateMark,
} from './mark-table.ts'
import { openTransaction } from './parts-transaction.ts'
import { parkStatements, releaseStatements } from './quarantine-table.ts'
import { createStatementBuilder, type StatementBuilder, type WriteStatement } from './statements.ts'
import { takeMarks } from './takeover.ts'
import { type WriteDialect, writeDialects } from './write-dialect.ts'
import { runTransaction } from './write-transaction.ts'

/** Beside the settings of the product. */
const slotLimits = 'SELECT @@session.max_allowed_packet, @@global.local_infile'

/** The server refuses a packet that reaches max_allowed_packet, its header included; and each carries conditions beside its statements. */
const packetOverheadBytes = 512

/** Long enough that a pipeline with a large batch now and then does not connect for each. */
const defaultLaneIdleMs = 60_000

/** Lines wait for an answer each; over a longer way, statements that are sent ahead of the answers are sooner done. */
const maxLinesRoundTripMs = 5
/** Rows that the target has already: a table in which that happens again and again is written by statements. */
const maxRefusedInserts = 3

interface Owned {
  readonly ownership: Ownership
  /** The batch whose lanes may write; null when none is open. */
  openBatch: number | null
  /** Lanes that have a mark row: ours, and those of a batch that is to be finished. */
  readonly lanes: number
}

/**
 * @param connect opens a session of role `write` (connection.ts); called once per slot at a time
 * @param pipeline at most 64 characters
 */
export async function createSink(
  connect: (role: 'write' | 'load') => Promise<Connection>,
  pipeline: string,
  options: SinkOptions,
  laneIdleMs: number = defaultLaneIdleMs,
): Promise<Sink> {
  if (pipeline.length > 64) throw new SyncError('SYNC-9001', `the pipeline's name is too long: ${pipeline}`)
  const slots: (Connection | undefined)[] = []
  const busy = new Set<number>()
  /** Connections that run definition statements. */
  const defining = new Set<Connection>()
  let owned: Owned | null = null
  let isClosed = false
  const counters = options.counters ?? { bytes: 0, buildMs: 0, commitMs: 0 }
  let maxPacketBytes = 0
  let takesFiles = false
  /** Destinations of which a line was not taken as it is: rows that were there before, values that the target refuses. */
  const refusedLines = new WeakSet<Destination>()
  const byLines = new WeakMap<Destination, boolean>()
  /** How often lines of rows that the log brought were not taken, by destination. */
  const refusedInserts = new WeakMap<Destination, number>()
  let roundTripMs = Number.POSITIVE_INFINITY
  let builder: StatementBuilder
  let lanesUsedAtMs = 0
  let laneTimer: NodeJS.Timeout | undefined

  const usedLanes = (): void => {
    lanesUsedAtMs = performance.now()
    laneTimer ??= setTimeout(closeIdleLanes, laneIdleMs).unref()
  }
  function closeIdleLanes(): void {
    laneTimer = undefined
    const leftMs = lanesUsedAtMs + laneIdleMs - performance.now()
    if (isClosed) return
    if (busy.size > 0 || leftMs > 0) {
      laneTimer = setTimeout(closeIdleLanes, Math.max(leftMs, 1_000)).unref()
      return
    }
    // Nothing is in flight on them. The mark rows go on naming them, and whoever would end them finds them gone.
    for (let slot = 1; slot <= options.lanes; slot++) {
      void slots[slot]?.close()
      slots[slot] = undefined
    }
  }
  let dialect: WriteDialect = writeDialects.mysql

  async function openSlot(slot: number): Promise<Connection> {
    // Lanes and the load's writers may send lines.
    const connection = await connect(slot === 0 ? 'write' : 'load')
    try {
      if (isClosed) throw new SyncError('SYNC-3101', 'the sink was closed while it connected')
      dialect = writeDialects[productOf(connection.version)]
      const askedAtMs = performance.now()
      const { rows } = await connection.query(`${dialect.slotSettings}; ${slotLimits}`)
      roundTripMs = Math.min(roundTripMs, performance.now() - askedAtMs)
      maxPacketBytes = Number(rows[0]?.[0]) - packetOverheadBytes
      takesFiles = dialect.takesFiles && rows[0]?.[1] === '1'
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  /** Connections by slot: that of slot 0, replaced where it was lost, and of the others those that are open. */
  async function openHeader(): Promise<readonly (Connection | undefined)[]> {
    for (let slot = 1; slot < slots.length; slot++) if (slots[slot]?.isLost) slots[slot] = undefined
    if (slots[0] === undefined || slots[0].isLost) slots[0] = await openSlot(0)
    return slots
  }

  /** Slot 0 and the lanes, which are closed again where there is nothing for them to do. */
  async function openLanes(): Promise<void> {
    const opening = Array.from({ length: options.lanes + 1 }, async (_, slot) => {
      slots[slot] = await openSlot(slot)
    })
    const failed = (await Promise.allSettled(opening)).find((result) => result.status === 'rejected')
    if (failed !== undefined) {
      for (const connection of slots) connection?.destroy()
      throw failed.reason
    }
    if (options.lanes > 0) usedLanes()
  }

  const writerSlots = (): number[] =>
    Array.from({ length: options.loadWriters }, (_, i) => options.lanes + 1 + i)

  /** Its mark row names the connection before it writes, so that a successor can end what it holds. */
  async function openNamed(slot: number): Promise<void> {
    if (slots[slot]?.isLost === false) return
    const connection = await openSlot(slot)
    slots[slot] = connection
    await transact(slot, [`connection_id = ${connection.threadId}`], null, [], [])
  }

  async function loadLines(slot: number, destination: Destination, text: ChunkText): Promise<boolean> {
    const isTaken = await exclusively(slot, (connection, { ownership }) =>
      loadText({
        connection,
        ownership,
        slot,
        head: beginWithMark(ownership, slot, [], null),
        destination,
        text,
        counters,
      }),
    )
    if (!isTaken) refusedLines.add(destination)
    return isTaken
  }

  // A target that cannot be reached is told of here, before anything is planned. All at once: over a long line, a connection takes a second.
  await openLanes()

  /** One writer per slot: two at once on a connection would mix their transactions. */
  function take(slot: number): {
    readonly connection: Connection
    readonly mine: Owned
    readonly give: () => void
  } {
    const connection = slots[slot]
    if (owned === null) throw new SyncError('SYNC-9001', 'a write before takeOver')
    if (connection === undefined) throw new SyncError('SYNC-9001', `lane ${slot} has no connection`)
    if (busy.has(slot)) throw new SyncError('SYNC-9001', `two writes at once in slot ${slot}`)
    busy.add(slot)
    return { connection, mine: owned, give: () => busy.delete(slot) }
  }

  async function exclusively<T>(
    slot: number,
    write: (connection: Connection, mine: Owned) => Promise<T>,
  ): Promise<T> {
    const { connection, mine, give } = take(slot)
    try {
      return await write(connection, mine)
    } finally {
      give()
    }
  }

  const mayTakeLines = (destination: Destination): boolean =>
    (refusedInserts.get(destination) ?? 0) < maxRefusedInserts
  const linesRefused = (destination: Destination): void => {
    refusedInserts.set(destination, (refusedInserts.get(destination) ?? 0) + 1)
  }

  const transact = (
    slot: number,
    assignments: readonly string[],
    condition: string | null,
    works: readonly LaneWork[],
    tail: readonly string[],
    mayCommit?: Promise<void>,
    first: () => Iterable<WriteStatement> = () => [],
    sendsLines = false,
    refusedRows = options.refusedRows ?? 0,
  ): Promise<void> =>
    exclusively(slot, (connection, { ownership }) =>
      runTransaction(connection, {
        ownership,
        slot,
        head: beginWithMark(ownership, slot, assignments, condition),
        statements: function* (withLines) {
          yield* first()
          yield* builder.statements(works, withLines ? mayTakeLines : undefined)
        },
        ...(sendsLines ? { linesRefused } : {}),
        single: (destination, row) => builder.single(destination, row),
        tail,
        maxPacketBytes,
        counters,
        ...(mayCommit === undefined ? {} : { mayCommit }),
        refusedRows,
      }),
    )

  const definitions = createDefinitionRunner({
    pipeline,
    origin: options.origin,
    connect: async () => {
      const connection = await connect('write')
      if (!isClosed) {
        defining.add(connection)
        return connection
      }
      connection.destroy()
      throw new SyncError('SYNC-3101', 'the sink was closed while it connected')
    },
    fenced: (statements) => transact(0, [], null, [], statements),
    read: (sql) => exclusively(0, async (connection) => (await connection.query(sql)).rows),
  })

  return {
    definitions,
    async takeOver(epoch) {
      if (busy.size > 0)
        throw new SyncError('SYNC-9001', 'a takeover while writes of this sink are in flight')
      owned = null
      const ownership: Ownership = { pipeline, epoch, owner: randomUUID() }
      const [connection] = await openHeader()
      builder = createStatementBuilder({ maxPacketBytes, dialect })
      const resume: Resume = await takeMarks(
        {
          connection: connection as Connection,
          openSlots: openHeader,
          lanes: options.lanes,
          loadWriters: options.loadWriters,
          origin: options.origin,
        },
        ownership,
      )
      owned = {
        ownership,
        openBatch: resume.unfinished?.batch ?? null,
        lanes: Math.max(options.lanes, resume.unfinished?.lanes ?? 0),
      }
      return resume
    },

    begin: (position) =>
      transact(
        0,
        [`to_position = COALESCE(to_position, ${textLiteral(positionText(position))})`],
        null,
        [],
        [],
      ),

    applySmall(header, plan, load) {
      if (owned !== null) owned.openBatch = null
      const tail = load.length === 0 ? [] : [loadProgressStatement(pipeline, load, dialect)]
      return transact(0, headerAssignments(header, true), `batch < ${header.batch}`, plan.work.flat(), tail)
    },

    async beginParts(batch) {
      const { connection, mine, give } = take(0)
      mine.openBatch = null
      const { ownership } = mine
      // The slot stays taken for as long as the transaction is open.
      const orGive = <T>(work: Promise<T>): Promise<T> =>
        work.catch((error: unknown) => {
          give()
          throw error
        })
      const head = beginWithMark(ownership, 0, [], `batch < ${batch}`)
      const transaction = await orGive(
        openTransaction({ connection, ownership, slot: 0, maxPacketBytes, counters }, head),
      )
      return {
        write: (plan) => orGive(transaction.write(builder.statements(plan.work.flat()))),
        async commit(header, load) {
          const mark = updateMark(ownership, 0, headerAssignments(header, true), `batch < ${header.batch}`)
          const progress = load.length === 0 ? [] : [loadProgressStatement(pipeline, load, dialect)]
          await orGive(transaction.commit([mark, ...progress]))
          give()
        },
      }
    },

    async writeHeader(header) {
      if (owned !== null && header.lanes > owned.lanes) {
        throw new SyncError('SYNC-9001', `a batch of ${header.lanes} lanes for ${owned.lanes} mark rows`)
      }
      if (owned !== null) owned.openBatch = null
      await transact(0, headerAssignments(header, false), `batch < ${header.batch}`, [], [])
      if (owned !== null) owned.openBatch = header.batch
    },

    async applyLane(header, lane, phase, work, headerStands) {
      if (headerStands === undefined && owned !== null && owned.openBatch !== header.batch) {
        throw new SyncError(
          'SYNC-9001',
          `lane ${lane} writes batch ${header.batch}, whose header does not stand`,
        )
      }
      const { batch } = header
      // Heard of below; until then a lane that still connects must not leave it unheard.
      headerStands?.catch(() => undefined)
      usedLanes()
      await openNamed(lane)
      await transact(
        lane,
        laneAssignments(header, phase),
        `(batch < ${batch} OR (batch = ${batch} AND part < ${phase}))`,
        [work],
        [],
        headerStands,
        undefined,
        takesFiles && roundTripMs <= maxLinesRoundTripMs,
      )
      usedLanes()
    },

    async applyChunk(writer, { destination, rows, text, removals = [], refusedRows }) {
      const slot = options.lanes + writer
      if (owned === null) throw new SyncError('SYNC-9001', 'a write before takeOver')
      await openNamed(slot)
      if (text !== null && (await loadLines(slot, destination, text))) return
      const upserts = text === null ? rows : rowsOfText(text, destination)
      const work = { tables: [{ destination, removals: [], upserts }] }
      const first = () => builder.exactRemovals(destination, removals)
      await transact(slot, [], null, [work], [], undefined, first, false, refusedRows)
    },

    textFormat(destination) {
      if (!takesFiles || refusedLines.has(destination)) return null
      let takes = byLines.get(destination)
      if (takes === undefined) {
        takes = takesLines(destination)
        byLines.set(destination, takes)
      }
      return takes ? loadLinesFormat : null
    },

    async closeWriters() {
      await Promise.all(
        writerSlots().map(async (slot) => {
          const connection = slots[slot]
          slots[slot] = undefined
          await connection?.close()
        }),
      )
    },

    async storeLoad(load, forgotten = []) {
      const tail = [
        ...(forgotten.length === 0 ? [] : [forgetStatement(pipeline, forgotten)]),
        ...(load.length === 0 ? [] : [loadProgressStatement(pipeline, load, dialect)]),
      ]
      if (tail.length > 0) await transact(0, [], null, [], tail)
    },

    assertOwned: () => transact(0, [], null, [], []),

    quarantine: {
      park: (table, letters) => transact(0, [], null, [], parkStatements(pipeline, table, letters, dialect)),
      async sweep(target, maxRows) {
        const name = qualifiedName(target)
        try {
          await transact(0, [], null, [], [`DELETE FROM ${name} LIMIT ${maxRows}`])
          const left = await exclusively(0, (connection) => connection.query(`SELECT 1 FROM ${name} LIMIT 1`))
          return left.rows.length === 0
        } catch (error) {
          const failure = classify(error, 'target')
          if (failure.code === 'SYNC-3201') return true
          throw failure
        }
      },
      release: (table) => transact(0, [], null, [], releaseStatements(pipeline, table, dialect)),
    },

    async close() {
      isClosed = true
      owned = null
      clearTimeout(laneTimer)
      for (const connection of [...slots, ...defining]) connection?.destroy()
    },
  }
}
