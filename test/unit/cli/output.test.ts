import { describe, expect, it } from 'vitest'
import type { PipelineStatusAnswer } from '../../../src/api/wire.ts'
import { exitCodeOf, exitCodes } from '../../../src/cli/exit-codes.ts'
import { countText, durationText, lagText, table, yamlDocuments } from '../../../src/cli/output.ts'
import { progressLine } from '../../../src/cli/progress.ts'
import { catalogue, type ErrorCode } from '../../../src/core/errors.ts'

describe('output', () => {
  it('lays out tables', () => {
    expect(
      table(
        ['A', 'LONG'],
        [
          ['first', 'x'],
          ['y', ''],
        ],
      ),
    ).toBe('A       LONG\nfirst   x\ny')
    expect(table(['A'], [])).toBe('A')
  })

  it('writes quantities for people', () => {
    expect([999, 1_000, 61_000, 3_700_000, 200_000_000].map(durationText)).toEqual([
      '1 s',
      '1 s',
      '1 min 1 s',
      '1 h 1 min',
      '2 d 7 h',
    ])
    expect([-3, 12.4, 1_500].map(lagText)).toEqual(['0 ms', '12 ms', '2 s'])
    expect(countText(1234567.8)).toBe('1,234,568')
  })

  it('separates YAML documents', () => {
    expect(yamlDocuments([{ a: 1 }, { b: '2' }])).toBe('a: 1\n---\nb: "2"')
  })
})

describe('progressLine', () => {
  const status: PipelineStatusAnswer = {
    name: 'shop',
    state: 'loading',
    wanted: 'run',
    since: null,
    generation: 1,
    observedGeneration: 1,
    actor: null,
    detail: '',
    blocked: null,
    pendingChange: null,
    retrying: null,
    engine: {
      phase: 'loading',
      epoch: '1',
      position: null,
      batch: 0,
      lagMs: 0,
      rowsApplied: 0,
      rowsPerSecond: 5000,
      load: { tables: 4, tablesDone: 1, rows: 500, rowsEstimated: 1000, etaMs: 61_000 },
      retrying: null,
      hostPid: 1,
      restarts: 0,
    },
    engineSeenAt: null,
    worker: null,
    attempt: 1,
    shards: null,
    workflow: null,
    retention: null,
    verifications: { newest: null, schedule: null, scheduled: null },
    warnings: [],
  }

  it('shows the load with and without a bar, and never 100 % of an estimate', () => {
    expect(progressLine(status, false)).toBe(
      'shop  loading  50 %  500 of about 1,000 rows  1 of 4 tables  5,000 rows/s  ETA 1 min 1 s',
    )
    expect(progressLine(status, true)).toContain('[############............] 50 %')
    const engine = status.engine as NonNullable<PipelineStatusAnswer['engine']>
    const beyond = { ...status, engine: { ...engine, load: { ...engine.load, rows: 2000, etaMs: null } } }
    expect(progressLine(beyond, false)).toContain('99 %  2,000 of about 2,000 rows')
    expect(
      progressLine({ ...beyond, engine: { ...engine, load: { ...engine.load, rowsEstimated: 0 } } }, false),
    ).toContain('0 %')
  })

  it('shows what is in the way', () => {
    const retrying = { code: 'SYNC-2101', message: 'gone', remedy: '', attempt: 2 }
    expect(progressLine({ ...status, state: 'checking', engine: null, retrying }, false)).toBe(
      'shop  checking  retrying SYNC-2101: gone',
    )
    const blocked = { code: 'SYNC-2204', message: 'purged', remedy: '', at: null, findings: [] }
    expect(progressLine({ ...status, state: 'blocked', blocked }, false)).toBe(
      'shop  blocked  SYNC-2204 purged',
    )
  })
})

it('every code of the catalogue has an exit status', () => {
  for (const code of Object.keys(catalogue) as ErrorCode[]) expect(exitCodeOf(code)).toBeGreaterThan(0)
  expect(exitCodeOf('SYNC-1003')).toBe(exitCodes.configInvalid)
  expect(exitCodeOf('SYNC-1104')).toBe(exitCodes.conflict)
  expect(exitCodeOf('SYNC-2101')).toBe(exitCodes.failure)
})
