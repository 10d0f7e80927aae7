/**
 * Positions of a real source: its head, and what it still has of its log.
 */
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

it('does not open where the login is refused', async () => {
  await expect(openMysqlSource(endpointOf(server, { user: 'x', password: 'y' }))).rejects.toMatchObject({
    code: 'SYNC-2102',
  })
})
