/**
 * A load ends when one of its chunks fails, whenever that is.
 */
import { expect, it } from 'vitest'
import type { Batcher, ChunkTicket } from '../../../src/streamer/batcher.ts'
import { createGate } from '../../../src/streamer/gate.ts'
import { loadTables } from '../../../src/streamer/loader.ts'
import { shapes } from '../../support/memory-stores.ts'

const never = new Promise<never>(() => {})

it('fails when a chunk has failed while the end of the last one was looked for', async () => {
  const failed = Promise.withResolvers<void>()
  let ends = 0
  let reads = 0
  const ticket: ChunkTicket = {
    open: async () => ({ token: '', ordinal: 0 }),
    deliver: () => {},
    next: () => ticket,
    // Behind the one that fails.
    written: never,
    cancel: () => failed.resolve(),
  }
  const load = loadTables({
    snapshot: {
      estimateRows: async (tables) => tables.map(() => 1),
      readKeys: () => never,
      async chunkEnd() {
        if (++ends === 1) return [1]
        await failed.promise
        return null
      },
      async read() {
        if (++reads === 1) throw new Error('cut')
        return await never
      },
    },
    batcher: { placeChunk: () => ticket } as unknown as Batcher,
    tables: shapes.slice(0, 1),
    progress: new Map(),
    filterSql: () => null,
    asText: () => null,
    options: { chunkRows: 10, chunksInFlight: 2, maxChunkBytes: 1_000 },
    counters: { tablesDone: 0, rows: 0 },
    onChunkRead: () => {},
    gate: createGate(),
    signal: new AbortController().signal,
  })
  await expect(load).rejects.toThrow('cut')
})
