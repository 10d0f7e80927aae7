/**
 * The order in which a batch's net effect is written, so that no unique key can collide and lanes need not wait for each other
 * (docs: DATA-PATH 4 and 5).
 *
 * Guarantees: deterministic: the same changes, lanes and destinations give the same plan, so that after a crash exactly the lanes that have
 * not confirmed can be run again. Within one lane's transaction all removals run before the first upsert.
 * Assumes: the invariant (the target is a subset of the source at the batch's start), and images as the source had them.
 *
 * Why it is enough to look at who releases a unique value and who takes one. Let u be a value of a unique key. At the batch's start at
 * most one row has u, at its end at most one. A row that has u at both ends keeps it from everybody else at both ends. So rows
 * meet in u only if one has it before (and not after) and another has it after (and not before): a release and a take. If the
 * release is written first, then no upsert can find u at another row.
 *
 * Why rows of chunks may be written beside a batch, in any order with its lanes and phases. A chunk's row k is written while batches are
 * under way only if none of them touches k, nor did any event between the chunk's `low` and them (chunk-window.ts, batcher.ts); so the
 * source had k, with these very values, at the batch's start, at its end, and at all moments between. Hence no other row had one of k's
 * unique values at any of these moments, by bytes or under any collation, and no before or after image of the batch holds one. The same
 * argument covers the rows that a broken attempt left behind: they are as of every moment of the same batch.
 */
import { textDigest, textHash } from './hash.ts'
import type { DestinationNet, NetChange, NetChanges } from './merge.ts'
import { PackedRows, type PackedTable } from './packed-table.ts'
import { type Column, type ColumnType, type TableId, tableName, type UniqueKey } from './schema.ts'
import { keyOf, type Row, rowsEqual, type Value } from './value.ts'

/** A table at the target as one pipeline writes it. Rows and ordinals are by `columns`. */
export interface Destination {
  readonly id: TableId
  /** The written columns, as they are at the target. */
  readonly columns: readonly Column[]
  /** How the values in the rows are to be read: the source's column types, in the same order. */
  readonly valueTypes: readonly ColumnType[]
  /** The key by which rows are told apart. */
  readonly key: UniqueKey
  /**
   * The target's other unique keys. A key that cannot be told from the written columns alone (an expression, a generated column)
   * has no ordinals and `comparesBytes: false`: any change of a row may change it.
   */
  readonly uniqueKeys: readonly UniqueKey[]
  /** The target has no other columns but those it computes: a row that is removed and written again has lost nothing. Absent: not known. */
  readonly isWhole?: boolean
}

/** A row change, mapped to its destination. insert: before null; delete: after null. */
export interface RoutedChange {
  readonly destination: Destination
  readonly before: Row | null
  readonly after: Row | null
}

/** Removals first (by key values, in the key's order of columns), then upserts (whole rows). */
export interface TableWork {
  readonly destination: Destination
  readonly removals: readonly Row[]
  readonly upserts: readonly Row[] | PackedRows
}

/** What one lane writes in one transaction: all removals of all tables, then all upserts. */
export interface LaneWork {
  readonly tables: readonly TableWork[]
}

export interface BatchPlan {
  readonly lanes: number
  /** 1, or 2 where removals must be done in every lane before the first upsert. */
  readonly phases: number
  /** work[phase - 1][lane - 1] */
  readonly work: readonly (readonly LaneWork[])[]
  /** Names of the tables that are written by one lane as a whole. */
  readonly inOneLane: readonly string[]
  /** Removals and upserts in all. */
  readonly rows: number
}

/** Raised whenever the same changes would come out in another lane or phase than before. */
const PLAN_VERSION = 2

/**
 * Where the net effect is written.
 *
 * - Byte-comparable unique keys: the entries that meet (one releases what another takes) form a group, a group goes to one lane, and
 *   an update whose value is taken by another row is written as removal and upsert, so that a swap or a cycle works and is never seen
 *   half-done.
 * - Keys under a collation: bytes do not tell who meets whom, and collations are never guessed here. If two different rows of a table
 *   release and take values of such a key, then all its removals go to phase 1 and its upserts to phase 2, with a barrier
 *   between. This holds for the primary key too: 'a' removed and 'A' inserted are two entries here and one key at the server.
 *   Tables without such a meeting are written wholly in the last phase, where they stay atomic.
 * - A table with few rows in the batch goes to one lane as a whole: of a thousand tables each lane would otherwise write a statement for a handful of rows
 *   (performance.md, "Scale"). Which tables these are hangs on what the batch holds, so it is part of the plan's digest.
 *
 * A removal names the row by its key's bytes; the server removes what is equal under the key's collation. At the time of the removals that
 * can only be the row meant: a second row with an equal key did not exist at the batch's start, and none has been written yet.
 *
 * @param oneLaneRows a table of which at most so many keys were touched goes to one lane
 */
export function planBatch(net: NetChanges, lanes: number, oneLaneRows = 0): BatchPlan {
  const tables = net.destinations.map((table) => analyse(table))
  const phases = lanes > 1 && tables.some((table) => table.meetsUnderCollation) ? 2 : 1
  const work = Array.from({ length: phases }, () => Array.from({ length: lanes }, (): WorkInHand[] => []))
  const inOneLane: string[] = []
  let rows = 0

  for (const { destination, touched, packed, entries, removedFirst, groups, meetsUnderCollation } of tables) {
    const removalPhase = meetsUnderCollation ? 0 : phases - 1
    const name = tableName(destination.id)
    const seed = textHash(name)
    const isInOneLane = lanes > 1 && touched <= oneLaneRows
    if (isInOneLane) inOneLane.push(name)
    // Not by `seed` alone: shards divide tables by it, and those of one shard would meet in a few lanes.
    const onlyLane = isInOneLane || lanes === 1 ? textHash(name, seed) % lanes : null
    const laneOf = (key: string): number => onlyLane ?? textHash(key, seed) % lanes
    // Where a barrier stands between removals and upserts, nothing is gained by keeping a group together.
    const grouped = groups !== null && !(meetsUnderCollation && phases === 2)
    if (packed !== null) {
      const at = (phase: number, lane: number): WorkInHand<PackedRows> =>
        workOf(destination, work[phase]?.[lane] as WorkInHand[], () => new PackedRows(packed))
      for (let i = 0; i < packed.size; i++) {
        const lane = laneOf(packed.key(i))
        if (packed.isThere(i)) at(phases - 1, lane).upserts.push(i)
        else if (packed.wasThere(i))
          at(removalPhase, lane).removals.push(keyValues(packed.read(i), destination.key))
        else continue
        rows++
      }
      continue
    }
    const at = (phase: number, lane: number): WorkInHand<Row[]> =>
      workOf(destination, work[phase]?.[lane] as WorkInHand[], () => [])

    for (let i = 0; i < entries.length; i++) {
      const { key, before, after } = entries[i] as NetChange
      const lane = laneOf(grouped ? (entries[rootOf(groups, i)] as NetChange).key : key)
      if (before !== null && removedFirst[i] === 1) {
        at(removalPhase, lane).removals.push(keyValues(before, destination.key))
        rows++
      }
      if (after !== null) {
        at(phases - 1, lane).upserts.push(after)
        rows++
      }
    }
  }
  return {
    lanes,
    phases,
    work: work.map((phase) => phase.map((tablesOfLane) => ({ tables: tablesOfLane }))),
    inOneLane,
    rows,
  }
}

/**
 * Names all that shapes a plan: equal digests mean that the same changes give the same plan. After a crash with an equal digest only the
 * unconfirmed lanes are run; with a different one all lanes have to be, as a batch of a new number over the same bounds.
 * @param scope anything else that decides which changes reach the merge, such as row filters
 * @param inOneLane of the plan
 */
export function planDigest(
  destinations: Iterable<Destination>,
  lanes: number,
  scope: readonly string[] = [],
  inOneLane: readonly string[] = [],
): string {
  const tables = Array.from(destinations, ({ id, columns, valueTypes, key, uniqueKeys }) =>
    JSON.stringify([
      id.schema,
      id.name,
      columns.map((column) => column.name),
      valueTypes.map((type) => [type.kind, type.bytes ?? 0, type.scale ?? 0, type.charset ?? '']),
      [key, ...uniqueKeys].map(({ name, ordinals, comparesBytes }) => [name, ordinals, comparesBytes]),
    ]),
  )
  return textDigest(JSON.stringify([PLAN_VERSION, lanes, tables.sort(), scope, inOneLane.toSorted()]))
}

interface WorkInHand<Upserts = Row[] | PackedRows> extends TableWork {
  readonly removals: Row[]
  readonly upserts: Upserts & TableWork['upserts']
}

function workOf<Upserts extends Row[] | PackedRows>(
  destination: Destination,
  tables: WorkInHand[],
  none: () => Upserts,
): WorkInHand<Upserts> {
  const last = tables.at(-1)
  // Of one table all upserts of a batch are of one kind.
  if (last?.destination === destination) return last as WorkInHand<Upserts>
  const work: WorkInHand<Upserts> = { destination, removals: [], upserts: none() }
  tables.push(work)
  return work
}

function keyValues(row: Row, key: UniqueKey): Row {
  return key.ordinals.map((ordinal) => row[ordinal] as Value)
}

interface Analysis {
  readonly destination: Destination
  /** Keys that the batch's changes name, whether anything is to be written of them or not. */
  readonly touched: number
  /** The changes, where they are packed; then there are no `entries`. */
  readonly packed: PackedTable | null
  /** Net changes that write something, in log order. */
  readonly entries: readonly NetChange[]
  /** By entry: 1 where the row has to be removed before any upsert (deletes, and updates whose value another row takes). */
  readonly removedFirst: Uint8Array
  /** Union-find over entries; the root of a group is its first entry. Null: every entry is its own group. */
  readonly groups: Int32Array | null
  /** Under some collating key one row releases a value and another takes one. */
  readonly meetsUnderCollation: boolean
}

function analyse({ destination, changes, packed }: DestinationNet): Analysis {
  if (packed !== null) {
    const meetsUnderCollation = !destination.key.comparesBytes && insertsAndRemoves(packed)
    const touched = packed.size
    return {
      destination,
      touched,
      packed,
      entries: [],
      removedFirst: noEntries,
      groups: null,
      meetsUnderCollation,
    }
  }
  const entries: NetChange[] = []
  for (const change of changes.values()) {
    if (change.before !== null || change.after !== null) entries.push(change)
  }
  const removedFirst = new Uint8Array(entries.length)
  for (let i = 0; i < entries.length; i++) if (entries[i]?.after === null) removedFirst[i] = 1

  let groups: Int32Array | null = null
  let meetsUnderCollation = !destination.key.comparesBytes && meetUnderCollation(entries, null, removedFirst)
  for (const key of destination.uniqueKeys) {
    if (key.comparesBytes) groups = groupByBytes(entries, key, removedFirst, groups)
    else if (meetUnderCollation(entries, key, removedFirst)) meetsUnderCollation = true
  }
  const touched = changes.size
  return { destination, touched, packed: null, entries, removedFirst, groups, meetsUnderCollation }
}

const noEntries = new Uint8Array(0)

/** `meetUnderCollation` of the primary key. */
function insertsAndRemoves(packed: PackedTable): boolean {
  let inserts = false
  let removes = false
  for (let i = 0; i < packed.size && !(inserts && removes); i++) {
    if (packed.isThere(i)) inserts ||= !packed.wasThere(i)
    else removes ||= packed.wasThere(i)
  }
  return inserts && removes
}

/**
 * Finds releases that another entry takes, joins the two, and marks the releasing update for removal. Only values that are really
 * released and taken join entries, so that a table of mere inserts, or updates that leave the key alone, stays spread over all lanes.
 */
function groupByBytes(
  entries: readonly NetChange[],
  key: UniqueKey,
  removedFirst: Uint8Array,
  groups: Int32Array | null,
): Int32Array | null {
  const released = new Map<string, number>()
  for (let i = 0; i < entries.length; i++) {
    const { before, after } = entries[i] as NetChange
    if (before === null || holdsNull(before, key)) continue
    if (after !== null && sameKeyValues(before, after, key)) continue
    released.set(keyOf(before, key.ordinals), i)
  }
  if (released.size === 0) return groups
  for (let i = 0; i < entries.length; i++) {
    const { before, after } = entries[i] as NetChange
    if (after === null || holdsNull(after, key)) continue
    if (before !== null && sameKeyValues(before, after, key)) continue
    const releaser = released.get(keyOf(after, key.ordinals))
    if (releaser === undefined || releaser === i) continue
    groups ??= Int32Array.from(entries, (_, index) => index)
    removedFirst[releaser] = 1
    const a = rootOf(groups, releaser)
    const b = rootOf(groups, i)
    if (a < b) groups[b] = a
    else groups[a] = b
  }
  return groups
}

/**
 * Does one entry release a value of the key and another take one? Then marks the releasing updates for removal. No exception for NULL: a key
 * over an expression may make a value of it. `key` null: the primary key, which no entry changes.
 */
function meetUnderCollation(
  entries: readonly NetChange[],
  key: UniqueKey | null,
  removedFirst: Uint8Array,
): boolean {
  const updates: number[] = []
  let deletes = 0
  let inserts = 0
  for (let i = 0; i < entries.length; i++) {
    const { before, after } = entries[i] as NetChange
    if (before === null) inserts++
    else if (after === null) deletes++
    else if (key !== null && !sameKeyValues(before, after, key)) updates.push(i)
  }
  const meets =
    (inserts > 0 && deletes > 0) || (updates.length > 0 && inserts + deletes > 0) || updates.length > 1
  if (meets) for (const i of updates) removedFirst[i] = 1
  return meets
}

function holdsNull(row: Row, key: UniqueKey): boolean {
  for (const ordinal of key.ordinals) if (row[ordinal] === null) return true
  return false
}

function sameKeyValues(before: Row, after: Row, key: UniqueKey): boolean {
  if (key.ordinals.length === 0) return rowsEqual(before, after)
  for (const ordinal of key.ordinals) if (before[ordinal] !== after[ordinal]) return false
  return true
}

function rootOf(groups: Int32Array, entry: number): number {
  let root = entry
  while (groups[root] !== root) {
    // Halves the path on the way, so that long chains stay cheap.
    const parent = groups[root] as number
    groups[root] = groups[parent] as number
    root = groups[root] as number
  }
  return root
}
