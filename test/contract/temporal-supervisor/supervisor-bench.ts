/*
 * A supervisor with real host processes and scripted engines, in a folder of its own, and what tests ask of it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import {
  createEngineSupervisor,
  type EngineLease,
  type EngineSupervisor,
  type EngineSupervisorOptions,
} from '../../../src/activities/engine-supervisor.ts'
import type { EngineRequest } from '../../../src/activities/supervised-engine.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { type EngineCommand, openScriptedTarget } from './scripted-runtime.ts'

export const scriptedRuntimePath = fileURLToPath(new URL('./scripted-runtime.ts', import.meta.url))

export interface WriteRow {
  readonly pipeline: string
  readonly epoch: string
  readonly n: number
  readonly pid: number
  readonly at: number
}

export interface SupervisorBench {
  readonly supervisor: EngineSupervisor
  readonly path: string
  isTemporalReachable: boolean
  command(pipeline: string, command: EngineCommand): void
  answerCheck(pipeline: string, answer: string): void
  writes(pipeline: string): WriteRow[]
  acquire(pipeline: string, request?: Partial<EngineRequest>): Promise<EngineLease>
  close(): Promise<void>
}

/** Polls until true; fails with the name of what did not happen. */
export const eventually = async (what: string, isTrue: () => boolean, withinMs = 15_000): Promise<void> => {
  const deadline = Date.now() + withinMs
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`did not happen in ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const scriptedTarget = async (): Promise<{
  path: string
  target: DatabaseSync
  remove(): Promise<void>
}> => {
  const folder = await mkdtemp(join(tmpdir(), 'syncline-supervisor-'))
  const path = join(folder, 'target.db')
  const target = openScriptedTarget(path)
  return {
    path,
    target,
    async remove() {
      target.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export const commandEngine = (target: DatabaseSync, pipeline: string, command: EngineCommand): void => {
  target.prepare('INSERT INTO commands (pipeline, command) VALUES (?, ?)').run(pipeline, command)
}

export const writesOf = (target: DatabaseSync, pipeline: string): WriteRow[] =>
  target
    .prepare('SELECT pipeline, epoch, n, pid, at FROM writes WHERE pipeline = ? ORDER BY id')
    .all(pipeline) as unknown as WriteRow[]

export const startBench = async (
  options: Partial<EngineSupervisorOptions> = {},
): Promise<SupervisorBench> => {
  const scripted = await scriptedTarget()
  const { path, target } = scripted
  const log = createLog('test', process.env['SYNCLINE_TEST_LOG'] ?? 'silent')
  const bench: SupervisorBench = {
    path,
    isTemporalReachable: true,
    supervisor: createEngineSupervisor(
      {
        host: { runtimeModule: scriptedRuntimePath, runtime: { storePath: path } },
        isTemporalReachable: async () => bench.isTemporalReachable,
        ...options,
      },
      log,
    ),
    command: (pipeline, command) => commandEngine(target, pipeline, command),
    answerCheck(pipeline, answer) {
      target.prepare('INSERT OR REPLACE INTO checks VALUES (?, ?)').run(pipeline, answer)
    },
    writes: (pipeline) => writesOf(target, pipeline),
    acquire: (pipeline, request = {}) =>
      bench.supervisor.acquire({
        pipeline,
        specGeneration: 1,
        generation: 1,
        acknowledged: [],
        scheduledTimeMs: Date.now(),
        ...request,
      }),
    async close() {
      await bench.supervisor.close()
      await scripted.remove()
    },
  }
  return bench
}
