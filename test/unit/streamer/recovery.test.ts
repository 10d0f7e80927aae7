/**
 * A batch that a crash left unfinished is formed again exactly, however the log is cut into slices this time: what belongs to it, and what comes
 * behind it, wherever the batch ended within a transaction.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { UnfinishedBatch } from '../../../src/connectors/contract.ts'
import type { Position } from '../../../src/core/position.ts'
import type { TableShape } from '../../../src/core/schema.ts'
import type { LogEvent, TransactionSlice } from '../../../src/core/transaction.ts'
import { reform } from '../../../src/streamer/recovery.ts'
import { createRouter } from '../../../src/streamer/router.ts'
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
const router = createRouter([rule], [numbers], new Map([['s.n', numbers]]))

/** Transactions 1, 2, ... of these many changes, cut after every `cut` changes; a last slice may be empty. */
function* slices(
  counts: readonly number[],
  cut: number,
  endsApart: boolean,
  from: Position,
): Generator<TransactionSlice> {
  for (const [i, count] of counts.entries()) {
    const id = i + 1
    if (id <= Number(from.token)) continue
    let at = id === Number(from.token) + 1 ? from.ordinal : 0
    for (let isOver = false; !isOver; ) {
      const end = Math.min(count, at + cut)
      isOver = end === count && (!endsApart || end === at)
      const changes = Array.from({ length: end - at }, (_, n) => ({
        table: numbers,
        before: null,
        after: [id * 100 + at + n, null, 1],
      }))
      const coordinate = { file: 1, offset: id * 1000 }
      yield {
        kind: 'slice',
        id: String(id),
        firstOrdinal: at,
        changes,
        last: isOver,
        coordinate,
        commitTimeUs: id,
        bytes: 1,
      }
      at = end
    }
  }
}

const keys = (events: Iterable<LogEvent>): unknown[] =>
  [...events].flatMap((event) => (event.kind === 'slice' ? event.changes.map(({ after }) => after?.[0]) : []))

it('takes exactly what the batch had, and leaves what follows, the end of its last transaction too', async () => {
  const count = fc.integer({ min: 1, max: 6 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(count, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      fc.nat(),
      fc.nat(),
      async (counts, cut, endsApart, a, b) => {
        // Every place within and between the transactions: also behind the last change, before the end.
        const places = counts.flatMap((changes, i): Position[] =>
          Array.from({ length: changes + 1 }, (_, ordinal) => ({
            token: String(i),
            ordinal,
            ...(ordinal === 0 ? {} : { transaction: String(i + 1) }),
          })),
        )
        const [first, second] = [a % places.length, b % places.length].sort((x, y) => x - y) as [
          number,
          number,
        ]
        const [from, to] = [places[first] as Position, places[second] as Position]
        const unfinished = { from, to } as UnfinishedBatch
        const events = [...slices(counts, cut, endsApart, from)]
        const source = events.map((event): readonly LogEvent[] => [event]).values()
        const iterator = { next: async () => source.next() }
        const { merge, rest } = await reform(unfinished, iterator, createTracker(from), router)

        const inside = [...(merge.net().destinations[0]?.changes.values() ?? [])].map(
          ({ after }) => after?.[0],
        )
        const following = [...rest, ...[...source].flat()]
        expect(inside.length).toBe(second - first - (Number(to.token) - Number(from.token)))
        expect([...inside, ...keys(following)]).toEqual(keys(events))
        // Whoever goes on from `to` gets to the log's end.
        const tracker = createTracker(to)
        for (const event of following) if (event.kind === 'slice') tracker.advance(event)
        expect(tracker.position()).toEqual({ token: String(counts.length), ordinal: 0 })
      },
    ),
    { numRuns: 500 },
  )
})
