/**
 * GET /v1/pipelines/{name}/quarantine: the tables that are parked, as the engine told of them last; also while none runs.
 * POST .../quarantine/rejoin: a person's word that the cause is mended. Answers once the workflow has taken it.
 */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { SyncError } from '../../core/errors.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { recorded } from '../recorded.ts'
import { documentBody, nameParam, parsedBody, problems } from '../request.ts'
import { statusOfPipeline } from '../status.ts'
import { parkedTable, pipelineStatus, tableToRejoin } from '../wire.ts'

export function mountPipelineQuarantine(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { store, workflows } = deps
  app.openAPIRegistry.register('TableToRejoin', tableToRejoin)

  const assertThere = (name: string): void => {
    if (store.pipelines.get(name) === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
  }

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines/{name}/quarantine',
      operationId: 'listParkedTables',
      tags: ['pipelines'],
      summary: 'Tables that are parked, and why',
      request: { params: nameParam },
      responses: {
        200: {
          description: 'In the order in which they were parked',
          content: { 'application/json': { schema: z.object({ items: z.array(parkedTable) }) } },
        },
        ...problems(404),
      },
    }),
    (c) => {
      const { name } = c.req.valid('param')
      assertThere(name)
      return c.json({ items: store.parkedTables.list(name) }, 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/pipelines/{name}/quarantine/rejoin',
      operationId: 'rejoinTable',
      tags: ['pipelines'],
      summary:
        'Let a parked table rejoin: its rows at the target are removed, and it is loaded beside the stream',
      request: { params: nameParam, body: documentBody('TableToRejoin') },
      responses: {
        200: {
          description: 'How the pipeline stands now',
          content: { 'application/json': { schema: pipelineStatus } },
        },
        ...problems(404, 409, 503, 504),
      },
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      const requester = c.get('requester')
      await recorded(store, requester, { action: 'rejoin', kind: 'Pipeline', name }, async (done) => {
        assertThere(name)
        const { table } = await parsedBody(c, tableToRejoin)
        const parked = store.parkedTables.list(name).find((entry) => entry.table === table)
        if (parked === undefined)
          throw new SyncError('SYNC-3305', `table ${table} of pipeline ${name} is not parked`)
        const { parking } = parked
        if ((await workflows.command(name, 'rejoin', { actor: requester.actor, table, parking })) === null)
          throw new SyncError('SYNC-1104', `cannot rejoin: pipeline ${name} does not run`, {
            remedy: `Start it with \`syncline resume ${name}\`.`,
          })
        done({ table })
      })
      return c.json(await statusOfPipeline(deps, name), 200)
    },
  )
}
