/**
 * Whose work a swap of tables is: an online change tool's, or anybody's.
 *
 * A tool's triggers are noted at the target while they are on a table, because an online change takes longer than many an engine lives. A note is
 * written once and forgotten with the trigger; both may be done again after a crash.
 */
import { type TableId, tableName } from '../core/schema.ts'
import type { SchemaChange } from '../core/transaction.ts'
import type { Change, ChangingContext } from './change-in-hand.ts'
import { ruleFor } from './mapping.ts'
import { isSigned, type OnlineSwap, type ToolTrigger, toolTriggerOf } from './online-change.ts'

/** gh-ost signs its statements; pt-online-schema-change is known by its triggers, which the log has shown before. */
export async function isToolsOwn({ event, sink }: Change, swap: OnlineSwap): Promise<boolean> {
  if (isSigned(event.statement)) return true
  return ((await sink.definitions?.recall(toolNote(swap.table))) ?? null) !== null
}

const toolNote = (table: TableId): string => `online ${tableName(table)}`

/** A trigger of such a tool that comes to, or goes from, a table in scope. */
export function toolTrigger(
  { source, sink, options }: ChangingContext,
  event: SchemaChange,
): ToolTrigger | null {
  const found = sink.definitions === undefined ? null : toolTriggerOf(event.statement, event.schema)
  if (found === null) return null
  const tables = found.tables
    .map((id) => source.nameOf(id))
    .filter((id) => ruleFor(options.rules, id) !== null)
  return tables.length === 0 ? null : { ...found, tables }
}

/** Keeps at the target that a tool's triggers are on a table, as long as they are: an online change takes longer than many an engine lives. */
export async function rememberTool({ sink }: ChangingContext, { does, tables }: ToolTrigger): Promise<void> {
  if (does === 'drop') await sink.definitions?.forget(tables.map(toolNote))
  else for (const table of tables) await sink.definitions?.note(toolNote(table), 'triggers')
}
