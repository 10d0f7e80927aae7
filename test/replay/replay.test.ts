/*
 * Every recorded history of every release replays with the workflow as it is now: pipelines that were started under them go on.
 * When this fails, the workflow does something else than it did: guard the change with `patched`, do not record again.
 */
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from '@temporalio/worker'
import { DeterminismViolationError } from '@temporalio/workflow'
import { beforeAll, describe, expect, it } from 'vitest'
import { createLog } from '../../src/telemetry/log.ts'
import { installTemporalRuntime } from '../../src/telemetry/temporal-log.ts'
import { ensureWorkflowBundle } from '../../src/worker/workflow-bundle.ts'
import { scenarios } from './scenarios.ts'
import { verificationScenarios } from './verification-scenarios.ts'

interface HistoryEvent {
  readonly eventType: string
  activityTaskScheduledEventAttributes?: { activityType: { name: string } }
}
interface History {
  readonly events: HistoryEvent[]
}

const folder = fileURLToPath(new URL('./histories/', import.meta.url))
const histories = async (): Promise<{ workflowId: string; history: History }[]> => {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.json')).sort()
  return Promise.all(
    names.map(async (name) => ({
      workflowId: name,
      history: JSON.parse(await readFile(join(folder, name), 'utf8')) as History,
    })),
  )
}

let codePath: string
beforeAll(async () => {
  installTemporalRuntime(createLog('test', 'silent'))
  codePath = await ensureWorkflowBundle(join(tmpdir(), 'syncline-test-bundles'))
})

describe('recorded histories', () => {
  it('are there for every scenario', async () => {
    const names = (await histories()).map(({ workflowId }) => workflowId.replace(/^.*\/|-\d+\.json$/g, ''))
    expect(new Set(names)).toEqual(
      new Set([...Object.keys(scenarios), ...Object.keys(verificationScenarios)]),
    )
  })

  it('replay with the workflow of today', async () => {
    const replayed: string[] = []
    for await (const result of Worker.runReplayHistories(
      { workflowBundle: { codePath } },
      await histories(),
    )) {
      expect(result.error, result.workflowId).toBeUndefined()
      replayed.push(result.workflowId)
    }
    expect(replayed).toHaveLength((await histories()).length)
  })

  it.each(['claimGeneration', 'checkPipeline', 'runPipeline', 'recordState'])(
    'would not replay if %s had not been called',
    async (activity) => {
      const [first] = (await histories()).filter(({ workflowId }) => workflowId.includes('pause-resume-stop'))
      if (first === undefined) throw new Error('no history')
      const scheduled = first.history.events.find(
        (event) => event.activityTaskScheduledEventAttributes?.activityType.name === activity,
      )
      if (scheduled?.activityTaskScheduledEventAttributes === undefined) throw new Error(`no ${activity}`)
      scheduled.activityTaskScheduledEventAttributes.activityType.name = 'somethingElse'
      const replay = Worker.runReplayHistory(
        { workflowBundle: { codePath } },
        first.history,
        first.workflowId,
      )
      await expect(replay).rejects.toBeInstanceOf(DeterminismViolationError)
    },
  )
})
