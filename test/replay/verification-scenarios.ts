/*
 * The lives of verifications and repairs whose histories are kept (histories/*.json), as scenarios.ts has those of pipelines.
 */
import type { WorkflowHandle } from '@temporalio/client'
import { SyncError } from '../../src/core/errors.ts'
import { noTally } from '../../src/core/verification-request.ts'
import {
  endsThatDiffer,
  healthyEnds,
  type ScriptedVerifier,
  table,
} from '../contract/temporal/scripted-verifier.ts'

type Live = (rig: ScriptedVerifier) => Promise<{ readonly handle: WorkflowHandle }>

const different = async (rig: ScriptedVerifier): Promise<{ name: string; number: number }> => {
  const name = rig.pipeline(endsThatDiffer(2))
  const { number, handle } = await rig.verify(name)
  await handle.result()
  return { name, number }
}

export const verificationScenarios: Readonly<Record<string, Live>> = {
  'verification-shards': (rig) =>
    rig.verify(
      rig.pipeline({
        ...healthyEnds,
        plan: async () => [table('s.a'), table('s.b', { shard: 1 }), table('s.c', { shard: 2 })],
      }),
      { passesPerRun: 2 },
    ),

  async 'verification-waits'(rig) {
    let isThere = false
    return rig.verify(
      rig.pipeline({
        ...healthyEnds,
        align: async () => {
          if (isThere) return {}
          isThere = true
          throw new SyncError('SYNC-5122', 'no engine answers')
        },
      }),
    )
  },

  'verification-refused': (rig) =>
    rig.verify(
      rig.pipeline({
        ...healthyEnds,
        plan: async () => {
          throw new SyncError('SYNC-5142', 'no table is meant')
        },
      }),
    ),

  async 'verification-cancelled'(rig) {
    const begun = Promise.withResolvers<void>()
    const run = await rig.verify(
      rig.pipeline({
        ...healthyEnds,
        async *compare(_, signal) {
          begun.resolve()
          for (let key = 1; ; key++) {
            signal.throwIfAborted()
            await new Promise((resolve) => setTimeout(resolve, 20))
            yield { cursor: [key], isDone: false, tally: { ...noTally, rowsCompared: 1 }, differences: [] }
          }
        },
      }),
    )
    await begun.promise
    await run.handle.executeUpdate('cancel', { args: [{ actor: 'carl' }] })
    return run
  },

  async 'verification-scheduled'(rig) {
    const name = rig.pipeline(endsThatDiffer(1), {
      verify: { schedule: '@daily', repair: { automatic: true, approval: 'none' } },
    })
    const handle = await rig.client.workflow.start('verification', {
      workflowId: `verification/${name}/scheduled-2026-01-01T00:00:00Z`,
      taskQueue: `${rig.prefix}syncline-control`,
      args: [{ pipeline: name, taskQueuePrefix: rig.prefix }],
    })
    await handle.result()
    await rig.client.workflow.getHandle(`repair/${name}/1/1`).result()
    return { handle }
  },

  async 'continuous-cancelled'(rig) {
    const begun = Promise.withResolvers<void>()
    const run = await rig.watch(rig.pipeline({ ...healthyEnds, follow: async () => begun.resolve() }))
    await begun.promise
    await run.handle.executeUpdate('cancel', { args: [{ actor: 'carl' }] })
    return run
  },

  // Waits twice, goes on as new, and ends with what nobody can mend by waiting.
  async 'continuous-waits'(rig) {
    let passes = 0
    return rig.watch(
      rig.pipeline({
        ...healthyEnds,
        follow: async () => {
          passes++
          if (passes <= 2) throw new SyncError('SYNC-2101', 'the source is away')
          throw new SyncError('SYNC-2204', 'the log was purged')
        },
      }),
      { passesPerRun: 2 },
    )
  },

  async 'repair-approved'(rig) {
    const { name, number } = await different(rig)
    const run = await rig.repair(name, number, { needsApproval: true, passesPerRun: 1 })
    await run.handle.executeUpdate('approve', { args: [{ actor: 'carl' }] })
    return run
  },

  async 'repair-cancelled'(rig) {
    const { name, number } = await different(rig)
    const run = await rig.repair(name, number, { needsApproval: true })
    await run.handle.executeUpdate('cancel', { args: [{ actor: 'carl' }] })
    return run
  },
}
