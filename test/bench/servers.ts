/*
 * The servers of one benchmark: a source, the target that Syncline writes, and where MySQL's own replication is the peer a replica. All with
 * the same flags and full durability, none tuned: only the buffer pool is set, the same for all, so that the data fits on a small machine.
 */
import { type Connection, createConnection } from 'mysql2/promise'
import { type MysqlServer, startMysql } from '../../dev/mysql.ts'
import { compareDatabases, inWords } from '../support/compare.ts'

export type Reach = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

export type BenchServers = {
  readonly source: MysqlServer
  readonly target: MysqlServer
  readonly replica: MysqlServer | undefined
  readonly at: {
    readonly source: Connection
    readonly target: Connection
    readonly replica: Connection | undefined
  }
  /** Runs at the source and at the target (the replica replicates it). */
  define(sql: string): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export const database = 'bench'

const flags = [
  '--innodb-buffer-pool-size=256M',
  '--sync-binlog=1',
  '--innodb-flush-log-at-trx-commit=1',
  // The peer of the catch-up; the same setting everywhere changes nothing elsewhere.
  '--replica-parallel-workers=4',
] as const

export async function startServers(options: {
  readonly replica: boolean
  /** More flags, for all servers alike. */
  readonly flags?: readonly string[]
}): Promise<BenchServers> {
  const names = ['source', 'target', ...(options.replica ? ['replica'] : [])]
  const started = await Promise.allSettled(
    names.map((name, i) =>
      startMysql({
        name,
        serverId: 301 + i,
        durable: true,
        extraArgs: [...flags, ...(options.flags ?? [])],
      }),
    ),
  )
  const servers = started.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const discard = (): Promise<unknown> => Promise.all(servers.map((server) => server.discard()))
  const failed = started.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) {
    await discard()
    throw failed.reason
  }
  const [source, target, replica] = servers as [MysqlServer, MysqlServer, MysqlServer | undefined]
  const at = {
    source: await connect(source),
    target: await connect(target),
    replica: replica === undefined ? undefined : await connect(replica),
  }
  if (replica !== undefined && at.replica !== undefined) {
    await at.replica.query(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${source.port}, SOURCE_USER = 'root', SOURCE_AUTO_POSITION = 1`,
    )
  }
  return {
    source,
    target,
    replica,
    at,
    async define(sql) {
      const everything = `CREATE DATABASE IF NOT EXISTS ${database}; USE ${database}; ${sql}`
      await Promise.all([at.source.query(everything), at.target.query(everything)])
    },
    async [Symbol.asyncDispose]() {
      for (const connection of [at.source, at.target, at.replica]) connection?.destroy()
      await discard()
    },
  }
}

/** Values as text with every digit. */
export const connect = ({ host, port, user, password }: Reach): Promise<Connection> =>
  createConnection({
    host,
    port,
    user,
    password,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    multipleStatements: true,
  })

export async function oneValue(
  connection: Connection,
  sql: string,
  values: readonly unknown[] = [],
): Promise<string> {
  const [rows] = await connection.query({ sql, rowsAsArray: true }, values as unknown[])
  return String((rows as unknown[][])[0]?.[0])
}

export const executedGtids = async (connection: Connection): Promise<string> =>
  (await oneValue(connection, 'SELECT @@global.gtid_executed')).replaceAll('\n', '')

/** Runs work whose own speed is not measured without an fsync per commit, then sets durability back and waits for the disk. */
export async function fillQuickly(connection: Connection, work: () => Promise<void>): Promise<void> {
  const set = (sync: number): Promise<unknown> =>
    connection.query(
      `SET GLOBAL sync_binlog = ${sync}, GLOBAL innodb_flush_log_at_trx_commit = ${sync === 1 ? 1 : 2}`,
    )
  await set(0)
  try {
    await work()
  } finally {
    await set(1)
  }
  await connection.query('FLUSH LOCAL ENGINE LOGS')
}

/** @throws with the differences; @returns rows compared */
export async function assertEqual(
  source: Reach,
  other: Reach,
  who: string,
  databases = [database],
): Promise<number> {
  const { equal, rows, differences } = await compareDatabases(source, other, { databases })
  if (!equal) {
    throw new Error(
      `${who} differs from the source:\n${differences.map((found) => `  ${inWords(found)}`).join('\n')}`,
    )
  }
  return rows
}
