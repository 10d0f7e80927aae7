/**
 * Tables that a statement created or altered: the target's definition follows, and what must be loaded again after it is found.
 *
 * What is done at the target is found each time by holding the catalogues against each other (target-change.ts), so that after a crash the rest is
 * done. Whether rows have other values now is asked of both definitions after the change; where they leave it open, the table is loaded again.
 */
import { type Alteration, changesValues } from '../core/alteration.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import { tableName } from '../core/schema.ts'
import type { SchemaChangeKind } from '../core/schema-policy.ts'
import { askUnlessAcknowledged, behind, type Change, forget } from './change-in-hand.ts'
import { isDefinitionOfThen } from './later-changes.ts'
import { consequenceOf } from './reload.ts'
import { alterTarget, createTables, type MetTable, policiesOf, targetNameIn } from './target-change.ts'

/** Only where the catalogue is of then: what the source ran later is dealt with at its own place. @returns whether it is of then */
export async function assertFits(change: Change, tables: readonly MetTable[]): Promise<boolean> {
  const { source, batcher, event, words, recheck, options } = change
  const after = behind(source, batcher, event)
  const ids = tables.map(({ id }) => id)
  if (source.definitions !== undefined && !(await isDefinitionOfThen(source, event, after, ids))) return false
  const isLeftOut = ({ target }: MetTable): boolean =>
    target === null && policiesOf(options).createTable === 'ignore'
  const about = tables.filter((table) => table.source !== null && !isLeftOut(table))
  try {
    await recheck(about.map(({ mapping }) => tableName(mapping.target)))
  } catch (error) {
    const cause = asSyncError(error)
    if (cause.disposition !== 'block') throw cause
    // What was read for that is newer than the first answer: the source may have gone on in between.
    if (source.definitions !== undefined && !(await isDefinitionOfThen(source, event, after, ids)))
      return false
    throw new SyncError(
      'SYNC-2301',
      `The source ran: ${words}. The target does not fit it: ${cause.message}`,
      {
        remedy: `Make the same change at the target, then resume. ${cause.remedy}`,
        details: { findings: cause.details['findings'] },
        cause,
      },
    )
  }
  return true
}

export async function create(change: Change, tables: readonly MetTable[]): Promise<void> {
  const { batcher, begun, presumedRenamed } = change
  // Slices of CREATE TABLE ... SELECT are written already, and the log shows its beginning again.
  const isWithinRows = batcher.position().ordinal > 0
  // One that joined as what a rename might have made of another was not looked at; and it is a new one after all.
  const isLooked = (table: string): boolean => batcher.progress(table) !== null && !presumedRenamed.has(table)
  await createTables(change, tables, (table) => isWithinRows || isLooked(table))
  for (const { id } of tables) {
    presumedRenamed.delete(tableName(id))
    if (batcher.progress(tableName(id)) !== null) continue
    begun.add(tableName(id))
    forget(change, id)
  }
  await assertFits(change, tables)
}

export async function alter(
  change: Change,
  tables: readonly MetTable[],
  alteration: Alteration,
  indexes: 'named' | 'all' = 'named',
): Promise<void> {
  const done = []
  for (const table of tables) {
    // Gone from the catalogue since, so nobody can say what it became: should it live on under another name, it is loaded under that one.
    if (table.source === null && changesValues(alteration)) forget(change, table.id)
    const applied = await alterTarget(change, table, alteration, indexes)
    done.push({ table, applied: new Set(applied.map(({ kind }) => kind)) })
  }
  const isOfThen = await assertFits(change, tables)
  for (const { table, applied } of done) {
    if (!(await mustLoadAgain(change, table, alteration, applied, isOfThen))) continue
    if (!change.options.load.enabled) askForRows(change, table)
    forget(change, table.id)
  }
}

function askForRows(change: Change, { id }: MetTable): void {
  askUnlessAcknowledged(
    change,
    'SYNC-2301',
    `The source ran: ${change.words}. Rows of ${tableName(id)} may have values now that the target's do not have, and this pipeline loads none`,
    `Make the rows of ${tableName(id)} equal at both ends, as of this place in the log, then resume.`,
  )
}

/** @throws SYNC-2301 where a key may have changed: a load cannot mend that */
async function mustLoadAgain(
  { target, event, words, isAcknowledged }: Change,
  table: MetTable,
  alteration: Alteration,
  applied: ReadonlySet<SchemaChangeKind>,
  isOfThen: boolean,
): Promise<boolean> {
  const { id, mapping, source, seen } = table
  const now = (await target.tables([mapping.target])).get(tableName(mapping.target))
  if (source === null || now === undefined || !changesValues(alteration)) return false
  const input = { source: source.shape, target: now, rule: mapping.rule }
  const { reload, presumedNew, changedKey } = consequenceOf(alteration, input)
  if (changedKey !== null && !isAcknowledged) {
    throw new SyncError(
      'SYNC-2301',
      `The source ran: ${words}. It may have changed keys: ${changedKey.source.name} of ${tableName(id)} is ${changedKey.source.type.sql} there, and ${changedKey.target.name} is ${changedKey.target.type.sql} at the target`,
      { remedy: 'Make the same change at the target, then resume.', details: { at: event.id } },
    )
  }
  // The catalogue may know a later definition than the one that the server used for the rows that were there.
  if (reload || !isOfThen || applied.has('narrowColumn')) return true
  // Renamed at the target before the stream came here: rows on the way still had the old name, which nothing there has taken.
  const moved = [...alteration.renamed, ...alteration.changed].filter(({ from, to }) => from !== to)
  for (const { from, to } of moved) {
    const before = targetNameIn(table, from)
    if (before === targetNameIn(table, to) || targetNameIn(table, to) === null) continue
    if (before === null || seen?.has(before.toLowerCase()) === false) return true
  }
  if (presumedNew.length === 0) return false
  // A column that was left at the target when the source dropped it still has its old values; one that was made just now has not.
  const old = applied.has('addColumn')
    ? presumedNew.filter((name) => seen?.has(name.toLowerCase()) !== false)
    : presumedNew
  return old.length > 0 && !(await target.hasDefaultsOnly(now.id, old))
}
