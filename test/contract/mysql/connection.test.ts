/**
 * Connections against a real server: lost, half-open and slow ones told apart; results exact; sessions set up as promised.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import { connect } from '../../../src/connectors/mysql/connection.ts'
import { SyncError } from '../../../src/core/errors.ts'
import { byteStringOf } from '../../../src/core/value.ts'
import { startProxy } from '../../support/proxy.ts'
import { sharedSource } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

const failure = async (work: Promise<unknown>): Promise<SyncError> => {
  try {
    await work
  } catch (error) {
    if (error instanceof SyncError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a session', () => {
  it('is set up so that values pass untouched', async () => {
    const server = await sharedSource()
    for (const role of ['read', 'write', 'binlog'] as const) {
      const connection = await connect(endpointOf(server), role)
      const { rows } = await connection.query(
        'SELECT @@sql_mode, @@time_zone, @@character_set_client, @@character_set_results, @@foreign_key_checks, @@transaction_isolation, @@unique_checks',
      )
      const [mode, zone, client, results, foreignKeys, isolation, unique] = rows[0] as string[]
      expect(mode?.split(',').toSorted()).toEqual([
        'ALLOW_INVALID_DATES',
        'NO_AUTO_VALUE_ON_ZERO',
        'STRICT_ALL_TABLES',
      ])
      expect([zone, client, results, isolation]).toEqual(['+00:00', 'binary', 'binary', 'READ-COMMITTED'])
      expect([foreignKeys, unique]).toEqual([role === 'write' ? '0' : '1', '1'])
      await connection.close()
    }
  })

  it('runs several statements in a round trip and stops at the first error, naming it', async () => {
    const connection = await connect(endpointOf(await sharedSource()), 'read')
    const results = await connection.queryAll("SELECT 1; SET @a = 5; SELECT @a, NULL, 'x'")
    expect(results.map((result) => result.rows)).toEqual([[['1']], [], [['5', null, 'x']]])
    const error = await failure(connection.queryAll('SET @a = 6; SELECT nothing; SET @a = 7'))
    expect(error.details).toMatchObject({ errno: 1054, statement: 1 })
    expect((await connection.query('SELECT @a')).rows).toEqual([['6']])
    await connection.close()
  })

  it('carries statements and answers beyond 16 MiB, and their exact borders', async () => {
    const connection = await connect(endpointOf(await sharedSource()), 'read')
    const frame = 0xffffff
    for (const length of [frame - 20, frame - 10, frame - 9, frame - 8, frame, frame * 2 - 9]) {
      const text = 'y'.repeat(length)
      const { rows } = await connection.query(`SELECT '${text}'`)
      expect(rows[0]?.[0] === text).toBe(true)
    }
    await connection.close()
  })

  it('gives every byte, whatever it means', async () => {
    const connection = await connect(endpointOf(await sharedSource()), 'read')
    const all = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('')
    const { rows } = await connection.query(`SELECT _binary'${all.replace(/['\\]/g, '\\$&')}'`)
    expect(rows[0]?.[0]).toBe(all)
    await connection.close()
  })

  it('answers queries in the order asked, without waiting for each other here', async () => {
    const connection = await connect(endpointOf(await sharedSource()), 'read')
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => connection.query(`SELECT ${i}`).then(({ rows }) => rows[0]?.[0])),
    )
    expect(answers).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`))
    await connection.close()
  })

  it('gives an answer up after maxBytes, with the rows so far', async () => {
    const connection = await connect(endpointOf(await sharedSource()), 'read')
    const many =
      "WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, REPEAT(_utf8mb4'x', 1000) FROM n"
    const { rows, complete, bytes } = await connection.query(many, { maxBytes: 10_000 })
    expect(complete).toBe(false)
    expect(rows.length).toBeLessThan(12)
    expect(rows.map((row) => row[0])).toEqual(rows.map((_, i) => `${i + 1}`))
    expect(bytes).toBeLessThan(12_000)
    expect(connection.isLost).toBe(true)
  })
})

describe('a connection that fails', () => {
  it('is refused with the code of its cause and its side', async () => {
    const server = await sharedSource()
    const wrong = endpointOf(server, { user: 'nobody_here', password: 'x' })
    expect((await failure(connect(wrong, 'read'))).code).toBe('SYNC-2102')
    expect((await failure(connect(wrong, 'write'))).code).toBe('SYNC-3102')
    const unreachable = endpointOf(server, { port: 1 })
    expect((await failure(connect(unreachable, 'read'))).code).toBe('SYNC-2101')
    expect((await failure(connect(unreachable, 'write'))).code).toBe('SYNC-3101')
  })

  it('rejects what is in flight and everything after it when it is killed', async () => {
    const server = await sharedSource()
    const admin = await connect(endpointOf(server), 'admin')
    const victim = await connect(endpointOf(server), 'write')
    const inFlight = failure(victim.query('SELECT SLEEP(60)'))
    await admin.query(`KILL ${victim.threadId}`)
    expect((await inFlight).code).toBe('SYNC-3101')
    expect((await failure(victim.query('SELECT 1'))).code).toBe('SYNC-3101')
    expect(victim.isLost).toBe(true)
    await victim.close()
    await admin.close()
  })

  it('keeps the connection after an error of a statement', async () => {
    const connection = await connect(endpointOf(await sharedSource()), 'write')
    expect((await failure(connection.query('SELEC'))).code).toBe('SYNC-3199')
    expect((await connection.query('SELECT 1')).rows).toEqual([['1']])
    await connection.close()
  })

  it('is cut by its signal', async () => {
    const abort = new AbortController()
    const connection = await connect(endpointOf(await sharedSource()), 'read', { signal: abort.signal })
    const inFlight = failure(connection.query('SELECT SLEEP(60)'))
    abort.abort()
    expect((await inFlight).code).toBe('SYNC-2101')
  })
})

describe('a link that goes silent', () => {
  it('is noticed within about ten seconds, in flight and idle', async () => {
    const server = await sharedSource()
    const proxy = await startProxy({ targetPort: server.port })
    const endpoint = endpointOf({ ...server, host: proxy.host, port: proxy.port }, { connectTimeoutMs: 2000 })
    const busy = await connect(endpoint, 'write')
    const idle = await connect(endpoint, 'read')
    const inFlight = failure(busy.query('SELECT SLEEP(0.3)'))
    proxy.halfOpen()
    proxy.setNewConnections('blackhole')
    expect((await inFlight).code).toBe('SYNC-3101')
    while (!idle.isLost) await new Promise((resolve) => setTimeout(resolve, 200))
    await proxy.close()
  }, 30_000)

  it('is noticed when the server still answers others', async () => {
    const server = await sharedSource()
    const proxy = await startProxy({ targetPort: server.port })
    const endpoint = endpointOf({ ...server, host: proxy.host, port: proxy.port })
    const connection = await connect(endpoint, 'write', { silentMs: 1000 })
    proxy.halfOpen()
    const inFlight = failure(connection.query('SELECT 1'))
    expect((await inFlight).message).toMatch(/idle at the server|does not know/)
    await proxy.close()
  })

  it('is not taken for lost while the server is at work', async () => {
    const connection = await connect(endpointOf(await sharedSource()), 'write', { silentMs: 500 })
    expect((await connection.query('SELECT SLEEP(4)')).rows).toEqual([['0']])
    await connection.close()
  })

  it('is given up after maxMs even then', async () => {
    const connection = await connect(endpointOf(await sharedSource()), 'write')
    const error = await failure(connection.query('SELECT SLEEP(60)', { maxMs: 1000 }))
    expect(error.code).toBe('SYNC-3101')
  })
})

describe('a server of its own', () => {
  let server: MysqlServer

  beforeAll(async () => {
    server = await startMysql({ durable: false })
  })
  afterAll(async () => {
    await server.discard()
  })

  it('that hangs is noticed, and reached again when it goes on', async () => {
    const connection = await connect(endpointOf(server, { connectTimeoutMs: 1500 }), 'write', {
      silentMs: 1000,
    })
    server.suspend()
    try {
      expect((await failure(connection.query('SELECT 1'))).code).toBe('SYNC-3101')
      expect((await failure(connect(endpointOf(server, { connectTimeoutMs: 1500 }), 'write'))).code).toBe(
        'SYNC-3101',
      )
    } finally {
      server.continue()
    }
    const again = await connect(endpointOf(server), 'write')
    expect((await again.query('SELECT 1')).rows).toEqual([['1']])
    await again.close()
  })

  it("takes its certificate by the endpoint's mode", async () => {
    const shownCipher = async (mode: 'disabled' | 'preferred' | 'required'): Promise<unknown> => {
      const connection = await connect(endpointOf(server, { tls: { mode } }), 'read')
      const { rows } = await connection.query("SHOW STATUS LIKE 'Ssl_cipher'")
      await connection.close()
      return rows[0]?.[1]
    }
    expect(await shownCipher('disabled')).toBe('')
    expect(await shownCipher('preferred')).toMatch(/^TLS|AES/)
    expect(await shownCipher('required')).toMatch(/^TLS|AES/)
    // The server signed its certificate itself: nobody vouches for it.
    for (const mode of ['verify-ca', 'verify-full'] as const) {
      expect((await failure(connect(endpointOf(server, { tls: { mode } }), 'read'))).code).toBe('SYNC-2102')
    }
    const { rows } = await (await connect(endpointOf(server), 'read')).query('SELECT @@datadir, @@ssl_ca')
    const { readFile } = await import('node:fs/promises')
    const ca = await readFile(`${String(rows[0]?.[0])}/${String(rows[0]?.[1])}`, 'utf8')
    const verified = await connect(endpointOf(server, { tls: { mode: 'verify-ca', ca } }), 'read')
    expect((await verified.query('SELECT 1')).rows).toEqual([['1']])
    await verified.close()
    // Its certificate names no host.
    expect(
      (await failure(connect(endpointOf(server, { tls: { mode: 'verify-full', ca } }), 'read'))).code,
    ).toBe('SYNC-2102')
  })

  it('logs in with every password that the server takes', async () => {
    const admin = await connect(endpointOf(server), 'admin')
    await admin.query(byteStringOf("CREATE USER 'schl\u00fcssel'@'%' IDENTIFIED BY 'p\u00e4ss''\\\\\"'"))
    for (const mode of ['disabled', 'required'] as const) {
      const connection = await connect(
        endpointOf(server, { user: 'schl\u00fcssel', password: 'p\u00e4ss\'\\"', tls: { mode } }),
        'read',
      )
      const { rows } = await connection.query('SELECT CURRENT_USER()')
      expect(Buffer.from(String(rows[0]?.[0]), 'latin1').toString('utf8')).toBe('schl\u00fcssel@%')
      await connection.close()
    }
    await admin.close()
  })

  it('loses its connections at a restart, and they say so', async () => {
    const reader = await connect(endpointOf(server), 'read')
    const writer = await connect(endpointOf(server), 'write')
    const inFlight = failure(writer.query('SELECT SLEEP(60)'))
    await server.kill()
    expect((await inFlight).code).toBe('SYNC-3101')
    expect((await failure(reader.query('SELECT 1'))).code).toBe('SYNC-2101')
    await server.restart()
    const again = await connect(endpointOf(server), 'read')
    await again.close()
  })
})
