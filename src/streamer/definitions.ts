/**
 * The tables of both ends as they are now, and the routes between them. Read anew by every session and after every definition change.
 */
import type { Source, Target } from '../connectors/contract.ts'
import { asSyncError } from '../core/errors.ts'
import type { TableShape } from '../core/schema.ts'
import { mapTables, ruleFor, schemaInScope } from './mapping.ts'
import type { TableRule } from './options.ts'
import { createRouter, type Router } from './router.ts'

export interface Definitions {
  readonly router: Router
  /** Source tables that take part. */
  readonly shapes: readonly TableShape[]
  /** Target tables by name; a missing one is absent. */
  readonly targets: ReadonlyMap<string, TableShape>
}

const attempts = 3

/**
 * What does not fit is known before the first row, not at it. A table that was made at the source a moment ago may be missing at the target
 * only because nobody has looked since, so the pre-checks look (and create what may be created) before anything is said.
 * @throws SyncError where a table cannot be routed
 */
export async function readDefinitions(
  source: Source,
  target: Target,
  rules: readonly TableRule[],
  recheck: () => Promise<void>,
): Promise<Definitions> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readOnce(source, target, rules)
    } catch (error) {
      if (attempt === attempts || asSyncError(error).disposition !== 'block') throw error
      await recheck()
    }
  }
}

async function readOnce(source: Source, target: Target, rules: readonly TableRule[]): Promise<Definitions> {
  const schemas = (await source.schemas()).filter((schema) => schemaInScope(rules, schema))
  const shapes = (await source.tables(schemas)).filter((shape) => ruleFor(rules, shape.id) !== null)
  const mappings = mapTables(
    rules,
    shapes.map((shape) => shape.id),
  )
  const targets = await target.tables(mappings.map((mapping) => mapping.target))
  const router = createRouter(rules, shapes, targets)
  for (const shape of shapes) router.route(shape)
  return { router, shapes, targets }
}
