/**
 * Brings the target's definitions to where a statement of the log wants them, as far as the pipeline's policies let it (core/schema-policy.ts).
 *
 * Called when everything before the statement is written. What is to be done is found by holding the two catalogues against each other, each
 * time anew: after a crash in the middle the rest is done, and a statement that is met again does nothing. Throws where a person is needed.
 */
import type { DefinitionAction, Sink, Source, TableDefinition, Target } from '../connectors/contract.ts'
import { type Alteration, noAlteration } from '../core/alteration.ts'
import { SyncError } from '../core/errors.ts'
import { type Column, type TableId, type TableShape, tableName } from '../core/schema.ts'
import {
  decide,
  defaultPolicies,
  type NeededChange,
  type SchemaChangePolicies,
} from '../core/schema-policy.ts'
import type { SchemaChange } from '../core/transaction.ts'
import { mapColumn, mappedColumns, mapTables, targetInAnyShard } from './mapping.ts'
import type { EngineOptions, TableMapping } from './options.ts'

export interface TargetChangeContext {
  readonly source: Source
  readonly target: Target
  readonly sink: Sink
  readonly options: EngineOptions
  readonly event: SchemaChange
  /** The statement, shortened for people. */
  readonly words: string
  readonly isAcknowledged: boolean
}

export const policiesOf = (options: EngineOptions): SchemaChangePolicies =>
  options.schemaChanges ?? defaultPolicies

/** One table in scope, at both ends, right after the source's statement and right before it is done at the target. */
export interface MetTable {
  readonly id: TableId
  readonly mapping: TableMapping
  /** Null: gone from the source since. */
  readonly source: { readonly shape: TableShape; readonly definition: TableDefinition | null } | null
  /** Null: not there. */
  readonly target: TableShape | null
  /** Its columns at the target when the stream first stood here, in lower case; null: it was not there. */
  readonly seen: ReadonlySet<string> | null
}

/** Looks at the tables of a statement that take part. */
export async function meet(context: TargetChangeContext, ids: readonly TableId[]): Promise<MetTable[]> {
  const { source, target, sink, options, event } = context
  const mappings = mapTables(options.rules, unique(ids))
  const shapes = await source.tables(
    [...new Set(mappings.map((mapping) => mapping.source.schema))],
    mappings.map((mapping) => mapping.source),
  )
  const shapeOf = new Map(shapes.map((shape) => [tableName(shape.id), shape]))
  const targets = await target.tables(mappings.map((mapping) => mapping.target))
  const now: Record<string, readonly string[] | null> = {}
  for (const mapping of mappings) {
    const shape = targets.get(tableName(mapping.target))
    now[tableName(mapping.target)] = shape?.columns.map(({ name }) => name.toLowerCase()) ?? null
  }
  const noted = await sink.definitions?.note(
    event.id,
    JSON.stringify(now),
    mappings.map((mapping) => tableName(mapping.source)),
  )
  const seen = noted === undefined ? now : (JSON.parse(noted) as typeof now)
  return Promise.all(
    mappings.map(async (mapping) => {
      const name = tableName(mapping.target)
      const columns = name in seen ? seen[name] : now[name]
      const shape = shapeOf.get(tableName(mapping.source))
      const definition =
        shape === undefined ? null : ((await source.definitions?.read(mapping.source)) ?? null)
      // Gone between the two looks.
      const isGone = shape === undefined || (definition === null && source.definitions !== undefined)
      return {
        id: mapping.source,
        mapping,
        source: isGone ? null : { shape, definition },
        target: targets.get(name) ?? null,
        seen: columns === null || columns === undefined ? null : new Set(columns),
      }
    }),
  )
}

const unique = (ids: readonly TableId[]): TableId[] => [
  ...new Map(ids.map((id) => [tableName(id), id])).values(),
]

/** The target's name of a column by whichever case the statement wrote it; null: not carried. */
export function targetNameIn({ source, mapping }: MetTable, column: string): string | null {
  const known = source?.shape.columns.find(({ name }) => name.toLowerCase() === column.toLowerCase())
  return mapColumn(mapping.rule, known?.name ?? column)
}

/**
 * Does at the target what an alteration needs there.
 * @returns what was done now
 * @throws SYNC-2301 with the statement that a person is asked for
 */
export async function alterTarget(
  context: TargetChangeContext,
  table: MetTable,
  alteration: Alteration,
  indexes: 'named' | 'all',
): Promise<readonly NeededChange[]> {
  const { target, sink, options, event, isAcknowledged } = context
  const definition = table.source?.definition ?? null
  if (table.target === null || table.source === null || definition === null) return []
  const { mapping } = table
  const needed =
    (await target.neededChanges?.({
      definition,
      mapping: {
        source: mapping.source,
        target: mapping.target,
        columns: mappedColumns(
          mapping.rule,
          table.source.shape.columns.map(({ name }) => name),
        ),
      },
      targetName: (column) => targetNameIn(table, column),
      alteration,
      indexes,
    })) ?? []
  const { apply, block } = decide(needed, policiesOf(options))
  // Whoever resumed has decided on what the rows do not need; what they do need is asked for again.
  const open = block.filter(({ kind }) => !(isAcknowledged && (kind === 'addIndex' || kind === 'dropIndex')))
  if (open.length > 0) {
    throw new SyncError(
      'SYNC-2301',
      `The source ran: ${context.words}. The pipeline leaves it to a person (${[...new Set(open.map(({ kind }) => `schemaChanges.${kind}: block`))].join(', ')})`,
      {
        remedy: `Do at the target what it needs, then resume: ALTER TABLE ${quoted(mapping.target)} ${clausesOf(needed).join(', ')};`,
        details: { at: event.id },
      },
    )
  }
  const clauses = clausesOf(apply)
  if (clauses.length === 0 || sink.definitions === undefined) return []
  await sink.definitions.run(event.id, [{ do: 'alter', table: mapping.target, clauses }])
  return apply
}

const clausesOf = (changes: readonly NeededChange[]): string[] =>
  changes.map(({ clause }) => clause).filter((clause) => clause !== '')

const quoted = ({ schema, name }: TableId): string =>
  [schema, name].map((part) => `\`${part.replaceAll('`', '``')}\``).join('.')

/** That the target has a table which the source dropped, with its rows. */
export const keptNote = (table: TableId): string => `kept ${tableName(table)}`

/** Creates what the target lacks of the tables that a statement made. @throws SYNC-2301, SYNC-2304 */
export async function createTables(
  context: TargetChangeContext,
  tables: readonly MetTable[],
  isLoaded: (table: string) => boolean,
): Promise<void> {
  const { target, sink, options, event, isAcknowledged, words } = context
  const policy = policiesOf(options).createTable
  const actions: DefinitionAction[] = []
  for (const { id, mapping, source, target: there } of tables) {
    if (source === null) continue
    if (there !== null) {
      const isOld =
        !isLoaded(tableName(id)) || ((await sink.definitions?.recall(keptNote(id))) ?? null) !== null
      if (
        options.load.enabled &&
        isOld &&
        !isAcknowledged &&
        (await target.hasRows?.(mapping.target)) === true
      ) {
        throw new SyncError(
          'SYNC-2304',
          `The source ran: ${words}. ${tableName(mapping.target)} is there already at the target, with rows that the pipeline did not write`,
          { details: { at: event.id } },
        )
      }
      continue
    }
    if (policy === 'ignore') continue
    if (policy === 'block' || sink.definitions === undefined || source.definition === null) {
      throw new SyncError(
        'SYNC-2301',
        `The source ran: ${words}. ${tableName(mapping.target)} does not exist at the target`,
        {
          remedy: `Create ${quoted(mapping.target)} at the target, then resume. It is loaded.`,
          details: { at: event.id },
        },
      )
    }
    const { rules } = options
    const columns = mappedColumns(
      mapping.rule,
      source.shape.columns.map(({ name }) => name),
    )
    actions.push({
      do: 'create',
      definition: source.definition,
      mapping: { source: mapping.source, target: mapping.target, columns },
      targetOf: (other) => targetInAnyShard(rules, other),
    })
  }
  if (actions.length > 0) await sink.definitions?.run(event.id, actions)
  await sink.definitions?.forget(tables.map(({ id }) => keptNote(id)))
}

/** Runs an action that needs no look beforehand but at what is there. @throws SYNC-2301 where this target cannot */
export async function runActions(
  context: TargetChangeContext,
  actions: readonly DefinitionAction[],
): Promise<void> {
  if (actions.length === 0) return
  if (context.sink.definitions === undefined)
    throw new SyncError('SYNC-2301', `The source ran: ${context.words}. This target takes no definitions`, {
      details: { at: context.event.id },
    })
  await context.sink.definitions.run(context.event.id, actions)
}

/**
 * What has become of a table that was exchanged as a whole: as if one ALTER TABLE had done it. Renamed columns cannot be told from new ones.
 */
export function alterationBetween(table: MetTable): Alteration {
  const { source, target } = table
  if (source === null || target === null) return noAlteration
  const there = new Map(target.columns.map((column) => [column.name.toLowerCase(), column]))
  const carried = source.shape.columns.flatMap((column) => {
    const name = targetNameIn(table, column.name)
    return name === null ? [] : [{ column, other: there.get(name.toLowerCase()) }]
  })
  return {
    ...noAlteration,
    added: carried.filter(({ other }) => other === undefined).map(({ column }) => column.name),
    changed: carried
      .filter(({ column, other }) => other !== undefined && !isAlike(column, other))
      .map(({ column }) => ({ from: column.name, to: column.name })),
  }
}

const isAlike = (a: Column, b: Column): boolean =>
  a.type.sql === b.type.sql &&
  a.type.charset === b.type.charset &&
  a.type.collation === b.type.collation &&
  a.generated === b.generated
