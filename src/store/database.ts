/**
 * One SQLite file that several processes on one host read and write at the same time.
 *
 * Guarantees: a `write` is one transaction, whole or not at all, on disk when it returns (WAL with synchronous=FULL: a fence number
 * must not be given out twice after a power cut). Writers wait for each other up to `busyTimeoutMs`. Assumes a local disk: WAL needs shared memory.
 * After a crash the next one to open the file rolls back what was unfinished.
 */
import { chmodSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite'
import { SyncError } from '../core/errors.ts'
import { migrations } from './migrations.ts'

const busyTimeoutMs = 10_000

export type SqlRow = Readonly<Record<string, SQLOutputValue>>

export interface Database {
  all(sql: string, ...values: SQLInputValue[]): SqlRow[]
  get(sql: string, ...values: SQLInputValue[]): SqlRow | undefined
  run(sql: string, ...values: SQLInputValue[]): void
  /** Several statements, without values. */
  exec(sql: string): void
  /** Runs `body` in a write transaction; inside another `write` it joins that one. */
  write<T>(body: () => T): T
  close(): void
}

/** @throws SyncError SYNC-4004 when the file cannot be used */
export function openDatabase(path: string): Database {
  let connection: DatabaseSync
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true })
    connection = new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true })
    enterWal(connection)
    connection.exec('PRAGMA synchronous = FULL')
    // Host names and user names are nobody else's business.
    if (path !== ':memory:') chmodSync(path, 0o600)
  } catch (cause) {
    throw new SyncError('SYNC-4004', `the store ${path} cannot be opened: ${(cause as Error).message}`, {
      cause,
      remedy: 'Check --store: the folder must be writable and the file one of Syncline.',
    })
  }
  const database = wrap(connection)
  try {
    migrate(database, path)
  } catch (error) {
    connection.close()
    throw error
  }
  return database
}

/** The switch to WAL needs the file alone and does not wait by itself (sqlite.org/wal.html): ask again while another process does it too. */
function enterWal(connection: DatabaseSync): void {
  const giveUpAt = performance.now() + busyTimeoutMs
  for (;;) {
    try {
      connection.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if (performance.now() > giveUpAt || !(error as Error).message.includes('locked')) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
}

function wrap(connection: DatabaseSync): Database {
  let depth = 0
  return {
    all: (sql, ...values) => connection.prepare(sql).all(...values),
    get: (sql, ...values) => connection.prepare(sql).get(...values),
    run: (sql, ...values) => {
      connection.prepare(sql).run(...values)
    },
    exec: (sql) => connection.exec(sql),
    write(body) {
      if (depth > 0) return body()
      // IMMEDIATE: a transaction that reads first and writes later could otherwise lose against another one and not be allowed to wait.
      connection.exec('BEGIN IMMEDIATE')
      depth++
      try {
        const result = body()
        connection.exec('COMMIT')
        return result
      } catch (error) {
        if (connection.isTransaction) connection.exec('ROLLBACK')
        throw error
      } finally {
        depth--
      }
    },
    close: () => connection.close(),
  }
}

function migrate(database: Database, path: string): void {
  database.write(() => {
    const taken = Number(database.get('PRAGMA user_version')?.['user_version'])
    if (taken > migrations.length) {
      throw new SyncError('SYNC-4004', `the store ${path} was written by a newer version of Syncline`, {
        remedy: 'Use that version, or another store.',
      })
    }
    for (const step of migrations.slice(taken)) database.exec(step)
    database.exec(`PRAGMA user_version = ${migrations.length}`)
  })
}
