/**
 * Closes the gates of load and stream while a server is pressed too hard: measures about once a second what the pipeline's rules ask for.
 *
 * Guarantees: a gate is closed while any of its rules is broken, or its measure cannot be taken (unknown is not fine), and says by what; it opens
 * with the first measure that is within bounds. Without rules nothing is measured. Rules may change at any time. Nothing is written.
 * A measure that fails never ends the session: if the server is lost, those who work there notice.
 */
import type { PressureGauge, TargetPressureGauge } from '../connectors/contract.ts'
import { asSyncError } from '../core/errors.ts'
import type { PauseRules } from '../core/limits.ts'
import type { Gates } from './gates.ts'

export interface ThrottledEnds {
  readonly source: PressureGauge | undefined
  readonly target: TargetPressureGauge | undefined
}

const intervalMs = 1_000
const measureWithinMs = 10_000

/** Measures until `signal` aborts. */
export async function runThrottle(gates: Gates, ends: ThrottledEnds, signal: AbortSignal): Promise<void> {
  const parts = ['load', 'stream'] as const
  for (const part of parts)
    gates[part].pause(hasRules(gates.pauseWhen()[part]) ? 'a measure to be taken' : null)
  while (!signal.aborted) {
    const rules = gates.pauseWhen()
    const taken = createMeasures(ends)
    const reasons = await Promise.all(parts.map((part) => reasonToWait(rules[part], taken)))
    if (signal.aborted) return
    // Rules that have changed meanwhile are measured next.
    if (rules === gates.pauseWhen()) parts.forEach((part, index) => gates[part].pause(reasons[index] ?? null))
    // At the same moments in all engines of a process: a hundred idle ones wake it up once.
    await pause(rules === gates.pauseWhen() ? intervalMs - (performance.now() % intervalMs) : 0, signal)
  }
}

const hasRules = (rules: PauseRules): boolean => Object.values(rules).some((rule) => rule !== null)

/** Each measure is taken once for both gates. */
function createMeasures({ source, target }: ThrottledEnds) {
  const taken = new Map<string, Promise<unknown>>()
  const once = <T>(name: string, gauge: unknown, take: () => Promise<T>): Promise<T> => {
    const known = taken.get(name)
    if (known !== undefined) return known as Promise<T>
    const measure =
      gauge === undefined ? Promise.reject(new Error('this kind of store does not tell')) : within(take())
    taken.set(name, measure)
    return measure
  }
  return {
    sourceThreads: () => once('source', source, () => (source as PressureGauge).threadsRunning()),
    targetThreads: () => once('target', target, () => (target as PressureGauge).threadsRunning()),
    replicas: () => once('replicas', target, () => (target as TargetPressureGauge).replicas()),
    query: (sql: string) => once(sql, target, () => (target as TargetPressureGauge).measure(sql)),
  }
}

type Measures = ReturnType<typeof createMeasures>

/** @returns what to wait for, in words; null: nothing */
async function reasonToWait(rules: PauseRules, measures: Measures): Promise<string | null> {
  const checks: (() => Promise<string | null>)[] = []
  const { sourceThreadsRunning, targetThreadsRunning, targetReplicaLagMs, targetQuery } = rules
  const threads = (end: string, most: number, measure: () => Promise<number>) => async () => {
    const running = await measure()
    return running > most ? `${running} running threads at the ${end}, more than ${most}` : null
  }
  if (sourceThreadsRunning !== null)
    checks.push(threads('source', sourceThreadsRunning, measures.sourceThreads))
  if (targetThreadsRunning !== null)
    checks.push(threads('target', targetThreadsRunning, measures.targetThreads))
  if (targetReplicaLagMs !== null) {
    checks.push(async () => {
      for (const { name, lagMs, why } of await measures.replicas()) {
        if (lagMs === null) return `the replica ${name} of the target: ${why ?? 'it does not tell'}`
        if (lagMs > targetReplicaLagMs)
          return `the replica ${name} of the target, ${lagMs} ms behind, more than ${targetReplicaLagMs} ms`
      }
      return null
    })
  }
  if (targetQuery !== null) {
    checks.push(async () => {
      const value = await measures.query(targetQuery.sql)
      if (Number.isNaN(value)) return 'the query at the target, which gives no number'
      return value > targetQuery.above
        ? `the query at the target, ${value}, more than ${targetQuery.above}`
        : null
    })
  }
  for (const check of checks) {
    const reason = await check().catch(
      (error: unknown) => `a measure that fails: ${asSyncError(error).message}`,
    )
    if (reason !== null) return reason
  }
  return null
}

const within = <T>(measure: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no answer within ${measureWithinMs} ms`)),
      measureWithinMs,
    )
    measure.then(resolve, reject).finally(() => clearTimeout(timer))
  })

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
