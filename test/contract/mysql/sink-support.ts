/*
 * What the tests of the sink share: a sink on a real server, destinations from the server's own catalogue, and small plans.
 */
import { randomBytes } from 'node:crypto'
import type { BatchHeader, LoadProgress, Resume, Sink } from '../../../src/connectors/contract.ts'
import { readTablesByName } from '../../../src/connectors/mysql/catalogue.ts'
import { type Connection, connect } from '../../../src/connectors/mysql/connection.ts'
import { createSink } from '../../../src/connectors/mysql/sink/sink.ts'
import type { BatchPlan, Destination, LaneWork, TableWork } from '../../../src/core/plan.ts'
import type { Position } from '../../../src/core/position.ts'
import type { Row, Value } from '../../../src/core/value.ts'
import { type Reachable, sharedTarget } from '../../support/servers.ts'

export const at = (n: number): Position => ({
  token: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${n}`,
  ordinal: 0,
})

export const openConnection = (
  server: Reachable,
  silentMs = 1000,
  role: 'write' | 'load' = 'write',
): Promise<Connection> =>
  connect(
    {
      kind: 'mysql',
      host: server.host,
      port: server.port,
      user: server.user,
      password: server.password,
      tls: { mode: 'disabled' },
      connectTimeoutMs: 5000,
    },
    role,
    { silentMs },
  )

export interface SinkFixture {
  readonly pipeline: string
  readonly database: string
  /** For looking and for disturbing. */
  readonly sql: Connection
  /** A sink of the same pipeline, not yet in charge. */
  sink(lanes?: number, server?: Reachable, loadWriters?: number): Promise<Sink>
  /** A sink that has taken over. */
  owner(epoch: bigint, lanes?: number): Promise<{ sink: Sink; resume: Resume }>
  destination(table: string, columns?: readonly string[]): Promise<Destination>
  /** Whole rows of a table as byte strings, in the order of its first column. */
  rows(table: string, columns?: string): Promise<readonly Row[]>
  marks(): Promise<readonly Row[]>
  close(): Promise<void>
}

export async function sinkFixture(prefix: string, open = sharedTarget): Promise<SinkFixture> {
  const server = await open()
  const sql = await openConnection(server)
  const unique = `${prefix}_${randomBytes(5).toString('hex')}`
  await sql.query(`CREATE DATABASE ${unique}`)
  const sinks: Sink[] = []
  const fixture: SinkFixture = {
    pipeline: unique,
    database: unique,
    sql,
    async sink(lanes = 2, through = server, loadWriters = 0) {
      const sink = await createSink((role) => openConnection(through, 1000, role), unique, {
        lanes,
        loadWriters,
        origin: 'here',
      })
      sinks.push(sink)
      return sink
    },
    async owner(epoch, lanes) {
      const sink = await fixture.sink(lanes)
      return { sink, resume: await sink.takeOver(epoch) }
    },
    destination: (table, columns) => destinationOf(sql, unique, table, columns),
    async rows(table, columns = '*') {
      const { rows } = await sql.query(`SELECT ${columns} FROM ${unique}.${table} ORDER BY 1`)
      return rows
    },
    async marks() {
      const { rows } = await sql.query(
        `SELECT slot, epoch, batch, part, lanes, phases FROM syncline.apply_mark WHERE pipeline = _utf8mb4'${unique}' ORDER BY slot`,
      )
      return rows
    },
    async close() {
      for (const sink of sinks) await sink.close()
      await sql.close()
    },
  }
  return fixture
}

/** A destination whose values come from a table like it. */
export async function destinationOf(
  sql: Connection,
  schema: string,
  table: string,
  columns?: readonly string[],
): Promise<Destination> {
  const found = (await readTablesByName(sql, [{ schema, name: table }])).get(`${schema}.${table}`)
  if (found?.shape.primaryKey === undefined) throw new Error(`no table ${table}, or it has no primary key`)
  const { shape } = found
  const written = shape.columns.filter(
    ({ name, generated }) => !generated && (columns === undefined || columns.includes(name)),
  )
  const mapped = (ordinals: readonly number[]): number[] =>
    ordinals.map((ordinal) => written.indexOf(shape.columns[ordinal] as never))
  return {
    id: shape.id,
    columns: written,
    valueTypes: written.map(({ type }) => type),
    key: { ...found.shape.primaryKey, ordinals: mapped(found.shape.primaryKey.ordinals) },
    uniqueKeys: shape.uniqueKeys.map((key) => ({ ...key, ordinals: mapped(key.ordinals) })),
  }
}

export const work = (
  destination: Destination,
  upserts: readonly Row[],
  removals: readonly Row[] = [],
): TableWork => ({
  destination,
  removals,
  upserts,
})

export const small = (...tables: readonly TableWork[]): BatchPlan => ({
  lanes: 1,
  phases: 1,
  inOneLane: [],
  work: [[{ tables }]],
  rows: tables.reduce((rows, { upserts, removals }) => rows + upserts.length + removals.length, 0),
})

export const lane = (...tables: readonly TableWork[]): LaneWork => ({ tables })

export const header = (batch: number, lanes = 1, phases = 1): BatchHeader => ({
  batch,
  from: at(batch - 1),
  to: at(batch),
  lanes,
  phases,
  planDigest: `digest-${batch}`,
  sourceCommitTimeUs: 1_700_000_000_000_000 + batch,
})

export const progress = (
  table: string,
  after: readonly Value[] | null,
  rows: number,
  done = false,
): LoadProgress => ({
  table,
  after,
  rows,
  done,
})

/** The code of the SyncError that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return 'no error'
}
