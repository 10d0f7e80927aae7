/*
 * mysqlbinlog -v as a peer: reads one log file over a connection and prints every row as commented SQL. Its CPU time is what the shell's
 * `time` says of it.
 */
import { ensureMysql, mysqlProgram } from '../../../dev/mysql-install.ts'
import { runCommand } from '../../../dev/proc.ts'
import type { Reach } from '../servers.ts'

async function commandLine({ host, port, user }: Reach, file: string): Promise<string[]> {
  const program = mysqlProgram(await ensureMysql(), 'mysqlbinlog')
  const from = [`--host=${host}`, `--port=${port}`, `--user=${user}`, '--ssl-mode=DISABLED']
  return [
    program.command,
    ...program.args,
    '--no-defaults',
    '--read-from-remote-server',
    ...from,
    '-v',
    '--base64-output=DECODE-ROWS',
    file,
  ]
}

/** @throws when it fails */
export async function readWithMysqlbinlog(
  server: Reach,
  file: string,
): Promise<{ readonly cpuSeconds: number }> {
  const script = 'set -e; TIMEFORMAT="%U %S"; { time "$@" >/dev/null 2>&3; } 3>&2 2>&1'
  const said = await runCommand('bash', ['-c', script, 'bash', ...(await commandLine(server, file))])
  const [user = Number.NaN, system = Number.NaN] = said.trim().split(/\s+/).map(Number)
  if (!(user + system >= 0)) throw new Error(`No times in: ${said}`)
  return { cpuSeconds: user + system }
}

/** The row changes that it prints. */
export async function countWithMysqlbinlog(server: Reach, file: string): Promise<number> {
  const script = 'set -eo pipefail; "$@" | grep -cE "^### (INSERT INTO|UPDATE|DELETE FROM) " || true'
  return Number(await runCommand('bash', ['-c', script, 'bash', ...(await commandLine(server, file))]))
}
