/**
 * A source and a target database with an engine between them, in this process and without Temporal: for tests of what the data path does
 * with rows. The connections, the connectors and the servers are the real ones.
 */
import type { Connection } from 'mysql2/promise'
import { mysqlEndpoint } from '../../src/connectors/mysql/config.ts'
import { openMysqlSource } from '../../src/connectors/mysql/source.ts'
import { openMysqlTarget } from '../../src/connectors/mysql/target.ts'
import type { RejoinRequest } from '../../src/core/pipeline-control.ts'
import type { ParkedTable } from '../../src/core/quarantine.ts'
import { createEngine, type Engine } from '../../src/streamer/engine.ts'
import type { EngineOptions, TableRule } from '../../src/streamer/options.ts'
import type { EngineOutcome, EnginePhase } from '../../src/streamer/status.ts'
import { connect, freshDatabase, type Reachable } from './servers.ts'

export interface EngineRun {
  readonly engine: Engine
  readonly outcome: Promise<EngineOutcome>
  drain(): Promise<EngineOutcome>
}

export interface Rig {
  readonly database: string
  readonly source: Connection
  readonly target: Connection
  readonly pipeline: string
  start(options?: Partial<EngineOptions>, rejoins?: readonly RejoinRequest[]): EngineRun
  /** What is parked at the target, as the newest session found it. */
  parked(): readonly (ParkedTable & { readonly isRejoining: boolean })[]
  /** Waits until the engine has confirmed everything that the source has committed by now. */
  settled(run: EngineRun): Promise<void>
  close(): Promise<void>
}

const rule = (database: string): TableRule => ({
  match: `${database}.*`,
  exclude: [],
  toSchema: '{schema}',
  toTable: '{table}',
  includeColumns: null,
  excludeColumns: [],
  renameColumns: {},
  where: null,
})

let lastEpoch = BigInt(Date.now())

/** @param ends where the servers are reached by the engine (a proxy, perhaps), if not directly */
export async function createRig(
  sourceServer: Reachable,
  targetServer: Reachable,
  prefix: string,
  ends: { source?: Reachable; target?: Reachable } = {},
): Promise<Rig> {
  const source = await connect(sourceServer)
  const target = await connect(targetServer)
  const database = await freshDatabase(source, prefix)
  await target.query(`CREATE DATABASE ${database}`)
  const endpoint = (server: Reachable) =>
    mysqlEndpoint.parse({
      kind: 'mysql',
      host: server.host,
      port: server.port,
      user: server.user,
      password: server.password,
    })
  const sourceEndpoint = endpoint(ends.source ?? sourceServer)
  const targetEndpoint = endpoint(ends.target ?? targetServer)
  const runs: EngineRun[] = []
  let parked: ReturnType<Rig['parked']> = []

  return {
    database,
    source,
    target,
    pipeline: database,
    parked: () => parked,
    start(options = {}, rejoins = []) {
      lastEpoch += 100_000n
      const engine = createEngine(
        {
          openSource: () => openMysqlSource(sourceEndpoint),
          openTarget: () => openMysqlTarget(targetEndpoint),
          recheck: async () => {},
          onParked: (tables) => {
            parked = tables
          },
        },
        {
          pipeline: database,
          origin: 'test',
          rules: [rule(database)],
          order: 'merged',
          lanes: 4,
          batch: { maxRows: 20_000, maxBytes: 8 * 1024 * 1024, maxDelayMs: 0 },
          smallBatchRows: 200,
          load: { enabled: true, chunkRows: 5_000, chunksInFlight: 4 },
          ...options,
        },
        lastEpoch,
        [],
        rejoins,
      )
      const outcome = engine.run()
      const run = {
        engine,
        outcome,
        drain() {
          engine.drain()
          return outcome
        },
      }
      runs.push(run)
      return run
    },
    async settled(run) {
      const [rows] = await source.query('SELECT @@global.gtid_executed AS executed')
      const goal = String((rows as { executed: string }[])[0]?.executed)
      await until(run, 120_000, async (status) => {
        if (status.phase !== 'streaming' || status.position === null || status.position.ordinal > 0)
          return false
        const [answer] = await source.query('SELECT GTID_SUBSET(?, ?) AS done', [goal, status.position.token])
        return Number((answer as { done: number }[])[0]?.done) === 1
      })
    },
    async close() {
      for (const run of runs) await run.drain()
      await source.query(`DROP DATABASE IF EXISTS ${database}`)
      await target.query(`DROP DATABASE IF EXISTS ${database}`)
      await source.end()
      await target.end()
    },
  }
}

/** Waits for a status; fails at once when the engine ends, and after `timeoutMs` with the last status. */
export async function until(
  run: EngineRun,
  timeoutMs: number,
  condition: (status: ReturnType<Engine['status']>) => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  let ended: EngineOutcome | null = null
  void run.outcome.then((outcome) => {
    ended = outcome
  })
  while (performance.now() < deadline) {
    if (ended !== null) throw new Error(`The engine ended: ${JSON.stringify(ended)}`)
    if (await condition(run.engine.status())) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`Not reached in ${timeoutMs} ms; the engine says ${JSON.stringify(run.engine.status())}`)
}

export const inPhase =
  (phase: EnginePhase) =>
  (status: { phase: EnginePhase }): boolean =>
    status.phase === phase

/** All rows of a table with every value in a form that equal bytes alone make equal. */
export async function dump(connection: Connection, table: string): Promise<string[]> {
  const [columns] = await connection.query(`SHOW FULL COLUMNS FROM ${table}`)
  const parts = (columns as { Field: string; Type: string }[]).map(({ Field, Type }) => {
    const name = `\`${Field.replaceAll('`', '``')}\``
    const exact = /^(float|double|real)/.test(Type) ? `${name} + 0e0` : name
    return `IFNULL(HEX(CAST(${exact} AS ${/^(float|double)/.test(Type) ? 'CHAR' : 'BINARY'})), 'NULL')`
  })
  const [rows] = await connection.query({
    sql: `SELECT CONCAT_WS('|', ${parts.join(', ')}) AS line FROM ${table}`,
    rowsAsArray: true,
  })
  return (rows as unknown as [string][]).map(([line]) => line).sort()
}
