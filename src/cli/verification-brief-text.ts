/** When a pipeline was verified last, what came of it, and what to type next. Pure. */
import type { PipelineVerifications, VerificationBrief } from '../api/verification-wire.ts'
import { countText } from './output.ts'

/** Lines of `describe pipeline`. */
export function verifiedLines(
  name: string,
  { newest, schedule, scheduled }: PipelineVerifications,
): [string, string][] {
  const lines: [string, string][] = [
    [
      'Verified',
      newest === null
        ? `never: \`syncline verify ${name}\``
        : `${briefText(newest)}: \`${nextCommand(name, newest)}\``,
    ],
  ]
  if (schedule !== null) {
    const last = scheduled === null ? 'none yet' : `the last one ${briefText(scheduled)}`
    const next =
      scheduled === null || scheduled.id === newest?.id ? '' : `: \`${nextCommand(name, scheduled)}\``
    lines.push(['Schedule', `${schedule} (UTC), ${last}${next}`])
  }
  return lines
}

/** For a list: the outcome of the newest one. */
export function verifiedWord({ newest }: PipelineVerifications): string {
  if (newest === null) return 'never'
  const { state, outcome, differences } = newest
  if (outcome === 'different') return `${countText(differences)} differ`
  return outcome ?? state
}

function briefText({
  id,
  state,
  outcome,
  mode,
  rowsCompared,
  differences,
  actor,
  requestedAt,
  endedAt,
  repair,
}: VerificationBrief): string {
  const parts = [
    id,
    outcome ?? state,
    `${differences === 0 ? 'no' : countText(differences)} of ${countText(rowsCompared)} rows ${differences === 1 ? 'differs' : 'differ'}`,
    mode,
    `by ${actor}`,
    endedAt === null ? `since ${requestedAt}` : endedAt,
  ]
  if (repair !== null) parts.push(`repair ${repair}`)
  return parts.join(', ')
}

function nextCommand(name: string, { id, outcome, endedAt, repair }: VerificationBrief): string {
  if (repair === 'awaiting-approval') return `syncline verify approve ${id}`
  if (outcome === 'equal' || repair === 'done') return `syncline verify ${name}`
  const mayBeRepaired =
    outcome === 'different' && (repair === null || repair === 'failed' || repair === 'cancelled')
  if (endedAt !== null && mayBeRepaired) return `syncline verify repair ${id}`
  return `syncline verify show ${id}`
}
