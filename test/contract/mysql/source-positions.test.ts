/**
 * Positions of a real source: its head, and what it still has of its log.
 */
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type MysqlServer, startMysql } from '../../../dev/mysql.ts'
import { openMysqlSource } from '../../../src/connectors/mysql/source.ts'
import { connect } from '../../support/servers.ts'
import { endpointOf } from './endpoint.ts'

let server: MysqlServer
beforeAll(async () => {
  server = await startMysql({ durable: false })
})
afterAll(async () => {
  await server?.discard()
})

it('head covers everything committed before', async () => {
  const client = await connect(server)
  const source = await openMysqlSource(endpointOf(server))
  await client.query('CREATE DATABASE a; CREATE DATABASE b')
  const head = await source.head()
  expect(head.ordinal).toBe(0)
  const [rows] = await client.query('SELECT GTID_SUBSET(@@global.gtid_executed, ?) AS covered', [head.token])
  expect(rows).toEqual([{ covered: 1 }])
  expect(await source.schemas()).toEqual(['a', 'b'])
  await source.close()
  await client.end()
})

it('a position is retained until its log is purged', async () => {
  const client = await connect(server)
  const source = await openMysqlSource(endpointOf(server))
  const old = await source.head()
  await source.assertRetained(old)
  await source.assertRetained({ token: '', ordinal: 0 })
  await client.query('CREATE DATABASE purged_1; FLUSH BINARY LOGS')
  const [files] = await client.query('SHOW BINARY LOGS')
  const last = (files as { Log_name: string }[]).at(-1)?.Log_name
  await client.query(`PURGE BINARY LOGS TO '${last}'`)
  await expect(source.assertRetained(old)).rejects.toMatchObject({ code: 'SYNC-2204', disposition: 'block' })
  await expect(source.assertRetained({ token: '', ordinal: 0 })).rejects.toMatchObject({ code: 'SYNC-2204' })
  await source.assertRetained(await source.head())
  await source.close()
  await client.end()
})

it("a position that the server has never reached is another server's", async () => {
  const source = await openMysqlSource(endpointOf(server))
  const { token } = await source.head()
  const ahead = { token: `${token},11111111-2222-3333-4444-555555555555:1-7`, ordinal: 0 }
  await expect(source.assertRetained(ahead)).rejects.toMatchObject({
    code: 'SYNC-2210',
    disposition: 'block',
  })
  await source.close()
})

it('does not mix two servers that answer at one address', async () => {
  const other = await startMysql({ durable: false })
  let behind = server
  const router = createServer((client) => {
    const link = connectTcp({ host: behind.host, port: behind.port })
    client.pipe(link).pipe(client)
    for (const socket of [client, link])
      socket.on('error', () => {
        client.destroy()
        link.destroy()
      })
  })
  await new Promise<void>((resolve) => router.listen(0, '127.0.0.1', resolve))
  const { port } = router.address() as AddressInfo
  const source = await openMysqlSource(endpointOf({ ...server, port }))
  const { token } = await source.head()
  behind = other
  const error = { code: 'SYNC-2101', disposition: 'retry' }
  await expect(source.snapshot.estimateRows([{ schema: 'a', name: 't' }])).rejects.toMatchObject(error)
  const stream = source.follow({ token, ordinal: 0 }, { acknowledged: [] })
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject(error)
  await source.close()
  router.close()
  await other.discard()
})

it('ends its streams with itself', async () => {
  const source = await openMysqlSource(endpointOf(server))
  const events = source.follow(await source.head(), { acknowledged: [] })[Symbol.asyncIterator]()
  await events.next()
  const end = (async () => {
    for (let next = await events.next(); next.done !== true; next = await events.next());
  })()
  await source.close()
  await end
})

it('does not open where the login is refused', async () => {
  await expect(openMysqlSource(endpointOf(server, { user: 'x', password: 'y' }))).rejects.toMatchObject({
    code: 'SYNC-2102',
  })
})
