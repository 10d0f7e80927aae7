/**
 * The metadata of an installation: what was applied, what is wanted, who did what. One SQLite file, shared by the API and the workers of
 * a host.
 *
 * All calls are synchronous and take well under a millisecond. Secrets are never here, and rows of data only as the differences that verifications
 * found and the repairs of them, up to a number.
 */
import { type AlignmentStore, createAlignmentStore } from './alignments.ts'
import { type AuditLog, createAuditLog } from './audit.ts'
import { type CheckWarningStore, createCheckWarningStore } from './check-warnings.ts'
import { type ContinuousRunStore, createContinuousRunStore } from './continuous-runs.ts'
import { type Database, openDatabase } from './database.ts'
import { createEndpointStore, type EndpointStore } from './endpoints.ts'
import { createParkedTableStore, type ParkedTableStore } from './parked-tables.ts'
import { createPipelineStore, type PipelineStore } from './pipelines.ts'
import { createRepairRunStore, type RepairRunStore } from './repair-runs.ts'
import { createRepairStore, type RepairStore } from './repairs.ts'
import { createReportStore, type ReportStore } from './reports.ts'
import { createVerificationStore, type VerificationStore } from './verifications.ts'

export interface Store {
  readonly endpoints: EndpointStore
  readonly pipelines: PipelineStore
  readonly audit: AuditLog
  readonly reports: ReportStore
  readonly parkedTables: ParkedTableStore
  readonly alignments: AlignmentStore
  readonly verifications: VerificationStore
  readonly continuousRuns: ContinuousRunStore
  readonly repairRuns: RepairRunStore
  readonly repairs: RepairStore
  readonly checkWarnings: CheckWarningStore
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
  const database = openHasty(path)
  const reports = createReportStore(database)
  return { put: (list) => reports.put(list), close: () => database.close() }
}

/** Words between verifications and engines, as an engine's process has them. */
export interface Relay {
  readonly alignments: AlignmentStore
  readonly repairs: RepairStore
  dataVersion: Store['dataVersion']
  close(): void
}

/**
 * For a process that must never wait for the store: like `openReportWriter`.
 * @throws SyncError SYNC-4004 when the file cannot be used
 */
export function openRelay(path: string): Relay {
  const database = openHasty(path)
  return {
    alignments: createAlignmentStore(database),
    repairs: createRepairStore(database),
    dataVersion: () => dataVersionOf(database),
    close: () => database.close(),
  }
}

/** Commits wait for no disk, and a store that is busy refuses at once. */
function openHasty(path: string): Database {
  const database = openDatabase(path)
  database.exec('PRAGMA synchronous = NORMAL')
  database.exec('PRAGMA busy_timeout = 50')
  return database
}

const dataVersionOf = (database: Database): number =>
  Number(database.get('PRAGMA data_version')?.['data_version'])

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
    alignments: createAlignmentStore(database),
    repairs: createRepairStore(database),
    checkWarnings: createCheckWarningStore(database),
    verifications: createVerificationStore(database, now),
    continuousRuns: createContinuousRunStore(database, now),
    repairRuns: createRepairRunStore(database, now),
    write: (body) => database.write(body),
    dataVersion: () => dataVersionOf(database),
    ping: () => {
      database.get('SELECT count(*) FROM pipelines')
    },
    close: () => database.close(),
  }
}
