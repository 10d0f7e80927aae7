/** GET /v1/audit: who did what, newest first, refused requests too. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { problems } from '../request.ts'
import { auditRecord } from '../wire.ts'

const query = z.object({
  kind: z.enum(['Endpoint', 'Pipeline']).optional(),
  name: z.string().optional().openapi({ description: 'Only entries of the resource of this name.' }),
  pageSize: z.coerce.number().int().min(1).max(500).default(100).openapi({ type: 'integer' }),
  pageToken: z
    .string()
    .regex(/^\d+$/)
    .optional()
    .openapi({ description: 'nextPageToken of the answer before.' }),
})

const page = z.object({ items: z.array(auditRecord), nextPageToken: z.string().nullable() })

export function mountAudit(app: OpenAPIHono<ApiEnv>, { store }: ApiDeps): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/audit',
      operationId: 'listAudit',
      tags: ['audit'],
      summary: 'Who did what, newest first',
      request: { query },
      responses: {
        200: { description: 'A page of entries', content: { 'application/json': { schema: page } } },
        ...problems(),
      },
    }),
    (c) => {
      const { kind, name, pageSize, pageToken } = c.req.valid('query')
      const items = store.audit.list({
        ...(kind === undefined ? {} : { kind }),
        ...(name === undefined ? {} : { name }),
        ...(pageToken === undefined ? {} : { before: Number(pageToken) }),
        limit: pageSize + 1,
      })
      const shown = items.slice(0, pageSize)
      const nextPageToken = items.length > pageSize ? String(shown.at(-1)?.seq) : null
      return c.json({ items: shown, nextPageToken }, 200)
    },
  )
}
