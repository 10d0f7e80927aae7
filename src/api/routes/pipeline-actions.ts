/**
 * POST /v1/pipelines/{name}/pause, /resume, /stop: what a person tells a pipeline to do.
 *
 * Answers with the status once the pipeline has got there, or after 10 s with the status on the way. What does not fit the state is
 * refused (SYNC-1104) and changes nothing; `stop` of what is stopped is fine.
 */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { SyncError } from '../../core/errors.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { reconcile } from '../reconcile.ts'
import { recorded } from '../recorded.ts'
import { nameParam, problems } from '../request.ts'
import { statusOfPipeline } from '../status.ts'
import { pipelineStatus } from '../wire.ts'

const summaries = {
  pause: 'Drain and wait; the position is kept',
  resume: 'Go on: after a pause, after what blocked it was mended, or after a stop',
  stop: 'Drain and end; resume starts it again from its position',
} as const

type Action = keyof typeof summaries

export function mountPipelineActions(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { store, workflows } = deps
  const perform: Record<Action, (name: string, actor: string) => Promise<void>> = {
    async pause(name, actor) {
      if ((await workflows.command(name, 'pause', { actor })) === null) throw notRunning(name, 'pause')
    },
    async resume(name, actor) {
      await workflows.ping()
      const { wanted } = assertNotDeleting(name)
      store.pipelines.want(name, 'run')
      const found = await workflows.describe(name)
      try {
        if (found?.isRunning !== true || wanted === 'stop') await reconcile(deps, name, actor)
        else await workflows.command(name, 'resume', { actor })
      } catch (error) {
        store.pipelines.want(name, wanted)
        throw error
      }
    },
    async stop(name, actor) {
      await workflows.ping()
      const { wanted } = assertNotDeleting(name)
      store.pipelines.want(name, 'stop')
      try {
        await workflows.command(name, 'stop', { actor })
      } catch (error) {
        if (error instanceof SyncError && error.code === 'SYNC-1104') return
        store.pipelines.want(name, wanted)
        throw error
      }
    },
  }

  for (const action of Object.keys(summaries) as Action[]) {
    app.openapi(
      createRoute({
        method: 'post',
        path: `/v1/pipelines/{name}/${action}`,
        operationId: `${action}Pipeline`,
        tags: ['pipelines'],
        summary: summaries[action],
        request: { params: nameParam },
        responses: {
          200: {
            description: 'How it stands now',
            content: { 'application/json': { schema: pipelineStatus } },
          },
          ...problems(404, 409, 503, 504),
        },
      }),
      async (c) => {
        const { name } = c.req.valid('param')
        const requester = c.get('requester')
        const what = { action, kind: 'Pipeline', name } as const
        await recorded(store, requester, what, async (done) => {
          if (store.pipelines.get(name) === null)
            throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
          await perform[action](name, requester.actor)
          done(null)
        })
        return c.json(await statusOfPipeline(deps, name), 200)
      },
    )
  }

  const assertNotDeleting = (name: string) => {
    const record = store.pipelines.get(name)
    if (record !== null && record.wanted !== 'delete') return record
    throw new SyncError('SYNC-1104', `pipeline ${name} is being deleted`)
  }
}

const notRunning = (name: string, action: Action): SyncError =>
  new SyncError('SYNC-1104', `cannot ${action}: pipeline ${name} does not run`, {
    remedy: `Start it with \`syncline resume ${name}\`.`,
  })
