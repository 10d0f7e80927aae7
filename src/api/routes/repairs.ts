/**
 * /v1/pipelines/{name}/verifications/{number}/repairs: lets the pipeline's engine write the rows that a verification found to differ.
 *
 * Where the pipeline's file asks for it, a repair waits until somebody approves it. Statements are for people: what is written is read anew.
 */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { verifySettings } from '../../config/verify.ts'
import { SyncError } from '../../core/errors.ts'
import { openVerificationStates, repairWorkflowId, verificationId } from '../../core/verification-control.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { recorded } from '../recorded.ts'
import { repairStatementOf } from '../repair-statements.ts'
import { documentBody, parsedBody, problems } from '../request.ts'
import { existingRun, pageQuery, repairAnswerOf, runParams } from '../verification-resources.ts'
import { repairAsked, repairedRow, repairStatement, verificationResource } from '../verification-wire.ts'

const repairSchema = verificationResource.shape.repair.unwrap()
const oneRepair = {
  description: 'The repair',
  content: { 'application/json': { schema: repairSchema } },
}
const statements = z.object({ items: z.array(repairStatement), nextPageToken: z.string().nullable() })
const rows = z.object({ items: z.array(repairedRow), nextPageToken: z.string().nullable() })
const path = '/v1/pipelines/{name}/verifications/{number}'
const repairParams = runParams.extend({
  repair: z.coerce.number().int().min(1).openapi({ type: 'integer', description: 'Number of the repair.' }),
})

export function mountRepairs(app: OpenAPIHono<ApiEnv>, { store, workflows }: ApiDeps): void {
  app.openAPIRegistry.register('RepairAsked', repairAsked)

  app.openapi(
    createRoute({
      method: 'get',
      path: `${path}/repair-statements`,
      operationId: 'listRepairStatements',
      tags: ['verifications'],
      summary: 'What a repair would write, by the rows as they were compared',
      request: { params: runParams, query: pageQuery },
      responses: {
        200: { description: 'A page of them', content: { 'application/json': { schema: statements } } },
        ...problems(404),
      },
    }),
    (c) => {
      const run = existingRun(store, c.req.valid('param'))
      const { pageSize = 100, pageToken } = c.req.valid('query')
      const page = { ...(pageToken === undefined ? {} : { after: Number(pageToken) }), limit: pageSize + 1 }
      const due = store.repairRuns.due(run, page)
      const items = due.slice(0, pageSize).flatMap((id) => {
        const [difference] = store.verifications.differences(run, { after: id - 1, limit: 1 })
        const table = difference === undefined ? null : store.verifications.table(run, difference.ordinal)
        if (difference === undefined || table === null) return []
        return [{ difference: id, table: table.target, sql: repairStatementOf(table, difference) }]
      })
      const nextPageToken = due.length > pageSize ? String(due[pageSize - 1]) : null
      return c.json({ items, nextPageToken }, 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'post',
      path: `${path}/repairs`,
      operationId: 'repairDifferences',
      tags: ['verifications'],
      summary: 'Repair what differs: read again at the source, written by the pipeline, then verified again',
      request: { params: runParams, body: documentBody('RepairAsked') },
      responses: { 201: { ...oneRepair, description: 'Started' }, ...problems(404, 409, 503, 504) },
    }),
    async (c) => {
      const params = c.req.valid('param')
      const requester = c.get('requester')
      const what = { action: 'repair', kind: 'Pipeline', name: params.name } as const
      const repair = await recorded(store, requester, what, async (done) => {
        const { maxRowsPerSecond } = await parsedBody(c, repairAsked)
        const run = existingRun(store, params)
        const id = verificationId(run.pipeline, run.number)
        if (openVerificationStates.includes(run.state) && run.request.mode !== 'continuous') {
          throw new SyncError('SYNC-5145', `${id} still compares`, {
            remedy: `Wait until it has ended, or end it with \`syncline verify cancel ${id}\`; what it found until then can be repaired.`,
          })
        }
        await workflows.ping()
        const settings = verifySettings(store.pipelines.get(run.pipeline)?.document.spec.verify).repair
        const made = store.repairRuns.create({
          pipeline: run.pipeline,
          number: run.number,
          actor: requester.actor,
          needsApproval: settings.approval === 'required',
          maxRowsPerSecond: maxRowsPerSecond ?? settings.maxRowsPerSecond,
        })
        try {
          const { pipeline, number, repair: n, needsApproval } = made
          await workflows.verifications.startRepair({ pipeline, number, repair: n, needsApproval })
        } catch (error) {
          store.repairRuns.forget(made)
          throw error
        }
        done({ id, repair: made.repair, rows: made.rows.total, needsApproval: made.needsApproval })
        return made
      })
      return c.json(repairAnswerOf(repair), 201)
    },
  )

  app.openapi(
    createRoute({
      method: 'post',
      path: `${path}/approve`,
      operationId: 'approveRepair',
      tags: ['verifications'],
      summary: 'Approve the repair that waits for it',
      request: { params: runParams },
      responses: { 200: oneRepair, ...problems(404, 409, 503, 504) },
    }),
    async (c) => {
      const params = c.req.valid('param')
      const requester = c.get('requester')
      const what = { action: 'approve-repair', kind: 'Pipeline', name: params.name } as const
      const key = await recorded(store, requester, what, async (done) => {
        const run = existingRun(store, params)
        const id = verificationId(run.pipeline, run.number)
        const waiting = store.repairRuns.list(run).find(({ state }) => state === 'awaiting-approval')
        if (waiting === undefined)
          throw new SyncError('SYNC-5145', `no repair of ${id} waits for an approval`)
        const { pipeline, number, repair } = waiting
        const workflow = repairWorkflowId(pipeline, number, repair)
        if (!(await workflows.verifications.approve(workflow, requester.actor))) {
          throw new SyncError(
            'SYNC-5145',
            `the workflow of repair ${repair} of ${id} does not run any more`,
            {
              remedy: `End it with \`syncline verify cancel ${id}\`, then repair anew.`,
            },
          )
        }
        done({ id, repair })
        return { pipeline, number, repair }
      })
      const found = store.repairRuns.get(key)
      if (found === null) throw new SyncError('SYNC-1101', 'the repair is not there any more')
      return c.json(repairAnswerOf(found), 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'get',
      path: `${path}/repairs/{repair}/rows`,
      operationId: 'listRepairedRows',
      tags: ['verifications'],
      summary: 'Rows of a repair, with their images before the write and after it',
      request: { params: repairParams, query: pageQuery },
      responses: {
        200: { description: 'A page of them', content: { 'application/json': { schema: rows } } },
        ...problems(404),
      },
    }),
    (c) => {
      const { repair, ...params } = c.req.valid('param')
      const { pipeline, number } = existingRun(store, params)
      const key = { pipeline, number, repair }
      if (store.repairRuns.get(key) === null) {
        throw new SyncError('SYNC-1101', `${verificationId(pipeline, number)} has no repair ${repair}`)
      }
      const { pageSize = 100, pageToken } = c.req.valid('query')
      const found = store.repairRuns.rows(key, {
        ...(pageToken === undefined ? {} : { after: Number(pageToken) }),
        limit: pageSize + 1,
      })
      const items = found.slice(0, pageSize).map((record) => {
        const { shard: _shard, key: _key, isExamined: _isExamined, ...row } = record
        return row
      })
      const nextPageToken = found.length > pageSize ? String(items.at(-1)?.difference) : null
      return c.json({ items, nextPageToken }, 200)
    },
  )
}
