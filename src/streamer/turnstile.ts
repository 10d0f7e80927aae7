/**
 * Lets the log's events through to the batch at the rate that the stream's gate allows; while one waits nothing more is read, which in the end
 * stops the source's socket. Nothing is dropped.
 *
 * Only changes that a route takes count: rows of tables out of scope cost the target nothing. An event is let through whole and paid for
 * afterwards, so one may pass at once whatever its size. A drain does not wait: what is in hand is finished. A session that is over is told so.
 */
import { PackedRow } from '../core/packed-row.ts'
import type { LogEvent, TransactionSlice } from '../core/transaction.ts'
import { type Row, rowBytes } from '../core/value.ts'
import type { Gate } from './gate.ts'
import type { Router } from './router.ts'

export interface Turnstile {
  /** null: the event may be consumed at once, as nearly always. Counts it. Rejects when the session is over. */
  turn(event: LogEvent): Promise<void> | null
}

export interface TurnstileHooks {
  /** What was let through before goes on its way meanwhile. */
  readonly beforeWaiting: () => void
  /** The commit time of what waits; 0: nothing does. */
  readonly onHeld: (commitTimeUs: number) => void
  readonly drain: AbortSignal
  readonly session: AbortSignal
}

export function createTurnstile(gate: Gate, router: Router, hooks: TurnstileHooks): Turnstile {
  const { drain, session } = hooks
  const over = AbortSignal.any([drain, session])

  async function wait(event: TransactionSlice): Promise<void> {
    hooks.beforeWaiting()
    hooks.onHeld(event.commitTimeUs)
    try {
      const { rows, bytes } = sizeInScope(event, router)
      await gate.pass(rows, bytes, over)
    } catch (reason) {
      if (session.aborted) throw reason
    } finally {
      hooks.onHeld(0)
    }
  }

  return {
    turn: (event) => (event.kind === 'slice' && gate.isLimited() && !drain.aborted ? wait(event) : null),
  }
}

function sizeInScope({ changes }: TransactionSlice, router: Router): { rows: number; bytes: number } {
  let rows = 0
  let bytes = 0
  const bytesOf = (row: Row | PackedRow | null): number =>
    row === null ? 0 : row instanceof PackedRow ? row.bytes : rowBytes(row)
  for (const change of changes) {
    if (router.route(change.table) === null) continue
    rows++
    const { before, after } = change.packed ?? change
    bytes += bytesOf(before) + bytesOf(after)
  }
  return { rows, bytes }
}
