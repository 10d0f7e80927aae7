/*
 * The lives of pipelines whose histories are kept (histories/*.json): each is run for real once, when it is recorded, and replayed ever after.
 */
import type { Blocked } from '../../src/core/pipeline-control.ts'
import { healthy, type ScriptedPipeline, type ScriptedWorker } from '../contract/temporal/scripted-worker.ts'

const blocked = (code: string, at: string | null): Blocked => ({
  code,
  message: 'recorded',
  remedy: 'mend it',
  at,
  findings: [],
})

export const scenarios: Readonly<Record<string, (worker: ScriptedWorker) => Promise<ScriptedPipeline>>> = {
  async 'pause-resume-stop'(worker) {
    const pipeline = await worker.start()
    await pipeline.streams()
    await pipeline.update('pause')
    await pipeline.update('resume')
    await pipeline.streams()
    await pipeline.update('stop')
    return pipeline
  },

  async 'blocked-resume'(worker) {
    let checks = 0
    const pipeline = await worker.start({
      check: async () => (checks++ === 0 ? blocked('SYNC-4003', null) : null),
      run: async (input, untilCancelled) =>
        input.until === 'stopped' && input.acknowledged.length === 0
          ? { kind: 'blocked', blocked: blocked('SYNC-2301', 'uuid:17') }
          : healthy.run(input, untilCancelled),
    })
    await pipeline.reaches(({ blocked: why }) => why?.code === 'SYNC-4003')
    await pipeline.update('resume')
    await pipeline.reaches(({ blocked: why }) => why?.code === 'SYNC-2301')
    await pipeline.update('resume')
    await pipeline.streams()
    await pipeline.update('stop')
    return pipeline
  },

  async 'fenced-twice'(worker) {
    let fences = 2
    const pipeline = await worker.start({
      ...healthy,
      run: async (input, untilCancelled) =>
        input.until === 'stopped' && fences-- > 0 ? { kind: 'fenced' } : healthy.run(input, untilCancelled),
    })
    await pipeline.reaches(({ state }) => state === 'blocked')
    await pipeline.update('stop')
    return pipeline
  },

  async respec(worker) {
    const pipeline = await worker.start()
    await pipeline.streams()
    await pipeline.update('respec', { specGeneration: 2 })
    await pipeline.reaches(({ specGeneration }) => specGeneration === 2 && pipeline.runs.length === 6)
    await pipeline.streams()
    await pipeline.update('pause')
    await pipeline.update('respec', { specGeneration: 3 })
    await pipeline.update('stop')
    return pipeline
  },

  async 'continue-as-new'(worker) {
    const pipeline = await worker.start(healthy, { changesPerRun: 8 })
    await pipeline.streams()
    for (let round = 0; round < 3; round++) {
      await pipeline.update('pause')
      await pipeline.update('resume')
      await pipeline.streams()
    }
    await pipeline.update('stop')
    return pipeline
  },

  async handover(worker) {
    let handovers = 1
    const pipeline = await worker.start({
      ...healthy,
      run: async (input, untilCancelled) =>
        input.until === 'stopped' && handovers-- > 0
          ? { kind: 'handover' }
          : healthy.run(input, untilCancelled),
    })
    await pipeline.reaches(() => handovers < 0)
    await pipeline.streams()
    await pipeline.update('stop')
    return pipeline
  },

  async shards(worker) {
    let isMended = false
    const pipeline = await worker.start(
      {
        ...healthy,
        run: async (input, untilCancelled) =>
          input.shard?.index === 1 && input.until === 'stopped' && !isMended
            ? { kind: 'blocked', blocked: blocked('SYNC-2301', 'uuid:9') }
            : healthy.run(input, untilCancelled),
      },
      { shards: 2, changesPerRun: 12 },
    )
    await pipeline.reaches(({ state }) => state === 'blocked')
    isMended = true
    await pipeline.update('resume')
    const all = () => pipeline.reaches(({ state }) => state === 'streaming' && pipeline.active === 2)
    await all()
    await pipeline.update('pause')
    await pipeline.update('resume')
    await all()
    await pipeline.update('respec', { specGeneration: 2, shards: 3 })
    await pipeline.reaches(({ specGeneration }) => specGeneration === 2 && pipeline.active === 3)
    await pipeline.update('stop')
    return pipeline
  },

  async cancelled(worker) {
    const pipeline = await worker.start()
    await pipeline.streams()
    await pipeline.handle.cancel()
    return pipeline
  },
}
