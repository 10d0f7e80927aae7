/** What closes a gate and opens it again, with gauges that a test turns. */
import { expect, it } from 'vitest'
import type { ReplicaState, TargetPressureGauge } from '../../../src/connectors/contract.ts'
import { noLimits, noPauses, type PauseRules } from '../../../src/core/limits.ts'
import { createGates } from '../../../src/streamer/gates.ts'
import { runThrottle } from '../../../src/streamer/throttle.ts'

const never = new AbortController().signal

interface Gauge {
  threads: number | Error
  replicas: readonly ReplicaState[]
  value: number
  asked: number
}

const gaugeOf = (gauge: Gauge): TargetPressureGauge => ({
  async threadsRunning() {
    gauge.asked++
    if (gauge.threads instanceof Error) throw gauge.threads
    return gauge.threads
  },
  replicas: async () => gauge.replicas,
  measure: async () => gauge.value,
})

/** Why the load waits, with these rules and gauges; null: it does not. */
async function reason(rules: Partial<PauseRules>, turned: Partial<Gauge>): Promise<string | null> {
  const gauge: Gauge = { threads: 1, replicas: [], value: 0, asked: 0, ...turned }
  const gates = createGates({
    ...noLimits,
    pauseWhen: { load: { ...noPauses, ...rules }, stream: noPauses },
  })
  const over = new AbortController()
  const ended = runThrottle(gates, { source: gaugeOf(gauge), target: gaugeOf(gauge) }, over.signal)
  let passed = false
  void gates.load.pass(1, 1, over.signal).then(
    () => {
      passed = true
    },
    () => {},
  )
  while (gates.load.heldBackBy() === 'a measure to be taken')
    await new Promise((resolve) => setImmediate(resolve))
  const found = gates.load.heldBackBy()
  await gates.stream.pass(1, 1, never)
  over.abort()
  await ended
  expect(passed).toBe(found === null)
  return found
}

it('waits while more threads run than may', async () => {
  expect(await reason({ sourceThreadsRunning: 5 }, { threads: 5 })).toBeNull()
  expect(await reason({ sourceThreadsRunning: 5 }, { threads: 6 })).toBe(
    '6 running threads at the source, more than 5',
  )
  expect(await reason({ targetThreadsRunning: 5 }, { threads: 7 })).toContain('at the target')
})

it('waits for a replica that is behind, or cannot be asked', async () => {
  const rules = { targetReplicaLagMs: 5_000 }
  expect(await reason(rules, { replicas: [] })).toBeNull()
  expect(await reason(rules, { replicas: [{ name: 'a:1', lagMs: 5_000 }] })).toBeNull()
  const late = [
    { name: 'a:1', lagMs: 0 },
    { name: 'b:2', lagMs: 6_000 },
  ]
  expect(await reason(rules, { replicas: late })).toBe(
    'the replica b:2 of the target, 6000 ms behind, more than 5000 ms',
  )
  expect(await reason(rules, { replicas: [{ name: 'a:1', lagMs: null, why: 'it is off' }] })).toBe(
    'the replica a:1 of the target: it is off',
  )
})

it('waits while a query gives too much, or no number', async () => {
  const rules = { targetQuery: { sql: 'SELECT 1', above: 2.5 } }
  expect(await reason(rules, { value: 2.5 })).toBeNull()
  expect(await reason(rules, { value: 2.6 })).toBe('the query at the target, 2.6, more than 2.5')
  expect(await reason(rules, { value: Number.NaN })).toContain('gives no number')
})

it('waits where a measure fails: unknown is not fine', async () => {
  expect(await reason({ sourceThreadsRunning: 5 }, { threads: new Error('cut') })).toBe(
    'a measure that fails: cut',
  )
})

it('opens and closes as the measures go, goes by rules that change, and asks nothing without rules', async () => {
  const gauge: Gauge = { threads: 9, replicas: [], value: 0, asked: 0 }
  const gates = createGates()
  const over = new AbortController()
  const ended = runThrottle(gates, { source: gaugeOf(gauge), target: undefined }, over.signal)
  await gates.load.pass(1, 1, never)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(gauge.asked).toBe(0)
  const rules = { ...noPauses, sourceThreadsRunning: 5 }
  gates.set({ ...noLimits, pauseWhen: { load: rules, stream: rules } })
  await expect.poll(() => gates.load.isLimited() && gates.stream.isLimited(), { timeout: 10_000 }).toBe(true)
  const waiting = [gates.load.pass(1, 1, never), gates.stream.pass(1, 1, never)]
  gauge.threads = 5
  await Promise.all(waiting)
  gauge.threads = 6
  await expect.poll(() => gates.stream.isLimited(), { timeout: 10_000 }).toBe(true)
  const lifted = gates.stream.pass(1, 1, never)
  gates.set(noLimits)
  await lifted
  gates.set({ ...noLimits, pauseWhen: { load: noPauses, stream: { ...noPauses, targetThreadsRunning: 1 } } })
  await expect.poll(() => gates.stream.isLimited(), { timeout: 10_000 }).toBe(true)
  void gates.stream.pass(1, 1, over.signal).catch(() => {})
  expect(gates.stream.heldBackBy()).toContain('does not tell')
  over.abort()
  await ended
})
