/*
 * How long a backlog takes that waits at the source: MySQL's own replica with 4 workers against Syncline, one after the other, each with the
 * whole machine. Every round is a new backlog of the same kind. The clock runs from the start of replication, connecting included, until the
 * last transaction of the backlog is committed, which the side itself confirms; then each side's tables are compared with the source's.
 */
import type { PipelineStatistics } from '../../../src/core/statistics.ts'
import { peakMegabytes } from '../../support/peak-memory.ts'
import type { Bench, BenchContext } from '../bench.ts'
import { inTurn } from '../bench.ts'
import { type EngineProcess, startEngineProcess } from '../engine/process.ts'
import { replicaCaughtUp, startReplica, stopReplica } from '../peers/replica.ts'
import { measured } from '../process-usage.ts'
import { assertEqual, type BenchServers, database, startServers } from '../servers.ts'
import { type BenchResult, mediansOf, type Round, resultOf } from '../statistics.ts'
import { hot, inserts, oltp } from '../work/backlogs.ts'
import { fill, runBacklog, type Workload } from '../work/workload.ts'

export type CatchupOptions = {
  readonly name: string
  readonly bar: number
  readonly workload: Workload
  readonly changes: number
  readonly order?: 'merged' | 'global'
}

const pipeline = 'bench'

const quickly = ({ quick }: BenchContext, small: number, large: number): number => (quick ? small : large)

export const catchupOltp: Bench = (context) =>
  catchup(context, {
    name: 'catchup-oltp',
    bar: 8,
    workload: oltp({ tables: 10, rowsPerTable: quickly(context, 2_000, 20_000) }),
    changes: quickly(context, 14_000, 280_000),
  })

/** The same backlog in global order: whole transactions in the order of the log, several in a commit. */
export const globalOrder: Bench = (context) =>
  catchup(context, {
    name: 'global-order',
    bar: 2,
    workload: oltp({ tables: 10, rowsPerTable: quickly(context, 2_000, 20_000) }),
    changes: quickly(context, 14_000, 280_000),
    order: 'global',
  })

export const catchupHot: Bench = (context) =>
  catchup(context, {
    name: 'catchup-hot',
    bar: 25,
    workload: hot({ rows: quickly(context, 2_000, 20_000), hotRows: 200 }),
    changes: quickly(context, 14_000, 280_000),
  })

export const catchupInsert: Bench = (context) =>
  catchup(context, {
    name: 'catchup-insert',
    bar: 4,
    workload: inserts,
    changes: quickly(context, 14_000, 280_000),
  })

async function catchup(
  context: BenchContext,
  { name, bar, workload, changes, order = 'merged' }: CatchupOptions,
): Promise<readonly BenchResult[]> {
  await using servers = await startServers({ replica: true })
  await using engine = await startEngineProcess()
  const { source, replica } = servers.at
  if (replica === undefined) throw new Error('There is no replica to compare with.')
  // The replica makes the tables itself, from the log.
  await fill(servers, workload)
  await startReplica(replica)
  await replicaCaughtUp(source, replica)
  await stopReplica(replica)
  await followOnce(servers, engine, 'once')

  const rounds: Round[] = []
  const seen: Record<string, number>[] = []
  for (let round = 0; round < context.rounds; round++) {
    const written = await runBacklog(servers, workload, changes, round + 1)
    const times = { syncline: 0, peer: 0 }
    const figures: Record<string, number> = { changes: written }
    await inTurn(round, [
      async () => {
        const { seconds, cpu } = await measured({ replica: replicaPid(servers) }, async () => {
          await startReplica(replica)
          await replicaCaughtUp(source, replica)
        })
        await stopReplica(replica)
        times.peer = seconds
        figures['replica CPU s'] = cpu['replica'] ?? 0
      },
      async () => {
        const { seconds, cpu } = await measured(
          { engine: engine.pid, target: servers.target.pid, source: servers.source.pid },
          async () => {
            engine.start({ ...startOf(servers, 'none'), order })
            await engine.caughtUp(source)
          },
        )
        Object.assign(figures, stagesOf(await engine.drain()))
        times.syncline = seconds
        figures['engine CPU s'] = cpu['engine'] ?? 0
        figures['target CPU s'] = cpu['target'] ?? 0
        figures['source CPU s'] = cpu['source'] ?? 0
      },
    ])
    await assertEqual(servers.source, servers.target, 'The target')
    if (servers.replica !== undefined) await assertEqual(servers.source, servers.replica, 'The replica')
    rounds.push(times)
    seen.push(figures)
    context.say(
      `${name} round ${round + 1}: ${written} changes; syncline ${times.syncline.toFixed(2)} s, replica ${times.peer.toFixed(2)} s`,
    )
  }
  const details = { ...mediansOf(seen), 'engine peak MB': Math.round(await peakMegabytes(engine.pid)) }
  return [resultOf({ name, unit: 's', rounds, bar, rule: 'less is better', details })]
}

/** Where the engine's time went; stages go on beside each other, and those of lanes are summed. */
function stagesOf(statistics: PipelineStatistics | null): Record<string, number> {
  if (statistics === null) return {}
  const { rows, batches, timesMs, heldMs } = statistics
  return {
    'rows written': rows.upserted + rows.removed,
    batches: batches.small + batches.large,
    'decode s': timesMs.decode / 1_000,
    'merge s': timesMs.merge / 1_000,
    'plan s': timesMs.plan / 1_000,
    'SQL s': timesMs.build / 1_000,
    'lanes s': timesMs.lanes / 1_000,
    'commit s, of all lanes': timesMs.commit / 1_000,
    'reader held by full batches s': heldMs.batchFull / 1_000,
    'lanes without rows s': heldMs.lanesIdle / 1_000,
    'lane skew s, of all lanes': heldMs.laneSkew / 1_000,
  }
}

const startOf = (servers: BenchServers, load: 'once' | 'none') => ({
  pipeline,
  source: servers.source,
  target: servers.target,
  schemas: [database],
  load,
})

/** Loads what is there, or streams what is new, and drains. */
export async function followOnce(
  servers: BenchServers,
  engine: EngineProcess,
  load: 'once' | 'none',
): Promise<void> {
  engine.start(startOf(servers, load))
  await engine.until(({ phase }) => phase === 'streaming')
  await engine.caughtUp(servers.at.source)
  await engine.drain()
}

const replicaPid = (servers: BenchServers): number => servers.replica?.pid ?? 0
