/**
 * One session's part in parking tables and letting them rejoin (core/quarantine.ts; docs: guides/quarantine.md).
 *
 * Guarantees: a table is parked by a fact in the target, under the fence, before anything is written without it; from then on the rules that the
 * session works by leave it out, and so does every later session until the fact is gone. It rejoins like a table that is new: its rows at the
 * target are removed, a bounded number at a time between two batches, and then, in one transaction, the fact goes and its load begins. So
 * the invariant (DATA-PATH 1) holds for it from its first row on, whatever it looked like before.
 * On a crash: before the fact stands, the next session meets the same refusal and parks the table itself. A batch that was begun with the table is
 * formed again without it, so its plan is another one and every lane runs again. A write of a lost connection may still reach the table until the
 * next session has taken over; nobody counts on its rows by then. While rows are being removed the table is still parked,
 * and the removal goes on from wherever it got.
 */
import { randomUUID } from 'node:crypto'
import type { Resume, Sink, Source } from '../connectors/contract.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import type { RejoinRequest } from '../core/pipeline-control.ts'
import type { Position } from '../core/position.ts'
import {
  type DeadLetter,
  type ParkedTable,
  sourceNamedBy,
  tellsOfOneTable,
  withDetails,
} from '../core/quarantine.ts'
import { type TableId, tableName } from '../core/schema.ts'
import type { SchemaChange } from '../core/transaction.ts'
import { mapTables, ruleFor, withoutTables } from './mapping.ts'
import type { EngineOptions, TableRule } from './options.ts'
import type { Pump } from './pump.ts'
import { effectOf } from './schema-change.ts'

export interface QuarantineContext {
  readonly options: EngineOptions
  readonly source: Source
  readonly acknowledged: readonly string[]
  readonly rejoins: readonly RejoinRequest[]
  /** Told at the beginning of every session what is parked at the target. */
  readonly onParked: (tables: readonly (ParkedTable & { readonly isRejoining: boolean })[]) => void
}

export interface SessionQuarantine {
  /** What the takeover found. */
  found(resume: Resume): void
  /** The pipeline's rules without the parked tables. */
  rules(): readonly TableRule[]
  parkedTables(): readonly { readonly table: string; readonly why: 'parked' }[]
  /** Everything up to here is written. */
  confirmed(position: Position): void
  /**
   * Parks the table that the error tells of, if it is one that may be parked. The pump must have been stopped.
   * @returns false: the error is not of that kind
   * @throws SYNC-3304 when too many are parked already
   */
  park(error: unknown): Promise<boolean>
  /**
   * Empties the tables that are to rejoin, beside the stream, and releases the first that is empty: `onReleased` says that the session must start
   * again, and nothing more is written by this one.
   */
  rejoin(pump: Pump, onReleased: () => void): Promise<void>
  /** @throws SYNC-3306 when the statement gives rows of a parked table a new name */
  assertNotRenamed(event: SchemaChange): void
  /** What a change of a definition is refused for, with the table that it is about. */
  named(error: unknown, event: SchemaChange): unknown
}

/** Rows removed at a time. The stream's batches wait for it, each for some ten milliseconds. */
const sweptRows = 2_000

export function createSessionQuarantine(context: QuarantineContext, sink: Sink): SessionQuarantine {
  const { options, source } = context
  let parked: readonly ParkedTable[] = []
  let since: Position | null = null
  let writing: Pump | null = null

  const requested = ({ table, parking }: ParkedTable): boolean =>
    context.rejoins.some((request) => request.parking === parking && request.table === tableName(table))

  /** Empties and releases one table. What is refused meanwhile is the new reason why it is parked. */
  async function letRejoin(entry: ParkedTable, pump: Pump, onReleased: () => void): Promise<boolean> {
    const { table } = entry
    const rule = ruleFor(options.rules, table)
    const mapping = rule === null ? undefined : mapTables([rule], [table])[0]
    // A table that takes no part is nothing of ours to empty; it stays parked until it does again, for its rows are not to be trusted.
    if (mapping === undefined) return false
    for (let isEmpty = false; !isEmpty; ) {
      const swept = await pump.between(() => sweep(mapping.target))
      if (swept instanceof SyncError) {
        const { code, message, remedy } = swept
        const reason = { table, parking: randomUUID(), since: entry.since, code, message, remedy }
        await pump.between(() => sink.quarantine.park(reason, []))
        return false
      }
      isEmpty = swept
    }
    await pump.between(async () => {
      await sink.quarantine.release(table)
      onReleased()
      // The batch that is open was formed without the table. It must not be begun under rules that have it again.
      pump.stop()
    })
    return true
  }

  async function sweep(target: TableId): Promise<boolean | SyncError> {
    try {
      return await sink.quarantine.sweep(target, sweptRows)
    } catch (thrown) {
      const error = asSyncError(thrown)
      if (error.disposition !== 'block') throw error
      return error
    }
  }

  const isParked = (id: TableId): boolean => parked.some(({ table }) => tableName(table) === tableName(id))

  return {
    found(resume) {
      parked = resume.parked
      since = resume.unfinished?.from ?? resume.position
      context.onParked(parked.map((entry) => ({ ...entry, isRejoining: requested(entry) })))
    },
    rules: () =>
      withoutTables(
        options.rules,
        parked.map(({ table }) => table),
      ),
    parkedTables: () => parked.map(({ table }) => ({ table: tableName(table), why: 'parked' })),
    confirmed(position) {
      since = position
    },

    async park(thrown) {
      const error = asSyncError(thrown)
      const table = sourceNamedBy(error)
      const { quarantine } = options
      if (quarantine === undefined || table === null || since === null || !tellsOfOneTable(error))
        return false
      if (isParked(table)) return false
      const waiting = parked.filter((entry) => !requested(entry))
      if (waiting.length >= quarantine.maxTables) {
        throw new SyncError(
          'SYNC-3304',
          `${waiting.length} tables are parked, and another is refused: ${error.message}`,
          { cause: error },
        )
      }
      await writing?.settled()
      const letters = (error.details['letters'] ?? []) as readonly DeadLetter[]
      const { code, message, remedy } = error
      // The statement that it was parked for is none of its affairs any more.
      const { change } = error.details
      if (typeof change === 'string') await sink.definitions?.forget([change])
      await sink.quarantine.park({ table, parking: randomUUID(), since, code, message, remedy }, letters)
      return true
    },

    async rejoin(pump, onReleased) {
      writing = pump
      for (const entry of parked.filter(requested)) if (await letRejoin(entry, pump, onReleased)) return
    },

    assertNotRenamed(event) {
      const effect = effectOf(event.statement, event.schema)
      if (effect.kind !== 'renamed' || context.acknowledged.includes(event.id)) return
      for (const { from, to } of effect.renames) {
        if (!isParked(source.nameOf(from)) || ruleFor(options.rules, source.nameOf(to)) === null) continue
        throw new SyncError(
          'SYNC-3306',
          `The source renamed ${tableName(from)}, which is parked, to ${tableName(to)}`,
          { details: { at: event.id } },
        )
      }
    },

    named(thrown, event) {
      const error = asSyncError(thrown)
      const effect = effectOf(event.statement, event.schema)
      const isOfDefinition = error.code === 'SYNC-2301' || error.code === 'SYNC-2303'
      if (!isOfDefinition || effect.kind !== 'definition') return error
      const cause = error.cause instanceof SyncError ? sourceNamedBy(error.cause) : null
      const concerned = effect.tables
        .map((id) => source.nameOf(id))
        .filter((id) => ruleFor(options.rules, id) !== null)
      const table = cause ?? (concerned.length === 1 ? concerned[0] : undefined)
      return table === undefined ? error : withDetails(error, { source: table, change: event.id })
    },
  }
}
