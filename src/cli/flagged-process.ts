/**
 * Lets a process go on with flags of V8 that have to stand before its start: it is started again in its own place (execve), with the same id, parent, environment
 * and streams, so whoever supervises it sees one process.
 *
 * Returns where the flags stand already, and where the platform has no execve (Windows): then V8's defaults hold, which take more memory and
 * are right all the same. To be called before anything is opened: of what a process has open, only its standard streams go along.
 */
import process from 'node:process'

export function goOnWithFlags(flags: readonly string[]): void {
  const { execArgv, execPath, argv } = process
  if (process.execve === undefined || flags.every((flag) => execArgv.includes(flag))) return
  const [, script = '', ...rest] = argv
  try {
    process.execve(execPath, [execPath, ...execArgv, ...flags, script, ...rest], process.env)
  } catch {
    // It is marked experimental, and a Node that was told not to start programs refuses it: the process goes on as it is.
  }
}
