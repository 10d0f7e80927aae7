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

  async 'live-tables'(worker) {
    let refusals = 1
    const pipeline = await worker.start(
      {
        ...healthy,
        check: async ({ specGeneration }) =>
          specGeneration === 3 && refusals-- > 0 ? blocked('SYNC-4003', null) : null,
      },
      { changesPerRun: 16 },
    )
    const runs = async (generation: number) => {
      await pipeline.reaches(
        ({ specGeneration }) =>
          specGeneration === generation && pipeline.runs.at(-1)?.specGeneration === generation,
      )
      await pipeline.streams()
    }
    await pipeline.streams()
    await pipeline.update('addTables', { specGeneration: 2, tables: ['shop.new'] })
    await runs(2)
    await pipeline.update('removeTables', { specGeneration: 3, tables: ['shop.old'] })
    await pipeline.reaches(({ pending }) => (pending?.refused ?? null) !== null)
    await pipeline.update('resume')
    await runs(3)
    await pipeline.update('pause')
    await pipeline.update('addTables', { specGeneration: 4, tables: ['shop.old', 'shop.older'] })
    await pipeline.update('resume')
    await runs(4)
    // Several at once: the newest is checked, what was under way is given up.
    await Promise.all(
      [5, 6, 7].map((specGeneration) =>
        pipeline
          .update('addTables', { specGeneration, tables: [`shop.t${specGeneration}`] })
          .catch(() => undefined),
      ),
    )
    await runs((await pipeline.status()).specGeneration)
    await pipeline.update('stop')
    return pipeline
  },

  async limits(worker) {
    const pipeline = await worker.start(healthy, { changesPerRun: 9 })
    const set = async (specGeneration: number) => {
      await pipeline.update('setLimits', { specGeneration, basedOn: specGeneration - 1 })
    }
    await pipeline.streams()
    for (let generation = 2; generation <= 8; generation++) await set(generation)
    await pipeline.streams()
    await pipeline.update('pause')
    await set(9)
    await pipeline.update('resume')
    await pipeline.streams()
    await set(10)
    await pipeline.update('respec', { specGeneration: 11 })
    await pipeline.reaches(() => pipeline.runs.at(-1)?.specGeneration === 11)
    await pipeline.streams()
    await pipeline.update('stop')
    return pipeline
  },

  async rejoin(worker) {
    const pipeline = await worker.start(healthy, { changesPerRun: 10 })
    await pipeline.streams()
    const told = (parking: string) =>
      pipeline.reaches(
        () => pipeline.runs.at(-1)?.rejoins?.some((request) => request.parking === parking) === true,
      )
    await pipeline.update('rejoin', { table: 'shop.orders', parking: 'p1' })
    await told('p1')
    await pipeline.streams()
    await pipeline.update('pause')
    await pipeline.update('rejoin', { table: 'shop.items', parking: 'p2' })
    await pipeline.update('resume')
    await told('p2')
    await pipeline.streams()
    await pipeline.update('rejoin', { table: 'shop.orders', parking: 'p3' })
    await told('p3')
    await pipeline.streams()
    await pipeline.update('stop')
    return pipeline
  },

  async 'shards-live'(worker) {
    let isMended = false
    const pipeline = await worker.start(
      {
        ...healthy,
        run: async (input, untilCancelled) =>
          input.shard?.index === 1 && input.specGeneration === 3 && !isMended
            ? { kind: 'blocked', blocked: blocked('SYNC-3304', null) }
            : healthy.run(input, untilCancelled),
      },
      { shards: 2, changesPerRun: 24 },
    )
    const lastOf = (index: number) => pipeline.runs.findLast(({ shard }) => shard?.index === index)
    const all = (generation: number) =>
      pipeline.reaches(
        ({ state, specGeneration }) =>
          state === 'streaming' &&
          specGeneration === generation &&
          pipeline.active === 2 &&
          [0, 1].every((index) => lastOf(index)?.until === 'stopped'),
      )
    await all(1)
    await pipeline.update('setLimits', { specGeneration: 2, basedOn: 1 })
    await pipeline.update('removeTables', { specGeneration: 3, tables: ['shop.old'] })
    await pipeline.reaches(({ state }) => state === 'blocked')
    // The other shard starts anew with it; what blocks this one is for a person to say.
    await pipeline.update('rejoin', { table: 'shop.items', parking: 'p0' })
    await pipeline.reaches(() => pipeline.runs.at(-1)?.rejoins !== undefined && pipeline.active === 1)
    isMended = true
    await pipeline.update('resume')
    await all(3)
    await pipeline.update('rejoin', { table: 'shop.orders', parking: 'p1' })
    await pipeline.reaches(() => [0, 1].every((index) => lastOf(index)?.rejoins?.length === 2))
    await all(3)
    await pipeline.update('respec', { specGeneration: 4, shards: 2 })
    await all(4)
    await pipeline.update('addTables', { specGeneration: 5, tables: ['shop.new'] })
    await all(5)
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
