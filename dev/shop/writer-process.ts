/*
 * The process that writes: started by writer.ts, told by messages, gone when its parent is.
 *
 * Guarantees: every connection is made again after the server comes back; whatever a lost one had open was rolled back or committed by
 * the server, both are fine. Errors that a busy database gives to its clients (duplicates, deadlocks, broken foreign keys) are
 * counted; any other is kept with its statement, so that a test can say that there were none.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { keyOperations } from './key-operations.ts'
import { orderOperations } from './order-operations.ts'
import { permissiveSession, shopTables } from './schema.ts'
import { identifier } from './table.ts'
import { createRandom, createTurn, type Operation } from './turn.ts'
import { typeOperations } from './type-operations.ts'
import type { WriterCommand, WriterReport, WriterSetup, WriterStats } from './writer.ts'

const operations: readonly Operation[] = [...orderOperations, ...keyOperations, ...typeOperations]
const totalWeight = operations.reduce((sum, operation) => sum + operation.weight, 0)

/** Duplicate key; lock wait; deadlock; foreign keys; nothing that a correct client does not meet. */
const ordinaryErrors = new Set([1062, 1205, 1213, 1451, 1452])
/** Shutdown in progress, killed connection, too many connections, server gone, lost during a query. */
const lostErrors = new Set([1053, 1077, 1317, 1927, 1040, 2006, 2013, 4031])

const stats = {
  operations: 0,
  errors: {} as Record<string, number>,
  reconnects: 0,
  unexpected: [] as string[],
  byOperation: {} as Record<string, number>,
} satisfies WriterStats

let stopping = false

function choose(int: (below: number) => number): Operation {
  let left = (int(1_000_000) / 1_000_000) * totalWeight
  for (const operation of operations) {
    left -= operation.weight
    if (left < 0) return operation
  }
  return operations[0] as Operation
}

type ServerError = Error & { code?: string; errno?: number; fatal?: boolean; sql?: string }

const isLost = (error: ServerError): boolean =>
  error.fatal === true ||
  lostErrors.has(error.errno ?? 0) ||
  /ECONN|EPIPE|ETIMEDOUT|PROTOCOL_|closed state/.test(`${error.code} ${error.message}`)

async function connect(setup: WriterSetup): Promise<Connection | null> {
  for (let attempt = 0; !stopping; attempt++) {
    try {
      const connection = await createConnection({
        ...setup.server,
        database: setup.database,
        connectTimeout: 5_000,
        supportBigNumbers: true,
        bigNumberStrings: true,
      })
      connection.on('error', () => {})
      await connection.query(permissiveSession.replace('foreign_key_checks = 0', 'foreign_key_checks = 1'))
      await connection.query('SET SESSION innodb_lock_wait_timeout = 5, @seed = 1')
      await connection.query('SET NAMES utf8mb4')
      return connection
    } catch (error) {
      if (attempt === 0 && !isLost(error as ServerError)) throw error
      await sleep(150)
    }
  }
  return null
}

async function write(setup: WriterSetup, writer: number, filled: (table: string) => number): Promise<void> {
  const int = createRandom(setup.seed * 1_000_003 + writer * 7919)
  const intervalMs = setup.ratePerSecond === undefined ? 0 : (setup.writers * 1000) / setup.ratePerSecond
  let connection = await connect(setup)
  let nextAtMs = performance.now() + (intervalMs * writer) / setup.writers
  while (connection !== null && !stopping) {
    const operation = choose(int)
    try {
      const turn = createTurn(connection, { writer, writers: setup.writers, int, filled })
      await operation.work(turn)
      stats.operations++
      stats.byOperation[operation.name] = (stats.byOperation[operation.name] ?? 0) + 1
    } catch (thrown) {
      const error = thrown as ServerError
      const name = error.code ?? error.name
      stats.errors[name] = (stats.errors[name] ?? 0) + 1
      if (isLost(error)) {
        connection.destroy()
        connection = await connect(setup)
        if (connection !== null) stats.reconnects++
      } else {
        if (!ordinaryErrors.has(error.errno ?? 0) && stats.unexpected.length < 20) {
          stats.unexpected.push(`${operation.name}: ${error.message}: ${(error.sql ?? '').slice(0, 300)}`)
        }
        await connection.query('ROLLBACK').catch(() => {})
      }
    }
    if (intervalMs > 0) {
      nextAtMs = Math.max(nextAtMs + intervalMs, performance.now() - 1000)
      const waitMs = nextAtMs - performance.now()
      if (waitMs > 0) await sleep(waitMs)
    }
  }
  await connection?.end().catch(() => {})
}

/** How many rows the fill made; the writers aim at those. */
async function countRows(setup: WriterSetup): Promise<Map<string, number>> {
  const connection = await connect(setup)
  const counts = new Map<string, number>()
  for (const table of shopTables) {
    const [rows] = (await connection?.query<RowDataPacket[]>(
      `SELECT COUNT(*) AS n FROM ${identifier(table.name)}`,
    )) ?? [[]]
    counts.set(table.name, Math.max(1, Number(rows[0]?.['n'] ?? 1)))
  }
  await connection?.end()
  return counts
}

const report = (message: WriterReport): void => {
  if (process.connected) process.send?.(message)
}

async function main(setup: WriterSetup): Promise<void> {
  const counts = await countRows(setup)
  const filled = (table: string): number => counts.get(table) ?? 1
  report({ kind: 'started' })
  const timer = setInterval(() => report({ kind: 'stats', stats }), 200)
  await Promise.all(Array.from({ length: setup.writers }, (_, writer) => write(setup, writer, filled)))
  clearInterval(timer)
  report({ kind: 'stopped', stats })
  process.disconnect()
}

process.on('disconnect', () => process.exit(0))
// Ctrl-C reaches the whole group; the parent stops this process in order.
process.on('SIGINT', () => {})
process.on('message', (command: WriterCommand) => {
  if (command.kind === 'stop') {
    stopping = true
    return
  }
  main(command.setup).catch((error: unknown) => {
    report({
      kind: 'failed',
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    process.disconnect()
  })
})
