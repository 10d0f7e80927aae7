/*
 * Gives free TCP ports on 127.0.0.1. A port is proven free by binding it, and is never given twice by one process.
 * Ports come from below the range that the kernel uses for outgoing connections: a server that restarts on its
 * port then cannot find it taken by somebody's client, and a client that retries while the server is down cannot
 * connect to itself. Another process may still take a port between the proof and the server's own bind: whoever
 * starts a server retries with other ports when the server reports that.
 */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'

const lowestPort = 15_000
const given = new Set<number>()

export async function freePort(): Promise<number> {
  const end = await firstOutgoingPort()
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = end - lowestPort < 1000 ? 0 : lowestPort + Math.floor(Math.random() * (end - lowestPort))
    if (given.has(port)) continue
    const bound = await tryBind(port)
    if (bound === undefined || given.has(bound)) continue
    given.add(bound)
    return bound
  }
  throw new Error('No free TCP port found on 127.0.0.1 in 200 tries.')
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let i = 0; i < count; i++) ports.push(await freePort())
  return ports
}

async function firstOutgoingPort(): Promise<number> {
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => '')
  const first = Number.parseInt(range, 10)
  return Number.isNaN(first) ? 32_768 : first
}

function tryBind(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      const bound = address !== null && typeof address === 'object' ? address.port : undefined
      server.close(() => resolve(bound))
    })
  })
}
