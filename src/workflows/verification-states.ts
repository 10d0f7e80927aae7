/**
 * What a verification's and a repair's workflow do next, as pure functions of what their activities told.
 *
 * An activity aligns both ends, works as long as snapshots may be held, and tells whether there is more. What it waits for (no engine, a server
 * that is away) is tried again after growing pauses, and given up after a while in which no row was compared: a schedule would otherwise wait for
 * ever behind a pipeline that a person has paused.
 */
import type { PassResult } from '../activities/contract.ts'
import type { VerificationTrouble } from '../core/verification-control.ts'

export interface Waiting {
  readonly sinceMs: number
  readonly times: number
  readonly trouble: VerificationTrouble
}

export type AfterPass =
  | { readonly do: 'again' }
  | { readonly do: 'next' }
  | { readonly do: 'wait'; readonly ms: number; readonly waiting: Waiting }
  | { readonly do: 'fail'; readonly trouble: VerificationTrouble }
  | { readonly do: 'leave' }

/** Without a row compared or repaired for as long, it is given up. */
export const patienceMs = 10 * 60_000
const firstPauseMs = 1_000
const longestPauseMs = 30_000

/** @param before what it has been waiting for; null: it was at work */
export function afterPass(result: PassResult, before: Waiting | null, nowMs: number): AfterPass {
  switch (result.kind) {
    case 'more':
      return { do: 'again' }
    case 'done':
      return { do: 'next' }
    case 'superseded':
    case 'cancelled':
      return { do: 'leave' }
    case 'waiting': {
      const fresh = before === null || result.rows > 0
      const sinceMs = fresh ? nowMs : before.sinceMs
      const times = fresh ? 1 : before.times + 1
      if (nowMs - sinceMs >= patienceMs) return { do: 'fail', trouble: result.trouble }
      const ms = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(times - 1, 10))
      return { do: 'wait', ms, waiting: { sinceMs, times, trouble: result.trouble } }
    }
  }
}

/** A failure that Temporal has given up trying, as a reason to show. */
export const troubleOf = ({
  code,
  message,
  remedy,
}: {
  readonly code: string
  readonly message: string
  readonly remedy: string
}): VerificationTrouble => ({ code, message, remedy })

/** For about ten minutes: what has not passed by then is shown, and a person asks again. */
export const verifyRetries = {
  initialInterval: '500ms',
  backoffCoefficient: 2,
  maximumInterval: '30s',
  maximumAttempts: 25,
} as const
