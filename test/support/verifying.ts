/**
 * Verifications and repairs for tests of the whole: asked through the product's command line, and looked at from beside: which worker's process
 * works for one, where its alignment with the engine stands, how far it is.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client, Connection as TemporalConnection } from '@temporalio/client'
import { expect } from 'vitest'
import type {
  ComparedTableAnswer,
  DifferenceAnswer,
  RepairAnswer,
  RepairedRowAnswer,
  VerificationAnswer,
} from '../../src/api/verification-wire.ts'
import type { TemporalFacts } from './servers.ts'
import { type Proc, type Stack, waitFor } from './stack.ts'

export interface Shown {
  readonly verification: VerificationAnswer
  readonly tables: readonly ComparedTableAnswer[]
  readonly differences?: readonly DifferenceAnswer[]
  readonly repairedRows?: readonly RepairedRowAnswer[]
}

export interface Verifying {
  /** `syncline verify NAME ... --no-wait`. @returns the id */
  start(args: readonly string[]): Promise<string>
  /** `syncline verify NAME ...`, to its end. */
  run(args: readonly string[]): Promise<Shown>
  show(id: string, ...more: readonly string[]): Promise<Shown>
  /** Rows compared so far. */
  rowsCompared(id: string): Promise<number>
  /** Waits until so many rows are compared, and it has not ended. */
  reaches(id: string, rows: number, timeoutMs?: number): Promise<void>
  ends(id: string, timeoutMs?: number): Promise<Shown>
  repairOf(id: string): Promise<RepairAnswer | null>
  repairEnds(id: string, timeoutMs?: number): Promise<RepairAnswer>
  /** The one of the processes that works for the workflow now. */
  holder(workflowId: string, workers: readonly Proc[]): Promise<Proc>
  /** Waits until an alignment of the pipeline is in one of the states. */
  alignmentIs(pipeline: string, states: readonly string[], timeoutMs?: number): Promise<string>
  close(): Promise<void>
}

export async function createVerifying(
  stack: Stack,
  temporal: Pick<TemporalFacts, 'address' | 'namespace'>,
): Promise<Verifying> {
  const connection = await TemporalConnection.connect({ address: temporal.address })
  const client = new Client({ connection, namespace: temporal.namespace })

  const json = async <T>(args: readonly string[]): Promise<T> => {
    const { code, stdout, stderr } = await stack.cli([...args, '-o', 'json'])
    if (stdout === '') throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
    return JSON.parse(stdout) as T
  }
  const get = async (id: string): Promise<VerificationAnswer> => {
    const at = id.lastIndexOf('-')
    const path = `/v1/pipelines/${id.slice(0, at)}/verifications/${id.slice(at + 1)}`
    return (await (await fetch(`${stack.url}${path}`)).json()) as VerificationAnswer
  }
  const isOpen = ({ state }: VerificationAnswer): boolean => state === 'waiting' || state === 'running'
  /** What it came to is in the error, where it did not come to what was waited for. */
  async function until<T>(
    what: string,
    timeoutMs: number,
    look: () => Promise<T>,
    isThere: (seen: T) => boolean,
  ): Promise<T> {
    let last: T | undefined
    await waitFor(what, timeoutMs, async () => {
      last = await look()
      return isThere(last)
    }).catch((cause: unknown) => {
      throw new Error(`${what}: ${JSON.stringify(last)}`, { cause })
    })
    return last as T
  }

  const self: Verifying = {
    async start(args) {
      return (await json<VerificationAnswer>(['verify', ...args, '--no-wait'])).id
    },
    run: (args) => json<Shown>(['verify', ...args]),
    show: (id, ...more) => json<Shown>(['verify', 'show', id, ...more]),
    rowsCompared: async (id) => (await get(id)).tally.rowsCompared,
    async reaches(id, rows, timeoutMs = 60_000) {
      const seen = await until(
        `${id} with ${rows} rows`,
        timeoutMs,
        () => get(id),
        (run) => !isOpen(run) || run.tally.rowsCompared >= rows,
      )
      expect(isOpen(seen), `it has ended before: ${JSON.stringify(seen)}`).toBe(true)
    },
    async ends(id, timeoutMs = 120_000) {
      await until(
        `the end of ${id}`,
        timeoutMs,
        () => get(id),
        (run) => !isOpen(run),
      )
      return self.show(id, '--differences', '--limit', '10000')
    },
    repairOf: async (id) => (await get(id)).repair,
    async repairEnds(id, timeoutMs = 120_000) {
      const { repair } = await until(
        `the end of the repair of ${id}`,
        timeoutMs,
        () => get(id),
        (run) => (run.repair?.endedAt ?? null) !== null,
      )
      return repair as RepairAnswer
    },
    async holder(workflowId, workers) {
      let found: Proc | undefined
      await waitFor(`a worker at work for ${workflowId}`, 30_000, async () => {
        const { raw } = await client.workflow.getHandle(workflowId).describe()
        // PENDING_ACTIVITY_STATE_STARTED (temporal.api.enums.v1)
        const started = (raw.pendingActivities ?? []).find(({ state }) => state === 2)
        found = workers.find(({ pid }) => started?.lastWorkerIdentity?.startsWith(`verify-${pid}-`) === true)
        return found !== undefined
      })
      return found as Proc
    },
    async alignmentIs(pipeline, states, timeoutMs = 60_000) {
      const store = new DatabaseSync(join(stack.dir, 'store.sqlite'), { readOnly: true })
      try {
        const look = store.prepare('SELECT state FROM alignment_requests WHERE pipeline = ?')
        const deadline = performance.now() + timeoutMs
        while (performance.now() < deadline) {
          const found = look.all(pipeline).find(({ state }) => states.includes(String(state)))
          if (found !== undefined) return String(found['state'])
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        throw new Error(`no alignment of ${pipeline} was ${states.join(' or ')} within ${timeoutMs} ms`)
      } finally {
        store.close()
      }
    },
    close: () => connection.close(),
  }
  return self
}
