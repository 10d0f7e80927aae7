/**
 * Aligns engines over stores in memory, as a verification does over real ones, and looks at what it was promised (streamer/alignment.ts): from
 * `reached` to a release that resolves the target is the source at the position told, and rows of the source's snapshot that differ from
 * that position are named as in doubt.
 */
import { asSyncError, type ErrorCode } from '../../src/core/errors.ts'
import { tableName } from '../../src/core/schema.ts'
import type { Reached, RepairedRow } from '../../src/core/verification.ts'
import type { Engine } from '../../src/streamer/engine.ts'
import {
  exact,
  type MemorySource,
  type MemoryTarget,
  possibleKeys,
  type Random,
  shapes,
  type Tables,
  whole,
} from './memory-stores.ts'

export interface MemoryVerifier {
  /** Begins an alignment; it goes its way beside the history. */
  align(engine: Engine, takesPart: readonly string[]): void
  /** Begins to repair random rows, or all that there could ever be. */
  repair(engine: Engine, takesPart: readonly string[], what?: 'some' | 'all'): void
  /** Keys by what became of them. */
  readonly repaired: Readonly<Record<RepairedRow['outcome'], number>>
  isBusy(): boolean
  /** Resolves when all that were begun are over. */
  settled(): Promise<void>
  /** Those that were released and not lost. */
  aligned(): number
  readonly violations: string[]
}

export function createMemoryVerifier(
  random: Random,
  source: MemorySource,
  target: MemoryTarget,
): MemoryVerifier {
  const violations: string[] = []
  const running = new Set<Promise<void>>()
  const repaired = { written: 0, removed: 0, overtaken: 0, refused: 0 }
  let aligned = 0

  const moments = async (): Promise<void> => {
    for (let n = Math.floor(random() * 8); n > 0; n--) await new Promise((resolve) => setImmediate(resolve))
  }

  /** Loaded tables of which the target differs from the source's state. */
  function differing(found: Tables, state: number, tables: readonly string[]): string[] {
    return shapes
      .filter(({ id }) => tables.includes(tableName(id)))
      .flatMap(({ id }) => {
        const lines = (all: Tables): string[] =>
          [...(all.get(id.name)?.values() ?? [])].map((row) => exact(whole(row))).sort()
        const [mine, theirs] = [lines(found), lines(source.states[state] as Tables)]
        return mine.join() === theirs.join()
          ? []
          : [`${id.name} is ${mine.join()}, the source ${theirs.join()}`]
      })
  }

  /** Rows that the snapshot of the source has otherwise than the position, and that nobody named. */
  function unnamed(
    snapshot: number,
    tables: readonly string[],
    { position, inDoubt, isDoubtCut }: Reached,
  ): string[] {
    if (isDoubtCut) return []
    const named = new Set(inDoubt.map(({ table, key }) => `${table} ${exact(key)}`))
    const rows = (state: number): Map<string, string> =>
      new Map(
        [...(source.states[state] as Tables)]
          .filter(([name]) => tables.includes(`s.${name}`))
          .flatMap(([name, table]) =>
            [...table.values()].map(
              (row) => [`s.${name} ${exact([row[0] ?? null])}`, exact(whole(row))] as const,
            ),
          ),
      )
    const [before, after] = [rows(snapshot), rows(Number(position.token))]
    return [...new Set([...before.keys(), ...after.keys()])].filter(
      (key) => before.get(key) !== after.get(key) && !named.has(key),
    )
  }

  async function run(engine: Engine, takesPart: readonly string[]): Promise<void> {
    const alignment = engine.align({ holdMs: random() < 0.1 ? 1 : 5_000 })
    if (random() < 0.05) return alignment.release()
    const held = await alignment.held
    if (held.position.ordinal !== 0)
      violations.push(`held within the transaction after ${held.position.token}`)
    await moments()
    while (source.executed < Number(held.position.token)) {
      await new Promise((resolve) => setImmediate(resolve))
      source.settle()
    }
    const low = { token: String(source.executed), ordinal: 0 }
    const snapshot = source.visible
    await moments()
    const reached = await alignment.runTo({ low, high: { file: 1, offset: source.written * 1000 } })
    const found = [target.copy()]
    if (random() < 0.5) {
      await moments()
      found.push(target.copy())
    }
    await alignment.release()
    aligned++
    const state = Number(reached.position.token)
    const compared = takesPart.filter((name) => !held.incomplete.some(({ table }) => table === name))
    if (target.isTampered) return
    for (const each of found)
      for (const line of differing(each, state, compared)) violations.push(`aligned at ${state}: ${line}`)
    for (const key of unnamed(snapshot, compared, reached))
      violations.push(`aligned at ${state}: ${key} is otherwise in the snapshot, and not in doubt`)
  }

  async function repair(engine: Engine, takesPart: readonly string[], what: 'some' | 'all'): Promise<void> {
    for (const shape of shapes.filter(({ id }) => takesPart.includes(tableName(id)))) {
      if (what === 'some' && random() < 0.3) continue
      const share = random()
      const keys = possibleKeys(shape).filter(() => what === 'all' || random() < share)
      const request = { table: tableName(shape.id), keys: keys.map((key) => [key]) }
      const rows = await (what === 'all' ? untilDone(() => engine.repair(request)) : engine.repair(request))
      if (rows.length !== keys.length) violations.push(`${rows.length} of ${keys.length} keys are told of`)
      for (const { outcome } of rows) repaired[outcome]++
    }
  }

  /** @param allowed what may come of it, by no fault of the engine */
  function begin(work: Promise<void>, allowed: readonly ErrorCode[]): void {
    const task = work
      .catch((error: unknown) => {
        const { code, message } = asSyncError(error)
        if (!allowed.includes(code)) violations.push(`${code} ${message}`)
      })
      .finally(() => running.delete(task))
    running.add(task)
  }

  return {
    // Lost, or somebody else has it.
    align: (engine, takesPart) => begin(run(engine, takesPart), ['SYNC-5120', 'SYNC-5121']),
    // Not loaded yet or parked; cut off, by the end of a session or of a link; refused where the history has it.
    repair: (engine, takesPart, what = 'some') =>
      begin(repair(engine, takesPart, what), ['SYNC-5123', 'SYNC-5124', 'SYNC-2101', 'SYNC-3302']),
    repaired,
    isBusy: () => running.size > 0,
    async settled() {
      await Promise.all(running)
    },
    aligned: () => aligned,
    violations,
  }
}

/** Asks again where a repair was cut off, as everybody is told to: the session may end at any time, after a change of a definition for one. */
async function untilDone<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (asSyncError(error).disposition !== 'retry' || attempt === 1_000) throw error
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
}
