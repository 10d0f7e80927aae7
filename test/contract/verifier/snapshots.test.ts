/**
 * The snapshots of a verification: one moment at the source between `low` and `high`, nothing held up at either end, a clear end when a table
 * changes under them, and going on by key after a break.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SourceSnapshots } from '../../../src/connectors/contract.ts'
import type { TablePair } from '../../../src/core/comparison-plan.ts'
import { compareTable } from '../../../src/verifier/compare-table.ts'
import type { MysqlFacts } from '../../support/servers.ts'
import {
  sharedMariadbSource,
  sharedMariadbTarget,
  sharedSource,
  sharedTarget,
} from '../../support/servers.ts'
import { type Ends, inShort, openEnds, sumOf } from './support.ts'

const everyServer = [
  ['MySQL', sharedSource, sharedTarget],
  ['MariaDB', sharedMariadbSource, sharedMariadbTarget],
] as const

const open = async (ends: Ends, count: number): Promise<SourceSnapshots> => {
  const snapshots = await ends.source.verify?.openSnapshots(count, await ends.source.head())
  if (snapshots === undefined) throw new Error('cannot be compared')
  return snapshots
}

const pairOf = async (ends: Ends, table: string): Promise<TablePair> => {
  const { pair } = await ends.plan(table)
  if (pair === null) throw new Error(`${table} cannot be compared`)
  return pair
}

describe.each(everyServer)(
  '%s',
  (name, source: () => Promise<MysqlFacts>, target: () => Promise<MysqlFacts>) => {
    let ends: Ends

    beforeAll(async () => {
      ends = await openEnds(await source(), await target(), `snapshots_${name}`)
    })

    afterAll(() => ends.close())

    const filled = async (table: string, rows: number): Promise<void> => {
      await ends.both(`CREATE TABLE ${table} (id INT PRIMARY KEY, v INT NOT NULL)`)
      for (let at = 0; at < rows; at += 10_000) {
        const some = Array.from({ length: Math.min(10_000, rows - at) }, (_, i) => `(${at + i}, 0)`)
        await ends.both(`INSERT INTO ${table} VALUES ${some.join(',')}`)
      }
    }

    it('show all of low, nothing after high, and stay as they are', async () => {
      await ends.both('CREATE TABLE moments (id INT PRIMARY KEY); INSERT INTO moments VALUES (1), (2)')
      const pair = await pairOf(ends, 'moments')
      let isWriting = true
      const writes = (async () => {
        for (let id = 100; isWriting; id++) await ends.at.source.query(`INSERT INTO moments VALUES (${id})`)
      })()
      try {
        for (let i = 0; i < 10; i++) {
          const before = await ends.source.head()
          const snapshots = await open(ends, 3)
          const counts = await Promise.all(
            snapshots.readers.map((reader) => reader.counts(pair.source, [{ after: null, upTo: null }])),
          )
          // What lies between low and high alone may show in one and not in another.
          const tracker = ends.source.tracker(snapshots.low)
          expect(tracker.covers(before)).toBe(true)
          await new Promise((resolve) => setTimeout(resolve, 20))
          const again = await Promise.all(
            snapshots.readers.map((reader) => reader.counts(pair.source, [{ after: null, upTo: null }])),
          )
          expect(again).toEqual(counts)
          await snapshots.close()
        }
      } finally {
        isWriting = false
        await writes
      }
    })

    it('keep nobody from altering a table for long, and tell of it', async () => {
      await filled('altered', 12_000)
      await filled('dropped', 12_000)
      const [altered, dropped] = [await pairOf(ends, 'altered'), await pairOf(ends, 'dropped')]
      const [from, to] = [await open(ends, 1), await ends.target.verify?.openSnapshots(1)]
      if (to === undefined) throw new Error('cannot be compared')
      const steps = (pair: TablePair) =>
        compareTable({ pair, source: from.readers, target: to.readers, mode: 'checksum', after: null })
      const rest = async (table: AsyncGenerator<unknown>): Promise<void> => {
        for await (const _ of table);
      }
      let isDone = false
      let changes: Promise<unknown> = Promise.resolve()
      try {
        await rest(steps(altered))
        changes = ends.at.source.query('ALTER TABLE altered MODIFY v BIGINT NOT NULL').then(() => {
          isDone = true
        })
        if (name === 'MySQL') {
          // Does not wait for the snapshots, which have read the table.
          await changes
          await expect(rest(steps(altered))).rejects.toMatchObject({
            code: 'SYNC-5103',
            message: expect.stringContaining('altered'),
            details: { side: 'source' },
          })
          // The one that failed has let go of it too.
          await ends.at.source.query('SET SESSION lock_wait_timeout = 20')
          await ends.at.source.query('ALTER TABLE altered MODIFY v INT NOT NULL')
        } else {
          await new Promise((resolve) => setTimeout(resolve, 300))
          expect(isDone).toBe(false)
          await expect(rest(steps(altered))).rejects.toMatchObject({ code: 'SYNC-5106' })
        }
        // Not read yet: nobody waits for it.
        await ends.at.target.query('DROP TABLE dropped')
        if (name === 'MySQL') {
          await expect(rest(steps(dropped))).rejects.toMatchObject({
            code: 'SYNC-5103',
            details: { side: 'target' },
          })
        }
      } finally {
        await Promise.all([from.close(), to.close()])
      }
      await changes
    })

    it('a comparison that was cut off goes on behind its last cursor, with new snapshots', async () => {
      await filled('resumed', 30_000)
      await ends.at.target.query(
        'DELETE FROM resumed WHERE id IN (5, 15000, 29999); UPDATE resumed SET v = 1 WHERE id = 12',
      )
      const whole = await ends.compare('resumed')
      const kept: Awaited<ReturnType<Ends['compare']>>['steps'][number][] = []
      const pair = await pairOf(ends, 'resumed')
      for (let tries = 0; tries < 50; tries++) {
        const [from, to] = [await open(ends, 2), await ends.target.verify?.openSnapshots(2)]
        const after = kept.at(-1)?.cursor ?? null
        const steps = compareTable({
          pair,
          source: from.readers,
          target: to?.readers ?? [],
          mode: 'checksum',
          after,
          rangeGoalMs: 1,
        })
        // One step of each try is kept; the rest is as if it had never been.
        const { value } = await steps.next()
        if (value !== undefined) kept.push(value)
        await Promise.all([from.close(), to?.close()])
        await steps.return(undefined).catch(() => undefined)
        if (kept.at(-1)?.cursor === null) break
      }
      expect(kept.length).toBeGreaterThan(3)
      expect(sumOf(kept)).toEqual(whole.tally)
      expect(inShort(kept.flatMap(({ differences }) => differences))).toEqual(inShort(whole.differences))
    })

    it('samples take the same ranges for one seed, and ranges of keys are kept to', async () => {
      const sample = { fraction: 0.3, seed: 7 }
      const [first, second] = [
        await ends.compare('resumed', { sample }),
        await ends.compare('resumed', { sample }),
      ]
      expect(first.tally).toEqual(second.tally)
      expect(first.tally.rowsCompared).toBeGreaterThan(0)
      expect(first.tally.rowsCompared).toBeLessThan(20_000)
      expect(first.steps.reduce((sum, { rangesSkipped }) => sum + rangesSkipped, 0)).toBeGreaterThan(3)
      const part = await ends.compare('resumed', { within: { after: [11], upTo: [15_000] } })
      expect(part.tally).toMatchObject({ rowsCompared: 14_989, different: 1, onlySource: 1 })
      expect(part.steps.at(-1)?.cursor).toBeNull()
    })

    it('numbers of rows alone', async () => {
      const { tally, differences } = await ends.compare('resumed', { mode: 'count' })
      expect(tally).toMatchObject({ rowsCompared: 30_000, equal: 29_997, onlySource: 3 })
      expect(differences).toEqual([])
    })

    it('rows as they are now', async () => {
      const pair = await pairOf(ends, 'resumed')
      const there = await ends.source.verify?.rowsNow(pair.source, [[12], [5], [-1]])
      expect(there?.rows.map(({ key }) => key[0]).toSorted()).toEqual([12, 5])
      expect(there?.high.offset).toBeGreaterThan(0)
      const here = await ends.target.verify?.rowsNow(pair.target, [[12], [5]])
      expect(here?.map(({ key, shown }) => [key[0], shown])).toEqual([[12, ['12', '1']]])
    })
  },
)
