/**
 * POST /v1/pipelines/{name}/add-tables and /remove-tables: what a pipeline carries, while it streams.
 *
 * Both change the stored document, as an apply of a changed file would (change-pipeline.ts), and answer once the workflow has taken the change or
 * holds it back, or after 10 s while it is still being checked.
 */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { acceptDocument, checkPipeline } from '../../config/document.ts'
import type { Pipeline } from '../../config/pipeline.ts'
import { withoutTables, withTables } from '../../config/table-selection.ts'
import { SyncError } from '../../core/errors.ts'
import { assertFits, changePipeline } from '../change-pipeline.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { documentBody, expectedGeneration, nameParam, parsedBody, problems } from '../request.ts'
import { appliedPipeline, removedTables, tablesToAdd } from '../wire.ts'
import { pipelineResourceOf } from './pipelines.ts'

const actions = {
  'add-tables': {
    operationId: 'addPipelineTables',
    summary: 'Let tables join: checked beside the stream, then loaded beside it',
    body: 'TablesToAdd',
  },
  'remove-tables': {
    operationId: 'removePipelineTables',
    summary: 'Let tables leave; their rows at the target stay',
    body: 'RemovedTables',
  },
} as const

export function mountPipelineTables(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openAPIRegistry.register('TablesToAdd', tablesToAdd)
  app.openAPIRegistry.register('RemovedTables', removedTables)
  for (const action of Object.keys(actions) as (keyof typeof actions)[]) {
    const { operationId, summary, body } = actions[action]
    app.openapi(
      createRoute({
        method: 'post',
        path: `/v1/pipelines/{name}/${action}`,
        operationId,
        tags: ['pipelines'],
        summary,
        request: { params: nameParam, body: documentBody(body) },
        responses: {
          200: {
            description: 'Stored, with what it changed and what became of it',
            content: { 'application/json': { schema: appliedPipeline } },
          },
          ...problems(404, 409, 412, 422, 503, 504),
        },
      }),
      async (c) => {
        const { name } = c.req.valid('param')
        const { record, ...rest } = await changePipeline(deps, c.get('requester'), {
          action,
          name,
          expected: () => expectedGeneration(c),
          async read() {
            const change = action === 'add-tables' ? await reading.add(c) : await reading.remove(c)
            return (before) => {
              if (before === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
              const tables = change(before)
              const document = { ...before, spec: { ...before.spec, tables } }
              return assertFits(deps, acceptDocument(checkPipeline(document)))
            }
          },
        })
        c.header('ETag', `"${record.generation}"`)
        return c.json({ ...rest, resource: pipelineResourceOf(record) }, 200)
      },
    )
  }
}

type Body = Parameters<typeof parsedBody>[0]

const reading = {
  async add(c: Body): Promise<(before: Pipeline) => unknown> {
    const { tables } = await parsedBody(c, tablesToAdd)
    const rules = tables.map((table) => (typeof table === 'string' ? { match: table } : table))
    return ({ spec }) => withTables(spec.tables, rules)
  },
  async remove(c: Body): Promise<(before: Pipeline) => unknown> {
    const { tables } = await parsedBody(c, removedTables)
    return ({ spec }) => withoutTables(spec.tables, tables)
  },
}
