/** GET /v1/pipelines/{name}/statistics: what a pipeline's engines have counted, and its tables page by page. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { SyncError } from '../../core/errors.ts'
import { sumOf } from '../../core/statistics.ts'
import type { TableOrder } from '../../store/reports.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { nameParam, problems } from '../request.ts'
import { statisticsAnswer } from '../wire.ts'

const defaultPageSize = 50

const query = z.object({
  sort: z
    .enum(['rows', 'name'])
    .optional()
    .openapi({ description: 'Order of the tables: most rows first (default), or by name.' }),
  pageSize: z.coerce
    .number()
    .int()
    .min(0)
    .max(500)
    .optional()
    .openapi({ type: 'integer', description: `Tables in a page, 0 to 500; default ${defaultPageSize}.` }),
  pageToken: z.string().optional().openapi({ description: 'nextPageToken of the page before.' }),
})

export function mountPipelineStatistics(app: OpenAPIHono<ApiEnv>, { store }: ApiDeps): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines/{name}/statistics',
      operationId: 'getPipelineStatistics',
      tags: ['pipelines'],
      summary: 'Rows, batches, bytes and times of a pipeline, and rows by table',
      request: { params: nameParam, query },
      responses: {
        200: {
          description: 'The figures, at most some seconds old while the engine runs',
          content: { 'application/json': { schema: statisticsAnswer } },
        },
        ...problems(404),
      },
    }),
    (c) => {
      const { name } = c.req.valid('param')
      if (store.pipelines.get(name) === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
      const { sort, pageSize = defaultPageSize, pageToken } = c.req.valid('query')
      const { order, skip } = placeOf(pageToken, sort)
      const { items, hasMore } = store.reports.tables(name, order, skip, pageSize)
      const engines = store.reports.list(name)
      const shards = engines.flatMap(({ shard, totals }) =>
        shard === null ? [] : [{ shard: shard.index + 1, ...totals }],
      )
      return c.json(
        {
          name,
          statistics: sumOf(engines.map(({ totals }) => totals)),
          shards: shards.length === 0 ? null : shards,
          tables: [...items],
          nextPageToken: hasMore && pageSize > 0 ? tokenOf(order, skip + pageSize) : null,
        },
        200,
      )
    },
  )
}

const tokenOf = (order: TableOrder, skip: number): string =>
  Buffer.from(`${order} ${skip}`).toString('base64url')

/** @throws SyncError SYNC-1102 for a token of something else, or of another order */
function placeOf(
  token: string | undefined,
  sort: TableOrder | undefined,
): { order: TableOrder; skip: number } {
  if (token === undefined) return { order: sort ?? 'rows', skip: 0 }
  const [, order, skip] = /^(rows|name) (\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString()) ?? []
  if (order === undefined || (sort !== undefined && sort !== order))
    throw new SyncError('SYNC-1102', 'pageToken is not one of this list')
  return { order: order as TableOrder, skip: Number(skip) }
}
