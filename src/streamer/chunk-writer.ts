/**
 * Writes the rows of chunks beside the batches, several chunks at once (DATA-PATH 2).
 *
 * Guarantees: a chunk's rows are written behind every batch that was sealed before they were handed in, in a transaction of their own; at
 * most `writers` at once. That later batches wait where they touch such rows is the batcher's and the pump's business (`SealedBatch.after`).
 * After a failure nothing more begins. On a crash the rows are there or not; progress, stored later, does not speak of them either way.
 */
import type { ChunkWork, Sink } from '../connectors/contract.ts'
import { asSyncError, SyncError } from '../core/errors.ts'

export interface ChunkWriter {
  /**
   * Resolves when the rows are committed. Rejects when that is not certain, or the writer was stopped before it began.
   * @param named the error with what is known here of the table that it is about
   */
  write(work: ChunkWork, named: (error: SyncError) => SyncError): Promise<void>
  /**
   * Rows that the target may refuse: then nothing was written, the promise rejects, and the session goes on.
   * @param tries writes them with what it is given, again where it sees fit; all in one place of the order of batches, because those behind
   *   it may wait for these rows
   */
  tryToWrite(tries: Tries, named: (error: SyncError) => SyncError): Promise<void>
  /** The load is done: from now on the writers' connections are closed whenever nothing is being written. */
  closeWhenIdle(): Promise<void>
  /** Begins nothing more; resolves when nothing is being written. Never rejects. */
  stop(): Promise<void>
}

type Tries = (write: (work: ChunkWork) => Promise<void>) => Promise<void>

export function createChunkWriter(deps: {
  readonly sink: Pick<Sink, 'applyChunk' | 'closeWriters'>
  readonly writers: number
  /** Resolves when every batch sealed so far is confirmed (pump.ts). */
  readonly sealedConfirmed: () => Promise<void>
  readonly onFailure: (error: unknown) => void
}): ChunkWriter {
  const { sink, onFailure } = deps
  const free = Array.from({ length: deps.writers }, (_, i) => i + 1)
  const waiting: (() => void)[] = []
  const running = new Set<Promise<void>>()
  let stopped = false
  let closesWhenIdle = false

  async function takeWriter(): Promise<number> {
    for (;;) {
      const writer = free.shift()
      if (writer !== undefined) return writer
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
      })
    }
  }

  async function run(
    tries: Tries,
    sealedConfirmed: Promise<void>,
    named: (error: SyncError) => SyncError,
    mayBeRefused: boolean,
  ): Promise<void> {
    await sealedConfirmed
    const writer = await takeWriter()
    try {
      if (stopped) throw new SyncError('SYNC-4001', 'The session ended')
      await tries((work) =>
        sink.applyChunk(writer, work).catch((error: unknown) => {
          throw named(asSyncError(error))
        }),
      )
    } catch (error) {
      if (!mayBeRefused || !isRefusal(error)) stopped = true
      throw error
    } finally {
      free.push(writer)
      waiting.shift()?.()
    }
  }

  function begin(tries: Tries, named: (error: SyncError) => SyncError, mayBeRefused: boolean): Promise<void> {
    const written = run(tries, deps.sealedConfirmed(), named, mayBeRefused)
    const task = written
      .catch((error: unknown) => {
        if (!mayBeRefused || !isRefusal(error)) onFailure(error)
      })
      .finally(() => {
        running.delete(task)
        if (closesWhenIdle) void closeIfIdle()
      })
    running.add(task)
    return written
  }

  async function closeIfIdle(): Promise<void> {
    if (running.size === 0 && !stopped) await sink.closeWriters()
  }

  return {
    write: (work, named) => begin((write) => write(work), named, false),
    tryToWrite: (tries, named) => begin(tries, named, true),
    async closeWhenIdle() {
      closesWhenIdle = true
      await closeIfIdle()
    },
    async stop() {
      stopped = true
      await Promise.all(running)
    },
  }
}

/** The target has answered, and its transaction was rolled back. */
const isRefusal = (error: unknown): boolean => {
  const { disposition } = asSyncError(error)
  return disposition === 'block' || disposition === 'reject'
}
