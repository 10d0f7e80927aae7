/*
 * Real MySQL servers (database-server.ts), each with a server_uuid of its own.
 */
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, type Say, sayOnStderr } from './cache.ts'
import {
  type DatabaseFacts,
  type DatabaseOptions,
  type DatabaseServer,
  startDatabase,
} from './database-server.ts'
import { ensureMysql, type MysqlInstall, mysqlProgram } from './mysql-install.ts'
import { runCommand } from './proc.ts'
import { mysqlServerFlags } from './versions.ts'

export type MysqlOptions = DatabaseOptions
export type MysqlFacts = DatabaseFacts
export type MysqlServer = DatabaseServer

export async function startMysql(options: MysqlOptions = {}): Promise<MysqlServer> {
  const say = options.say ?? sayOnStderr
  const install = await ensureMysql(say)
  return startDatabase(
    {
      name: 'MySQL',
      version: install.version,
      emptyData: await emptyData(install, options.initArgs ?? [], say),
      server(data) {
        const { command, args } = mysqlProgram(install, 'mysqld')
        return { command, args: [...args, ...baseArgs(install, data)] }
      },
      flags: mysqlServerFlags,
    },
    options,
  )
}

/** The facts alone, for a process that only connects. */
export function mysqlFacts(server: MysqlServer): MysqlFacts {
  const { host, port, socket, user, password, version, serverId } = server
  return { host, port, socket, user, password, version, serverId }
}

/** An initialised, empty data folder to copy. It has no server_uuid, so every copy makes its own. */
export async function emptyData(
  install: MysqlInstall,
  initArgs: readonly string[],
  say: Say,
): Promise<string> {
  const variant = createHash('sha256').update(initArgs.join('\n')).digest('hex').slice(0, 8)
  const version = `${install.version}${initArgs.length === 0 ? '' : `-${variant}`}`
  const folder = await cached({
    kind: 'mysql-data',
    version,
    say,
    build: async (building) => {
      say(`Initialising an empty data folder for MySQL ${install.version} ...`)
      const program = mysqlProgram(install, 'mysqld')
      const data = join(building, 'data')
      // A small redo log makes a small template; a server grows it to its own setting when it starts.
      const args = [
        ...baseArgs(install, data),
        '--initialize-insecure',
        '--innodb-redo-log-capacity=8M',
        ...initArgs,
      ]
      await runCommand(program.command, [...program.args, ...args], {
        name: 'mysqld --initialize',
        timeoutMs: 180_000,
      })
      await rm(join(data, 'auto.cnf'))
      return version
    },
  })
  return join(folder, 'data')
}

function baseArgs(install: MysqlInstall, data: string): string[] {
  const share = join(install.root, 'usr', 'share', 'mysql')
  const args = [
    '--no-defaults',
    `--datadir=${data}`,
    `--basedir=${join(install.root, 'usr')}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${join(share, 'charsets')}`,
  ]
  // mysqld refuses to run as root unless told so, and only root may tell it.
  if (process.getuid?.() === 0) args.push('--user=root')
  return args
}
