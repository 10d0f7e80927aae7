/**
 * The rule of the retention guard against a simulation: a pipeline that goes on at its pace while the edge of what is purged goes on at the
 * clock's, for as long as it takes until the one meets the other.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  type LogRetention,
  mostUrgent,
  paceOf,
  type RetentionReport,
  reportRetention,
  warnOfRetention,
} from '../../../src/core/retention.ts'

const nowMs = Date.parse('2026-03-01T00:00:00Z')
const hourMs = 3_600_000

const retention: fc.Arbitrary<LogRetention> = fc.record({
  keptMs: fc.option(fc.integer({ min: 1_000, max: 60 * 24 * hourMs })),
  endedAgoMs: fc.option(fc.integer({ min: 0, max: 90 * 24 * hourMs })),
  isPurged: fc.boolean(),
  bytesBehind: fc.nat(),
})
const pace = fc.option(fc.double({ min: 0, max: 4, noNaN: true }))
const lagMs = fc.nat({ max: 30 * 24 * hourMs })
const time = (text: string | null): number => (text === null ? Number.POSITIVE_INFINITY : Date.parse(text))

it('foresees when a pipeline that falls behind meets the purge, and never later', () => {
  fc.assert(
    fc.property(
      fc.record({
        keptMs: fc.integer({ min: 60_000, max: 24 * hourMs }),
        behindMs: fc.integer({ min: 0, max: 24 * hourMs }),
        pace: fc.double({ min: 0, max: 0.9, noNaN: true }),
      }),
      ({ keptMs, behindMs, pace: at }) => {
        const foreseen = reportRetention(
          { keptMs, endedAgoMs: behindMs, isPurged: false, bytesBehind: 0 },
          nowMs,
          at,
          behindMs,
        )
        // Second by second: the place in the source's time against the edge. Both count from now on: of milliseconds since 1970 so many would be rounded in
        // each sum that twenty thousand sums are some milliseconds off.
        let place = -behindMs
        let clock = 0
        const stepMs = Math.max(1, keptMs / 2_000)
        for (; clock - keptMs < place; clock += stepMs) place += at * stepMs
        const fromNowMs = time(foreseen.purgeFrom) - nowMs
        expect(fromNowMs).toBeLessThanOrEqual(clock + 1e-3)
        // What is foreseen is told in whole milliseconds.
        expect(clock - fromNowMs).toBeLessThanOrEqual(2 * stepMs + 1)
      },
    ),
  )
})

it('never promises more at a pace than it grants a pipeline that keeps up, nor less than to one that stands', () => {
  fc.assert(
    fc.property(retention, pace, lagMs, (log, at, lag) => {
      const report = reportRetention(log, nowMs, at, lag)
      expect(time(report.standsUntil)).toBeGreaterThanOrEqual(nowMs)
      expect(time(report.purgeFrom)).toBeGreaterThanOrEqual(time(report.standsUntil))
      if (at !== null && at >= 1) expect(report.purgeFrom).toBeNull()
      if (at === null || at === 0) expect(report.purgeFrom).toBe(report.standsUntil)
      if (log.keptMs === null) expect([report.standsUntil, report.purgeFrom]).toEqual([null, null])
      if (report.catchUpMs !== null) expect(report.catchUpMs).toBeGreaterThanOrEqual(0)
    }),
  )
})

it('is clear once what is kept is raised far enough, and warns ever after as time goes by', () => {
  fc.assert(
    fc.property(
      retention,
      fc.nat({ max: 60 * 24 * hourMs }),
      fc.nat({ max: 24 * hourMs }),
      (log, wait, more) => {
        const report = reportRetention(log, nowMs, null, 0)
        const sooner = warnOfRetention(report, nowMs + wait, false)
        const later = warnOfRetention(report, nowMs + wait + more, false)
        if (sooner !== null) expect(later).not.toBeNull()
        if (sooner !== null && later !== null) expect(later.deadline).toBe(sooner.deadline)
        const forever = reportRetention({ ...log, keptMs: null, isPurged: false }, nowMs, null, 0)
        expect(warnOfRetention(forever, nowMs + wait, false)).toBeNull()
        if (log.isPurged) expect(sooner).not.toBeNull()
      },
    ),
  )
})

it('warns in time: never less than half of what is kept, or three days, before the deadline', () => {
  fc.assert(
    fc.property(retention, (log) => {
      const report = reportRetention({ ...log, isPurged: false }, nowMs, 0, 0)
      if (report.standsUntil === null || log.keptMs === null) return
      const deadlineMs = Date.parse(report.standsUntil)
      const earlyMs = Math.min(log.keptMs / 2, 72 * hourMs)
      expect(warnOfRetention(report, deadlineMs - earlyMs, false)?.deadline).toBe(report.standsUntil)
      expect(warnOfRetention(report, deadlineMs - earlyMs - 2, false)).toBeNull()
    }),
  )
})

it('takes an old report of a running pipeline for one that stands still', () => {
  const report: RetentionReport = {
    ...reportRetention(
      { keptMs: hourMs, endedAgoMs: hourMs / 2, isPurged: false, bytesBehind: 1 },
      nowMs,
      1.5,
      10_000,
    ),
  }
  expect(report).toMatchObject({ purgeFrom: null, pace: 1.5, catchUpMs: 20_000 })
  expect(warnOfRetention(report, nowMs + 60_000, true)).toBeNull()
  expect(warnOfRetention(report, nowMs + 10 * 60_000, true)).toMatchObject({
    code: 'SYNC-2214',
    deadline: new Date(nowMs + hourMs / 2).toISOString(),
  })
})

it('measures the pace in the source’s time', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_000, max: 600_000 }),
      fc.double({ min: 0, max: 50, noNaN: true }),
      (passedMs, factor) => {
        const earlier = { atMs: nowMs, sourceMs: nowMs - 10 * hourMs }
        const later = { atMs: nowMs + passedMs, sourceMs: earlier.sourceMs + passedMs * factor }
        expect(paceOf(earlier, later)).toBeCloseTo(factor, 5)
      },
    ),
  )
  const at = { atMs: nowMs, sourceMs: nowMs }
  expect(paceOf(at, at)).toBeNull()
})

it('of several engines the one is told of whose log goes first, so that none goes before the warning says', () => {
  const engine = fc.record({
    report: fc.record({ log: retention, at: pace, lag: lagMs }),
    isRunning: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(engine, { maxLength: 5 }), fc.integer({ min: 1_000 }), (engines, keptMs) => {
      const told = engines.map(({ report: { log, at, lag }, isRunning }) => ({
        // One source keeps its log for all of them equally long.
        report: reportRetention({ ...log, keptMs }, nowMs, at, lag),
        isRunning,
      }))
      const first = mostUrgent(told, nowMs)
      if (first === undefined) {
        expect(engines).toEqual([])
        return
      }
      const warnings = told.map(({ report, isRunning }) => warnOfRetention(report, nowMs, isRunning))
      const warning = warnOfRetention(first.report, nowMs, first.isRunning)
      expect(warning === null).toBe(warnings.every((other) => other === null))
      if (told.some(({ report }) => report.isPurged)) expect(first.report.isPurged).toBe(true)
      else
        for (const other of warnings)
          expect(time(other?.deadline ?? null)).toBeGreaterThanOrEqual(time(warning?.deadline ?? null))
    }),
  )
})
