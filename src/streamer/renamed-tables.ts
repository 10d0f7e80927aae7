/**
 * Tables that bear other names behind a statement: renamed at the target, taken for new ones, or exchanged in place.
 *
 * A cut-over of an online change tool is told from an ordinary rename by its names and by whose work it is (online-tool.ts). What was already done is
 * known by what was seen when the stream first stood here (`MetTable.seen`, kept at the target): after a crash nothing is renamed back.
 */
import { type Alteration, changesDefinition } from '../core/alteration.ts'
import { SyncError } from '../core/errors.ts'
import { type Column, type TableId, type TableShape, tableName } from '../core/schema.ts'
import { alter, assertFits, create } from './altered-tables.ts'
import { askUnlessAcknowledged, type Change, forget, isBegun, isThere } from './change-in-hand.ts'
import { spanShards } from './mapping.ts'
import { type OnlineSwap, onlineSwapOf } from './online-change.ts'
import { isToolsOwn } from './online-tool.ts'
import type { TableRename } from './schema-change.ts'
import {
  alterationBetween,
  createTables,
  type MetTable,
  meet,
  policiesOf,
  runActions,
  targetNameIn,
} from './target-change.ts'

/** @param alteration what the statement did besides to the table of its one rename */
export async function rename(
  change: Change,
  renames: readonly TableRename[],
  alteration: Alteration,
): Promise<void> {
  const met = await meet(
    change,
    renames.flatMap(({ from, to }) => [from, to]),
  )
  const byName = new Map(met.map((table) => [tableName(table.id), table]))
  const swap = onlineSwapOf(renames)
  if (swap !== null && spanShards(change.options.rules, [swap.table, swap.copy, swap.retired])) {
    await exchangeAcrossShards(change, swap, byName)
    return
  }
  const table = swap === null ? undefined : byName.get(tableName(swap.table))
  if (swap !== null && table !== undefined && table.target !== null) {
    const copy = byName.get(tableName(swap.copy))
    const retired = byName.get(tableName(swap.retired))
    // The copy came to the target as any table does: what the source renamed is renamed there too.
    const isFree = retired !== undefined && (retired.target === null || (await isUnused(change, retired)))
    const isCarried = isThere(copy) && isFree && copy.mapping.rule === table.mapping.rule
    const isDone = copy?.target === null && copy.seen !== null && isThere(retired)
    if (isDone || isCarried) {
      if (isCarried) {
        if (isThere(retired)) await runActions(change, [{ do: 'drop', table: retired.mapping.target }])
        await renameAtTarget(change, renames, byName)
      }
      moveProgress(change, renames, byName)
      return
    }
    const isTools = await isToolsOwn(change, swap)
    if (isTools || change.isAcknowledged) {
      await exchangeInPlace(change, table, copy, retired)
      // Somebody's own copy may have any rows: whoever resumed was asked to empty the table, and it is loaded.
      if (!isTools) forget(change, table.id)
      return
    }
  }
  if (await isNothingThere(change, renames, byName)) {
    for (const { from } of renames) forget(change, from)
    await create(
      change,
      renames.flatMap(({ to }) => byName.get(tableName(to)) ?? []),
    )
    return
  }
  if (!change.isAcknowledged) {
    const isPossible = renames.every(
      ({ from, to }) => byName.has(tableName(from)) && byName.has(tableName(to)),
    )
    const stage = stageOf(renames, byName)
    const unused = await unusedNames(change, renames, byName)
    if (policiesOf(change.options).renameTable !== 'apply' || !isPossible || stage === 'cannot tell') {
      const inTheWay = unused.map(
        ({ mapping }) => `${tableName(mapping.target)} is there, empty: drop it first. `,
      )
      askUnlessAcknowledged(
        change,
        'SYNC-2301',
        `The source ran: ${change.words}`,
        `Rename the tables in the same way at the target, then resume. ${inTheWay.join('')}A table that takes no part and now bears the name of one that does: make it at the target, empty; it is loaded.`,
      )
    } else if (stage === 'to do') {
      await runActions(
        change,
        unused.map(({ mapping }) => ({ do: 'drop', table: mapping.target })),
      )
      await renameAtTarget(change, renames, byName)
    }
  }
  const now = await meet(
    change,
    met.map(({ id }) => id),
  )
  moveProgress(change, renames, byName)
  await alterRenamed(change, renames, alteration, byName, now)
  await assertFits(change, now)
}

/**
 * Under its new name. What stood there before the change did so under the old one. A table that is loaded anew may lack what statements in between
 * asked for, when the source had it under that name no more.
 */
async function alterRenamed(
  change: Change,
  renames: readonly TableRename[],
  alteration: Alteration,
  before: MetTables,
  now: readonly MetTable[],
): Promise<void> {
  for (const { from, to } of renames) {
    const table = now.find(({ id }) => tableName(id) === tableName(to))
    const seen = before.get(tableName(from))?.seen ?? null
    if (table === undefined) continue
    const isAnew = change.progress.has(tableName(to)) && !isBegun(change.progress.get(tableName(to)) ?? null)
    const needed = isAnew ? alterationBetween(table) : alteration
    if (changesDefinition(needed)) await alter(change, [{ ...table, seen: seen ?? table.seen }], needed)
  }
}

/** Nothing to be renamed at the target: what has a new name comes to it as a new table does. */
async function isNothingThere(
  change: Change,
  renames: readonly TableRename[],
  met: MetTables,
): Promise<boolean> {
  for (const { from, to } of renames) {
    if ((met.get(tableName(from))?.seen ?? null) !== null) return false
    const table = met.get(tableName(to))
    if (isThere(table) && table.seen !== null && !(await isUnused(change, table))) return false
  }
  return true
}

/** Made by a pre-check that saw the source's later names, and nothing since. */
const isUnused = async ({ batcher, target }: Change, table: MetTable): Promise<boolean> =>
  isThere(table) &&
  !isBegun(batcher.progress(tableName(table.id))) &&
  (await target.hasRows?.(table.mapping.target)) === false

type MetTables = ReadonlyMap<string, MetTable>

/**
 * By the names that nothing bears afterwards, where they were seen first: they go with the rename, in one step with all of it. Tables that only
 * exchange their names look the same before and after, so that nobody can say after a crash whether they have.
 */
function stageOf(renames: readonly TableRename[], met: MetTables): 'to do' | 'done' | 'cannot tell' {
  const taken = new Set(renames.map(({ to }) => tableName(to)))
  const wereThere = renames
    .map(({ from }) => met.get(tableName(from)))
    .filter((table) => table !== undefined && table.seen !== null) as MetTable[]
  if (wereThere.length === 0) return 'done'
  const vacated = wereThere.filter(({ id }) => !taken.has(tableName(id)))
  const left = vacated.filter(isThere).length
  if (vacated.length === 0 || (left > 0 && left < vacated.length)) return 'cannot tell'
  return left > 0 ? 'to do' : 'done'
}

/** What stands in the way of a rename without being anything. */
async function unusedNames(
  change: Change,
  renames: readonly TableRename[],
  met: MetTables,
): Promise<readonly MetTable[]> {
  const left = new Set(renames.map(({ from }) => tableName(from)))
  const found: MetTable[] = []
  for (const { to } of renames) {
    const table = left.has(tableName(to)) ? undefined : met.get(tableName(to))
    if (isThere(table) && table.seen !== null && (await isUnused(change, table))) found.push(table)
  }
  return found
}

async function renameAtTarget(
  change: Change,
  renames: readonly TableRename[],
  met: MetTables,
): Promise<void> {
  const nameOf = (id: TableId): TableId => (met.get(tableName(id)) as MetTable).mapping.target
  await runActions(change, [
    { do: 'rename', renames: renames.map(({ from, to }) => ({ from: nameOf(from), to: nameOf(to) })) },
  ])
}

/**
 * A table takes what was loaded of it along. One that had its new name at the target before the stream came here was renamed there by a person, and
 * no row was passed under its old name meanwhile (router.ts); unless it joined under the new one, was looked at, and perhaps emptied.
 */
function moveProgress(change: Change, renames: readonly TableRename[], met: MetTables): void {
  const { progress, batcher, presumedRenamed } = change
  for (const { from, to } of renames) {
    const moved = progress.get(tableName(from)) ?? batcher.progress(tableName(from))
    const wasThere = met.get(tableName(from))?.seen !== null
    const joined = batcher.progress(tableName(to))
    const isOurs = wasThere || joined === null || isBegun(joined) || presumedRenamed.has(tableName(to))
    presumedRenamed.delete(tableName(to))
    forget(change, from)
    if (moved === null || !isOurs) forget(change, to)
    else progress.set(tableName(to), { ...moved, table: tableName(to) })
  }
}

/**
 * The copy never came to the target, or not by this rule: the table's rows did, row by row up to here, and only its definition is another now.
 */
async function exchangeInPlace(
  change: Change,
  table: MetTable,
  copy: MetTable | undefined,
  retired: MetTable | undefined,
): Promise<void> {
  await alter(change, [table], alterationBetween(table), 'all')
  await assertNoRowsLeftOut(change, table)
  await settleCopies(change, copy, retired)
}

/**
 * Each shard carries some of the three. No row has to become another table's: the table's own came by the log, the copy is at its end, and the retired
 * table is loaded as a new one. @throws SYNC-4006 where nobody knows what is in the copy
 */
async function exchangeAcrossShards(change: Change, swap: OnlineSwap, met: MetTables): Promise<void> {
  const [table, copy, retired] = [swap.table, swap.copy, swap.retired].map((id) => met.get(tableName(id)))
  if (table === undefined) {
    await settleCopies(change, copy, retired)
    return
  }
  if (!(await isToolsOwn(change, swap))) {
    throw new SyncError('SYNC-4006', `The source ran: ${change.words}`, { details: { at: change.event.id } })
  }
  await exchangeInPlace(change, table, copy, retired)
}

async function settleCopies(
  change: Change,
  copy: MetTable | undefined,
  retired: MetTable | undefined,
): Promise<void> {
  if (copy !== undefined) {
    if (copy.target !== null) await runActions(change, [{ do: 'drop', table: copy.mapping.target }])
    forget(change, copy.id)
  }
  if (retired === undefined) return
  if (retired.source !== null) await createTables(change, [retired], () => true)
  else if (retired.target !== null) await runActions(change, [{ do: 'drop', table: retired.mapping.target }])
  forget(change, retired.id)
}

/**
 * Such tools copy with INSERT IGNORE: rows that met in a new unique key, or in one whose columns compare otherwise now, are gone. A target that has
 * the same key over the same columns, with all the rows of before, proves that there were none.
 */
async function assertNoRowsLeftOut(change: Change, table: MetTable): Promise<void> {
  const { source, mapping } = table
  const now = (await change.target.tables([mapping.target])).get(tableName(mapping.target))
  if (source === null || now === undefined) return
  const columnsOf = (shape: TableShape, ordinals: readonly number[]): Column[] =>
    ordinals.flatMap((ordinal) => shape.columns[ordinal] ?? [])
  const wordsOf = (columns: readonly Column[], nameOf: (name: string) => string | null): string =>
    columns
      .map(({ name, type }) => `${nameOf(name)?.toLowerCase()} ${type.sql} ${type.collation ?? ''}`)
      .sort()
      .join()
  const there = new Set(
    [now.primaryKey, ...now.uniqueKeys]
      .filter((key) => key !== undefined)
      .map((key) => wordsOf(columnsOf(now, key.ordinals), (name) => name)),
  )
  for (const key of [source.shape.primaryKey, ...source.shape.uniqueKeys]) {
    if (key === undefined) continue
    const columns = columnsOf(source.shape, key.ordinals)
    if (there.has(wordsOf(columns, (name) => targetNameIn(table, name)))) continue
    askUnlessAcknowledged(
      change,
      'SYNC-2301',
      `The source ran: ${change.words}. The key ${key.name} is not the same at the target: the tool may have left rows out that met in it`,
      `Compare the rows of ${tableName(table.id)} at both ends, or empty it at the target and load it again, then resume.`,
    )
  }
}
