/** /healthz: the process answers. /readyz: it can do its work, which needs the store and Temporal. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { asSyncError } from '../../core/errors.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'

const part = z.object({ ok: z.boolean(), code: z.string().optional(), message: z.string().optional() })
const readiness = z.object({ ready: z.boolean(), store: part, temporal: part }).openapi('Readiness')
const health = z.object({ status: z.literal('ok') })

export function mountHealth(app: OpenAPIHono<ApiEnv>, { store, workflows }: ApiDeps): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/healthz',
      operationId: 'health',
      tags: ['health'],
      summary: 'The process answers',
      responses: { 200: { description: 'It does', content: { 'application/json': { schema: health } } } },
    }),
    (c) => c.json({ status: 'ok' as const }, 200),
  )

  app.openapi(
    createRoute({
      method: 'get',
      path: '/readyz',
      operationId: 'ready',
      tags: ['health'],
      summary: 'The store and Temporal answer',
      responses: {
        200: { description: 'Both do', content: { 'application/json': { schema: readiness } } },
        503: { description: 'One does not', content: { 'application/json': { schema: readiness } } },
      },
    }),
    async (c) => {
      const [storePart, temporal] = await Promise.all([
        probe(() => store.ping()),
        probe(() => workflows.ping()),
      ])
      const ready = storePart.ok && temporal.ok
      return c.json({ ready, store: storePart, temporal }, ready ? 200 : 503)
    },
  )
}

async function probe(work: () => void | Promise<void>): Promise<z.output<typeof part>> {
  try {
    await work()
    return { ok: true }
  } catch (error) {
    const { code, message } = asSyncError(error)
    return { ok: false, code, message }
  }
}
