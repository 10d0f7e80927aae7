/**
 * What every request carries, and what the handlers stand on.
 *
 * Who asks: `X-Syncline-Actor`, taken at its word while the server is bound to this host alone; otherwise `anonymous@<address>`. Every
 * request has an id, given back as `X-Request-Id` and kept in the audit log.
 */
import { randomUUID } from 'node:crypto'
import { getConnInfo } from '@hono/node-server/conninfo'
import type { Context, MiddlewareHandler } from 'hono'
import { SyncError } from '../core/errors.ts'
import type { Store } from '../store/store.ts'
import type { PipelineWorkflows } from './pipeline-workflows.ts'

export interface ApiDeps {
  readonly store: Store
  readonly workflows: PipelineWorkflows
  /** How long a deletion waits for the drain, in milliseconds; default 30,000. */
  readonly drainWithinMs?: number
  /** Told of every answer with a status of 500 and above. */
  readonly onFailure?: (error: SyncError, requestId: string) => void
}

export interface Requester {
  readonly actor: string
  readonly requestId: string
}

export interface ApiEnv {
  Variables: { requester: Requester }
}

const printable = /^[\x20-\x7e]{1,128}$/

export const identify: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const given = c.req.header('x-request-id')
  const requestId = given !== undefined && printable.test(given) ? given : randomUUID()
  c.header('X-Request-Id', requestId)
  const actor = c.req.header('x-syncline-actor')?.trim()
  if (actor !== undefined && !printable.test(actor)) {
    throw new SyncError('SYNC-1102', 'X-Syncline-Actor must be 1 to 128 printable ASCII characters')
  }
  c.set('requester', { actor: actor ?? `anonymous@${remoteAddress(c)}`, requestId })
  await next()
}

/** A browser sends Origin with every request that a page of another site makes it send; programs send none. */
export const refuseOtherSites: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const origin = c.req.header('origin')
  if (origin !== undefined && c.req.method !== 'GET' && c.req.method !== 'HEAD') {
    const host = URL.canParse(origin) ? new URL(origin).host : null
    if (host !== new URL(c.req.url).host) {
      throw new SyncError('SYNC-1109', `${c.req.method} ${c.req.path} from ${origin}`)
    }
  }
  await next()
}

function remoteAddress(c: Context): string {
  // Requests made inside the process (tests) have no socket.
  if (c.env === undefined || !('incoming' in (c.env as object))) return 'local'
  return getConnInfo(c).remote.address ?? 'unknown'
}
