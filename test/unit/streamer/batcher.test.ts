/**
 * The open batch, its chunks and the pump, where a random history hardly goes: a load that is faster than its target, a chunk that was cut
 * short on a busy log, an end in the middle of a wait.
 */
import { expect, it, vi } from 'vitest'
import type { ChunkRows } from '../../../src/connectors/contract.ts'
import type { TableShape } from '../../../src/core/schema.ts'
import type { TransactionSlice } from '../../../src/core/transaction.ts'
import type { Row } from '../../../src/core/value.ts'
import type { Applier } from '../../../src/streamer/applier.ts'
import { type Batcher, createBatcher } from '../../../src/streamer/batcher.ts'
import type { TableRule } from '../../../src/streamer/options.ts'
import { createPump, type PumpOptions } from '../../../src/streamer/pump.ts'
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
const options: PumpOptions = { maxRows: 100, maxBytes: 1 << 20, maxDelayMs: 0, smallBatchRows: 10 }

const batcherOf = (onReady = (): void => {}): Batcher => {
  const router = createRouter([rule], shapes, new Map(shapes.map((shape) => [`s.${shape.id.name}`, shape])))
  return createBatcher(createTracker({ token: '0', ordinal: 0 }), router, [], onReady, options)
}

const chunk = (rows: readonly Row[], high: number, complete = true): ChunkRows => ({
  rows,
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

it('a load that is faster than its target fills one batch, and then waits', async () => {
  const applier = slowApplier()
  const batcher = batcherOf(() => pump.kick())
  const pump = createPump(
    batcher,
    applier,
    options,
    () => {},
    () => {},
  )
  batcher.consume({ kind: 'progress', coordinate: { file: 1, offset: 0 } })
  let read = 0
  let joined = 0
  // As the loader does: the next chunk is read when this one has joined.
  const load = (async () => {
    for (let first = 0; first < 1_000; first += 50) {
      const ticket = batcher.placeChunk(numbers)
      await ticket.open()
      read++
      const rows = Array.from({ length: 50 }, (_, i): Row => [first + i, null, 1])
      ticket.deliver(chunk(rows, 0), { after: [first + 49], done: first === 950 })
      await ticket.joined
      joined++
    }
  })()
  await new Promise((resolve) => setTimeout(resolve, 20))
  // One is applied, two fill the next batch, and one waits.
  expect([read, joined]).toEqual([4, 3])
  expect(batcher.rows()).toBe(100)
  const confirming = setInterval(() => applier.confirm(), 1)
  await load
  await pump.flush()
  clearInterval(confirming)
  expect(Math.max(...applier.sizes)).toBe(100)
  expect(applier.sizes.reduce((sum, rows) => sum + rows)).toBe(1_000)
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
  await ticket.joined
  expect(await rest.open()).toEqual({ token: '80', ordinal: 0 })
  rest.deliver(chunk([['b', null, 1]], 81), { after: ['b'], done: true })
  await rest.joined
  expect(batcher.seal().load).toMatchObject([{ table: 's.c', after: ['b'], rows: 2, done: true }])
})

it('a flush or a wait for room that is cut off by the end says so: nobody may take it for a confirmation', async () => {
  const applier = slowApplier()
  const batcher = batcherOf()
  const pump = createPump(
    batcher,
    applier,
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
