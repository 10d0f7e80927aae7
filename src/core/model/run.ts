/**
 * Runs one history of the model: a script of small numbers decides, step by step, who goes on and who dies. When the script is at its end,
 * nobody dies any more and everything is given its turn until the target has caught up; then both sides must be equal.
 *
 * Deterministic: the same history always runs the same way, so that a failing one can be made shorter.
 */
import { createModelEngine, type EngineSettings, type ModelEngine, type Task } from './engine.ts'
import type { Mutant } from './mutants.ts'
import { createModelSource, type TransactionPlan } from './source.ts'
import { createModelTarget, Violation } from './target.ts'

export interface History {
  /** In the source before the pipeline begins. */
  readonly before: TransactionPlan
  readonly transactions: readonly TransactionPlan[]
  /** Settings of the first engine, the second, and so on in turn. */
  readonly engines: readonly EngineSettings[]
  /** While the script runs, this many transactions of the log stay invisible, and as many of the visible ones unexecuted. */
  readonly unseen: number
  /** Bytes: 0 to 249 choose who goes on; the others are blows. */
  readonly script: ArrayLike<number>
}

/** At most this many engines at once, dead ones not counted: frozen ones that still believe in themselves. */
const MAX_ALIVE = 3
/** Far more than any history needs to come to rest. */
const MAX_FINAL_STEPS = 20_000

/** @throws Violation where the data path breaks a promise */
export function runHistory(
  history: History,
  mutant: Mutant | null,
  saw: (situation: string) => void = () => {},
): void {
  const source = createModelSource(mutant === 'sliceEndsWithTransaction')
  const target = createModelTarget(source, mutant)
  const engines: ModelEngine[] = []
  let nextTransaction = 0
  let { unseen } = history

  if (source.write(history.before)) {
    source.show()
    source.execute()
  }

  const alive = (): ModelEngine[] => engines.filter((engine) => engine.isAlive())

  function startEngine(): void {
    const settings = history.engines[engines.length % history.engines.length] as EngineSettings
    engines.push(createModelEngine(source, target, engines.length + 1, settings, mutant, saw))
  }

  function runTask(task: Task): void {
    const step = task.steps.next()
    task.wait = step.done === true ? () => false : step.value
  }

  function choices(): (() => void)[] {
    const open: (() => void)[] = []
    for (const engine of engines) {
      for (const task of engine.tasks)
        if (task.wait === undefined || task.wait()) open.push(() => runTask(task))
    }
    for (const request of target.movable()) open.push(() => target.move(request))
    if (source.executed + unseen < source.visible) open.push(() => source.execute())
    if (source.visible + unseen < source.logged) open.push(() => source.show())
    const transaction = history.transactions[nextTransaction]
    if (transaction !== undefined) {
      open.push(() => {
        nextTransaction++
        source.write(transaction)
      })
    }
    if (engines.at(-1)?.isAlive() !== true) open.push(startEngine)
    return open
  }

  /**
   * @param loses drop what the dead engine had sent and the server not begun; otherwise it may still run, after any time
   * @param rollsBack what had begun is rolled back; otherwise it commits, and nobody hears of it
   */
  function kill(loses: boolean, rollsBack: boolean): void {
    const victim = alive().at(-1)
    if (victim === undefined) return
    saw('killed')
    victim.kill()
    for (const request of victim.requests) {
      if (request.state === 'sent' && loses) target.drop(request)
      if (request.state === 'begun' && rollsBack) target.drop(request)
    }
  }

  function blow(number: number): void {
    switch (number) {
      case 250:
      case 251:
        // The old one freezes or goes on, without knowing that it was replaced.
        if (alive().length < MAX_ALIVE) {
          saw('taken over alive')
          startEngine()
        }
        break
      case 252:
        kill(true, true)
        break
      case 253:
        kill(true, false)
        break
      case 254:
        kill(false, true)
        break
      default:
        kill(false, false)
    }
  }

  for (let i = 0; i < history.script.length; i++) {
    const number = history.script[i] as number
    if (number >= 250) {
      blow(number)
      continue
    }
    const open = choices()
    open[number % open.length]?.()
  }

  unseen = 0
  let turn = 0
  for (let step = 0; ; step++) {
    if (step > MAX_FINAL_STEPS) throw new Violation('the target never catches up')
    const open = choices()
    if (open.length === 0) break
    // Spreads the turns without a pattern that could starve anybody.
    turn = (turn * 31 + 7) % 9973
    open[turn % open.length]?.()
  }
  if (engines.at(-1)?.isIdle() !== true)
    throw new Violation('everything waits and the target has not caught up')
  target.assertWhole(source.stateAfter(source.logged))
}
