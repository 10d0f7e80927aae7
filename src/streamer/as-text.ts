/**
 * May the rows of a table be passed on as text, and which columns of it?
 *
 * Asked before a chunk is read, when the stream may not have come to the statement that explains why a table cannot be routed. So that is no
 * answer here: such a chunk is read as rows, and its route is asked again when it is handed out, which is behind every statement that the
 * chunk's definition knows of. Reads and changes nothing.
 */
import type { AsText, Sink } from '../connectors/contract.ts'
import { SyncError } from '../core/errors.ts'
import type { TableShape } from '../core/schema.ts'
import type { Route, Router } from './router.ts'

export function asTextOf(router: Router, sink: Pick<Sink, 'textFormat'>, shape: TableShape): AsText | null {
  const route = routeIfAny(router, shape)
  const format = route === null ? null : sink.textFormat(route.destination)
  return route === null || format === null ? null : { format, columns: route.ordinals }
}

function routeIfAny(router: Router, shape: TableShape): Route | null {
  try {
    return router.route(shape)
  } catch (error) {
    if (error instanceof SyncError) return null
    throw error
  }
}
