import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Proxy, startProxy } from '../../support/proxy.ts'

let server: Server
let serverSockets: Socket[]
let proxy: Proxy
let clients: Socket[]

/** An echo server that notes what happens to its sockets. */
beforeEach(async () => {
  serverSockets = []
  clients = []
  server = createServer((socket) => {
    serverSockets.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no address')
  proxy = await startProxy({ targetPort: address.port })
})

afterEach(async () => {
  for (const client of clients) client.destroy()
  await proxy.close()
  for (const socket of serverSockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

async function client(): Promise<Socket> {
  const socket = connect({ port: proxy.port, host: proxy.host, noDelay: true })
  socket.on('error', () => {})
  clients.push(socket)
  await once(socket, 'connect')
  return socket
}

function collect(socket: Socket): { text(): string; until(length: number): Promise<string> } {
  let received = ''
  socket.on('data', (bytes) => {
    received += bytes.toString()
  })
  return {
    text: () => received,
    async until(length) {
      while (received.length < length) await once(socket, 'data')
      return received
    },
  }
}

const closed = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let reason = 'end'
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message
    })
    socket.on('close', () => resolve(reason))
    socket.resume()
  })

test('carries bytes both ways unchanged, more than it may hold at once', async () => {
  await proxy.close()
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no address')
  proxy = await startProxy({ targetPort: address.port, maxHeldBytes: 64 * 1024, upMs: 1, downMs: 1 })
  const socket = await client()
  const sent = Buffer.alloc(3_000_000, 'abcdefghijk')
  const received: Buffer[] = []
  socket.on('data', (bytes: Buffer) => received.push(bytes))
  socket.end(sent)
  await once(socket, 'end')
  expect(Buffer.concat(received).equals(sent)).toBe(true)
  expect(proxy.delivered()).toEqual({ upBytes: sent.length, downBytes: sent.length })
})

test('adds the latency of both directions, and keeps the order of bytes when it shrinks', async () => {
  const socket = await client()
  const answer = collect(socket)
  proxy.setLatency({ upMs: 60, downMs: 90 })
  const startMs = performance.now()
  socket.write('one')
  await answer.until(3)
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(149)
  socket.write('two')
  await sleep(20)
  proxy.setLatency({ upMs: 0, downMs: 0 })
  socket.write('three')
  expect(await answer.until(11)).toBe('onetwothree')
})

test('cut rst resets both sides', async () => {
  const socket = await client()
  socket.write('x')
  await once(socket, 'data')
  const clientEnd = closed(socket)
  const serverEnd = closed(serverSockets[0] as Socket)
  proxy.cut('rst')
  expect(await clientEnd).toBe('ECONNRESET')
  expect(await serverEnd).toBe('ECONNRESET')
  expect(proxy.links()).toBe(0)
})

test('cut fin ends both sides in order, and new connections work after either cut', async () => {
  const socket = await client()
  socket.write('x')
  await once(socket, 'data')
  const ends = Promise.all([closed(socket), closed(serverSockets[0] as Socket)])
  proxy.cut('fin')
  expect(await ends).toEqual(['end', 'end'])
  const next = await client()
  next.write('again')
  expect((await once(next, 'data')).toString()).toBe('again')
})

test('half-open: both sides stay open, hear nothing, and do not learn that the other closes', async () => {
  const socket = await client()
  const answer = collect(socket)
  socket.write('before')
  await answer.until(6)
  proxy.halfOpen()
  socket.write('lost')
  serverSockets[0]?.write('lost too')
  await sleep(100)
  expect(answer.text()).toBe('before')
  expect(socket.destroyed || serverSockets[0]?.destroyed).toBe(false)
  socket.destroy()
  await sleep(100)
  expect(serverSockets[0]?.destroyed).toBe(false)
  expect(serverSockets[0]?.readableEnded).toBe(false)
  // A dead link stays dead after the network heals; a new one works.
  proxy.resume()
  const next = await client()
  next.write('new')
  expect((await once(next, 'data')).toString()).toBe('new')
  expect(serverSockets[0]?.bytesRead).toBe(6)
})

test('freeze holds every byte and resume delivers them', async () => {
  const socket = await client()
  const answer = collect(socket)
  socket.write('a')
  await answer.until(1)
  proxy.freeze()
  socket.write('held')
  serverSockets[0]?.write('down')
  await sleep(100)
  expect(answer.text()).toBe('a')
  proxy.resume()
  // The two directions are independent of each other.
  expect(['adownheld', 'ahelddown']).toContain(await answer.until(9))
})

test('blackholed connections are accepted and silent; the server never hears of them', async () => {
  proxy.setNewConnections('blackhole')
  const socket = await client()
  const answer = collect(socket)
  socket.write('anyone?')
  await sleep(100)
  expect(answer.text()).toBe('')
  expect(socket.destroyed).toBe(false)
  expect(serverSockets).toHaveLength(0)
  proxy.resume()
  const next = await client()
  next.write('now')
  expect((await once(next, 'data')).toString()).toBe('now')
})

test('reset connections fail at once', async () => {
  proxy.setNewConnections('reset')
  const socket = connect({ port: proxy.port, host: proxy.host })
  expect(await closed(socket)).toBe('ECONNRESET')
})

test('an unreachable server resets the client, and a reset server side reaches the client', async () => {
  const socket = await client()
  socket.write('x')
  await once(socket, 'data')
  const end = closed(socket)
  serverSockets[0]?.resetAndDestroy()
  expect(await end).toBe('ECONNRESET')
  const nowhere = await startProxy({ targetPort: 1 })
  const other = connect({ port: nowhere.port, host: nowhere.host })
  expect(await closed(other)).toBe('ECONNRESET')
  await nowhere.close()
})
