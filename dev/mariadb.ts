/*
 * Real MariaDB servers (database-server.ts). `root` logs in without a password over TCP, as with MySQL here.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, type Say, sayOnStderr } from './cache.ts'
import { type DatabaseOptions, type DatabaseServer, startDatabase } from './database-server.ts'
import { ensureMariadb, type MariadbInstall, mariadbServer } from './mariadb-install.ts'
import { runCommand } from './proc.ts'
import { mariadbServerFlags } from './versions.ts'

export async function startMariadb(options: DatabaseOptions = {}): Promise<DatabaseServer> {
  const say = options.say ?? sayOnStderr
  const install = await ensureMariadb(say)
  return startDatabase(
    {
      name: 'MariaDB',
      version: install.version,
      emptyData: await emptyData(install, say),
      server(data) {
        const { command, args } = mariadbServer(install)
        return { command, args: [...args, ...baseArgs(install, data)] }
      },
      flags: mariadbServerFlags,
    },
    options,
  )
}

/** The definitions of the server's own tables, as they are fed to it once (mariadb-install-db does the same). */
const bootstrapFiles = [
  'mysql_system_tables.sql',
  'mysql_performance_tables.sql',
  'mysql_system_tables_data.sql',
  'maria_add_gis_sp_bootstrap.sql',
  'mysql_sys_schema.sql',
]

async function emptyData(install: MariadbInstall, say: Say): Promise<string> {
  const { version } = install
  const folder = await cached({
    kind: 'mariadb-data',
    version,
    say,
    build: async (building) => {
      say(`Initialising an empty data folder for MariaDB ${version} ...`)
      const data = join(building, 'data')
      await mkdir(join(data, 'mysql'), { recursive: true })
      const share = join(install.root, 'usr', 'share', 'mysql')
      const texts = await Promise.all(bootstrapFiles.map((file) => readFile(join(share, file), 'utf8')))
      const { command, args } = mariadbServer(install)
      await runCommand(
        command,
        [...args, ...baseArgs(install, data), '--bootstrap', '--silent-startup', '--skip-log-bin'],
        {
          name: 'mariadbd --bootstrap',
          timeoutMs: 180_000,
          input: ['USE mysql;\nSET @auth_root_socket = NULL;', ...texts].join('\n'),
        },
      )
      return version
    },
  })
  return join(folder, 'data')
}

function baseArgs(install: MariadbInstall, data: string): string[] {
  const share = join(install.root, 'usr', 'share', 'mysql')
  const args = [
    '--no-defaults',
    `--datadir=${data}`,
    `--basedir=${join(install.root, 'usr')}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${join(share, 'charsets')}`,
    `--plugin-dir=${join(install.root, 'usr', 'lib', 'mysql', 'plugin')}`,
  ]
  // mariadbd refuses to run as root unless told so, and only root may tell it.
  if (process.getuid?.() === 0) args.push('--user=root')
  return args
}
