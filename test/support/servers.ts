/*
 * What a test needs to reach the servers of its run: one source, one target and one Temporal, shared by all files and
 * started when first asked for. Tests keep apart by database and pipeline names; a test that stops, kills or
 * reconfigures a server starts its own with dev/mysql.ts or dev/temporal.ts.
 * Everything here is thrown away with the run, so nothing needs to be dropped.
 */
import { randomBytes } from 'node:crypto'
import { createConnection as createSocket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise'
import { inject } from 'vitest'
import type { MysqlFacts } from '../../dev/mysql.ts'
import type { TemporalFacts } from '../../dev/temporal.ts'
import type { SharedAnswer, SharedServers } from '../../dev/test-servers.ts'

export type { MysqlFacts, TemporalFacts }

export const sharedSource = (): Promise<MysqlFacts> => ask('source')
export const sharedTarget = (): Promise<MysqlFacts> => ask('target')
export const sharedMariadbSource = (): Promise<MysqlFacts> => ask('mariadbSource')
export const sharedMariadbTarget = (): Promise<MysqlFacts> => ask('mariadbTarget')
export const sharedTemporal = (): Promise<TemporalFacts> => ask('temporal')

/** How to reach a server: a proxy in front of one has its own port, and no socket. */
export type Reachable = Pick<MysqlFacts, 'host' | 'port' | 'user' | 'password'>

/** A connection that shows values as they are: times and decimals as strings, 64-bit integers never rounded. */
export function connect(server: Reachable, options: ConnectionOptions = {}): Promise<Connection> {
  const { host, port, user, password } = server
  return createConnection({
    host,
    port,
    user,
    password,
    dateStrings: true,
    supportBigNumbers: true,
    multipleStatements: true,
    ...options,
  })
}

/** Creates a database that no other test has, and returns its name (at most 64 characters, safe without quotes). */
export async function freshDatabase(connection: Connection, prefix: string): Promise<string> {
  const name = `${prefix.replaceAll(/\W/g, '_').slice(0, 40)}_${randomBytes(6).toString('hex')}`
  await connection.query(`CREATE DATABASE ${name}`)
  return name
}

async function ask<Name extends keyof SharedServers>(name: Name): Promise<SharedServers[Name]> {
  const socket = createSocket(inject('sharedServersSocket'))
  socket.write(`${name}\n`)
  const answer = JSON.parse(await text(socket)) as SharedAnswer
  if ('error' in answer) throw new Error(`The shared ${name} did not start: ${answer.error}`)
  return answer.facts as SharedServers[Name]
}
