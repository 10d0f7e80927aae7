/* How far a verification that follows the log is, and what differs by what it saw last: one step is kept whole, by one attempt at a time. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { continuousRequestOf, requestOf, verifySettings } from '../../../src/config/verify.ts'
import { SyncError } from '../../../src/core/errors.ts'
import type { Difference } from '../../../src/core/verification.ts'
import type { ContinuousStep } from '../../../src/store/continuous-runs.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import type { PlannedTable } from '../../../src/store/verifications.ts'
import { endpoint, pipeline } from './documents.ts'

let store: Store
let now = new Date('2026-05-01T12:00:00Z')
beforeEach(() => {
  store = openStore(':memory:', () => now)
  store.endpoints.apply(endpoint('a'), 'ann')
  store.endpoints.apply(endpoint('b'), 'ann')
  store.pipelines.apply(pipeline('shop'), 'ann')
})
afterEach(() => store.close())

const run = { pipeline: 'shop', number: 1 }
const asked = { pipeline: 'shop', origin: 'person', actor: 'ann', generation: 1 } as const

const begin = (): string => {
  store.verifications.create({ ...asked, request: continuousRequestOf(verifySettings(undefined), false) })
  return store.verifications.claim(run)
}

const table = (name: string): PlannedTable => ({
  name,
  target: name,
  columns: [{ source: 'id', target: 'id', kind: 'int', isKey: true }],
  shard: 0,
  after: null,
  upTo: null,
  rowsEstimated: 0,
  trouble: null,
})

const step = (more: Partial<ContinuousStep> = {}): ContinuousStep => ({
  checkpoint: '{"token":"u:1-5","ordinal":0}',
  position: 'u:1-7',
  tables: [{ table: table('s.t'), trouble: null }],
  counts: [],
  found: [],
  healed: [],
  waiting: null,
  pendingRows: 3,
  lagMs: 20,
  oldestMs: 40,
  maxDifferences: 2,
  ...more,
})

const found = (id: number, kind: Difference['kind'] = 'different') => ({
  difference: {
    table: 's.t',
    kind,
    key: [id],
    columns: ['n'],
    source: { id: `${id}`, n: '1' },
    target: kind === 'only-source' ? null : { id: `${id}`, n: '2' },
  } satisfies Difference,
  seenAt: '2026-05-01T11:59:00.000Z',
})

const codeOf = (work: () => unknown): string | null => {
  try {
    work()
    return null
  } catch (error) {
    return error instanceof SyncError ? error.code : String(error)
  }
}

describe('a verification that follows the log', () => {
  it('stands beside another one, and is the only one of its kind', () => {
    begin()
    const settings = verifySettings(undefined)
    expect(codeOf(() => store.verifications.create({ ...asked, request: requestOf(settings) }))).toBeNull()
    expect(codeOf(() => store.verifications.create({ ...asked, request: requestOf(settings) }))).toBe(
      'SYNC-5144',
    )
    expect(
      codeOf(() => store.verifications.create({ ...asked, request: continuousRequestOf(settings, true) })),
    ).toBe('SYNC-5144')
  })

  it('keeps counts, tables and where it stands', () => {
    const owner = begin()
    expect(store.continuousRuns.get(run)).toBeNull()
    const counts = [{ table: 's.t', changes: 4, rowsRead: 3, equal: 2 }]
    store.continuousRuns.step(run, owner, step({ counts }))
    const trouble = { code: 'SYNC-5147', message: 's.u is parked', remedy: 'Wait.' }
    store.continuousRuns.step(run, owner, step({ counts, tables: [{ table: table('s.u'), trouble }] }))
    expect(store.continuousRuns.get(run)).toEqual({
      checkpoint: '{"token":"u:1-5","ordinal":0}',
      position: 'u:1-7',
      changes: 8,
      rowsRead: 6,
      healed: 0,
      beyond: 0,
      pendingRows: 3,
      lagMs: 20,
      oldestMs: 40,
      updatedAt: '2026-05-01T12:00:00.000Z',
    })
    expect(
      store.verifications.tables(run).map(({ name, state, trouble: why }) => [name, state, why]),
    ).toEqual([
      ['s.t', 'running', null],
      ['s.u', 'skipped', trouble],
    ])
    expect(store.verifications.get(run)).toMatchObject({
      state: 'running',
      tally: { rowsCompared: 6, equal: 4 },
    })
  })

  it('counts what differs now: a row found again is one, of its newest kind, and one that is equal again is none', () => {
    const owner = begin()
    const tally = () => store.verifications.get(run)?.tally
    store.continuousRuns.step(run, owner, step({ found: [found(1), found(2)] }))
    store.continuousRuns.step(run, owner, step({ found: [found(1, 'only-source')] }))
    expect(tally()).toMatchObject({ different: 1, onlySource: 1 })
    // Two are kept of a table; more are counted.
    store.continuousRuns.step(run, owner, step({ found: [found(3)] }))
    expect(store.continuousRuns.get(run)?.beyond).toBe(1)
    expect(store.continuousRuns.open(run, 10)).toEqual([
      { table: 's.t', key: [1] },
      { table: 's.t', key: [2] },
    ])
    now = new Date('2026-05-01T12:01:00Z')
    store.continuousRuns.step(
      run,
      owner,
      step({
        healed: [
          { table: 's.t', key: [1] },
          { table: 's.t', key: [9] },
        ],
      }),
    )
    expect(tally()).toMatchObject({ different: 1, onlySource: 0 })
    expect(store.continuousRuns.get(run)?.healed).toBe(1)
    expect(
      store.verifications
        .differences(run, { limit: 10 })
        .map(({ id, kind, target, seenAt, healedAt }) => ({ id, kind, target, seenAt, healedAt })),
    ).toEqual([
      {
        id: 1,
        kind: 'only-source',
        target: null,
        seenAt: '2026-05-01T11:59:00.000Z',
        healedAt: '2026-05-01T12:01:00.000Z',
      },
      {
        id: 2,
        kind: 'different',
        target: { id: '2', n: '2' },
        seenAt: '2026-05-01T11:59:00.000Z',
        healedAt: null,
      },
    ])
    // There is room again, under a number that was never given. A row that differs once more is another finding.
    store.continuousRuns.step(run, owner, step({ found: [found(1)] }))
    expect(
      store.verifications.differences(run, { limit: 10 }).map(({ id, healedAt }) => [id, healedAt === null]),
    ).toEqual([
      [1, false],
      [2, true],
      [3, true],
    ])
  })

  it('forgets the oldest of those that are equal again, and none that a repair tells of', () => {
    const owner = begin()
    for (let id = 1; id <= 6; id++) {
      store.continuousRuns.step(run, owner, step({ found: [found(id)] }))
      if (id === 1)
        store.repairRuns.create({ ...run, actor: 'ann', needsApproval: false, maxRowsPerSecond: null })
      now = new Date(now.getTime() + 1_000)
      store.continuousRuns.step(run, owner, step({ healed: [{ table: 's.t', key: [id] }] }))
    }
    expect(store.verifications.differences(run, { limit: 10 }).map(({ id }) => id)).toEqual([1, 4, 5, 6])
  })

  it('is not repaired where it is equal again', () => {
    const owner = begin()
    store.continuousRuns.step(run, owner, step({ found: [found(1), found(2)] }))
    store.continuousRuns.step(run, owner, step({ healed: [{ table: 's.t', key: [1] }] }))
    expect(store.repairRuns.due(run, { limit: 10 })).toEqual([2])
  })

  it('is written by the attempt that claimed it last, and by none when it has ended', () => {
    const first = begin()
    const second = store.verifications.claim(run)
    expect(codeOf(() => store.continuousRuns.step(run, first, step()))).toBe('SYNC-5150')
    store.continuousRuns.step(
      run,
      second,
      step({ waiting: { code: 'SYNC-5130', message: 'later', remedy: '' } }),
    )
    expect(store.verifications.get(run)?.state).toBe('waiting')
    store.continuousRuns.step(run, second, step())
    store.verifications.end(run, { state: 'cancelled', outcome: null, trouble: null })
    expect(codeOf(() => store.continuousRuns.step(run, second, step()))).toBe('SYNC-5150')
  })
})
