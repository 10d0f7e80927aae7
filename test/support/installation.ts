/**
 * One installation for a whole test file, at the shared servers: started before its first test, with its logs shown when a test fails.
 */
import { afterAll, afterEach, beforeAll } from 'vitest'
import { type CaseEnds, createCase, type PipelineCase } from './pipeline-case.ts'
import { type MysqlFacts, sharedSource, sharedTarget, sharedTemporal, type TemporalFacts } from './servers.ts'
import { type Stack, startStack } from './stack.ts'

export interface Installation {
  readonly stack: Stack
  readonly source: MysqlFacts
  readonly target: MysqlFacts
  readonly temporal: TemporalFacts
  /** A pipeline that is stopped after its test. */
  createCase(name: string, ends?: Partial<CaseEnds>): Promise<PipelineCase>
}

/** @param beforeEnd runs while everything still does */
export function useInstallation(
  options: {
    readonly streamWorkers?: number
    readonly verifyWorkers?: number
    readonly beforeEnd?: () => Promise<void>
  } = {},
): Installation {
  let stack: Stack | undefined
  let source: MysqlFacts | undefined
  let target: MysqlFacts | undefined
  let temporal: TemporalFacts | undefined
  const open: PipelineCase[] = []

  beforeAll(async () => {
    source = await sharedSource()
    target = await sharedTarget()
    temporal = await sharedTemporal()
    stack = await startStack(temporal)
    await stack.startWorker('control')
    for (let i = 0; i < (options.streamWorkers ?? 1); i++) await stack.startWorker('stream')
    for (let i = 0; i < (options.verifyWorkers ?? 0); i++) await stack.startWorker('verify')
  })
  afterEach(async (context) => {
    if (context.task.result?.state === 'fail' && stack !== undefined) console.error(await stack.logs())
    for (const pipeline of open.splice(0)) {
      await fetch(`${stack?.url}/v1/pipelines/${pipeline.name}/stop`, { method: 'POST' })
      await pipeline.close()
    }
  })
  afterAll(async () => {
    try {
      await options.beforeEnd?.()
    } finally {
      await stack?.stop()
    }
  })

  const started = <Thing>(thing: Thing | undefined): Thing => {
    if (thing === undefined) throw new Error('The installation is not started yet.')
    return thing
  }
  return {
    get stack() {
      return started(stack)
    },
    get source() {
      return started(source)
    },
    get target() {
      return started(target)
    },
    get temporal() {
      return started(temporal)
    },
    async createCase(name, ends = {}) {
      const made = await createCase(
        started(stack),
        { source: started(source), target: started(target), ...ends },
        name,
      )
      open.push(made)
      return made
    },
  }
}
