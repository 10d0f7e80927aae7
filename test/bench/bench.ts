/*
 * What every benchmark is given and gives back. A benchmark starts its own servers, measures peers and Syncline in turn, proves that every
 * result equals the source, and ends what it started; it throws where a result is wrong.
 */
import type { BenchResult } from './statistics.ts'

export type BenchContext = {
  /** Small amounts and few rounds: under a minute, with the same checks. Its figures say little. */
  readonly quick: boolean
  readonly rounds: number
  say(line: string): void
  /** A part that cannot run here, with the reason. */
  skip(name: string, why: string): void
}

export type Bench = (context: BenchContext) => Promise<readonly BenchResult[]>

/** Calls the sides in turn, and in the other order every second round: neither always meets the warmer machine. */
export async function inTurn(round: number, sides: readonly (() => Promise<void>)[]): Promise<void> {
  for (const side of round % 2 === 0 ? sides : sides.toReversed()) await side()
}
