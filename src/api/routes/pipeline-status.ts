/** GET /v1/pipelines/{name}/status: how a pipeline stands, and what to do if it does not. */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { nameParam, problems } from '../request.ts'
import { statusOfPipeline } from '../status.ts'
import { pipelineStatus } from '../wire.ts'

export function mountPipelineStatus(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines/{name}/status',
      operationId: 'getPipelineStatus',
      tags: ['pipelines'],
      summary: 'State, progress, lag, and what blocks it',
      request: { params: nameParam },
      responses: {
        200: { description: 'The status', content: { 'application/json': { schema: pipelineStatus } } },
        ...problems(404, 503),
      },
    }),
    async (c) => c.json(await statusOfPipeline(deps, c.req.valid('param').name), 200),
  )
}
