/**
 * The tables of both ends as they are now, and the routes between them. Read anew by every session and after every definition change.
 */
import type { LoadProgress, Source, Target } from '../connectors/contract.ts'
import { asSyncError } from '../core/errors.ts'
import { type TableId, type TableShape, tableName } from '../core/schema.ts'
import { mapTables, ruleFor, schemaInScope } from './mapping.ts'
import type { EngineOptions } from './options.ts'
import { createRouter, type Router } from './router.ts'
import { readingsOf } from './scope-progress.ts'

export interface Definitions {
  readonly router: Router
  /** Source tables that take part. */
  readonly shapes: readonly TableShape[]
  /** Target tables by name; a missing one is absent. */
  readonly targets: ReadonlyMap<string, TableShape>
}

const attempts = 3

/**
 * A table that does not fit is no error here: the log may be about to tell why (a statement that the stream has not come to). Whoever knows that
 * it has come to the end of what the catalogue shows calls `assertRoutable`.
 * @param gone source tables that are gone, and whose rows the log still has
 * @throws SyncError where two tables would meet
 */
export async function readDefinitions(
  source: Source,
  target: Target,
  { rules, schemaChanges, load }: EngineOptions,
  loaded: readonly LoadProgress[],
  gone: ReadonlyMap<string, TableId>,
): Promise<Definitions> {
  const schemas = (await source.schemas()).filter((schema) => schemaInScope(rules, schema))
  const known = [...gone.values(), ...loaded.flatMap(({ table }) => readingsOf(table))]
  const shapes = (await source.tables(schemas, known)).filter((shape) => ruleFor(rules, shape.id) !== null)
  const mappings = mapTables(
    rules,
    shapes.map((shape) => shape.id),
  )
  const late = [...gone.values()].flatMap((id) => mapTables(rules, [id]))
  const targets = await target.tables([...mappings, ...late].map((mapping) => mapping.target))
  const begun = new Set(loaded.filter(({ done, after }) => done || after !== null).map(({ table }) => table))
  const router = createRouter(rules, shapes, targets, {
    policies: schemaChanges,
    isLoadedAnew: (table) => load.enabled && !begun.has(table),
    isLookedUp: (id) => gone.has(tableName(id)),
    isLeftOut: (table) => schemaChanges?.createTable === 'ignore' && !begun.has(table),
  })
  return { router, shapes, targets }
}

/** What does not fit is known before the first row, not at it. @throws SyncError where a table cannot be routed */
export function assertRoutable({ router, shapes }: Definitions): void {
  for (const shape of shapes) router.route(shape)
}

/**
 * For a pipeline that has never written. A table that was made at the source a moment ago may be missing at the target only because nobody has
 * looked since, so the pre-checks look (and create what may be created) before anything is said.
 * @throws SyncError where a table cannot be routed
 */
export async function readFirstDefinitions(
  source: Source,
  target: Target,
  options: EngineOptions,
  recheck: () => Promise<void>,
): Promise<Definitions> {
  for (let attempt = 1; ; attempt++) {
    const definitions = await readDefinitions(source, target, options, [], new Map())
    try {
      assertRoutable(definitions)
      return definitions
    } catch (error) {
      if (attempt === attempts || asSyncError(error).disposition !== 'block') throw error
      await recheck()
    }
  }
}
