/**
 * A shop at the source, writers on it, and a pipeline to an empty target: the start of every chaos test, and its end: writers stopped,
 * the stream settled, both sides compared row by row, and no row ever seen going back.
 */
import type { Connection } from 'mysql2/promise'
import { fillShop } from '../../dev/shop/fill.ts'
import { createShop } from '../../dev/shop/schema.ts'
import { startWriters, type Writers } from '../../dev/shop/writer.ts'
import { compareDatabases } from './compare.ts'
import { isConfirmed } from './confirmed-position.ts'
import { connect, freshDatabase, type Reachable } from './servers.ts'
import { type Stack, type StatusAnswer, waitFor } from './stack.ts'
import {
  assertNoRowWentBack,
  installVersionLog,
  removeVersionTriggers,
  type VersionLog,
} from './versions-trigger.ts'

export interface ShopPipeline {
  readonly name: string
  readonly database: string
  readonly source: Connection
  readonly target: Connection
  apply(): Promise<void>
  startWriting(ratePerSecond: number): Promise<void>
  /** Versions are watched from now on; the tables must be there. */
  watchVersions(): Promise<void>
  /** Takes the triggers away again, which the pre-checks of a resumed pipeline refuse; what was seen until then is judged now. */
  unwatchVersions(): Promise<void>
  waitForState(state: string, timeoutMs?: number): Promise<number>
  /** Waits until a batch later than now is confirmed; returns how long that took. */
  moves(timeoutMs: number): Promise<number>
  /** Waits until the target has confirmed what the source has committed by now, in any state; returns how long that took. */
  catchesUp(timeoutMs: number): Promise<number>
  /** The same for something that the writers commit from now on. */
  goesOn(timeoutMs: number): Promise<number>
  /** The epoch and batch that the target's mark rows tell. */
  mark(): Promise<{ epoch: bigint; batch: bigint; loading: boolean }>
  stopWriting(): Promise<void>
  /** Waits until the target covers everything that the source has committed. */
  settle(timeoutMs?: number): Promise<void>
  expectEqual(): Promise<number>
  close(): Promise<void>
}

export interface ShopOptions {
  readonly size: number
  readonly spec?: Record<string, unknown>
  /** Where the engine reaches the servers, if not directly. */
  readonly via?: { source?: Reachable; target?: Reachable }
}

export async function createShopPipeline(
  stack: Stack,
  sourceServer: Reachable,
  targetServer: Reachable,
  name: string,
  options: ShopOptions,
): Promise<ShopPipeline> {
  let source = await connect(sourceServer)
  let target = await connect(targetServer)
  const database = await freshDatabase(source, name)
  await createShop(source, database)
  await fillShop({ server: sourceServer, database, size: options.size })
  let writers: Writers | null = null
  let versions: VersionLog | null = null

  /** A restarted server ends the test's own connections too. */
  async function query(
    side: 'source' | 'target',
    sql: string,
    values: unknown[] = [],
  ): Promise<Record<string, unknown>[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        const [rows] = await (side === 'source' ? source : target).query(sql, values)
        return rows as Record<string, unknown>[]
      } catch (error) {
        if (attempt >= 100) throw error
        await new Promise((resolve) => setTimeout(resolve, 200))
        const fresh = await connect(side === 'source' ? sourceServer : targetServer).catch(() => null)
        if (fresh === null) continue
        if (side === 'source') source = fresh
        else target = fresh
      }
    }
  }

  const executed = async (): Promise<string> =>
    String((await query('source', 'SELECT @@global.gtid_executed AS executed'))[0]?.['executed'])

  const self: ShopPipeline = {
    name,
    database,
    get source() {
      return source
    },
    get target() {
      return target
    },
    async apply() {
      const file = await stack.pipelineFile(
        name,
        options.via?.source ?? sourceServer,
        options.via?.target ?? targetServer,
        {
          tables: [{ match: `${database}.*` }],
          onMissingTable: 'create',
          ...options.spec,
        },
      )
      const result = await stack.cli(['apply', '-f', file])
      if (result.code !== 0)
        throw new Error(`apply ended with ${result.code}: ${result.stderr}${result.stdout}`)
    },
    async startWriting(ratePerSecond) {
      writers = await startWriters({ server: sourceServer, database, writers: 4, seed: 7, ratePerSecond })
    },
    async watchVersions() {
      await waitFor('the target tables', 60_000, async () => {
        const [a] = await query(
          'source',
          'SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema = ?',
          [database],
        )
        const [b] = await query(
          'target',
          'SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema = ?',
          [database],
        )
        return Number(a?.['n']) > 0 && a?.['n'] === b?.['n'] && (await self.mark()).epoch > 0n
      })
      versions = await installVersionLog(target, [database], `${database.slice(0, 50)}_notes`)
    },
    async unwatchVersions() {
      if (versions === null) return
      await query('target', 'SELECT 1')
      await assertNoRowWentBack(target, versions)
      await removeVersionTriggers(target, versions)
      versions = null
    },
    async waitForState(state, timeoutMs = 120_000) {
      let last: StatusAnswer | null = null
      const waitedMs = await waitFor(`state ${state}`, timeoutMs, async () => {
        last = await stack.status(name)
        return last.state === state || last.state === 'blocked'
      }).catch((cause: unknown) => {
        throw new Error(`state ${state} not reached: ${JSON.stringify(last)}`, { cause })
      })
      const { blocked, state: reached } = last as unknown as StatusAnswer
      if (reached !== state) throw new Error(`blocked by ${blocked?.code}: ${blocked?.message}`)
      return waitedMs
    },
    async moves(timeoutMs) {
      const before = (await self.mark()).batch
      return waitFor('a further batch', timeoutMs, async () => (await self.mark()).batch > before)
    },
    async mark() {
      const rows = await query(
        'target',
        `SELECT MAX(epoch) AS epoch, MAX(batch) AS batch,
           (SELECT COUNT(*) FROM syncline.load_progress l WHERE l.pipeline = ? AND l.done = 0) AS loading
         FROM syncline.apply_mark WHERE pipeline = ?`,
        [name, name],
      )
      const row = rows[0] ?? {}
      return {
        epoch: BigInt((row['epoch'] ?? 0) as string),
        batch: BigInt((row['batch'] ?? 0) as string),
        loading: Number(row['loading']) > 0,
      }
    },
    async stopWriting() {
      const stats = await writers?.stop()
      writers = null
      if (stats !== undefined && stats.unexpected.length > 0)
        throw new Error(`The writers met ${stats.unexpected.join('; ')}`)
    },
    async catchesUp(timeoutMs) {
      const goal = await executed()
      return waitFor('everything at the target', timeoutMs, async () => {
        await Promise.all([query('source', 'SELECT 1'), query('target', 'SELECT 1')])
        return isConfirmed(source, target, name, goal)
      }).catch(async (cause: unknown) => {
        throw new Error(`not confirmed: ${JSON.stringify(await stack.status(name))}`, { cause })
      })
    },
    async goesOn(timeoutMs) {
      const before = await executed()
      const waitedMs = await waitFor('a further write', timeoutMs, async () => (await executed()) !== before)
      return waitedMs + (await self.catchesUp(timeoutMs))
    },
    async settle(timeoutMs = 180_000) {
      await self.waitForState('streaming', timeoutMs)
      await self.catchesUp(timeoutMs)
    },
    async expectEqual() {
      const result = await compareDatabases(sourceServer, targetServer, { databases: [database] })
      if (result.differences.length > 0)
        throw new Error(
          `The sides differ: ${JSON.stringify(result.differences, (_, value) => (typeof value === 'bigint' ? `${value}` : value), 1)}`,
        )
      if (versions !== null) await assertNoRowWentBack(target, versions)
      return result.rows
    },
    async close() {
      await writers?.stop().catch(() => {})
      await source.end().catch(() => {})
      await target.end().catch(() => {})
    },
  }
  return self
}
