/**
 * Asks the source about once a minute how long it will keep what the pipeline has not applied yet (core/retention.ts).
 *
 * Guarantees: never disturbs the stream: one short question at a time on a connection of the source that is idle while streaming, errors only
 * leave the last report standing. While no session is open (the target is away) it opens the source by itself, so that a pipeline that is
 * stuck is warned of as well. Lost in a crash, asked anew by the next engine; what was reported last outlives it in the store.
 */
import type { Source } from '../connectors/contract.ts'
import { type Progress, paceOf, type RetentionReport, reportRetention } from '../core/retention.ts'
import type { EngineStatus } from './status.ts'

export interface RetentionGuard {
  start(): void
  /** The open source of the session that runs; null: none does. */
  use(source: Source | null): void
  report(): RetentionReport | null
  stop(): void
}

export interface RetentionGuardDeps {
  readonly openSource: () => Promise<Source>
  readonly status: () => EngineStatus
  /** Batches confirmed so far, over all sessions. */
  readonly batches: () => number
  readonly pollMs?: number
}

const defaultPollMs = 60_000
/** Until the first position is known. */
const eagerMs = 1_000
/** The pace is over the last this many polls. */
const polls = 5

export function createRetentionGuard(deps: RetentionGuardDeps): RetentionGuard {
  const pollMs = deps.pollMs ?? defaultPollMs
  let current: Source | null = null
  let report: RetentionReport | null = null
  let progress: Progress[] = []
  let timer: ReturnType<typeof setTimeout> | null = null
  let isStopped = false
  let batchesAtStart = 0

  async function ask(): Promise<number> {
    const { position } = deps.status()
    if (position === null) return eagerMs
    const borrowed = current
    const source = borrowed ?? (await deps.openSource())
    try {
      if (source.retention === undefined) return pollMs
      const retention = await source.retention(position)
      if (retention === null) return pollMs
      const { phase, lagMs } = deps.status()
      const nowMs = Date.now()
      const stands = borrowed === null || phase === 'retrying'
      // Before a session's first batch its lag says nothing.
      const isTelling = deps.batches() > batchesAtStart
      if (stands || !isTelling) progress = []
      else progress = [...progress, { atMs: nowMs, sourceMs: nowMs - lagMs }].slice(-polls)
      const [first, last] = [progress[0], progress.at(-1)]
      const pace = stands ? 0 : first === undefined || last === undefined ? null : paceOf(first, last)
      report = reportRetention(retention, nowMs, pace, isTelling ? lagMs : (retention.endedAgoMs ?? 0))
    } finally {
      if (borrowed === null) await source.close()
    }
    return pollMs
  }

  async function askAndArm(): Promise<void> {
    next(await ask().catch(() => pollMs))
  }

  function next(ms: number): void {
    if (isStopped) return
    timer = setTimeout(() => void askAndArm(), ms)
    timer.unref()
  }

  return {
    start: () => next(Math.min(eagerMs, pollMs)),
    use(source) {
      current = source
      if (source !== null) batchesAtStart = deps.batches()
    },
    report: () => report,
    stop() {
      isStopped = true
      if (timer !== null) clearTimeout(timer)
    },
  }
}
