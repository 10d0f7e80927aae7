/*
 * What all parts of one run of the demo share: its size, its screen, its log folder, and the list of what has to be ended.
 *
 * Guarantees: `end` ends everything that was begun, the last first, once, whoever calls it and however often. Servers also end by
 * themselves when this process is killed (dev/guard.ts).
 */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Screen } from './screen.ts'

export type DemoRun = {
  /** 1 is the whole shop. */
  readonly size: number
  readonly isSmall: boolean
  readonly writesPerSecond: number
  readonly screen: Screen
  /** Logs of every process. */
  readonly logDir: string
  /** Called when the run ends, in reverse order. */
  atEnd(ending: () => Promise<unknown>): void
  /** Keeps a server's own log; its folder goes with the run. */
  keepLog(file: string, name: string): Promise<void>
  end(keepLogs: boolean): Promise<void>
}

export type DemoOptions = Pick<DemoRun, 'size' | 'isSmall' | 'writesPerSecond' | 'screen'>

export async function createRun(options: DemoOptions): Promise<DemoRun> {
  const logDir = await mkdtemp(join(tmpdir(), 'syncline-demo-logs-'))
  const endings: (() => Promise<unknown>)[] = []
  let ending: Promise<void> | undefined

  const endAll = async (keepLogs: boolean): Promise<void> => {
    for (let next = endings.pop(); next !== undefined; next = endings.pop()) await next().catch(() => {})
    if (!keepLogs) await rm(logDir, { recursive: true, force: true })
  }
  return {
    ...options,
    logDir,
    atEnd: (next) => void endings.push(next),
    keepLog: (file, name) => cp(file, join(logDir, `${name}.log`)).catch(() => {}),
    end: (keepLogs) => (ending ??= endAll(keepLogs)),
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
