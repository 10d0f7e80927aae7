/**
 * Does the source keep its log for long enough? Warnings alone: a short retention does no harm while everything goes well.
 */
import { tableName } from '../../core/schema.ts'
import type { Finding, PipelineScope } from '../contract.ts'
import type { Connection } from './connection.ts'
import { finding, readVariables } from './finding.ts'
import { productOf } from './flavour.ts'
import { keptMs } from './log-retention.ts'
import { sourceSettings } from './source-settings.ts'
import { textLiteral } from './sql-text.ts'

const hourMs = 3_600_000
/** Shorter than this, a weekend's pause loses the log's beginning. */
const leastKeptMs = 24 * hourMs
const advisedMs = 3 * leastKeptMs
/** What a load of ordinary rows over an ordinary line brings at least. An interrupted one wants the log from where it stood. */
const loadBytesPerMs = 5_000

export async function checkRetention(connection: Connection, scope: PipelineScope): Promise<Finding[]> {
  const kept = keptMs(
    await readVariables(connection, [
      'binlog_expire_logs_seconds',
      'binlog_expire_logs_auto_purge',
      'expire_logs_days',
    ]),
  )
  if (kept === null) return []
  const keptSeconds = Math.round(kept / 1_000)
  if (kept < leastKeptMs) {
    return [
      finding(
        'SYNC-2212',
        'warning',
        `The source purges its log after ${keptSeconds} s: a longer pause means loading again`,
        remedy(connection, advisedMs),
      ),
    ]
  }
  const loadMs = scope.loads ? (await bytesToLoad(connection, scope)) / loadBytesPerMs : 0
  if (loadMs <= kept) return []
  return [
    finding(
      'SYNC-2212',
      'warning',
      `The first copy may take ${Math.ceil(loadMs / hourMs)} h, and the source purges its log after ${Math.round(kept / hourMs)} h: if the stream does not keep up meanwhile, its log is gone`,
      remedy(connection, 2 * loadMs),
    ),
  ]
}

const remedy = ({ version }: Connection, ms: number): string =>
  sourceSettings[productOf(version)].set('binlog_expire_logs_seconds', `${Math.ceil(ms / hourMs) * 3_600}`)

/** By the server's statistics. */
async function bytesToLoad(connection: Connection, scope: PipelineScope): Promise<number> {
  const schemas = [...new Set(scope.mappings.map(({ source }) => source.schema))]
  if (schemas.length === 0) return 0
  const { rows } = await connection.query(
    `SELECT TABLE_SCHEMA, TABLE_NAME, DATA_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (${schemas.map(textLiteral).join(', ')})`,
  )
  const inScope = new Set(scope.mappings.map(({ source }) => tableName(source)))
  const text = (value: unknown): string => Buffer.from(String(value), 'latin1').toString('utf8')
  return rows
    .filter((row) => inScope.has(`${text(row[0])}.${text(row[1])}`))
    .reduce((sum, row) => sum + Number(row[2] ?? 0), 0)
}
