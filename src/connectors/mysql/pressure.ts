/**
 * How hard a server is pressed, for those who would rather wait than press it harder: running threads, replicas that are behind, and any number
 * that an operator's query gives. Asked about once a second, on a connection of its own.
 *
 * Replicas are those that `SHOW REPLICAS` names, with the address that they report (report_host, report_port), asked with the endpoint's own
 * account. One that cannot be asked, or does not replicate, is told as such: who waits for replicas does not go on without knowing.
 *
 * An operator's query is prepared, which several statements in one text cannot be, and runs in a read-only transaction: it can neither write nor
 * allow itself to.
 */
import { asSyncError, SyncError } from '../../core/errors.ts'
import type { ReplicaState, TargetPressureGauge } from '../contract.ts'
import type { MysqlEndpoint } from './config.ts'
import { type Connection, connect } from './connection.ts'
import { isAtLeast, productOf } from './flavour.ts'
import { textLiteral } from './sql-text.ts'

/** An operator's query that takes longer is no measure. */
const queryMs = 5_000

export interface MysqlPressureGauge extends TargetPressureGauge {
  close(): Promise<void>
}

export function createPressureGauge(config: MysqlEndpoint, side: 'source' | 'target'): MysqlPressureGauge {
  const connections = new Map<string, Connection>()
  let isClosed = false

  async function at(host: string, port: number): Promise<Connection> {
    const name = `${host}:${port}`
    const known = connections.get(name)
    if (known !== undefined && !known.isLost) return known
    const opened = await connect({ ...config, host, port }, 'admin', { side })
    try {
      // MariaDB 10.11 has no variable of MySQL's name for it.
      await opened.query('SET SESSION TRANSACTION READ ONLY')
    } catch (error) {
      opened.destroy()
      throw error
    }
    if (isClosed) {
      opened.destroy()
      throw new SyncError('SYNC-4001', 'The session ended')
    }
    connections.set(name, opened)
    return opened
  }
  const own = (): Promise<Connection> => at(config.host, config.port)

  async function stateOf(host: string, port: number): Promise<ReplicaState> {
    const name = `${host}:${port}`
    if (host === '') return { name: `a replica on port ${port}`, lagMs: null, why: 'it reports no host' }
    try {
      const connection = await at(host, port)
      const status = await connection.query(
        saysReplica(connection) ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS',
      )
      const column = status.columns.findIndex((title) => /^Seconds_Behind_(Source|Master)$/.test(title))
      const seconds = status.rows.map((row) => row[column] ?? null)
      if (seconds.length === 0 || seconds.includes(null)) {
        return { name, lagMs: null, why: 'it does not replicate now' }
      }
      return { name, lagMs: Math.max(...seconds.map(Number)) * 1_000 }
    } catch (error) {
      return { name, lagMs: null, why: asSyncError(error).message }
    }
  }

  return {
    async threadsRunning() {
      const { rows } = await (await own()).query("SHOW GLOBAL STATUS LIKE 'Threads_running'")
      return Number(rows[0]?.[1])
    },
    async replicas() {
      const connection = await own()
      const { columns, rows } = await connection.query(
        saysReplica(connection) ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS',
      )
      const [host, port] = [columns.indexOf('Host'), columns.indexOf('Port')]
      return Promise.all(
        rows
          // Readers of the log that are no servers, such as ours, report neither.
          .filter((row) => String(row[host]) !== '' || Number(row[port]) !== 0)
          .map((row) => stateOf(String(row[host]), Number(row[port]))),
      )
    },
    async measure(sql) {
      const connection = await own()
      const limit =
        productOf(connection.version) === 'mariadb'
          ? `SET SESSION max_statement_time = ${queryMs / 1_000}`
          : `SET SESSION max_execution_time = ${queryMs}`
      try {
        const answers = await connection.queryAll(
          [
            'SET SESSION TRANSACTION READ ONLY',
            limit,
            `SET @syncline_measure = ${textLiteral(sql)}`,
            'PREPARE syncline_measure FROM @syncline_measure',
            'START TRANSACTION READ ONLY',
            'EXECUTE syncline_measure',
            'ROLLBACK',
            'DEALLOCATE PREPARE syncline_measure',
          ].join('; '),
        )
        const value = answers[5]?.rows[0]?.[0] ?? null
        return value === null || String(value).trim() === '' ? Number.NaN : Number(value)
      } catch (error) {
        // Whatever it left open goes with its connection.
        connection.destroy()
        throw error
      }
    },
    async close() {
      isClosed = true
      await Promise.all([...connections.values()].map((connection) => connection.close()))
    },
  }
}

/** SHOW REPLICA STATUS and SHOW REPLICAS: MySQL 8.0.22; MariaDB knows the first since 10.5 and calls the second SHOW REPLICA HOSTS. */
const saysReplica = ({ version }: Connection): boolean =>
  productOf(version) === 'mysql' && isAtLeast(version, '8.0.22')
