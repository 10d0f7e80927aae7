/**
 * A source that cannot be followed: its log is purged, statements stand in it instead of rows, a table has no key. The pipeline stands still
 * before the place, tells what to do, and goes on once that is done.
 */
import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { expect, it } from 'vitest'
import { startMysql } from '../../dev/mysql.ts'
import { useInstallation } from '../support/installation.ts'
import { connect } from '../support/servers.ts'

const here = useInstallation()
const table = 'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))'
const positionOf = async (connection: Connection): Promise<string> => {
  const [rows] = await connection.query('SELECT @@global.gtid_executed AS executed')
  return String((rows as { executed: string }[])[0]?.executed)
}

it('the log was purged while the pipeline was paused', async () => {
  // A server of its own: purging and restoring a log is nothing to do to a server that others use.
  await using server = await startMysql({ name: 'purged source', serverId: 121, durable: false })
  const pipeline = await here.createCase('purged', { source: server })
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(1)
  expect(await here.stack.cli(['pause', 'purged'])).toMatchObject({ code: 0 })
  await pipeline.reaches('paused')

  await pipeline.source.query(
    "INSERT INTO t VALUES (2, 'two'); FLUSH BINARY LOGS; INSERT INTO t VALUES (3, 'three'); FLUSH BINARY LOGS",
  )
  const logs = join(server.dir, 'data')
  const backup = join(here.stack.dir, 'backup')
  const isLog = (name: string): boolean => name.startsWith('binlog.')
  const files = (await readdir(logs)).filter(isLog)
  for (const file of files) await cp(join(logs, file), join(backup, file))
  await pipeline.source.query(
    `PURGE BINARY LOGS TO '${files
      .filter((name) => /\d$/.test(name))
      .sort()
      .at(-1)}'`,
  )
  await pipeline.resume()
  const blocked = await pipeline.blocked('SYNC-2204')
  expect(blocked.message).toMatch(/purged [0-9a-f-]{36}:\d/)
  expect(await pipeline.rows('SELECT id FROM t')).toEqual([{ id: 1 }])

  // The first way out: the files are put back.
  await server.stop()
  for (const file of files) await cp(join(backup, file), join(logs, file))
  await server.restart()
  await pipeline.reconnect()
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)

  // The second: purged again, the pipeline is made anew and loads.
  expect(await here.stack.cli(['pause', 'purged'])).toMatchObject({ code: 0 })
  await pipeline.reaches('paused')
  await pipeline.source.query(
    "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (4, 'four'); FLUSH BINARY LOGS",
  )
  const [present] = await pipeline.source.query('SHOW BINARY LOGS')
  await pipeline.source.query(
    `PURGE BINARY LOGS TO '${(present as { Log_name: string }[]).at(-1)?.Log_name}'`,
  )
  await pipeline.resume()
  await pipeline.blocked('SYNC-2204')
  expect(await here.stack.cli(['delete', 'pipeline', 'purged', '--yes'])).toMatchObject({ code: 0 })
  await pipeline.apply({ onExistingRows: 'empty' })
  expect(await pipeline.expectEqual({ mark: 'purged@2' })).toBe(3)
})

it('a session logs statements', async () => {
  const pipeline = await here.createCase('statements')
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
  await pipeline.apply()
  expect(await pipeline.expectEqual()).toBe(2)

  const session = await connect(here.source, { database: pipeline.database })
  await pipeline.source.query("INSERT INTO t VALUES (3, 'three')")
  const before = await positionOf(session)
  await session.query("SET SESSION binlog_format = 'STATEMENT'")
  await session.query("UPDATE t SET v = CONCAT(v, '!') WHERE id < 3")
  const [rows] = await session.query('SELECT GTID_SUBTRACT(@@global.gtid_executed, ?) AS own', [before])
  await pipeline.source.query("UPDATE t SET v = CONCAT(v, '?')")
  session.destroy()

  const blocked = await pipeline.blocked('SYNC-2205')
  // Nobody else writes to this database; others of the server may have.
  expect((rows as { own: string }[])[0]?.own).toContain(blocked.at?.split(':')[0])
  expect(blocked.message).toContain(String(blocked.at))
  expect(blocked.message).toContain('UPDATE t SET')
  expect(await pipeline.rows('SELECT id, v FROM t ORDER BY id'), 'all before it, nothing after it').toEqual([
    { id: 1, v: 'one' },
    { id: 2, v: 'two' },
    { id: 3, v: 'three' },
  ])
  await pipeline.target.query("UPDATE t SET v = CONCAT(v, '!') WHERE id < 3")
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)
})

it('a table has no key, before the start', async () => {
  const pipeline = await here.createCase('no-key')
  await pipeline.both(table, 'CREATE TABLE keyless (a INT, b VARCHAR(10))')
  await pipeline.source.query(
    "INSERT INTO t VALUES (1, 'one'); INSERT INTO keyless VALUES (1, 'x'), (1, 'x')",
  )
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-2202')
  expect(blocked.message).toContain(`${pipeline.database}.keyless`)
  expect(await pipeline.rows('SELECT * FROM t')).toEqual([])

  const statement = blocked.remedy.replace(/; or .*/, '')
  expect(statement).toMatch(/^ALTER TABLE/)
  await pipeline.source.query(statement)
  await pipeline.target.query(statement)
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(3)
})

it('a table without a key may be left out', async () => {
  const pipeline = await here.createCase('left-out')
  await pipeline.both(table, 'CREATE TABLE keyless (a INT)')
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one'); INSERT INTO keyless VALUES (1)")
  await pipeline.apply()
  await pipeline.blocked('SYNC-2202')
  await pipeline.apply({
    tables: [{ match: `${pipeline.database}.*`, exclude: [`${pipeline.database}.keyless`] }],
  })
  expect(await pipeline.expectEqual({ exclude: ['keyless'] })).toBe(1)
})

it('a table without a key is made while it streams', async () => {
  const pipeline = await here.createCase('late-no-key')
  await pipeline.both(table)
  await pipeline.apply()
  await pipeline.reaches('streaming')
  await pipeline.source.query(
    "INSERT INTO t VALUES (1, 'one'); CREATE TABLE keyless (a INT NOT NULL, b INT); INSERT INTO keyless VALUES (1, 1), (2, 2); INSERT INTO t VALUES (2, 'two')",
  )
  const blocked = await pipeline.blocked('SYNC-2301')
  expect(JSON.stringify(blocked)).toContain('has no primary key')
  expect(await pipeline.rows('SELECT id FROM t')).toEqual([{ id: 1 }])
  await pipeline.source.query('ALTER TABLE keyless ADD PRIMARY KEY (a)')
  // Created there as the source's was, without a key.
  await pipeline.target.query('ALTER TABLE keyless ADD PRIMARY KEY (a)')
  await pipeline.resume()
  expect(await pipeline.expectEqual()).toBe(4)
})

it('a pattern that takes nothing', async () => {
  const pipeline = await here.createCase('nothing')
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  const mistyped = `${pipeline.database}.tt`
  await pipeline.apply({ tables: [{ match: `${pipeline.database}.t` }, { match: mistyped }] })
  const blocked = await pipeline.blocked('SYNC-2209')
  expect(blocked.message).toContain(mistyped)
  await pipeline.apply({ tables: [{ match: `${pipeline.database}.t` }] })
  expect(await pipeline.expectEqual()).toBe(1)
})

it('a source that does not log rows', async () => {
  await using server = await startMysql({
    name: 'unfit source',
    serverId: 122,
    durable: false,
    extraArgs: [
      '--binlog-row-image=MINIMAL',
      '--binlog-row-metadata=MINIMAL',
      '--binlog-expire-logs-seconds=3600',
    ],
  })
  const pipeline = await here.createCase('unfit', { source: server })
  await pipeline.both(table)
  await pipeline.source.query("INSERT INTO t VALUES (1, 'one')")
  await pipeline.apply()
  const blocked = await pipeline.blocked('SYNC-2201')
  const errors = blocked.findings.filter(({ severity }) => severity === 'error')
  expect(errors.map(({ message }) => message).join()).toMatch(/binlog_row_image.*binlog_row_metadata/)
  expect(blocked.findings.map(({ code, severity }) => `${severity} ${code}`)).toContain('warning SYNC-2212')
  for (const { remedy } of errors) await pipeline.source.query(remedy.replace(/; then .*/, ''))
  await pipeline.reconnect()
  await pipeline.resume()
  await pipeline.source.query("UPDATE t SET v = 'uno'")
  expect(await pipeline.expectEqual()).toBe(1)
})
