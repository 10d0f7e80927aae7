/**
 * Online changes of large tables: a tool fills a copy beside the table and exchanges both by one RENAME TABLE. Pure.
 *
 * Recognised by the names that gh-ost (`_t_gho`, `_t_ghc`, `_t_del`, `_t_20260131120000_del`), pt-online-schema-change (`_t_new`, `_t_old`, more
 * underscores in front where a name is taken) and tools after their pattern give. The copy has the rows of the table by construction, so that
 * the table at the target needs the new definition and no new rows. Anything else is an ordinary rename.
 */
import { type TableId, tableName } from '../core/schema.ts'
import type { TableRename } from './schema-change.ts'

export interface OnlineSwap {
  readonly table: TableId
  /** The old rows' new name. */
  readonly retired: TableId
  /** The new rows' old name. */
  readonly copy: TableId
}

const copyName = /^_+(.+)_(?:gho|new)$/s
const retiredName = /^_+(.+?)(?:_\d{14})?_(?:del|old)$/s
const logName = /^_+(.+)_ghc$/s
const longestName = 64

export function onlineSwapOf(renames: readonly TableRename[]): OnlineSwap | null {
  const [away, back] = renames
  if (renames.length !== 2 || away === undefined || back === undefined) return null
  if (tableName(away.from) !== tableName(back.to)) return null
  const table = away.from
  const belongs = (id: TableId, pattern: RegExp): boolean =>
    id.schema === table.schema && isNameOf(pattern.exec(id.name)?.[1], id.name, table.name)
  return belongs(away.to, retiredName) && belongs(back.from, copyName)
    ? { table, retired: away.to, copy: back.from }
    : null
}

/** Is it a table of such a tool, which comes and goes with the change? */
export const isOnlineChangeTable = ({ name }: TableId): boolean =>
  copyName.test(name) || retiredName.test(name) || logName.test(name)

/** Tools cut a name that would grow too long. */
const isNameOf = (part: string | undefined, whole: string, table: string): boolean =>
  part !== undefined &&
  (part === table || (whole.length >= longestName - 1 && part.length > 20 && table.startsWith(part)))

/** gh-ost writes its name into every definition statement. */
export const isSigned = (statement: string): boolean => /\/\*\s*gh-ost\s*\*\//.test(statement)

export interface ToolTrigger {
  readonly does: 'create' | 'drop'
  /** Dropped: the one that the name may belong to; it does not say for certain where schema and table meet. */
  readonly tables: readonly TableId[]
}

const part = '`((?:[^`]|``)+)`'
const createTrigger = new RegExp(
  `^create\\s.*?\\btrigger\\s+(?:if not exists\\s+)?(?:${part}\\.)?${part}\\s+(?:before|after)\\s+(?:insert|update|delete)\\s+on\\s+(?:${part}\\.)?${part}`,
  'is',
)
const dropTrigger = new RegExp(`^drop\\s+trigger\\s+(?:if\\s+exists\\s+)?(?:${part}\\.)?${part}`, 'i')
const triggerName = /^pt_osc_(.+)_(?:ins|upd|del)$/s

/** A trigger of pt-online-schema-change, `pt_osc_schema_table_del`; its statements quote every name. */
export function toolTriggerOf(statement: string, schema: string): ToolTrigger | null {
  const plain = (text: string): string => text.replaceAll('``', '`')
  const created = createTrigger.exec(statement)
  if (created !== null) {
    if (!triggerName.test(created[2] as string)) return null
    return {
      does: 'create',
      tables: [{ schema: plain(created[3] ?? schema), name: plain(created[4] as string) }],
    }
  }
  const dropped = dropTrigger.exec(statement)
  const of = dropped === null ? undefined : triggerName.exec(dropped[2] as string)?.[1]
  if (dropped === null || of === undefined) return null
  const place = plain(dropped[1] ?? schema)
  const folded = place.replace(/\W/g, '_')
  return of.startsWith(`${folded}_`)
    ? { does: 'drop', tables: [{ schema: place, name: of.slice(folded.length + 1) }] }
    : { does: 'drop', tables: [] }
}
