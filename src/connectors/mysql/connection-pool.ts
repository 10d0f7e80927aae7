/**
 * A few connections of one role, opened when needed and used again. As many as are in use at once; the caller bounds that.
 * A connection that was lost is forgotten; a failed use does not repeat itself here. One that nobody has used for `idleMs` is closed: a pipeline
 * that has nothing to do for hours holds no connection for what it may never do again.
 */
import type { Connection } from './connection.ts'

export interface ConnectionPool {
  /** Runs `work` on a connection of its own; the connection is free again when it ends. */
  use<T>(work: (connection: Connection) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface ConnectionPoolOptions {
  /** A connection that is open already. */
  readonly first?: Connection
  /** Default 20,000. */
  readonly idleMs?: number
}

export function createConnectionPool(
  open: () => Promise<Connection>,
  { first, idleMs = 20_000 }: ConnectionPoolOptions = {},
): ConnectionPool {
  /** The one used last is taken first, so that those that are not needed grow old; oldest first. */
  const idle: { readonly connection: Connection; readonly sinceMs: number }[] = []
  const busy = new Set<Connection>()
  let isClosed = false
  let timer: NodeJS.Timeout | undefined

  const take = async (): Promise<Connection> => {
    for (let free = idle.pop(); free !== undefined; free = idle.pop()) {
      if (!free.connection.isLost) return free.connection
    }
    return open()
  }
  const closeIdle = (): void => {
    timer = undefined
    const nowMs = performance.now()
    while (idle[0] !== undefined && nowMs - idle[0].sinceMs >= idleMs) void idle.shift()?.connection.close()
    if (idle.length > 0) watchIdle()
  }
  const watchIdle = (): void => {
    // Not to the millisecond: a timer may fire a little early, and one that is too early would be armed again.
    timer ??= setTimeout(closeIdle, idleMs + 100).unref()
  }
  const give = (connection: Connection): void => {
    if (isClosed) connection.destroy()
    else if (!connection.isLost) {
      idle.push({ connection, sinceMs: performance.now() })
      watchIdle()
    }
  }
  if (first !== undefined) give(first)

  return {
    async use(work) {
      const connection = await take()
      busy.add(connection)
      try {
        return await work(connection)
      } finally {
        busy.delete(connection)
        give(connection)
      }
    },
    async close() {
      isClosed = true
      clearTimeout(timer)
      for (const connection of busy) connection.destroy()
      await Promise.all(idle.splice(0).map(({ connection }) => connection.close()))
    },
  }
}
