/*
 * The MySQL accounts of the demo's pipeline, with exactly the privileges that it needs: reading the source's log and tables, writing the
 * target's tables and Syncline's own. Passwords are drawn for each run.
 */
import { randomBytes } from 'node:crypto'
import { createConnection } from 'mysql2/promise'
import { plainServer, type ShopServer } from '../shop/fill.ts'

export const accountName = 'syncline'

export const sourceGrants = (database: string): readonly string[] => [
  'REPLICATION SLAVE, REPLICATION CLIENT ON *.*',
  `SELECT ON \`${database}\`.*`,
]

/** CREATE and REFERENCES only because the demo lets Syncline create the tables (onMissingTable: create), foreign keys included. */
export const targetGrants = (database: string): readonly string[] => [
  'CREATE, SELECT, INSERT, UPDATE, DELETE ON `syncline`.*',
  `CREATE, REFERENCES, SELECT, INSERT, UPDATE, DELETE ON \`${database}\`.*`,
]

/** @returns the password */
export async function createAccount(server: ShopServer, grants: readonly string[]): Promise<string> {
  const password = randomBytes(18).toString('base64url')
  const connection = await createConnection(plainServer(server))
  try {
    await connection.query(`CREATE USER ${accountName}@'%' IDENTIFIED BY ?`, [password])
    for (const grant of grants) await connection.query(`GRANT ${grant} TO ${accountName}@'%'`)
  } finally {
    await connection.end()
  }
  return password
}
