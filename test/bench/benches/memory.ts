/*
 * How much memory the process of the engine ever has, with a fresh process for each kind of work: a huge transaction, a long backlog (and
 * one of a tenth of it), rows of a megabyte, two thousand tables. All go to their end and are compared with the source.
 */

import { peakMegabytes } from '../../support/peak-memory.ts'
import type { Bench, BenchContext } from '../bench.ts'
import { type EngineProcess, startEngineProcess } from '../engine/process.ts'
import { assertEqual, type BenchServers, database, fillQuickly, startServers } from '../servers.ts'
import { type BenchResult, resultOf } from '../statistics.ts'
import { numbers } from '../work/workload.ts'

const limitMegabytes = 400
/** A backlog ten times as long may need this many times the memory: what V8 has not collected yet varies from run to run. */
const growthLimit = 1.25

type Work = {
  readonly name: string
  readonly tables: readonly string[]
  /** Statements at the source; each is one transaction. */
  readonly statements: (size: number) => Iterable<string>
  readonly sizes: { readonly quick: number; readonly full: number }
  readonly unit: string
}

const wideTable = (name: string): string =>
  `CREATE TABLE ${name} (id INT NOT NULL PRIMARY KEY, k INT NOT NULL, name VARCHAR(40), note VARCHAR(200), price DECIMAL(12,2), at DATETIME(3))`

const insertRows = (table: string, from: number, to: number): string =>
  `INSERT INTO ${table} ${numbers(to - from + 1)}
   SELECT i + ${from - 1}, i * 7 MOD 1000003, CONCAT('name ', i), REPEAT(SHA2(i, 256), 2), i / 100, '2026-01-02 03:04:05.678' FROM n`

const transaction: Work = {
  name: 'transaction',
  tables: [wideTable('big')],
  *statements(rows) {
    yield insertRows('big', 1, rows)
    yield 'UPDATE big SET k = k + 1, note = REVERSE(note), at = NULL'
  },
  sizes: { quick: 50_000, full: 5_000_000 },
  unit: 'rows in one transaction',
}

/** Transactions of 1,000 rows, half of them inserts and half updates of the rows before. */
const backlog: Work = {
  name: 'backlog',
  tables: [wideTable('log')],
  *statements(changes) {
    for (let from = 1; from <= changes / 2; from += 1_000) {
      yield insertRows('log', from, from + 999)
      yield `UPDATE log SET k = k + 1, note = REVERSE(note) WHERE id BETWEEN ${from} AND ${from + 999}`
    }
  },
  sizes: { quick: 60_000, full: 10_000_000 },
  unit: 'changes',
}

const wideRows: Work = {
  name: 'rows-of-1MB',
  tables: ['CREATE TABLE wide (id INT NOT NULL PRIMARY KEY, body LONGBLOB NOT NULL)'],
  *statements(rows) {
    for (let i = 1; i <= rows; i++)
      yield `INSERT INTO wide VALUES (${i}, REPEAT(UNHEX(SHA2(${i}, 256)), 32768))`
  },
  sizes: { quick: 40, full: 2_000 },
  unit: 'rows of 1 MB',
}

const manyTables = (count: number): Work => ({
  name: 'tables',
  tables: Array.from({ length: count }, (_, i) => wideTable(`t${i + 1}`)),
  *statements(tables) {
    for (let i = 1; i <= tables; i++) yield insertRows(`t${i}`, 1, 50)
    for (let i = 1; i <= tables; i++) yield `UPDATE t${i} SET k = k + 1`
  },
  sizes: { quick: count, full: count },
  unit: 'tables',
})

export const memory: Bench = async (context) => {
  const results: BenchResult[] = []
  const peaks: Record<string, number> = {}
  const works = [transaction, backlog, wideRows, manyTables(context.quick ? 100 : 2_000)]
  for (const work of works) {
    const size = work.sizes[context.quick ? 'quick' : 'full']
    const peak = await peakOf(context, work, size)
    peaks[work.name] = peak
    results.push(
      resultOf({
        name: `memory/${work.name}`,
        unit: 'MB',
        rounds: [{ syncline: peak }],
        bar: limitMegabytes,
        rule: 'at most',
        details: { [work.unit]: size },
      }),
    )
  }
  const tenth = backlog.sizes[context.quick ? 'quick' : 'full'] / 10
  results.push(
    resultOf({
      name: 'memory/backlog-growth',
      unit: 'MB',
      rounds: [{ syncline: peaks['backlog'] ?? 0, peer: await peakOf(context, backlog, tenth) }],
      // A tenth of a quick run does not fill V8's first heap: that says nothing about growth.
      bar: context.quick ? null : growthLimit,
      rule: 'at most',
      details: { peer: 'the same engine with a tenth of the backlog' },
    }),
  )
  return results
}

/** Megabytes (10^6) at most, from the start of the process until everything is at the target. */
async function peakOf(context: BenchContext, work: Work, size: number): Promise<number> {
  await using servers = await startServers({ replica: false })
  await using engine = await startEngineProcess()
  await servers.define(work.tables.join('; '))
  // The position is stored before there is any work, so that all of it comes through the log.
  start(servers, engine)
  await engine.until(({ phase }) => phase === 'streaming')
  await engine.drain()
  const { source } = servers.at
  await fillQuickly(source, async () => {
    await source.query(`USE ${database}; SET SESSION cte_max_recursion_depth = 1000000000`)
    for (const statement of work.statements(size)) await source.query(statement)
  })
  const startedAt = performance.now()
  start(servers, engine)
  await engine.caughtUp(source)
  const seconds = (performance.now() - startedAt) / 1000
  await engine.drain()
  const peak = await peakMegabytes(engine.pid)
  await assertEqual(servers.source, servers.target, 'The target')
  context.say(
    `memory ${work.name}: ${size} ${work.unit} in ${seconds.toFixed(1)} s, at most ${peak.toFixed(0)} MB`,
  )
  return Math.round(peak)
}

const start = ({ source, target }: BenchServers, engine: EngineProcess): void =>
  engine.start({ pipeline: 'bench', source, target, schemas: [database], load: 'once' })
