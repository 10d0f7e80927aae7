/**
 * The two gates of an engine, for the rows of tables and for the changes of the log. They live as long as the engine, so that a new session
 * goes on under the same limits and owes what the one before owed.
 */
import { noLimits, type PipelineLimits } from '../core/limits.ts'
import { createGate, type Gate } from './gate.ts'

export interface Gates {
  readonly load: Gate
  readonly stream: Gate
  set(limits: PipelineLimits): void
  /** By what measures they are closed (throttle.ts); the same object until it is set anew. */
  pauseWhen(): PipelineLimits['pauseWhen']
}

export function createGates(limits: PipelineLimits = noLimits): Gates {
  let pauses = limits.pauseWhen
  const gates: Gates = {
    load: createGate(),
    stream: createGate(),
    set(next) {
      gates.load.set(next.load)
      gates.stream.set(next.stream)
      if (JSON.stringify(pauses) !== JSON.stringify(next.pauseWhen)) pauses = next.pauseWhen
    },
    pauseWhen: () => pauses,
  }
  gates.set(limits)
  return gates
}
