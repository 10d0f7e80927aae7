import { expect, it } from 'vitest'
import type { VerificationBrief } from '../../../src/api/verification-wire.ts'
import { verifiedLines, verifiedWord } from '../../../src/cli/verification-brief-text.ts'

const brief = (more: Partial<VerificationBrief> = {}): VerificationBrief => ({
  id: 'shop-7',
  number: 7,
  origin: 'person',
  actor: 'ann',
  mode: 'checksum',
  state: 'done',
  outcome: 'equal',
  rowsCompared: 12_345,
  differences: 0,
  repair: null,
  requestedAt: '2026-01-02T03:04:05.000Z',
  endedAt: '2026-01-02T03:05:00.000Z',
  ...more,
})
const lines = (newest: VerificationBrief | null) =>
  verifiedLines('shop', { newest, schedule: null, scheduled: null }).map(
    ([label, text]) => `${label}: ${text}`,
  )

it('says what came of the newest one', () => {
  expect(lines(null)).toEqual(['Verified: never: `syncline verify shop`'])
  expect(lines(brief())).toEqual([
    'Verified: shop-7, equal, no of 12,345 rows differ, checksum, by ann, 2026-01-02T03:05:00.000Z: `syncline verify shop`',
  ])
})

it.each([
  [{ outcome: 'different', differences: 3 }, 'syncline verify repair shop-7', '3 differ'],
  [{ outcome: 'different', differences: 1, repair: 'failed' }, 'syncline verify repair shop-7', '1 differ'],
  [
    { outcome: 'different', differences: 3, repair: 'awaiting-approval' },
    'syncline verify approve shop-7',
    '3 differ',
  ],
  [{ outcome: 'different', differences: 3, repair: 'repairing' }, 'syncline verify show shop-7', '3 differ'],
  [{ outcome: 'different', differences: 3, repair: 'done' }, 'syncline verify shop', '3 differ'],
  [{ outcome: 'incomplete' }, 'syncline verify show shop-7', 'incomplete'],
  [{ outcome: null, state: 'failed' }, 'syncline verify show shop-7', 'failed'],
  [{ outcome: null, state: 'running', endedAt: null }, 'syncline verify show shop-7', 'running'],
] as const)('tells what to type next: %o', (more, command, word) => {
  const newest = brief(more)
  expect(lines(newest)[0]).toMatch(new RegExp(`: \`${command}\`$`))
  expect(verifiedWord({ newest, schedule: null, scheduled: null })).toBe(word)
})

it('says what came of the schedule beside it', () => {
  const scheduled = brief({
    id: 'shop-6',
    origin: 'schedule',
    actor: 'schedule',
    outcome: 'different',
    differences: 2,
  })
  const of = (newest: VerificationBrief | null, last: VerificationBrief | null) =>
    verifiedLines('shop', { newest, schedule: '0 3 * * *', scheduled: last })[1]
  expect(of(brief(), scheduled)).toEqual([
    'Schedule',
    '0 3 * * * (UTC), the last one shop-6, different, 2 of 12,345 rows differ, checksum, by schedule, 2026-01-02T03:05:00.000Z: `syncline verify repair shop-6`',
  ])
  // Said on the line before.
  expect(of(scheduled, scheduled)?.[1]).not.toContain('`')
  expect(of(brief(), null)).toEqual(['Schedule', '0 3 * * * (UTC), none yet'])
})
