/**
 * A definition statement in the log: brings the target to where it has to be, and says what must be loaded again after it.
 *
 * What the policies of the pipeline apply is done at the target before the rows that need it (target-change.ts); what they leave to a person
 * blocks the pipeline right before the statement, unless the target is already as it has to be. The position moves past it together with the
 * load progress that it changes, in one transaction: after a crash before that, all of this happens again and finds done what was done.
 */
import type { LoadProgress, Source } from '../connectors/contract.ts'
import { SyncError } from '../core/errors.ts'
import { type TableId, tableName } from '../core/schema.ts'
import type { SchemaChange } from '../core/transaction.ts'
import { alter, create } from './altered-tables.ts'
import type { Batcher } from './batcher.ts'
import {
  askUnlessAcknowledged,
  behind,
  type Change,
  type ChangingContext,
  forget,
  isBegun,
  isThere,
  notBegun,
} from './change-in-hand.ts'
import { ruleFor, schemaInScope, spanShards } from './mapping.ts'
import { isOnlineChangeTable, onlineSwapOf } from './online-change.ts'
import { rememberTool, toolTrigger } from './online-tool.ts'
import type { TableRule } from './options.ts'
import type { Pump } from './pump.ts'
import { rename } from './renamed-tables.ts'
import { effectOf, type SchemaChangeEffect, tablesOf } from './schema-change.ts'
import { keptNote, type MetTable, meet, policiesOf, runActions } from './target-change.ts'

/** @returns true when the session must start again with the new definitions */
export async function passDefinitionChange(
  context: ChangingContext,
  batcher: Batcher,
  pump: Pump,
  event: SchemaChange,
): Promise<boolean> {
  const { rules } = context.options
  const effect = namedBy(context.source, effectOf(event.statement, event.schema))
  const words = event.statement.length > 200 ? `${event.statement.slice(0, 200)}...` : event.statement
  // CREATE TABLE ... SELECT is one transaction with its rows: its position moves with the last row, so a new session meets it again.
  const tool = toolTrigger(context, event)
  if ((!concerns(rules, effect) && tool === null) || context.fitted.has(event.id)) {
    batcher.pass(event)
    return false
  }
  // Rows read under the old definition are written before it changes at the target, or not at all.
  const chunksWritten = batcher.closeLoad()
  chunksWritten.catch(() => {})
  await pump.flush()
  await chunksWritten
  assertWithinShard(rules, effect, words, event.id)
  await becomesVisible(context.source, batcher, event)
  const isAcknowledged = context.acknowledged.includes(event.id)
  const change: Change = {
    ...context,
    event,
    words,
    isAcknowledged,
    batcher,
    progress: new Map(),
    begun: new Set(),
  }
  if (tool === null) await bring(change, effect)
  else await rememberTool(context, tool)
  const known = [...change.progress.values()].filter(
    (entry) => isBegun(entry) || batcher.progress(entry.table) !== null || change.begun.has(entry.table),
  )
  if (context.options.load.enabled) for (const entry of known) batcher.setProgress(entry)
  batcher.pass(event)
  await pump.flush()
  // Not before: a session that passes it without more ado must find the batch cut here, and the load progress stored.
  context.fitted.add(event.id)
  await context.sink.definitions?.forget([event.id])
  return true
}

/** The log shows a statement before the catalogue does. */
async function becomesVisible(source: Source, batcher: Batcher, event: SchemaChange): Promise<void> {
  await source.assertRetained(behind(source, batcher, event))
}

/** The effect with the names that the catalogue and the rows have. */
function namedBy(source: Source, effect: SchemaChangeEffect): SchemaChangeEffect {
  const nameOf = (id: TableId): TableId => source.nameOf(id)
  switch (effect.kind) {
    case 'none':
    case 'unknown':
      return effect
    case 'schema-dropped':
      return { ...effect, schema: nameOf({ schema: effect.schema, name: '' }).schema }
    case 'renamed':
      return {
        ...effect,
        renames: effect.renames.map(({ from, to }) => ({ from: nameOf(from), to: nameOf(to) })),
      }
    default:
      return { ...effect, tables: effect.tables.map(nameOf) }
  }
}

function concerns(rules: readonly TableRule[], effect: SchemaChangeEffect): boolean {
  if (effect.kind === 'schema-dropped') return schemaInScope(rules, effect.schema)
  return tablesOf(effect)?.some((id) => ruleFor(rules, id) !== null) ?? true
}

/** @throws SyncError where a person has to do something first */
async function bring(change: Change, effect: SchemaChangeEffect): Promise<void> {
  switch (effect.kind) {
    case 'none':
      return
    case 'unknown':
      askUnlessAcknowledged(
        change,
        'SYNC-2301',
        `A statement that is not understood may concern tables in scope: ${change.words}`,
        'Do at the target what the statement needs, then resume to go on after it.',
      )
      return
    case 'schema-dropped':
      askUnlessAcknowledged(change, 'SYNC-2302', `The source ran: ${change.words}`)
      // Names with dots may be read in two ways; a table that is forgotten for nothing is loaded again.
      for (const { table } of change.batcher.loads())
        if (table.startsWith(`${effect.schema}.`)) change.progress.set(table, notBegun(table))
      return
    case 'definition':
      await alter(change, await meet(change, effect.tables), effect.alteration)
      return
    case 'created':
      await create(change, await meet(change, effect.tables))
      return
    case 'rows':
      await moveRows(change, effect)
      return
    case 'dropped':
      await dropTables(change, effect.tables)
      return
    case 'renamed':
      await rename(change, effect.renames, effect.alteration)
  }
}

/**
 * Each shard stands at a position of its own, so rows that one of them wrote cannot become another's. Nobody can acknowledge that.
 * @throws SYNC-4006
 */
function assertWithinShard(
  rules: readonly TableRule[],
  effect: SchemaChangeEffect,
  words: string,
  at: string,
): void {
  if (effect.kind !== 'renamed') return
  // The copies of an online change need not become anything (renamed-tables.ts).
  if (onlineSwapOf(effect.renames) !== null) return
  if (!effect.renames.some(({ from, to }) => spanShards(rules, [from, to]))) return
  throw new SyncError('SYNC-4006', `The source ran: ${words}`, { details: { at } })
}

async function moveRows(
  change: Change,
  { tables, action }: Extract<SchemaChangeEffect, { kind: 'rows' }>,
): Promise<void> {
  const met = await meet(change, tables)
  const there = met.filter(({ target }) => target !== null)
  // Rows that went, of tables that the target does not have: there is nothing to do.
  if (there.length === 0) return
  const policies = policiesOf(change.options)
  const policy =
    action === 'truncate'
      ? policies.truncateTable
      : action === 'partitions'
        ? policies.dropPartition
        : 'block'
  if (policy === 'ignore' || change.isAcknowledged) return
  // Which rows a partition had is not to be known behind the statement: another partition has its range by now.
  if (policy === 'block' || action !== 'truncate') {
    askUnlessAcknowledged(change, 'SYNC-2302', `The source ran: ${change.words}`)
    return
  }
  await runActions(
    change,
    there.map(({ mapping }) => ({ do: 'truncate', table: mapping.target })),
  )
  // Empty at both ends: what comes from here on comes by the log, whatever of the table was loaded before.
  for (const { id } of there) change.progress.set(tableName(id), emptyTable(tableName(id)))
}

const emptyTable = (table: string): LoadProgress => ({ table, after: null, rows: 0, done: true })

async function dropTables(change: Change, ids: readonly TableId[]): Promise<void> {
  const met = await meet(change, ids)
  const there = met.filter(({ target }) => target !== null)
  const policyOf = ({ id }: MetTable) =>
    isOnlineChangeTable(id) ? 'apply' : policiesOf(change.options).dropTable
  if (there.some((table) => policyOf(table) === 'block'))
    askUnlessAcknowledged(change, 'SYNC-2302', `The source ran: ${change.words}`)
  await runActions(
    change,
    there
      .filter((table) => policyOf(table) === 'apply')
      .map(({ mapping }) => ({ do: 'drop', table: mapping.target })),
  )
  for (const table of met) {
    forget(change, table.id)
    const isKept = isThere(table) && policyOf(table) !== 'apply'
    if (isKept) await change.sink.definitions?.note(keptNote(table.id), 'rows')
  }
}
