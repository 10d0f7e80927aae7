/**
 * Whether a verification could see at a MariaDB server that somebody waits for a table (verify/reader.ts). Changes nothing; only warns, since
 * a pipeline that is never verified needs none of it.
 */
import type { Finding } from '../contract.ts'
import type { Connection } from './connection.ts'
import { finding, tryPrivileges } from './finding.ts'
import { productOf } from './flavour.ts'

export async function checkProcessPrivilege(
  connection: Connection,
  account: string,
  side: 'source' | 'target',
): Promise<Finding[]> {
  if (productOf(connection.version) !== 'mariadb') return []
  const denied = (): Finding =>
    finding(
      'SYNC-5151',
      'warning',
      `${account} lacks PROCESS at the ${side}: an ALTER TABLE there may wait for a verification, and everybody behind it`,
      `GRANT PROCESS ON *.* TO ${account};`,
    )
  // The server shows these to holders of PROCESS alone (MariaDB, "Information Schema INNODB_TRX Table").
  return tryPrivileges(connection, [{ sql: 'SELECT COUNT(*) FROM information_schema.INNODB_TRX', denied }])
}
