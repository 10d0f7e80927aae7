/*
 * A TCP proxy inside the test process that does to connections what networks do: delay, cut, go silent, heal.
 * Bytes keep their order and none is lost, except in `halfOpen` and `blackhole`, whose links stay dead for ever:
 * a stream with a hole must never flow again. `freeze` is a partition that heals (TCP sends again what was held).
 * "Up" is from the client to the server. Memory is bounded per link and direction by `maxHeldBytes`.
 */
import { connect, createServer, type Socket } from 'node:net'

export type ProxyOptions = {
  readonly targetPort: number
  readonly targetHost?: string
  /** A fixed port to listen on; otherwise the system chooses. */
  readonly port?: number
  readonly upMs?: number
  readonly downMs?: number
  /** Bytes in flight per direction before the sender is held back; the window of the link. */
  readonly maxHeldBytes?: number
}

export type NewConnections = 'open' | 'blackhole' | 'reset'

export type Proxy = {
  readonly host: string
  readonly port: number
  /** Connections that clients hold open, the dead ones included. */
  links(): number
  /** Bytes delivered since the start. */
  delivered(): { upBytes: number; downBytes: number }
  /** One way each; it holds for bytes that arrive from now on, in all connections. */
  setLatency(latency: { upMs: number; downMs: number }): void
  /** Ends all connections on both sides: `rst` at once, `fin` with an orderly end of each stream. */
  cut(how: 'rst' | 'fin'): void
  /** All present connections stay open and carry nothing any more, and neither side learns that the other closes. */
  halfOpen(): void
  /** What becomes of connections that clients open from now on; a blackholed one is accepted and stays silent. */
  setNewConnections(mode: NewConnections): void
  /** Holds all bytes in both directions until `resume`. */
  freeze(): void
  /** Lets held bytes go and takes new connections again. Latency stays as it is set. */
  resume(): void
  close(): Promise<void>
}

type Direction = 'up' | 'down'
type Link = { client: Socket; server: Socket | undefined; dead: boolean; pumps: Pump[] }
type Pump = { flush(): void }

export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const maxHeldBytes = options.maxHeldBytes ?? 16 * 1024 * 1024
  const latencyMs: Record<Direction, number> = { up: options.upMs ?? 0, down: options.downMs ?? 0 }
  const deliveredBytes: Record<Direction, number> = { up: 0, down: 0 }
  const links = new Set<Link>()
  let newConnections: NewConnections = 'open'
  let frozen = false

  /** Carries one direction of a link. `undefined` in the queue is the end of the stream. */
  const pump = (link: Link, from: Socket, to: Socket, direction: Direction): Pump => {
    const queue: { dueMs: number; bytes: Buffer | undefined }[] = []
    let heldBytes = 0
    let timer: NodeJS.Timeout | undefined
    let blocked = false
    const flush = (): void => {
      clearTimeout(timer)
      while (!frozen && !blocked && !link.dead) {
        const next = queue[0]
        if (next === undefined) break
        const waitMs = next.dueMs - performance.now()
        if (waitMs > 0) {
          timer = setTimeout(flush, waitMs)
          break
        }
        queue.shift()
        if (next.bytes === undefined) {
          to.end()
          continue
        }
        heldBytes -= next.bytes.length
        deliveredBytes[direction] += next.bytes.length
        blocked = !to.write(next.bytes)
      }
      if (heldBytes < maxHeldBytes || link.dead) from.resume()
    }
    const arrive = (bytes: Buffer | undefined): void => {
      if (link.dead) return
      queue.push({ dueMs: performance.now() + latencyMs[direction], bytes })
      heldBytes += bytes?.length ?? 0
      if (heldBytes >= maxHeldBytes) from.pause()
      flush()
    }
    from.on('data', arrive)
    from.on('end', () => arrive(undefined))
    to.on('drain', () => {
      blocked = false
      flush()
    })
    from.on('error', () => {
      if (!link.dead) to.resetAndDestroy()
    })
    from.on('close', () => {
      // After an orderly end, what is still in flight arrives.
      if (!link.dead && !from.readableEnded) to.resetAndDestroy()
    })
    to.on('close', () => clearTimeout(timer))
    return { flush }
  }

  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (newConnections === 'reset') {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    const link: Link = { client, server: undefined, dead: newConnections === 'blackhole', pumps: [] }
    links.add(link)
    client.on('error', () => {})
    client.on('end', () => {
      if (link.dead) client.end()
    })
    client.on('close', () => {
      // A half-open link's other side must not learn that this side closed, so it stays until the proxy closes.
      if (!link.dead || link.server === undefined) links.delete(link)
    })
    if (link.dead) {
      client.resume()
      return
    }
    const server = connect({
      port: options.targetPort,
      host: options.targetHost ?? '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    })
    server.on('error', () => {})
    link.server = server
    link.pumps = [pump(link, client, server, 'up'), pump(link, server, client, 'down')]
  })
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no TCP address.')

  const cut = (how: 'rst' | 'fin'): void => {
    for (const link of links) {
      link.dead = true
      for (const socket of [link.client, link.server]) {
        if (how === 'rst') socket?.resetAndDestroy()
        else socket?.destroySoon()
      }
      links.delete(link)
    }
  }
  const flushAll = (): void => {
    for (const link of links) for (const each of link.pumps) each.flush()
  }
  return {
    host: '127.0.0.1',
    port: address.port,
    links: () => [...links].filter((link) => !link.client.destroyed).length,
    delivered: () => ({ upBytes: deliveredBytes.up, downBytes: deliveredBytes.down }),
    setLatency({ upMs, downMs }) {
      latencyMs.up = upMs
      latencyMs.down = downMs
    },
    cut,
    halfOpen() {
      for (const link of links) link.dead = true
      flushAll()
    },
    setNewConnections(mode) {
      newConnections = mode
    },
    freeze() {
      frozen = true
    },
    resume() {
      frozen = false
      newConnections = 'open'
      flushAll()
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve())
        cut('rst')
      }),
  }
}
