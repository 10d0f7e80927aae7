/** POST /v1/pipelines/{name}/limits: how fast a pipeline may load and stream, from now on and without a restart. */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { acceptDocument, checkPipeline } from '../../config/document.ts'
import type { Pipeline } from '../../config/pipeline.ts'
import { SyncError } from '../../core/errors.ts'
import { assertFits, changePipeline } from '../change-pipeline.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { documentBody, expectedGeneration, nameParam, parsedBody, problems } from '../request.ts'
import { appliedPipeline, type LimitsChange, limitsChange } from '../wire.ts'
import { pipelineResourceOf } from './pipelines.ts'

export function mountPipelineLimits(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openAPIRegistry.register('LimitsChange', limitsChange)
  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/pipelines/{name}/limits',
      operationId: 'setPipelineLimits',
      tags: ['pipelines'],
      summary: 'Set or lift limits of the load and the stream; a running engine goes by them within a second',
      request: { params: nameParam, body: documentBody('LimitsChange') },
      responses: {
        200: {
          description: 'Stored, with what it changed',
          content: { 'application/json': { schema: appliedPipeline } },
        },
        ...problems(404, 409, 412, 422, 503, 504),
      },
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      const applied = await changePipeline(deps, c.get('requester'), {
        action: 'set-limits',
        name,
        expected: () => expectedGeneration(c),
        async read() {
          const change = await parsedBody(c, limitsChange)
          return (before) => {
            if (before === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
            return assertFits(deps, acceptDocument(checkPipeline(withLimits(before, change))))
          }
        },
      })
      const { record, ...rest } = applied
      c.header('ETag', `"${record.generation}"`)
      return c.json({ ...rest, resource: pipelineResourceOf(record) }, 200)
    },
  )
}

/** @throws SyncError SYNC-1102 where nothing is asked for */
function withLimits(document: Pipeline, change: LimitsChange): unknown {
  const fields = [...Object.entries(change.load ?? {}), ...Object.entries(change.stream ?? {})]
  if (fields.length === 0) throw new SyncError('SYNC-1102', 'no limit is named')
  const { load, stream } = document.spec
  return {
    ...document,
    spec: { ...document.spec, load: merged(load, change.load), stream: merged(stream, change.stream) },
  }
}

/** null takes a field away. */
const merged = (part: object, change: object = {}): unknown =>
  Object.fromEntries(Object.entries({ ...part, ...change }).filter(([, value]) => value !== null))
