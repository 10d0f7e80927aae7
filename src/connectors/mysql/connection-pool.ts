/**
 * A few connections of one role, opened when needed and used again. As many as are in use at once; the caller bounds that.
 * A connection that was lost is forgotten; a failed use does not repeat itself here.
 */
import type { Connection } from './connection.ts'

export interface ConnectionPool {
  /** Runs `work` on a connection of its own; the connection is free again when it ends. */
  use<T>(work: (connection: Connection) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function createConnectionPool(open: () => Promise<Connection>): ConnectionPool {
  const idle: Connection[] = []
  const busy = new Set<Connection>()
  let isClosed = false

  const take = async (): Promise<Connection> => {
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (!connection.isLost) return connection
    }
    return open()
  }

  return {
    async use(work) {
      const connection = await take()
      busy.add(connection)
      try {
        return await work(connection)
      } finally {
        busy.delete(connection)
        if (isClosed) connection.destroy()
        else if (!connection.isLost) idle.push(connection)
      }
    },
    async close() {
      isClosed = true
      for (const connection of busy) connection.destroy()
      await Promise.all(idle.splice(0).map((connection) => connection.close()))
    },
  }
}
