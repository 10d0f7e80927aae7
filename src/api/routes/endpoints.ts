/**
 * /v1/endpoints: the stores that pipelines read from and write to.
 *
 * PUT is an apply: the same document twice changes nothing. A change reaches the pipelines that use the endpoint as a restart of their stream.
 */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { acceptDocument, checkEndpoint } from '../../config/document.ts'
import { SyncError } from '../../core/errors.ts'
import type { EndpointRecord } from '../../store/endpoints.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { assertAccepted, planEndpoint } from '../plan.ts'
import { reconcile } from '../reconcile.ts'
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
import { appliedEndpoint, endpointResource } from '../wire.ts'

export function mountEndpoints(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { store, workflows } = deps

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/endpoints',
      operationId: 'listEndpoints',
      tags: ['endpoints'],
      summary: 'All endpoints, by name',
      responses: { 200: listOf(endpointResource), ...problems() },
    }),
    (c) => c.json({ items: store.endpoints.list().map(resourceOf) }, 200),
  )

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/endpoints/{name}',
      operationId: 'getEndpoint',
      tags: ['endpoints'],
      summary: 'One endpoint',
      request: { params: nameParam },
      responses: {
        200: { description: 'The endpoint', content: { 'application/json': { schema: endpointResource } } },
        ...problems(404),
      },
    }),
    (c) => {
      const record = existing(c.req.valid('param').name)
      c.header('ETag', `"${record.generation}"`)
      return c.json(resourceOf(record), 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'put',
      path: '/v1/endpoints/{name}',
      operationId: 'applyEndpoint',
      tags: ['endpoints'],
      summary: 'Create or change an endpoint, or see what a change would do',
      request: { params: nameParam, query: putQuery, body: documentBody('Endpoint') },
      responses: {
        200: {
          description: 'Applied, or what would be',
          content: { 'application/json': { schema: appliedEndpoint } },
        },
        201: { description: 'Created', content: { 'application/json': { schema: appliedEndpoint } } },
        ...problems(409, 412, 422, 503, 504),
      },
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      const input = await bodyOf(c)
      if (c.req.valid('query').dryRun === 'true') {
        const document = acceptDocument(checkEndpoint(withNameOfPath(input, name)))
        const before = store.endpoints.get(name)
        const plan = planEndpoint(before?.document ?? null, document, usersOf(name))
        return c.json(
          { change: 'dry-run' as const, plan, resource: before === null ? null : resourceOf(before) },
          200,
        )
      }
      const requester = c.get('requester')
      const what = { action: 'apply', kind: 'Endpoint', name } as const
      const applied = await recorded(store, requester, what, async (done) => {
        const document = acceptDocument(checkEndpoint(withNameOfPath(input, name)))
        const expected = expectedGeneration(c)
        const users = store.pipelines.using(name)
        if (users.length > 0) await workflows.ping()
        const result = store.write(() => {
          const plan = planEndpoint(store.endpoints.get(name)?.document ?? null, document, usersOf(name))
          assertAccepted(plan, `endpoint ${name}`)
          const change = store.endpoints.apply(document, requester.actor, expected)
          if (change.change !== 'unchanged')
            done({ generation: change.record.generation, fields: plan.fields })
          return { ...change, plan }
        })
        // Also without a change: an apply before this one may have been cut off between the store and the workflows.
        for (const pipeline of users) await reconcile(deps, pipeline, requester.actor)
        return result
      })
      c.header('ETag', `"${applied.record.generation}"`)
      const answer = { change: applied.change, plan: applied.plan, resource: resourceOf(applied.record) }
      return c.json(answer, applied.change === 'created' ? 201 : 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/endpoints/{name}',
      operationId: 'deleteEndpoint',
      tags: ['endpoints'],
      summary: 'Delete an endpoint that no pipeline uses',
      request: { params: nameParam },
      responses: { 204: { description: 'Deleted' }, ...problems(404, 409, 412) },
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      await recorded(
        store,
        c.get('requester'),
        { action: 'delete', kind: 'Endpoint', name },
        async (done) => {
          const expected = expectedGeneration(c)
          store.write(() => {
            store.endpoints.delete(name, expected)
            done(null)
          })
        },
      )
      return c.body(null, 204)
    },
  )

  const existing = (name: string): EndpointRecord => {
    const record = store.endpoints.get(name)
    if (record === null) throw new SyncError('SYNC-1101', `there is no endpoint ${name}`)
    return record
  }
  const usersOf = (endpoint: string) =>
    store.pipelines
      .using(endpoint)
      .map((name) => ({ name, written: store.pipelines.writtenGenerations(name).length > 0 }))
}

const resourceOf = ({ document, generation, createdAt, updatedAt }: EndpointRecord) => ({
  document,
  generation,
  createdAt,
  updatedAt,
})
