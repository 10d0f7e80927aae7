/**
 * What makes a load slower than it could be at this target. Only ever a warning: the rows are the same. Changes nothing.
 */
import { SyncError } from '../../core/errors.ts'
import { tableName } from '../../core/schema.ts'
import type { Finding, PipelineScope } from '../contract.ts'
import type { Connection } from './connection.ts'
import { finding, readVariables } from './finding.ts'
import { productOf } from './flavour.ts'
import { readDoneTables } from './joined-tables.ts'
import { sourceSettings } from './source-settings.ts'

/** @returns nothing where no table is left to load */
export async function checkLoad(connection: Connection, scope: PipelineScope): Promise<Finding[]> {
  if (!scope.loads || scope.mappings.length === 0) return []
  const variables = await readVariables(connection, ['local_infile'])
  if (variables.get('local_infile') === 'ON') return []
  const done = await readDoneTables(connection, scope).catch((error: unknown) => {
    // Without the privilege (reported already) nothing is known of an earlier start.
    if (error instanceof SyncError && error.code === 'SYNC-3103') return new Set<string>()
    throw error
  })
  const left = scope.mappings.filter(({ source }) => !done.has(tableName(source))).length
  if (left === 0) return []
  const tables = left === 1 ? 'one table' : `${left} tables`
  return [
    finding(
      'SYNC-3216',
      'warning',
      `local_infile is OFF at the target: ${tables} will be loaded by INSERT instead of LOAD DATA LOCAL, which is slower`,
      sourceSettings[productOf(connection.version)].set('local_infile', 'ON'),
    ),
  ]
}
