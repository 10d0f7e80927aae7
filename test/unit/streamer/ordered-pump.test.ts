/**
 * The pump of global order and what it gives to the target: commits end where transactions of the source end, a long transaction goes in parts
 * and begins a batch of its own, and nobody takes a part for something confirmed.
 */
import { expect, it } from 'vitest'
import type { BatchHeader, LoadProgress, Sink } from '../../../src/connectors/contract.ts'
import type { BatchPlan } from '../../../src/core/plan.ts'
import type { TableShape } from '../../../src/core/schema.ts'
import type { TransactionSlice } from '../../../src/core/transaction.ts'
import { keyOf, type Row } from '../../../src/core/value.ts'
import { type Batcher, createBatcher } from '../../../src/streamer/batcher.ts'
import { createMeter } from '../../../src/streamer/meter.ts'
import { createOrderedPump } from '../../../src/streamer/ordered-pump.ts'
import type { Pump } from '../../../src/streamer/pump.ts'
import { createRouter } from '../../../src/streamer/router.ts'
import { type Committed, createWholeApplier } from '../../../src/streamer/whole-transactions.ts'
import { createTracker, shapes } from '../../support/memory-stores.ts'

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
const [numbers] = shapes as [TableShape]
const bounds = { maxRows: 4, maxBytes: 1 << 20 }

const rowsOf = (plan: BatchPlan): string[] =>
  plan.work
    .flat()
    .flatMap(({ tables }) => tables.flatMap(({ upserts }) => [...upserts].map(([id]) => `${id}`)))

interface Fixture {
  readonly batcher: Batcher
  readonly pump: Pump
  /** What reached the target, in order: rows, and `|` for every commit. */
  readonly written: string[]
  readonly headers: BatchHeader[]
  readonly loads: (readonly LoadProgress[])[]
  readonly committed: Committed[]
  readonly failures: unknown[]
  /** As a session does. */
  readonly take: (slice: TransactionSlice) => Promise<void>
  failWith(error: Error): void
}

function fixture(): Fixture {
  const written: string[] = []
  const headers: BatchHeader[] = []
  const loads: (readonly LoadProgress[])[] = []
  const committed: Committed[] = []
  const failures: unknown[] = []
  let failure: Error | null = null
  const write = async (plan: BatchPlan): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve))
    if (failure !== null) throw failure
    written.push(...rowsOf(plan))
  }
  const commit = (header: BatchHeader, load: readonly LoadProgress[]): void => {
    written.push('|')
    headers.push(header)
    loads.push(load)
  }
  const sink = {
    applySmall: async (header: BatchHeader, plan: BatchPlan, load: readonly LoadProgress[]) => {
      await write(plan)
      commit(header, load)
    },
    beginParts: async () => ({
      write,
      commit: async (header: BatchHeader, load: readonly LoadProgress[]) => commit(header, load),
    }),
  } as unknown as Sink
  const router = createRouter([rule], shapes, new Map(shapes.map((shape) => [`s.${shape.id.name}`, shape])))
  const batcher = createBatcher(
    createTracker({ token: '0', ordinal: 0 }),
    router,
    [],
    () => pump.kick(),
    // As chunk-writer.ts does.
    async ({ rows }) => {
      await pump.sealedConfirmed()
      written.push(...rows.map(([id]) => `chunk ${id}`))
    },
    true,
  )
  const pump = createOrderedPump(
    batcher,
    createWholeApplier(sink, 10, createMeter()),
    { ...bounds, written() {} },
    { maxDelayMs: 0, smallBatchRows: 100 },
    (done) => committed.push(done),
    (error) => failures.push(error),
  )
  return {
    batcher,
    pump,
    written,
    headers,
    loads,
    committed,
    failures,
    async take(slice) {
      await pump.admit(slice)
      batcher.consume(slice)
      if (pump.isFull()) await pump.room()
    },
    failWith(error) {
      failure = error
    },
  }
}

const slice = (
  id: number,
  ids: readonly number[],
  { first = 0, last = true }: { first?: number; last?: boolean } = {},
): TransactionSlice => ({
  kind: 'slice',
  id: String(id),
  firstOrdinal: first,
  changes: ids.map((key) => ({ table: numbers, before: null, after: [key, null, 1] })),
  last,
  coordinate: { file: 1, offset: id },
  commitTimeUs: id,
  bytes: 1,
})

const turns = async (count = 20): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

it('several transactions go in one commit, and a full batch in the middle of a long one goes in parts', async () => {
  const { take, pump, written, headers, committed } = fixture()
  await take(slice(1, [1]))
  await take(slice(2, [2, 3]))
  await take(slice(3, [4, 5, 6], { last: false }))
  await take(slice(3, [7, 8, 9], { first: 3, last: false }))
  await take(slice(3, [10], { first: 6, last: false }))
  await turns()
  expect(written.join(' ')).toBe('1 2 3 | 4 5 6 7 8 9')
  expect(committed).toEqual([{ position: { token: '2', ordinal: 0 }, rows: 3 }])
  await take(slice(3, [11], { first: 7 }))
  await take(slice(4, [12]))
  await pump.flush()
  expect(written.join(' ')).toBe('1 2 3 | 4 5 6 7 8 9 10 11 12 |')
  expect(committed.at(-1)).toEqual({ position: { token: '4', ordinal: 0 }, rows: 9 })
  expect(headers.map(({ batch, from, to }) => [batch, from.token, to.token])).toEqual([
    [11, '0', '2'],
    [12, '2', '4'],
  ])
})

it('a flush in the middle of a transaction waits for its end, also when all of it so far is at the target', async () => {
  const { take, pump, committed } = fixture()
  await take(slice(1, [1, 2, 3, 4], { last: false }))
  await turns()
  let flushed = false
  const flush = pump.flush().then(() => {
    flushed = true
  })
  await turns()
  expect(flushed).toBe(false)
  await take(slice(1, [], { first: 4 }))
  pump.kick()
  await flush
  expect(committed).toEqual([{ position: { token: '1', ordinal: 0 }, rows: 4 }])
})

it('when no more comes, whole transactions are confirmed and a part is not', async () => {
  const { take, pump, written, committed } = fixture()
  await take(slice(1, [1]))
  await take(slice(2, [2, 3, 4, 5], { last: false }))
  await take(slice(2, [6], { first: 4, last: false }))
  await pump.finish()
  expect(committed).toEqual([{ position: { token: '1', ordinal: 0 }, rows: 1 }])
  expect(written.filter((what) => what === '|')).toHaveLength(1)
})

it('load progress of every part is stored with the commit', async () => {
  const { take, pump, batcher, loads } = fixture()
  const done = { table: 's.n', after: [1], rows: 1, done: true }
  const other = { table: 's.c', after: ['a'], rows: 1, done: false }
  await take(slice(1, [1, 2, 3, 4], { last: false }))
  batcher.setProgress(done)
  batcher.setProgress(other)
  await take(slice(1, [5, 6, 7, 8], { first: 4, last: false }))
  batcher.setProgress({ ...other, after: ['b'], rows: 2 })
  await take(slice(1, [9], { first: 8 }))
  await pump.flush()
  expect(loads).toEqual([[done, { ...other, after: ['b'], rows: 2 }]])
})

it('an end or a failure wakes whoever waits for the end of a transaction', async () => {
  const stopped = fixture()
  await stopped.take(slice(1, [1], { last: false }))
  const waiting = stopped.pump.flush()
  stopped.pump.stop()
  await expect(waiting).rejects.toMatchObject({ code: 'SYNC-4001' })
  await expect(stopped.pump.flush()).rejects.toMatchObject({ code: 'SYNC-4001' })

  const failed = fixture()
  failed.failWith(new Error('refused'))
  await failed.take(slice(1, [1], { last: false }))
  await expect(failed.take(slice(1, [2, 3, 4, 5], { first: 1, last: false }))).rejects.toThrow('refused')
  expect(failed.failures).toHaveLength(1)
  await expect(failed.pump.finish()).rejects.toThrow('refused')
  expect(failed.committed).toEqual([])
})

it('a definition within a transaction that has changed rows before it is refused', async () => {
  const { take, pump } = fixture()
  const definition = {
    kind: 'schema-change',
    id: '2/ddl',
    coordinate: { file: 1, offset: 1 },
    commitTimeUs: 1,
    schema: 's',
    statement: 'CREATE TABLE s.x (id INT)',
  } as const
  expect(pump.admit(definition)).toBeNull()
  await take(slice(2, [1], { last: false }))
  expect(() => pump.admit(definition)).toThrow(expect.objectContaining({ code: 'SYNC-2206' }))
})

it('a chunk that may be written at the end of a long transaction waits for its commit, and nobody for the chunk before that', async () => {
  const { take, pump, batcher, written } = fixture()
  const ticket = batcher.placeChunk(numbers)
  await ticket.open()
  await take(slice(1, [1, 2, 3, 4], { last: false }))
  const rows: Row[] = [[50, null, 1]]
  ticket.deliver(
    {
      keys: rows.map((row) => keyOf(row, [0])),
      lastKey: [50],
      rows,
      text: null,
      isInLow: () => false,
      high: { file: 1, offset: 1 },
      bytes: 0,
      complete: true,
    },
    { after: [50], done: true },
  )
  await turns()
  // The end brings no change of its own, and the next transaction touches the chunk's row before anything is committed.
  await take(slice(1, [], { first: 4 }))
  await take(slice(2, [50]))
  await pump.flush()
  await ticket.written
  await pump.flush()
  expect(written).toContain('|')
  expect(written.filter((what) => what.includes('50')).length).toBeGreaterThan(0)
  if (written.includes('chunk 50'))
    expect(written.indexOf('chunk 50')).toBeLessThan(written.lastIndexOf('50'))
})
