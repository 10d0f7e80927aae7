/**
 * Pipelines as they were applied, what is wanted of them, and every generation they ever had.
 *
 * A generation pins the pipeline and both endpoints, so that a worker that is handed a number reads the same words whenever it asks.
 * `incarnation` counts how often a pipeline of this name was created: what an earlier one left in a target is not this one's.
 * Fence numbers (core/epoch.ts) outlive deletion, so that no zombie of an earlier pipeline is ever newer.
 */
import type { Endpoint } from '../config/endpoint.ts'
import { configError, issue } from '../config/issue.ts'
import type { Pipeline } from '../config/pipeline.ts'
import { SyncError } from '../core/errors.ts'
import type { Database, SqlRow } from './database.ts'
import { assertGeneration, type Change, nextGeneration, recordGeneration } from './generations.ts'

/** What people asked for last: `delete` while a deletion waits for the drain. */
export type Wanted = 'run' | 'stop' | 'delete'

export interface PipelineRecord {
  readonly document: Pipeline
  readonly generation: number
  readonly incarnation: number
  readonly wanted: Wanted
  readonly createdAt: string
  readonly updatedAt: string
}

export interface PipelineGeneration {
  readonly pipeline: Pipeline
  readonly source: Endpoint
  readonly target: Endpoint
  readonly generation: number
  readonly incarnation: number
  readonly actor: string
  readonly at: string
}

export interface PipelineStore {
  list(): PipelineRecord[]
  get(name: string): PipelineRecord | null
  /** The generation stored now; null: there is no such pipeline. Cheaper than `get`. */
  generationOf(name: string): number | null
  /** The newest generation of each pipeline, in one question. */
  generations(): ReadonlyMap<string, number>
  /** @throws SyncError SYNC-4004 when there is no such generation */
  getGeneration(name: string, generation: number): PipelineGeneration
  /**
   * The generations of this incarnation since the one under which rows were first written, oldest first; empty when the workflow never got
   * that far. The last is the one stored now.
   */
  writtenGenerations(name: string): PipelineGeneration[]
  /** Names of the pipelines that use an endpoint. */
  using(endpoint: string): string[]
  /**
   * @param expected generation the caller has seen (0: none); undefined: whatever is there
   * @throws SyncError SYNC-1103; SYNC-1003 when an endpoint is missing
   */
  apply(document: Pipeline, actor: string, expected?: number): { record: PipelineRecord; change: Change }
  /** A new generation of the same document, with its endpoints as they are now. */
  renew(name: string, actor: string): number
  want(name: string, wanted: Wanted): void
  /** Removes the pipeline; its generations, fence number and audit entries stay. */
  delete(name: string): void
  /** The next fence generation: greater than all before it for this name. */
  claimGeneration(name: string): number
}

export function createPipelineStore(database: Database, now: () => Date): PipelineStore {
  const get = (name: string): PipelineRecord | null => {
    const row = database.get('SELECT * FROM pipelines WHERE name = ?', name)
    return row === undefined ? null : recordOf(row)
  }

  const endpointText = (field: 'source' | 'target', name: string): string => {
    const row = database.get('SELECT document FROM endpoints WHERE name = ?', name)
    if (row !== undefined) return String(row['document'])
    throw configError([
      issue(
        'SYNC-1003',
        ['spec', field],
        `there is no endpoint ${name}`,
        'Apply the endpoint first, or in the same file.',
      ),
    ])
  }

  const write = (document: Pipeline, incarnation: number, wanted: Wanted, actor: string): number => {
    const { name } = document.metadata
    const { source, target } = document.spec
    const pinned = { source: endpointText('source', source), target: endpointText('target', target) }
    const generation = nextGeneration(database, 'Pipeline', name)
    const at = now().toISOString()
    const text = JSON.stringify(document)
    database.run(
      `INSERT INTO pipelines (name, generation, incarnation, wanted, document, source, target, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, document = excluded.document,
         source = excluded.source, target = excluded.target, updated_at = excluded.updated_at`,
      name,
      generation,
      incarnation,
      wanted,
      text,
      source,
      target,
      at,
      at,
    )
    recordGeneration(database, {
      kind: 'Pipeline',
      name,
      generation,
      incarnation,
      document: text,
      ...pinned,
      actor,
      at,
    })
    return generation
  }

  const lastIncarnation = (name: string): number => {
    const row = database.get(
      `SELECT max(incarnation) AS last FROM generations WHERE kind = 'Pipeline' AND name = ?`,
      name,
    )
    return Number(row?.['last'] ?? 0)
  }

  const existing = (name: string): PipelineRecord => {
    const record = get(name)
    if (record === null) throw new SyncError('SYNC-1101', `there is no pipeline ${name}`)
    return record
  }

  return {
    list: () => database.all('SELECT * FROM pipelines ORDER BY name').map(recordOf),
    get,
    generationOf(name) {
      const row = database.get('SELECT generation FROM pipelines WHERE name = ?', name)
      return row === undefined ? null : Number(row['generation'])
    },
    generations: () =>
      new Map(
        database
          .all('SELECT name, generation FROM pipelines')
          .map((row) => [String(row['name']), Number(row['generation'])]),
      ),
    getGeneration(name, generation) {
      const row = database.get(
        `SELECT * FROM generations WHERE kind = 'Pipeline' AND name = ? AND generation = ?`,
        name,
        generation,
      )
      if (row === undefined) {
        throw new SyncError('SYNC-4004', `the store has no generation ${generation} of pipeline ${name}`)
      }
      return generationOf(row)
    },
    writtenGenerations(name) {
      const record = get(name)
      if (record === null) return []
      const first = database.get(
        `SELECT min(at) AS at FROM audit WHERE kind = 'Pipeline' AND name = ? AND action = 'state' AND at >= ?
         AND detail ->> 'state' IN ('loading', 'catching-up', 'streaming')`,
        name,
        record.createdAt,
      )?.['at']
      if (typeof first !== 'string') return []
      const all = database
        .all(
          `SELECT * FROM generations WHERE kind = 'Pipeline' AND name = ? AND incarnation = ? ORDER BY generation`,
          name,
          record.incarnation,
        )
        .map(generationOf)
      const inForce = all.findLastIndex(({ at }) => at <= first)
      return all.slice(Math.max(0, inForce))
    },
    using: (endpoint) =>
      database
        .all('SELECT name FROM pipelines WHERE source = ? OR target = ? ORDER BY name', endpoint, endpoint)
        .map((row) => String(row['name'])),
    apply: (document, actor, expected) =>
      database.write(() => {
        const { name } = document.metadata
        const before = get(name)
        assertGeneration('pipeline', name, before?.generation ?? 0, expected)
        if (before !== null && JSON.stringify(before.document) === JSON.stringify(document)) {
          return { record: before, change: 'unchanged' as const }
        }
        write(document, before?.incarnation ?? lastIncarnation(name) + 1, before?.wanted ?? 'run', actor)
        return {
          record: existing(name),
          change: before === null ? ('created' as const) : ('changed' as const),
        }
      }),
    renew: (name, actor) =>
      database.write(() => {
        const { document, incarnation, wanted } = existing(name)
        return write(document, incarnation, wanted, actor)
      }),
    want: (name, wanted) =>
      database.write(() => {
        existing(name)
        database.run('UPDATE pipelines SET wanted = ? WHERE name = ?', wanted, name)
      }),
    delete: (name) =>
      database.write(() => {
        existing(name)
        database.run('DELETE FROM pipelines WHERE name = ?', name)
        database.run('DELETE FROM parked_tables WHERE pipeline = ?', name)
      }),
    claimGeneration: (name) =>
      database.write(() => {
        const row = database.get(
          `INSERT INTO fences (pipeline, generation) VALUES (?, 1)
           ON CONFLICT (pipeline) DO UPDATE SET generation = generation + 1 RETURNING generation`,
          name,
        )
        return Number(row?.['generation'])
      }),
  }
}

const recordOf = (row: SqlRow): PipelineRecord => ({
  document: JSON.parse(String(row['document'])) as Pipeline,
  generation: Number(row['generation']),
  incarnation: Number(row['incarnation']),
  wanted: row['wanted'] as Wanted,
  createdAt: String(row['created_at']),
  updatedAt: String(row['updated_at']),
})

const generationOf = (row: SqlRow): PipelineGeneration => ({
  pipeline: JSON.parse(String(row['document'])) as Pipeline,
  source: JSON.parse(String(row['source'])) as Endpoint,
  target: JSON.parse(String(row['target'])) as Endpoint,
  generation: Number(row['generation']),
  incarnation: Number(row['incarnation']),
  actor: String(row['actor']),
  at: String(row['at']),
})
