/**
 * Aligns the engine of a pipeline, wherever it runs, for somebody who compares both ends (docs/adr/0008). Speaks to it through the store.
 *
 * Guarantees: what is told is the engine's word. Snapshots of the target that were opened between `runTo` and `release` show the source at
 * `Reached.position` **only if `release` resolves**: where it rejects, the engine (or a newer one) may have gone on before they were opened.
 * Every wait has an end: an engine that has died, or that hears nothing in time, is told of as SYNC-5120, none at all as SYNC-5122.
 * When the caller crashes, the engine goes on by itself after `holdLimitMs`.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { SyncError } from '../core/errors.ts'
import type { ShardRef } from '../core/pipeline-control.ts'
import type { Held, Reached, RunTo } from '../core/verification.ts'
import { type AlignmentRecord, type AlignmentState, type EngineMark, notOver } from '../store/alignments.ts'
import type { Store } from '../store/store.ts'
import { defaultAlignmentLimits } from '../streamer/alignment.ts'

export interface EngineAlignment {
  readonly held: Held
  /** Once. `low` must cover `held.position` and be visible to the source's snapshots. @throws SYNC-5120 */
  runTo(range: RunTo): Promise<Reached>
  /** Lets the engine go on. Call it in any case; after `runTo` the snapshots of the target count only if it resolves. @throws SYNC-5120 */
  release(): Promise<void>
  /** Resolves when the alignment is lost, with the reason; never where it was released before. */
  readonly lost: Promise<SyncError>
}

export interface AlignEngine {
  readonly store: Pick<Store, 'alignments'>
  readonly pipeline: string
  readonly incarnation: number
  /** Absent: one engine carries all tables. */
  readonly shard?: ShardRef | undefined
  readonly signal: AbortSignal
  /** How long the engine stands without a word. */
  readonly holdLimitMs?: number
}

const lookIntervalMs = 20
/** An engine looks for what is asked of it every half second. */
const takenWithinMs = 15_000
/** The engine's own limits come first where it lives. */
const answeredWithinMs = defaultAlignmentLimits.reachMs + 10_000

export const shardText = (shard: ShardRef | undefined): string =>
  shard === undefined ? '' : `${shard.index + 1}/${shard.of}`

/** @throws SYNC-5120 it did not come to a stand, SYNC-5122 no engine answers, or the signal's reason */
export async function alignEngine(options: AlignEngine): Promise<EngineAlignment> {
  const { store, pipeline, incarnation, signal } = options
  const engine: EngineMark = { pipeline, incarnation, shard: shardText(options.shard) }
  const { alignments } = store
  const id = randomUUID()
  const lost = Promise.withResolvers<SyncError>()
  let failure: unknown = null

  function fail(error: unknown): never {
    if (failure === null) {
      failure = error
      if (error instanceof SyncError) lost.resolve(error)
      try {
        alignments.move(id, notOver, 'lost', { reason: 'whoever asked has given it up' })
      } catch {
        // The engine's own limit of time does it.
      }
    }
    throw failure
  }

  /** Waits for a word of the engine. */
  async function until(
    isThere: (record: AlignmentRecord) => boolean,
    withinMs: number,
  ): Promise<AlignmentRecord> {
    const startedAtMs = performance.now()
    for (;;) {
      const record = read()
      if (isThere(record)) return record
      const waitedMs = performance.now() - startedAtMs
      if (record.state === 'asked' && waitedMs > takenWithinMs)
        fail(
          new SyncError(
            'SYNC-5122',
            `No engine of pipeline ${pipeline} took the request within ${takenWithinMs} ms`,
          ),
        )
      if (waitedMs > withinMs)
        fail(
          new SyncError(
            'SYNC-5120',
            `The engine of pipeline ${pipeline} did not answer within ${withinMs} ms`,
          ),
        )
      await delay(lookIntervalMs)
    }
  }

  function read(): AlignmentRecord {
    if (signal.aborted) fail(signal.reason)
    if (failure !== null) throw failure
    const record = alignments.get(id)
    if (record === null) fail(new SyncError('SYNC-5120', 'The alignment was forgotten'))
    const { state, reason } = record
    if (state === 'lost') fail(new SyncError('SYNC-5120', reason ?? 'The engine no longer stands aligned'))
    return record
  }

  function move(from: readonly AlignmentState[], to: AlignmentState, runTo?: RunTo): void {
    if (!alignments.move(id, from, to, runTo === undefined ? {} : { runTo })) read()
  }

  alignments.ask(id, engine, options.holdLimitMs ?? defaultAlignmentLimits.holdMs)
  const { held } = await until(({ state }) => state === 'held', answeredWithinMs)
  let isOver = false
  void watchLoss()

  /** For whoever waits for `lost` while doing something else. */
  async function watchLoss(): Promise<void> {
    try {
      while (!isOver) {
        read()
        await delay(lossLookIntervalMs)
      }
    } catch {
      // Told by `fail`.
    }
  }

  return {
    held: held as Held,
    async runTo(range) {
      move(['held'], 'run-to', range)
      return (await until(({ state }) => state === 'reached', answeredWithinMs)).reached as Reached
    },
    async release() {
      isOver = true
      read()
      move(notOver, 'releasing')
      await until((record) => record.state === 'released', answeredWithinMs)
    },
    lost: lost.promise,
  }
}

const lossLookIntervalMs = 100
