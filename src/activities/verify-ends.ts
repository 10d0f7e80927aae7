/**
 * Both ends of a pipeline as a verify worker sees them: the connectors' readers, and the pipeline's engine, which it aligns through the store.
 *
 * Guarantees: the snapshots of a pass show both ends at one position of the source (docs/adr/0008): what could be older at the source alone is known by
 * its keys, and a difference in one of them is told only after it was looked at again. Opens its own connections and closes them; secrets are resolved
 * each time. After a crash the servers drop the snapshots with the connections, and the engine goes on by itself.
 */
import type {
  ComparisonReader,
  Source,
  Target,
  VerifiableSource,
  VerifiableTarget,
} from '../connectors/contract.ts'
import { openSource, openTarget } from '../connectors/registry.ts'
import type { TablePair } from '../core/comparison-plan.ts'
import { SyncError } from '../core/errors.ts'
import { keyText } from '../core/key-text.ts'
import type { ShardRef } from '../core/pipeline-control.ts'
import type { Value } from '../core/value.ts'
import type { KeyRange, Reached, VerifyMode } from '../core/verification.ts'
import type { PipelineGeneration } from '../store/pipelines.ts'
import type { Store } from '../store/store.ts'
import type { ComparedTable } from '../store/verifications.ts'
import { type ComparisonStep, compareTable } from '../verifier/compare-table.ts'
import { alignEngine, type EngineAlignment } from './engine-alignment.ts'
import { repairThroughEngine } from './engine-repair.ts'
import { shardsOf, sourceConfigOf, targetConfigOf } from './pipeline-scope.ts'
import { type SettlingEnds, settleKeys, settleRows } from './settle-rows.ts'
import type { RowsAtEnds, VerifyPass, VerifyRuntime } from './verify-runtime.ts'
import { pairOf, planTables, type ScopedTable, tablesInScope } from './verify-scope.ts'
import { withoutDoubt } from './without-doubt.ts'

export interface VerifyEndsOptions {
  readonly store: Pick<Store, 'alignments' | 'repairs'>
  /** Snapshots at either end, each with a range of its own. Default 2. */
  readonly readers?: number
}

interface Ends {
  readonly source: Source
  readonly target: Target
  readonly verifySource: VerifiableSource
  readonly verifyTarget: VerifiableTarget
  /** Never throws. */
  close(): Promise<void>
}

export function createVerifyEnds({ store, readers = 2 }: VerifyEndsOptions): VerifyRuntime {
  const align = (stored: PipelineGeneration, shard: number, signal: AbortSignal): Promise<EngineAlignment> =>
    alignEngine({
      store,
      pipeline: stored.pipeline.metadata.name,
      incarnation: stored.incarnation,
      shard: shardRefOf(stored, shard),
      signal,
    })

  /** Opens snapshots of both ends at one position; the engine goes on as soon as they are open. */
  async function openSnapshots(ends: Ends, stored: PipelineGeneration, shard: number, signal: AbortSignal) {
    const alignment = await align(stored, shard, signal)
    const startedAtMs = performance.now()
    const opened: { close(): Promise<void> }[] = []
    try {
      const source = await ends.verifySource.openSnapshots(readers, alignment.held.position)
      opened.push(source)
      const { low, high } = source
      const reached = await alignment.runTo({ low, high })
      const target = await ends.verifyTarget.openSnapshots(readers)
      opened.push(target)
      // Only if this is answered, nobody has gone on before the snapshots of the target were open.
      await alignment.release()
      if (reached.isDoubtCut) {
        throw new SyncError(
          'SYNC-5120',
          'More was written while the snapshots were opened than can be told row by row',
        )
      }
      const { incomplete } = alignment.held
      return {
        source: source.readers,
        target: target.readers,
        reached,
        incomplete,
        pausedMs: performance.now() - startedAtMs,
        close: async () => void (await Promise.all(opened.map((snapshots) => snapshots.close()))),
      }
    } catch (error) {
      await alignment.release().catch(() => {})
      for (const snapshots of opened) await snapshots.close()
      throw error
    }
  }

  return {
    async plan(stored, request) {
      const ends = await openEnds(stored)
      try {
        return await planTables(stored, request, ends.source, ends.target)
      } finally {
        await ends.close()
      }
    },

    async openPass(stored, shard, signal): Promise<VerifyPass> {
      const ends = await openEnds(stored)
      const opened = await openSnapshots(ends, stored, shard, signal).catch(async (error: unknown) => {
        await ends.close()
        throw error
      })
      const { reached, incomplete, pausedMs } = opened
      const pairs = createPairs(stored, ends)
      const settling: SettlingEnds = {
        source: ends.verifySource,
        target: ends.verifyTarget,
        align: () => align(stored, shard, signal),
        signal,
      }
      return {
        position: reached.position.token,
        pausedMs,
        incomplete,
        async *compare(table, { mode, sample }) {
          if (mode === 'continuous')
            throw new SyncError('SYNC-9001', 'a run that follows the log compares no table')
          const pair = await pairs.of(table.name)
          const doubts = doubtsOf(reached, table.name)
          let begin = table.cursor ?? table.after
          const steps = compareIn(pair, opened, table, mode, {
            signal,
            ...(ends.source.pressure === undefined ? {} : { pressure: ends.source.pressure }),
            ...(sample < 1 ? { sample: { fraction: sample, seed: seedOf(table.name) } } : {}),
          })
          for await (const step of steps) {
            const range: KeyRange = { after: begin, upTo: step.cursor ?? table.upTo }
            const { tally, differences } = await withoutDoubt(step, {
              pair,
              keys: doubts,
              mode,
              find: () => collected(compareIn(pair, opened, range, 'checksum', { signal })),
              settle: (keys) => settleKeys(pair, keys, settling),
            })
            yield { cursor: step.cursor, isDone: step.cursor === null, tally, differences }
            begin = step.cursor
          }
        },
        async close() {
          await opened.close()
          await ends.close()
        },
      }
    },

    async openRows(stored, shard, signal): Promise<RowsAtEnds> {
      const ends = await openEnds(stored)
      const pairs = createPairs(stored, ends)
      return {
        async settle(name, keys) {
          const pair = await pairs.of(name)
          return settleRows(pair, keys, {
            source: ends.verifySource,
            target: ends.verifyTarget,
            align: () => align(stored, shard, signal),
            signal,
          })
        },
        async repair(table, keys) {
          const { incarnation } = stored
          const pipeline = stored.pipeline.metadata.name
          const shardRef = shardRefOf(stored, shard)
          const repaired = await repairThroughEngine({
            store,
            pipeline,
            incarnation,
            shard: shardRef,
            table,
            keys,
            signal,
          })
          const byKey = new Map(repaired.map((row) => [keyText(row.key), row]))
          return keys.map((key) => {
            const row = byKey.get(keyText(key))
            if (row !== undefined) return row
            throw new SyncError('SYNC-5124', `The engine did not say what became of a row of ${table}`)
          })
        },
        close: () => ends.close(),
      }
    },
  }
}

const shardRefOf = (stored: PipelineGeneration, shard: number): ShardRef | undefined =>
  shardsOf(stored)?.[shard]

/** @throws SyncError SYNC-5104 where a kind of store cannot be compared */
export async function openEnds(stored: PipelineGeneration): Promise<Ends> {
  const { source: sourceName, target: targetName } = stored.pipeline.spec
  const source = await openSource(await sourceConfigOf(stored))
  try {
    const target = await openTarget(await targetConfigOf(stored))
    const close = async (): Promise<void> => {
      await source.close()
      await target.close()
    }
    if (source.verify !== undefined && target.verify !== undefined)
      return { source, target, verifySource: source.verify, verifyTarget: target.verify, close }
    await target.close()
    const name = source.verify === undefined ? sourceName : targetName
    throw new SyncError('SYNC-5104', `endpoint ${name} is of a kind that cannot be compared`)
  } catch (error) {
    await source.close()
    throw error
  }
}

/** The pairs of a pass: the source's catalogue is read once, after its snapshots were opened. */
function createPairs(stored: PipelineGeneration, { source, target }: Ends) {
  let scope: Promise<readonly ScopedTable[]> | undefined
  const pairs = new Map<string, TablePair>()
  return {
    /** @throws SyncError SYNC-5101, SYNC-5103 */
    async of(name: string): Promise<TablePair> {
      const known = pairs.get(name)
      if (known !== undefined) return known
      scope ??= tablesInScope(stored, source)
      const scoped = (await scope).find((table) => table.name === name)
      if (scoped === undefined)
        throw new SyncError('SYNC-5103', `the source has no table ${name} any more, or it left the pipeline`)
      const pair = await pairOf(stored, scoped, target)
      pairs.set(name, pair)
      return pair
    },
  }
}

interface Readers {
  readonly source: readonly ComparisonReader[]
  readonly target: readonly ComparisonReader[]
}

function compareIn(
  pair: TablePair,
  { source, target }: Readers,
  range: KeyRange & { readonly cursor?: ComparedTable['cursor'] },
  mode: VerifyMode,
  more: Partial<Parameters<typeof compareTable>[0]>,
): AsyncIterable<ComparisonStep> {
  const { after, upTo, cursor = null } = range
  const isPart = after !== null || upTo !== null
  return compareTable({
    pair,
    source,
    target,
    mode,
    after: cursor,
    ...(isPart ? { within: { after, upTo } } : {}),
    ...more,
  })
}

async function collected(steps: AsyncIterable<ComparisonStep>): Promise<ComparisonStep['differences']> {
  const found: ComparisonStep['differences'][] = []
  for await (const { differences } of steps) found.push(differences)
  return found.flat()
}

const doubtsOf = ({ inDoubt }: Reached, name: string): readonly (readonly Value[])[] =>
  inDoubt.flatMap(({ table, key }) => (table === name ? [key] : []))

/** The same part of a table each time, whoever goes on. */
function seedOf(name: string): number {
  let seed = 7
  for (const character of name) seed = (Math.imul(seed, 31) + character.charCodeAt(0)) | 0
  return seed >>> 0
}
