/**
 * Will the source purge log that a pipeline still needs, and from when on? Pure; times are milliseconds since 1970 unless they are spans.
 *
 * Two answers. `standsUntil`: if the pipeline stays where it is (paused, blocked, its target away). `purgeFrom`: at the pace of the last
 * minutes. Both are "not before": a server purges when it begins a new file, and not while a reader is at that file.
 * What cannot be foreseen: PURGE BINARY LOGS by hand, a retention that is shortened later, limits by size.
 */
import { catalogue } from './errors.ts'

/** What a source tells of its log from a position on. */
export interface LogRetention {
  /** How long a file is kept after its last entry, in milliseconds; null: the server purges nothing by itself. */
  readonly keptMs: number | null
  /** How long ago the file that holds what follows the position was ended; null: it is the one that is written now. */
  readonly endedAgoMs: number | null
  /** Something that follows the position is gone already. */
  readonly isPurged: boolean
  /** From the start of that file to the log's end: what there is still to read, and a little more. */
  readonly bytesBehind: number
}

/** Where the pipeline stood at a moment, in the source's time: what was committed there until then is applied. */
export interface Progress {
  readonly atMs: number
  readonly sourceMs: number
}

export interface RetentionReport {
  /** When the source was asked; ISO 8601, like all times here. */
  readonly at: string
  readonly keptMs: number | null
  readonly bytesBehind: number
  readonly isPurged: boolean
  /** If the pipeline does not move from where it was then. Null: never by itself. */
  readonly standsUntil: string | null
  /** At its present pace. Null: not foreseen. */
  readonly purgeFrom: string | null
  /** Seconds of the source's time applied in a second, over the last minutes; null: not known yet. Below 1 it falls behind. */
  readonly pace: number | null
  /** Time until it has caught up at this pace; null: it does not, or nothing is known. */
  readonly catchUpMs: number | null
}

export interface RetentionWarning {
  readonly code: 'SYNC-2214'
  readonly message: string
  readonly remedy: string
  /** From when on the log may be gone; ISO 8601. */
  readonly deadline: string
}

/** One engine's report. */
export interface EngineRetention {
  readonly report: RetentionReport
  /** False: nobody reads the log for it now, and the report is its last one. */
  readonly isRunning: boolean
}

const dayMs = 24 * 3_600_000
/** A long weekend: time enough for somebody to see it. */
const mostWarningMs = 3 * dayMs
/** A report that is older is one of an engine that does not get on, so it counts as standing still. */
const freshMs = 5 * 60_000
/** Dates end there (ECMAScript); what is further away is never. */
const lastTimeMs = 8.64e15

/** @returns null when too little time has passed between the two */
export function paceOf(earlier: Progress, later: Progress): number | null {
  const passedMs = later.atMs - earlier.atMs
  return passedMs < 1_000 ? null : Math.max(0, (later.sourceMs - earlier.sourceMs) / passedMs)
}

/**
 * @param pace 0 for a pipeline that stands still, null when it is not known
 * @param lagMs how far it is behind, in the source's time
 */
export function reportRetention(
  retention: LogRetention,
  nowMs: number,
  pace: number | null,
  lagMs: number,
): RetentionReport {
  const { keptMs, endedAgoMs, isPurged, bytesBehind } = retention
  const headroomMs = keptMs === null ? null : Math.max(0, isPurged ? 0 : keptMs - (endedAgoMs ?? 0))
  // The place where it reads moves towards the present by `pace`, the edge of what is purged by 1.
  const untilPurgeMs =
    headroomMs === null || (pace !== null && pace >= 1) ? null : headroomMs / (1 - (pace ?? 0))
  return {
    at: timeText(nowMs) as string,
    keptMs,
    bytesBehind,
    isPurged,
    standsUntil: headroomMs === null ? null : timeText(nowMs + headroomMs),
    purgeFrom: untilPurgeMs === null ? null : timeText(nowMs + untilPurgeMs),
    pace: pace === null ? null : Math.round(pace * 1_000) / 1_000,
    catchUpMs: lagMs === 0 ? 0 : pace === null || pace <= 1 ? null : Math.round(lagMs / (pace - 1)),
  }
}

/**
 * Warns when half of what the source keeps, or three days, are left; at once when something is gone already.
 * @param isRunning false: nobody reads the log now, and the report is the last one
 */
export function warnOfRetention(
  report: RetentionReport,
  nowMs: number,
  isRunning: boolean,
): RetentionWarning | null {
  const { keptMs, isPurged, pace } = report
  const moves = isMoving(report, nowMs, isRunning)
  const deadline = deadlineOf(report, nowMs, isRunning)
  if (deadline === null) return null
  const leftMs = Date.parse(deadline) - nowMs
  if (!isPurged && leftMs > Math.min((keptMs ?? 0) / 2, mostWarningMs)) return null
  const kept = keptMs === null ? '' : `: the source keeps its log for ${spanText(keptMs)}`
  const why =
    !moves || pace === null || pace === 0
      ? ' and the pipeline does not move'
      : `, and the pipeline applies ${pace} s of it in a second`
  const message = isPurged
    ? `The source has purged log that is not applied yet${kept}; a stream that is interrupted cannot go on`
    : leftMs <= 0
      ? `The source may purge log that is not applied yet with the next file that it begins, since ${deadline}${kept}${why}`
      : `From ${deadline} on (in ${spanText(leftMs)}) the source may purge log that is not applied yet${kept}${why}`
  return { code: 'SYNC-2214', message, remedy: catalogue['SYNC-2214'].remedy, deadline }
}

/** Of several engines, each at its own place in the log: the one whose log goes first. Undefined: there is none. */
export function mostUrgent<Engine extends EngineRetention>(
  engines: readonly Engine[],
  nowMs: number,
): Engine | undefined {
  const untilMs = ({ report, isRunning }: Engine): number => {
    const deadline = deadlineOf(report, nowMs, isRunning)
    if (report.isPurged) return Number.NEGATIVE_INFINITY
    return deadline === null ? Number.POSITIVE_INFINITY : Date.parse(deadline)
  }
  const first = Math.min(...engines.map(untilMs))
  return engines.find((engine) => untilMs(engine) === first)
}

const isMoving = ({ at }: RetentionReport, nowMs: number, isRunning: boolean): boolean =>
  isRunning && nowMs - Date.parse(at) <= freshMs

const deadlineOf = (report: RetentionReport, nowMs: number, isRunning: boolean): string | null =>
  report.isPurged ? report.at : isMoving(report, nowMs, isRunning) ? report.purgeFrom : report.standsUntil

const timeText = (ms: number): string | null => (ms > lastTimeMs ? null : new Date(ms).toISOString())

function spanText(ms: number): string {
  if (ms < 120_000) return `${Math.max(1, Math.round(ms / 1_000))} s`
  if (ms < 2 * 3_600_000) return `${Math.round(ms / 60_000)} min`
  if (ms < 2 * dayMs) return `${Math.round(ms / 3_600_000)} h`
  return `${Math.round(ms / dayMs)} days`
}
