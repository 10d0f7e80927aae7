/*
 * Vitest's global setup of the projects that need servers: one source, one target, two of MariaDB and one Temporal per test run,
 * whatever the number of projects and files. A server is started when a test file first asks for it, so a run of a
 * few files starts what those need. Files ask over a unix socket, whose path they get through `inject`.
 * All servers are thrown away at the end of the run, and by the watchers if the run is killed.
 */
import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import type { DatabaseOptions } from './database-server.ts'
import { startMariadb } from './mariadb.ts'
import { ensureMariadb } from './mariadb-install.ts'
import { type MysqlFacts, type MysqlServer, mysqlFacts, startMysql } from './mysql.ts'
import { ensureMysql } from './mysql-install.ts'
import { createScratch } from './scratch.ts'
import {
  ensureTemporal,
  startTemporal,
  type TemporalFacts,
  type TemporalServer,
  temporalFacts,
} from './temporal.ts'

declare module 'vitest' {
  interface ProvidedContext {
    sharedServersSocket: string
  }
}

export type SharedServers = {
  source: MysqlFacts
  target: MysqlFacts
  mariadbSource: MysqlFacts
  mariadbTarget: MysqlFacts
  temporal: TemporalFacts
}
export type SharedAnswer = { facts: SharedServers[keyof SharedServers] } | { error: string }

type Broker = { readonly socketPath: string; close(): Promise<void> }

// Each project loads its own copy of this module, so what they share hangs on the process.
const shared = globalThis as { [brokerKey]?: { broker: Promise<Broker>; users: number } | undefined }
const brokerKey = Symbol.for('syncline.test-servers')

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared[brokerKey] ??= { broker: startBroker(), users: 0 }
  const use = shared[brokerKey]
  use.users++
  project.provide('sharedServersSocket', (await use.broker).socketPath)
  return async () => {
    use.users--
    if (use.users > 0) return
    shared[brokerKey] = undefined
    await (await use.broker).close()
  }
}

async function startBroker(): Promise<Broker> {
  // What a new machine must fetch and compile first takes longer than any hook may wait.
  await ensureMysql()
  await ensureMariadb()
  await ensureTemporal()
  const scratch = await createScratch('test')
  const mysqls = new Map<string, Promise<MysqlServer>>()
  let temporal: Promise<TemporalServer> | undefined

  const starters: Readonly<Record<string, () => Promise<MysqlServer>>> = {
    source: () => startMysql(optionsOf('source', 101)),
    target: () => startMysql(optionsOf('target', 102)),
    // Events of 256 bytes or more are compressed, so that both forms of rows and statements come by.
    mariadbSource: () =>
      startMariadb({ ...optionsOf('mariadbSource', 103), extraArgs: ['--log-bin-compress=ON'] }),
    mariadbTarget: () => startMariadb(optionsOf('mariadbTarget', 104)),
  }
  const optionsOf = (name: string, serverId: number): DatabaseOptions => ({
    dir: join(scratch.path, name),
    name: `Shared server ${name}`,
    serverId,
    durable: false,
  })
  const answer = async (wanted: string): Promise<SharedServers[keyof SharedServers]> => {
    const start = Object.hasOwn(starters, wanted) ? starters[wanted] : undefined
    if (start !== undefined) {
      const server = mysqls.get(wanted) ?? start()
      mysqls.set(wanted, server)
      return mysqlFacts(await server)
    }
    if (wanted !== 'temporal') throw new Error(`There is no shared server "${wanted}".`)
    temporal ??= startTemporal({ dir: join(scratch.path, 'temporal'), ui: false })
    return temporalFacts(await temporal)
  }
  const socketPath = join(scratch.path, 'ask.sock')
  const server = await listen(socketPath, answer)
  return {
    socketPath,
    async close() {
      server.close()
      const started = [...mysqls.values(), ...(temporal === undefined ? [] : [temporal])]
      await Promise.all(started.map(async (starting) => (await starting.catch(() => undefined))?.discard()))
      await rm(socketPath, { force: true })
      await scratch.remove()
    },
  }
}

function listen(
  path: string,
  answer: (wanted: string) => Promise<SharedServers[keyof SharedServers]>,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => {
      connection.on('error', () => {})
      connection.setEncoding('utf8').once('data', (wanted: string) => {
        answer(wanted.trim()).then(
          (facts) => connection.end(JSON.stringify({ facts } satisfies SharedAnswer)),
          (error: unknown) => connection.end(JSON.stringify({ error: String(error) } satisfies SharedAnswer)),
        )
      })
    })
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}
