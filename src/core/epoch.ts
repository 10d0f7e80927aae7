/**
 * The fence's number. Every attempt to run a pipeline has an epoch greater than all attempts before it.
 *
 * Ordered by (generation, time at which the attempt was scheduled), because attempt numbers start again at 1 in a new run
 * (Temporal's reset and continue-as-new). `restarts` counts engines started within one attempt: a dead engine's connections may still hold a
 * statement that the server has not run yet, so its successor needs a greater epoch as well. 43 bits of
 * milliseconds last until the year 2248; 20 bits of generation are a million resets.
 */
export const epochOf = (generation: number, scheduledTimeMs: number, restarts: number): bigint =>
  (BigInt(generation) << 43n) | BigInt(scheduledTimeMs + restarts)
