/**
 * Endpoints as they were applied, with their references to secrets, never the secrets.
 *
 * A change of an endpoint is a new generation of it and of every pipeline that uses it, since a pipeline's generation pins its endpoints.
 */
import type { Endpoint } from '../config/endpoint.ts'
import { SyncError } from '../core/errors.ts'
import type { Database, SqlRow } from './database.ts'
import { assertGeneration, type Change, nextGeneration, recordGeneration } from './generations.ts'
import type { PipelineStore } from './pipelines.ts'

export interface EndpointRecord {
  readonly document: Endpoint
  readonly generation: number
  readonly createdAt: string
  readonly updatedAt: string
}

export interface EndpointStore {
  list(): EndpointRecord[]
  get(name: string): EndpointRecord | null
  /**
   * @param expected generation the caller has seen (0: none); undefined: whatever is there
   * @returns names of the pipelines that have a new generation by it
   * @throws SyncError SYNC-1103
   */
  apply(
    document: Endpoint,
    actor: string,
    expected?: number,
  ): { record: EndpointRecord; change: Change; pipelines: string[] }
  /** @throws SyncError SYNC-1101, SYNC-1103, SYNC-1105 */
  delete(name: string, expected?: number): void
}

export function createEndpointStore(
  database: Database,
  pipelines: PipelineStore,
  now: () => Date,
): EndpointStore {
  const get = (name: string): EndpointRecord | null => {
    const row = database.get('SELECT * FROM endpoints WHERE name = ?', name)
    return row === undefined ? null : recordOf(row)
  }
  return {
    list: () => database.all('SELECT * FROM endpoints ORDER BY name').map(recordOf),
    get,
    apply: (document, actor, expected) =>
      database.write(() => {
        const { name } = document.metadata
        const before = get(name)
        assertGeneration('endpoint', name, before?.generation ?? 0, expected)
        const text = JSON.stringify(document)
        if (before !== null && JSON.stringify(before.document) === text) {
          return { record: before, change: 'unchanged' as const, pipelines: [] }
        }
        const generation = nextGeneration(database, 'Endpoint', name)
        const at = now().toISOString()
        database.run(
          `INSERT INTO endpoints (name, generation, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, document = excluded.document, updated_at = excluded.updated_at`,
          name,
          generation,
          text,
          at,
          at,
        )
        recordGeneration(database, {
          kind: 'Endpoint',
          name,
          generation,
          incarnation: 1,
          document: text,
          actor,
          at,
        })
        const sameConnection =
          before !== null && JSON.stringify(before.document.spec) === JSON.stringify(document.spec)
        const users = sameConnection ? [] : pipelines.using(name)
        for (const pipeline of users) pipelines.renew(pipeline, actor)
        return {
          record: get(name) as EndpointRecord,
          change: before === null ? ('created' as const) : ('changed' as const),
          pipelines: users,
        }
      }),
    delete: (name, expected) =>
      database.write(() => {
        const before = get(name)
        if (before === null) throw new SyncError('SYNC-1101', `there is no endpoint ${name}`)
        assertGeneration('endpoint', name, before.generation, expected)
        const users = pipelines.using(name)
        if (users.length > 0) {
          throw new SyncError('SYNC-1105', `endpoint ${name} is used by ${users.join(', ')}`, {
            remedy: `Delete the pipeline first: syncline delete pipeline ${users[0]}`,
            details: { pipelines: users },
          })
        }
        database.run('DELETE FROM endpoints WHERE name = ?', name)
      }),
  }
}

const recordOf = (row: SqlRow): EndpointRecord => ({
  document: JSON.parse(String(row['document'])) as Endpoint,
  generation: Number(row['generation']),
  createdAt: String(row['created_at']),
  updatedAt: String(row['updated_at']),
})
