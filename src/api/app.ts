/**
 * The HTTP API: every route, the OpenAPI document made from them, and one way to tell errors.
 *
 * Built from its dependencies alone: tests call `app.request(...)` without a socket, the server (src/server.ts) gives it one.
 */
import { OpenAPIHono } from '@hono/zod-openapi'
import { bodyLimit } from 'hono/body-limit'
import { z } from 'zod'
import { endpoint } from '../config/endpoint.ts'
import { pipeline } from '../config/pipeline.ts'
import { asSyncError, SyncError } from '../core/errors.ts'
import { type ApiDeps, type ApiEnv, identify, refuseOtherSites } from './context.ts'
import { problemAnswer, statusOf } from './problem.ts'
import { requestError } from './request.ts'
import { mountAudit } from './routes/audit.ts'
import { mountEndpoints } from './routes/endpoints.ts'
import { mountHealth } from './routes/health.ts'
import { mountPipelineActions } from './routes/pipeline-actions.ts'
import { mountPipelineLimits } from './routes/pipeline-limits.ts'
import { mountPipelineQuarantine } from './routes/pipeline-quarantine.ts'
import { mountPipelineStatistics } from './routes/pipeline-statistics.ts'
import { mountPipelineStatus } from './routes/pipeline-status.ts'
import { mountPipelineTables } from './routes/pipeline-tables.ts'
import { mountPipelines } from './routes/pipelines.ts'
import { mountRepairs } from './routes/repairs.ts'
import { mountVerifications } from './routes/verifications.ts'

/** A pipeline of 10,000 rules is about 2 MB. */
const maxBodyBytes = 8 * 1024 * 1024

export function createApp(deps: ApiDeps): OpenAPIHono<ApiEnv> {
  const app = new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (result.success) return
      throw requestError(result.error.issues)
    },
  })
  app.onError((thrown, c) => {
    const error = asSyncError(thrown)
    if (statusOf(error.code) >= 500) deps.onFailure?.(error, c.get('requester')?.requestId ?? '')
    return problemAnswer(c, error)
  })
  app.notFound((c) =>
    problemAnswer(
      c,
      new SyncError('SYNC-1101', `there is no ${c.req.method} ${c.req.path}`, {
        remedy: 'See /v1/openapi.json.',
      }),
    ),
  )
  app.use(identify)
  app.use(refuseOtherSites)
  app.use(
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: () => {
        throw new SyncError('SYNC-1102', `the body is larger than ${maxBodyBytes / 1024 / 1024} MiB`)
      },
    }),
  )
  mountEndpoints(app, deps)
  mountPipelines(app, deps)
  mountPipelineActions(app, deps)
  mountPipelineLimits(app, deps)
  mountPipelineTables(app, deps)
  mountPipelineQuarantine(app, deps)
  mountPipelineStatus(app, deps)
  mountPipelineStatistics(app, deps)
  mountVerifications(app, deps)
  mountRepairs(app, deps)
  mountAudit(app, deps)
  mountHealth(app, deps)
  for (const [name, schema] of Object.entries({ Endpoint: endpoint, Pipeline: pipeline })) {
    const { $schema: _, ...component } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' })
    app.openAPIRegistry.registerComponent('schemas', name, component as never)
  }
  app.get('/v1/openapi.json', (c) => c.json(openApiDocument(app)))
  return app
}

export const openApiDocument = (app: OpenAPIHono<ApiEnv>) =>
  app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Syncline',
      version: 'v1',
      description: 'Endpoints and pipelines. Errors are application/problem+json with a code and a remedy.',
    },
    tags: [
      { name: 'endpoints', description: 'Stores that pipelines read from and write to.' },
      { name: 'pipelines', description: 'What is kept in step.' },
      { name: 'verifications', description: 'Comparisons of both ends, and repairs of what differs.' },
      { name: 'audit', description: 'Who did what.' },
      { name: 'health', description: 'For load balancers and supervisors.' },
    ],
  })
