/**
 * Who waits for how many confirmed batches. Pure bookkeeping: the pumps count, others wait. After a failure, and after the end, everybody is told
 * so, now and later: nobody waits for what does not come.
 */

export interface Confirmations {
  /** Resolves when `goal` batches are confirmed in all. */
  until(goal: number): Promise<void>
  confirmed(count: number): void
  fail(error: unknown): void
}

interface Waiting {
  readonly goal: number
  readonly done: PromiseWithResolvers<void>
}

export function createConfirmations(): Confirmations {
  let confirmed = 0
  let waiting: Waiting[] = []
  let failure: { readonly error: unknown } | null = null

  return {
    until(goal) {
      if (failure !== null) return Promise.reject(failure.error)
      if (confirmed >= goal) return Promise.resolve()
      const done = Promise.withResolvers<void>()
      waiting.push({ goal, done })
      return done.promise
    },
    confirmed(count) {
      confirmed = count
      for (const { goal, done } of waiting) if (goal <= count) done.resolve()
      waiting = waiting.filter(({ goal }) => goal > count)
    },
    fail(error) {
      failure ??= { error }
      for (const { done } of waiting) done.reject(error)
      waiting = []
    },
  }
}
