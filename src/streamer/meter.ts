/**
 * Adds up what an engine does (core/statistics.ts), over all its sessions. Plain additions: a clock is read per batch, per turn of the log and per
 * wait, never per row. Nothing here throws or decides; lost with the process, on purpose.
 */
import type { ReaderCounters, SinkCounters } from '../connectors/contract.ts'
import type { BatchPlan } from '../core/plan.ts'
import { type TableId, tableName } from '../core/schema.ts'
import type { HeldTimes, PipelineStatistics, StageTimes, TableStatistics } from '../core/statistics.ts'
import type { BatchTally } from './tally.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
/** Stages that are timed here; the reader and the sink time their own. */
type OwnStage = Exclude<keyof StageTimes, 'sourceWait' | 'decode' | 'build' | 'commit'>

/** Rows out by the target table's name. */
type RowsOutByTable = ReadonlyMap<string, { readonly upserted: number; readonly removed: number }>

/** What went in and what came out of a batch, or of a part of one; without the rows. */
export interface Counted {
  readonly tally: BatchTally
  readonly out: RowsOutByTable
}

export interface Meter {
  /** Given to the source's stream and to the sink, which add to them. */
  readonly reader: ReaderCounters
  readonly sink: SinkCounters
  /** Adds the time since `startedAtMs` (performance.now clock) to a stage, and returns the time now. */
  spent(stage: OwnStage, startedAtMs: number): number
  held(why: keyof HeldTimes, ms: number): void
  /** Counts the time of a wait, also while it lasts. */
  hold<T>(why: 'batchFull' | 'chunkWindow', wait: Promise<T>): Promise<T>
  /** A batch was confirmed at the target, with all its parts (whole-transactions.ts). */
  confirmed(parts: readonly Counted[], isSmall: boolean): void
  /** Rows of a chunk are at the target. */
  copied(source: TableId, target: TableId, written: number, bytes: number): void
  totals(): PipelineStatistics
  /** Tables that changed since they were taken last, longest untold first; at most `most`. */
  takeChanged(most: number): TableStatistics[]
  /** Has anything been confirmed since the last call, is a wait going on, or are changed tables left? */
  hasNews(): boolean
}

export function createMeter(): Meter {
  const since = new Date().toISOString()
  const reader: ReaderCounters = { bytes: 0, decodeMs: 0, waitMs: 0 }
  const sink: SinkCounters = { bytes: 0, buildMs: 0, commitMs: 0 }
  const times: Record<OwnStage, number> = {
    merge: 0,
    chunkRead: 0,
    plan: 0,
    small: 0,
    header: 0,
    lanes: 0,
  }
  const held: Mutable<HeldTimes> = { batchFull: 0, chunkWindow: 0, lanesIdle: 0, laneSkew: 0 }
  const holding: { why: keyof HeldTimes; sinceMs: number }[] = []
  const rows = { inserted: 0, updated: 0, deleted: 0, copied: 0, upserted: 0, removed: 0, merged: 0 }
  const batches = { small: 0, large: 0, checkpoints: 0, transactions: 0 }
  let outOfScope = 0
  let chunkBytes = 0
  const tables = new Map<string, Mutable<TableStatistics>>()
  const changed = new Set<Mutable<TableStatistics>>()
  /** Written; they are no batches, but news. */
  let chunks = 0
  let toldBatches = -1

  function tableOf(tally: { table: string; target: string }): Mutable<TableStatistics> {
    let table = tables.get(tally.target)
    if (table === undefined) {
      const { table: name, target } = tally
      table = {
        table: name,
        target,
        inserted: 0,
        updated: 0,
        deleted: 0,
        copied: 0,
        upserted: 0,
        removed: 0,
        merged: 0,
        bytes: 0,
      }
      tables.set(target, table)
    }
    changed.add(table)
    return table
  }

  function count({ tally, out }: Counted): void {
    batches.transactions += tally.transactions
    outOfScope += tally.outOfScope
    for (const entry of tally.tables.values()) {
      const table = tableOf(entry)
      const { upserted, removed } = out.get(entry.target) ?? { upserted: 0, removed: 0 }
      const rowsIn = entry.inserted + entry.updated + entry.deleted
      // An update that changes a key, or takes a unique value from another row, is one row in and two rows out.
      const merged = Math.max(0, rowsIn - upserted - removed)
      for (const sum of [table, rows]) {
        sum.inserted += entry.inserted
        sum.updated += entry.updated
        sum.deleted += entry.deleted
        sum.upserted += upserted
        sum.removed += removed
        sum.merged += merged
      }
      table.bytes += entry.bytes
    }
  }

  const confirmedBatches = (): number => batches.small + batches.large + batches.checkpoints

  return {
    reader,
    sink,
    spent(stage, startedAtMs) {
      const nowMs = performance.now()
      times[stage] += nowMs - startedAtMs
      return nowMs
    },
    held(why, ms) {
      held[why] += ms
    },
    async hold(why, wait) {
      const entry = { why, sinceMs: performance.now() }
      holding.push(entry)
      try {
        return await wait
      } finally {
        holding.splice(holding.indexOf(entry), 1)
        held[why] += performance.now() - entry.sinceMs
      }
    },
    confirmed(parts, isSmall) {
      if (parts.every(({ tally }) => tally.tables.size === 0)) batches.checkpoints++
      else if (isSmall) batches.small++
      else batches.large++
      for (const part of parts) count(part)
    },
    copied(source, target, written, bytes) {
      const table = tableOf({ table: tableName(source), target: tableName(target) })
      for (const sum of [table, rows]) {
        sum.copied += written
        sum.upserted += written
      }
      table.bytes += bytes
      chunkBytes += bytes
      chunks++
    },
    totals() {
      const nowMs = performance.now()
      const heldMs = { ...held }
      for (const { why, sinceMs } of holding) heldMs[why] += nowMs - sinceMs
      return {
        since,
        at: new Date().toISOString(),
        tables: tables.size,
        rows: { ...rows, outOfScope },
        batches: { ...batches },
        bytes: { log: reader.bytes, chunks: chunkBytes, written: sink.bytes },
        timesMs: rounded({
          ...times,
          sourceWait: reader.waitMs,
          decode: reader.decodeMs,
          build: sink.buildMs,
          commit: sink.commitMs,
        }),
        heldMs: rounded(heldMs),
      }
    },
    takeChanged(most) {
      const taken: TableStatistics[] = []
      for (const table of changed) {
        if (taken.length === most) break
        changed.delete(table)
        taken.push({ ...table, bytes: Math.round(table.bytes) })
      }
      return taken
    },
    hasNews() {
      const now = confirmedBatches() + chunks
      const isNew = now !== toldBatches
      toldBatches = now
      return isNew || holding.length > 0 || changed.size > 0
    },
  }
}

const rounded = <T extends Readonly<Record<keyof T, number>>>(times: T): T =>
  Object.fromEntries(Object.entries<number>(times).map(([name, ms]) => [name, Math.round(ms)])) as T

/** Rows that a plan writes. */
export function rowsOut(plan: BatchPlan): RowsOutByTable {
  const out = new Map<string, { upserted: number; removed: number }>()
  for (const phase of plan.work)
    for (const lane of phase)
      for (const { destination, removals, upserts } of lane.tables) {
        const name = tableName(destination.id)
        const entry = out.get(name)
        if (entry === undefined) out.set(name, { upserted: upserts.length, removed: removals.length })
        else {
          entry.upserted += upserts.length
          entry.removed += removals.length
        }
      }
  return out
}
