/**
 * How hard real servers are pressed: threads, a replica that follows, falls behind and stops, and a query; and a load that waits for each.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import { createPressureGauge, type MysqlPressureGauge } from '../../../src/connectors/mysql/pressure.ts'
import { noLimits, noPauses } from '../../../src/core/limits.ts'
import { createRig, until } from '../../support/engine-rig.ts'
import {
  connect,
  freshDatabase,
  type Reachable,
  sharedMariadbTarget,
  sharedSource,
} from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

let target: MysqlServer
let replica: MysqlServer
let atTarget: Connection
let atReplica: Connection
let gauge: MysqlPressureGauge

beforeAll(async () => {
  ;[target, replica] = await Promise.all([
    startMysql({ name: 'pressure target', serverId: 141, durable: false }),
    startMysql({
      name: 'pressure replica',
      serverId: 142,
      durable: false,
      extraArgs: ['--report-host=127.0.0.1'],
    }),
  ])
  atTarget = await connect(target)
  atReplica = await connect(replica)
  gauge = createPressureGauge(endpointOf(target), 'target')
  await atReplica.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${target.port}, SOURCE_USER = '${target.user}', SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA`,
  )
})
afterAll(async () => {
  await gauge.close()
  for (const connection of [atTarget, atReplica]) connection.destroy()
  await Promise.all([target, replica].map((server) => server.discard()))
})

const replicaName = (): string => `127.0.0.1:${replica.port}`

/** However it is tried, a query does not write, and the next one is answered. */
async function changesNothing(server: Reachable, its: MysqlPressureGauge): Promise<void> {
  const beside = await connect(server)
  const database = await freshDatabase(beside, 'measured')
  const table = `${database}.t`
  await beside.query(`USE ${database}`)
  await beside.query('CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)')
  await beside.query(
    'CREATE FUNCTION removing() RETURNS INT DETERMINISTIC BEGIN DELETE FROM t; RETURN 1; END',
  )
  const refused = async (sql: string, errno: number): Promise<void> => {
    await expect(its.measure(sql), sql).rejects.toMatchObject({ details: { errno } })
    expect(await its.measure(`SELECT COUNT(*) FROM ${table}`), sql).toBe(1)
  }
  for (const sql of [
    `DELETE FROM ${table}`,
    `TRUNCATE TABLE ${table}`,
    'CREATE DATABASE made_by_a_measure',
    `SELECT ${database}.removing()`,
  ])
    await refused(sql, 1792)
  for (const sql of [
    `SELECT 1; DELETE FROM ${table}`,
    `SET SESSION TRANSACTION READ WRITE; DELETE FROM ${table}; SELECT 1`,
    `SELECT 1; COMMIT; SET SESSION TRANSACTION READ WRITE; DELETE FROM ${table}`,
    `SELECT 1 /* '; */; DELETE FROM ${table}`,
  ])
    await refused(sql, 1064)
  // Alone it is let pass, and changes nothing for those that follow.
  expect(await its.measure('SET SESSION TRANSACTION READ WRITE')).toBeNaN()
  expect(await its.measure('COMMIT').catch(() => Number.NaN)).toBeNaN()
  await refused(`DELETE FROM ${table}`, 1792)
  beside.destroy()
}

it('counts running threads', async () => {
  const before = await gauge.threadsRunning()
  expect(before).toBeGreaterThanOrEqual(1)
  const sleeper = await connect(target)
  const sleeping = sleeper.query('SELECT SLEEP(60)').catch(() => {})
  await expect.poll(() => gauge.threadsRunning(), { timeout: 20_000 }).toBeGreaterThan(before)
  sleeper.destroy()
  await sleeping
})

it('gives the number of a query, and changes nothing by it', async () => {
  expect(await gauge.measure('SELECT 2.5')).toBe(2.5)
  expect(await gauge.measure("SELECT CHAR_LENGTH('größe')")).toBe(5)
  expect(await gauge.measure('SELECT NULL')).toBeNaN()
  expect(await gauge.measure("SELECT 'many'")).toBeNaN()
  expect(await gauge.measure('SELECT 1 FROM DUAL WHERE FALSE')).toBeNaN()
  await expect(gauge.measure('SELECT nothing')).rejects.toMatchObject({ name: 'SyncError' })
  await changesNothing(target, gauge)
})

it('asks MariaDB in its own words', async () => {
  const ofMaria = createPressureGauge(endpointOf(await sharedMariadbTarget()), 'target')
  try {
    expect(await ofMaria.threadsRunning()).toBeGreaterThanOrEqual(1)
    expect(await ofMaria.replicas()).toEqual([])
    expect(await ofMaria.measure('SELECT 2.5')).toBe(2.5)
    await changesNothing(await sharedMariadbTarget(), ofMaria)
  } finally {
    await ofMaria.close()
  }
})

it('knows a replica that follows, is behind, and does not replicate', async () => {
  await expect.poll(() => gauge.replicas(), { timeout: 30_000 }).toEqual([{ name: replicaName(), lagMs: 0 }])
  await atReplica.query('STOP REPLICA SQL_THREAD')
  expect(await gauge.replicas()).toEqual([
    { name: replicaName(), lagMs: null, why: 'it does not replicate now' },
  ])
  await atReplica.query('CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 600; START REPLICA SQL_THREAD')
  await atTarget.query('CREATE DATABASE written_late')
  await expect
    .poll(async () => (await gauge.replicas())[0]?.lagMs ?? 0, { timeout: 30_000 })
    // The load below must find it further behind than it may be.
    .toBeGreaterThan(1_000)
})

describe('a load', () => {
  it('waits for the delayed replica of its target, says so, and goes on when that is lifted', async () => {
    const rig = await createRig(await sharedSource(), target, 'pressure')
    try {
      await rig.source.query(
        `CREATE TABLE ${rig.database}.t (id INT PRIMARY KEY); INSERT INTO ${rig.database}.t VALUES (1), (2), (3)`,
      )
      await rig.target.query(`CREATE TABLE ${rig.database}.t (id INT PRIMARY KEY)`)
      const run = rig.start()
      const load = { ...noPauses, targetReplicaLagMs: 1_000 }
      run.engine.setLimits({ ...noLimits, pauseWhen: { load, stream: noPauses } })
      await until(
        run,
        60_000,
        ({ throttled }) => throttled.load?.includes(`${replicaName()} of the target`) === true,
      )
      // The stream beside it goes on.
      await rig.source.query(`INSERT INTO ${rig.database}.t VALUES (4)`)
      const ids = async (): Promise<unknown> =>
        (await rig.target.query(`SELECT id FROM ${rig.database}.t`))[0]
      await expect.poll(ids, { timeout: 60_000 }).toEqual([{ id: 4 }])
      expect(run.engine.status().phase).toBe('loading')
      const query = { sql: 'SELECT 1', above: 0 }
      run.engine.setLimits({
        ...noLimits,
        pauseWhen: { load: { ...noPauses, targetQuery: query }, stream: noPauses },
      })
      await until(
        run,
        60_000,
        ({ throttled }) => throttled.load === 'the query at the target, 1, more than 0',
      )
      run.engine.setLimits(noLimits)
      await rig.settled(run)
      expect(await ids()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }])
      expect(run.engine.status().throttled).toEqual({ load: null, stream: null })
    } finally {
      await rig.close()
    }
  })
})
