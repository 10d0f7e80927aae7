/*
 * What a source and the way to it can do to a reader of its log: purge, restart, hang, change its settings, corrupt bytes, send more than fits.
 */
import { connect as connectSocket, createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import type { ChangeStream } from '../../../src/connectors/contract.ts'
import { createPositionTracker } from '../../../src/connectors/mysql/position-tracker.ts'
import type { LogEvent } from '../../../src/core/transaction.ts'
import { startProxy } from '../../support/proxy.ts'
import { connect, freshDatabase } from '../../support/servers.ts'
import { changesOf, errorOf, follow, headOf, logOf, readUntil } from './binlog-support.ts'

let server: MysqlServer
let connection: Connection
let database: string
const streams: ChangeStream[] = []
beforeAll(async () => {
  server = await startMysql({
    name: 'binlog faults',
    durable: false,
    extraArgs: ['--max-allowed-packet=256M', '--innodb-redo-log-capacity=512M'],
  })
  connection = await connect(server)
  database = await freshDatabase(connection, 'binlogfaults')
  await connection.query(`CREATE TABLE ${database}.t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT)`)
})
afterEach(async () => {
  for (const stream of streams.splice(0)) await stream.close()
})
afterAll(async () => {
  await connection?.end().catch(() => undefined)
  await server?.discard()
})

const insert = (value: string): Promise<unknown> =>
  connection.query(`INSERT INTO ${database}.t (v) VALUES (${value})`)
const values = (events: readonly LogEvent[]): unknown[] =>
  changesOf(events, database, 't').map((change) => change.after?.[1])

/** A stream that has read everything until now, and its iterator. */
async function live(more: Parameters<typeof follow>[2] = {}, via: { host: string; port: number } = server) {
  const from = await headOf(connection)
  await insert("'live'")
  const to = await headOf(connection)
  const stream = follow(
    { ...via, user: server.user, password: server.password },
    from,
    { heartbeatMs: 100, ...more },
    { tls: { mode: 'disabled' } },
  )
  streams.push(stream)
  const iterator = stream[Symbol.asyncIterator]()
  const tracker = createPositionTracker(from)
  while (!tracker.covers(to)) {
    const { value } = await iterator.next()
    for (const event of (value ?? []) as LogEvent[]) if (event.kind !== 'progress') tracker.advance(event)
  }
  return { stream, iterator, tracker }
}

async function failure(iterator: AsyncIterator<readonly LogEvent[]>): Promise<unknown> {
  try {
    for (;;) if ((await iterator.next()).done === true) return 'ended without an error'
  } catch (error) {
    return error
  }
}

describe('an idle source', () => {
  it('is known to be alive, and tells how far its log goes', async () => {
    const { stream, iterator } = await live()
    const seen = stream.lastSeenAtMs()
    await sleep(350)
    expect(stream.lastSeenAtMs()).toBeGreaterThan(seen + 100)
    // A rotation moves the end of the log, and no transaction tells it.
    await connection.query('FLUSH BINARY LOGS')
    const [status] = await connection.query('SHOW BINARY LOG STATUS')
    const { File: file, Position: offset } = (status as { File: string; Position: number }[])[0] as {
      File: string
      Position: number
    }
    const end = { file: Number(/\d+$/.exec(file)?.[0]), offset: Number(offset) }
    for (;;) {
      const { value } = await iterator.next()
      const events = value as LogEvent[]
      for (const event of events) expect(event.kind).toBe('progress')
      if (events.some(({ coordinate }) => coordinate.file === end.file && coordinate.offset === end.offset))
        break
    }
  })

  it('tells nothing twice', async () => {
    const { iterator } = await live()
    const next = iterator.next()
    await expect(Promise.race([next, sleep(500, 'nothing')])).resolves.toBe('nothing')
    await insert("'more'")
    expect(values((await next).value as LogEvent[])).toEqual(['more'])
  })
})

describe('the connection', () => {
  it('to a half-open link ends by silence', async () => {
    const proxy = await startProxy({ targetPort: server.port })
    try {
      const { iterator } = await live({}, proxy)
      proxy.halfOpen()
      expect(await failure(iterator)).toMatchObject({ code: 'SYNC-2101', disposition: 'retry' })
    } finally {
      await proxy.close()
    }
  })

  it('to a server that hangs ends by silence, and goes on afterwards', async () => {
    const { iterator, tracker } = await live()
    server.suspend()
    try {
      expect(await failure(iterator)).toMatchObject({ code: 'SYNC-2101' })
    } finally {
      server.continue()
    }
    await insert("'after the hang'")
    const from = tracker.position()
    expect(values(await readUntil(follow(server, from), from, await headOf(connection)))).toEqual([
      'after the hang',
    ])
  })

  it('that is cut ends at once', async () => {
    const proxy = await startProxy({ targetPort: server.port })
    try {
      const { iterator } = await live({}, proxy)
      proxy.cut('rst')
      expect(await failure(iterator)).toMatchObject({ code: 'SYNC-2101' })
    } finally {
      await proxy.close()
    }
  })

  it('of a second reader with the same UUID ends the first', async () => {
    const replicaUuid = '11111111-2222-3333-4444-555555555555'
    const { iterator } = await live({ replicaUuid })
    const second = await live({ replicaUuid })
    expect(await failure(iterator)).toMatchObject({ code: 'SYNC-2105', disposition: 'retry' })
    await insert("'for the second'")
    expect(values((await second.iterator.next()).value as LogEvent[])).toEqual(['for the second'])
  })

  it('works over TLS', async () => {
    const from = await headOf(connection)
    await insert("REPEAT('tls', 100000)")
    const events = await readUntil(
      follow(server, from, {}, { tls: { mode: 'required' } }),
      from,
      await headOf(connection),
    )
    expect(values(events)).toEqual(['tls'.repeat(100_000)])
  })

  it('that is closed ends the iteration, whenever that happens', async () => {
    const { stream, iterator } = await live()
    const pending = iterator.next()
    await stream.close()
    expect(await pending).toEqual({ done: true, value: undefined })
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
    const unopened = follow(server, await headOf(connection))
    await unopened.close()
    expect(await unopened[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined })
    await sleep(300)
    const [dumps] = await connection.query(
      "SELECT COUNT(*) AS n FROM performance_schema.processlist WHERE COMMAND LIKE 'Binlog Dump%'",
    )
    // The server notices when its next heartbeat fails.
    expect(Number((dumps as { n: number }[])[0]?.n)).toBeLessThanOrEqual(1)
  })

  it('that the login is refused on, or that is not there, says so', async () => {
    const from = await headOf(connection)
    const { host, port } = server
    expect(await errorOf(follow({ host, port, user: 'nobody', password: 'wrong' }, from))).toMatchObject({
      code: 'SYNC-2102',
    })
    await connection.query("CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'pw'")
    expect(await errorOf(follow({ host, port, user: 'plain', password: 'pw' }, from))).toMatchObject({
      code: 'SYNC-2103',
    })
    expect(await errorOf(follow({ host, port: 1, user: 'root', password: '' }, from))).toMatchObject({
      code: 'SYNC-2101',
    })
  })
})

/** Passes bytes on; once armed, turns one bit of the first large piece that the server sends. */
async function corruptor(): Promise<{ server: Server; port: number; arm(): void }> {
  let armed = false
  const listener = createServer((client) => {
    const target = connectSocket(server.port, '127.0.0.1')
    client.pipe(target)
    target.on('data', (chunk: Buffer) => {
      if (armed && chunk.length > 5_000) {
        chunk[2_500] = (chunk[2_500] as number) ^ 0x10
        armed = false
      }
      client.write(chunk)
    })
    for (const socket of [client, target]) socket.on('error', () => undefined)
    client.on('close', () => target.destroy())
    target.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as { port: number }
  return { server: listener, port, arm: () => (armed = true) }
}

describe('checksums', () => {
  it('find one turned bit', async () => {
    const proxy = await corruptor()
    try {
      const { iterator, tracker } = await live({}, { host: '127.0.0.1', port: proxy.port })
      proxy.arm()
      await insert("REPEAT('c', 8000)")
      expect(await failure(iterator)).toMatchObject({ code: 'SYNC-2207', disposition: 'retry' })
      const from = tracker.position()
      expect(values(await readUntil(follow(server, from), from, await headOf(connection)))).toEqual([
        'c'.repeat(8000),
      ])
    } finally {
      proxy.server.close()
    }
  })

  it('go by the file: files without, between files with', async () => {
    const from = await headOf(connection)
    await insert("'with'")
    await connection.query("SET GLOBAL binlog_checksum = 'NONE'")
    await insert("'without'")
    const { iterator } = await live()
    await connection.query("SET GLOBAL binlog_checksum = 'CRC32'")
    await insert("'with again'")
    const to = await headOf(connection)
    expect(values(await readUntil(follow(server, from), from, to))).toEqual([
      'with',
      'without',
      'live',
      'with again',
    ])
    for (;;) {
      const { value } = await iterator.next()
      if (values(value as LogEvent[]).includes('with again')) break
    }
  })
})

it('rows of 16 MiB and more come whole, around every limit of a packet', async () => {
  const from = await headOf(connection)
  const sizes = [20_000_000]
  // A row event has about 40 bytes besides the value; the last byte of a packet falls within this range.
  for (let size = 16_777_215 - 60; size <= 16_777_215 - 20; size += 4) sizes.push(size)
  for (const size of sizes) await insert(`REPEAT('${size % 10}', ${size})`)
  await insert("'small'")
  const to = await headOf(connection)
  const stream = follow(server, from, { maxBufferedBytes: 1024 * 1024 })
  const seen: number[] = []
  const tracker = createPositionTracker(from)
  for await (const batch of stream) {
    for (const event of batch) {
      if (event.kind === 'progress') continue
      tracker.advance(event)
      if (event.kind !== 'slice') continue
      for (const change of event.changes) {
        const value = change.after?.[1] as string
        if (value === 'small') continue
        seen.push(value.length)
        expect(value.charCodeAt(0)).toBe(48 + (value.length % 10))
        expect(value.charCodeAt(value.length - 1)).toBe(48 + (value.length % 10))
      }
    }
    if (tracker.covers(to)) break
  }
  await stream.close()
  expect(seen).toEqual(sizes)
})

it('a consumer that stops asking stops the socket', async () => {
  const proxy = await startProxy({ targetPort: server.port, maxHeldBytes: 64 * 1024 })
  try {
    const { stream, iterator, tracker } = await live(
      { maxBufferedBytes: 256 * 1024, sliceMaxBytes: 64 * 1024 },
      proxy,
    )
    const before = proxy.delivered().downBytes
    for (let i = 0; i < 60; i++) await insert("REPEAT('b', 1000000)")
    await sleep(1500)
    // 60 MB wait; what is in flight are our own buffers and those of two sockets on each side.
    expect(proxy.delivered().downBytes - before).toBeLessThan(20_000_000)
    // It is we who are slow: no reason to call the source dead.
    expect(performance.now() - stream.lastSeenAtMs()).toBeLessThan(1000)
    const to = await headOf(connection)
    let rows = 0
    while (!tracker.covers(to)) {
      for (const event of ((await iterator.next()).value ?? []) as LogEvent[]) {
        if (event.kind !== 'progress') tracker.advance(event)
        if (event.kind === 'slice') rows += event.changes.length
      }
    }
    expect(rows).toBe(60)
  } finally {
    await proxy.close()
  }
})

describe('a source that is not set up', () => {
  it('to name columns blocks at its rows, not before', async () => {
    await connection.query("SET GLOBAL binlog_row_metadata = 'MINIMAL'")
    try {
      const from = await headOf(connection)
      await insert("'nameless'")
      expect(await errorOf(follow(server, from))).toMatchObject({ code: 'SYNC-2208', disposition: 'block' })
    } finally {
      await connection.query("SET GLOBAL binlog_row_metadata = 'FULL'")
    }
  })

  it('to give GTIDs blocks', async () => {
    const other = await startMysql({
      name: 'no gtid',
      durable: false,
      extraArgs: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    })
    try {
      expect(await errorOf(follow(other, { token: '', ordinal: 0 }))).toMatchObject({
        code: 'SYNC-2201',
        disposition: 'block',
      })
    } finally {
      await other.discard()
    }
  })

  it('and does not have what was taken from it blocks', async () => {
    const [rows] = await connection.query('SELECT @@server_uuid AS uuid')
    const uuid = (rows as { uuid: string }[])[0]?.uuid
    const ahead = { token: `${uuid}:1-100000000`, ordinal: 0 }
    expect(await errorOf(follow(server, ahead))).toMatchObject({ code: 'SYNC-2210', disposition: 'block' })
  })
})

describe('at last', () => {
  it('a purged log blocks, and says what to do', async () => {
    const from = await headOf(connection)
    await insert("'lost'")
    await connection.query('FLUSH BINARY LOGS')
    const [status] = await connection.query('SHOW BINARY LOG STATUS')
    await connection.query(`PURGE BINARY LOGS TO '${(status as { File: string }[])[0]?.File}'`)
    expect(await errorOf(follow(server, from))).toMatchObject({ code: 'SYNC-2204', disposition: 'block' })
  })

  it('a restart of the source ends the stream, and a new one goes on', async () => {
    const { iterator, tracker } = await live()
    const ended = failure(iterator)
    await server.restart()
    expect(await ended).toMatchObject({ code: 'SYNC-2101', disposition: 'retry' })
    connection = await connect(server)
    await insert("'after the restart'")
    const from = tracker.position()
    expect(values(await readUntil(follow(server, from), from, await headOf(connection)))).toEqual([
      'after the restart',
    ])
  })

  it('a source that is killed does the same', async () => {
    const { iterator, tracker } = await live()
    const ended = failure(iterator)
    await server.kill()
    expect(await ended).toMatchObject({ code: 'SYNC-2101' })
    await server.restart()
    connection = await connect(server)
    const events = await logOf(server, connection, () => insert("'after the kill'"))
    expect(values(events)).toEqual(['after the kill'])
    const from = tracker.position()
    expect(values(await readUntil(follow(server, from), from, await headOf(connection)))).toEqual([
      'after the kill',
    ])
  })
})
