/**
 * /v1/pipelines/{name}/verifications: asks for a comparison of both ends as of one position, and shows what comes of it.
 *
 * A run is stored before its workflow is started, and forgotten again if that fails. It goes on without whoever asked; results are kept for the
 * newest runs (spec.verify.keepRuns).
 */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { continuousRequestOf, requestOf, verifySettings } from '../../config/verify.ts'
import { SyncError } from '../../core/errors.ts'
import { openVerificationStates, repairWorkflowId, verificationId } from '../../core/verification-control.ts'
import type { VerificationRecord } from '../../store/verifications.ts'
import type { ApiDeps, ApiEnv } from '../context.ts'
import { recorded } from '../recorded.ts'
import { documentBody, nameParam, parsedBody, problems } from '../request.ts'
import { statusOfPipeline } from '../status.ts'
import {
  comparedTableOf,
  continuousAnswerOf,
  differenceResourceOf,
  differsNow,
  existingRun,
  pageQuery,
  repairAnswerOf,
  runParams,
} from '../verification-resources.ts'
import {
  comparedTable,
  differenceResource,
  type VerificationAnswer,
  type VerificationAsked,
  verificationAsked,
  verificationResource,
} from '../verification-wire.ts'

const runs = z.object({ items: z.array(verificationResource), nextPageToken: z.string().nullable() })
const tables = z.object({ items: z.array(comparedTable), nextPageToken: z.string().nullable() })
const differences = z.object({ items: z.array(differenceResource), nextPageToken: z.string().nullable() })

const oneRun = {
  description: 'The verification',
  content: { 'application/json': { schema: verificationResource } },
}

/** A worker with room takes work within milliseconds. */
const untakenWarningMs = 2_000

export function mountVerifications(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { store, workflows } = deps
  app.openAPIRegistry.register('VerificationAsked', verificationAsked)

  const answerOf = (record: VerificationRecord): VerificationAnswer => {
    const { request, workflow: _, ...rest } = record
    const [newest] = store.repairRuns.list(record)
    return {
      ...rest,
      id: verificationId(record.pipeline, record.number),
      mode: request.mode,
      tablesAsked: request.tables,
      sample: request.sample,
      maxDifferences: request.maxDifferences,
      repair: newest === undefined ? null : repairAnswerOf(newest),
      continuous: continuousAnswerOf(record, store.continuousRuns.get(record)),
      // One that follows the log has no end of its own: what differs now counts.
      outcome: record.outcome ?? differsNow(record),
    }
  }

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/pipelines/{name}/verifications',
      operationId: 'verifyPipeline',
      tags: ['verifications'],
      summary: 'Compare source and target as of one position of the source, while both are written to',
      request: { params: nameParam, body: documentBody('VerificationAsked') },
      responses: { 201: { ...oneRun, description: 'Started' }, ...problems(404, 409, 503, 504) },
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      const requester = c.get('requester')
      const record = await recorded(
        store,
        requester,
        { action: 'verify', kind: 'Pipeline', name },
        async (done) => {
          const { ranges, settleMs, ...asked } = await parsedBody(c, verificationAsked)
          const found = store.pipelines.get(name)
          if (found === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
          const settings = verifySettings(found.document.spec.verify)
          const isContinuous = asked.mode === 'continuous'
          assertFitting(isContinuous, { ranges, settleMs, sample: asked.sample })
          await workflows.ping()
          // One that follows the log waits for the stream, however long.
          if (!isContinuous) assertStreams(name, await statusOfPipeline(deps, name))
          const base = isContinuous ? continuousRequestOf(settings, false) : requestOf(settings)
          const request = {
            ...base,
            ...Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined)),
            ...(base.continuous === undefined || settleMs === undefined
              ? {}
              : { continuous: { ...base.continuous, settleMs } }),
            ranges: (ranges ?? []).map(({ table, after, upTo }) => ({
              table,
              after: after ?? null,
              upTo: upTo ?? null,
            })),
          }
          const run = store.verifications.create({
            pipeline: name,
            origin: 'person',
            actor: requester.actor,
            generation: found.generation,
            request,
          })
          try {
            await workflows.verifications.start(run)
          } catch (error) {
            store.verifications.forget(run)
            throw error
          }
          done({ id: verificationId(name, run.number), ...request })
          return run
        },
      )
      return c.json(answerOf(record), 201)
    },
  )

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines/{name}/verifications',
      operationId: 'listVerifications',
      tags: ['verifications'],
      summary: 'Verifications of a pipeline, newest first',
      request: { params: nameParam, query: pageQuery },
      responses: {
        200: { description: 'A page of them', content: { 'application/json': { schema: runs } } },
        ...problems(404),
      },
    }),
    (c) => {
      const { name } = c.req.valid('param')
      if (store.pipelines.get(name) === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
      const { pageSize = 50, pageToken } = c.req.valid('query')
      const before = pageToken === undefined ? {} : { before: Number(pageToken) }
      const found = store.verifications.list(name, { ...before, limit: pageSize + 1 })
      const shown = found.slice(0, pageSize)
      const nextPageToken = found.length > pageSize ? String(shown.at(-1)?.number) : null
      return c.json({ items: shown.map(answerOf), nextPageToken }, 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines/{name}/verifications/{number}',
      operationId: 'getVerification',
      tags: ['verifications'],
      summary: 'How far a verification is, and what it found',
      request: { params: runParams },
      responses: { 200: oneRun, ...problems(404) },
    }),
    async (c) => {
      const record = existingRun(store, c.req.valid('param'))
      const answer = answerOf(record)
      if (!openVerificationStates.includes(record.state) || answer.trouble !== null)
        return c.json(answer, 200)
      return c.json({ ...answer, trouble: await untakenTrouble(record.workflow) }, 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines/{name}/verifications/{number}/tables',
      operationId: 'listComparedTables',
      tags: ['verifications'],
      summary: 'The tables of a verification, with what was compared at which position',
      request: { params: runParams, query: pageQuery },
      responses: {
        200: { description: 'A page of them', content: { 'application/json': { schema: tables } } },
        ...problems(404),
      },
    }),
    (c) => {
      const run = existingRun(store, c.req.valid('param'))
      const { pageSize = 200, pageToken } = c.req.valid('query')
      const after = pageToken === undefined ? {} : { after: Number(pageToken) }
      const found = store.verifications.tables(run, { ...after, limit: pageSize + 1 })
      const shown = found.slice(0, pageSize)
      const items = shown.map((table) =>
        comparedTableOf(table, store.verifications.segments(run, table.ordinal)),
      )
      const nextPageToken = found.length > pageSize ? String(shown.at(-1)?.ordinal) : null
      return c.json({ items, nextPageToken }, 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/pipelines/{name}/verifications/{number}/differences',
      operationId: 'listDifferences',
      tags: ['verifications'],
      summary: 'Rows that differ, with both images',
      request: {
        params: runParams,
        query: pageQuery.extend({
          table: z.string().optional().openapi({ description: 'Only of this source table.' }),
        }),
      },
      responses: {
        200: { description: 'A page of them', content: { 'application/json': { schema: differences } } },
        ...problems(404),
      },
    }),
    (c) => {
      const run = existingRun(store, c.req.valid('param'))
      const { pageSize = 100, pageToken, table } = c.req.valid('query')
      const found = store.verifications.differences(run, {
        ...(table === undefined ? {} : { table }),
        ...(pageToken === undefined ? {} : { after: Number(pageToken) }),
        limit: pageSize + 1,
      })
      const shown = found.slice(0, pageSize)
      const items = shown.map((difference) =>
        differenceResourceOf(difference, store.verifications.table(run, difference.ordinal)),
      )
      const nextPageToken = found.length > pageSize ? String(shown.at(-1)?.id) : null
      return c.json({ items, nextPageToken }, 200)
    },
  )

  app.openapi(
    createRoute({
      method: 'post',
      path: '/v1/pipelines/{name}/verifications/{number}/cancel',
      operationId: 'cancelVerification',
      tags: ['verifications'],
      summary: 'End a verification that runs, or else its repair; what was found and repaired stays',
      request: { params: runParams },
      responses: { 200: oneRun, ...problems(404, 409, 503, 504) },
    }),
    async (c) => {
      const params = c.req.valid('param')
      const requester = c.get('requester')
      await recorded(
        store,
        requester,
        { action: 'cancel-verification', kind: 'Pipeline', name: params.name },
        async (done) => {
          const record = existingRun(store, params)
          const id = verificationId(record.pipeline, record.number)
          const repair = store.repairRuns.list(record).find(({ endedAt }) => endedAt === null)
          const isOpen = openVerificationStates.includes(record.state)
          if (!isOpen && repair === undefined) throw new SyncError('SYNC-5145', `${id} has ended`)
          await workflows.ping()
          if (isOpen) await cancelRun(record, requester.actor)
          else if (repair !== undefined) await cancelRepair(repair.repair, record, requester.actor)
          done({ id, ...(isOpen || repair === undefined ? {} : { repair: repair.repair }) })
        },
      )
      return c.json(answerOf(existingRun(store, params)), 200)
    },
  )

  const cancelRun = async (record: VerificationRecord, actor: string): Promise<void> => {
    if (await workflows.verifications.cancel(record.workflow, actor)) return
    // Its workflow is gone, terminated by hand or forgotten with Temporal's data.
    store.verifications.end(record, { state: 'cancelled', outcome: null, trouble: null })
  }
  const cancelRepair = async (repair: number, run: VerificationRecord, actor: string): Promise<void> => {
    const { pipeline, number } = run
    if (await workflows.verifications.cancel(repairWorkflowId(pipeline, number, repair), actor)) return
    store.repairRuns.enter({ pipeline, number, repair }, 'cancelled', actor, null)
  }

  const untakenTrouble = async (workflow: string): Promise<VerificationAnswer['trouble']> => {
    // Temporal away: the store's word stands.
    const untakenMs = await workflows.verifications.untakenMs(workflow).catch(() => 0)
    if (untakenMs === null || untakenMs < untakenWarningMs) return null
    return {
      code: 'SYNC-1108',
      message: `no verify worker has taken it for ${Math.round(untakenMs / 1000)} s`,
      remedy: 'Start one with `syncline worker --role verify`.',
    }
  }
}

/** @throws SyncError SYNC-5131 */
function assertFitting(
  isContinuous: boolean,
  { ranges, settleMs, sample }: Pick<VerificationAsked, 'ranges' | 'settleMs' | 'sample'>,
): void {
  if (isContinuous && (ranges !== undefined || sample !== undefined))
    throw new SyncError('SYNC-5131', 'mode continuous takes no ranges of keys and no sample')
  if (!isContinuous && settleMs !== undefined)
    throw new SyncError('SYNC-5131', 'a delay is for mode continuous alone')
}

const aligning = new Set(['loading', 'catching-up', 'streaming'])

/** @throws SyncError SYNC-5140 */
function assertStreams(name: string, status: Awaited<ReturnType<typeof statusOfPipeline>>): void {
  const { state, blocked } = status
  if (aligning.has(state)) return
  const why = blocked === null ? '' : `, ${blocked.code} ${blocked.message}`
  throw new SyncError('SYNC-5140', `pipeline ${name} is ${state}${why}`, {
    remedy:
      blocked === null
        ? `Let it stream with \`syncline resume ${name}\`, then verify again.`
        : `${blocked.remedy} Then verify again.`,
  })
}
