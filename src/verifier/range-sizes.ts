/**
 * How many rows the next range has: as many as a digest of them takes `rangeGoalMs`, and fewer while the source is pressed.
 *
 * While more threads run at the source than `busyThreads`, without ours, ranges shrink in proportion and one lane alone goes on. A source that
 * does not tell is taken as not pressed: ranges are bounded by time all the same. Asked about once a second.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ComparisonReader, PressureGauge } from '../connectors/contract.ts'

export interface RangeSizeOptions {
  readonly source: readonly ComparisonReader[]
  readonly pressure?: PressureGauge
  readonly busyThreads?: number
  readonly rangeGoalMs?: number
  /** Rows of the table, about: ranges of a small one are so small that all lanes have some. */
  readonly estimate: number
  readonly signal?: AbortSignal
}

export interface RangeSizes {
  /** Rows of the next range. */
  next(): Promise<number>
  /** A range of so many rows took this long. */
  readonly took: (rows: number, ms: number) => void
  /** Resolves when this lane may take another range: the first one always may. */
  turn(lane: number): Promise<void>
}

const defaultGoalMs = 500
const defaultBusyThreads = 24
const firstRows = 2_000
const leastRows = 200
const mostRows = 2_000_000
const rangesPerLane = 4
/** From one range to the next. */
const mostGrowth = 4
const askEveryMs = 1_000

export function createRangeSizes(options: RangeSizeOptions): RangeSizes {
  const {
    source,
    pressure,
    signal,
    estimate,
    busyThreads = defaultBusyThreads,
    rangeGoalMs = defaultGoalMs,
  } = options
  const most = Math.min(mostRows, Math.max(firstRows, Math.ceil(estimate / (source.length * rangesPerLane))))
  let rows = firstRows
  /** 1: not pressed; 3: three times as many threads as there may be. */
  let pressed = 1
  let askedAtMs = Number.NEGATIVE_INFINITY

  async function look(): Promise<void> {
    if (pressure === undefined || performance.now() - askedAtMs < askEveryMs) return
    askedAtMs = performance.now()
    try {
      const others = (await pressure.threadsRunning()) - source.length
      pressed = Math.max(1, others / busyThreads)
    } catch {
      pressed = 1
    }
  }

  return {
    async next() {
      await look()
      return Math.max(leastRows, Math.round(rows / pressed))
    },
    took(count, ms) {
      // What few rows take says nothing of many: it is the way there and back.
      if (count < rows / 2) return
      const wanted = (count * rangeGoalMs) / Math.max(1, ms)
      rows = Math.round(Math.min(most, rows * mostGrowth, Math.max(leastRows, rows / mostGrowth, wanted)))
    },
    async turn(lane) {
      await look()
      while (lane > 0 && pressed > 1) {
        await sleep(askEveryMs / 4, undefined, signal === undefined ? {} : { signal })
        await look()
      }
    },
  }
}
