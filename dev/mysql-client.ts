/*
 * Runs MySQL's own client tools (mysql, mysqldump, mysqlbinlog ...) of the same version as the servers, to their end.
 * A failure rejects with the tool's error output.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { ensureMysql, mysqlProgram } from './mysql-install.ts'
import { runCommand } from './proc.ts'

export type ClientTool = 'mysql' | 'mysqldump' | 'mysqlbinlog' | 'mysqladmin' | 'mysqlslap'
export type ClientTarget = { readonly socket: string; readonly user: string }

export async function runMysqlTool(
  tool: ClientTool,
  args: readonly string[],
  options: { readonly server?: ClientTarget; readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<string> {
  const program = mysqlProgram(await ensureMysql(), tool)
  const { server, ...commandOptions } = options
  return runCommand(program.command, [...program.args, '--no-defaults', ...connection(server), ...args], {
    name: tool,
    ...commandOptions,
  })
}

/** The same, still running, for tools that follow a server or whose output is too large to hold. */
export async function spawnMysqlTool(
  tool: ClientTool,
  args: readonly string[],
  options: { readonly server?: ClientTarget } = {},
): Promise<ChildProcess> {
  const program = mysqlProgram(await ensureMysql(), tool)
  return spawn(program.command, [...program.args, '--no-defaults', ...connection(options.server), ...args], {
    stdio: 'pipe',
  })
}

function connection(server: ClientTarget | undefined): string[] {
  return server === undefined ? [] : [`--socket=${server.socket}`, `--user=${server.user}`]
}
