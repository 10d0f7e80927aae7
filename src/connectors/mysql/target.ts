/**
 * A MySQL server as a target: its tables as they are, and the write side (sink/).
 * Opening connects once, so that a wrong password shows here and not in the middle of a batch.
 */
import type { Sink, Target } from '../contract.ts'
import { readTablesByName } from './catalogue.ts'
import type { MysqlEndpoint } from './config.ts'
import { connect } from './connection.ts'
import { createConnectionPool } from './connection-pool.ts'
import { classify } from './errors.ts'
import { createPressureGauge } from './pressure.ts'
import { parkedOf, selectParked } from './sink/quarantine-table.ts'
import { createSink } from './sink/sink.ts'
import { identifier, qualifiedName } from './sql-text.ts'
import { readNeededChanges } from './table-definition.ts'
import { createVerifiableTarget } from './verify/verifiable.ts'

/** @throws SyncError 31xx when the target cannot be reached or refuses the login */
export async function openMysqlTarget(config: MysqlEndpoint): Promise<Target> {
  const open = () => connect(config, 'admin', { side: 'target' })
  const pool = createConnectionPool(open, { first: await open() })
  const pressure = createPressureGauge(config, 'target')
  const openReader = () => connect(config, 'read', { side: 'target' })
  const readers = createConnectionPool(openReader)
  const sinks = new Set<Sink>()
  return {
    async tables(ids) {
      const details = await pool.use((connection) => readTablesByName(connection, ids))
      return new Map([...details].map(([name, detail]) => [name, detail.shape]))
    },
    async hasDefaultsOnly(table, columns) {
      const others = columns.map((column) => `NOT (${identifier(column)} <=> DEFAULT(${identifier(column)}))`)
      try {
        const { rows } = await pool.use((connection) =>
          connection.query(`SELECT 1 FROM ${qualifiedName(table)} WHERE ${others.join(' OR ')} LIMIT 1`),
        )
        return rows.length === 0
      } catch (error) {
        // NOT NULL without a default: DEFAULT() is an error there (ER_NO_DEFAULT_FOR_FIELD).
        if (classify(error, 'target').details['errno'] === 1364) return false
        throw error
      }
    },
    async parked(pipeline) {
      try {
        const { rows } = await pool.use((connection) => connection.query(selectParked(pipeline)))
        return rows.map(parkedOf)
      } catch (error) {
        const failure = classify(error, 'target')
        // No pipeline has ever written here, or none of a version that could park tables.
        if (failure.code === 'SYNC-3201') return []
        throw failure
      }
    },
    verify: createVerifiableTarget(openReader, readers),
    pressure,
    neededChanges: (request) => pool.use((connection) => readNeededChanges(connection, request)),
    async hasRows(table) {
      const { rows } = await pool.use((connection) =>
        connection.query(`SELECT 1 FROM ${qualifiedName(table)} LIMIT 1`),
      )
      return rows.length > 0
    },
    async sink(pipeline, options) {
      const sink = await createSink((role) => connect(config, role), pipeline, options)
      sinks.add(sink)
      return sink
    },
    // Whoever ends an engine that does not end by itself has the target alone: nothing of it may go on writing.
    async close() {
      await Promise.all([...sinks].map((sink) => sink.close()))
      await pressure.close()
      await readers.close()
      await pool.close()
    },
  }
}
