import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openStore, type Store } from '../../../src/store/store.ts'
import { endpoint, pipeline } from './documents.ts'

let folder: string
let path: string
let store: Store

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'syncline-store-'))
  path = join(folder, 'sub', 'store.db')
  store = openStore(path)
})
afterEach(async () => {
  store.close()
  await rm(folder, { recursive: true })
})

const withEndpoints = () => {
  store.endpoints.apply(endpoint('a'), 'ann')
  store.endpoints.apply(endpoint('b'), 'ann')
}

describe('endpoints', () => {
  it('keeps what was applied, and counts changes', () => {
    expect(store.endpoints.apply(endpoint('a'), 'ann')).toMatchObject({
      change: 'created',
      record: { generation: 1 },
    })
    expect(store.endpoints.apply(endpoint('a'), 'ann')).toMatchObject({
      change: 'unchanged',
      record: { generation: 1 },
    })
    expect(store.endpoints.apply(endpoint('a', { port: 3307 }), 'bob')).toMatchObject({
      change: 'changed',
      record: { generation: 2 },
    })
    expect(store.endpoints.get('a')?.document).toEqual(endpoint('a', { port: 3307 }))
    expect(store.endpoints.list()).toHaveLength(1)
    expect(store.endpoints.get('none')).toBeNull()
  })

  it('refuses a change by somebody who has seen another generation', () => {
    store.endpoints.apply(endpoint('a'), 'ann', 0)
    expect(() => store.endpoints.apply(endpoint('a', { port: 1 }), 'bob', 0)).toThrow(
      expect.objectContaining({ code: 'SYNC-1103' }),
    )
    expect(() => store.endpoints.delete('a', 2)).toThrow(expect.objectContaining({ code: 'SYNC-1103' }))
    expect(store.endpoints.get('a')?.generation).toBe(1)
  })

  it('does not delete one that is used', () => {
    withEndpoints()
    store.pipelines.apply(pipeline('shop'), 'ann')
    expect(() => store.endpoints.delete('b')).toThrow(expect.objectContaining({ code: 'SYNC-1105' }))
    store.pipelines.delete('shop')
    store.endpoints.delete('b')
    expect(() => store.endpoints.delete('b')).toThrow(expect.objectContaining({ code: 'SYNC-1101' }))
  })

  it('renews the pipelines that use a changed endpoint', () => {
    withEndpoints()
    store.pipelines.apply(pipeline('shop'), 'ann')
    expect(store.endpoints.apply(endpoint('b', { port: 3307 }), 'bob').pipelines).toEqual(['shop'])
    expect(store.pipelines.get('shop')?.generation).toBe(2)
    expect(store.pipelines.getGeneration('shop', 1).target.spec.port).toBe(3306)
    expect(store.pipelines.getGeneration('shop', 2).target.spec.port).toBe(3307)
    const relabelled = { ...endpoint('b', { port: 3307 }), metadata: { name: 'b', labels: { team: 'x' } } }
    expect(store.endpoints.apply(relabelled, 'bob')).toMatchObject({ change: 'changed', pipelines: [] })
  })
})

describe('pipelines', () => {
  it('keeps every generation, across deletion', () => {
    withEndpoints()
    store.pipelines.apply(pipeline('shop'), 'ann')
    store.pipelines.apply(pipeline('shop', { stream: { lanes: 8 } }), 'bob')
    store.pipelines.delete('shop')
    expect(store.pipelines.get('shop')).toBeNull()
    const { record } = store.pipelines.apply(pipeline('shop'), 'cyd')
    expect(record).toMatchObject({ generation: 3, incarnation: 2 })
    expect(store.pipelines.getGeneration('shop', 2)).toMatchObject({
      actor: 'bob',
      incarnation: 1,
      pipeline: { spec: { stream: { lanes: 8 } } },
    })
    expect(() => store.pipelines.getGeneration('shop', 4)).toThrow(
      expect.objectContaining({ code: 'SYNC-4004' }),
    )
  })

  it('refuses a missing endpoint and changes nothing', () => {
    store.endpoints.apply(endpoint('a'), 'ann')
    expect(() => store.pipelines.apply(pipeline('shop'), 'ann')).toThrow(
      expect.objectContaining({ code: 'SYNC-1003' }),
    )
    expect(store.pipelines.list()).toEqual([])
  })

  it('keeps what is wanted through a change of the spec', () => {
    withEndpoints()
    store.pipelines.apply(pipeline('shop'), 'ann')
    store.pipelines.want('shop', 'stop')
    store.pipelines.apply(pipeline('shop', { stream: { lanes: 8 } }), 'ann')
    expect(store.pipelines.get('shop')?.wanted).toBe('stop')
    expect(() => store.pipelines.want('none', 'stop')).toThrow(expect.objectContaining({ code: 'SYNC-1101' }))
  })

  it('tells the generations since rows were first written', () => {
    let seconds = 0
    store.close()
    store = openStore(path, () => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds++)))
    const state = (name: string, key: string) =>
      store.audit.append({
        actor: 'syncline',
        action: 'state',
        kind: 'Pipeline',
        name: 'shop',
        outcome: 'done',
        detail: { state: name, detail: '' },
        key,
      })
    withEndpoints()
    store.pipelines.apply(pipeline('shop'), 'ann')
    state('checking', '1')
    store.pipelines.apply(pipeline('shop', { stream: { lanes: 2 } }), 'ann')
    expect(store.pipelines.writtenGenerations('shop')).toEqual([])
    state('loading', '2')
    store.pipelines.apply(pipeline('shop', { stream: { lanes: 3 } }), 'ann')
    expect(store.pipelines.writtenGenerations('shop').map(({ generation }) => generation)).toEqual([2, 3])
    store.pipelines.delete('shop')
    store.pipelines.apply(pipeline('shop'), 'ann')
    expect(store.pipelines.writtenGenerations('shop')).toEqual([])
  })

  it('gives out fence numbers that grow across deletion', () => {
    withEndpoints()
    store.pipelines.apply(pipeline('shop'), 'ann')
    expect([store.pipelines.claimGeneration('shop'), store.pipelines.claimGeneration('shop')]).toEqual([1, 2])
    store.pipelines.delete('shop')
    expect(store.pipelines.claimGeneration('shop')).toBe(3)
    expect(store.pipelines.claimGeneration('other')).toBe(1)
  })
})

describe('audit', () => {
  const entry = {
    actor: 'ann',
    action: 'apply',
    kind: 'Pipeline',
    name: 'shop',
    outcome: 'done',
    detail: { a: 1 },
  } as const

  it('keeps entries in order, newest first, and by resource', () => {
    store.audit.append(entry)
    store.audit.append({ ...entry, outcome: 'refused', code: 'SYNC-1104', requestId: 'r1' })
    store.audit.append({ ...entry, kind: 'Endpoint', name: 'a' })
    expect(store.audit.list().map(({ seq }) => seq)).toEqual([3, 2, 1])
    expect(store.audit.list({ kind: 'Pipeline', name: 'shop', limit: 1 })).toMatchObject([
      { seq: 2, outcome: 'refused', code: 'SYNC-1104', requestId: 'r1', detail: { a: 1 } },
    ])
    expect(store.audit.list({ before: 2 }).map(({ seq }) => seq)).toEqual([1])
    expect(store.audit.verify()).toBeNull()
  })

  it('writes an entry with a key once', () => {
    expect(store.audit.append({ ...entry, key: 'run/1' })).toBe(true)
    expect(store.audit.append({ ...entry, key: 'run/1' })).toBe(false)
    expect(store.audit.list()).toHaveLength(1)
  })

  it('refuses changes, and finds those made around it', () => {
    for (let i = 0; i < 3; i++) store.audit.append(entry)
    const raw = new DatabaseSync(path)
    expect(() => raw.exec(`UPDATE audit SET actor = 'eve' WHERE seq = 2`)).toThrow('only grows')
    expect(() => raw.exec('DELETE FROM audit WHERE seq = 2')).toThrow('only grows')
    raw.exec(`DROP TRIGGER audit_is_never_changed; UPDATE audit SET actor = 'eve' WHERE seq = 2`)
    expect(store.audit.verify()).toBe(2)
    raw.exec(
      `UPDATE audit SET actor = 'ann' WHERE seq = 2; DROP TRIGGER audit_is_never_deleted; DELETE FROM audit WHERE seq = 1`,
    )
    expect(store.audit.verify()).toBe(1)
    raw.close()
  })
})

describe('the file', () => {
  it('is one for many processes: no fence number twice, no audit entry lost', async () => {
    const script = `
      import { openStore } from ${JSON.stringify(new URL('../../../src/store/store.ts', import.meta.url).href)}
      const store = openStore(process.argv[1])
      const numbers = []
      for (let i = 0; i < 50; i++) {
        numbers.push(store.pipelines.claimGeneration('shop'))
        store.audit.append({ actor: String(process.pid), action: 'x', kind: 'Pipeline', name: 'shop', outcome: 'done', detail: i })
      }
      console.log(JSON.stringify(numbers))`
    const shared = join(folder, 'shared.db')
    const runs = [1, 2, 3, 4].map(() =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, shared]),
    )
    const numbers = (await Promise.all(runs)).flatMap(({ stdout }) => JSON.parse(stdout) as number[])
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
    const after = openStore(shared)
    expect(after.audit.list({ limit: 1000 })).toHaveLength(200)
    expect(after.audit.verify()).toBeNull()
    after.close()
  })

  it('undoes a write that throws', () => {
    expect(() =>
      store.write(() => {
        withEndpoints()
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(store.endpoints.list()).toEqual([])
  })

  it('is for its owner alone, and survives closing', async () => {
    withEndpoints()
    store.close()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    store = openStore(path)
    expect(store.endpoints.list()).toHaveLength(2)
  })

  it('refuses a file of a newer version, and what is no store', async () => {
    new DatabaseSync(path).exec('PRAGMA user_version = 99')
    expect(() => openStore(path)).toThrow(expect.objectContaining({ code: 'SYNC-4004' }))
    expect(() => openStore(folder)).toThrow(expect.objectContaining({ code: 'SYNC-4004' }))
  })
})
