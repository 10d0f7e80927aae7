/*
 * What the benchmark makes of its rounds: medians, spread, ratios and whether a bar holds. Pure.
 *
 * A result's `ratio` is made of the two medians, not the median of the rounds' ratios: both sides of a round meet the same machine, but a
 * single slow round of one side must not decide.
 */

/** One round: what each side needed, in the result's unit. `peer` is absent where the bar is absolute. */
export type Round = { readonly syncline: number; readonly peer?: number }

export type Spread = { readonly min: number; readonly max: number }

export type BenchResult = {
  /** Benchmark, what varies in it, and the peer: `decode/mixed/zongji`. */
  readonly name: string
  /** How many times better than the peer (`at least`), or how many times as much (`at most`); without a peer the figure itself. */
  readonly ratio: number
  readonly bar: number | null
  readonly want: 'at least' | 'at most'
  /** Null where there is no bar: the figure is only stated. */
  readonly holds: boolean | null
  /** Medians. */
  readonly syncline: number
  readonly peer: number | null
  readonly unit: string
  readonly rounds: readonly Round[]
  readonly spread: { readonly syncline: Spread; readonly peer: Spread | null }
  /** What else was seen: CPU and memory of each process, amounts of work. */
  readonly details: Readonly<Record<string, number | string>>
}

export type Measured = {
  readonly name: string
  readonly unit: string
  readonly rounds: readonly Round[]
  readonly bar: number | null
  /**
   * - `less is better`: the ratio is peer / syncline and must be at least the bar (times).
   * - `more is better`: the ratio is syncline / peer and must be at least the bar (rates).
   * - `at most`: the ratio is syncline / peer, or syncline alone without a peer, and must be at most the bar.
   */
  readonly rule: 'less is better' | 'more is better' | 'at most'
  readonly details?: Readonly<Record<string, number | string>>
}

/** @throws on an empty list: a benchmark without rounds has no figure */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('No values, no median.')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/** The value that the share `quantile` of all values does not exceed (nearest rank). */
export function percentile(values: readonly number[], quantile: number): number {
  if (values.length === 0) throw new Error('No values, no percentile.')
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] as number
}

export function resultOf(measured: Measured): BenchResult {
  const { name, unit, rounds, bar, rule, details = {} } = measured
  const ours = rounds.map((round) => round.syncline)
  const theirs = rounds.flatMap((round) => (round.peer === undefined ? [] : [round.peer]))
  if (theirs.length > 0 && theirs.length < ours.length) throw new Error(`${name}: a round has no peer.`)
  const syncline = median(ours)
  const peer = theirs.length === 0 ? null : median(theirs)
  const ratio = ratioOf(rule, syncline, peer)
  const want = rule === 'at most' ? 'at most' : 'at least'
  return {
    name,
    ratio,
    bar,
    want,
    holds: bar === null ? null : want === 'at most' ? ratio <= bar : ratio >= bar,
    syncline,
    peer,
    unit,
    rounds,
    spread: { syncline: spreadOf(ours), peer: peer === null ? null : spreadOf(theirs) },
    details,
  }
}

function ratioOf(rule: Measured['rule'], syncline: number, peer: number | null): number {
  if (peer === null) return syncline
  return rule === 'less is better' ? peer / syncline : syncline / peer
}

const spreadOf = (values: readonly number[]): Spread => ({
  min: Math.min(...values),
  max: Math.max(...values),
})

/** Figures of the same names from several rounds, each as its median: for `details`. */
export function mediansOf(rounds: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = new Set(rounds.flatMap((round) => Object.keys(round)))
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      median(rounds.flatMap((round) => (round[name] === undefined ? [] : [round[name]]))),
    ]),
  )
}
