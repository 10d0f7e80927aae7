/**
 * One pipeline in a running installation, with a database of its own at both ends: applied, resumed and asked through the product's command
 * line, and compared at the end. For tests of what a person meets; the rows are small, the ways are whole.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connection } from 'mysql2/promise'
import { expect } from 'vitest'
import { stringify } from 'yaml'
import { assertSameDatabases, type CompareOptions } from './compare.ts'
import { executedSet, isConfirmed } from './confirmed-position.ts'
import { connect, freshDatabase, type Reachable } from './servers.ts'
import { type CliResult, type Stack, type StatusAnswer, waitFor } from './stack.ts'

export type Blocked = NonNullable<StatusAnswer['blocked']>

export interface PipelineCase {
  readonly name: string
  readonly database: string
  /** Both have the case's database as their default. */
  readonly source: Connection
  readonly target: Connection
  /** Runs the same statements at both ends. */
  both(...statements: string[]): Promise<void>
  /** Writes the pipeline's file; its rule takes the whole database unless `spec.tables` says otherwise. */
  file(spec?: Record<string, unknown>): Promise<string>
  /** Applies the file and expects it to be taken. */
  apply(spec?: Record<string, unknown>): Promise<CliResult>
  status(): Promise<StatusAnswer>
  /** Waits until the pipeline is blocked, and checks what the command line says of it: code, message and remedy. */
  blocked(code: string, timeoutMs?: number): Promise<Blocked>
  /** `syncline resume`, expected to be taken. */
  resume(): Promise<void>
  /** Waits for a state; a blocked pipeline fails at once. */
  reaches(state: string, timeoutMs?: number): Promise<void>
  /**
   * Waits until the target has confirmed all that the source has committed by now.
   * @param mark name of the pipeline's marks at the target, where it is not the pipeline's
   */
  settled(timeoutMs?: number, mark?: string): Promise<void>
  /** Streams, is settled and both sides are equal. */
  expectEqual(options?: Partial<CompareOptions> & { readonly mark?: string }): Promise<number>
  /** Rows of a query at the target. */
  rows(sql: string): Promise<Record<string, unknown>[]>
  /** New connections of the test, after a server was restarted. */
  reconnect(): Promise<void>
  close(): Promise<void>
}

/** How the pipeline's file names an end; what is left out is the server's own. */
export interface NamedEnd {
  readonly host?: string
  readonly port?: number
  readonly user?: string
  /** A reference, as it stands in the file. */
  readonly password?: string
}

export interface CaseEnds {
  readonly source: Reachable
  readonly target: Reachable
  readonly named?: { readonly source?: NamedEnd; readonly target?: NamedEnd }
}

/** @param name of the pipeline; used once per installation */
export async function createCase(stack: Stack, ends: CaseEnds, name: string): Promise<PipelineCase> {
  let source = await connect(ends.source)
  let target = await connect(ends.target)
  const database = await freshDatabase(source, name.replaceAll('-', '_'))
  await target.query(`CREATE DATABASE IF NOT EXISTS ${database}`)
  for (const connection of [source, target]) await connection.query(`USE ${database}`)

  const self: PipelineCase = {
    name,
    database,
    get source() {
      return source
    },
    get target() {
      return target
    },
    async both(...statements) {
      for (const statement of statements) {
        await target.query(statement)
        await source.query(statement)
      }
    },
    async file(spec = {}) {
      const endpoint = (end: 'source' | 'target') => {
        const { host, port, user } = ends[end]
        return {
          apiVersion: 'syncline/v1',
          kind: 'Endpoint',
          metadata: { name: `${name}-${end}` },
          spec: { kind: 'mysql', host, port, user, ...ends.named?.[end] },
        }
      }
      const documents = [
        endpoint('source'),
        endpoint('target'),
        {
          apiVersion: 'syncline/v1',
          kind: 'Pipeline',
          metadata: { name },
          spec: {
            source: `${name}-source`,
            target: `${name}-target`,
            tables: [{ match: `${database}.*` }],
            ...spec,
          },
        },
      ]
      const file = join(stack.dir, `${name}.yaml`)
      await writeFile(file, documents.map((document) => stringify(document)).join('---\n'))
      return file
    },
    async apply(spec) {
      const result = await stack.cli(['apply', '-f', await self.file(spec)])
      expect(result, result.stderr).toMatchObject({ code: 0 })
      return result
    },
    status: () => stack.status(name),
    async blocked(code, timeoutMs = 60_000) {
      let found: Blocked | null = null
      await waitFor(`${name} blocked`, timeoutMs, async () => {
        const status = await stack.status(name)
        found = status.blocked
        return status.state === 'blocked'
      })
      const blocked = found as unknown as Blocked
      const codes = [blocked.code, ...blocked.findings.map((finding) => finding.code)]
      expect(codes, JSON.stringify(blocked)).toContain(code)
      expect(blocked.remedy).not.toBe('')
      const described = await stack.cli(['describe', 'pipeline', name])
      expect(described.code).toBe(0)
      for (const words of ['blocked', code, blocked.message, blocked.remedy])
        expect(described.stdout).toContain(words)
      return blocked
    },
    async resume() {
      const result = await stack.cli(['resume', name])
      expect(result, result.stderr).toMatchObject({ code: 0 })
    },
    async reaches(state, timeoutMs = 60_000) {
      let last: StatusAnswer | null = null
      await waitFor(`${name} ${state}`, timeoutMs, async () => {
        last = await stack.status(name)
        return last.state === state || (last.state === 'blocked' && state !== 'blocked')
      }).catch((cause: unknown) => {
        throw new Error(`${name} did not reach ${state}: ${JSON.stringify(last)}`, { cause })
      })
      const { state: reached, blocked } = last as unknown as StatusAnswer
      expect(reached, JSON.stringify(blocked)).toBe(state)
    },
    async settled(timeoutMs = 60_000, markName = name) {
      const goal = await executedSet(source)
      let last: StatusAnswer | null = null
      await waitFor(`${name} settled`, timeoutMs, async () => {
        last = await stack.status(name)
        return last.state === 'blocked' || (await isConfirmed(source, target, markName, goal))
      }).catch((cause: unknown) => {
        throw new Error(`${name} did not settle: ${JSON.stringify(last)}`, { cause })
      })
      const { state, blocked } = last as unknown as StatusAnswer
      expect(state, JSON.stringify(blocked)).not.toBe('blocked')
    },
    async expectEqual({ mark = name, ...options } = {}) {
      await self.reaches('streaming')
      await self.settled(60_000, mark)
      const { rows } = await assertSameDatabases(ends.source, ends.target, {
        databases: [database],
        ...options,
      })
      return rows
    },
    async rows(sql) {
      return (await target.query(sql))[0] as Record<string, unknown>[]
    },
    async reconnect() {
      source.destroy()
      target.destroy()
      source = await connect(ends.source, { database })
      target = await connect(ends.target, { database })
    },
    async close() {
      source.destroy()
      target.destroy()
    },
  }
  return self
}
