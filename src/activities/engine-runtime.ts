/**
 * What an engine host really runs: specs from the store, connectors from the registry, the engine of the streamer.
 *
 * Loaded once per host, before any pipeline needs it. Everything here may be away for a while (the store's file, a secret's file): errors keep
 * their disposition, and whoever asked decides. Nothing here outlives the host.
 */
import type { Finding, PipelineScope } from '../connectors/contract.ts'
import { openSource, openTarget, preCheck, prepare } from '../connectors/registry.ts'
import { catalogue, type ErrorCode, SyncError } from '../core/errors.ts'
import { shareOf } from '../core/limits.ts'
import type { Blocked, ShardRef } from '../core/pipeline-control.ts'
import { type TableId, tableName } from '../core/schema.ts'
import { defaultPolicies, type SchemaChangePolicies } from '../core/schema-policy.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import { openRelay, openStore } from '../store/store.ts'
import { createEngine } from '../streamer/engine.ts'
import { createLog } from '../telemetry/log.ts'
import { createAlignmentWatch } from './alignment-watch.ts'
import { shardText } from './engine-alignment.ts'
import { createLimitsWatch } from './limits-watch.ts'
import { createParkedRecorder, parkedAt } from './parked-tables.ts'
import type { CreateRuntime } from './pipeline-runtime.ts'
import { engineOptionsOf, scopeOf, shardsOf, sourceConfigOf, targetConfigOf } from './pipeline-scope.ts'

export const createRuntime: CreateRuntime = async ({ storePath }) => {
  const store = openStore(storePath)
  const log = createLog('engine-host')
  const limits = createLimitsWatch(store, log)
  const alignments = createAlignmentWatch(openRelay(storePath), log)
  const read = (pipeline: string, specGeneration: number): PipelineGeneration =>
    store.pipelines.getGeneration(pipeline, specGeneration)
  const policiesOf = (pipeline: string, specGeneration: number): SchemaChangePolicies =>
    engineOptionsOf(read(pipeline, specGeneration)).schemaChanges ?? defaultPolicies

  return {
    async check({ pipeline, specGeneration }) {
      const stored = read(pipeline, specGeneration)
      const found = await scopeOf(stored, openSource, await parkedIn(stored, shardsOf(stored) ?? [undefined]))
      // Later, a table that is gone is none of a typing mistake.
      const isFirst = store.pipelines.writtenGenerations(pipeline).length === 0
      const scope = isFirst ? found : { ...found, unmatched: [] }
      const all = await preCheck(scope)
      const findings = isFirst ? all : all.filter((finding) => !mayBeExplained(finding))
      if (findings.some((finding) => finding.severity === 'error')) return blockedBy(findings, pipeline)
      await prepare(isFirst ? scope : forRunning(scope, policiesOf(pipeline, specGeneration)))
      try {
        store.checkWarnings.put(pipeline, findings)
      } catch (error) {
        log.warn({ error, pipeline }, 'warnings of the pre-checks cannot be stored')
      }
      return null
    },

    async open({ pipeline, specGeneration, epoch, acknowledged, rejoins, shard }) {
      const stored = read(pipeline, specGeneration)
      assertDivision(stored, shard)
      const connections = createConnections()
      const policies = policiesOf(pipeline, specGeneration)
      const recheck = async (
        about: readonly string[] | null,
        isAhead = false,
        onlyMisfits = false,
      ): Promise<void> => {
        const scope = forRunning(
          await scopeOf(stored, openSource, await parkedIn(stored, [shard]), shard),
          policies,
        )
        const findings = await preCheck(scope)
        const error = findings.find(
          (finding) =>
            finding.severity === 'error' &&
            !isIgnored(finding, policies) &&
            !(isAhead && mayBeExplained(finding)) &&
            (!onlyMisfits || mayBeExplained(finding)) &&
            (about === null || finding.table === undefined || about.includes(finding.table)),
        )
        if (error !== undefined) {
          throw new SyncError(error.code as ErrorCode, error.message, {
            remedy: error.remedy,
            details: { findings: findings.map(shown), ...namedSource(error, scope) },
          })
        }
        if (about === null) await prepare(scope)
      }
      const engine = createEngine(
        {
          openSource: async () => connections.keep(await openSource(await sourceConfigOf(stored))),
          openTarget: async () => connections.keep(await openTarget(await targetConfigOf(stored))),
          recheck,
          onParked: createParkedRecorder(
            (tables) =>
              store.parkedTables.replace(
                { pipeline, ...(shard === undefined ? {} : { shard }) },
                stored.incarnation,
                tables,
              ),
            () => connections.isClosed(),
          ),
        },
        engineOptionsOf(stored, shard),
        BigInt(epoch),
        acknowledged,
        rejoins ?? [],
      )
      const unfollow = limits.follow(pipeline, stored.incarnation, (next) =>
        engine.setLimits(shareOf(next, shard?.of ?? 1)),
      )
      const mark = { pipeline, incarnation: stored.incarnation, shard: shardText(shard) }
      const unalign = alignments.follow(mark, engine)
      const run = () =>
        engine.run().finally(() => {
          unfollow()
          unalign()
        })
      return { engine: { ...engine, run }, kill: () => connections.closeForGood() }
    },

    async fence({ pipeline, specGeneration, epoch, shard }) {
      const stored = read(pipeline, specGeneration)
      const { pipeline: mark, lanes, origin } = engineOptionsOf(stored, shard)
      const target = await openTarget(await targetConfigOf(stored))
      try {
        const sink = await target.sink(mark, { lanes, loadWriters: 0, origin })
        try {
          await sink.takeOver(BigInt(epoch))
        } finally {
          await sink.close()
        }
      } finally {
        await target.close()
      }
    },
  }
}

/** @param shards undefined: the engine that carries all tables */
const parkedIn = (
  stored: PipelineGeneration,
  shards: readonly (ShardRef | undefined)[],
): Promise<readonly TableId[]> =>
  parkedAt(
    async () => openTarget(await targetConfigOf(stored)),
    shards.map((shard) => engineOptionsOf(stored, shard).pipeline),
  )

/** The source table that a finding is about, under the name that findings of either end use. */
function namedSource({ code, table }: Finding, { mappings }: PipelineScope): { source?: TableId } {
  const isOfSource = code.startsWith('SYNC-2')
  const mapping = mappings.find(
    ({ source, target }) => table !== undefined && tableName(isOfSource ? source : target) === table,
  )
  return mapping === undefined ? {} : { source: mapping.source }
}

/** What the workflow was told and what is stored must be one division: under another one the tables would be shared out otherwise. */
function assertDivision({ pipeline }: PipelineGeneration, shard: ShardRef | undefined): void {
  const { metadata, spec } = pipeline
  const wanted = spec.shards ?? 1
  if ((shard?.of ?? 1) === wanted) return
  throw new SyncError(
    'SYNC-9001',
    `Pipeline ${metadata.name} is stored with ${wanted} shards and was started with ${shard?.of ?? 1}`,
  )
}

/** A table that is gone is none of a typing mistake. */
const forRunning = (scope: PipelineScope, { createTable }: SchemaChangePolicies): PipelineScope => ({
  ...scope,
  ...(createTable === 'ignore' ? { onMissingTable: 'refuse' } : {}),
  unmatched: [],
})

const misfits: ReadonlySet<string> = new Set(['SYNC-3201', 'SYNC-3202', 'SYNC-3203', 'SYNC-3205'])

/**
 * The source may have run statements that the stream has not come to. Then the target does not fit the source of now, and is not meant to: the
 * engine looks again when it has passed them (streamer/session.ts).
 */
const mayBeExplained = ({ severity, code, table }: Finding): boolean =>
  severity === 'error' && table !== undefined && misfits.has(code)

const isIgnored = ({ code, table }: Finding, policies: SchemaChangePolicies): boolean =>
  table !== undefined &&
  ((code === 'SYNC-3201' && policies.createTable === 'ignore') ||
    (code === 'SYNC-3202' && policies.addColumn === 'ignore') ||
    (code === 'SYNC-3203' && policies.widenColumn === 'ignore'))

const shown = ({ code, severity, message, remedy }: Finding): Blocked['findings'][number] => ({
  code,
  severity,
  message,
  remedy,
})

const blockedBy = (findings: readonly Finding[], pipeline: string): Blocked => {
  const errors = findings.filter((finding) => finding.severity === 'error')
  const first = errors[0]?.message ?? ''
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return {
    code: 'SYNC-4003',
    message: `Pipeline ${pipeline} cannot start: ${first}${more}`,
    remedy: errors.length === 1 ? (errors[0]?.remedy ?? '') : catalogue['SYNC-4003'].remedy,
    at: null,
    findings: findings.map(shown),
  }
}

interface Closable {
  close(): Promise<void>
}

/** Keeps what an engine has open, so that an engine that does not end can be cut off. */
const createConnections = () => {
  const open = new Set<Closable>()
  let isClosed = false
  return {
    async keep<T extends Closable>(connection: T): Promise<T> {
      if (isClosed) {
        await connection.close()
        throw new SyncError('SYNC-4002', 'This engine was told to end')
      }
      open.add(connection)
      const close = connection.close.bind(connection)
      connection.close = async () => {
        open.delete(connection)
        await close()
      }
      return connection
    },
    isClosed: () => isClosed,
    async closeForGood(): Promise<void> {
      isClosed = true
      await Promise.all([...open].map((connection) => connection.close()))
    },
  }
}
