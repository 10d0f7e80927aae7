/**
 * The open batch, its chunks and the pump, where a random history hardly goes: what chunks and batches wait for, a chunk that was cut
 * short on a busy log, an end in the middle of a wait.
 */
import { expect, it, vi } from 'vitest'
import type { ChunkRows, ChunkWork } from '../../../src/connectors/contract.ts'
import type { Destination } from '../../../src/core/plan.ts'
import type { TableShape } from '../../../src/core/schema.ts'
import type { TransactionSlice } from '../../../src/core/transaction.ts'
import { keyOf, type Row } from '../../../src/core/value.ts'
import type { Applier } from '../../../src/streamer/applier.ts'
import type { BatchSize } from '../../../src/streamer/batch-size.ts'
import type { BatchTiming } from '../../../src/streamer/batch-turn.ts'
import { type Batcher, createBatcher, type WriteChunk } from '../../../src/streamer/batcher.ts'
import { createChunkWriter } from '../../../src/streamer/chunk-writer.ts'
import type { TableRule } from '../../../src/streamer/options.ts'
import { createPump } from '../../../src/streamer/pump.ts'
import { createRouter } from '../../../src/streamer/router.ts'
import { createTracker, shapes } from '../../support/memory-stores.ts'

const rule: TableRule = {
  match: 's.*',
  exclude: [],
  toSchema: '{schema}',
  toTable: '{table}',
  includeColumns: null,
  excludeColumns: [],
  renameColumns: {},
  where: null,
}
const [numbers, texts] = shapes as [TableShape, TableShape]
const size: BatchSize = { maxRows: 100, maxBytes: 1 << 20, written() {} }
const options: BatchTiming = { maxDelayMs: 0, smallBatchRows: 10 }

const routerOf = () =>
  createRouter([rule], shapes, new Map(shapes.map((shape) => [`s.${shape.id.name}`, shape])))

const batcherOf = (onReady = (): void => {}, writeChunk: WriteChunk = async () => {}): Batcher =>
  createBatcher(createTracker({ token: '0', ordinal: 0 }), routerOf(), [], onReady, writeChunk)

const chunk = (rows: readonly Row[], high: number, complete = true): ChunkRows => ({
  keys: rows.map((row) => keyOf(row, [0])),
  lastKey: null,
  rows,
  text: null,
  isInLow: () => false,
  high: { file: 1, offset: high },
  bytes: 0,
  complete,
})

const transaction = (id: number, table: TableShape, rows: readonly Row[]): TransactionSlice => ({
  kind: 'slice',
  id: String(id),
  firstOrdinal: 0,
  changes: rows.map((after) => ({ table, before: null, after })),
  last: true,
  coordinate: { file: 1, offset: id },
  commitTimeUs: id,
  bytes: 1,
})

/** An applier that takes a batch and keeps it until it is told to confirm. */
const slowApplier = (): Applier & { confirm(): void; readonly sizes: number[] } => {
  let pending = Promise.withResolvers<void>()
  const sizes: number[] = []
  return {
    sizes,
    apply: (batch) => {
      sizes.push(batch.merge.rows)
      pending = Promise.withResolvers<void>()
      return pending.promise
    },
    confirm: () => pending.resolve(),
    finish: async () => {},
    batch: () => sizes.length,
  }
}

/** Writes chunks when it is told to. */
const slowChunks = () => {
  const works: ChunkWork[] = []
  const pending: PromiseWithResolvers<void>[] = []
  return {
    works,
    write: (work: ChunkWork): Promise<void> => {
      works.push(work)
      const written = Promise.withResolvers<void>()
      pending.push(written)
      return written.promise
    },
    confirm: async (i: number): Promise<void> => {
      pending[i]?.resolve()
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

const rowsOf = (ids: readonly number[]): Row[] => ids.map((id) => [id, null, 1])

it('rows of a chunk are handed out where the open batch has no change, and what touches them waits', async () => {
  const chunks = slowChunks()
  const batcher = batcherOf(() => {}, chunks.write)
  const ticket = batcher.placeChunk(numbers)
  await ticket.open()
  batcher.consume(transaction(1, numbers, rowsOf([7])))
  ticket.deliver(chunk(rowsOf([1, 2, 3]), 1), { after: [3], done: false })
  // What was consumed before has to be written before: it has to be sealed.
  expect(chunks.works).toEqual([])
  batcher.consume(transaction(2, numbers, rowsOf([2])))
  expect(batcher.seal().after).toEqual([])
  expect(chunks.works.map(({ rows }) => rows)).toEqual([rowsOf([1, 3])])
  batcher.consume(transaction(3, numbers, rowsOf([2, 9])))
  batcher.consume(transaction(4, texts, [['a', null, 1]]))
  expect(batcher.seal().after).toEqual([])
  batcher.consume(transaction(5, numbers, rowsOf([3])))
  const meeting = batcher.seal()
  expect(meeting.after).toHaveLength(1)
  let mayGo = false
  void Promise.all(meeting.after).then(() => {
    mayGo = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(mayGo).toBe(false)
  await chunks.confirm(0)
  expect(mayGo).toBe(true)
})

it('progress is told when the rows are written, in key order', async () => {
  const chunks = slowChunks()
  let readies = 0
  const batcher = batcherOf(() => {
    readies++
  }, chunks.write)
  batcher.consume({ kind: 'progress', coordinate: { file: 1, offset: 5 } })
  const [first, second] = [batcher.placeChunk(numbers), batcher.placeChunk(numbers)]
  await first.open()
  await second.open()
  second.deliver(chunk(rowsOf([5, 6]), 5), { after: [6], done: true })
  first.deliver(chunk(rowsOf([1, 2]), 5), { after: [2], done: false })
  expect(chunks.works.map(({ rows }) => rows)).toEqual([rowsOf([5, 6]), rowsOf([1, 2])])
  const before = readies
  await chunks.confirm(0)
  expect(batcher.hasWork()).toBe(false)
  await chunks.confirm(1)
  await Promise.all([first.written, second.written])
  expect(readies).toBeGreaterThan(before)
  expect(batcher.seal().load).toMatchObject([{ table: 's.n', after: [6], rows: 4, done: true }])
})

it('a closed load hands out nothing more, and ends when what was handed out is written', async () => {
  const chunks = slowChunks()
  const batcher = batcherOf(() => {}, chunks.write)
  const [first, second] = [batcher.placeChunk(numbers), batcher.placeChunk(numbers)]
  await first.open()
  await second.open()
  batcher.consume({ kind: 'progress', coordinate: { file: 1, offset: 5 } })
  first.deliver(chunk(rowsOf([1]), 5), { after: [1], done: false })
  let isClosed = false
  const closed = batcher.closeLoad().then(() => {
    isClosed = true
  })
  second.deliver(chunk(rowsOf([2]), 5), { after: [2], done: true })
  await new Promise((resolve) => setImmediate(resolve))
  expect([chunks.works.length, isClosed]).toEqual([1, false])
  await chunks.confirm(0)
  await closed
  expect(batcher.seal().load).toMatchObject([{ after: [1], done: false }])
})

it('a chunk is written behind the batches that were sealed before it', async () => {
  const applier = slowApplier()
  const batcher = batcherOf()
  const pump = createPump(
    batcher,
    applier,
    size,
    options,
    () => {},
    () => {},
  )
  const written: number[] = []
  const writer = createChunkWriter({
    sink: { closeWriters: async () => {}, applyChunk: async (_, { rows }) => void written.push(rows.length) },
    writers: 1,
    sealedConfirmed: () => pump.sealedConfirmed(),
    onFailure: () => {},
  })
  const { destination } = routerOf().route(numbers) as { destination: Destination }
  batcher.consume(transaction(1, numbers, rowsOf([1])))
  pump.kick()
  const done = writer.write({ destination, rows: rowsOf([2, 3]), text: null }, (error) => error)
  await new Promise((resolve) => setImmediate(resolve))
  expect(written).toEqual([])
  applier.confirm()
  await done
  expect(written).toEqual([2])
  batcher.consume(transaction(2, numbers, rowsOf([1])))
  pump.kick()
  const cut = writer.write({ destination, rows: rowsOf([4]), text: null }, (error) => error)
  pump.stop()
  await expect(cut).rejects.toMatchObject({ code: 'SYNC-4001' })
  await writer.stop()
  expect(written).toEqual([2])
})

it('the rest of a chunk that was cut short never makes the log wait before it is read', async () => {
  const batcher = batcherOf()
  const ticket = batcher.placeChunk(texts)
  await ticket.open()
  const rest = ticket.next()
  // The log is far behind the chunk, and touches 80 MiB of keys until it gets there.
  ticket.deliver(chunk([['a', null, 1]], 81, false), { after: ['a'], done: false })
  const megabyte = 'x'.repeat(1 << 20)
  for (let id = 1; id <= 80; id++) {
    batcher.consume(transaction(id, texts, [[`${id}${megabyte}`, null, 1]]))
    batcher.seal()
    expect(batcher.windowRoom()).toBeNull()
  }
  batcher.consume({ kind: 'progress', coordinate: { file: 1, offset: 81 } })
  await ticket.written
  expect(await rest.open()).toEqual({ token: '80', ordinal: 0 })
  rest.deliver(chunk([['b', null, 1]], 81), { after: ['b'], done: true })
  await rest.written
  expect(batcher.seal().load).toMatchObject([{ table: 's.c', after: ['b'], rows: 2, done: true }])
})

it('a flush or a wait for room that is cut off by the end says so: nobody may take it for a confirmation', async () => {
  const applier = slowApplier()
  const batcher = batcherOf()
  const pump = createPump(
    batcher,
    applier,
    size,
    options,
    () => {},
    () => {},
  )
  batcher.consume(transaction(1, numbers, [[1, null, 1]]))
  const flushed = pump.flush()
  batcher.consume(transaction(2, numbers, [[2, null, 1]]))
  const flushedLater = pump.flush()
  pump.stop()
  applier.confirm()
  await flushed
  await expect(flushedLater).rejects.toMatchObject({ code: 'SYNC-4001' })
})

it('rows that come while a position alone waits for its turn do not wait for that', () => {
  vi.useFakeTimers()
  try {
    const applier = slowApplier()
    const batcher = batcherOf()
    const pump = createPump(
      batcher,
      applier,
      size,
      { ...options, maxDelayMs: 20 },
      () => {},
      () => {},
    )
    // A position alone may wait for a second.
    batcher.consume(transaction(1, numbers, []))
    pump.kick()
    batcher.consume(transaction(2, numbers, [[1, null, 1]]))
    pump.kick()
    vi.advanceTimersByTime(21)
    expect(applier.sizes).toEqual([1])
  } finally {
    vi.useRealTimers()
  }
})

it('a chunk that was given up keeps those behind it from being counted: its rows would be missing for good', async () => {
  const batcher = batcherOf()
  batcher.consume({ kind: 'progress', coordinate: { file: 1, offset: 1 } })
  const first = batcher.placeChunk(numbers)
  const second = batcher.placeChunk(numbers)
  await Promise.all([first.open(), second.open()])
  second.deliver(chunk([[9, null, 1]], 1), { after: [9], done: true })
  first.cancel()
  batcher.consume({ kind: 'progress', coordinate: { file: 1, offset: 2 } })
  await new Promise((resolve) => setImmediate(resolve))
  expect(batcher.progress('s.n')).toBeNull()
  expect(batcher.seal().load).toEqual([])
})
