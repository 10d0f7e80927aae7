/**
 * The real engine (batcher, loader, pump, applier, recovery, sessions) over random histories with cut links on both sides, late writes of
 * dead sessions and engines that are replaced, with other limits, and with tables that leave and come back: whatever happens, both sides end equal, no row goes back, no lane runs twice, and every
 * batch boundary is a subset of the source. A target that refuses rows parks their tables: the others
 * never stop, nothing of a parked table is written, and once it has rejoined it is equal too. Whoever aligns an engine
 * meanwhile finds the target, whenever looked at until the release, exactly as the source was at the position told. Repairs of any rows at any time
 * change nothing of all that, and mend what somebody else has done to the target.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SyncError } from '../../../src/core/errors.ts'
import { noLimits, type PipelineLimits } from '../../../src/core/limits.ts'
import type { RejoinRequest } from '../../../src/core/pipeline-control.ts'
import { tableName } from '../../../src/core/schema.ts'
import { createEngine, type Engine } from '../../../src/streamer/engine.ts'
import type { EngineOptions, Order } from '../../../src/streamer/options.ts'
import type { EngineOutcome } from '../../../src/streamer/status.ts'
import { createRandom, MemorySource, MemoryTarget } from '../../support/memory-stores.ts'
import { createMemoryVerifier, type MemoryVerifier } from '../../support/memory-verifier.ts'

const rule = {
  match: 's.*',
  exclude: [],
  toSchema: '{schema}',
  toTable: '{table}',
  includeColumns: null,
  excludeColumns: [],
  renameColumns: {},
  where: null,
}

/** Such that a history takes long enough to meet them, and no longer. */
const randomLimits = (random: () => number): PipelineLimits => {
  const rate = (most: number): number | null => (random() < 0.5 ? null : 100 + Math.floor(random() * most))
  const rates = () => ({ maxRowsPerSecond: rate(5_000), maxBytesPerSecond: rate(500_000) })
  return { ...noLimits, load: rates(), stream: rates() }
}

interface History {
  readonly violations: string[]
  readonly differences: string[]
  /** Commits at which the target was compared with the source of that moment. */
  readonly compared: number
  /** How often a table was parked. */
  readonly parkings: number
  /** Alignments that stood until they were released. */
  readonly aligned: number
  /** Keys that were repaired, and how. */
  readonly repaired: MemoryVerifier['repaired']
}

/** @param orders each engine of the history has one of them */
async function runHistory(
  seed: number,
  orders: readonly Order[],
  { withRefusals = false, isTampered = false } = {},
): Promise<History> {
  const random = createRandom(seed)
  const source = new MemorySource(random)
  const target = new MemoryTarget(random, source)
  for (let i = Math.floor(random() * 20); i > 0; i--) source.commit()
  source.settleAll()
  let isCalm = false
  const failRate = random() * 0.08
  const fails = (): boolean => !isCalm && random() < failRate
  /** Every engine may have other options: what a predecessor began under its own must still be finished. */
  let hasTable = true
  const randomOptions = (): EngineOptions => ({
    pipeline: 'p',
    origin: 'test',
    rules: [{ ...rule, exclude: [...(random() < 0.5 ? [] : ['s.none']), ...(hasTable ? [] : ['s.c'])] }],
    order: orders[Math.floor(random() * orders.length)] as Order,
    lanes: 1 + Math.floor(random() * 4),
    batch: { maxRows: 2 + Math.floor(random() * 20), maxBytes: 1 << 20, maxDelayMs: 0 },
    smallBatchRows: Math.floor(random() * 6),
    load: {
      enabled: true,
      chunkRows: 1 + Math.floor(random() * 4),
      chunksInFlight: 1 + Math.floor(random() * 4),
    },
    ...(withRefusals ? { quarantine: { maxTables: 2, maxDeadLetters: 3 } } : {}),
  })
  let epoch = 1_000n
  const parkings = new Set<string>()
  const start = (
    isWhole = false,
    rejoins: readonly RejoinRequest[] = [],
  ): { engine: Engine; done: Promise<EngineOutcome>; tables: readonly string[] } => {
    epoch += 1_000n
    hasTable = isWhole || random() < 0.7
    const engine = createEngine(
      {
        openSource: async () => source.open(fails),
        openTarget: async () => target.open(fails),
        recheck: async () => {
          if (fails()) throw new SyncError('SYNC-3101', 'the test cut the check')
          target.emptyUnjoined()
        },
        onParked: (tables) => tables.forEach(({ parking }) => parkings.add(parking)),
        firstBackoffMs: 0,
      },
      randomOptions(),
      epoch,
      [],
      rejoins,
    )
    return { engine, done: engine.run(), tables: hasTable ? ['s.n', 's.c'] : ['s.n'] }
  }
  const parkedNow = (): RejoinRequest[] =>
    [...target.parked.values()].map(({ table, parking }) => ({ table: tableName(table), parking }))
  let isNarrow = withRefusals && random() < 0.5
  const divisor = 3 + Math.floor(random() * 20)
  target.refuses = (_, row) => isNarrow && (row[2] as number) % divisor === 0
  let current = start()
  const all = [current]
  const verifier = createMemoryVerifier(random, source, target)
  const isVerified = isTampered || random() < 0.5
  for (let i = 0; i < 60; i++) {
    if (random() < 0.7) source.commit()
    if (random() < 0.08) source.define()
    source.settle()
    // A successor starts while the old engine still runs: the old one is a zombie from then on.
    if (random() < 0.03) {
      current = start()
      all.push(current)
    }
    if (random() < 0.03) {
      current.engine.drain()
      const outcome = await current.done
      if (outcome.kind === 'blocked')
        return {
          violations: [JSON.stringify(outcome)],
          differences: [],
          compared: 0,
          parkings: 0,
          aligned: 0,
          repaired: verifier.repaired,
        }
      current = start()
      all.push(current)
    }
    if (withRefusals) {
      if (random() < 0.05) isNarrow = !isNarrow
      // A person says that the cause is mended, truly or not.
      if (target.parked.size > 0 && random() < 0.1) {
        if (random() < 0.5) current.engine.drain()
        current = start(false, parkedNow())
        all.push(current)
      }
    }
    if (random() < 0.05) current.engine.setLimits(randomLimits(random))
    // Of a zombie, now and then.
    if (isVerified && !verifier.isBusy() && random() < 0.5) {
      const { engine, tables } = random() < 0.8 ? current : (all.at(-2) ?? current)
      if (random() < 0.6) verifier.align(engine, tables)
      if (random() < 0.6) verifier.repair(engine, tables)
    }
    if (isTampered && random() < 0.1) target.tamper()
    const turns = Math.floor(random() * (verifier.isBusy() ? 40 : 4))
    for (let n = turns; n > 0; n--) await new Promise((resolve) => setImmediate(resolve))
  }
  isCalm = true
  if (!hasTable) {
    current = start(true)
    all.push(current)
  }
  for (const { engine } of all) engine.setLimits(noLimits)
  let isSettled = false
  const settled = async (isDone: () => boolean): Promise<void> => {
    isSettled = false
    const deadline = performance.now() + 20_000
    let isOver = false
    void current.done.then(() => {
      isOver = true
    })
    while (performance.now() < deadline && !isOver) {
      source.settleAll()
      const { position, phase } = current.engine.status()
      const isThere = phase === 'streaming' && position?.token === String(source.written)
      isSettled = isThere && target.loadDone() && isDone()
      if (isSettled) return
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  // Tables that are parked, or may be so at any moment, do not stand in the way of the others.
  await settled(() => true)
  if (isTampered) {
    verifier.repair(current.engine, current.tables, 'all')
    await verifier.settled()
  }
  const before = target.differences()
  isNarrow = false
  if (target.parked.size > 0) {
    current.engine.drain()
    await current.done
    current = start(true, parkedNow())
    all.push(current)
    await settled(() => target.parked.size === 0)
  }
  // A zombie that has nothing to write has no way of learning that it is one.
  for (const { engine } of all) engine.drain()
  const outcomes = await Promise.all(all.map(({ done }) => done))
  await verifier.settled()
  const blocked = outcomes.filter(({ kind }) => kind === 'blocked').map((outcome) => JSON.stringify(outcome))
  const still = [...target.parked.keys()].map((name) => `${name} is still parked`)
  if (!isSettled && blocked.length === 0) blocked.push('the last engine has not confirmed everything')
  return {
    violations: [...target.violations, ...verifier.violations, ...blocked, ...still],
    differences: [...before, ...target.differences()],
    compared: target.committedStates,
    parkings: parkings.size,
    aligned: verifier.aligned(),
    repaired: verifier.repaired,
  }
}

const outcomes = ['written', 'removed', 'overtaken'] as const

const runs = Number(process.env['SYNCLINE_HISTORIES'] ?? 300)

it.each<readonly [string, readonly Order[]]>([
  ['in merged order', ['merged']],
  ['in global order, where every commit is a state of the source', ['global']],
  ['with engines of both orders after each other', ['merged', 'global']],
])(`holds the invariants over ${runs} histories %s`, { timeout: 600_000 }, async (_, orders) => {
  let compared = 0
  let aligned = 0
  const repaired = { written: 0, removed: 0, overtaken: 0 }
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const history = await runHistory(seed, orders)
      expect(history.violations).toEqual([])
      expect(history.differences).toEqual([])
      compared += history.compared
      aligned += history.aligned
      for (const outcome of outcomes) repaired[outcome] += history.repaired[outcome]
    }),
    { numRuns: runs, endOnFailure: true },
  )
  expect(compared).toBeGreaterThan(runs)
  expect(aligned).toBeGreaterThan(runs / 5)
  for (const outcome of outcomes) expect(repaired[outcome]).toBeGreaterThan(runs / 20)
})

it(`parks what is refused and lets it rejoin, over ${runs} histories`, { timeout: 600_000 }, async () => {
  let parkings = 0
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const end = await runHistory(seed, ['merged'], { withRefusals: true })
      expect(end.violations).toEqual([])
      expect(end.differences).toEqual([])
      parkings += end.parkings
    }),
    { numRuns: runs, endOnFailure: true },
  )
  // Otherwise nothing was tried.
  expect(parkings).toBeGreaterThan(runs / 2)
})

it(`mends what somebody else has done to the target, over ${runs} histories`, {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const end = await runHistory(seed, ['merged', 'global'], { isTampered: true })
      expect(end.violations).toEqual([])
      expect(end.differences).toEqual([])
    }),
    { numRuns: runs, endOnFailure: true },
  )
})
