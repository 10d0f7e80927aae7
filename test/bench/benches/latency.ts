/*
 * From the commit at the source (its answer has arrived) to the row being visible to a reader at the other end, at a steady rate of small
 * transactions. A probe asks the other end without pause which rows it has; its own round trip is in every figure, of both sides alike. One side runs at a
 * time. Rows of one writer become visible in their order on both sides, so the greatest one seen stands for all before it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import { type Bench, inTurn } from '../bench.ts'
import { startEngineProcess } from '../engine/process.ts'
import { replicaCaughtUp, startReplica, stopReplica } from '../peers/replica.ts'
import { assertEqual, type BenchServers, connect, database, startServers } from '../servers.ts'
import { type BenchResult, mediansOf, percentile, resultOf } from '../statistics.ts'

const writers = 8
const rates = [200, 1_000]
/** Left out at the beginning: connections warm up, compilers compile. */
const warmUpMs = 2_000

type Latencies = { readonly p50: number; readonly p99: number; readonly tps: number }

export const latency: Bench = async (context) => {
  await using servers = await startServers({ replica: true })
  await using engine = await startEngineProcess()
  const { source, target, replica } = servers.at
  if (replica === undefined) throw new Error('There is no replica to compare with.')
  const table =
    'CREATE TABLE latency (writer INT, id INT, note VARCHAR(100) NOT NULL, PRIMARY KEY (writer, id))'
  await servers.define(table)
  await startReplica(replica)
  await replicaCaughtUp(source, replica)
  await stopReplica(replica)

  const durationMs = context.quick ? 4_000 : 30_000
  const counters = Array.from({ length: writers }, () => 0)
  const results: BenchResult[] = []
  for (const tps of rates) {
    const seen: { syncline: Latencies; peer: Latencies }[] = []
    for (let round = 0; round < context.rounds; round++) {
      const nothing = { p50: 0, p99: 0, tps: 0 }
      const both = { syncline: nothing, peer: nothing }
      await inTurn(round, [
        async () => {
          await startReplica(replica)
          await replicaCaughtUp(source, replica)
          both.peer = await measure(servers, replica, tps, durationMs, counters)
          await replicaCaughtUp(source, replica)
          await stopReplica(replica)
        },
        async () => {
          engine.start({
            pipeline: 'bench',
            source: servers.source,
            target: servers.target,
            schemas: [database],
            load: 'once',
          })
          await engine.until(({ phase }) => phase === 'streaming')
          await engine.caughtUp(source)
          both.syncline = await measure(servers, target, tps, durationMs, counters)
          await engine.caughtUp(source)
          await engine.drain()
        },
      ])
      await startReplica(replica)
      await replicaCaughtUp(source, replica)
      await stopReplica(replica)
      engine.start({
        pipeline: 'bench',
        source: servers.source,
        target: servers.target,
        schemas: [database],
        load: 'once',
      })
      await engine.caughtUp(source)
      await engine.drain()
      await assertEqual(servers.source, servers.target, 'The target')
      if (servers.replica !== undefined) await assertEqual(servers.source, servers.replica, 'The replica')
      seen.push(both)
      context.say(
        `latency ${tps}/s round ${round + 1}: syncline p50 ${both.syncline.p50.toFixed(1)} p99 ${both.syncline.p99.toFixed(1)} ms, replica p50 ${both.peer.p50.toFixed(1)} p99 ${both.peer.p99.toFixed(1)} ms`,
      )
    }
    results.push(...resultsOf(tps, seen))
  }
  return results
}

function resultsOf(
  tps: number,
  seen: readonly { readonly syncline: Latencies; readonly peer: Latencies }[],
): BenchResult[] {
  const rounds = (which: 'p50' | 'p99') =>
    seen.map(({ syncline, peer }) => ({ syncline: syncline[which], peer: peer[which] }))
  const details = mediansOf(
    seen.map(({ syncline, peer }) => ({ 'syncline tps': syncline.tps, 'replica tps': peer.tps })),
  )
  const p99 = resultOf({
    name: `latency/${tps}/p99`,
    unit: 'ms',
    rounds: rounds('p99'),
    bar: 1.5,
    rule: 'at most',
    details,
  })
  const half = resultOf({
    name: `latency/${tps}/p50`,
    unit: 'ms',
    rounds: rounds('p50'),
    bar: null,
    rule: 'at most',
  })
  // The bar of the median is absolute, and only where the replica reaches it here.
  const holds = half.peer !== null && half.peer < 10 ? half.syncline < 10 : null
  return [p99, { ...half, holds, details: { bar: 'under 10 ms where the replica is' } }]
}

/** Writes at `tps` for a while and watches `end` meanwhile. */
async function measure(
  servers: BenchServers,
  end: Connection,
  tps: number,
  durationMs: number,
  counters: number[],
): Promise<Latencies> {
  const committedAt = counters.map(() => new Map<number, number>())
  const latencies: number[] = []
  const startedAt = performance.now()
  const stopAt = startedAt + warmUpMs + durationMs
  let committed = 0
  let isWriting = true

  const probe = async (): Promise<void> => {
    const seen = [...counters]
    while (isWriting || committedAt.some((waiting) => waiting.size > 0)) {
      if (performance.now() > stopAt + 60_000) throw new Error('Rows did not become visible within a minute.')
      const [rows] = await end.query({
        sql: `SELECT writer, MAX(id) FROM ${database}.latency GROUP BY writer`,
        rowsAsArray: true,
      })
      const now = performance.now()
      for (const [writer, id] of rows as unknown as [number, number][]) {
        const waiting = committedAt[writer] as Map<number, number>
        for (let next = (seen[writer] ?? 0) + 1; next <= id; next++) {
          const at = waiting.get(next)
          // Visible before the writer's own answer arrived: counted at the next look.
          if (at === undefined) break
          waiting.delete(next)
          seen[writer] = next
          if (at > startedAt + warmUpMs) latencies.push(now - at)
        }
      }
      await sleep(1)
    }
  }
  const write = async (writer: number): Promise<void> => {
    const connection = await connect(servers.source)
    const everyMs = (1000 * writers) / tps
    for (let due = startedAt + (writer * everyMs) / writers; due < stopAt; due += everyMs) {
      const wait = due - performance.now()
      if (wait > 1) await sleep(wait)
      const id = (counters[writer] ?? 0) + 1
      counters[writer] = id
      await connection.query(`INSERT INTO ${database}.latency VALUES (${writer}, ${id}, REPEAT('x', 60))`)
      const at = performance.now()
      committedAt[writer]?.set(id, at)
      if (at > startedAt + warmUpMs) committed++
    }
    await connection.end()
  }
  const probing = probe()
  await Promise.all([...counters.keys()].map(write)).finally(() => {
    isWriting = false
  })
  await probing
  return {
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    tps: (committed * 1000) / durationMs,
  }
}
