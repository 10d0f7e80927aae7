/**
 * What the workflows of verifications and repairs have in common: a person's cancel, which their work hears at once and whose answer waits until the end is stored.
 *
 * Guarantees: `attempt` ends with undefined as soon as somebody cancels and the activity in hand has let go; a cancel that comes while a run continues as new
 * is heard before it leaves. Decides nothing else. State only, which a replay makes again; `pause` alone schedules something, a timer.
 */
import type { UpdateDefinition } from '@temporalio/common'
import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  setHandler,
  sleep,
} from '@temporalio/workflow'
import type { ActorArgs } from '../core/pipeline-control.ts'
import { assertActor } from './messages.ts'

export interface Cancellation {
  /** Who has cancelled; null: nobody. */
  by(): string | null
  /** The end is stored. */
  isEnded(): boolean
  /** This run goes on as a new one: who waits for an answer of this one gets it now. */
  isLeaving(): boolean
  /** Takes the cancel, of a person and of Temporal. */
  listen<Answer>(update: UpdateDefinition<Answer, [ActorArgs]>, answer: () => Answer): void
  /** undefined: cancelled. */
  attempt<T>(body: () => Promise<T>): Promise<T | undefined>
  /** False: cancelled meanwhile. */
  pause(ms: number): Promise<boolean>
  ended(): void
  /** @returns whether the run may continue as new; false: it was cancelled meanwhile */
  leave(): Promise<boolean>
}

export const answerWithin = '10s'

export function createCancellation(): Cancellation {
  let cancelledBy: string | null = null
  let isEnded = false
  let isLeaving = false
  const work = new CancellationScope()

  const cancel = (actor: string): void => {
    cancelledBy ??= actor
    work.cancel()
  }
  const self: Cancellation = {
    by: () => cancelledBy,
    isEnded: () => isEnded,
    isLeaving: () => isLeaving,
    listen(update, answer) {
      setHandler(
        update,
        async ({ actor }) => {
          cancel(actor)
          await condition(() => isEnded || isLeaving, answerWithin)
          return answer()
        },
        { validator: (args) => assertActor('cancel', args) },
      )
      CancellationScope.current().cancelRequested.catch(() => cancel('temporal'))
    },
    async attempt(body) {
      try {
        return await work.run(body)
      } catch (error) {
        if (work.consideredCancelled || error instanceof CancelledFailure) return undefined
        throw error
      }
    },
    pause: async (ms) => (await self.attempt(() => sleep(ms).then(() => true))) !== undefined,
    ended() {
      isEnded = true
    },
    async leave() {
      isLeaving = true
      await condition(allHandlersFinished)
      return cancelledBy === null
    },
  }
  return self
}
