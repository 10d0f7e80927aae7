import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Difference } from '../../../src/core/verification.ts'
import { noTally, type VerificationRequest } from '../../../src/core/verification-request.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import type { PlannedTable, VerificationRecord } from '../../../src/store/verifications.ts'
import { endpoint, pipeline } from './documents.ts'

let store: Store
beforeEach(() => {
  store = openStore(':memory:')
  store.endpoints.apply(endpoint('a'), 'ann')
  store.endpoints.apply(endpoint('b'), 'ann')
  store.pipelines.apply(pipeline('p'), 'ann')
})
afterEach(() => store.close())

const request: VerificationRequest = {
  mode: 'checksum',
  tables: [],
  ranges: [],
  sample: 1,
  maxDifferences: 2,
}

const create = (more: { workflow?: string; pipeline?: string } = {}): VerificationRecord =>
  store.verifications.create({
    pipeline: 'p',
    origin: 'person',
    actor: 'ann',
    generation: 1,
    request,
    ...more,
  })

const planned = (name: string, more: Partial<PlannedTable> = {}): PlannedTable => ({
  name,
  target: name,
  columns: [{ source: 'id', target: 'id', kind: 'int', isKey: true }],
  shard: 0,
  after: null,
  upTo: null,
  rowsEstimated: 0,
  trouble: null,
  ...more,
})

const difference = (id: bigint, kind: Difference['kind'] = 'different'): Difference => ({
  table: 's.t',
  kind,
  key: [id],
  source: kind === 'only-target' ? null : { id: `${id}` },
  target: kind === 'only-source' ? null : { id: `${id}`, note: null },
  columns: ['note'],
})

const step = (cursor: readonly bigint[] | null, more: object = {}) => ({
  ordinal: 0,
  cursor,
  isDone: cursor === null,
  tally: { ...noTally, rowsCompared: 10, equal: 10 },
  differences: [] as Difference[],
  position: 'uuid:1-5',
  tookMs: 5,
  ...more,
})

describe('a run', () => {
  it('goes from waiting to done, with counts, positions and the outcome', () => {
    const run = create()
    expect(run).toMatchObject({ number: 1, state: 'waiting', outcome: null, request })
    store.verifications.plan(run, [planned('s.t'), planned('s.u', { shard: 1 })])
    expect(store.verifications.get(run)).toMatchObject({ state: 'running', tables: { total: 2, done: 0 } })
    const owner = store.verifications.claim(run)
    store.verifications.aligned(run, owner, 12.4)
    expect(store.verifications.next(run, 1)).toMatchObject({ name: 's.u', ordinal: 1 })
    store.verifications.step(run, owner, step([10n]))
    store.verifications.step(run, owner, step([20n]))
    store.verifications.step(run, owner, step(null, { position: 'uuid:1-9' }))
    expect(store.verifications.next(run, 0)).toBeNull()
    expect(store.verifications.tables(run)[0]).toMatchObject({
      state: 'done',
      cursor: [20n],
      tally: { rowsCompared: 30, equal: 30 },
      durationMs: 15,
    })
    expect(store.verifications.segments(run, 0)).toMatchObject([
      { after: null, upTo: [20n], position: 'uuid:1-5' },
      { after: [20n], upTo: null, position: 'uuid:1-9' },
    ])
    store.verifications.end(run, { state: 'done', outcome: 'equal', trouble: null })
    expect(store.verifications.get(run)).toMatchObject({
      state: 'done',
      outcome: 'equal',
      passes: 1,
      longestPauseMs: 12,
      tally: { rowsCompared: 30 },
      tables: { total: 2, done: 1, notCompared: 0 },
    })
  })

  it('is planned once, and ends once', () => {
    const run = create()
    store.verifications.plan(run, [planned('s.t')])
    store.verifications.plan(run, [planned('s.t'), planned('s.u')])
    expect(store.verifications.tables(run)).toHaveLength(1)
    store.verifications.end(run, { state: 'cancelled', outcome: null, trouble: null })
    store.verifications.end(run, { state: 'done', outcome: 'equal', trouble: null })
    store.verifications.waits(run, null, { code: 'SYNC-5122', message: 'm', remedy: 'r' })
    expect(store.verifications.get(run)).toMatchObject({ state: 'cancelled', outcome: null, trouble: null })
  })

  it('is the only one of its pipeline, and its number is never used again', () => {
    const first = create()
    expect(() => create()).toThrow(expect.objectContaining({ code: 'SYNC-5144' }))
    store.verifications.forget(first)
    expect(create().number).toBe(2)
  })

  it('of a schedule is one, however often its workflow asks', () => {
    const first = create({ workflow: 'verification/p/scheduled-1' })
    expect(create({ workflow: 'verification/p/scheduled-1' })).toEqual(first)
    expect(() => create({ workflow: 'verification/p/scheduled-2' })).toThrow()
  })

  it('takes no word of an attempt that was given up, and none after its end', () => {
    const run = create()
    store.verifications.plan(run, [planned('s.t')])
    const first = store.verifications.claim(run)
    const second = store.verifications.claim(run)
    const fenced = expect.objectContaining({ code: 'SYNC-5150' })
    expect(() => store.verifications.step(run, first, step([10n]))).toThrow(fenced)
    store.verifications.step(run, second, step([10n]))
    // Neither does it stop the attempt that goes on.
    const trouble = { code: 'SYNC-2101', message: 'm', remedy: 'r' }
    store.verifications.waits(run, first, trouble)
    store.verifications.waits(run, null, trouble)
    expect(store.verifications.get(run)).toMatchObject({ state: 'running', trouble: null })
    store.verifications.waits(run, second, trouble)
    expect(store.verifications.get(run)).toMatchObject({ state: 'waiting', trouble })
    store.verifications.end(run, { state: 'cancelled', outcome: null, trouble: null })
    expect(() => store.verifications.step(run, second, step([20n]))).toThrow(fenced)
    expect(store.verifications.get(run)?.tally.rowsCompared).toBe(10)
  })

  it('keeps differences up to its number, and counts the others', () => {
    const run = create()
    store.verifications.plan(run, [planned('s.t')])
    const owner = store.verifications.claim(run)
    const tally = { ...noTally, rowsCompared: 3, different: 1, onlySource: 1, onlyTarget: 1 }
    const differences = [difference(1n), difference(2n ** 63n, 'only-source'), difference(3n, 'only-target')]
    store.verifications.step(run, owner, step(null, { tally, differences }))
    const kept = store.verifications.differences(run, { limit: 10 })
    expect(kept.map(({ id, key, kind }) => [id, key, kind])).toEqual([
      [1, [1n], 'different'],
      [2, [2n ** 63n], 'only-source'],
    ])
    expect(kept[0]).toMatchObject({ source: { id: '1' }, target: { id: '1', note: null }, columns: ['note'] })
    expect(store.verifications.tables(run)[0]).toMatchObject({ kept: 2, tally })
    expect(store.verifications.differences(run, { after: 1, limit: 10 })).toHaveLength(1)
    expect(store.verifications.differences(run, { table: 's.x', limit: 10 })).toEqual([])
  })

  it('is forgotten when newer ones are kept, and with its pipeline', () => {
    for (let i = 0; i < 3; i++)
      store.verifications.end(create(), { state: 'done', outcome: 'equal', trouble: null })
    const open = create()
    store.verifications.prune('p', 2)
    const numbers = () => store.verifications.list('p', { limit: 10 }).map(({ number }) => number)
    expect(numbers()).toEqual([4, 3])
    expect(store.verifications.list('p', { before: 4, limit: 10 }).map(({ number }) => number)).toEqual([3])
    store.pipelines.delete('p')
    expect(store.verifications.get(open)).toBeNull()
  })
})

describe('a repair', () => {
  const found = (): VerificationRecord => {
    const run = create()
    store.verifications.plan(run, [planned('s.t', { columns: [] })])
    const owner = store.verifications.claim(run)
    const differences = [difference(1n), difference(2n, 'only-target'), difference(3n, 'unsettled')]
    store.verifications.step(run, owner, { ...step(null, { differences }), tally: noTally })
    store.verifications.end(run, { state: 'done', outcome: 'different', trouble: null })
    return run
  }
  const ask = (run: VerificationRecord, needsApproval = false) =>
    store.repairRuns.create({
      pipeline: 'p',
      number: run.number,
      actor: 'bob',
      needsApproval,
      maxRowsPerSecond: null,
    })

  it('waits for its approval, records every row with its images, and verifies them', () => {
    const run = found()
    const repair = ask(run, true)
    expect(repair).toMatchObject({ repair: 1, state: 'awaiting-approval', rows: { total: 2, pending: 2 } })
    expect(() => ask(run)).toThrow(expect.objectContaining({ code: 'SYNC-5144' }))
    store.repairRuns.enter(repair, 'repairing', 'carl', null)
    expect(store.repairRuns.get(repair)).toMatchObject({ approvedBy: 'carl', state: 'repairing' })
    const owner = store.repairRuns.claim(repair)
    const [first, second] = store.repairRuns.rows(repair, { state: 'pending', limit: 10 })
    expect(first).toMatchObject({ difference: 1, table: 's.t', key: [1n], isExamined: false })
    store.repairRuns.examined(repair, owner, [
      { difference: 1, sourceBefore: { id: '1' }, targetBefore: { id: '1', note: 'x' } },
    ])
    store.repairRuns.repaired(repair, owner, [{ difference: 1, state: 'written' }])
    expect(second?.difference).toBe(2)
    store.repairRuns.repaired(repair, owner, [
      { difference: 2, state: 'equal', sourceBefore: null, targetBefore: null },
    ])
    expect(store.repairRuns.rows(repair, { state: 'pending', limit: 10 })).toEqual([])
    expect(store.repairRuns.rows(repair, { state: 'unverified', limit: 10 })).toHaveLength(2)
    store.repairRuns.verified(repair, owner, [
      { difference: 1, verified: 'equal', sourceAfter: { id: '1' }, targetAfter: { id: '1' } },
      { difference: 2, verified: 'different', sourceAfter: null, targetAfter: { id: '2' } },
    ])
    store.repairRuns.enter(repair, 'done', 'syncline', null)
    expect(store.repairRuns.get(repair)).toMatchObject({
      state: 'done',
      approvedBy: 'carl',
      rows: { pending: 0, written: 1, equal: 1, verifiedEqual: 1, verifiedDifferent: 1 },
    })
    expect(store.repairRuns.rows(repair, { limit: 10 })[0]).toMatchObject({
      sourceBefore: { id: '1' },
      targetBefore: { id: '1', note: 'x' },
      targetAfter: { id: '1' },
    })
    // What is mended is not repaired again.
    expect(store.repairRuns.due(run, { limit: 10 })).toEqual([2])
    expect(ask(run)).toMatchObject({ repair: 2, rows: { total: 1 } })
  })

  it('keeps the images of the first look, whatever a later attempt finds', () => {
    const run = found()
    const repair = ask(run)
    const owner = store.repairRuns.claim(repair)
    const before = { difference: 1, sourceBefore: { id: '1' }, targetBefore: { id: 'broken' } }
    store.repairRuns.examined(repair, owner, [before])
    const successor = store.repairRuns.claim(repair)
    expect(() => store.repairRuns.examined(repair, owner, [before])).toThrow(
      expect.objectContaining({ code: 'SYNC-5150' }),
    )
    store.repairRuns.examined(repair, successor, [{ ...before, targetBefore: { id: '1' } }])
    store.repairRuns.repaired(repair, successor, [{ difference: 1, state: 'written' }])
    expect(store.repairRuns.rows(repair, { limit: 1 })[0]).toMatchObject({
      isExamined: true,
      targetBefore: { id: 'broken' },
    })
  })

  it('tells why a row was refused, looks at it no more, and is asked for it again', () => {
    const run = found()
    const repair = ask(run)
    const owner = store.repairRuns.claim(repair)
    const refusal = { code: 'SYNC-3301', message: 'm', remedy: 'r' }
    store.repairRuns.repaired(repair, owner, [
      { difference: 1, state: 'refused', refusal },
      { difference: 2, state: 'removed' },
    ])
    expect(store.repairRuns.get(repair)).toMatchObject({
      refusal,
      rows: { pending: 0, refused: 1, removed: 1 },
    })
    expect(store.repairRuns.rows(repair, { limit: 1 })[0]).toMatchObject({ state: 'refused', refusal })
    expect(
      store.repairRuns.rows(repair, { state: 'unverified', limit: 9 }).map((row) => row.difference),
    ).toEqual([2])
    store.repairRuns.verified(repair, owner, [
      { difference: 2, verified: 'equal', sourceAfter: null, targetAfter: null },
    ])
    expect(store.repairRuns.due(run, { limit: 10 })).toEqual([1])
  })

  it('keeps its verification until it has ended', () => {
    const run = found()
    const repair = ask(run, true)
    store.verifications.end(create(), { state: 'done', outcome: 'equal', trouble: null })
    store.verifications.prune('p', 1)
    expect(store.repairRuns.get(repair)?.rows.total).toBe(2)
    store.repairRuns.enter(repair, 'done', 'syncline', null)
    store.verifications.prune('p', 1)
    expect(store.verifications.get(run)).toBeNull()
  })

  it('has nothing to do where nothing differs', () => {
    const run = create()
    store.verifications.end(run, { state: 'done', outcome: 'equal', trouble: null })
    expect(() => ask(run)).toThrow(expect.objectContaining({ code: 'SYNC-5146' }))
  })

  it('that has ended stays as it is', () => {
    const repair = ask(found(), true)
    store.repairRuns.enter(repair, 'cancelled', 'bob', null)
    store.repairRuns.enter(repair, 'repairing', 'carl', null)
    expect(store.repairRuns.get(repair)).toMatchObject({ state: 'cancelled', approvedBy: null })
  })
})
