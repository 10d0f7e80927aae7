/*
 * The oltp backlog over a long line: between the source and the engine (it runs beside the target), and between the engine and the target
 * (it runs beside the source). The line is a proxy in the benchmark's process that delays bytes and neither loses nor limits them, also
 * at 0 ms, so that the proxy's own cost is on both sides of the ratio.
 */
import { type Proxy, startProxy } from '../../support/proxy.ts'
import { type Bench, inTurn } from '../bench.ts'
import { type EngineProcess, startEngineProcess } from '../engine/process.ts'
import { assertEqual, type BenchServers, database, startServers } from '../servers.ts'
import { type BenchResult, resultOf } from '../statistics.ts'
import { oltp } from '../work/backlogs.ts'
import { fill, runBacklog } from '../work/workload.ts'

/** Round trip in ms and the share of the speed at 0 ms that must be left. */
const lines = [
  { rttMs: 38, bar: 0.8 },
  { rttMs: 200, bar: 0.5 },
] as const

export const wan: Bench = async (context) => {
  const results: BenchResult[] = []
  for (const side of ['source', 'target'] as const) {
    await using servers = await startServers({ replica: false })
    await using engine = await startEngineProcess()
    const workload = oltp({ tables: 10, rowsPerTable: context.quick ? 2_000 : 20_000 })
    await fill(servers, workload)
    const changesEach = context.quick ? 14_000 : 280_000
    const proxy = await startProxy({ targetPort: servers[side].port })
    try {
      await follow(servers, engine, side, proxy, 0)
      // Once unmeasured, so that compiling falls into none of the speeds.
      await runBacklog(servers, workload, changesEach, 0)
      await follow(servers, engine, side, proxy, 0)
      const rates = new Map<number, number[]>([0, ...lines.map(({ rttMs }) => rttMs)].map((rtt) => [rtt, []]))
      let seed = 0
      for (let round = 0; round < context.rounds; round++) {
        await inTurn(
          round,
          [...rates].map(([rttMs, seen]) => async () => {
            const changes = await runBacklog(servers, workload, changesEach, ++seed)
            const seconds = await follow(servers, engine, side, proxy, rttMs)
            await assertEqual(servers.source, servers.target, 'The target')
            seen.push(changes / seconds)
            context.say(`wan ${side} ${rttMs} ms round ${round + 1}: ${seconds.toFixed(2)} s`)
          }),
        )
      }
      for (const { rttMs, bar } of lines) {
        results.push(
          resultOf({
            name: `wan/${side}/${rttMs}ms`,
            unit: 'changes/s',
            rounds: (rates.get(rttMs) ?? []).map((rate, i) => ({
              syncline: rate,
              peer: rates.get(0)?.[i] ?? 0,
            })),
            bar,
            rule: 'more is better',
            details: { peer: 'the same engine at 0 ms' },
          }),
        )
      }
    } finally {
      await proxy.close()
    }
  }
  return results
}

/** @returns seconds until the backlog is at the target, connecting included */
async function follow(
  servers: BenchServers,
  engine: EngineProcess,
  side: 'source' | 'target',
  proxy: Proxy,
  rttMs: number,
): Promise<number> {
  proxy.setLatency({ upMs: rttMs / 2, downMs: rttMs / 2 })
  const through = { ...reach(servers[side]), host: proxy.host, port: proxy.port }
  const ends = { source: reach(servers.source), target: reach(servers.target), [side]: through }
  const startedAt = performance.now()
  engine.start({ pipeline: 'bench', ...ends, schemas: [database], load: 'once' })
  await engine.caughtUp(servers.at.source)
  const seconds = (performance.now() - startedAt) / 1000
  await engine.drain()
  return seconds
}

const reach = ({ host, port, user, password }: BenchServers['source']) => ({ host, port, user, password })
