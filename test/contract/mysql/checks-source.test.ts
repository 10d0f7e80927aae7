/**
 * Every finding about a source, each by a real misconfiguration of a real server, and none about a source that is set up well.
 */
import type { Connection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import type { Finding, MappedTable, PipelineScope } from '../../../src/connectors/contract.ts'
import { checkMysqlSource } from '../../../src/connectors/mysql/check-source.ts'
import { preCheck } from '../../../src/connectors/registry.ts'
import { connect, freshDatabase } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

let server: MysqlServer
let admin: Connection
let database: string

beforeAll(async () => {
  server = await startMysql({ durable: false })
  admin = await connect(server)
  database = await freshDatabase(admin, 'check_source')
  await admin.query(`USE ${database}; CREATE TABLE good (id INT PRIMARY KEY, t TEXT)`)
})
afterAll(async () => {
  await admin?.end()
  await server?.discard()
})

const mapped = (table: string, columns: MappedTable['columns'] = null): MappedTable => ({
  source: { schema: database, name: table },
  target: { schema: database, name: table },
  columns,
})

const scopeOf = (mappings: readonly MappedTable[], endpoint = endpointOf(server)): PipelineScope => ({
  pipeline: 'p',
  source: { ...endpoint },
  target: { ...endpoint },
  mappings,
  loads: true,
  onMissingTable: 'refuse',
  onExistingRows: 'refuse',
})

const check = (mappings: readonly MappedTable[] = [mapped('good')], endpoint = endpointOf(server)) =>
  checkMysqlSource(endpoint, scopeOf(mappings, endpoint))

const brief = (findings: readonly Finding[]) => findings.map(({ code, severity }) => `${code} ${severity}`)

it('has nothing to say about a source that is set up well', async () => {
  expect(await check()).toEqual([])
})

describe('settings of the server', () => {
  it.each([
    ['binlog_row_image', 'MINIMAL', 'FULL'],
    ['binlog_row_metadata', 'MINIMAL', 'FULL'],
    ['binlog_row_value_options', 'PARTIAL_JSON', ''],
    ['binlog_format', 'MIXED', 'ROW'],
  ])('%s = %s', async (name, wrong, right) => {
    await admin.query(`SET GLOBAL ${name} = '${wrong}'`)
    const findings = await check()
    await admin.query(`SET GLOBAL ${name} = '${right}'`)
    expect(brief(findings)).toEqual(['SYNC-2201 error'])
    expect(findings[0]?.message).toContain(`${name} is ${wrong}`)
    expect(findings[0]?.remedy).toContain(`SET PERSIST ${name} = '${right}'`)
    // The remedy is right: it is run, and the finding is gone.
    await admin.query(`SET GLOBAL ${name} = '${wrong}'`)
    await admin.query((findings[0]?.remedy ?? '').split(';')[0] as string)
    expect(await check()).toEqual([])
  })

  it('a log that is kept too short', async () => {
    await admin.query('SET GLOBAL binlog_expire_logs_seconds = 3600')
    const findings = await check()
    await admin.query('SET GLOBAL binlog_expire_logs_seconds = 2592000')
    expect(brief(findings)).toEqual(['SYNC-2212 warning'])
    expect(findings[0]?.message).toContain('3600 s')
  })

  it('server_id = 0', async () => {
    const [rows] = await admin.query('SELECT @@server_id AS id')
    await admin.query('SET GLOBAL server_id = 0')
    const findings = await check()
    await admin.query(`SET GLOBAL server_id = ${String((rows as { id: number }[])[0]?.id)}`)
    expect(brief(findings)).toEqual(['SYNC-2201 error'])
  })

  it('no GTIDs', async () => {
    await admin.query('SET GLOBAL gtid_mode = ON_PERMISSIVE')
    await admin.query('SET GLOBAL gtid_mode = OFF_PERMISSIVE')
    const findings = await check()
    await admin.query('SET GLOBAL gtid_mode = ON_PERMISSIVE')
    await admin.query('SET GLOBAL gtid_mode = ON')
    expect(brief(findings)).toEqual(['SYNC-2201 error'])
    expect(findings[0]?.message).toContain('gtid_mode is OFF_PERMISSIVE')
  })

  it('no log at all', async () => {
    await using without = await startMysql({
      durable: false,
      extraArgs: ['--skip-log-bin', '--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    })
    const findings = await checkMysqlSource(endpointOf(without), scopeOf([], endpointOf(without)))
    expect(brief(findings)).toEqual(['SYNC-2201 error'])
    expect(findings[0]?.message).toContain('no binary log')
  })

  it('a schema that is kept out of the log, and cascades that InnoDB makes unlogged', async () => {
    await using filtered = await startMysql({
      durable: false,
      extraArgs: ['--binlog-ignore-db=secret', '--innodb-native-foreign-keys=ON'],
    })
    const connection = await connect(filtered)
    await connection.query(
      'CREATE DATABASE secret; CREATE TABLE secret.t (id INT PRIMARY KEY); CREATE DATABASE shop; USE shop; CREATE TABLE parent (id INT PRIMARY KEY); CREATE TABLE child (id INT PRIMARY KEY, p INT, CONSTRAINT fk1 FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE); CREATE TABLE strict_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))',
    )
    const names = [
      ['secret', 't'],
      ['shop', 'parent'],
      ['shop', 'child'],
      ['shop', 'strict_child'],
    ] as const
    const findings = await checkMysqlSource(
      endpointOf(filtered),
      scopeOf(
        names.map(([schema, name]) => ({
          source: { schema, name },
          target: { schema, name },
          columns: null,
        })),
        endpointOf(filtered),
      ),
    )
    await connection.end()
    expect(brief(findings)).toEqual(['SYNC-2201 error', 'SYNC-2213 warning'])
    expect(findings[0]?.message).toContain('schema secret')
    expect(findings[1]).toMatchObject({ table: 'shop.child' })
    expect(findings[1]?.message).toContain('fk1')
  })

  it('a replica that does not log what it applies, or commits in another order', async () => {
    await using replica = await startMysql({
      durable: false,
      extraArgs: [
        '--log-replica-updates=OFF',
        '--replica-preserve-commit-order=OFF',
        '--replica-parallel-workers=4',
        '--skip-replica-start',
      ],
    })
    const connection = await connect(replica)
    const options = (): Promise<readonly Finding[]> =>
      checkMysqlSource(endpointOf(replica), scopeOf([], endpointOf(replica)))
    expect(await options()).toEqual([])
    await connection.query(
      "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1, SOURCE_USER = 'x'",
    )
    const findings = await options()
    await connection.end()
    expect(brief(findings)).toEqual(['SYNC-2201 error', 'SYNC-2201 error'])
    expect(findings[0]?.message).toContain('log_replica_updates')
    expect(findings[1]?.remedy).toContain('replica_preserve_commit_order')
  })
})

describe('the login and its privileges', () => {
  it('a wrong password', async () => {
    const findings = await check([], endpointOf(server, { user: 'root', password: 'wrong' }))
    expect(brief(findings)).toEqual(['SYNC-2102 error'])
  })

  it('throws what passes by itself', async () => {
    await expect(check([], endpointOf(server, { port: 1 }))).rejects.toMatchObject({ code: 'SYNC-2101' })
  })

  it('each missing privilege, with a GRANT that mends it', async () => {
    await admin.query(`DROP USER IF EXISTS 'poor'@'%'; CREATE USER 'poor'@'%' IDENTIFIED BY 'p'`)
    await admin.query(
      `GRANT INSERT ON ${database}.* TO 'poor'@'%'; GRANT SELECT (id) ON ${database}.good TO 'poor'@'%'`,
    )
    const poor = endpointOf(server, { user: 'poor', password: 'p' })
    const seen: string[] = []
    for (let round = 0; round < 4; round++) {
      const findings = await check([mapped('good')], poor)
      if (findings.length === 0) break
      expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(['SYNC-2103']))
      seen.push(...findings.map(({ remedy }) => remedy))
      for (const { remedy } of findings) await admin.query(remedy)
    }
    expect(seen).toEqual([
      "GRANT REPLICATION CLIENT ON *.* TO 'poor'@'%';",
      "GRANT REPLICATION SLAVE ON *.* TO 'poor'@'%';",
      `GRANT SELECT ON \`${database}\`.* TO 'poor'@'%';`,
    ])
    expect(await check([mapped('good')], poor)).toEqual([])
  })
})

describe('tables', () => {
  it('one that is not there', async () => {
    const findings = await check([mapped('missing')])
    expect(brief(findings)).toEqual(['SYNC-2209 error'])
    expect(findings[0]?.table).toBe(`${database}.missing`)
  })

  it('without a primary key: the remedy names a key or adds one', async () => {
    await admin.query(
      `CREATE TABLE bare (a INT); CREATE TABLE candidate (a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE (c), UNIQUE (a, b))`,
    )
    const findings = await check([mapped('bare'), mapped('candidate')])
    expect(brief(findings)).toEqual(['SYNC-2202 error', 'SYNC-2202 error'])
    expect(findings.map(({ table }) => table)).toEqual([`${database}.bare`, `${database}.candidate`])
    expect(findings[0]?.remedy).toContain('ADD COLUMN')
    expect(findings[1]?.remedy).toContain('ADD PRIMARY KEY (`a`, `b`)')
    for (const { remedy } of findings) await admin.query(remedy.split(';')[0] as string)
    expect(await check([mapped('bare'), mapped('candidate')])).toEqual([])
  })

  it('whose key is a FLOAT or computed', async () => {
    await admin.query(
      'CREATE TABLE floating (f FLOAT PRIMARY KEY); CREATE TABLE computed (a INT, b INT GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY); CREATE TABLE doubled (d DOUBLE PRIMARY KEY)',
    )
    const findings = await check([mapped('floating'), mapped('computed'), mapped('doubled')])
    expect(brief(findings)).toEqual(['SYNC-2203 error', 'SYNC-2202 error'])
    expect(findings[0]).toMatchObject({ table: `${database}.floating`, column: 'f' })
    expect(findings[1]).toMatchObject({ table: `${database}.computed`, column: 'b' })
    await admin.query((findings[0]?.remedy ?? '').split(';')[0] as string)
    expect(await check([mapped('floating')])).toEqual([])
  })

  it('in another engine', async () => {
    await admin.query('CREATE TABLE loose (id INT PRIMARY KEY) ENGINE=MyISAM')
    const findings = await check([mapped('loose')])
    expect(brief(findings)).toEqual(['SYNC-2211 warning'])
    await admin.query((findings[0]?.remedy ?? '').split(';')[0] as string)
    expect(await check([mapped('loose')])).toEqual([])
  })

  it('whose cascades are logged by this server', async () => {
    await admin.query(
      'CREATE TABLE parent (id INT PRIMARY KEY); CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)',
    )
    expect(await check([mapped('parent'), mapped('child')])).toEqual([])
  })
})

it('is asked through the registry, with the defaults of the endpoint filled in', async () => {
  const bare = { kind: 'mysql', host: server.host, port: server.port, user: 'root' }
  const findings = await preCheck({ ...scopeOf([mapped('missing')]), source: bare, target: bare })
  expect(brief(findings)).toContain('SYNC-2209 error')
})
