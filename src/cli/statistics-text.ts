/**
 * Figures of a pipeline in words. Pure.
 */
import type { RetentionAnswer, StatisticsAnswer } from '../api/wire.ts'
import { countText, durationText } from './output.ts'

export type Statistics = NonNullable<StatisticsAnswer['statistics']>
export type ShardStatistics = NonNullable<StatisticsAnswer['shards']>[number]

/** `1,200 inserted, 300 updated, 20 deleted, 0 copied -> 900 upserted, 15 removed, 605 merged away (40%)` */
export function rowsText({ rows }: Statistics): string {
  const { inserted, updated, deleted, copied, upserted, removed, merged, outOfScope } = rows
  const rowsIn = inserted + updated + deleted + copied
  const share = rowsIn === 0 ? '' : ` (${Math.round((merged * 100) / rowsIn)}%)`
  const beside = outOfScope === 0 ? '' : `; ${countText(outOfScope)} out of scope`
  return `${countText(inserted)} inserted, ${countText(updated)} updated, ${countText(deleted)} deleted, ${countText(copied)} copied -> ${countText(upserted)} upserted, ${countText(removed)} removed, ${countText(merged)} merged away${share}${beside}`
}

export function batchesText({ batches, bytes }: Statistics): string {
  const { small, large, checkpoints, transactions } = batches
  return `${countText(small)} small, ${countText(large)} large, ${countText(checkpoints)} without rows, of ${countText(transactions)} transactions; ${bytesText(bytes.log)} of log and ${bytesText(bytes.chunks)} of chunks read, ${bytesText(bytes.written)} written`
}

/**
 * Which side holds the other back, since counting began. Reader and lanes wait for each other through the open batch: when it is full the
 * reader waits, when there is none the lanes do.
 * @param shards whose sum the figures are; each has counted for a time of its own. Null and undefined: there are none
 */
export function bottleneckText(
  { since, at, heldMs, timesMs }: Statistics,
  shards?: readonly ShardStatistics[] | null,
): string {
  const spans = (shards ?? [{ since, at }]).map((span) => Date.parse(span.at) - Date.parse(span.since))
  const wallMs = Math.max(
    1,
    spans.reduce((sum, span) => sum + span, 0),
  )
  const share = (ms: number): number => Math.min(100, Math.round((ms * 100) / wallMs))
  const [full, idle, noLog] = [share(heldMs.batchFull), share(heldMs.lanesIdle), share(timesMs.sourceWait)]
  const figures = `reader held back ${full}% of the time, without log to read ${noLog}%; lanes without rows ${idle}%`
  if (full >= 20 && full >= idle) return `the target (${figures})`
  if (noLog >= 50) return `none: the log is read to its end (${figures})`
  if (idle >= 50) return `reading (${figures})`
  return `none stands out (${figures})`
}

/** `1,520 rows in, 915 out, 3 tables, 1.2 MB of log; reading (reader held back 0% of the time ...)` */
export function shardText(shard: ShardStatistics): string {
  const { inserted, updated, deleted, copied, upserted, removed } = shard.rows
  const rowsIn = inserted + updated + deleted + copied
  return `${countText(rowsIn)} rows in, ${countText(upserted + removed)} out, ${countText(shard.tables)} tables, ${bytesText(shard.bytes.log)} of log; ${bottleneckText(shard)}`
}

/** @param isRunning of the shard that it tells of, where there are any */
export function retentionText(retention: RetentionAnswer, isRunning: boolean): string {
  const { shard } = retention
  const words = keptText(retention, isRunning)
  // A server of an earlier version says nothing of shards.
  return shard === null || shard === undefined ? words : `${words} (shard ${shard})`
}

function keptText(
  { keptMs, isPurged, standsUntil, purgeFrom, pace, catchUpMs }: RetentionAnswer,
  isRunning: boolean,
): string {
  if (isPurged) return 'not any more: something that is not applied yet is gone'
  if (keptMs === null) return 'until somebody purges it'
  const kept = `for ${durationText(keptMs)}`
  if (!isRunning) return `${kept}; what is needed next until ${standsUntil ?? 'further notice'} at least`
  if (purgeFrom !== null && pace !== null && pace > 0)
    return `${kept}; at the present pace (${pace} s in a second) enough until ${purgeFrom}`
  if (purgeFrom !== null) return `${kept}; what is needed next until ${purgeFrom} at least`
  return catchUpMs === null || catchUpMs < 1_000 ? kept : `${kept}; caught up in ${durationText(catchUpMs)}`
}

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** 1234567 -> 1.2 MB */
export function bytesText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}
