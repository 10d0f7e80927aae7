/**
 * How a pipeline stands, put together from three places: what is wanted (store), what was decided (workflow), what the engine said last
 * (heartbeat). Each may be missing; the answer says so instead of failing.
 */
import { catalogue, type ErrorCode, SyncError } from '../core/errors.ts'
import type { PendingChange, PipelineStatus } from '../core/pipeline-control.ts'
import { mostUrgent, warnOfRetention } from '../core/retention.ts'
import type { CheckWarning } from '../store/check-warnings.ts'
import type { PipelineRecord } from '../store/pipelines.ts'
import type { StoredReport } from '../store/reports.ts'
import type { ApiDeps } from './context.ts'
import type { WorkflowDescription } from './pipeline-workflows.ts'
import { shardStatuses, wholeOf } from './shard-status.ts'
import { verificationsOfPipeline } from './verification-brief.ts'
import { engineReport, type PipelineStatusAnswer, type RetentionAnswer } from './wire.ts'

/** @throws SyncError SYNC-1101; SYNC-1106 when Temporal is away */
export async function statusOfPipeline(
  { store, workflows }: ApiDeps,
  name: string,
): Promise<PipelineStatusAnswer> {
  const record = store.pipelines.get(name)
  if (record === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
  const found = await workflows.describe(name)
  const told = found?.isRunning === true ? await workflows.status(name) : null
  const status = assemble(name, record, found, told)
  const retention = retentionOf(store.reports.list(name), status)
  const warning = retention?.warning ?? null
  const parked = store.parkedTables.list(name).map(({ table }) => table)
  return {
    ...status,
    retention,
    verifications: verificationsOfPipeline(store, name, record),
    warnings: [
      ...status.warnings,
      ...checkWarnings(store.checkWarnings.list(name), status),
      ...(warning === null ? [] : [`${warning.code} ${warning.message}. ${warning.remedy}`]),
      ...(parked.length === 0
        ? []
        : [`Parked, and not kept in step: ${parked.join(', ')}. See \`syncline quarantine list ${name}\`.`]),
    ],
  }
}

/** What only makes a load slower. */
const ofTheLoad: ReadonlySet<string> = new Set(['SYNC-3216'])

/** Of the pre-checks that let it start; where they do not, they stand among the findings. */
function checkWarnings(
  warnings: readonly CheckWarning[],
  { state, blocked }: Pick<PipelineStatusAnswer, 'state' | 'blocked'>,
): string[] {
  if (blocked !== null && blocked.findings.length > 0) return []
  return warnings
    .filter(({ code }) => state === 'loading' || !ofTheLoad.has(code))
    .map(({ code, message, remedy }) => `${code} ${message}. ${remedy}`)
}

/** Of a pipeline without an engine: by what its last engine was told. Of several engines: that of the one whose log goes first. */
function retentionOf(
  reports: readonly StoredReport[],
  { engine, shards }: Pick<PipelineStatusAnswer, 'engine' | 'shards'>,
): RetentionAnswer | null {
  const nowMs = Date.now()
  const told = reports.flatMap(({ shard, retention }) => {
    if (retention === null) return []
    const itsEngine = shard === null ? engine : (shards?.[shard.index]?.engine ?? null)
    return [{ shard, report: retention, isRunning: itsEngine !== null }]
  })
  const first = mostUrgent(told, nowMs)
  if (first === undefined) return null
  const { shard, report, isRunning } = first
  const warning = warnOfRetention(report, nowMs, isRunning)
  if (shard === null) return { ...report, shard: null, warning }
  const number = shard.index + 1
  const message = `Shard ${number} of ${shard.of}: ${warning?.message}`
  return { ...report, shard: number, warning: warning === null ? null : { ...warning, message } }
}

function assemble(
  name: string,
  record: PipelineRecord,
  found: WorkflowDescription | null,
  told: PipelineStatus | null,
): Omit<PipelineStatusAnswer, 'retention' | 'verifications'> {
  const isDeleting = record.wanted === 'delete'
  const base = {
    name,
    generation: record.generation,
    workflow: found === null ? null : { id: `pipeline/${name}`, runId: found.runId },
    warnings: [] as string[],
  }
  if (found === null || !found.isRunning) {
    const neverStarted = found === null && record.wanted === 'run'
    return {
      ...base,
      state: isDeleting ? 'deleting' : neverStarted ? 'created' : 'stopped',
      wanted: record.wanted,
      since: found === null ? record.updatedAt : null,
      observedGeneration: null,
      actor: null,
      detail: endDetail(name, record, found),
      blocked: null,
      pendingChange: null,
      retrying: null,
      engine: null,
      engineSeenAt: null,
      worker: null,
      attempt: null,
      shards: null,
    }
  }
  const single = engineReport.safeParse(found.run?.details)
  const shards = shardStatuses(found.shardRuns, told)
  return {
    ...base,
    state: isDeleting ? 'deleting' : (told?.state ?? found.announced ?? 'created'),
    wanted: record.wanted === 'run' ? (told?.wanted ?? 'run') : record.wanted,
    since: told === null ? null : new Date(told.sinceMs).toISOString(),
    observedGeneration: told?.specGeneration ?? null,
    actor: told?.actor ?? null,
    detail:
      told?.state === 'stopped'
        ? endDetail(name, record, null)
        : (told?.detail ?? 'the state is the last one announced'),
    blocked: told?.blocked ?? null,
    pendingChange: pendingOf(told?.pending ?? null),
    retrying: found.retrying === null ? null : { ...found.retrying, remedy: remedyOf(found.retrying.code) },
    engine: shards !== null ? wholeOf(shards) : single.success ? single.data : null,
    engineSeenAt: found.run?.seenAt?.toISOString() ?? null,
    worker: found.run?.worker ?? null,
    attempt: found.run?.attempt ?? null,
    shards,
    warnings: [
      ...(told === null
        ? ['No control worker answers; start one with `syncline worker --role control`.']
        : []),
      ...(found.untakenMs > untakenWarningMs
        ? [
            `No stream worker has taken it for ${Math.round(found.untakenMs / 1000)} s; start one with \`syncline worker --role stream\`.`,
          ]
        : []),
    ],
  }
}

const pendingOf = (pending: PendingChange | null): PipelineStatusAnswer['pendingChange'] =>
  pending === null ? null : { generation: pending.specGeneration, refused: pending.refused }

/** A worker with room takes work within milliseconds. */
const untakenWarningMs = 2_000

const remedyOf = (code: string): string => (code in catalogue ? catalogue[code as ErrorCode].remedy : '')

function endDetail(name: string, record: PipelineRecord, found: WorkflowDescription | null): string {
  if (record.wanted === 'delete')
    return `its deletion is not done: repeat \`syncline delete pipeline ${name}\``
  const again = `\`syncline resume ${name}\` starts it`
  if (found === null)
    return record.wanted === 'run' ? `it was never started: ${again}` : `stopped: ${again} again`
  if (found.status === 'COMPLETED') return `stopped: ${again} again`
  return `its workflow ended as ${found.status}: ${again} again`
}
