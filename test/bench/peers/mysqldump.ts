/*
 * mysqldump piped to mysql as a peer: one consistent snapshot, one connection on each side.
 */
import { ensureMysql, mysqlProgram } from '../../../dev/mysql-install.ts'
import { runCommand } from '../../../dev/proc.ts'
import type { Reach } from '../servers.ts'

/** @throws when either of the two fails */
export async function pipeMysqldump(source: Reach, target: Reach, database: string): Promise<void> {
  const install = await ensureMysql()
  const command = (
    tool: 'mysql' | 'mysqldump',
    { host, port, user }: Reach,
    args: readonly string[],
  ): string => {
    const program = mysqlProgram(install, tool)
    const where = [
      '--no-defaults',
      `--host=${host}`,
      `--port=${port}`,
      `--user=${user}`,
      '--ssl-mode=DISABLED',
    ]
    return [program.command, ...program.args, ...where, ...args].map(quoted).join(' ')
  }
  const dump = command('mysqldump', source, ['--single-transaction', '--set-gtid-purged=OFF', database])
  const fill = command('mysql', target, [database])
  await runCommand('bash', ['-c', `set -o pipefail; ${dump} | ${fill}`], { name: 'mysqldump | mysql' })
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`
