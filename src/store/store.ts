/**
 * The metadata of an installation: what was applied, what is wanted, who did what. One SQLite file, shared by the API and the workers of
 * a host.
 *
 * All calls are synchronous and take well under a millisecond. Rows of data, positions and secrets are never here.
 */
import { type AuditLog, createAuditLog } from './audit.ts'
import { openDatabase } from './database.ts'
import { createEndpointStore, type EndpointStore } from './endpoints.ts'
import { createParkedTableStore, type ParkedTableStore } from './parked-tables.ts'
import { createPipelineStore, type PipelineStore } from './pipelines.ts'
import { createReportStore, type ReportStore } from './reports.ts'

export interface Store {
  readonly endpoints: EndpointStore
  readonly pipelines: PipelineStore
  readonly audit: AuditLog
  readonly reports: ReportStore
  readonly parkedTables: ParkedTableStore
  /** Everything that `body` does is done whole, or not at all when it throws. */
  write<T>(body: () => T): T
  /** A number that is another one once another process has changed anything. */
  dataVersion(): number
  /** Throws when the file cannot be read. */
  ping(): void
  close(): void
}

export interface ReportWriter {
  put: ReportStore['put']
  close(): void
}

/**
 * For a process that only reports: commits wait for no disk, and a store that is busy refuses at once instead of keeping the process waiting.
 * @throws SyncError SYNC-4004 when the file cannot be used
 */
export function openReportWriter(path: string): ReportWriter {
  const database = openDatabase(path)
  database.exec('PRAGMA synchronous = NORMAL')
  database.exec('PRAGMA busy_timeout = 50')
  const reports = createReportStore(database)
  return { put: (list) => reports.put(list), close: () => database.close() }
}

/**
 * @param path of the file; made when it is not there. `:memory:` for tests
 * @throws SyncError SYNC-4004 when the file cannot be used
 */
export function openStore(path: string, now: () => Date = () => new Date()): Store {
  const database = openDatabase(path)
  const pipelines = createPipelineStore(database, now)
  const audit = createAuditLog(database, now)
  return {
    pipelines,
    endpoints: createEndpointStore(database, pipelines, now),
    audit,
    parkedTables: createParkedTableStore(database, audit),
    reports: createReportStore(database),
    write: (body) => database.write(body),
    dataVersion: () => Number(database.get('PRAGMA data_version')?.['data_version']),
    ping: () => {
      database.get('SELECT count(*) FROM pipelines')
    },
    close: () => database.close(),
  }
}
