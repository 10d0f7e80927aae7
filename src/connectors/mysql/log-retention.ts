/**
 * How long a source will keep what follows a position in its log.
 *
 * The file that holds it is found by the set of GTIDs with which each file begins (PREVIOUS_GTIDS; MariaDB's Gtid_list); what a file begins with never changes, so
 * it is read once. A server purges a file at its first rotation after the file's last write plus binlog_expire_logs_seconds
 * (sql/binlog.cc, purge_logs_before_date: st_mtime). The last write of a file is taken to be the beginning of the next one; where a server
 * was shut down between the two it was earlier, by as long as the server was away. Ages are by the server's own clock.
 * Nothing is stored; a question costs the server a list of its files, and now and then the first events of one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Position } from '../../core/position.ts'
import type { LogRetention } from '../../core/retention.ts'
import { byteStringOf } from '../../core/value.ts'
import { readFileStart } from './binlog/file-start.ts'
import type { Connection } from './connection.ts'
import { type Product, productOf } from './flavour.ts'
import { GtidSet } from './gtid-set.ts'
import { MariadbPosition, parseMariadbToken } from './mariadb-position.ts'
import { textLiteral } from './sql-text.ts'
import type { QueryResult } from './text-protocol.ts'

export interface RetentionReader {
  /** Null: a server whose files do not begin with a set of GTIDs. @throws SyncError */
  read(connection: Connection, position: Position): Promise<LogRetention | null>
}

/** This statement takes no introducer in front of its text. */
const fileLiteral = (file: string): string => `'${byteStringOf(file).replaceAll(/['\\]/g, '\\$&')}'`

const settings = ['binlog_expire_logs_seconds', 'binlog_expire_logs_auto_purge', 'expire_logs_days'] as const
/** Files whose beginnings are kept in memory. */
const maxKnownFiles = 100
const attempts = 3

/** What is before a place in the log. */
interface LogSet {
  includes(other: LogSet): boolean
}

/** The event in which a file tells what is before it, and how to read that. */
const fileBeginnings: Readonly<
  Record<Product, { readonly event: string; parse(info: string): LogSet; applied(token: string): LogSet }>
> = {
  mysql: {
    event: 'Previous_gtids',
    parse: (info) => GtidSet.parse(info),
    applied: (token) => GtidSet.parse(token),
  },
  mariadb: {
    event: 'Gtid_list',
    parse: (info) => MariadbPosition.parse((info.match(/\d+-\d+-\d+/g) ?? []).join(',')),
    applied: (token) => parseMariadbToken(token).again,
  },
}

/** @param openBinlog opens a connection for the first events of one file */
export function createRetentionReader(openBinlog: () => Promise<Connection>): RetentionReader {
  const beginnings = new Map<string, LogSet | null>()
  const startedAtSeconds = new Map<string, number>()

  /** The transactions before a file. Null: it does not say. */
  async function before(connection: Connection, file: string): Promise<LogSet | null> {
    const known = beginnings.get(file)
    if (known !== undefined) return known
    const { columns, rows } = await connection.query(`SHOW BINLOG EVENTS IN ${fileLiteral(file)} LIMIT 3`)
    const type = columns.indexOf('Event_type')
    const info = columns.indexOf('Info')
    const beginning = fileBeginnings[productOf(connection.version)]
    const row = rows.find((candidate) => candidate[type] === beginning.event)
    const set = row === undefined ? null : beginning.parse(String(row[info]))
    if (beginnings.size >= maxKnownFiles) beginnings.clear()
    beginnings.set(file, set)
    return set
  }

  async function startOf(file: string): Promise<number> {
    const known = startedAtSeconds.get(file)
    if (known !== undefined) return known
    const seconds = await readFileStart(openBinlog, file)
    if (startedAtSeconds.size >= maxKnownFiles) startedAtSeconds.clear()
    startedAtSeconds.set(file, seconds)
    return seconds
  }

  async function readOnce(connection: Connection, position: Position): Promise<LogRetention | null> {
    const names = settings.map(textLiteral).join(', ')
    const [variables, clock, list] = (await connection.queryAll(
      `SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names}); SELECT UNIX_TIMESTAMP(NOW(6)); SHOW BINARY LOGS`,
    )) as [QueryResult, QueryResult, QueryResult]
    const files = list.rows.map((row) => ({ name: String(row[0]), bytes: Number(row[1]) }))
    const applied = fileBeginnings[productOf(connection.version)].applied(position.token)
    // The last file of which everything before is applied holds what comes next. Sets only grow from file to file.
    let low = 0
    let high = files.length
    let probe = files.length - 1
    while (low < high) {
      const set = await before(connection, (files[probe] as { name: string }).name)
      if (set === null) return null
      if (applied.includes(set)) low = probe + 1
      else high = probe
      probe = (low + high) >>> 1
    }
    const at = low - 1
    const next = files[at + 1]
    const nowSeconds = Number(clock.rows[0]?.[0])
    const endedAgoMs =
      at < 0 || next === undefined ? null : Math.max(0, (nowSeconds - (await startOf(next.name))) * 1_000)
    return {
      keptMs: keptMs(new Map(variables.rows.map((row) => [String(row[0]), String(row[1])]))),
      endedAgoMs,
      isPurged: at < 0,
      bytesBehind: files.slice(Math.max(0, at)).reduce((sum, { bytes }) => sum + bytes, 0),
    }
  }

  return {
    async read(connection, position) {
      // Its files begin with the last GTID of each domain, which does not say what all of them hold.
      if (connection.version.includes('MariaDB')) return null
      for (let attempt = 1; ; attempt++) {
        try {
          return await readOnce(connection, position)
        } catch (error) {
          // A file may be purged between the list and the look at it.
          if (attempt === attempts || connection.isLost) throw error
          await sleep(100)
        }
      }
    },
  }
}

/** For how long a server keeps its log by its variables, in milliseconds; null: it purges nothing by itself. */
export function keptMs(variables: ReadonlyMap<string, string>): number | null {
  if (variables.get('binlog_expire_logs_auto_purge') === 'OFF') return null
  const seconds = Number(variables.get('binlog_expire_logs_seconds') ?? 0)
  const days = Number(variables.get('expire_logs_days') ?? 0)
  if (seconds > 0) return seconds * 1_000
  return days > 0 ? days * 24 * 3_600_000 : null
}
