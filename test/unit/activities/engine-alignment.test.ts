/**
 * A verification and an engine that speak through the store, each with a connection of its own, as two processes do. The engine is the real one, over
 * stores in memory.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createAlignmentWatch } from '../../../src/activities/alignment-watch.ts'
import { alignEngine } from '../../../src/activities/engine-alignment.ts'
import { repairThroughEngine } from '../../../src/activities/engine-repair.ts'
import { tableName } from '../../../src/core/schema.ts'
import type { Value } from '../../../src/core/value.ts'
import type { RunTo } from '../../../src/core/verification.ts'
import { openRelay, openStore, type Relay, type Store } from '../../../src/store/store.ts'
import { createEngine, type Engine } from '../../../src/streamer/engine.ts'
import {
  createRandom,
  MemorySource,
  MemoryTarget,
  possibleKeys,
  shapes,
} from '../../support/memory-stores.ts'

const mark = { pipeline: 'orders', incarnation: 1, shard: '' }
const noLog = { warn: () => {} }

let folder: string
let store: Store
let relay: Relay
let source: MemorySource
let target: MemoryTarget
let engine: Engine
let lastEpoch = 1_000n
const closing: (() => unknown)[] = []

async function startEngine(): Promise<Engine> {
  const random = createRandom(7)
  source = new MemorySource(random)
  for (let i = 0; i < 20; i++) source.commit()
  source.settleAll()
  target = new MemoryTarget(random, source)
  lastEpoch += 1_000n
  const started = createEngine(
    {
      openSource: async () => source.open(() => false),
      openTarget: async () => target.open(() => false),
      recheck: async () => {},
    },
    {
      pipeline: 'orders',
      origin: 'test',
      rules: [
        {
          match: 's.*',
          exclude: [],
          toSchema: '{schema}',
          toTable: '{table}',
          includeColumns: null,
          excludeColumns: [],
          renameColumns: {},
          where: null,
        },
      ],
      order: 'merged',
      lanes: 2,
      batch: { maxRows: 100, maxBytes: 1 << 20, maxDelayMs: 0 },
      smallBatchRows: 20,
      load: { enabled: true, chunkRows: 5, chunksInFlight: 2 },
    },
    lastEpoch,
    [],
  )
  const done = started.run()
  closing.push(async () => {
    started.drain()
    await done
  })
  await expect.poll(() => started.status().phase, { timeout: 10_000 }).toBe('streaming')
  return started
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'syncline-alignment-'))
  store = openStore(join(folder, 'store.db'))
  relay = openRelay(join(folder, 'store.db'))
  engine = await startEngine()
})

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  relay.close()
  store.close()
  rmSync(folder, { recursive: true })
})

const follow = (followed: Engine = engine): (() => void) => {
  const unfollow = createAlignmentWatch(relay, noLog).follow(mark, followed)
  closing.push(unfollow)
  return unfollow
}

const align = (options: { holdLimitMs?: number; signal?: AbortSignal } = {}) =>
  alignEngine({ store, pipeline: 'orders', incarnation: 1, signal: new AbortController().signal, ...options })

const toTheEnd = (): RunTo => ({
  low: { token: String(source.executed), ordinal: 0 },
  high: { file: 1, offset: source.written * 1000 },
})

it('stands, runs to the end told, names the keys in doubt, and goes on', async () => {
  follow()
  const alignment = await align()
  expect(alignment.held).toEqual({ position: { token: '20', ordinal: 0 }, incomplete: [] })
  const range = toTheEnd()
  for (let i = 0; i < 5; i++) source.commit()
  source.settleAll()
  const reached = await alignment.runTo({ ...range, high: { file: 1, offset: 23_000 } })
  expect(reached.position.token).toBe('23')
  expect(reached.inDoubt.length).toBeGreaterThan(0)
  expect(reached.isDoubtCut).toBe(false)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(engine.status().position?.token).toBe('23')
  await alignment.release()
  await expect.poll(() => engine.status().position?.token, { timeout: 5_000 }).toBe('25')
})

it('loses what nobody speaks of any more, and the release says so', async () => {
  follow()
  const alignment = await align({ holdLimitMs: 200 })
  await alignment.runTo(toTheEnd())
  source.commit()
  source.settleAll()
  await expect.poll(() => engine.status().position?.token, { timeout: 5_000 }).toBe('21')
  await expect(alignment.release()).rejects.toMatchObject({ code: 'SYNC-5120' })
  expect((await alignment.lost).message).toContain('heard nothing for 200 ms')
})

it('tells a second verification that there is one', async () => {
  follow()
  const alignment = await align()
  await expect(align()).rejects.toThrow('aligned by somebody else')
  await alignment.release()
  await (await align()).release()
})

it('lets the engine go on when whoever asked gives up', async () => {
  follow()
  const giveUp = new AbortController()
  const alignment = await align({ signal: giveUp.signal })
  giveUp.abort(new Error('given up'))
  await expect(alignment.runTo(toTheEnd())).rejects.toThrow('given up')
  source.commit()
  source.settleAll()
  await expect.poll(() => engine.status().position?.token, { timeout: 5_000 }).toBe('21')
})

it('says that it is lost when another engine begins after a crash of the host', async () => {
  const unfollow = follow()
  const alignment = await align()
  // As if killed: nobody reads any more, and the row stays as it is.
  unfollow()
  const successor = await startEngine()
  follow(successor)
  await expect(alignment.runTo(toTheEnd())).rejects.toThrow('another engine of the pipeline has begun')
  await (await align()).release()
})

it('loses an alignment when the pipeline is paused', async () => {
  follow()
  const alignment = await align()
  engine.drain()
  await expect(alignment.runTo(toTheEnd())).rejects.toThrow('paused')
})

const repair = (table: string, keys: readonly Value[]) =>
  repairThroughEngine({
    store,
    pipeline: 'orders',
    incarnation: 1,
    table,
    keys: keys.map((key) => [key]),
    signal: new AbortController().signal,
  })

it('has rows repaired, and is told what became of each', async () => {
  follow()
  for (let i = 0; i < 20; i++) target.tamper()
  expect(target.differences()).not.toEqual([])
  for (const shape of shapes) {
    const keys = possibleKeys(shape)
    const repaired = await repair(tableName(shape.id), keys)
    expect(repaired.map(({ key }) => key)).toEqual(keys.map((key) => [key]))
    expect(new Set(repaired.map(({ outcome }) => outcome))).toEqual(new Set(['written', 'removed']))
  }
  expect(target.differences()).toEqual([])
})

it('refuses tables that take no part, and keys that are not as the source writes them', async () => {
  follow()
  await expect(repair('s.none', [1])).rejects.toMatchObject({ code: 'SYNC-5123' })
  await expect(repair('s.n', ['1'])).rejects.toMatchObject({ code: 'SYNC-5102' })
})

it('tells that a repair was cut off when another engine has begun', async () => {
  const unfollow = follow()
  unfollow()
  const asked = repair('s.n', [1])
  const [request] = store.repairs.asked()
  store.repairs.take(String(request?.id))
  follow(await startEngine())
  await expect(asked).rejects.toMatchObject({ code: 'SYNC-5124' })
})
