/**
 * A definition statement in the log: is the target as it has to be, may the stream pass it, and what must be loaded again after it?
 *
 * What the statement needs at the target is done by a person, or by the policy that creates tables; until then the pipeline is blocked right
 * before the statement. The position moves past it together with the load progress that it changes, in one transaction: after a crash
 * before that, all of this happens again.
 */
import type { LoadProgress, Source, Target } from '../connectors/contract.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import { type TableId, tableName } from '../core/schema.ts'
import type { SchemaChange } from '../core/transaction.ts'
import type { Batcher } from './batcher.ts'
import { type Definitions, readDefinitions } from './definitions.ts'
import { mapTables, ruleFor, schemaInScope, spanShards } from './mapping.ts'
import type { EngineOptions, TableRule } from './options.ts'
import type { Pump } from './pump.ts'
import { consequenceOf } from './reload.ts'
import { effectOf, type SchemaChangeEffect } from './schema-change.ts'

export interface DefinitionContext {
  readonly source: Source
  readonly target: Target
  readonly options: EngineOptions
  readonly acknowledged: readonly string[]
  /** Definition changes that the target was seen to fit in this engine's life. */
  readonly fitted: Set<string>
  /** See scope-progress.ts. */
  readonly presumedRenamed: Set<string>
  /** Looks whether the target fits the source's definitions as they are now, and creates what may be created. @throws SyncError */
  readonly recheck: () => Promise<void>
}

/** @returns true when the session must start again with the new definitions */
export async function passDefinitionChange(
  context: DefinitionContext,
  batcher: Batcher,
  pump: Pump,
  event: SchemaChange,
): Promise<boolean> {
  const { rules } = context.options
  const effect = namedBy(context.source, effectOf(event.statement, event.schema))
  const words = event.statement.length > 200 ? `${event.statement.slice(0, 200)}...` : event.statement
  // CREATE TABLE ... SELECT is one transaction with its rows: its position moves with the last row, so a new session meets it again.
  if (!concerns(rules, effect) || context.fitted.has(event.id)) {
    batcher.pass(event)
    return false
  }
  // Rows read under the old definition are written before it changes at the target, or not at all.
  const chunksWritten = batcher.closeLoad()
  chunksWritten.catch(() => {})
  await pump.flush()
  await chunksWritten
  assertWithinShard(rules, effect, words, event.id)
  const isAcknowledged = context.acknowledged.includes(event.id)
  if (!isAcknowledged && !(await hasNothingThere(context, effect))) assertPassable(effect, words, event.id)
  let definitions: Definitions
  try {
    await becomesVisible(context.source, batcher, event)
    await context.recheck()
    definitions = await readDefinitions(context.source, context.target, rules, context.recheck)
  } catch (error) {
    const cause = asSyncError(error)
    if (cause.disposition !== 'block') throw cause
    throw new SyncError(
      'SYNC-2301',
      `The source ran: ${words}. The target does not fit it: ${cause.message}`,
      {
        remedy: `Make the same change at the target, then resume. ${cause.remedy}`,
        cause,
      },
    )
  }
  const progress = await progressAfter(
    context,
    batcher,
    effect,
    definitions,
    isAcknowledged ? null : event,
    words,
  )
  for (const entry of progress) batcher.setProgress(entry)
  batcher.pass(event)
  await pump.flush()
  // Not before: a session that passes it without more ado must find the batch cut here, and the load progress stored.
  context.fitted.add(event.id)
  return true
}

/** Rows that went at the source, of tables that the target does not have (DROP TABLE IF EXISTS, as every dump begins): there is nothing to do. */
async function hasNothingThere(
  { target, options }: DefinitionContext,
  effect: SchemaChangeEffect,
): Promise<boolean> {
  if (effect.kind !== 'dropped' && effect.kind !== 'rows') return false
  const mappings = mapTables(options.rules, effect.tables)
  return (await target.tables(mappings.map((mapping) => mapping.target))).size === 0
}

/** The log shows a statement before the catalogue does. */
async function becomesVisible(source: Source, batcher: Batcher, event: SchemaChange): Promise<void> {
  const tracker = source.tracker(batcher.position())
  tracker.advance(event)
  await source.assertRetained(tracker.position())
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
  const isIn = (id: TableId): boolean => ruleFor(rules, id) !== null
  switch (effect.kind) {
    case 'none':
      return false
    case 'unknown':
      return true
    case 'schema-dropped':
      return schemaInScope(rules, effect.schema)
    case 'renamed':
      return effect.renames.some(({ from, to }) => isIn(from) || isIn(to))
    default:
      return effect.tables.some(isIn)
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
  if (!effect.renames.some(({ from, to }) => spanShards(rules, [from, to]))) return
  throw new SyncError('SYNC-4006', `The source ran: ${words}`, { details: { at } })
}

/** @throws SyncError where a person has to do something at the target first */
function assertPassable(effect: SchemaChangeEffect, words: string, at: string): void {
  switch (effect.kind) {
    case 'none':
    case 'definition':
      return
    case 'unknown':
      throw new SyncError(
        'SYNC-2301',
        `A statement that is not understood may concern tables in scope: ${words}`,
        {
          remedy: 'Do at the target what the statement needs, then resume to go on after it.',
          details: { at },
        },
      )
    case 'renamed':
      throw new SyncError('SYNC-2301', `The source ran: ${words}`, {
        remedy:
          'Rename the tables in the same way at the target, then resume. A table that takes no part and now bears the name of one that does: make it at the target, empty; it is loaded.',
        details: { at },
      })
    default:
      throw new SyncError('SYNC-2302', `The source ran: ${words}`, { details: { at } })
  }
}

/**
 * Where the load of tables stands after the statement, if it stands otherwise than before.
 * @param unacknowledged null: a person has made the same change at the target
 * @throws SYNC-2301 where a key may have changed
 */
async function progressAfter(
  context: DefinitionContext,
  batcher: Batcher,
  effect: SchemaChangeEffect,
  { shapes, targets }: Definitions,
  unacknowledged: SchemaChange | null,
  words: string,
): Promise<LoadProgress[]> {
  const { rules } = context.options
  const after = new Map<string, LoadProgress>()
  const forget = (table: string): void => void after.set(table, { table, after: null, rows: 0, done: false })
  switch (effect.kind) {
    case 'dropped':
      for (const id of effect.tables) if (ruleFor(rules, id) !== null) forget(tableName(id))
      break
    case 'renamed':
      for (const { from, to } of effect.renames) {
        const moved = after.get(tableName(from)) ?? batcher.progress(tableName(from))
        forget(tableName(from))
        // A table that joined under the new name already was looked at, and perhaps emptied: its rows are not those of before.
        const joined = batcher.progress(tableName(to))
        const isOurs =
          joined === null ||
          joined.done ||
          joined.after !== null ||
          context.presumedRenamed.delete(tableName(to))
        if (moved === null || !isOurs) forget(tableName(to))
        else after.set(tableName(to), { ...moved, table: tableName(to) })
      }
      break
    case 'definition':
      for (const id of effect.tables) {
        const rule = ruleFor(rules, id)
        const mapping = rule === null ? undefined : mapTables([rule], [id])[0]
        const source = shapes.find((shape) => tableName(shape.id) === tableName(id))
        const target = mapping === undefined ? undefined : targets.get(tableName(mapping.target))
        if (rule === null || source === undefined || target === undefined) continue
        const { reload, presumedNew, changedKey } = consequenceOf(effect.alteration, { source, target, rule })
        if (changedKey !== null && unacknowledged !== null) {
          throw new SyncError(
            'SYNC-2301',
            `The source ran: ${words}. It may have changed keys: ${changedKey.source.name} is ${changedKey.source.type.sql} there, and ${changedKey.target.name} is ${changedKey.target.type.sql} at the target`,
            {
              remedy: 'Make the same change at the target, then resume.',
              details: { at: unacknowledged.id },
            },
          )
        }
        const isLeftOver =
          presumedNew.length > 0 && !(await context.target.hasDefaultsOnly(target.id, presumedNew))
        if (reload || isLeftOver) forget(tableName(id))
      }
      break
    default:
  }
  const known = [...after.values()].filter(
    (entry) => entry.done || entry.after !== null || batcher.progress(entry.table) !== null,
  )
  return context.options.load.enabled ? known : []
}
