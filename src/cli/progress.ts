/**
 * One pipeline's status as one line: phase, rows, rows/s, ETA, lag. With a bar while it loads, on a terminal. Pure.
 */
import type { PipelineStatusAnswer } from '../api/wire.ts'
import { countText, durationText, lagText } from './output.ts'

const barWidth = 24

/** @param bar with a drawn bar */
export function progressLine(status: PipelineStatusAnswer, bar: boolean): string {
  const { name, state, engine, blocked, retrying } = status
  const parts = [`${name}  ${state}`]
  if (state === 'blocked' && blocked !== null) parts.push(`${blocked.code} ${blocked.message}`)
  else if (engine !== null) {
    if (state === 'loading' || engine.phase === 'loading') {
      const { rows, rowsEstimated, tables, tablesDone, etaMs } = engine.load
      const share = shareOf(rows, rowsEstimated)
      parts.push(
        `${bar ? `${barOf(share)} ` : ''}${Math.floor(share * 100)} %`,
        `${countText(rows)} of about ${countText(Math.max(rows, rowsEstimated))} rows`,
        `${tablesDone} of ${tables} tables`,
        `${countText(engine.rowsPerSecond)} rows/s`,
        etaMs === null ? 'ETA unknown' : `ETA ${durationText(etaMs)}`,
      )
    } else {
      parts.push(
        `${countText(engine.rowsApplied)} rows`,
        `${countText(engine.rowsPerSecond)} rows/s`,
        `lag ${lagText(engine.lagMs)}`,
      )
    }
    if (engine.retrying !== null) parts.push(`retrying ${engine.retrying.code}: ${engine.retrying.message}`)
  }
  if (retrying !== null) parts.push(`retrying ${retrying.code}: ${retrying.message}`)
  return [...parts, ...status.warnings].join('  ')
}

/** The server's estimate may be far off; 100 % is only said when it is true. */
const shareOf = (rows: number, estimated: number): number =>
  estimated <= 0 ? 0 : Math.min(rows / estimated, 0.99)

const barOf = (share: number): string => {
  const full = Math.round(share * barWidth)
  return `[${'#'.repeat(full)}${'.'.repeat(barWidth - full)}]`
}
