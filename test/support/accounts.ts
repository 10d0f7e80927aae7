/**
 * Accounts with passwords of their own at a test's server, and a search for those passwords wherever they must not be: histories of
 * workflows, logs, answers of the API, the store.
 */
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, Connection as TemporalConnection } from '@temporalio/client'
import type { Connection } from 'mysql2/promise'
import { pipelineWorkflowId } from '../../src/core/pipeline-control.ts'
import type { Stack } from './stack.ts'

export interface Account {
  readonly user: string
  /** As a GRANT names it. */
  readonly quoted: string
  readonly password: string
  /** The file that holds the password, and the reference to it. */
  readonly file: string
  readonly reference: string
  /** Writes another password into the file; without one the right one. */
  writeFile(password?: string): Promise<void>
  grant(privileges: string): Promise<void>
}

/** What a source's account needs, by the guide. */
export const sourcePrivileges = (database: string): readonly string[] => [
  `SELECT ON \`${database}\`.*`,
  'REPLICATION SLAVE, REPLICATION CLIENT ON *.*',
]
/** What a target's account needs for tables that are there. */
export const targetPrivileges = (database: string): readonly string[] => [
  `SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, TRIGGER ON \`${database}\`.*`,
  'SELECT, INSERT, UPDATE, DELETE, CREATE ON `syncline`.*',
]

/** @param connection of an account that may create others */
export async function createAccount(
  stack: Stack,
  connection: Connection,
  privileges: readonly string[],
): Promise<Account> {
  const user = `u_${randomBytes(4).toString('hex')}`
  const quoted = `'${user}'@'%'`
  const password = `geheim-${randomBytes(12).toString('hex')}`
  await connection.query(`CREATE USER ${quoted} IDENTIFIED BY ${connection.escape(password)}`)
  const file = join(stack.dir, `${user}.secret`)
  const account: Account = {
    user,
    quoted,
    password,
    file,
    reference: `\${file:${file}}`,
    writeFile: (text = password) => writeFile(file, `${text}\n`),
    async grant(on) {
      await connection.query(`GRANT ${on} TO ${quoted}`)
    },
  }
  for (const on of privileges) await account.grant(on)
  await account.writeFile()
  return account
}

/** Every place of an installation where a secret could have been written down, as text, by the name of the place. */
export async function writtenDown(
  stack: Stack,
  temporal: { readonly address: string; readonly namespace: string },
  pipelines: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>()
  const connection = await TemporalConnection.connect({ address: temporal.address })
  const { workflow } = new Client({ connection, namespace: temporal.namespace })
  for (const name of pipelines) {
    const handle = workflow.getHandle(pipelineWorkflowId(name))
    places.set(`history of ${name}`, textsIn(await handle.fetchHistory()))
    places.set(`description of ${name}`, textsIn((await handle.describe()).raw))
  }
  await connection.close()
  const paths = ['/v1/endpoints', '/v1/pipelines', '/v1/audit', '/v1/openapi.json', '/readyz']
  for (const name of pipelines) {
    paths.push(`/v1/pipelines/${name}`, `/v1/pipelines/${name}/status`)
    paths.push(`/v1/endpoints/${name}-source`, `/v1/endpoints/${name}-target`)
  }
  for (const path of paths) places.set(path, await (await fetch(`${stack.url}${path}`)).text())
  for (const file of await readdir(stack.dir)) {
    if (file.endsWith('.secret')) continue
    const found = await readFile(join(stack.dir, file), 'latin1').catch(() => null)
    if (found !== null) places.set(file, found)
  }
  return places
}

/** All text in a message of Temporal; payloads are bytes. */
function textsIn(value: unknown): string {
  if (typeof value === 'string') return `${value}\n`
  if (value instanceof Uint8Array) return `${Buffer.from(value).toString('utf8')}\n`
  if (value === null || typeof value !== 'object') return ''
  return Object.values(value).map(textsIn).join('')
}
