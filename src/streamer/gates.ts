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
}

export function createGates(limits: PipelineLimits = noLimits): Gates {
  const gates: Gates = {
    load: createGate(),
    stream: createGate(),
    set(next) {
      gates.load.set(next.load)
      gates.stream.set(next.stream)
    },
  }
  gates.set(limits)
  return gates
}
