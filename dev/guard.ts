/*
 * Guarantees that a server process and a throw-away folder do not outlive the process that made them, even if
 * that one is killed with SIGKILL.
 * How: a tiny shell waits on a pipe whose other end only the maker holds. The kernel closes it when the maker
 * dies, however it dies; then the shell kills the server or removes the folder. No polling, no pid of the maker to
 * be reused. It runs in a session of its own, so that Ctrl-C or a killed process group does not take it along.
 * A crash of the watcher itself only loses the clean-up.
 */
import { spawn } from 'node:child_process'

export type Guard = { release(): void }

const killProcess = 'trap \'\' INT TERM HUP; read -r word && exit 0; kill -KILL "$1"'
// The folder goes a moment later than the processes that may still write to it.
const removeFolder =
  'trap \'\' INT TERM HUP; read -r word && exit 0; sleep 1; rm -rf "$1" || { sleep 2; rm -rf "$1"; }'

export function guardProcess(pid: number): Guard {
  return startWatcher(killProcess, String(pid))
}

export function guardFolder(folder: string): Guard {
  return startWatcher(removeFolder, folder)
}

function startWatcher(script: string, argument: string): Guard {
  const watcher = spawn('sh', ['-c', script, 'syncline-guard', argument], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const pipe = watcher.stdin
  watcher.on('error', () => {})
  pipe.on('error', () => {})
  watcher.unref()
  if ('unref' in pipe && typeof pipe.unref === 'function') pipe.unref()
  return {
    release() {
      if (!pipe.writableEnded) pipe.end('done\n')
    },
  }
}
