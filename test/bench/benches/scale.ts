/*
 * What a change costs Syncline as tables and lanes grow: the oltp backlog on 1 to 1,000 tables with the same number of rows in all, and with 1 to 8
 * lanes. The cost is the CPU time of the engine per change, and of the target beside it in the details: wall time is what lanes are there to
 * lower. The bar holds for the dearest of a row of sizes against the cheapest.
 */
import { type Bench, type BenchContext, inTurn } from '../bench.ts'
import { type EngineProcess, startEngineProcess } from '../engine/process.ts'
import { measured } from '../process-usage.ts'
import { assertEqual, type BenchServers, database, startServers } from '../servers.ts'
import { type BenchResult, median, type Round, resultOf } from '../statistics.ts'
import { oltp } from '../work/backlogs.ts'
import { fill, runBacklog } from '../work/workload.ts'

const flat = 1.3

/** Figures of one size in each round. */
type Cost = { readonly micros: number; readonly targetMicros: number; readonly seconds: number }

export const scale: Bench = async (context) => [...(await overTables(context)), ...(await overLanes(context))]

const changesOf = ({ quick }: BenchContext): number => (quick ? 14_000 : 280_000)
const rowsOf = ({ quick }: BenchContext): number => (quick ? 16_000 : 200_000)

async function overTables(context: BenchContext): Promise<BenchResult[]> {
  const sizes = context.quick ? [1, 10, 100] : [1, 10, 100, 1_000]
  const costs = new Map<number, Cost[]>()
  for (const tables of sizes) {
    await using servers = await startServers({ replica: false })
    await using engine = await startEngineProcess()
    const workload = oltp({ tables, rowsPerTable: Math.max(8, Math.floor(rowsOf(context) / tables)) })
    await fill(servers, workload)
    await follow(servers, engine, 4)
    // Each size has a process of its own: what V8 compiles once is no cost of a change.
    await runBacklog(servers, workload, changesOf(context), 0)
    await follow(servers, engine, 4)
    const seen: Cost[] = []
    for (let round = 0; round < context.rounds; round++) {
      const changes = await runBacklog(servers, workload, changesOf(context), round + 1)
      seen.push(await follow(servers, engine, 4, changes))
      await assertEqual(servers.source, servers.target, 'The target')
    }
    costs.set(tables, seen)
    context.say(`scale ${tables} tables: ${described(seen)}`)
  }
  return [flatness('scale/tables', costs)]
}

async function overLanes(context: BenchContext): Promise<BenchResult[]> {
  const sizes = [1, 2, 4, 8]
  await using servers = await startServers({ replica: false })
  const workload = oltp({ tables: 10, rowsPerTable: rowsOf(context) / 10 })
  await fill(servers, workload)
  await using engine = await startEngineProcess()
  await follow(servers, engine, 4)
  await runBacklog(servers, workload, changesOf(context), 0)
  await follow(servers, engine, 4)
  const costs = new Map<number, Cost[]>(sizes.map((lanes) => [lanes, []]))
  let seed = 0
  for (let round = 0; round < context.rounds; round++) {
    await inTurn(
      round,
      sizes.map((lanes) => async () => {
        const changes = await runBacklog(servers, workload, changesOf(context), ++seed)
        costs.get(lanes)?.push(await follow(servers, engine, lanes, changes))
        await assertEqual(servers.source, servers.target, 'The target')
      }),
    )
  }
  for (const [lanes, seen] of costs) context.say(`scale ${lanes} lanes: ${described(seen)}`)
  return [flatness('scale/lanes', costs)]
}

async function follow(
  servers: BenchServers,
  engine: EngineProcess,
  lanes: number,
  changes = 1,
): Promise<Cost> {
  const { source, target } = servers
  const { seconds, cpu } = await measured({ engine: engine.pid, target: target.pid }, async () => {
    engine.start({ pipeline: 'bench', source, target, schemas: [database], load: 'once', lanes })
    await engine.caughtUp(servers.at.source)
  })
  await engine.drain()
  return {
    micros: ((cpu['engine'] ?? 0) * 1e6) / changes,
    targetMicros: ((cpu['target'] ?? 0) * 1e6) / changes,
    seconds,
  }
}

/** Every round gives the dearest and the cheapest size; their medians make the ratio. */
function flatness(name: string, costs: ReadonlyMap<number, readonly Cost[]>): BenchResult {
  const rounds: Round[] = [...(costs.values().next().value ?? []).keys()].map((round) => {
    const all = [...costs.values()].map((seen) => seen[round]?.micros ?? Number.NaN)
    return { syncline: Math.max(...all), peer: Math.min(...all) }
  })
  const details: Record<string, string> = { peer: 'the cheapest size' }
  for (const [size, seen] of costs) details[String(size)] = described(seen)
  return resultOf({ name, unit: 'CPU us/change', rounds, bar: flat, rule: 'at most', details })
}

const described = (seen: readonly Cost[]): string => {
  const of = (pick: (cost: Cost) => number): number => median(seen.map(pick))
  return `${of(({ micros }) => micros).toFixed(1)} us of engine CPU, ${of(({ targetMicros }) => targetMicros).toFixed(1)} us of target CPU, ${of(({ seconds }) => seconds).toFixed(2)} s`
}
