/**
 * /v1/pipelines: what is kept in step. PUT is an apply: it stores the document and makes the workflow follow it (change-pipeline.ts).
 */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { acceptDocument, checkPipeline } from '../../config/document.ts'
import type { Pipeline } from '../../config/pipeline.ts'
import { SyncError } from '../../core/errors.ts'
import type { PipelineRecord } from '../../store/pipelines.ts'
import { assertFits, changePipeline, planFor } from '../change-pipeline.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { endVerifications } from '../end-verifications.ts'
import { recorded } from '../recorded.ts'
import {
  bodyOf,
  documentBody,
  expectedGeneration,
  listOf,
  nameParam,
  problems,
  putQuery,
  withNameOfPath,
} from '../request.ts'
import { appliedPipeline, pipelineResource } from '../wire.ts'

const deleteQuery = z.object({
  force: z.enum(['true', 'false']).optional().openapi({
    description:
      'true: end the workflow where it stands, without a drain. For a pipeline that no worker serves any more.',
  }),
})

export function mountPipelines(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { store, workflows, drainWithinMs = 30_000 } = deps

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines',
      operationId: 'listPipelines',
      tags: ['pipelines'],
      summary: 'All pipelines, by name',
      responses: { 200: listOf(pipelineResource), ...problems() },
    }),
    (c) => c.json({ items: store.pipelines.list().map(pipelineResourceOf) }, 200),
  )

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines/{name}',
      operationId: 'getPipeline',
      tags: ['pipelines'],
      summary: 'One pipeline',
      request: { params: nameParam },
      responses: {
        200: { description: 'The pipeline', content: { 'application/json': { schema: pipelineResource } } },
        ...problems(404),
      },
    }),
    (c) => {
      const record = existing(c.req.valid('param').name)
      c.header('ETag', `"${record.generation}"`)
      return c.json(pipelineResourceOf(record), 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'put',
      path: '/v1/pipelines/{name}',
      operationId: 'applyPipeline',
      tags: ['pipelines'],
      summary: 'Create or change a pipeline and start it, or see what a change would do',
      request: { params: nameParam, query: putQuery, body: documentBody('Pipeline') },
      responses: {
        200: {
          description: 'Applied, or what would be',
          content: { 'application/json': { schema: appliedPipeline } },
        },
        201: { description: 'Created', content: { 'application/json': { schema: appliedPipeline } } },
        ...problems(409, 412, 422, 503, 504),
      },
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      const input = await bodyOf(c)
      const make = (): Pipeline =>
        assertFits(deps, acceptDocument(checkPipeline(withNameOfPath(input, name))))
      if (c.req.valid('query').dryRun === 'true') {
        const plan = planFor(deps, make())
        const before = store.pipelines.get(name)
        const resource = before === null ? null : pipelineResourceOf(before)
        return c.json({ change: 'dry-run' as const, plan, resource, workflow: null }, 200)
      }
      const expected = () => expectedGeneration(c)
      const applied = await changePipeline(deps, c.get('requester'), {
        action: 'apply',
        name,
        expected,
        read: async () => make,
      })
      c.header('ETag', `"${applied.record.generation}"`)
      const { change, plan, workflow } = applied
      const answer = { change, plan, workflow, resource: pipelineResourceOf(applied.record) }
      return c.json(answer, change === 'created' ? 201 : 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/pipelines/{name}',
      operationId: 'deletePipeline',
      tags: ['pipelines'],
      summary: 'Drain and delete a pipeline; the rows at the target stay',
      request: { params: nameParam, query: deleteQuery },
      responses: { 204: { description: 'Deleted' }, ...problems(404, 409, 412, 503, 504) },
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      const force = c.req.valid('query').force === 'true'
      const requester = c.get('requester')
      const { actor } = requester
      await recorded(store, requester, { action: 'delete', kind: 'Pipeline', name }, async (done) => {
        const { generation } = existing(name)
        const expected = expectedGeneration(c)
        if (expected !== undefined && expected !== generation) {
          throw new SyncError('SYNC-1103', `pipeline ${name} is at generation ${generation}, not ${expected}`)
        }
        await workflows.ping()
        store.pipelines.want(name, 'delete')
        if (force) await workflows.terminate(name, `deleted by ${actor} without a drain`)
        else await stop(name, actor)
        await endVerifications(deps, name, actor)
        store.write(() => {
          store.pipelines.delete(name)
          done({ force })
        })
      })
      return c.body(null, 204)
    },
  )

  const stop = async (name: string, actor: string): Promise<void> => {
    try {
      await workflows.requestStop(name, actor)
    } catch (error) {
      // Refused because it is stopping already: all the better.
      if (!(error instanceof SyncError) || error.code !== 'SYNC-1104') throw error
    }
    if (await workflows.ended(name, drainWithinMs)) return
    throw new SyncError('SYNC-1104', `pipeline ${name} has not drained within ${drainWithinMs / 1000} s`, {
      remedy: 'Repeat the deletion to wait on, or delete with force=true to end it without a drain.',
    })
  }

  const existing = (name: string): PipelineRecord => {
    const record = store.pipelines.get(name)
    if (record === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
    return record
  }
}

export const pipelineResourceOf = ({
  document,
  generation,
  wanted,
  createdAt,
  updatedAt,
}: PipelineRecord) => ({
  document,
  generation,
  wanted,
  createdAt,
  updatedAt,
})
