/**
 * The engine of one pipeline: source log and chunks in, target batches out (docs: DATA-PATH).
 */
import type { Source, Target } from '../connectors/contract.ts'
import type { EngineOptions } from './options.ts'
import type { EngineOutcome, EngineStatus } from './status.ts'

export interface EngineDeps {
  /** Opens are repeated after a lost connection; each gives a fresh session. */
  readonly openSource: () => Promise<Source>
  readonly openTarget: () => Promise<Target>
}

export interface Engine {
  /** Runs until drained, fenced or blocked; never throws. Lost connections are retried inside, without end. */
  run(): Promise<EngineOutcome>
  /** Finish the batch in hand, store the position, end with `drained`. */
  drain(): void
  status(): EngineStatus
  /** Milliseconds (performance.now clock) when the loop last moved or was known to be waiting on purpose. */
  aliveAtMs(): number
}

/**
 * @param epoch greater than every epoch used before for this pipeline
 * @param acknowledged ids of schema changes or statements that a person has dealt with by hand
 */
export declare function createEngine(
  deps: EngineDeps,
  options: EngineOptions,
  epoch: bigint,
  acknowledged: readonly string[],
): Engine
