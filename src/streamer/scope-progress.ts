/**
 * Tables that join a pipeline and tables that leave it, settled at the target before a session writes its first row.
 *
 * Guarantees: a session that runs without a table has forgotten its load first, so one that comes back is loaded anew, whatever changed
 * meanwhile; a table has joined (its progress stands, be it nothing) before any of its rows is written, and was looked at before that: rows that
 * it had at the target are refused, removed or kept as the pipeline says. Both in one fenced transaction: a crash leaves all of it or
 * nothing, and the next session does it again. No session without the table, and nothing is forgotten: it was only ever carried.
 * While a loaded table is gone from the source, the log has a rename or a drop of it to come: a table that is new in the catalogue may be that very
 * one under its new name, with rows that are the pipeline's own. It joins without being looked at, and keeps what was loaded of it if the
 * rename is met in the same engine's life; otherwise it is loaded again.
 */
import type { LoadProgress, Sink } from '../connectors/contract.ts'
import { type TableId, type TableShape, tableName } from '../core/schema.ts'
import { ruleFor } from './mapping.ts'
import type { EngineOptions, TableRule } from './options.ts'

export interface ScopeContext {
  readonly options: Pick<EngineOptions, 'rules' | 'load'>
  /** Tables that joined while a rename was ahead, and were not looked at. */
  readonly presumedRenamed: Set<string>
  /** Statements that the stream has not come to may explain a table that does not fit yet: that is no error here. */
  readonly recheck: (about: null, isAhead: true) => Promise<void>
}

/**
 * @param stored what the takeover found
 * @param shapes source tables that take part
 * @param isFirst nothing was ever written: the checks before the start have just looked
 * @returns progress of the tables that take part
 */
export async function settleScope(
  { options, recheck, presumedRenamed }: ScopeContext,
  sink: Pick<Sink, 'storeLoad'>,
  stored: readonly LoadProgress[],
  shapes: readonly TableShape[],
  isFirst: boolean,
): Promise<readonly LoadProgress[]> {
  const { rules, load } = options
  const kept = stored.filter(({ table }) => mayTakePart(rules, table))
  const left = stored.filter(({ table }) => !mayTakePart(rules, table)).map(({ table }) => table)
  const known = new Set(kept.map(({ table }) => table))
  const present = new Set(shapes.map(({ id }) => tableName(id)))
  const isRenameAhead = kept.some(
    (entry) => (entry.done || entry.after !== null) && !present.has(entry.table),
  )
  const joining: LoadProgress[] = [...present]
    .filter((table) => load.enabled && !known.has(table))
    .map((table) => ({ table, after: null, rows: 0, done: false }))
  if (isRenameAhead) for (const { table } of joining) presumedRenamed.add(table)
  else if (joining.length > 0 && !isFirst) await recheck(null, true)
  if (joining.length + left.length > 0) await sink.storeLoad(joining, left)
  return [...kept, ...joining]
}

/** Names with dots can be read in several ways; a table leaves only where none of them takes part. */
export const mayTakePart = (rules: readonly TableRule[], table: string): boolean =>
  readingsOf(table).some((id) => ruleFor(rules, id) !== null)

/** What `schema.table` may stand for. */
export function readingsOf(table: string): readonly TableId[] {
  const readings: TableId[] = []
  for (let dot = table.indexOf('.'); dot >= 0; dot = table.indexOf('.', dot + 1))
    readings.push({ schema: table.slice(0, dot), name: table.slice(dot + 1) })
  return readings
}
